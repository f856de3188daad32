"""Draw what the filters of a first layer are tuned to: orientation by frequency, in their hues."""

import numpy as np

from cnnvis.activations.tuning import COLOURED, ORIENTED, opposites
from cnnvis.core.colours import GREY, LIGHT_GREY
from cnnvis.core.drawing import DPI, add_axes, new_page, save_figure, style
from cnnvis.core.painting import MARGIN, TITLE_ROOM

WIDTH, HEIGHT, GAP, STRIP = 1180, 560, 24, 150
FREQUENCY = "spatial frequency (cycles per pixel)"
# Filters without orientation stand side by side.
ACROSS = 4
TICKS = (0.05, 0.1, 0.2, 0.4)
# Diameter in points of a filter of selectivity 0, and of 1.
SMALLEST, LARGEST = 4, 13
# Room of a number beside its filter, in pixels: its height, and the width of a digit.
LETTER, DIGIT = 11, 7.5


def draw_tuning(path, filters, *, layer, network):
    """Draw each filter at its orientation and frequency, and those without orientation beside them.

    Parameters
    ----------
    path : str or Path
        The PNG.
    filters : list of cnnvis.activations.tuning.Tuning
    layer, network : str
    """
    title = f"Tuning of the filters of {layer} in {network}"
    figure, left = new_page(WIDTH, HEIGHT + TITLE_ROOM + 48, title), MARGIN + 44
    width = WIDTH - left - MARGIN - STRIP - GAP
    axes = add_axes(figure, left, TITLE_ROOM, width, HEIGHT)
    beside = add_axes(figure, left + width + GAP, TITLE_ROOM, STRIP, HEIGHT)
    known = [(number, each) for number, each in enumerate(filters) if each.frequency is not None]
    oriented = [(number, each) for number, each in known if each.orientation is not None]
    others = [(number, each) for number, each in known if each.orientation is None]
    frequencies = [each.frequency for _, each in known] or [TICKS[0], TICKS[-1]]
    limits = (0.85 * min(frequencies), 1.15 * max(frequencies))
    _frame(axes, limits, (-6, 186), "orientation of bars and edges (degrees)", FREQUENCY)
    _frame(beside, limits, (-0.6, ACROSS - 0.4), "not oriented", "")
    axes.set_xticks(range(0, 181, 45), ["0 ―", "45 ╱", "90 │", "135 ╲", "180 ―"])
    beside.tick_params(labelleft=False)
    _draw(axes, oriented, [each.orientation for _, each in oriented])
    _draw(beside, others, _spread(others))
    save_figure(figure, path, _caption(filters, layer, oriented, others))


def _frame(axes, frequencies, limits, xlabel, ylabel):
    axes.set(yscale="log", xlim=limits, xticks=[])
    axes.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_yticks([], minor=True)
    axes.set_ylim(frequencies)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    style(axes, xlabel, ylabel)


def _spread(filters):
    """Return places across for filters that have none: the next in frequency side by side."""
    places = np.empty(len(filters))
    order = np.argsort([each.frequency for _, each in filters], kind="stable")
    places[order] = np.arange(len(filters)) % ACROSS
    return places


def _draw(axes, filters, places):
    """Draw filters, the largest first, so that none hides another, and their numbers."""
    drawn = sorted(zip(places, filters, strict=True), key=lambda each: -each[1][1].selectivity)
    marks = []
    for place, (number, each) in drawn:
        size = SMALLEST + (LARGEST - SMALLEST) * each.selectivity
        look = {"ms": size, "markeredgecolor": GREY, "markeredgewidth": 0.6, **_colours(each.hue)}
        axes.plot([place], [each.frequency], "o", **look)
        across, up = axes.transData.transform((place, each.frequency))
        marks.append((number, across, up, size * DPI / 72 / 2))
    for number, across, up in _rooms(marks):
        look = {"fontsize": 7, "color": GREY, "ha": "center", "va": "center_baseline"}
        axes.annotate(str(number), (across, up), xycoords="figure pixels", **look)


def _colours(hue):
    """Return how a disc is filled: with the colour of a hue and with its opposite, or grey."""
    if hue is None:
        return {"markerfacecolor": LIGHT_GREY}
    names = ("markerfacecolor", "markerfacecoloralt")
    return {"fillstyle": "left", **dict(zip(names, opposites(hue), strict=True))}


def _rooms(marks):
    """Return where numbers have room: ``(number, middle across, middle up)``, in pixels.

    Parameters
    ----------
    marks : list of (number, across, up, radius)
        Where filters are drawn.
    """
    taken = np.array([(x - r, x + r, y - r, y + r) for _, x, y, r in marks])
    for number, x, y, radius in marks:
        half, away = DIGIT * len(str(number)) / 2, radius + 2
        sides = (x + away + half, y), (x - away - half, y), (x, y + away + 6), (x, y - away - 6)
        for across, up in sides:
            box = across - half, across + half, up - LETTER / 2, up + LETTER / 2
            left, right, low, high = taken.T
            meets = (left < box[1]) & (box[0] < right) & (low < box[3]) & (box[2] < high)
            if not meets.any():
                taken = np.vstack([taken, box])
                yield number, across, up
                break


def _caption(filters, layer, oriented, others):
    coloured = sum(each.hue is not None for each in filters)
    text = (
        f"{len(oriented)} of the {len(filters)} filters of layer {layer} are oriented (selectivity "
        f"at least {ORIENTED:g}); each is at the orientation, from 0 (horizontal) by 90 (vertical) "
        "to 180 (horizontal again), and at the frequency of the grating that it responds to most. "
    )
    if others:
        text += f"The {len(others)} beside them have a frequency only. "
    text += (
        "The larger a disc, the more oriented the filter. Grey discs are grey filters; the "
        f"{coloured} coloured ones (at least {COLOURED:.0%} of their energy is colour) show their "
        "hue, and on the right its opposite. Numbers are those of filters, where there is room."
    )
    missing = len(filters) - len(oriented) - len(others)
    return text + (f" Of {missing} filters neither is defined." if missing else "")
