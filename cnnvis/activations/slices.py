"""The study's analysis of one slice: one row of every filter's output, put in order.

The slice of row ``r`` is the matrix (filters, width) of ``outputs[:, r, :]``: horizontally the
image's columns, vertically the filters. K-means and PCA order its rows; a picture shows the slice
before and after.
"""

import numpy as np

from cnnvis.activations.grids import grey_limits
from cnnvis.activations.orderings import neighbour_distance, order
from cnnvis.core.arrays import check_maps, read_array, significant
from cnnvis.core.drawing import (
    BAR_ROOM,
    GREY,
    MARGIN,
    TITLE_ROOM,
    add_colour_bar,
    add_image,
    new_page,
    save_figure,
)
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json

PANEL_WIDTH = 440
PANEL_HEIGHT = 780
PANEL_GAP = 120
HEAD = 40
# Pixels of white between clusters.
BAR = 8


def make_slice(blobs, kmeans, pca, table, *, layer, blob, row, seed=0, title=None):
    """Cluster and order the rows of one slice; write a picture of each and the numbers.

    Parameters
    ----------
    blobs : str or Path
        The image's ``blobs.npz``.
    kmeans : dict
        ``{k: png}``: for each number of clusters, its picture.
    pca, table : str or Path
        The picture ordered by PCA, and the JSON with every permutation and its numbers.
    layer, blob : str
        The convolution and its blob, (filters, height, width).
    row : int
        Which row of the outputs, from 0 at the top.
    seed : int
        Of k-means.
    title : str, optional
        What the pictures' titles begin with.

    Raises
    ------
    UserError
        If the blob has no such row, or a number of clusters is above the number of filters.
    """
    values = read_slice(blobs, blob, row)
    where = f"row {row} of {layer}"
    begin = f"{title}: {where}" if title else where
    clustered = {k: _order(values, where, "kmeans", k=k, seed=seed) for k in kmeans}
    ordered = _order(values, where, "pca")
    for k, picture in kmeans.items():
        draw_clusters(picture, values, clustered[k], begin, k)
    draw_pca(pca, values, ordered, begin)
    numbers = {
        "layer": layer,
        "blob": blob,
        "row": row,
        "filters": values.shape[0],
        "width": values.shape[1],
        "seed": seed,
        "neighbour_distance": significant(neighbour_distance(values)),
        "kmeans": {str(k): found for k, found in clustered.items()},
        "pca": ordered,
    }
    write_json(table, numbers)


def read_slice(blobs, blob, row):
    """Return row `row` of every filter's output, float64 (filters, width)."""
    outputs = read_array(blobs, blob)
    check_maps(outputs, f"{blobs}: blob '{blob}'")
    if not 0 <= row < outputs.shape[1]:
        raise UserError(
            f"{blobs}: blob '{blob}' has rows 0 to {outputs.shape[1] - 1}, there is no row {row}"
        )
    return outputs[:, row, :].astype(np.float64)


def _order(values, where, method, **parameters):
    try:
        permutation, numbers = order(values, method, **parameters)
    except UserError as error:
        raise UserError(f"slice at {where}: {error}") from None
    distance = significant(neighbour_distance(values[permutation]))
    return {"permutation": permutation.tolist(), "neighbour_distance": distance, **numbers}


def separate(values, labels, bar):
    """Put `bar` rows of NaN between rows of different clusters.

    Parameters
    ----------
    values : ndarray, (filters, width)
        In the order of the clusters.
    labels : sequence of int, (filters,)
        Cluster of each row, ascending.
    bar : int

    Returns
    -------
    ndarray, (filters + bar * (clusters - 1), width)

    Examples
    --------
    >>> separate(np.array([[1.0], [2.0]]), [0, 1], 1)
    array([[ 1.],
           [nan],
           [ 2.]])
    """
    gap = np.full((bar, values.shape[1]), np.nan)
    starts = np.flatnonzero(np.diff(labels)) + 1
    parts = np.split(values, starts)
    return np.concatenate([piece for part in parts for piece in (gap, part)][1:])


def draw_clusters(picture, values, found, title, k):
    """Draw a slice as it is, and clustered, with white bars between the clusters."""
    sizes = np.array(found["sizes"])
    count = len(sizes)
    rows = enlarge_rows(values)
    per_row = len(rows) // len(values)
    labels = np.repeat(np.arange(count), sizes * per_row)
    after = separate(enlarge_rows(values[found["permutation"]]), labels, BAR)
    middles = (np.cumsum(sizes) - sizes / 2) * per_row + BAR * np.arange(count) - 0.5
    fewer = "" if count == k else f" ({k} were asked for, but fewer rows are distinct)"
    _draw_pair(
        picture,
        values,
        after,
        _thin(middles, [f"{i} ({size})" for i, size in enumerate(sizes)]),
        title=f"{title}: {count} clusters",
        label="cluster (its filters)",
        head=f"clustered by k-means, k = {k}",
        caption=f"right in {count} clusters{fewer} from weak to strong, white bars between them.",
    )


def draw_pca(picture, values, found, title):
    """Draw a slice as it is, and ordered along its first principal direction."""
    share = found["explained_variance"][0]
    permutation = found["permutation"]
    after = enlarge_rows(values[permutation])
    places = _places(len(values))
    names = [permutation[place] for place in places]
    _draw_pair(
        picture,
        values,
        after,
        (_middles(places, len(after) // len(values)), names),
        title=f"{title}, ordered by PCA",
        label="filter",
        head="ordered by PCA",
        caption="right along the first principal direction, which explains "
        f"{100 * share:.0f} % of the variance.",
    )


def _draw_pair(picture, values, after, ticks, *, title, label, head, caption):
    """Draw `values` and `after`, whose rows are in pixels already, side by side."""
    low, high, extend = grey_limits(values)
    before = enlarge_rows(values)
    across = max(1, PANEL_WIDTH // values.shape[1]) * values.shape[1]
    lefts = (MARGIN + 44, MARGIN + 44 + across + PANEL_GAP)
    width = lefts[1] + across + MARGIN + BAR_ROOM
    figure = new_page(width, TITLE_ROOM + HEAD + len(after) + 44, title)
    places = _places(len(values))
    first = (_middles(places, len(before) // len(values)), places)
    panels = (
        (lefts[0], before, first, "filter", "as in the network"),
        (lefts[1], after, ticks, label, head),
    )
    for left, rows, marks, name, above in panels:
        size = (across, len(rows))
        axes, image = add_image(
            figure, rows, left, TITLE_ROOM + HEAD, size, cmap="gray", vmin=low, vmax=high
        )
        axes.set_title(above, fontsize=9, color="0.1", loc="left")
        axes.set_yticks(*marks)
        axes.set_xticks(_places(values.shape[1]))
        axes.set_xlabel("column of the output", fontsize=8, color=GREY)
        axes.set_ylabel(name, fontsize=8, color=GREY)
        axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    place = (lefts[1] + across + MARGIN, TITLE_ROOM + HEAD, min(420, len(before)))
    add_colour_bar(figure, image, *place, "output of the filter", extend)
    save_figure(
        figure,
        picture,
        "One row of every filter's output, below each other. Left as the network has the filters, "
        f"{caption} One grey scale: black {low:.3g}, white {high:.3g}.",
    )


def enlarge_rows(values):
    """Repeat each row so that the whole is about `PANEL_HEIGHT` pixels, a row at most 24."""
    return values.repeat(min(24, max(1, PANEL_HEIGHT // len(values))), axis=0)


def _middles(places, per_row):
    return [(place + 0.5) * per_row - 0.5 for place in places]


def _places(count):
    """Return about ten evenly spaced whole numbers below `count`."""
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    return list(range(0, count, next((step for step in steps if count / step <= 12), 2000)))


def _thin(places, names):
    """Leave out labels that would touch the one above."""
    kept = [0]
    for index in range(1, len(places)):
        if places[index] - places[kept[-1]] >= 12:
            kept.append(index)
    return [places[index] for index in kept], [names[index] for index in kept]
