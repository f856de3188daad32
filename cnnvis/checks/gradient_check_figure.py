"""The picture of a gradient check: numerical derivatives against analytic ones."""

import math

import numpy as np

from cnnvis.checks.finite_differences import FLOOR, TOLERANCE, relative_errors
from cnnvis.core.drawing import GREY, MARGIN, TITLE_ROOM, add_axes, new_page, save_figure

PANEL = 330
ERRORS = 150
ACROSS = 105
DOWN = 78
COLUMNS = 4
BLUE, ORANGE = "#3b6fa0", "#d95f02"


def draw_check(picture, checks, mode, title):
    """Draw, for each layer, a scatter plot and below it the relative errors.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    checks : dict
        ``{layer: Check}`` of `cnnvis.checks.gradient_check`.
    mode : str
        "sample", "full" or "study".
    title : str
    """
    columns = min(COLUMNS, len(checks))
    rows = math.ceil(len(checks) / columns)
    high = PANEL + ERRORS + 2 * DOWN
    width = max(MARGIN + columns * (ACROSS + PANEL), 620)
    figure = new_page(width, TITLE_ROOM + rows * high - DOWN // 2, title)
    for number, (layer, check) in enumerate(checks.items()):
        left = MARGIN + ACROSS - 30 + number % columns * (ACROSS + PANEL)
        top = TITLE_ROOM + 24 + number // columns * high
        largest = float(np.abs(check.analytic).max(initial=0)) or 1.0
        _draw_scatter(add_axes(figure, left, top, PANEL, PANEL), layer, check, largest)
        place = (left, top + PANEL + DOWN - 22, PANEL, ERRORS)
        _draw_errors(add_axes(figure, *place), check, largest)
    save_figure(figure, picture, _caption(checks, mode))


def _caption(checks, mode):
    method = (
        "as the study computed it, one side in float32 with a step of 1e-9"
        if mode == "study"
        else "by central differences in float64"
    )
    said = " ".join(check.entry["sentence"] for check in checks.values())
    return (
        f"{said} Above: the derivative by each weight, {method}, against backpropagation, both "
        f"over the largest magnitude; linear within {FLOOR:g}, logarithmic outside; the line is "
        f"equality. Below: the relative errors, against the magnitude of the derivative; the line "
        f"is the tolerance, {TOLERANCE:g}; what agrees exactly is at the bottom. Crosses are "
        "weights on a kink, not counted."
    )


def _draw_scatter(axes, layer, check, largest):
    analytic, numeric = check.analytic / largest, check.numeric / largest
    reach = 1.6 * float(max(1, np.abs(numeric).max(initial=0)))
    axes.plot([-reach, reach], [-reach, reach], color="0.75", linewidth=0.8, zorder=0)
    _draw_points(axes, analytic, numeric, check.kinks)
    for set_scale in (axes.set_xscale, axes.set_yscale):
        set_scale("symlog", linthresh=FLOOR, linscale=0.6)
    axes.set_xlim(-1.6, 1.6)
    axes.set_ylim(-reach, reach)
    axes.set_xticks([-1, -1e-2, 0, 1e-2, 1])
    if reach < 2:
        axes.set_yticks([-1, -1e-2, 0, 1e-2, 1])
    _label(axes, f"{layer}", "analytic", "numerical")


def _draw_errors(axes, check, largest):
    errors = relative_errors(check.numeric, check.analytic, largest)
    # A logarithmic axis has no zero: exact agreement is drawn at its lower end.
    errors = np.maximum(errors, 1e-16)
    sizes = np.maximum(np.abs(check.analytic) / largest, 1e-6)
    axes.axhline(TOLERANCE, color="0.75", linewidth=0.8, zorder=0)
    _draw_points(axes, sizes, errors, check.kinks)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(5e-7, 2)
    axes.set_ylim(3e-17, 10)
    axes.set_yticks([1e-15, 1e-10, 1e-5, 1])
    _label(axes, "", "magnitude of the analytic derivative", "relative error")


def _draw_points(axes, across, up, kinks):
    small = len(across) > 3000
    look = {"s": 3 if small else 9, "alpha": 0.25 if small else 0.6, "linewidths": 0}
    axes.scatter(across[~kinks], up[~kinks], color=BLUE, **look)
    axes.scatter(across[kinks], up[kinks], color=ORANGE, marker="x", s=22, linewidths=1)


def _label(axes, title, across, up):
    axes.set_title(title, fontsize=9, loc="left", color="0.1")
    axes.set_xlabel(across, fontsize=8, color=GREY)
    axes.set_ylabel(up, fontsize=8, color=GREY)
    axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    axes.spines[["top", "right"]].set_visible(False)
