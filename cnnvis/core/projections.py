"""Volumes seen from aside: orthographic maximum-intensity projections, in NumPy alone.

A volume is (filters, height, width). Seen without a turn it is its feature maps, one behind the
other: x to the right, y downwards, filters away from the viewer::

              .------------.
             /            /|       turn: about the vertical axis, to the left
            /  filter    / |       tilt: about the horizontal one, towards the viewer
           .------------.  |
           |            |  '
           |  y         | /
           |    x       |/
           '------------'
"""

import numpy as np

# How many times longer than wide a box is at most: 13 x 13 x 384 voxels would be a thread.
LONGEST = 2.2
# Voxels are divided until their parts are at most so many pixels wide.
FINE = 3.0


def spacing_of(shape):
    """Return the sides of a voxel of a volume, (filter, y, x), in widths of its pixels.

    >>> spacing_of((96, 55, 55)), spacing_of((110, 5, 5))
    ((1.0, 1.0, 1.0), (0.1, 1.0, 1.0))
    """
    return (min(1.0, LONGEST * max(shape[1:]) / shape[0]), 1.0, 1.0)


def camera(turn, tilt):
    """Return what projects (filter, y, x) to (down, right): ndarray, (2, 3); angles in degrees."""
    turn, tilt = np.radians([turn, tilt])
    # Right, down and away of the turned axes.
    right = np.array([np.sin(turn), 0.0, np.cos(turn)])
    away = np.array([np.cos(turn), 0.0, -np.sin(turn)])
    down = np.array([0.0, np.cos(tilt), 0.0]) - np.sin(tilt) * away
    return np.array([down, right])


def project(volume, view, scale, size):
    """Return the value of largest magnitude on each line of sight.

    Parameters
    ----------
    volume : ndarray, (filters, height, width)
    view : ndarray, (2, 3)
        See `camera`.
    scale : float
        Pixels of the picture for a width of a pixel of the volume.
    size : int
        Width and height of the picture, whose middle is that of the volume.

    Returns
    -------
    ndarray of float32, (size, size)
        NaN where there is nothing.

    Examples
    --------
    >>> project(np.array([[[1.0, -2.0]], [[-3.0, 0.0]]]), camera(0, 0), 1, 2)
    array([[-3., -2.],
           [nan, nan]], dtype=float32)
    """
    spacing = np.array(spacing_of(volume.shape))
    parts = np.maximum(1, np.ceil(scale * spacing / FINE)).astype(int)
    for axis, count in enumerate(parts):
        volume = np.repeat(volume, count, axis)
    step = (view * (scale * spacing / parts)).T  # of (filter, y, x), in pixels down and right
    middle = (np.array(volume.shape) - 1) / 2
    axes = [
        (np.arange(count) - centre)[:, np.newaxis] * towards
        for count, centre, towards in zip(volume.shape, middle, step, strict=True)
    ]
    places = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]
    # A voxel covers the rectangle around its shadow.
    cover = np.maximum(1, np.ceil(np.abs(step).sum(axis=0) - 1e-9)).astype(int)
    corners = np.floor(places + (size - cover) / 2 + 0.5 - 1e-9).astype(np.int32)
    return _strongest(corners.reshape(-1, 2), volume.reshape(-1), cover, size)


def _strongest(corners, values, cover, size):
    """Return the value of largest magnitude of the rectangles that cover each pixel."""
    inside = ((corners >= 0) & (corners + cover <= size)).all(axis=1)
    flat, values = corners[inside] @ np.array([size, 1]), values[inside].astype(np.float32)
    highest = _highest(flat, values, cover, size)
    if not (values < 0).any():
        return np.where(np.isfinite(highest), highest, np.nan)
    lowest = -_highest(flat, -values, cover, size)
    strongest = np.where(highest >= -lowest, highest, lowest)
    return np.where(np.isfinite(strongest), strongest, np.nan)


def _highest(flat, values, cover, size):
    picture = np.full(size * size, -np.inf, np.float32)
    np.maximum.at(picture, flat, values)
    picture = picture.reshape(size, size)
    for axis, count in enumerate(cover):
        picture = np.max([np.roll(picture, shift, axis) for shift in range(count)], axis=0)
    return picture
