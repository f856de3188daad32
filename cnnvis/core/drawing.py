"""Figures of plots with axes, drawn with matplotlib: no global state, one look, atomic files.

Places are in pixels. Pictures without plots are painted, by `cnnvis.core.painting`: that takes less
than importing matplotlib.
"""

import textwrap

import numpy as np

from cnnvis.core.colours import BLUE, GREEN, GREY, GROUP_COLOURS, ORANGE, Colours  # noqa: F401
from cnnvis.core.files import atomic
from cnnvis.core.painting import BAR_ROOM, LINE, MARGIN, TITLE_ROOM  # noqa: F401

DPI = 120


def new_figure(width, height, **options):
    """Return an empty Agg figure of `width` x `height` inches.

    No ``pyplot``: importing it costs a third of a second per job, and nothing here is interactive.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, **options)
    FigureCanvasAgg(figure)
    return figure


def new_page(width, height, title):
    """Return a figure of `width` x `height` pixels with a title at its top left."""
    figure = new_figure(width / DPI, height / DPI)
    # A bold letter of 11 points is at most about 11.8 pixels wide, as names go.
    size = max(6, min(11, 11 * (width - 2 * MARGIN) / (11.8 * max(1, len(title)))))
    place = (MARGIN / width, 1 - 14 / height)
    figure.text(*place, title, va="top", fontsize=size, weight="bold", color="0.1")
    return figure


def add_axes(figure, left, top, width, height):
    """Return axes at a place given in pixels from the figure's top left corner."""
    across, down = (round(inches * DPI) for inches in figure.get_size_inches())
    return figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )


def add_image(figure, values, left, top, size, **options):
    """Show an array in axes of `size` (width, height) pixels, without frame or ticks.

    NaN is left white. `options` are those of ``imshow``. Returns the axes and the image.
    """
    axes = add_axes(figure, left, top, *size)
    image = axes.imshow(values, aspect="auto", interpolation="nearest", **options)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes, image


def add_pixels(figure, pixels, left, top):
    """Show pixels, uint8 (height, width, 3), as they are: nothing is resampled."""
    height = round(figure.get_size_inches()[1] * DPI)
    figure.figimage(pixels, left, height - top - pixels.shape[0], origin="upper")


def add_colour_bar(figure, image, left, top, height, label, extend="neither"):
    """Add the colour bar of `image`, `BAR_ROOM` pixels wide with its numbers and label."""
    axes = add_axes(figure, left, top, 14, height)
    bar = figure.colorbar(image, cax=axes, extend=extend)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    bar.set_label(label, fontsize=8, color=GREY)
    return bar


def style(axes, xlabel, ylabel):
    """Give axes the look of all plots: grey, small, open to the top and to the right."""
    axes.set_xlabel(xlabel, fontsize=8, color=GREY)
    axes.set_ylabel(ylabel, fontsize=8, color=GREY)
    axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    axes.spines[["top", "right"]].set_visible(False)


def save_figure(figure, path, caption=None):
    """Write `figure` as PNG, with its caption under it and in the file's metadata.

    The figure grows downwards by the lines of the caption, so that nothing is covered.
    """
    if caption:
        add_caption(figure, caption)
    with atomic(path) as temporary:
        figure.savefig(
            temporary,
            format="png",
            metadata={"Description": caption or "", "Software": None},
            pil_kwargs={"compress_level": 3},
        )


def draw_pixels(figure, caption):
    """Return `figure` with its caption under it as uint8 RGB, (height, width, 3)."""
    add_caption(figure, caption)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def add_caption(figure, caption):
    """Add a caption under a figure, which grows by its lines."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(caption, max(40, int((width * DPI - 2 * MARGIN) / 6.6)))
    grown = height + (len(lines) * LINE + MARGIN) / DPI
    kept = height / grown
    figure.set_size_inches(width, grown)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 1 - kept, 1, kept))
    else:
        for axes in figure.axes:
            place = axes.get_position()
            bottom = 1 - (1 - place.y0) * kept
            axes.set_position((place.x0, bottom, place.width, place.height * kept))
        for text in figure.texts:
            text.set_y(1 - (1 - text.get_position()[1]) * kept)
        for image in figure.images:
            image.oy += round((grown - height) * DPI)
    figure.text(
        MARGIN / DPI / width,
        0.6 * MARGIN / DPI / grown,
        "\n".join(lines),
        va="bottom",
        fontsize=8,
        color=GREY,
        linespacing=1.3,
    )


def to_pixels(sheet, colours=None):
    """Return uint8 RGB of values (NaN is white), or of RGB in [0, 1]."""
    if sheet.ndim == 3:
        return np.rint(sheet * 255).astype(np.uint8)
    return colours.pixels(sheet)


def write_numbers(pixels, corners, numbers):
    """Write a number above each corner. Hundreds of matplotlib texts would take a second."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 10)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for (top, left), number in zip(corners, numbers, strict=True):
        draw.text((left, top - 3), str(number), fill=(90, 90, 90), font=font, anchor="ls")
    return np.asarray(image)
