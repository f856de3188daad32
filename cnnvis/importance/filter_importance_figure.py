"""The picture of filter importance: the study's map of norms, and the norms sorted."""

import math

import numpy as np
from PIL import Image, ImageDraw

from cnnvis.core.colours import BLUE, GREY, INK, Colours
from cnnvis.core.painting import (
    BAR_ROOM,
    MARGIN,
    TEXT_SIZE,
    TITLE_ROOM,
    Page,
    font,
    number,
    ticks,
    whole_ticks,
)

# Rows per column of the study's map of 96 filters.
STUDY_ASPECT = 16 / 6
# How many of the most and of the least important filters are named.
NAMED = 8
# Cells of fewer pixels have no room for their numbers.
LEAST_NUMBERED = 22
# Room for the numbers and the label left of the bars.
AXIS = 76
# Between maps, and above each where there are several.
GAP, HEADING = 28, 22
LEAST_HEIGHT = 420


def draw_importance(picture, norms, *, layer, title, orders=None):
    """Draw the map of norms, numbered, and beside it the norms from largest to smallest.

    In further orders, of `cnnvis.activations.orderings.describe_order`, the map is drawn again.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    norms : ndarray, (filters,)
    layer, title : str
    orders : dict of str to dict, optional
    """
    maps, top = paint_maps(norms, orders)
    height = max(maps.shape[0], LEAST_HEIGHT)
    width = min(900, max(420, 12 * len(norms)))
    left = 2 * MARGIN + maps.shape[1] + BAR_ROOM + AXIS
    page = Page(left + width + MARGIN, TITLE_ROOM + height + 48, title)
    page.paste(maps, MARGIN, TITLE_ROOM)
    bar = (2 * MARGIN + maps.shape[1] - 8, TITLE_ROOM + top, min(maps.shape[0] - top, 420))
    page.colour_bar(*bar, "norm of the gradient", map_colours(norms))
    _draw_bars(page, norms, left, width, height)
    page.save(
        picture,
        f"Importance of the {len(norms)} filters of layer {layer}: the L2 norm of the neuron's "
        "gradient with respect to the weights of each filter. Left: one cell per filter, with its "
        f"number, row after row{describe_maps(orders)}. Right: the same norms from the largest to "
        "the smallest.",
    )


def paint_maps(norms, orders=None):
    """Return the map of norms, and the same in further orders, side by side with headings.

    Returns
    -------
    pixels : ndarray of uint8, (height, width, 3)
    top : int
        Where the maps begin, below the headings, which a single map does not have.
    """
    cells = [paint_map(norms)]
    cells += [paint_map(norms, order=order["permutation"]) for order in (orders or {}).values()]
    if not orders:
        return cells[0], 0
    headings = [f"{name} order" for name in ["network's", *orders]]
    height, width = cells[0].shape[:2]
    width = max(width, *(math.ceil(font(TEXT_SIZE).getlength(heading)) for heading in headings))
    image = Image.new("RGB", ((width + GAP) * len(cells) - GAP, HEADING + height), "white")
    draw = ImageDraw.Draw(image)
    for place, (heading, each) in enumerate(zip(headings, cells, strict=True)):
        image.paste(Image.fromarray(each), (place * (width + GAP), HEADING))
        draw.text((place * (width + GAP), HEADING - 6), heading, INK, font(TEXT_SIZE), "ls")
    return np.asarray(image), HEADING


def describe_maps(orders):
    """Return what a caption says of further maps of `paint_maps`."""
    names = ", ".join(f"'{name}'" for name in orders or {})
    return f", in the network's order, then in {names}" if names else ""


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


def map_colours(norms):
    """Return the colour scale of the map of norms."""
    return Colours("viridis", 0, float(norms.max()) or 1.0)


def paint_map(norms, colours=None, height=None, order=None):
    """Return norms as the cells of a map, with the number of the filter in each.

    Parameters
    ----------
    norms : ndarray, (filters,)
    colours : Colours, optional
        By default `map_colours`.
    height : int, optional
        In pixels, at most; cells too small for their numbers have none.
    order : sequence of int, optional
        Which filter is in each cell, by default the network's order.

    Returns
    -------
    ndarray of uint8, (height, width, 3)
    """
    rows, columns = map_shape(len(norms))
    side = max(6, min(32, height // rows)) if height else 46 if rows <= 20 else 32
    colours = colours or map_colours(norms)
    cells = np.full(rows * columns, np.nan)
    order = range(len(norms)) if order is None else order
    cells[: len(norms)] = norms[order]
    pixels = colours.pixels(cells.reshape(rows, columns)).repeat(side, axis=0).repeat(side, axis=1)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for place, index in enumerate(order) if side >= LEAST_NUMBERED else ():
        middle = (place % columns * side + side // 2, place // columns * side + side // 2)
        ink = "white" if norms[index] < 0.6 * colours.high else "black"
        draw.text(middle, str(index), ink, font(min(TEXT_SIZE, side // 3)), "mm")
    return np.asarray(image)


def _draw_bars(page, norms, left, width, height):
    """Draw the norms from the largest to the smallest, with axes."""
    order = np.argsort(-norms, kind="stable")
    top, bottom = TITLE_ROOM, TITLE_ROOM + height
    limit = 1.05 * (float(norms.max()) or 1.0)
    edges = left + np.arange(len(norms) + 1) * width // len(norms)
    for norm, first, last in zip(norms[order], edges[:-1], edges[1:], strict=True):
        right = max(first, last - 1)
        page.draw.rectangle((first, bottom - height * norm / limit, right, bottom), BLUE)
    page.draw.line(((left - 1, top), (left - 1, bottom), (left + width, bottom)), INK)
    upwards = [(height * (1 - norm / limit), number(norm)) for norm in ticks(0, limit, 9)]
    page.left_axis(left - 1, top, height, upwards, "norm of the gradient")
    ranks = [rank for rank in whole_ticks(len(norms) + 1) if rank]
    across = [((rank - 0.5) * width / len(norms), str(rank)) for rank in ranks]
    page.lower_axis(left, bottom + 1, width, across, "rank of the filter")
    if len(norms) >= 2 * NAMED:
        ends = {"most": order[:NAMED], "least": order[: -NAMED - 1 : -1]}
        for line, (end, filters) in enumerate(ends.items()):
            text = f"{end} important: {', '.join(map(str, filters))}"
            page.write((left + width - 16, top + 24 + 18 * line), text, colour=GREY, anchor="rs")
