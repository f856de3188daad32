"""The animation of a comparison: one frame per image, all on one colour scale.

It is the study's demo, drawn flat: the gradients summed over their channels, one image after the
other, for an image of the reference class, of a similar and of a dissimilar class, classified
correctly and wrongly.
"""

import numpy as np

from cnnvis.core.colours import GROUP_COLOURS, Colours
from cnnvis.core.files import atomic
from cnnvis.core.painting import BAR_ROOM, MARGIN, TITLE_ROOM, Page
from cnnvis.core.sheets import LABEL_ROOM, enlarge, montage
from cnnvis.gradients.comparison_figure import ROW, write_member
from cnnvis.gradients.volumes import sum_channels

# Pixels that the tiles may cover.
WIDE, TALL = 900, 620
GAP = 4
# Above the tiles: which image it is, and a mark for each.
MARKS = ROW + 6
HEAD = MARKS + 18
MILLISECONDS = 1500


def draw_animation(webp, still, comparison):
    """Draw the gradients of every image as a frame of an animation that repeats.

    Parameters
    ----------
    webp, still : str or Path
        The animation, lossless WebP, and its first frame as PNG.
    comparison : cnnvis.gradients.comparisons.Comparison
    """
    shown, scale, columns = fit_tiles(comparison)
    sums = [sum_channels(gradient) for gradient in comparison.gradients]
    largest = full_colour(sums)
    colours = Colours("RdBu_r", -largest, largest, "both")
    pixels = [enlarge(colours.pixels(tiles[shown]), scale) for tiles in sums]
    sheets = [montage(tiles, columns, GAP) for tiles in pixels]
    page = _page(sheets[0][0].shape, colours, comparison, len(shown))
    frames = []
    for index, (sheet, corners) in enumerate(sheets):
        _write_head(page, comparison, index)
        page.paste(sheet, MARGIN, TITLE_ROOM + HEAD)
        page.write_numbers(corners, shown, MARGIN, TITLE_ROOM + HEAD)
        frames.append(page.image.copy())
    options = {"save_all": True, "duration": MILLISECONDS, "loop": 0, "lossless": True}
    with atomic(webp) as temporary:
        # The other methods take four times as long or more, for half the size.
        frames[0].save(temporary, "WEBP", append_images=frames[1:], quality=20, method=0, **options)
    with atomic(still) as temporary:
        frames[0].save(temporary, "PNG")


def full_colour(gradients):
    """Return the magnitude of full colour: below it are 99.8 % of the values that are not 0.

    A single value is often many times stronger than any other, and would leave the rest white.
    """
    magnitudes = np.concatenate([np.abs(gradient[gradient != 0]) for gradient in gradients])
    return float(np.percentile(magnitudes, 99.8)) if len(magnitudes) else 1.0


def fit_tiles(comparison):
    """Choose the filters that fit in a frame, and how large they are.

    All of them, in their order, where there is room for one pixel per value; otherwise those with
    the largest mean norm over the reference images.

    Returns
    -------
    shown : ndarray of int
    scale : int
        How many pixels wide and high a value is.
    columns : int
    """
    tall, wide = sum_channels(comparison.gradients[0]).shape[1:]

    def room(scale):
        return (WIDE + GAP) // (wide * scale + GAP), TALL // (tall * scale + LABEL_ROOM)

    filters = len(comparison.ranking)
    fitting = [scale for scale in range(2, 41) if np.prod(room(scale)) >= filters]
    scale = max([1, *fitting])
    across, down = room(scale)
    order = comparison.order
    shown = order[np.isin(order, comparison.ranking[: across * down])]
    # As few empty places as possible, then as wide as possible.
    columns = range(-(-len(shown) // down), across + 1)
    return shown, scale, min(columns, key=lambda count: (-len(shown) % count, -count))


def _page(size, colours, comparison, shown):
    """Return what is the same in every frame."""
    height, width = size[:2]
    # No narrower than the lines that name an image.
    across = max(width + 2 * MARGIN + BAR_ROOM, 640)
    page = Page(across, TITLE_ROOM + HEAD + height, comparison.title)
    place = (2 * MARGIN + width, TITLE_ROOM + HEAD + LABEL_ROOM, min(height - LABEL_ROOM, 420))
    page.colour_bar(*place, "gradient", colours)
    page.add_caption(_caption(comparison, shown, colours.high))
    return page


def _caption(comparison, shown, scale):
    filters = comparison.norms.shape[1]
    which = f"the {shown} of {filters} filters with the largest mean norm over the reference images"
    order = f", in {comparison.ordering} order" if comparison.ordering else ""
    return (
        "One frame per image, all on one colour scale: the gradient at "
        f"{f'all {filters} filters' if shown == filters else which} of {comparison.layer}{order}. "
        "Each tile is a filter, the sum over its channels. White is 0, red positive, blue "
        f"negative; full colour is {scale:.3g} in magnitude or more, which at most 0.2 % of values "
        "exceed."
    )


def _write_head(page, comparison, index):
    """Write which image a frame shows, and mark which of all images it is."""
    page.draw.rectangle((0, TITLE_ROOM, page.image.width, TITLE_ROOM + HEAD), "white")
    norm = np.linalg.norm(comparison.norms[index])
    write_member(page, TITLE_ROOM, comparison.members[index], f", norm {norm:.4g}")
    pitch, top = min(24, WIDE // len(comparison.members)), TITLE_ROOM + MARKS
    for place, group in enumerate(comparison.groups):
        left = MARGIN + place * pitch
        page.draw.rectangle((left, top, left + pitch - 5, top + 6), GROUP_COLOURS[group])
        if place != index:
            page.draw.rectangle((left + 1, top + 1, left + pitch - 6, top + 5), "white")
