"""A gradient as volumes: its channels summed, as the study looked at it, and channel by channel.

A layer's weights, and so their gradient, are a tensor (filters, channels, kh, kw); those of an
inner product (outputs, inputs) are (outputs, inputs, 1, 1). Both volumes have one slice per filter.

Summed over the channels it is (filters, kh, kw): 11 x 11 x 96 for conv1 of CaffeNet. Its bytes are
the study's, ``rint((v - min) * 255 / (max - min))``: 0 is the least sum, 255 the largest.

Channel by channel it is (filters, kh * rows, kw * columns): the channels of a filter are tiles, row
after row. ``rows`` is the largest divisor of the number of channels not above its root. For conv2
of CaffeNet, (256, 48, 5, 5), that is 6 x 8 tiles of 5 x 5, a volume of 40 x 30 x 256::

            kw = 5
           +----+----+----+- ... -+----+
    kh = 5 | c0 | c1 | c2 |       | c7 |      x runs along kw, then along the columns of tiles
           +----+----+----+- ... -+----+      y runs along kh, then along the rows of tiles
           | c8 | c9 |                        z is the filter
           +----+----+
           |   ...        (6 rows of tiles)

Three channels (conv1) stand side by side: (96, 3, 11, 11) becomes 33 x 11 x 96. Its bytes are
``rint(127.5 + 127.5 * v / max |v|)``: 255 is the most positive gradient, 0 the most negative, and a
gradient of 0 is 128 everywhere (127.5 rounds to even).
"""

from collections.abc import Callable
from dataclasses import dataclass

from cnnvis.core.volume_files import tile_channels, to_bytes, to_signed_bytes


@dataclass(frozen=True)
class Layout:
    """A way to make a volume of a gradient.

    Attributes
    ----------
    title : str
    prefix : str
        Of the kinds of its files in `cnnvis.core.places.PLACES`.
    arrange : callable
        Makes a volume, (filters, height, width), of a gradient, (filters, channels, kh, kw).
    scale : callable
        Makes bytes of such a volume.
    """

    title: str
    prefix: str
    arrange: Callable
    scale: Callable

    def voxels(self, gradient):
        """Return a gradient as a volume of bytes, ndarray of uint8, (filters, height, width)."""
        return self.scale(self.arrange(gradient))


def sum_channels(gradient):
    """Sum the gradient of each filter over its channels, as the study did.

    Parameters
    ----------
    gradient : ndarray, (filters, channels, kh, kw) or (filters, channels)

    Returns
    -------
    ndarray, (filters, kh, kw)
        Of the same dtype.

    Examples
    --------
    >>> sum_channels(np.array([[[[1, 2]], [[10, 20]]]]))
    array([[[11, 22]]])
    """
    filters, channels, kh, kw = (*gradient.shape, 1, 1)[:4]
    return gradient.reshape(filters, channels, kh, kw).sum(axis=1)


SUMMED = Layout("channels summed", "", sum_channels, to_bytes)
CHANNELS = Layout("channel by channel", "channels ", tile_channels, to_signed_bytes)
LAYOUTS = (SUMMED, CHANNELS)
