"""Draw what classes lose without each filter, as a heat map."""

import math

import numpy as np

from cnnvis.core.colours import Colours
from cnnvis.core.painting import (
    BAR_ROOM,
    LINE,
    MARGIN,
    TICK_SIZE,
    TITLE_ROOM,
    Page,
    cell_ticks,
    font,
    shorten,
)

# The map has at most about this size, and a cell this side, in pixels.
WIDTH, HEIGHT, SIDE = 1100, 1000, 28
COLOURS = "RdBu_r"
# Room for the colour bar and its label.
LEAST_HEIGHT = 220
# Rows at least this high have all names.
NAMED_HEIGHT = 14
LONGEST_NAME = 28
FOOT = 52


def draw_lesions(path, losses, order, names, *, label, title, caption):
    """Draw a cell for each class (rows) and filter (columns).

    Parameters
    ----------
    path : str or Path
        The PNG.
    losses : cnnvis.importance.lesions.Losses
    order : dict
        ``filters`` and ``classes``, their numbers.
    names : list of str
        One per class of the network.
    label : str
        What the colours are.
    title, caption : str
    """
    window, rows = losses.window, np.searchsorted(losses.classes, order["classes"])
    values = losses.values[np.ix_(rows, order["filters"])]
    colours = Colours(COLOURS, -window, window, "both")
    tall, wide = (
        max(1, min(SIDE, room // count))
        for room, count in zip((HEIGHT, WIDTH), values.shape, strict=True)
    )
    height, width = tall * len(values), wide * values.shape[1]
    written = [shorten(names[cls], LONGEST_NAME) for cls in order["classes"]]
    every = [((place + 0.5) * tall, name) for place, name in enumerate(written)]
    ticks = every if tall >= NAMED_HEIGHT else cell_ticks(written, tall)
    widest = max(math.ceil(font(TICK_SIZE).getlength(name)) for _, name in ticks)
    left, top, room = MARGIN + LINE + widest + 12, TITLE_ROOM, max(height, LEAST_HEIGHT)
    right = left + width + MARGIN
    page = Page(right + BAR_ROOM, top + room + FOOT, title, colours)
    page.paste(colours.pixels(values).repeat(tall, axis=0).repeat(wide, axis=1), left, top)
    page.left_axis(left, top, height, ticks, "class")
    page.lower_axis(left, top + height, width, cell_ticks(order["filters"], wide), "filter")
    page.colour_bar(right, top + 12, min(420, room - 24), label)
    page.save(path, caption)
