"""The picture of a comparison: one row per image, all on one colour scale."""

import numpy as np

from cnnvis.core.colours import GREY, GROUP_COLOURS, INK, VERDICTS, Colours
from cnnvis.core.painting import (
    BAR_ROOM,
    MARGIN,
    TICK_SIZE,
    TITLE_ROOM,
    Page,
    cell_ticks,
    number,
    shorten,
    ticks,
)
from cnnvis.core.sheets import enlarge, shrink
from cnnvis.core.volume_files import tile_channels
from cnnvis.gradients.sorted_norms import LOWER_AXIS, draw_sorted_norms

# All lengths are pixels: room for the names of images, for tiles, for bars; the least height of a
# row, and that of a row of the map of norms.
NAMES = 290
TILES = 1000
BARS = 190
ROW = 46
STRIP = 20
SORTED = 240
GAP = 8
HEAD = 40


def draw_comparison(picture, comparison, summary):
    """Draw the gradients of the strongest filters, the norms, and the norms of every filter.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    comparison : cnnvis.gradients.comparisons.Comparison
    summary : dict
        Of `cnnvis.gradients.comparisons.summarise`.
    """
    shown, tiles = choose_tiles(comparison)
    count, filters = comparison.norms.shape
    pitch = max(tiles.shape[2], ROW) + GAP
    across = len(shown) * (tiles.shape[3] + GAP) - GAP
    strip = max(1, TILES // filters)
    left, top = MARGIN + NAMES, TITLE_ROOM + HEAD
    bars = left + across + 2 * MARGIN
    lower = top + pitch * count + 2 * HEAD
    width = max(bars + BARS, left + strip * filters) + MARGIN + BAR_ROOM
    sorted_top = lower + STRIP * count + LOWER_AXIS + 2 * GAP
    page = Page(width, sorted_top + SORTED + LOWER_AXIS, comparison.title)
    scale = summary["scale"] or 1.0
    colours = Colours("RdBu_r", -scale, scale)
    for index, member in enumerate(comparison.members):
        write_member(page, top + index * pitch, member)
        for place, tile in enumerate(colours.pixels(tiles[index])):
            page.paste(tile, left + place * (tiles.shape[3] + GAP), top + index * pitch)
    for place, name in enumerate(shown):
        middle = left + place * (tiles.shape[3] + GAP) + tiles.shape[3] // 2
        page.write((middle, top - 6), f"filter {name}", TICK_SIZE, anchor="ms")
    _draw_norms(page, comparison, summary, (bars, top, pitch))
    page.colour_bar(bars + BARS + MARGIN, top, min(pitch * count, 300), "gradient", colours)
    _draw_map(page, comparison, left, lower, strip)
    _draw_sorted(page, comparison, (left, sorted_top, strip * filters, SORTED))
    page.save(picture, _caption(comparison, len(shown), scale))


def choose_tiles(comparison):
    """Return which filters are shown, and their gradients as tiles in display pixels.

    The filters are those with the largest mean norm over the reference images; as many as fit.

    Returns
    -------
    shown : ndarray of int
    tiles : ndarray, (images, shown, height, width)
    """
    tall, wide = tile_channels(comparison.gradients[0][:1]).shape[1:]
    step = max(1, -(-max(tall, wide) // 150))
    scale = max(1, min(110 // wide, 90 // tall))
    shown = comparison.ranking[: min(12, max(3, TILES // (wide * scale // step + GAP)))]
    tiles = [tile_channels(gradient[shown]) for gradient in comparison.gradients]
    return shown, np.stack([enlarge(shrink(tile, step), scale) for tile in tiles])


def write_member(page, top, member, note=""):
    """Write an image's name, its group and what the network predicts, `ROW` pixels high."""
    left, (verdict, colour) = MARGIN + 14, VERDICTS[member.correct]
    page.draw.rectangle((MARGIN, top, MARGIN + 5, top + ROW - 1), GROUP_COLOURS[member.group])
    page.write((left, top), shorten(member.image, 28), 15, INK, "la", bold=True)
    page.write((left, top + 18), f"{member.group} class{note}", TICK_SIZE, GREY, "la")
    prediction = f"{verdict}, as declared"
    if member.predicted is not None:
        prediction = f"{verdict} ({100 * member.probability:.0f} %): {shorten(member.label, 21)}"
    page.write((left, top + 32), prediction, TICK_SIZE, colour, "la")


def _draw_norms(page, comparison, summary, place):
    """Draw the norm of each image's gradient as a bar."""
    left, top, pitch = place
    norms = [row["norm"] for row in summary["images"]]
    longest = 1.25 * max(norms) or 1.0
    page.write((left, top - 6), "norm of the gradient", TICK_SIZE)
    for index, (group, norm) in enumerate(zip(comparison.groups, norms, strict=True)):
        right, upper = left + round(norm / longest * BARS), top + index * pitch
        page.draw.rectangle((left, upper + 9, right, upper + ROW - 10), GROUP_COLOURS[group])
        text = f"{norm:,.0f}" if norm >= 100 else f"{norm:.3g}"
        page.write((right + 5, upper + ROW // 2), text, TICK_SIZE, anchor="lm")
    bottom = top + pitch * len(norms) - GAP
    page.draw.line(((left, top), (left, bottom), (left + BARS, bottom)), GREY)
    places = [(value / longest * BARS, number(value)) for value in ticks(0, longest, 3)]
    page.lower_axis(left, bottom, BARS, places, "")


def _draw_map(page, comparison, left, top, strip):
    """Draw the norm of the gradient at every filter (column) for every image (row)."""
    norms = comparison.norms
    count, filters = norms.shape
    colours = Colours("viridis", 0, float(norms.max()) or 1.0)
    pixels = colours.pixels(norms[:, comparison.order]).repeat(STRIP, axis=0).repeat(strip, axis=1)
    page.paste(pixels, left, top)
    order = f", in {comparison.ordering} order" if comparison.ordering else ""
    page.write((left, top - 6), f"norm of the gradient at every filter{order}", TICK_SIZE)
    names = [shorten(member.image, 30) for member in comparison.members]
    rows = [((index + 0.5) * STRIP, name) for index, name in enumerate(names)]
    page.left_axis(left, top, STRIP * count, rows, "image")
    columns = cell_ticks(comparison.order, strip)
    page.lower_axis(left, top + STRIP * count, filters * strip, columns, "filter")
    page.colour_bar(left + filters * strip + MARGIN, top, STRIP * count, "norm", colours)


def _draw_sorted(page, comparison, place):
    """Draw each image's norms at all filters, sorted, as in the study's figure 6."""
    curves, named = [], set()
    for member, norms in zip(comparison.members, comparison.norms, strict=True):
        name = None if member.group in named else f"{member.group} class"
        named.add(member.group)
        curves.append((name, norms, GROUP_COLOURS[member.group]))
    draw_sorted_norms(page, place, curves)


def _caption(comparison, shown, scale):
    predicted = comparison.members[0].predicted is not None
    correct = "An image is correct where the network predicts its class."
    if not predicted:
        correct = "Which images are correct is stated in the configuration."
    return (
        f"The gradient of neuron {comparison.neuron} with respect to the weights of "
        f"{comparison.layer} for {len(comparison.members)} images on one colour scale: white is 0, "
        f"red positive, blue negative; full colour is {scale:.3g} in magnitude. Above: the {shown} "
        f"of {comparison.norms.shape[1]} filters with the largest mean norm over the reference "
        "images, and the norm over all filters. Below: the norm at every filter; and the same "
        f"norms from the smallest to the largest, one line for each image. {correct}"
    )
