"""The animation of a comparison: one frame per image, all in one scale of colours."""

import numpy as np

from cnnvis.core.drawing import (
    BAR_ROOM,
    MARGIN,
    TITLE_ROOM,
    Colours,
    add_colour_bar,
    draw_pixels,
    new_page,
    to_pixels,
    write_numbers,
)
from cnnvis.core.files import atomic
from cnnvis.core.sheets import LABEL_ROOM, enlarge, montage, shrink
from cnnvis.core.volume_files import tile_channels
from cnnvis.gradients.comparison_figure import GROUP_COLOURS, VERDICTS, shorten

WIDE, TALL = 900, 620
GAP = 4
HEAD = 62
MILLISECONDS = 1500
# Colours of the map among the 256 of an animation; the others are for text.
SHADES = 191
WHITE = 255


def draw_series(webp, gif, still, members, gradients, norms, *, layer, title):
    """Draw the gradients of every image as a frame of an animation that repeats.

    Parameters
    ----------
    webp, gif, still : str or Path
        The animation, twice, and its first frame as PNG.
    members : list of dict
        The images, as `cnnvis.gradients.comparisons.read_members` returns them.
    gradients : list of ndarray, (filters, channels, kh, kw)
    norms : ndarray, (images, filters)
        Of each filter's gradient.
    layer, title : str
    """
    reference = np.array([member["group"] == "reference" for member in members])
    shown, tiles, columns = fit_tiles(gradients, norms[reference].mean(axis=0))
    scale = full_colour(gradients)
    colours = Colours("RdBu_r", -scale, scale, "both")
    sheets = [montage(line, columns, GAP)[0] for line in tiles]
    corners = montage(tiles[0], columns, GAP)[1]
    page = _page(sheets[0].shape, colours, title, _caption(layer, norms, len(shown), scale))
    frames = []
    for index, sheet in enumerate(sheets):
        frame = page.copy()
        _paste(frame, write_numbers(to_pixels(sheet, colours), corners, shown))
        frames.append(_write_head(frame, members, index, np.linalg.norm(norms[index])))
    save_animation(frames, webp, gif, still, colours)


def full_colour(gradients):
    """Return the magnitude of full colour: below it are 99.8 % of the values that are not 0.

    A single weight is often many times stronger than any other, and would leave the rest white.
    """
    magnitudes = np.concatenate([np.abs(gradient[gradient != 0]) for gradient in gradients])
    return float(np.percentile(magnitudes, 99.8)) if len(magnitudes) else 1.0


def fit_tiles(gradients, importance):
    """Choose the filters that fit in a frame, and how large they are.

    All of them, in their order, where there is room for one pixel per value; otherwise those with
    the largest `importance`.

    Returns
    -------
    shown : ndarray of int
    tiles : list of ndarray, (shown, height, width)
        One per image, in display pixels.
    columns : int
    """
    count = len(importance)
    tall, wide = tile_channels(gradients[0][:1]).shape[1:]
    step = max(1, -(-wide // WIDE), -(-tall // (TALL - LABEL_ROOM)))
    tall, wide = -(-tall // step), -(-wide // step)

    def room(scale):
        columns = (WIDE + GAP) // (wide * scale + GAP)
        return columns, columns * (TALL // (tall * scale + LABEL_ROOM))

    scale = max([1, *(scale for scale in range(2, 41) if room(scale)[1] >= count)])
    columns, fitting = room(scale)
    strongest = np.argsort(-importance, kind="stable")[:fitting]
    shown = np.sort(strongest)
    tiles = [tile_channels(gradient[shown]) for gradient in gradients]
    rows = TALL // (tall * scale + LABEL_ROOM)
    columns = min(columns, -(-len(shown) // rows))
    return shown, [enlarge(shrink(tile, step), scale) for tile in tiles], columns


def _paste(frame, pixels):
    top = TITLE_ROOM + HEAD
    frame[top : top + pixels.shape[0], MARGIN : MARGIN + pixels.shape[1]] = pixels


def _page(size, colours, title, caption):
    """Return what is the same in every frame, as pixels."""
    height, width = size
    # No narrower than the line that names an image.
    across = max(width + 2 * MARGIN + BAR_ROOM, 640)
    figure = new_page(across, TITLE_ROOM + HEAD + height, title)
    place = (2 * MARGIN + width, TITLE_ROOM + HEAD + LABEL_ROOM, min(height - LABEL_ROOM, 420))
    add_colour_bar(figure, colours.mappable(), *place, "gradient", colours.extend)
    return draw_pixels(figure, caption)


def _caption(layer, norms, shown, scale):
    filters = norms.shape[1]
    which = f"all {filters} filters" if shown == filters else (
        f"the {shown} of {filters} filters with the largest norm over the reference images"
    )  # fmt: skip
    return (
        f"One frame per image, all in one scale: the gradient at {which} of {layer}, one tile "
        "each, its channels as smaller ones. White is 0, red positive, blue negative; full colour "
        f"is {scale:.3g} in magnitude or more: at most 0.2 % of all values are beyond."
    )


def _write_head(frame, members, index, norm):
    """Write which image a frame shows, and where among the others it stands."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    member = members[index]
    top = TITLE_ROOM - 8
    _draw_steps(draw, members, index, top + 44)
    draw.rectangle((MARGIN, top, MARGIN + 5, top + 36), fill=GROUP_COLOURS[member["group"]])
    left = MARGIN + 14
    draw.text((left, top - 2), shorten(member["image"], 40), fill="#1a1a1a", font=_font(15, True))
    verdict, colour = VERDICTS[member["correct"]]
    said = f"{member['group']} class, norm {norm:.4g}, "
    draw.text((left, top + 19), said, fill="#595959", font=_font(13))
    left += draw.textlength(said, font=_font(13))
    said = f"{verdict}: {shorten(member['label'], 30)} ({100 * member['probability']:.0f} %)"
    draw.text((left, top + 19), said, fill=colour, font=_font(13))
    return image


def _draw_steps(draw, members, index, top):
    """Draw one mark per image in its group's colour, the current one full."""
    pitch = min(24, WIDE // len(members))
    for place, member in enumerate(members):
        left = MARGIN + place * pitch
        colour = GROUP_COLOURS[member["group"]]
        box = (left, top, left + pitch - 5, top + 6)
        draw.rectangle(box, fill=colour if place == index else "white", outline=colour)


def _font(size, bold=False):
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold" if bold else "DejaVuSans"
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf", size)


def save_animation(frames, webp, gif, still, colours):
    """Write frames as WebP and as GIF, both repeating for ever, and the first as PNG.

    Parameters
    ----------
    frames : list of PIL.Image.Image
        RGB, all of one size.
    webp, gif, still : str or Path
    colours : Colours
        Of the values: both have 256 colours, and most go to this map.
    """
    palette = _palette(colours)
    reduced = [_reduce(frame, palette) for frame in frames]
    how = {"save_all": True, "duration": MILLISECONDS, "loop": 0}
    with atomic(webp) as temporary:
        # Lossless with few colours: as sharp as numbers should be, and ten times as fast as with
        # all colours.
        first, *others = [frame.convert("RGB") for frame in reduced]
        first.save(
            temporary, "WEBP", append_images=others, lossless=True, quality=20, method=3, **how
        )
    with atomic(gif) as temporary:
        reduced[0].save(temporary, "GIF", append_images=reduced[1:], optimize=False, **how)
    with atomic(still) as temporary:
        frames[0].save(temporary, "PNG", optimize=True)


def _reduce(frame, palette):
    """Return a frame in the colours of a palette, the paper really white.

    Pillow looks colours up by their upper bits, and takes white for the lightest grey.
    """
    from PIL import Image

    reduced = frame.quantize(palette=palette, dither=0)
    indices = np.array(reduced)
    indices[np.asarray(frame).min(axis=2) == 255] = WHITE
    found = Image.fromarray(indices, "P")
    found.putpalette(palette.getpalette())
    return found


def _palette(colours):
    from PIL import Image, ImageColor

    values = np.linspace(colours.low, colours.high, SHADES)[np.newaxis]
    flat = to_pixels(values, colours)[0].tolist()
    inks = [*GROUP_COLOURS.values(), *(colour for _, colour in VERDICTS.values())]
    # Text is smoothed towards the white paper.
    for ink in map(ImageColor.getrgb, inks):
        shares = np.linspace(0, 0.8, 4)
        flat += [[round(255 * s + c * (1 - s)) for c in ink] for s in shares]
    flat += [[grey] * 3 for grey in np.linspace(0, 255, 256 - len(flat))]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(flat).astype(np.uint8).ravel().tolist())
    return palette
