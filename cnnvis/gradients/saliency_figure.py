"""The picture of a saliency map: where in the image a neuron looks."""

import numpy as np

from cnnvis.activations.forward import read_input
from cnnvis.core.arrays import check_finite, first_line
from cnnvis.core.drawing import (
    BAR_ROOM,
    GREY,
    MARGIN,
    TITLE_ROOM,
    add_colour_bar,
    add_image,
    new_page,
    save_figure,
    shrink,
)
from cnnvis.core.errors import UserError
from cnnvis.gradients.attributions import saliency_map
from cnnvis.inputs.images import to_pixels

# Side of the small panels, about; the large ones are twice as large.
SMALL = 227
GAP = 24
HEAD = 30
# What is beyond is drawn as if it were this: a few pixels are many times stronger than all others.
CLIP = 99.5


def make_saliency(
    data_gradient, input, picture, *, mean, title, input_scale=1.0, channel_order="BGR"
):
    """Draw a gradient by the image: the saliency map, over the image, and each colour signed.

    Parameters
    ----------
    data_gradient : str or Path
        ``.npy`` of `cnnvis.gradients.attributions.make_attributions`, (channels, height, width).
    input : str or Path
        ``input.npy`` of `cnnvis.inputs.images.make_input`.
    picture : str or Path
        The PNG.
    mean, input_scale, channel_order
        As given to `cnnvis.inputs.images.make_input`: how the image is made a picture again.
    title : str

    Raises
    ------
    UserError
        If a file is not usable.
    """
    gradient = read_gradient(data_gradient)
    values = read_input(input, gradient.shape)
    pixels = to_pixels(values, mean, input_scale, channel_order)
    if channel_order == "BGR":
        gradient = gradient[::-1]
    draw_saliency(picture, gradient, pixels, title)


def read_gradient(path):
    """Read a gradient by the input, (channels, height, width).

    Raises
    ------
    UserError
        If it cannot be read, has another number of axes, or is not finite.
    """
    try:
        gradient = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as .npy ({first_line(error)})") from error
    if gradient.ndim != 3:
        raise UserError(f"{path}: has shape {gradient.shape}, expected (channels, height, width)")
    check_finite(gradient, str(path))
    return gradient


def draw_saliency(picture, gradient, pixels, title):
    """Draw the map and its overlay in large, the image and each colour's gradient in small.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    gradient : ndarray, (channels, height, width)
        Channels in the order red, green, blue; or one.
    pixels : ndarray of uint8, (height, width, 3) or (height, width)
    title : str
    """
    found = saliency_map(gradient)
    high = float(np.percentile(found, CLIP)) or float(found.max()) or 1.0
    panels = [("the image", pixels, {"cmap": "gray", "vmin": 0, "vmax": 255})]
    signed = {"cmap": "RdBu_r", "vmin": -high, "vmax": high}
    names = ("red", "green", "blue") if len(gradient) == 3 else range(len(gradient))
    panels += [(f"gradient, {name}", g, signed) for name, g in zip(names, gradient, strict=True)]
    height, width = found.shape
    step = max(1, round(max(height, width) / SMALL))
    scale = max(1, SMALL * step // max(height, width))
    small = (-(-width // step) * scale, -(-height // step) * scale)
    large = (2 * small[0], 2 * small[1])
    figure = new_page(
        2 * MARGIN + max(2 * large[0] + GAP, 4 * small[0] + 24) + BAR_ROOM,
        TITLE_ROOM + large[1] + small[1] + 2 * HEAD + 6,
        title,
    )
    top, right = TITLE_ROOM + HEAD - 6, MARGIN + 2 * large[0] + GAP + 16
    heat = {"cmap": "inferno", "vmin": 0, "vmax": high}
    _, image = _panel(figure, "saliency: largest magnitude of the colours", found, MARGIN, top,
                      large, step, **heat)  # fmt: skip
    place = MARGIN + large[0] + GAP
    _panel(figure, "over the image", overlay(pixels, found / high), place, top, large, step)
    add_colour_bar(figure, image, right, top, large[1], "|gradient|", "max")
    top += large[1] + HEAD
    pitch = small[0] + (2 * large[0] + GAP - 4 * small[0]) // 3
    for number, (name, values, look) in enumerate(panels[:4]):
        axes, image = _panel(
            figure, name, values, MARGIN + number * pitch, top, small, step, **look
        )
    add_colour_bar(figure, image, right, top, small[1], "gradient", "both")
    save_figure(figure, picture, _caption(high))


def _panel(figure, name, values, left, top, size, step, **look):
    if step > 1:
        # Of a map the strongest of a block would be truer than its mean; of an image not.
        values = shrink(np.asarray(values, float)[np.newaxis], step)[0]
        values = values / 255 if values.ndim == 3 else values
    axes, image = add_image(figure, values, left, top, size, **look)
    axes.set_title(name, fontsize=8, color=GREY, loc="left", pad=4)
    return axes, image


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
    return np.rint(paper * (1 - cover) + np.array([190.0, 0, 30]) * cover).astype(np.uint8)


def _caption(high):
    return (
        "How the score would change with each pixel of the network's input. Above left, the "
        "largest magnitude over the three colours (Simonyan et al. 2013); right, the same over the "
        "image in grey, covered in red where it is strong. Below, the gradient by each colour: "
        "red, a brighter pixel would raise the score, blue, lower it. One scale for all; its end, "
        f"{high:.3g} per unit of the input, is exceeded by {100 - CLIP:g} % of the pixels."
    )
