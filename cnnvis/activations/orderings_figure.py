"""Pictures of the distances between filters, before and after they are put in order."""

import math
from dataclasses import dataclass

import numpy as np

from cnnvis.core.colours import GREY, INK, Colours
from cnnvis.core.painting import BAR_ROOM, MARGIN, TITLE_ROOM, Page, cell_ticks

# Pixels a side of a matrix is long, about; room for its numbers and labels, and for its heading.
SIDE = 384
# It is no longer than this: of more filters, a pixel is the mean over several neighbours.
LONGEST = 1024
AXIS = 56
HEAD = 40
FOOT = 48
# Room for a tree of clusters above a matrix.
TREE = 110
COLUMNS = 3
# Distances beyond this percentile have the last colour: those of a few strong filters would
# otherwise leave one colour for all others.
PERCENTILE = 95


@dataclass(frozen=True)
class Panel:
    """The filters in one order.

    Attributes
    ----------
    head : str
        What is written above.
    permutation : sequence of int, (filters,)
    tree : list of (int, int, float), optional
        The merges of clusters, as `cnnvis.activations.arrangements.arrange` gives them.
    """

    head: str
    permutation: list
    tree: list | None = None


def draw_distances(picture, distances, panels, title, caption):
    """Draw the distances between filters as a heat map for each order, on one scale of colours.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    distances : ndarray of float64, (filters, filters)
    panels : list of Panel
    title, caption : str
    """
    count = len(distances)
    together = -(-count // LONGEST)
    scale = max(1, SIDE // count) / together
    side = math.ceil(scale * count)
    highest = np.percentile(distances, PERCENTILE) or distances.max() or 1.0
    beyond = "max" if highest < distances.max() else "neither"
    colours = Colours("viridis", 0, highest, beyond)
    rows = [panels[first : first + COLUMNS] for first in range(0, len(panels), COLUMNS)]
    # Matrices of a row stand at one height, below the room for trees where there are any.
    rooms = [TREE * any(panel.tree for panel in row) for row in rows]
    step = MARGIN + AXIS + side
    right = step * len(rows[0]) + MARGIN
    height = TITLE_ROOM + sum(HEAD + room + side + FOOT for room in rooms)
    page = Page(right + BAR_ROOM, height, title, colours)
    top = TITLE_ROOM
    for row, room in zip(rows, rooms, strict=True):
        top += HEAD + room
        for column, panel in enumerate(row):
            _draw_panel(page, MARGIN + AXIS + column * step, top, panel, distances, scale)
        top += side + FOOT
    bar = min(420, side)
    page.colour_bar(right, TITLE_ROOM + HEAD + rooms[0], bar, "Euclidean distance")
    page.save(picture, caption)


def _draw_panel(page, left, top, panel, distances, scale):
    order = np.array(panel.permutation)
    side = math.ceil(scale * len(order))
    cells = page.colours.pixels(_resized(distances[np.ix_(order, order)], scale))
    page.paste(cells, left, top)
    head = top - 9
    if panel.tree:
        head -= TREE
        _draw_tree(page, left, top, panel, scale)
    page.write((left, head), panel.head, colour=INK)
    marks = cell_ticks(order, scale)
    page.left_axis(left, top, side, marks, "filter")
    page.lower_axis(left, top + side, side, marks, "filter")


def _resized(cells, scale):
    """Return a matrix with `scale` pixels for each cell or, below 1, means of blocks of cells."""
    if scale >= 1:
        return cells.repeat(int(scale), axis=0).repeat(int(scale), axis=1)
    together = round(1 / scale)
    starts = np.arange(0, len(cells), together)
    sums = np.add.reduceat(np.add.reduceat(cells, starts, axis=0), starts, axis=1)
    counts = np.minimum(together, len(cells) - starts)
    return sums / np.outer(counts, counts)


def _draw_tree(page, left, top, panel, scale):
    """Draw the tree of clusters above its matrix, the last merge at the top."""
    highest = max(height for *_, height in panel.tree) or 1.0
    middles = (np.argsort(panel.permutation) + 0.5) * scale
    # Of every node, filters and then merges: pixels from the left, and above the matrix.
    nodes = [(left + middle, 4.0) for middle in middles]
    for one, other, height in panel.tree:
        (first, low), (second, lower) = nodes[one], nodes[other]
        level = 4 + height / highest * (TREE - 16)
        corners = [(first, low), (first, level), (second, level), (second, lower)]
        page.draw.line([(across, top - up) for across, up in corners], GREY)
        nodes.append(((first + second) / 2, level))
