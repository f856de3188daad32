"""The authors' pictures as numbers: what matplotlib drew, read back from a screenshot.

The study published its slices as screenshots of ``imshow`` without interpolation, in grey: each
value is a cell of about 8 x 8 pixels. White margins may be left, and a screenshot may be cut a
few pixels within the outermost cells, as ``kmeans7.png`` is; so the cells are not found by dividing
the picture's size, but by the edges between them.
"""

import numpy as np
from PIL import Image

from cnnvis.core.arrays import first_line
from cnnvis.core.errors import UserError

# Pixels by which an edge may lie beside its place: it is rounded to whole pixels.
ROUNDING = 1.0


def read_screenshot(path, rows, columns):
    """Read the values of an image that matplotlib drew in grey, without interpolation.

    Parameters
    ----------
    path : str or Path
    rows, columns : int
        How many cells the picture has, at least 2 each. Of the outermost ones, parts may be
        missing.

    Returns
    -------
    ndarray of int, (rows, columns)
        Grey values from 0, black, to 255, white.

    Raises
    ------
    UserError
        If the file is no picture, or does not show that many cells.
    """
    try:
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("L")).astype(int)
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a picture ({first_line(error)})") from error
    shown = pixels < 255
    box = np.ix_(shown.any(axis=1), shown.any(axis=0))
    # Within the picture there may be rows of white: only margins are cut.
    (top, bottom), (left, right) = (_ends(side.ravel()) for side in box)
    pixels = pixels[top:bottom, left:right]
    down, across = _centres(pixels, rows), _centres(pixels.T, columns)
    if down is None or across is None:
        raise UserError(f"{path}: does not show {rows} rows and {columns} columns of cells")
    return pixels[np.ix_(down, across)]


def _ends(places):
    return (places[0], places[-1] + 1) if len(places) else (0, 0)


def _centres(pixels, count):
    """Return the pixel in the middle of each of `count` cells along axis 0, or None if unlike."""
    edges = np.flatnonzero(np.diff(pixels, axis=0).any(axis=1)) + 1
    size = len(pixels) / count
    steps = np.rint(np.diff(edges) / size)
    if not steps.any():
        return None
    numbers = max(1, round(edges[0] / size)) + np.append(0, np.cumsum(steps))
    size, start = np.polyfit(numbers, edges, 1)
    # Pixels that are missing at either end, at most a cell but for its last pixel.
    missing = np.array([-start, start + count * size - len(pixels)])
    beside = np.abs(start + numbers * size - edges).max()
    if max(beside, *-missing, *(missing - size + 2)) > ROUNDING:
        return None
    centres = start + (np.arange(count) + 0.5) * size
    return np.clip(centres.astype(int), 0, len(pixels) - 1)
