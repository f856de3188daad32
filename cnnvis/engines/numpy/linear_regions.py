"""Activation patterns: the linear region a forward pass lies in.

A ReLU has a kink where its input is zero, a maximum where another element becomes the largest. If
two passes have the same activation pattern (the sign of every ReLU's input, the position of every
maximum), the network is smooth between them. Otherwise there is a kink, across which a numerical
derivative is meaningless.
"""

from hashlib import blake2b

import numpy as np

from cnnvis.engines.numpy.layers.elementwise import MAX as ELTWISE_MAX
from cnnvis.engines.numpy.layers.pooling import MAX as POOLING_MAX
from cnnvis.engines.numpy.layers.reductions import ASUM

# ASSUME: numbers this close (relative) to a maximum are tied with it. In flat parts of an image
# numbers are equal but for rounding, so that the maximum's position is random and has no effect.
TIE = 1e-13


def _above_zero(layer, work, bottoms, tops):
    return bottoms[0] > 0


def _relu(layer, work, bottoms, tops):
    # In place, the bottom is overwritten, but the top has the same sign.
    return (tops if layer.overwrites else bottoms)[0] > 0


def _threshold(layer, work, bottoms, tops):
    return tops[0] > 0


def _places(layer, work, bottoms, tops):
    return np.ascontiguousarray(tops[0]).view(np.uint8)


def _reduction(layer, work, bottoms, tops):
    return bottoms[0] > 0 if layer.param.reduction_param.operation == ASUM else None


def _eltwise(layer, work, bottoms, tops):
    if layer.operation != ELTWISE_MAX:
        return None
    limit = _limit(tops[0])
    return np.stack([x >= limit for x in bottoms], axis=1)


def _pooling(layer, work, bottoms, tops):
    if layer.pooling.pool != POOLING_MAX:
        return None
    return np.stack([_maxima(layer, work, *pair) for pair in zip(bottoms[0], tops[0], strict=True)])


def _maxima(layer, work, image, out):
    """Return, for each position in a window, whether it is the window's maximum or tied with it."""
    framed = layer._framed(work, image, np.finfo(image.dtype).min)
    limit = _limit(out)
    return np.stack([view >= limit for view in layer._shifts(framed, image.shape[1:])])


def _limit(maximum):
    # The maximum of an empty window is the lowest float, below which is nothing.
    with np.errstate(over="ignore"):
        return maximum - np.abs(maximum) * maximum.dtype.type(TIE)


SWITCHES = {
    "AbsVal": _above_zero,
    "ArgMax": _places,
    "ELU": _above_zero,
    "Eltwise": _eltwise,
    "PReLU": _above_zero,
    "Pooling": _pooling,
    "ReLU": _relu,
    "Reduction": _reduction,
    "Threshold": _threshold,
}


class Fingerprints:
    """A digest of the activation pattern of each image.

    Parameters
    ----------
    images : int
        1 also where images depend on each other.
    """

    def __init__(self, images):
        # With 128 bits, no two patterns of a billion passes collide.
        self._hashes = [blake2b(digest_size=16) for _ in range(images)]

    def watch(self, node, work, image, bottoms, tops):
        """Add the pattern of a layer that has run, on one image or (None) on all of them."""
        pattern_of = SWITCHES.get(node.layer.param.type)
        pattern = pattern_of(node.layer, work, bottoms, tops) if pattern_of else None
        if pattern is None:
            return
        hashes = self._hashes if image is None else self._hashes[image : image + 1]
        for one, of_image in zip(hashes, pattern if len(hashes) > 1 else [pattern], strict=True):
            one.update(np.packbits(of_image) if of_image.dtype == bool else of_image)

    def list(self):
        """Return the fingerprints, one ``bytes`` per image."""
        return [one.digest() for one in self._hashes]
