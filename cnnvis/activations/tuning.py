"""What the filters of a first layer are tuned to, from their weights alone.

A convolution over three colours multiplies the picture under it with its weights, so that the
weights drawn as a picture are what a filter responds to. Its *pattern* here is the weights less
their mean for each colour: what responds to changes and not to uniform areas.

Lengths are pixels of the network's input, frequencies cycles per pixel, angles degrees. An
orientation is that of bars and edges as one sees them: 0 is horizontal, 90 vertical, and it grows
counterclockwise to below 180. What is not defined is None:

- of a dead filter (all weights 0) everything but the norm,
- of a filter without a pattern (each colour constant), or with a kernel smaller than 3 x 3,
  orientation, selectivity, frequency and the Gabor function,
- of a filter that is as good as symmetric (selectivity below `ORIENTED`) the orientation,
- of a filter that is nearly grey (share of colour below `COLOURED`) the hue,
- of a kernel smaller than 5 x 5, which has too few weights for it, the Gabor function
  (`cnnvis.activations.gabor`).

A positive factor changes the norm only. With the sign of the weights the hue turns by 180 degrees
and, in filters without a hue, the phase of the Gabor function does.
"""

from dataclasses import dataclass, fields

import numpy as np

from cnnvis.activations.gabor import Gabor, fit_gabor

ORIENTED = 0.3
"""Least selectivity with which a filter counts as oriented. ASSUME: 99 % of random filters of 5 x 5
weights have less than 0.26, of 11 x 11 less than 0.13."""
COLOURED = 0.5
"""Least share of colour with which a filter counts as coloured. ASSUME: of the filters of CaffeNet
and SqueezeNet hardly any are near it."""
LEAST_KERNEL, GABOR_KERNEL = 3, 5
HUES = np.array([[2, -1, -1], [0, np.sqrt(3), -np.sqrt(3)]]) / np.sqrt(6)
"""An orthonormal basis of the plane of colours across grey: red at 0 degrees, and 90.

In this plane angles are hues and energies add up with that of grey (Hanbury and Serra, Colour image
analysis in 3D-polar coordinates, 2003)."""
GRID = 64
_ZOOMS, _FINER = 4, 4


@dataclass(frozen=True)
class Tuning:
    """What one filter is tuned to; None is what is not defined.

    Attributes
    ----------
    norm : float
        L2 norm of the weights.
    colour : float or None
        The share of energy (sum of squares) of the weights that is not grey, 0 to 1.
    hue : float or None
        0 to 360, red 0, yellow 60, green 120, cyan 180, blue 240: of the axis between opposite
        colours along which the weights have most energy, and of its ends the one that is strong in
        few places (third moment), such as a spot on its surround.
    uniform : float or None
        The share of energy in the means of the three colours, 0 to 1: 1 responds to the average
        colour only, 0 not at all to uniform areas.
    orientation : float or None
        Of the sinusoidal grating that the filter responds to most: the largest value of the
        pattern's power spectrum, summed over the colours.
    selectivity : float or None
        1 - circular variance of the orientations in the power spectrum (Ringach, Shapley and
        Hawken, Orientation selectivity in macaque V1, 2002), 0 (none, or as much across) to 1.
    frequency : float or None
        Of the same grating, in cycles per pixel.
    vertical_edge, horizontal_edge : float or None
        The response of the pattern to the grey step edge (-1 and 1) of this direction that fits
        best, over the largest that weights of this norm can have (their cosine where both have a
        mean of 0): 0 to 1, which only an edge in the middle reaches.
    gabor : Gabor or None
        The Gabor function that fits best.
    """

    norm: float
    colour: float | None = None
    hue: float | None = None
    uniform: float | None = None
    orientation: float | None = None
    selectivity: float | None = None
    frequency: float | None = None
    vertical_edge: float | None = None
    horizontal_edge: float | None = None
    gabor: Gabor | None = None

    def numbers(self):
        """Return all numbers as one flat dict, those of the Gabor function as ``gabor_...``."""
        own = {field.name: getattr(self, field.name) for field in fields(self)[:-1]}
        return own | {f"gabor_{key}": getattr(self.gabor, key, None) for key in Gabor.NUMBERS}


def tune(weights, channel_order="BGR"):
    """Return what each filter of a layer over three colours is tuned to.

    Parameters
    ----------
    weights : ndarray, (filters, 3, height, width)
        All values finite.
    channel_order : {"BGR", "RGB"}

    Returns
    -------
    list of Tuning
    """
    filters = weights.astype(np.float64)
    return [_tune(each) for each in (filters[:, ::-1] if channel_order == "BGR" else filters)]


def _tune(weights):
    largest = np.abs(weights).max(initial=0)
    if not largest:
        return Tuning(norm=0.0)
    # Of this scale, squares of any weights are far from the ends of what a float holds.
    scaled = weights / largest
    energy = (scaled**2).sum()
    means = scaled.mean(axis=(1, 2), keepdims=True)
    pattern, chroma = scaled - means, np.tensordot(HUES, scaled, 1)
    colour = float((chroma**2).sum() / energy)
    hue = _hue(chroma) if colour >= COLOURED else None
    known = {
        "norm": float(largest * np.sqrt(energy)),
        "colour": colour,
        "hue": hue,
        "uniform": float((means**2).sum() * scaled[0].size / energy),
        "vertical_edge": _edge_match(pattern.sum(axis=(0, 1)), scaled),
        "horizontal_edge": _edge_match(pattern.sum(axis=(0, 2)), scaled),
    }
    smallest = min(weights.shape[1:])
    if smallest < LEAST_KERNEL or (pattern**2).sum() < 1e-12 * energy:
        return Tuning(**known)
    selectivity, peak, frequency = _best_grating(pattern)
    towards = np.ones(3) if hue is None else hue_direction(hue)
    gabor = fit_gabor(pattern, peak, frequency, towards) if smallest >= GABOR_KERNEL else None
    orientation = peak if selectivity >= ORIENTED else None
    return Tuning(
        **known, orientation=orientation, selectivity=selectivity, frequency=frequency, gabor=gabor
    )


def hue_direction(hue):
    """Return the colour of a hue in degrees, as ndarray of red, green and blue of norm 1."""
    return np.array([np.cos(np.radians(hue)), np.sin(np.radians(hue))]) @ HUES


def opposites(hue):
    """Return the colour of a hue and its opposite, as arrays of red, green and blue in [0, 1]."""
    direction = hue_direction(hue)
    return [0.5 + 0.5 * sign * direction / np.abs(direction).max() for sign in (1, -1)]


def _hue(chroma):
    """Return the hue of (2, height, width) in the plane of `HUES`."""
    points = chroma.reshape(2, -1)
    axis = np.linalg.svd(points, full_matrices=False)[0][:, 0]
    axis = axis if ((axis @ points) ** 3).sum() >= 0 else -axis
    return float(np.degrees(np.arctan2(axis[1], axis[0])) % 360)


def _edge_match(profile, weights):
    """Return the match of weights with a step edge; `profile` is the pattern summed along it."""
    # It sums to 0, so that the two sides of an edge have opposite sums.
    response = 2 * np.abs(np.cumsum(profile)).max()
    return float(response / np.sqrt((weights**2).sum() * weights.size))


def _best_grating(pattern):
    """Return selectivity, and orientation and frequency of the grating responded to most."""
    # Between the frequencies of the usual grid, so that there is neither a mean nor one at 0.5,
    # which is the same as at -0.5 but seems to have another direction.
    axis = (np.arange(GRID) + 0.5) / GRID - 0.5
    power = _power(pattern, axis, axis)
    double = np.exp(2j * np.arctan2(-axis[:, np.newaxis], axis))
    selectivity = float(np.abs((power * double).sum()) / power.sum())
    step, down, across = 1 / GRID, axis, axis
    for _ in range(_ZOOMS):
        row, column = np.unravel_index(_power(pattern, down, across).argmax(), power.shape)
        y, x, step = down[row], across[column], step / _FINER
        around = (np.arange(GRID) - GRID // 2) * (2 * _FINER * step / GRID)
        down, across = (np.clip(place + around, -0.5, 0.5) for place in (y, x))
    # Bars run across the direction in which a grating changes.
    orientation = float((np.degrees(np.arctan2(-y, x)) + 90) % 180)
    return selectivity, orientation, float(np.hypot(x, y))


def _power(pattern, down, across):
    """Return the power of a pattern at each frequency down and across, summed over the colours."""
    height, width = pattern.shape[1:]
    rows = np.exp(-2j * np.pi * np.outer(down, np.arange(height)))
    columns = np.exp(-2j * np.pi * np.outer(np.arange(width), across))
    return (np.abs(rows @ pattern @ columns) ** 2).sum(axis=0)
