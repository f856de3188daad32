"""The picture of a gradient check: numerical derivatives against analytic ones."""

import math

import numpy as np

from cnnvis.checks.finite_differences import FLOOR, TOLERANCE, relative_errors
from cnnvis.core.colours import BLUE
from cnnvis.core.drawing import add_axes, new_page, save_figure, style
from cnnvis.core.painting import MARGIN, TITLE_ROOM

PANEL = 330
ERRORS = 150
ACROSS = 105
DOWN = 78
COLUMNS = 4
SYMMETRIC = [-1, -1e-2, 0, 1e-2, 1]
KINK = "#d95f02"


def draw_check(picture, checks, mode, neuron, sentence):
    """Draw, for each layer, a scatter plot and below it the relative errors.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    checks : dict
        ``{layer: LayerCheck}`` of `cnnvis.checks.gradient_check`.
    mode : {"sample", "full", "study"}
    neuron : str
        Its name in the title: ``fc8[2]``.
    sentence : str
        The result, which begins the caption.
    """
    columns = min(COLUMNS, len(checks))
    rows = math.ceil(len(checks) / columns)
    high = PANEL + ERRORS + 2 * DOWN
    width = max(MARGIN + columns * (ACROSS + PANEL), 620)
    what = "the study's numerical check" if mode == "study" else "numerical check"
    title = f"Gradient of {neuron}: {what}"
    figure = new_page(width, TITLE_ROOM + rows * high - DOWN // 4, title)
    for number, (layer, check) in enumerate(checks.items()):
        left = MARGIN + ACROSS - 30 + number % columns * (ACROSS + PANEL)
        top = TITLE_ROOM + 24 + number // columns * high
        largest = float(np.abs(check.analytic).max(initial=0)) or 1.0
        _draw_scatter(add_axes(figure, left, top, PANEL, PANEL), layer, check, largest)
        place = (left, top + PANEL + DOWN - 22, PANEL, ERRORS)
        _draw_errors(add_axes(figure, *place), check, largest)
    save_figure(figure, picture, f"{sentence} {_caption(mode)}")


def _caption(mode):
    method = (
        "as the study computed it, one side in float32 with a step of 1e-9"
        if mode == "study"
        else "by central differences in float64"
    )
    return (
        f"Top: the derivative by each weight {method}, against backpropagation, both divided by "
        f"the largest magnitude; the axes are linear within {FLOOR:g} and logarithmic outside; the "
        f"line is equality. Bottom: the relative errors against the magnitude of the derivative; "
        f"the line is the tolerance, {_short(TOLERANCE)}; exact agreement is drawn at the bottom. "
        "Crosses are weights with a kink, not counted."
    )


def _draw_scatter(axes, layer, check, largest):
    analytic, numeric = check.analytic / largest, check.numeric / largest
    reach = 1.6 * float(max(1, np.abs(numeric).max(initial=0)))
    axes.plot([-reach, reach], [-reach, reach], color="0.75", linewidth=0.8, zorder=0)
    _draw_points(axes, analytic, numeric, check.kinks)
    for set_scale in (axes.set_xscale, axes.set_yscale):
        set_scale("symlog", linthresh=FLOOR, linscale=0.6)
    axes.set(xlim=(-1.6, 1.6), ylim=(-reach, reach))
    _set_ticks(axes.xaxis, SYMMETRIC)
    # The study's derivatives may be any number of times larger than the analytic ones.
    tens = math.ceil(math.log10(reach))
    large = [10.0**power for power in range(2, tens, max(2, math.ceil(tens / 3)))]
    _set_ticks(axes.yaxis, [*(-value for value in large), *SYMMETRIC, *large])
    axes.set_title(layer, fontsize=9, loc="left", color="0.1")
    style(axes, "analytic", "numerical")


def _draw_errors(axes, check, largest):
    # A logarithmic axis has no zero: exact agreement is drawn at its lower end.
    errors = np.maximum(relative_errors(check.numeric, check.analytic, largest), 1e-16)
    sizes = np.maximum(np.abs(check.analytic) / largest, 1e-6)
    axes.axhline(TOLERANCE, color="0.75", linewidth=0.8, zorder=0)
    _draw_points(axes, sizes, errors, check.kinks)
    axes.set(xscale="log", yscale="log", xlim=(5e-7, 2), ylim=(3e-17, 10))
    _set_ticks(axes.xaxis, [1e-6, 1e-4, 1e-2, 1])
    _set_ticks(axes.yaxis, [1e-15, 1e-10, 1e-5, 1])
    style(axes, "magnitude of the analytic derivative", "relative error")


def _set_ticks(axis, values):
    # Few, without minor ones and in plain text: matplotlib's own take as long as all the rest.
    axis.set_ticks(values, [_short(value) for value in values])
    axis.set_ticks([], minor=True)


def _short(number):
    return f"{number:g}".replace("e-0", "e-")


def _draw_points(axes, across, up, kinks):
    small = len(across) > 3000
    look = {"s": 3 if small else 9, "alpha": 0.25 if small else 0.6, "linewidths": 0}
    axes.scatter(across[~kinks], up[~kinks], color=BLUE, **look)
    axes.scatter(across[kinks], up[kinks], color=KINK, marker="x", s=22, linewidths=1)
