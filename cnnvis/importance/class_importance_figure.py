"""The picture of a class's importance: the study's map, sorted bars, histogram, agreement."""

import numpy as np

from cnnvis.core.colours import BLUE, GREY, ORANGE
from cnnvis.core.drawing import (
    MARGIN,
    TITLE_ROOM,
    add_axes,
    add_colour_bar,
    add_pixels,
    new_page,
    save_figure,
    style,
)
from cnnvis.importance.filter_importance_figure import map_colours, paint_map

BARS, LOWER, GAP = 640, 190, 64
LEAST_HEIGHT = 480


def draw_class_importance(picture, found, numbers, *, layer, collection, title):
    """Draw what a layer's filters matter to a class.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    found : dict
        Of `cnnvis.importance.class_importance.read_class`.
    numbers : dict
        Of `cnnvis.importance.class_importance.agreement`.
    layer, collection, title : str
    """
    means = found["mean"]
    cells = paint_map(means)
    tall, wide = cells.shape[:2]
    height = max(tall, LEAST_HEIGHT)
    left = MARGIN + wide + 164
    figure = new_page(left + BARS + MARGIN, TITLE_ROOM + height + 60, title)
    add_pixels(figure, cells, MARGIN, TITLE_ROOM)
    bar = (2 * MARGIN + wide - 8, TITLE_ROOM, min(tall, 420))
    add_colour_bar(figure, map_colours(means).mappable(), *bar, "norm of the gradient")
    upper = height - LOWER - GAP
    _draw_bars(add_axes(figure, left, TITLE_ROOM, BARS, upper), found)
    half, top = (BARS - 2 * GAP - 16) // 2, TITLE_ROOM + upper + GAP
    draw_histogram(add_axes(figure, left, top, half, LOWER), means)
    place = (left + half + 2 * GAP + 16, top, half, LOWER)
    _draw_agreement(add_axes(figure, *place), numbers, collection)
    save_figure(
        figure,
        picture,
        f"Importance of the {len(means)} filters of layer {layer}, averaged over "
        f"{found['images']} images of {collection}: the L2 norm of the gradient of the class's "
        "neuron with respect to the weights of each filter. Left: one cell per filter, its number "
        "in it. Top: the same from the largest to the smallest; the thin bars are one "
        "standard deviation of the images to either side, the line the norm of the mean gradient. "
        "Below: how many filters are how important, and how alike the importance of all filters is "
        "in two images of the class, or in one of it and one of another (mean correlation).",
    )


def _draw_bars(axes, found):
    order = np.argsort(-found["mean"], kind="stable")
    mean, std = found["mean"][order], found["std"][order]
    edges = np.arange(len(mean) + 1) + 0.5
    places = edges[:-1] + 0.5
    axes.stairs(mean, edges, fill=True, color=BLUE, alpha=0.75, label="mean norm")
    low = np.maximum(mean - std, 0)
    spread = {"color": "0.45", "linewidth": max(0.4, min(1.2, 110 / len(mean)))}
    axes.vlines(places, low, mean + std, **spread, label="± 1 standard deviation")
    axes.plot(places, found["norm_of_mean"][order], color=ORANGE, lw=1.3, label="norm of the mean")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, labelcolor=GREY)
    style(axes, "rank of the filter", "norm of the gradient")


def draw_histogram(axes, means):
    """Draw how many filters are how important, as the study did."""
    bins = min(20, max(5, round(np.sqrt(len(means)) * 1.5)))
    axes.hist(means, bins=bins, range=(0, float(means.max()) or 1.0), color=BLUE, alpha=0.75)
    style(axes, "mean norm of the gradient", "filters")


def _draw_agreement(axes, numbers, collection):
    values = {collection: numbers["pearson"], **numbers["others"]}
    values = {name: value for name, value in values.items() if value is not None}
    places = np.arange(len(values))[::-1]
    colours = [BLUE if name == collection else "0.7" for name in values]
    axes.barh(places, list(values.values()), color=colours, height=0.6)
    for place, value in zip(places, values.values(), strict=True):
        axes.text(max(value, 0) + 0.02, place, f"{value:.2f}", va="center", fontsize=8, color=GREY)
    names = [name if len(name) <= 16 else f"{name[:15]}…" for name in values]
    axes.set_yticks(places, names)
    axes.set_xlim(min(0, *values.values(), 0) * 1.15, 1.12)
    axes.set_ylim(-0.6, max(len(values), 3) - 0.4)
    style(axes, f"correlation with an image of {names[0] if names else collection}", "")
