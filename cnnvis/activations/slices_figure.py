"""Pictures of slices before and after they are put in order, and of how orders correlate."""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.grids import grey_limits
from cnnvis.activations.study_slices import draw_as_study
from cnnvis.core import painting
from cnnvis.core.arrays import cluster_numbers
from cnnvis.core.colours import BLUE, INK, LIGHT_GREY, Colours
from cnnvis.core.painting import BAR_ROOM, MARGIN, TITLE_ROOM, Page, cell_ticks

PANEL_WIDTH = 440
PANEL_HEIGHT = 780
# Room for the numbers and the label left of a panel.
AXIS = 56
HEAD = 40
FOOT = 44
# Pixels of white between clusters.
BAR = 8
# Pixels a side of the map of correlations and of the curve beside it are long, at most.
SIDE = 480


@dataclass(frozen=True)
class Panel:
    """A slice in one order.

    Attributes
    ----------
    lines : ndarray of uint8, (lines, columns, 3)
        Each line as high as it is drawn.
    marks : list of (float, str)
        Pixels from the top, and what is written there.
    label, head : str
        What is written at the axis and above.
    """

    lines: np.ndarray
    marks: list
    label: str
    head: str


def draw_clusters(picture, values, numbers, title, k, *, as_study):
    """Draw a slice as it is, and clustered, with white bars between the clusters.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    values : ndarray, (filters, width)
    numbers : dict
        ``permutation`` and ``sizes`` of the clusters.
    title : str
    k : int or str
        The number of clusters asked for, or "20x5".
    as_study : bool
        Whether to add what the study's script draws, in which bars take the place of rows.
    """
    colours = Colours("gray", *grey_limits(values))
    sizes = np.array(numbers["sizes"])
    count, asked = len(sizes), cluster_numbers(k)[-1]
    fewer = "" if count == asked else f" ({asked} were asked for, but fewer came out)"
    caption = f"then in {count} clusters{fewer}, with white bars between them"
    ordered = colours.pixels(values)[numbers["permutation"]]
    scale = row_height(len(values))
    separated = separate(ordered.repeat(scale, axis=0), sizes * scale, BAR)
    method = f"k-means, k = {k}".replace("x", " × ")
    panels = [_clusters_panel(separated, sizes, scale, BAR, f"clustered by {method}")]
    if as_study:
        caption += "; last as the study drew it, a bar replacing the first row of a cluster"
        scaled = (values - colours.low) / (colours.high - colours.low)
        lines = draw_as_study(scaled, numbers["permutation"], sizes)
        drawn = Colours("gray", 0, 1).pixels(lines).repeat(scale, axis=0)
        panels.append(_clusters_panel(drawn, sizes, scale, 0, "as the study drew it"))
    title = f"{title}: {count} clusters"
    _draw_panels(picture, values, colours, panels, title=title, caption=caption)


def _clusters_panel(lines, sizes, scale, bar, head):
    middles = (np.cumsum(sizes) - sizes / 2) * scale + bar * np.arange(len(sizes))
    names = [f"{cluster} ({size})" for cluster, size in enumerate(sizes)]
    marks = spread(zip(middles, names, strict=True))
    return Panel(lines, marks, "cluster (number of filters)", head)


def draw_pca(picture, values, numbers, title):
    """Draw a slice as it is, and ordered along its first principal direction.

    Parameters are those of `draw_clusters`; `numbers` has ``permutation`` and
    ``explained_variance``.
    """
    colours, scale = Colours("gray", *grey_limits(values)), row_height(len(values))
    permutation = numbers["permutation"]
    lines = colours.pixels(values)[permutation].repeat(scale, axis=0)
    panel = Panel(lines, cell_ticks(permutation, scale), "filter", "ordered by PCA")
    title = f"{title}, ordered by PCA"
    share = f"{100 * numbers['explained_variance'][0]:.0f} % of the variance"
    caption = f"then along the first principal direction, which explains {share}"
    _draw_panels(picture, values, colours, [panel], title=title, caption=caption)


def _draw_panels(picture, values, colours, panels, *, title, caption):
    """Draw a slice in the network's order and, beside it, other panels."""
    filters, columns = values.shape
    wide, tall = max(1, PANEL_WIDTH // columns), row_height(filters)
    natural = colours.pixels(values).repeat(tall, axis=0)
    marks = cell_ticks(range(filters), tall)
    panels = [Panel(natural, marks, "filter", "as in the network"), *panels]
    step, top = MARGIN + AXIS + wide * columns, TITLE_ROOM + HEAD
    right = len(panels) * step + MARGIN
    height = top + max(len(panel.lines) for panel in panels) + FOOT
    page = Page(right + BAR_ROOM, height, title, colours)
    across = cell_ticks(range(columns), wide)
    for place, panel in enumerate(panels):
        left, bottom = MARGIN + AXIS + place * step, top + len(panel.lines)
        page.paste(panel.lines.repeat(wide, axis=1), left, top)
        page.write((left, top - 9), panel.head, colour=INK)
        page.left_axis(left, top, len(panel.lines), panel.marks, panel.label)
        page.lower_axis(left, bottom, wide * columns, across, "column of the feature map")
    page.colour_bar(right, top, min(420, filters * tall), "activation")
    page.save(
        picture,
        "One row of every feature map, one below the other: first in the network's order, "
        f"{caption}. One grey scale: black is {colours.low:.3g}, white {colours.high:.3g}.",
    )


def draw_stability(picture, correlations, medians, sentence, title):
    """Draw how the orders of a layer's rows correlate, and the medians by distance.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    correlations : ndarray, (rows, rows)
        NaN, drawn white, where a row has no order.
    medians : ndarray, (rows - 1,)
        Of rows that are 1, 2... rows apart.
    sentence : str
        What they say, for the caption.
    title : str
    """
    count = len(correlations)
    scale = max(1, min(24, SIDE // count))
    side, colours = scale * count, Colours("RdBu_r", -1, 1)
    top, left = TITLE_ROOM + HEAD, MARGIN + AXIS
    bar = left + side + MARGIN
    curve = bar + BAR_ROOM + AXIS
    title = f"{title}: the orders of all rows by PCA"
    page = Page(curve + SIDE + MARGIN, top + side + FOOT, title, colours)
    cells = colours.pixels(correlations).repeat(scale, axis=0).repeat(scale, axis=1)
    page.paste(cells, left, top)
    page.write((left, top - 9), "correlation between the orders of two rows", colour=INK)
    marks = cell_ticks(range(count), scale)
    page.left_axis(left, top, side, marks, "row of the feature maps")
    page.lower_axis(left, top + side, side, marks, "row of the feature maps")
    page.colour_bar(bar, top, min(420, side), "Spearman correlation")
    page.write((curve, top - 9), "median by distance", colour=INK)
    _draw_curve(page, curve, top, side, medians)
    page.save(
        picture,
        "The filters ordered by the PCA of each row of the layer, and every two of these orders "
        f"compared: on the left each pair, on the right medians. {sentence}",
    )


def _draw_curve(page, left, top, side, medians):
    """Draw the median correlation against the distance of rows, `SIDE` pixels wide."""
    low = min(0.0, np.nanmin(medians, initial=0.0))

    def height(value):
        return (1 - value) / (1 - low) * side

    values = painting.ticks(low, 1, side // 40)
    for down in map(height, values):
        page.draw.line(((left, top + down), (left + SIDE, top + down)), LIGHT_GREY)
    step = SIDE / max(1, len(medians))
    points = [(left + step * (i + 0.5), top + height(median)) for i, median in enumerate(medians)]
    known = [point for point in points if not np.isnan(point[1])]
    page.draw.line(known, BLUE, 2)
    for across, down in known:
        page.draw.ellipse((across - 2, down - 2, across + 2, down + 2), BLUE)
    marks = [(height(value), painting.number(round(value, 9))) for value in values]
    page.left_axis(left, top, side, marks, "median Spearman correlation")
    distances = [(step * (d - 0.5), str(d)) for d in painting.whole_ticks(len(medians) + 1)[1:]]
    page.lower_axis(left, top + side, SIDE, distances, "distance of the two rows")


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
