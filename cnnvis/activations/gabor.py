"""The Gabor function that fits a filter best.

A Gabor function is a grating under a Gaussian (Daugman, Uncertainty relation for resolution in
space, spatial frequency and orientation, 1985; Jones and Palmer fitted it to receptive fields of
the visual cortex in 1987)::

    g(u, v) = exp(-u^2 / (2 across^2) - v^2 / (2 along^2)) cos(2 pi frequency u + phase)

`u` is the distance from its centre across the bars, to the right (down, where they are horizontal),
and `v` along them. A filter is described as one colour times g, less the mean of g over the kernel:
a convolution's response to uniform areas is a fact of its own.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

# The kernel holds at least half a cycle; the Gaussian is at least 0.4 pixels and at most twice the
# kernel wide. Beyond that, Gabor functions differ by less than weights can tell.
SLOWEST, NARROWEST, WIDEST = 0.5, 0.4, 1
TOLERANCE = 1e-5
HALF = np.sqrt(2 * np.log(2))
"""Standard deviations from the middle to half the height of a Gaussian."""


@dataclass(frozen=True)
class Gabor:
    """A Gabor function in one colour.

    Attributes
    ----------
    explained : float
        The share of the variance of the weights around the mean of each colour that it explains, 0
        to 1.
    orientation : float
        Of the bars in degrees, 0 horizontal, 90 vertical, below 180.
    frequency : float
        Cycles per pixel.
    phase : float
        Degrees, above -180 to 180, of the colour that the filter's hue names, or of light where it
        has none: 0 is a light bar in the middle, 180 a dark one, -90 an edge with light to the
        right (below, where horizontal), 90 one with light to the left.
    y, x : float
        The centre, in pixels from that of the upper left weight.
    across, along : float
        Standard deviations of the Gaussian in pixels.
    colour : tuple of 3 float
        Amplitude in red, green and blue, in units of the filter's largest weight.
    """

    explained: float
    orientation: float
    frequency: float
    phase: float
    y: float
    x: float
    across: float
    along: float
    colour: tuple

    NUMBERS: ClassVar = (
        *("explained", "orientation", "frequency", "phase", "y", "x", "across", "along"),
        *("orientation_bandwidth", "frequency_bandwidth"),
    )

    @property
    def orientation_bandwidth(self):
        """Degrees between the orientations at which the amplitude spectrum is half its peak."""
        return float(2 * np.degrees(np.arctan(HALF / (2 * np.pi * self.along * self.frequency))))

    @property
    def frequency_bandwidth(self):
        """Octaves between the same frequencies; None where the lower one is not above 0."""
        half = HALF / (2 * np.pi * self.across)
        if half >= self.frequency:
            return None
        return float(np.log2((self.frequency + half) / (self.frequency - half)))

    def draw(self, height, width):
        """Return the pattern, ndarray (3, height, width) of red, green and blue."""
        place = (self.y, self.x, np.radians(self.orientation - 90), self.frequency)
        even, odd = _waves((height, width), *place, self.across, self.along)
        phase = np.radians(self.phase)
        return np.multiply.outer(self.colour, np.cos(phase) * even - np.sin(phase) * odd)


def fit_gabor(pattern, orientation, frequency, towards):
    """Fit a Gabor function by least squares.

    The colour is the one that most of the pattern has (its first principal component). The
    amplitudes of the even and the odd wave follow from the other six parameters (variable
    projection, Golub and Pereyra 1973), which are found from a few starts at the given grating.

    Parameters
    ----------
    pattern : ndarray of float64, (3, height, width)
        In red, green and blue, with a mean of 0 in each, not all 0; at least 5 x 5.
    orientation, frequency : float
        Of the grating that the filter responds to most.
    towards : ndarray, (3,)
        Red, green and blue: the colour is the one of two opposites that is nearer to it.

    Returns
    -------
    Gabor
    """
    from scipy.optimize import least_squares

    colour = _main_colour(pattern, towards)
    search = _Search(np.tensordot(colour, pattern, 1))
    fits = [
        least_squares(search.residual, start, method="lm", ftol=TOLERANCE, xtol=TOLERANCE)
        for start in search.starts(orientation, frequency)
    ]
    best = min(fits, key=lambda fit: fit.cost).x
    y, x, normal, frequency, across, along = search.parameters(best)
    even, odd = search.amplitudes(best)[0]
    # What is not to be told from 180 degrees is 0: only there does "below" not become "above".
    turns = np.floor(normal / np.pi + 0.5 + 1e-4)
    phase = np.degrees(np.arctan2(-odd, even)) * (-1) ** turns
    gabor = Gabor(
        explained=0.0,
        orientation=float(max(0, np.degrees(normal - turns * np.pi) + 90)),
        frequency=float(frequency),
        phase=float(180 - (180 - phase) % 360),
        y=float(y),
        x=float(x),
        across=float(across),
        along=float(along),
        colour=tuple((np.hypot(even, odd) * colour).tolist()),
    )
    left = ((pattern - gabor.draw(*pattern.shape[1:])) ** 2).sum()
    return replace(gabor, explained=float(1 - left / (pattern**2).sum()))


def _main_colour(pattern, towards):
    """Return the first principal component over the colours, of norm 1."""
    colour = np.linalg.svd(pattern.reshape(3, -1), full_matrices=False)[0][:, 0]
    return colour if colour @ towards >= 0 else -colour


class _Search:
    """The least-squares problem of one profile, (height, width).

    The six parameters are free numbers: five are mapped to the range that each may have, the last
    one is an angle.
    """

    def __init__(self, profile):
        self.profile, (height, width) = profile, profile.shape
        widths = np.log([NARROWEST, WIDEST * max(height, width)])
        self.slowest = SLOWEST / max(height, width)
        self.low = np.array([0, 0, self.slowest, widths[0], widths[0]])
        self.high = np.array([height - 1, width - 1, np.nan, widths[1], widths[1]])

    def _range(self, normal):
        """Return the lowest value and the range of each: frequencies down and across reach 0.5."""
        high = self.high.copy()
        high[2] = 0.5 / max(abs(np.cos(normal)), abs(np.sin(normal)))
        return self.low, high - self.low

    def parameters(self, free):
        """Return centre (y, x), normal of the bars in radians, frequency, and both widths."""
        low, span = self._range(free[5])
        y, x, frequency, across, along = low + span / (1 + np.exp(-np.clip(free[:5], -30, 30)))
        return y, x, free[5], frequency, np.exp(across), np.exp(along)

    def starts(self, orientation, frequency):
        """Return starts in the middle of the profile's energy: a grating, a slow wave across it.

        The latter is for spots and corners, whose grating says little. More starts seldom help.
        """
        energy, places = self.profile**2, np.indices(self.profile.shape)
        middle = (energy * places).sum(axis=(1, 2)) / energy.sum()
        spread = np.log(0.2 * max(energy.shape))
        for turned, cycles in ((orientation, frequency), (orientation + 90, 1.2 * self.slowest)):
            normal = np.radians(turned - 90)
            low, span = self._range(normal)
            point = (np.array([*middle, cycles, spread, spread]) - low) / span
            share = np.clip(point, 0.02, 0.98)
            yield np.append(np.log(share / (1 - share)), normal)

    def amplitudes(self, free):
        """Return the amplitudes of the even and the odd wave that fit best, and the residual."""
        waves = _waves(self.profile.shape, *self.parameters(free)).reshape(2, -1).T
        values = self.profile.ravel()
        # At a frequency of 0.5 one of the waves may vanish: its amplitude would be any number.
        amplitudes = np.linalg.lstsq(waves, values, rcond=0.01)[0]
        return amplitudes, waves @ amplitudes - values

    def residual(self, free):
        return self.amplitudes(free)[1]


def _waves(shape, y, x, normal, frequency, across, along):
    """Return the even and the odd wave under their Gaussian, (2, height, width), with mean 0."""
    rows, columns = np.arange(shape[0])[:, np.newaxis] - y, np.arange(shape[1]) - x
    u = columns * np.cos(normal) - rows * np.sin(normal)
    v = columns * np.sin(normal) + rows * np.cos(normal)
    gaussian = np.exp(-(u**2) / (2 * across**2) - v**2 / (2 * along**2))
    angle = 2 * np.pi * frequency * u
    waves = gaussian * np.stack([np.cos(angle), np.sin(angle)])
    return waves - waves.mean(axis=(1, 2), keepdims=True)
