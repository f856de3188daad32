"""Sheets of many small pictures, each with a number above it."""

import math

import numpy as np

from cnnvis.core.arrays import factor
from cnnvis.core.colours import Colours
from cnnvis.core.painting import BAR_ROOM, MARGIN, TITLE_ROOM, Page
from cnnvis.core.volume_files import largest_magnitude, tile_channels

LABEL_ROOM = 15
SHEET_WIDTH = 1500
LARGEST_SHEET = 2600
LARGEST_TILE = 150


def draw_sheet(path, tiles, numbers, *, title, caption, label=None, colours=None, crossed=()):
    """Draw many small pictures as one numbered sheet.

    Parameters
    ----------
    path : str or Path
        The PNG.
    tiles : ndarray, (count, height, width) or (count, height, width, 3)
        Values for a colour map, or RGB in [0, 1].
    numbers : sequence
        What is written above each tile.
    title, caption : str
    label : str, optional
        Of the colour bar; without it there is none.
    colours : Colours, optional
        Of values; not for RGB.
    crossed : sequence of int
        The places of tiles that have nothing to show: they are crossed out.
    """
    step, scale, columns = _fit(*tiles.shape[:3])
    tiles = shrink(tiles, step) if step > 1 else tiles
    pixels = colours.pixels(tiles) if colours else np.rint(tiles * 255).astype(np.uint8)
    sheet, corners = montage(enlarge(pixels, scale), columns)
    height, width = sheet.shape[:2]
    tile_height, tile_width = pixels.shape[1] * scale, pixels.shape[2] * scale
    room = BAR_ROOM if label else 0
    page = Page(max(width + 2 * MARGIN + room, 560), height + TITLE_ROOM, title, colours)
    page.paste(sheet, MARGIN, TITLE_ROOM)
    page.write_numbers(corners, numbers, MARGIN, TITLE_ROOM)
    for place in crossed:
        top, left = corners[place]
        page.cross_out(MARGIN + left, TITLE_ROOM + top, tile_width, tile_height)
    if label:
        place = (2 * MARGIN + width, TITLE_ROOM + LABEL_ROOM, min(height - LABEL_ROOM, 420))
        page.colour_bar(*place, label)
    page.save(path, caption)


def draw_tensor(picture, tensor, *, title, what, label, order=None):
    """Draw weights or their gradient, one tile per filter, zero white, red positive.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    tensor : ndarray, (filters, channels, kh, kw) or (filters, channels)
    title, label : str
        Of the picture and of its colour bar.
    what : str
        Begins the caption: what each tile is.
    order : sequence of int, optional
        Of the filters, by default the network's.
    """
    scale, order = largest_magnitude(tensor), range(len(tensor)) if order is None else order
    channels = tensor.shape[1]
    rows, columns = factor(channels)
    if channels == 1:
        layout = ""
    elif rows == 1:
        layout = f" with its {channels} channels side by side"
    else:
        layout = f" with its {channels} channels as {rows} x {columns} tiles, row after row"
    draw_sheet(
        picture,
        tile_channels(tensor[order]),
        order,
        title=title,
        caption=f"{what}{layout}; the number above is the filter's. White is 0, red positive, "
        f"blue negative; full colour is {scale:.3g} in magnitude.",
        label=label,
        colours=Colours("RdBu_r", -scale, scale),
    )


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
        White where there is no tile: 255 in uint8, NaN in floating point.
    corners : list of (top, left)
        Of each tile in the sheet.
    """
    count, height, width = tiles.shape[:3]
    rows = math.ceil(count / columns)
    size = (rows * (head + height), columns * (width + gap) - gap, *tiles.shape[3:])
    sheet = np.full(size, 255 if tiles.dtype == np.uint8 else np.nan, tiles.dtype)
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


def _fit(count, height, width):
    """Return how a sheet is about 3 : 2 and fits a page: ``(step, scale, columns)``.

    `step` values become one, `scale` pixels wide and high.
    """

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
    return math.ceil(columns * width * scale / LARGEST_SHEET), scale, columns


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
