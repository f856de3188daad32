"""Where layers switch: which piece of a function made of pieces a forward pass was on.

A ReLU is smooth but where its input is zero, a maximum but where another one takes over. Between
two passes whose switches all stand alike, a network is as smooth as its smooth layers are; where
one differs there is a kink between them, and no numerical derivative to be had.
"""

from hashlib import blake2b

import numpy as np

from cnnvis.engines.numpy.layers.elementwise import MAX as ELTWISE_MAX
from cnnvis.engines.numpy.layers.pooling import MAX as POOLING_MAX
from cnnvis.engines.numpy.layers.reductions import ASUM

# ASSUME: numbers this close (relative) to a maximum are tied with it. Pixels in flat parts of an
# image give equal numbers but for rounding, which would switch at random and without any effect.
TIE = 1e-13


def _above_zero(layer, work, bottoms, tops):
    return bottoms[0] > 0


def _relu(layer, work, bottoms, tops):
    # Where it was done in place there is no bottom left, and the top's sign is the bottom's.
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
    """Return, for each pixel of a window, where it is the window's maximum or tied with it."""
    framed = layer._framed(work, image, np.finfo(image.dtype).min)
    limit = _limit(out)
    return np.stack([view >= limit for view in layer._shifts(framed, image.shape[1:])])


def _limit(maximum):
    # The maximum of an empty window is the lowest float, and nothing is below it.
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
    """One number per image that says how every switch stood, in a few bytes.

    Parameters
    ----------
    images : int
        For one image, or where images depend on each other, 1.
    """

    def __init__(self, images):
        # 128 bits: of a billion passes no two that differ would look alike.
        self._hashes = [blake2b(digest_size=16) for _ in range(images)]

    def watch(self, node, work, image, bottoms, tops):
        """Take note of a layer that has run, on one image or (None) on all of them."""
        find = SWITCHES.get(node.layer.param.type)
        state = find(node.layer, work, bottoms, tops) if find else None
        if state is None:
            return
        hashes = self._hashes if image is None else self._hashes[image : image + 1]
        for one, of_image in zip(hashes, state if len(hashes) > 1 else [state], strict=True):
            one.update(np.packbits(of_image) if of_image.dtype == bool else of_image)

    def list(self):
        """Return the fingerprints, one ``bytes`` per image."""
        return [one.digest() for one in self._hashes]
