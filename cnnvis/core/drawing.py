"""What all pictures share: figures without global state, one look, atomic files.

Pictures of arrays are laid out in pixels and every value covers a whole number of them: resampled
activations show patterns that are not in the network.
"""

import math
import textwrap

import numpy as np

from cnnvis.core.colours import BLUE, GREEN, GREY, GROUP_COLOURS, ORANGE, Colours  # noqa: F401
from cnnvis.core.files import atomic

DPI = 120
MARGIN = 24
TITLE_ROOM = 52
BAR_ROOM = 110
LABEL_ROOM = 15
LINE = 19
SHEET_WIDTH = 1500
LARGEST_SHEET = 2600
LARGEST_TILE = 150


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


def draw_sheet(path, tiles, numbers, *, title, caption, label=None, colours=None):
    """Draw many small pictures as one numbered sheet.

    Parameters
    ----------
    path : str or Path
        The PNG.
    tiles : ndarray, (count, height, width) or (count, height, width, 3)
        Values for a colour map, or RGB in [0, 1].
    numbers : sequence
        What stands above each tile.
    title, caption : str
    label : str, optional
        Of the colour bar; without it there is none.
    colours : Colours, optional
        What values look like; not for RGB.
    """
    tiles, scale, columns = _fit(tiles)
    sheet, corners = montage(enlarge(tiles, scale), columns)
    pixels = write_numbers(to_pixels(sheet, colours), corners, numbers)
    height, width = pixels.shape[:2]
    room = BAR_ROOM if label else 0
    figure = new_page(max(width + 2 * MARGIN + room, 560), height + TITLE_ROOM, title)
    # Not imshow: these pixels are final, and its resampling takes longer than all the rest.
    figure.figimage(pixels, MARGIN, 0, origin="upper")
    if label:
        place = (2 * MARGIN + width, TITLE_ROOM + LABEL_ROOM, min(height - LABEL_ROOM, 420))
        add_colour_bar(figure, colours.mappable(), *place, label, colours.extend)
    save_figure(figure, path, caption)


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


def montage(tiles, columns, gap=4, head=LABEL_ROOM):
    """Put tiles side by side, row after row, with gaps and room for a number above each.

    Parameters
    ----------
    tiles : ndarray, (count, height, width, ...)
    columns : int
    gap, head : int
        Pixels right of each tile, and above it.

    Returns
    -------
    sheet : ndarray, (rows * (head + height), columns * (width + gap) - gap, ...)
        NaN (white) where there is no tile; 1 for RGB.
    corners : list of (top, left)
        Of each tile in the sheet.
    """
    count, height, width = tiles.shape[:3]
    rows = math.ceil(count / columns)
    empty = 1.0 if tiles.ndim == 4 else np.nan
    size = (rows * (head + height), columns * (width + gap) - gap, *tiles.shape[3:])
    sheet = np.full(size, empty, np.float32)
    corners = []
    for index, tile in enumerate(tiles):
        top = index // columns * (head + height) + head
        left = index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
        corners.append((top, left))
    return sheet, corners


def enlarge(tiles, scale):
    """Repeat each value of (count, height, width, ...) `scale` times both ways."""
    return tiles.repeat(scale, axis=1).repeat(scale, axis=2)


def _fit(tiles):
    """Choose whole pixels per value and columns so that the sheet is about 3 : 2 and fits."""
    count, height, width = tiles.shape[:3]

    def columns_at(scale):
        shape = (height * scale + LABEL_ROOM) / (width * scale + 4)
        return _columns(count, math.sqrt(count * 1.5 * shape))

    scale = 1
    while (
        columns_at(scale + 1) * (width * (scale + 1) + 4) <= SHEET_WIDTH
        and max(height, width) * (scale + 1) <= LARGEST_TILE
    ):
        scale += 1
    columns = columns_at(scale)
    step = math.ceil(columns * width * scale / LARGEST_SHEET)
    return (shrink(tiles, step) if step > 1 else tiles), scale, columns


def _columns(count, ideal):
    """Return a divisor of `count` that is not far from `ideal`, or `ideal` where there is none."""
    divisors = [columns for columns in range(1, count + 1) if count % columns == 0]
    nearest = min(divisors, key=lambda columns: abs(math.log(columns / ideal)))
    if 0.7 < nearest / ideal < 1.45:
        return nearest
    return min(count, max(1, round(ideal)))


def shrink(tiles, step):
    """Average blocks of `step` x `step` values of (count, height, width, ...).

    The last row or column is repeated to fill a block.
    """
    height, width = tiles.shape[1:3]
    pad = [(0, 0)] * tiles.ndim
    pad[1:3] = (0, -height % step), (0, -width % step)
    tiles = np.pad(tiles, pad, mode="edge")
    blocks = tiles.reshape(
        len(tiles), tiles.shape[1] // step, step, tiles.shape[2] // step, step, *tiles.shape[3:]
    )
    return blocks.mean(axis=(2, 4))
