"""The picture of a comparison: images below each other, in one scale of colours."""

import numpy as np

from cnnvis.core.drawing import (
    BAR_ROOM,
    GREY,
    MARGIN,
    TITLE_ROOM,
    Colours,
    add_axes,
    add_colour_bar,
    add_image,
    new_page,
    save_figure,
)
from cnnvis.core.sheets import enlarge, shrink
from cnnvis.core.volume_files import tile_channels

GROUP_COLOURS = {"reference": "#3b6fa0", "similar": "#7a9a4f", "dissimilar": "#b5743b"}
VERDICTS = {True: ("correct", "#2e7d32"), False: ("wrong", "#b3261e")}
NAMES = 290
TILES = 1000
BARS = 190
GAP = 8
HEAD = 40
STRIP = 20


def draw_comparison(picture, rows, gradients, norms, *, layer, neuron, title):
    """Draw the gradients of the strongest filters, the norms, and the norms of every filter.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    rows : list of dict
        The images, as in the summary of `cnnvis.gradients.comparisons.make_comparison`.
    gradients : list of ndarray, (filters, channels, kh, kw)
    norms : ndarray, (images, filters)
    layer, title : str
    neuron : int
    """
    shown, tiles = choose_tiles(gradients, norms, [row["group"] for row in rows])
    tall, wide = tiles.shape[2:]
    pitch = max(tall, 46) + GAP
    across = len(shown) * (wide + GAP) - GAP
    strip = max(1, TILES // norms.shape[1])
    width = MARGIN + NAMES + max(across, strip * norms.shape[1]) + MARGIN
    bottom = TITLE_ROOM + HEAD + pitch * len(rows) + 36
    height = bottom + HEAD + STRIP * len(rows) + 40
    figure = new_page(width + BARS + 2 * MARGIN + BAR_ROOM, height, title)
    tops = TITLE_ROOM + HEAD + pitch * np.arange(len(rows))
    image = _draw_tiles(figure, rows, tiles, shown, tops)
    bars = (MARGIN + NAMES + across + 2 * MARGIN, tops[0], BARS, pitch * len(rows) - GAP)
    _draw_norms(figure, rows, bars)
    add_colour_bar(figure, image, bars[0] + BARS + MARGIN, tops[0], min(bars[3], 300), "gradient")
    _draw_strips(figure, rows, norms, bottom + HEAD, strip)
    save_figure(figure, picture, _caption(rows, layer, neuron, len(shown), norms.shape[1]))


def choose_tiles(gradients, norms, groups):
    """Return which filters are shown, and their gradients as tiles in display pixels.

    The filters are those with the largest mean norm over the reference images; as many as fit.

    Returns
    -------
    shown : ndarray of int
    tiles : ndarray, (images, shown, height, width)
    """
    reference = np.array([group == "reference" for group in groups])
    order = np.argsort(-norms[reference].mean(axis=0), kind="stable")
    tall, wide = tile_channels(gradients[0][:1]).shape[1:]
    step = max(1, -(-max(tall, wide) // 150))
    scale = max(1, min(110 // wide, 90 // tall))
    count = max(3, TILES // (wide * scale // step + GAP))
    shown = order[: min(count, 12)]
    tiles = [tile_channels(gradient[shown]) for gradient in gradients]
    return shown, np.stack([enlarge(shrink(tile, step), scale) for tile in tiles])


def _draw_tiles(figure, rows, tiles, shown, tops):
    scale = float(max(row["largest"] for row in rows)) or 1.0
    tall, wide = tiles.shape[2:]
    for row, line, top in zip(rows, tiles, tops, strict=True):
        _draw_name(figure, row, top, max(tall, 46))
        for place, tile in enumerate(line):
            left = MARGIN + NAMES + place * (wide + GAP)
            axes, image = add_image(
                figure, tile, left, top, (wide, tall), cmap="RdBu_r", vmin=-scale, vmax=scale
            )
            if top == tops[0]:
                axes.set_title(f"filter {shown[place]}", fontsize=7, color=GREY, pad=4)
    return image


def _draw_name(figure, row, top, tall):
    axes = add_axes(figure, MARGIN, top, NAMES - 20, tall)
    axes.axis("off")
    axes.set(xlim=(0, NAMES - 20), ylim=(tall, 0))
    axes.fill_between([0, 5], 0, tall, color=GROUP_COLOURS[row["group"]], linewidth=0)
    verdict, colour = VERDICTS[row["correct"]]
    name = shorten(row["image"], 28)
    axes.text(14, 6, name, fontsize=9, weight="bold", va="top", color="0.1")
    axes.text(14, 22, f"{row['group']} class", fontsize=7, va="top", color=GREY)
    said = f"{verdict} ({100 * row['probability']:.0f} %): {shorten(row['label'], 21)}"
    axes.text(14, 35, said, fontsize=7, va="top", color=colour)


def shorten(text, length):
    """Return `text`, its end replaced by an ellipsis where it is longer than `length`."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _draw_norms(figure, rows, place):
    axes = add_axes(figure, *place)
    heights = [row["norm"] for row in rows]
    colours = [GROUP_COLOURS[row["group"]] for row in rows]
    axes.barh(np.arange(len(rows)), heights, height=0.6, color=colours)
    for index, norm in enumerate(heights):
        axes.annotate(
            f"{norm:,.0f}" if norm >= 100 else f"{norm:.3g}",
            (norm, index),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=GREY,
        )
    axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=[], xlim=(0, 1.25 * max(heights) or 1))
    axes.set_title("norm of the gradient", fontsize=8, color=GREY, loc="left")
    axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_strips(figure, rows, norms, top, scale):
    size = (norms.shape[1] * scale, STRIP * len(rows))
    colours = Colours("viridis", 0, float(norms.max()) or 1.0)
    axes, image = add_image(
        figure,
        norms,
        *(MARGIN + NAMES, top, size),
        cmap=colours.name,
        vmin=colours.low,
        vmax=colours.high,
    )
    axes.set_title("norm at every filter", fontsize=8, color=GREY, loc="left")
    axes.set_yticks(range(len(rows)), [shorten(row["image"], 32) for row in rows])
    steps = max(1, norms.shape[1] // 12 // 4 * 4)
    axes.set_xticks(range(0, norms.shape[1], steps))
    axes.set_xlabel("filter", fontsize=8, color=GREY)
    axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY, length=2)
    left = MARGIN + NAMES + size[0] + MARGIN
    add_colour_bar(figure, image, left, top, size[1], "norm")


def _caption(rows, layer, neuron, shown, filters):
    largest = max(row["largest"] for row in rows)
    return (
        f"The gradient of neuron {neuron} with respect to the weights of {layer}, for "
        f"{len(rows)} images in one scale: white is 0, red positive, blue negative, full colour "
        f"{largest:.3g} in magnitude. Above, the {shown} of {filters} filters with the largest "
        "norm over the reference images, and the norm over all filters; below, the norm at every "
        "filter. An image is correct where the network's first choice is its class."
    )
