"""How much one neuron depends on each filter: the norm of the gradient at its weights."""

import csv
import math

import numpy as np

from cnnvis.core.arrays import read_array
from cnnvis.core.drawing import DPI, GREY, MARGIN, TITLE_ROOM, add_axes, new_page, save_figure
from cnnvis.core.files import atomic

# Rows per column of the study's map of 96 filters.
STUDY_ASPECT = 16 / 6
# How many of the most and of the least important filters are named.
NAMED = 8


def make_importance(gradients_npz, csv, picture, *, layer, title):
    """Write the importance of each filter of a layer as a table and a picture.

    Parameters
    ----------
    gradients_npz : str or Path
        Of `cnnvis.gradients.weight_gradients.make_gradients`.
    csv : str or Path
        Columns rank (1 is the most important), filter, norm, share (of the sum of norms).
    picture : str or Path
        PNG: the study's map, and the norms sorted.
    layer, title : str

    Raises
    ------
    UserError
        If the file has no such layer.
    """
    norms = filter_norms(read_array(gradients_npz, layer, "gradient of layer"))
    write_table(csv, rank_filters(norms))
    draw_importance(picture, norms, layer, title)


def filter_norms(gradient):
    """Return the L2 norm of each filter's gradient.

    Parameters
    ----------
    gradient : ndarray, (filters, ...)

    Returns
    -------
    ndarray of float64, (filters,)

    Examples
    --------
    >>> filter_norms(np.array([[[3.0, 4.0]], [[0.0, 0.0]]]))
    array([5., 0.])
    """
    rows = np.asarray(gradient, np.float64).reshape(len(gradient), -1)
    return np.linalg.norm(rows, axis=1)


def rank_filters(norms):
    """Return ``[(rank, filter, norm, share)]``, most important first, lower filter at a tie.

    Shares are of the sum of all norms; all 0 where that is 0.
    """
    total = norms.sum() or 1.0
    order = np.argsort(-norms, kind="stable")
    return [
        (rank, int(index), float(norms[index]), float(norms[index] / total))
        for rank, index in enumerate(order, 1)
    ]


def write_table(path, rows):
    """Write the rows of `rank_filters` as CSV."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("rank", "filter", "norm", "share"))
        writer.writerows((rank, index, f"{n:.9g}", f"{s:.6g}") for rank, index, n, s in rows)


def map_shape(filters):
    """Return (rows, columns) of the study's map: 16 x 6 for 96, about as tall for others.

    Of all columns that waste less than a row, those with the nearest proportions, where an empty
    cell counts as much as its share of the map.

    >>> map_shape(96), map_shape(256), map_shape(1)
    ((16, 6), (26, 10), (1, 1))
    """

    def misfit(columns):
        rows = math.ceil(filters / columns)
        empty = (rows * columns - filters) / filters
        return abs(math.log(rows / columns / STUDY_ASPECT)) + empty

    columns = min(range(1, filters + 1), key=misfit)
    return math.ceil(filters / columns), columns


def draw_importance(picture, norms, layer, title):
    """Draw the map of norms, numbered, and beside it the norms from largest to smallest."""
    rows, columns = map_shape(len(norms))
    cell = 46 if rows <= 20 else 32
    size = (columns * cell, rows * cell)
    height = max(size[1], 420)
    bars = min(900, max(420, 12 * len(norms)))
    left = MARGIN + size[0] + 150
    figure = new_page(left + bars + MARGIN, TITLE_ROOM + height + 60, title)
    draw_map(figure, norms, (rows, columns), size)
    _draw_bars(add_axes(figure, left, TITLE_ROOM, bars, height), norms)
    save_figure(
        figure,
        picture,
        f"Importance of the {len(norms)} filters of layer {layer}: the L2 norm of the neuron's "
        "gradient with respect to the weights of each filter. Left: one cell per filter, its "
        "number in it, row after row. Right: the same norms from the largest to the smallest.",
    )


def draw_map(figure, norms, shape, size):
    """Draw norms as cells of a map of `shape`, `size` pixels wide and high, with a colour bar."""
    from cnnvis.core.drawing import add_colour_bar, add_image

    cells = np.full(shape[0] * shape[1], np.nan)
    cells[: len(norms)] = norms
    top = float(norms.max()) or 1.0
    axes, image = add_image(
        figure, cells.reshape(shape), MARGIN, TITLE_ROOM, size, cmap="viridis", vmin=0, vmax=top
    )
    points = min(8, 0.32 * size[1] / shape[0] * 72 / DPI)
    for index, norm in enumerate(norms):
        ink = "white" if norm < 0.6 * top else "black"
        place = (index % shape[1], index // shape[1])
        axes.text(*place, str(index), ha="center", va="center", fontsize=points, color=ink)
    bar = (2 * MARGIN + size[0] - 8, TITLE_ROOM, min(size[1], 420))
    add_colour_bar(figure, image, *bar, "norm of the gradient")


def _draw_bars(axes, norms):
    order = np.argsort(-norms, kind="stable")
    edges = np.arange(len(norms) + 1) + 0.5
    axes.stairs(norms[order], edges, fill=True, color="#3b6fa0")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("rank of the filter", fontsize=8, color=GREY)
    axes.set_ylabel("norm of the gradient", fontsize=8, color=GREY)
    axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    if len(norms) >= 2 * NAMED:
        names = (
            f"most important: {', '.join(map(str, order[:NAMED]))}\n"
            f"least important: {', '.join(map(str, order[: -NAMED - 1 : -1]))}"
        )
        axes.text(0.98, 0.97, names, transform=axes.transAxes, ha="right", va="top", fontsize=8)
