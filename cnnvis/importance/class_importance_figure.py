"""Draw the filters' importance to a class: the study's map, bars, a histogram, the agreement."""

import numpy as np

from cnnvis.core.colours import BLUE, GREY, ORANGE
from cnnvis.core.drawing import add_axes, new_page, style, to_page
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.importance.filter_importance_figure import describe_maps, map_colours, paint_maps

BARS, LOWER, GAP = 640, 190, 64
LEAST_HEIGHT = 480


def draw_class_importance(picture, importance, numbers, *, layer, image_set, title, orders=None):
    """Draw how important a layer's filters are to a class.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    importance : cnnvis.importance.class_importance.ClassImportance
    numbers : dict
        Of `cnnvis.importance.class_importance.agreement`.
    layer, image_set, title : str
    orders : dict of str to dict, optional
        See `cnnvis.importance.filter_importance_figure.draw_importance`.
    """
    means = importance.mean
    maps, below = paint_maps(means, orders)
    tall, wide = maps.shape[:2]
    height = max(tall, LEAST_HEIGHT)
    left = MARGIN + wide + 184
    figure = new_page(left + BARS + MARGIN, TITLE_ROOM + height + 60, title)
    upper = height - LOWER - GAP
    _draw_bars(add_axes(figure, left, TITLE_ROOM, BARS, upper), importance)
    half, top = (BARS - 2 * GAP - 16) // 2, TITLE_ROOM + upper + GAP
    _draw_histogram(add_axes(figure, left, top, half, LOWER), means)
    place = (left + half + 2 * GAP + 16, top, half, LOWER)
    _draw_agreement(add_axes(figure, *place), numbers, image_set)
    page = to_page(figure)
    page.paste(maps, MARGIN, TITLE_ROOM)
    bar = (2 * MARGIN + wide - 8, TITLE_ROOM + below, min(tall - below, 420))
    page.colour_bar(*bar, "norm of the gradient", map_colours(means))
    page.save(
        picture,
        f"Importance of the {len(means)} filters of layer {layer}, averaged over "
        f"{importance.images} images of {image_set}: the L2 norm of the gradient of the class's "
        "neuron with respect to the weights of each filter. Left: one cell per filter, with its "
        f"number{describe_maps(orders)}. Top: the same norms, sorted; the thin bars extend one "
        "standard deviation over the images to either side, and the line is the norm of the mean "
        "gradient. Bottom: the histogram of the norms, and the mean correlation between the "
        "importance of all filters for two images of the class, or for one of its images and one "
        "of another class.",
    )


def _draw_bars(axes, importance):
    order = np.argsort(-importance.mean, kind="stable")
    mean, std = importance.mean[order], importance.std[order]
    edges = np.arange(len(mean) + 1) + 0.5
    places = edges[:-1] + 0.5
    axes.stairs(mean, edges, fill=True, color=BLUE, alpha=0.75, label="mean norm")
    low = np.maximum(mean - std, 0)
    spread = {"color": "0.45", "linewidth": max(0.4, min(1.2, 110 / len(mean)))}
    axes.vlines(places, low, mean + std, **spread, label="± 1 standard deviation")
    axes.plot(
        places, importance.norm_of_mean[order], color=ORANGE, lw=1.3, label="norm of the mean"
    )
    axes.set_xlim(edges[0], edges[-1])
    axes.locator_params(axis="x", integer=True)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, labelcolor=GREY)
    style(axes, "rank of the filter", "norm of the gradient")


def _draw_histogram(axes, means):
    """Draw the histogram of the filters' importance, as the study did."""
    bins = min(20, max(5, round(np.sqrt(len(means)) * 1.5)))
    axes.hist(means, bins=bins, range=(0, float(means.max()) or 1.0), color=BLUE, alpha=0.75)
    style(axes, "mean norm of the gradient", "filters")


def _draw_agreement(axes, numbers, image_set):
    correlations = {image_set: numbers["pearson"], **numbers["others"]}
    values = {name: value for name, value in correlations.items() if value is not None}
    places = np.arange(len(values))[::-1]
    colours = [BLUE if name == image_set else "0.7" for name in values]
    axes.barh(places, list(values.values()), color=colours, height=0.6)
    for place, value in zip(places, values.values(), strict=True):
        axes.text(max(value, 0) + 0.02, place, f"{value:.2f}", va="center", fontsize=8, color=GREY)
    names = [name if len(name) <= 16 else f"{name[:15]}…" for name in values]
    axes.set_yticks(places, names)
    axes.set_xlim(min(0, *values.values(), 0) * 1.15, 1.12)
    axes.set_ylim(-0.6, max(len(values), 3) - 0.4)
    style(axes, f"correlation with an image of {names[0] if names else image_set}", "")
