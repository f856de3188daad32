"""Ways to describe a picture by numbers, in which activation maximisation takes its steps.

A picture is how far each value of a network's input is from the mean that preprocessing subtracts,
in grey levels: (channels, height, width), in the network's channel order, between minus the mean
and 255 minus the mean. All arrays have an axis of pictures in front.
"""

import numpy as np

NOISE = 10.0
"""Standard deviation in grey levels of the noise that a search among pixels starts from."""
# What natural images' colours (red, green, blue) are made of, uncorrelated: the square root of
# their covariance in ImageNet, by the length of its longest column (Lucid, optvis/param/color.py).
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS = COLOURS / np.linalg.norm(COLOURS, axis=0).max()


class Pixels:
    """Every value of the picture itself, kept in the range that a stored picture can have.

    Parameters
    ----------
    low, high : ndarray, (C, H, W)
        The range: minus the mean, and 255 minus the mean.
    radius : float, optional
        The largest Euclidean norm of a picture.
    """

    def __init__(self, low, high, radius=None):
        self.low, self.high, self.radius = low, high, radius

    def start(self, seed):
        """Return the mean and normal noise: the array that the toolbox starts from, too."""
        return np.random.RandomState(seed).normal(0, NOISE, self.low.shape)

    def project(self, pixels):
        """Return the pictures scaled into the ball and clipped to the range."""
        if self.radius is not None:
            norms = np.sqrt(np.square(pixels).sum(axis=(1, 2, 3), keepdims=True))
            pixels = pixels * np.minimum(1, self.radius / np.maximum(norms, 1e-12))
        return np.clip(pixels, self.low, self.high)

    def pictures(self, pixels):
        """Return the pictures."""
        return pixels

    def pull(self, pictures, gradient):
        """Return the gradient with respect to the numbers, given pictures and theirs."""
        return gradient


class Fourier:
    """Spectra of uncorrelated colours, each frequency scaled by 1 / frequency, through a sigmoid.

    Where steps are as large at every frequency of the spectrum, they are larger at low frequencies
    of the picture, as in natural images. This is Lucid's ``fft_image`` with its constants
    (optvis/param/spatial.py and color.py, Olah et al. 2017), but for the highest horizontal
    frequency of odd widths, where Lucid computes one more column and cuts it off.

    Parameters
    ----------
    low, high : ndarray, (C, H, W)
        As for `Pixels`.
    blue_first : bool
        Whether three channels are BGR, not RGB.
    """

    def __init__(self, low, high, blue_first=True):
        # In single precision, because transforms take as long as a small network.
        self.low, self.high = low.astype(np.float32), high.astype(np.float32)
        channels, height, width = low.shape
        down, across = np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width)
        frequency = np.maximum(np.hypot(down, across), 1 / max(height, width))
        self.scale = (np.sqrt(height * width) / frequency / 4).astype(np.float32)
        order = slice(None, None, -1 if blue_first else 1)
        colours = COLOURS[order] if channels == 3 else np.eye(channels)
        self.colours = colours.astype(np.float32)
        # Every column stands for two but the first and, of even widths, the last.
        self.weights = np.full(len(across), 2, np.float32)
        self.weights[0] = 1
        self.weights[-1] = 1 if width % 2 == 0 else 2

    def start(self, seed):
        """Return small normal noise: (2, C, H, W // 2 + 1), real and imaginary parts."""
        shape = (2, len(self.low), *self.scale.shape)
        return np.random.RandomState(seed).normal(0, 0.01, shape).astype(np.float32)

    def project(self, spectra):
        """Return the spectra: each is a picture in the range."""
        return spectra

    def pictures(self, spectra):
        """Return the pictures."""
        spectrum = self.scale * (spectra[:, 0] + np.complex64(1j) * spectra[:, 1])
        plain = _mixed(self.colours, np.fft.irfft2(spectrum, s=self.low.shape[1:]))
        return self.low + (self.high - self.low) / (1 + np.exp(-plain))

    def pull(self, pictures, gradient):
        """Return the gradient with respect to the spectra, given pictures and theirs."""
        slope = (pictures - self.low) * (self.high - pictures) / (self.high - self.low)
        inner = _mixed(self.colours.T, gradient.astype(np.float32) * slope)
        # The adjoint of the inverse transform is the transform, by the number of values.
        spectrum = np.fft.rfft2(inner) / inner[0, 0].size * self.weights * self.scale
        return np.stack([spectrum.real, spectrum.imag], axis=1)


def _mixed(matrix, pictures):
    """Return pictures (n, channels, H, W) with every pixel's channels multiplied by a matrix."""
    values = matrix @ pictures.reshape(*pictures.shape[:2], -1)
    return values.reshape(pictures.shape)
