"""The study's analysis of one slice: one row of every feature map, put in order.

The slice of row ``r`` is the matrix (filters, width) of ``feature_maps[:, r, :]``: horizontally the
image's columns, vertically the filters. K-means and PCA order its rows; a picture shows the slice
before and after.
"""

import numpy as np

from cnnvis.activations.grids import grey_limits
from cnnvis.activations.orderings import neighbour_distance, order
from cnnvis.core.arrays import significant
from cnnvis.core.colours import INK, Colours
from cnnvis.core.files import safe_name, write_json
from cnnvis.core.painting import BAR_ROOM, MARGIN, TITLE_ROOM, Page, cell_ticks

PANEL_WIDTH = 440
PANEL_HEIGHT = 780
# Room for the numbers and the label left of a panel.
AXIS = 56
HEAD = 40
# Pixels of white between clusters.
BAR = 8


def make_slice(files, feature_maps, row, *, layer, blob, clusters, seed, title):
    """Cluster and order the rows of one slice; write a picture of each and the numbers.

    Parameters
    ----------
    files : Places
        Of the image. Written are ``slice clusters`` for each number of clusters, ``slice pca`` and
        ``slice numbers``, a JSON with every permutation and its numbers.
    feature_maps : ndarray, (filters, height, width)
        All values finite.
    row : int
        Which row of the feature maps, from 0 at the top.
    layer, blob : str
        The convolution and its blob.
    clusters : list of int
        Numbers of clusters, each at most that of filters.
    seed : int
        Of k-means.
    title : str
        What the pictures' titles begin with.
    """
    values = feature_maps[:, row, :].astype(np.float64)
    where, title = {"layer": safe_name(layer), "row": row}, f"{title}, row {row}"
    kmeans = {k: _order(values, "kmeans", k=k, seed=seed) for k in clusters}
    pca = _order(values, "pca")
    for k, numbers in kmeans.items():
        draw_clusters(files("slice clusters", k=k, **where), values, numbers, title, k)
    draw_pca(files("slice pca", **where), values, pca, title)
    numbers = {
        "layer": layer,
        "blob": blob,
        "row": row,
        "filters": values.shape[0],
        "width": values.shape[1],
        "seed": seed,
        "neighbour_distance": significant(neighbour_distance(values)),
        "kmeans": {str(k): order for k, order in kmeans.items()},
        "pca": pca,
    }
    write_json(files("slice numbers", **where), numbers)


def _order(values, method, **parameters):
    permutation, numbers = order(values, method, **parameters)
    distance = significant(neighbour_distance(values[permutation]))
    return {"permutation": permutation.tolist(), "neighbour_distance": distance, **numbers}


def draw_clusters(picture, values, numbers, title, k):
    """Draw a slice as it is, and clustered, with white bars between the clusters.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    values : ndarray, (filters, width)
    numbers : dict
        ``permutation`` and ``sizes`` of the clusters.
    title : str
    k : int
        The number of clusters asked for.
    """
    sizes = np.array(numbers["sizes"])
    count, scale = len(sizes), row_height(len(values))
    middles = (np.cumsum(sizes) - sizes / 2) * scale + BAR * np.arange(count)
    names = [f"{cluster} ({size})" for cluster, size in enumerate(sizes)]
    fewer = "" if count == k else f" ({k} were asked for, but fewer rows are distinct)"
    _draw_pair(
        picture,
        values,
        numbers["permutation"],
        sizes,
        spread(zip(middles, names, strict=True)),
        title=f"{title}: {count} clusters",
        label="cluster (number of filters)",
        head=f"clustered by k-means, k = {k}",
        caption=f"on the right in {count} clusters{fewer}, from weak to strong, with white bars "
        "between them.",
    )


def draw_pca(picture, values, numbers, title):
    """Draw a slice as it is, and ordered along its first principal direction.

    Parameters are those of `draw_clusters`; `numbers` has ``permutation`` and
    ``explained_variance``.
    """
    permutation = numbers["permutation"]
    _draw_pair(
        picture,
        values,
        permutation,
        [len(values)],
        cell_ticks(permutation, row_height(len(values))),
        title=f"{title}, ordered by PCA",
        label="filter",
        head="ordered by PCA",
        caption="on the right along the first principal direction, which explains "
        f"{100 * numbers['explained_variance'][0]:.0f} % of the variance.",
    )


def _draw_pair(picture, values, permutation, sizes, ticks, *, title, label, head, caption):
    """Draw a slice in the network's order and, beside it, in another order.

    `sizes` are those of the clusters on the right, `ticks` what is written there.
    """
    colours = Colours("gray", *grey_limits(values))
    filters, columns = values.shape
    wide, tall = max(1, PANEL_WIDTH // columns), row_height(filters)
    before = colours.pixels(values)
    after = separate(before[permutation].repeat(tall, axis=0), np.multiply(sizes, tall), BAR)
    lefts = (MARGIN + AXIS, 2 * MARGIN + 2 * AXIS + wide * columns)
    top = TITLE_ROOM + HEAD
    right = lefts[1] + wide * columns + MARGIN
    page = Page(right + BAR_ROOM, top + len(after) + 44, title, colours)
    natural, across = cell_ticks(range(filters), tall), cell_ticks(range(columns), wide)
    panels = (
        (before.repeat(tall, axis=0), natural, "filter", "as in the network"),
        (after, ticks, label, head),
    )
    for left, (rows, marks, name, above) in zip(lefts, panels, strict=True):
        page.paste(rows.repeat(wide, axis=1), left, top)
        page.write((left, top - 9), above, colour=INK)
        page.left_axis(left, top, len(rows), marks, name)
        page.lower_axis(left, top + len(rows), wide * columns, across, "column of the feature map")
    page.colour_bar(right, top, min(420, filters * tall), "output of the filter")
    page.save(
        picture,
        "One row of every feature map, one below the other: on the left in the network's order, "
        f"{caption} One grey scale: black is {colours.low:.3g}, white {colours.high:.3g}.",
    )


def row_height(filters):
    """Return how many pixels high a row is: all are about `PANEL_HEIGHT`, one is at most 24."""
    return min(24, max(1, PANEL_HEIGHT // filters))


def separate(rows, sizes, bar):
    """Put `bar` rows of white between clusters of rows.

    Parameters
    ----------
    rows : ndarray of uint8, (rows, ...)
        In the order of the clusters.
    sizes : sequence of int, (clusters,)
        How many rows each cluster has.
    bar : int

    Returns
    -------
    ndarray, (rows + bar * (clusters - 1), ...)

    Examples
    --------
    >>> separate(np.array([[1], [2]], np.uint8), [1, 1], 1)
    array([[  1],
           [255],
           [  2]], dtype=uint8)
    """
    starts = np.cumsum(sizes)[:-1]
    return np.insert(rows, np.repeat(starts, bar), 255, axis=0)


def spread(ticks):
    """Return ``[(place, name)]`` without those that would touch the one before.

    >>> spread([(0, "a"), (5, "b"), (12, "c"), (13, "d")])
    [(0, 'a'), (12, 'c')]
    """
    kept = []
    for place, name in ticks:
        if not kept or place - kept[-1][0] >= 12:
            kept.append((place, name))
    return kept
