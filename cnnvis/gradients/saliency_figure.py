"""The picture of a saliency map: which pixels of the image a neuron depends on."""

import numpy as np

from cnnvis.core.colours import Colours
from cnnvis.core.painting import BAR_ROOM, MARGIN, TIP, TITLE_ROOM, Page
from cnnvis.core.sheets import enlarge, shrink
from cnnvis.gradients.attributions import saliency_map

# Side of the large and of the small panels, about.
LARGE, SMALL = 454, 227
# Between panels, at least.
GAP = 8
HEAD = 30
# What is beyond is drawn as if it were this: a few pixels are many times stronger than all others.
CLIP = 99.5
RED = np.array([190.0, 0, 30])


def draw_saliency(picture, gradient, values, preprocessing, *, title):
    """Draw a gradient by the input: the saliency map, over the image, and each colour signed.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    gradient : ndarray, (channels, height, width)
        Of the score with respect to the network's input, all values finite.
    values : ndarray, (channels, height, width)
        The input itself.
    preprocessing : Preprocessing
        How the input was made.
    title : str
    """
    pixels = preprocessing.undo(values)
    saliency = saliency_map(gradient)
    high = float(np.percentile(saliency, CLIP)) or float(saliency.max()) or 1.0
    heat, signed = Colours("inferno", 0, high, "max"), Colours("RdBu_r", -high, high, "both")
    channels = colour_channels(gradient, preprocessing.channel_order)
    upper = {
        "saliency: largest magnitude of the colours": heat.pixels(saliency),
        "saliency over the image": overlay(pixels, saliency / high),
    }
    signs = {f"gradient, {name}": signed.pixels(values) for name, values in channels.items()}
    lower = {"the image": pixels, **signs}
    rows = (
        ({name: resize(panel, LARGE) for name, panel in upper.items()}, "|gradient|", heat),
        ({name: resize(panel, SMALL) for name, panel in lower.items()}, "gradient", signed),
    )
    heights = [next(iter(row.values())).shape[0] for row, _, _ in rows]
    width = max(_width(row) for row, _, _ in rows)
    tops = (TITLE_ROOM + HEAD - 6, TITLE_ROOM + heights[0] + 2 * HEAD)
    page = Page(width + 2 * MARGIN + BAR_ROOM, tops[1] + heights[1] + TIP, title)
    for (row, label, colours), top, height in zip(rows, tops, heights, strict=True):
        _paste_row(page, row, top, width)
        page.colour_bar(2 * MARGIN + width, top, height, label, colours)
    page.save(picture, _caption(high))


def _width(row):
    return sum(panel.shape[1] + GAP for panel in row.values()) - GAP


def _paste_row(page, row, top, width):
    """Put panels with their names in a row, spread over a width."""
    gap = GAP + (width - _width(row)) // max(1, len(row) - 1)
    left = MARGIN
    for name, panel in row.items():
        page.paste(panel, left, top)
        page.write((left, top - 7), name)
        left += panel.shape[1] + gap


def colour_channels(gradient, channel_order):
    """Return ``{name: (height, width)}`` of the channels: red, green and blue, or their numbers."""
    if len(gradient) != 3:
        return {str(number): channel for number, channel in enumerate(gradient)}
    ordered = gradient[::-1] if channel_order == "BGR" else gradient
    return dict(zip(("red", "green", "blue"), ordered, strict=True))


def resize(pixels, side):
    """Return a picture whose longer side is about `side`, by whole factors.

    Parameters
    ----------
    pixels : ndarray of uint8, (height, width) or (height, width, 3)
    side : int

    Returns
    -------
    ndarray of uint8, (height, width, 3)
    """
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis].repeat(3, axis=2)
    longest = max(pixels.shape[:2])
    step = max(1, round(longest / side))
    if step > 1:
        pixels = np.rint(shrink(pixels[np.newaxis], step)[0]).astype(np.uint8)
    return enlarge(pixels[np.newaxis], max(1, side * step // longest))[0]


def overlay(pixels, shares):
    """Return an image in light grey with a map in red over it.

    Parameters
    ----------
    pixels : ndarray of uint8, (height, width, 3) or (height, width)
    shares : ndarray, (height, width)
        0 shows the image, 1 or more covers it.

    Returns
    -------
    ndarray of uint8, (height, width, 3)
    """
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels.astype(float)
    # Lighter than the image is: dark parts would swallow the map.
    paper = (95 + grey * (160 / 255))[..., np.newaxis]
    cover = np.clip(shares, 0, 1)[..., np.newaxis]
    return np.rint(paper * (1 - cover) + RED * cover).astype(np.uint8)


def _caption(high):
    return (
        "How the score would change with each pixel of the network's input. Upper left: the "
        "largest magnitude over the three colours (Simonyan et al. 2013). Upper right: the same "
        "over the image in grey, covered in red where it is strong. Below: the gradient by each "
        "colour; where it is red, a lighter pixel would raise the score, where it is blue, lower "
        f"it. All have one scale, which ends at {high:.3g} per unit of the input; {100 - CLIP:g} % "
        "of the pixels exceed it."
    )
