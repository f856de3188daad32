"""The interface of all layer types."""

from math import inf, prod

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cnnvis.core.errors import UserError

LARGEST = 2**31 - 1
"""Caffe's sizes are ``int``, and so is the number of numbers of a blob."""
LAYERS = {}
"""Every layer type's class, by its name in a prototxt."""


class Layer:
    """One layer: the shapes of its tops and weights, a forward and a backward function.

    Layers hold no state between calls (``backward`` is passed what ``forward`` read and wrote), so
    that several threads may use one layer at once, each for its own image.

    Parameters
    ----------
    param : LayerParameter
        The layer's message in the prototxt.

    Attributes
    ----------
    scope : {"image", "batch", "mixed"}
        "image": images are independent, and fastest one by one;
        "batch": images are independent, and fastest all at once (one matrix product);
        "mixed": images depend on each other, or the leading axis is not that of images.
    is_view : bool
        The tops are the first bottom, possibly in another shape; nothing is computed.
    shares_memory : bool
        In Caffe the tops share the bottom's memory: changing one in place changes both.
    overwrites : bool
        ``forward`` may overwrite its bottom, which ``backward`` does not need. Any other layer
        that is in place in the prototxt gets memory of its own, so that its gradient is correct.
    needs_top : bool
        ``backward`` reads the tops, so that nothing may overwrite them.
    elementwise : bool
        Each number of a top is computed from the numbers at its place in the bottoms, and from
        weights that have, if any, one entry for the channel or one for all.
    bottoms, tops : tuple
        The least and the largest number of each that Caffe accepts.
    """

    scope = "image"
    is_view = False
    shares_memory = False
    overwrites = False
    needs_top = True
    elementwise = False
    bottoms = tops = (1, 1)

    def __init_subclass__(cls):
        # A class whose name begins with an underscore is a base of layer types.
        if cls.__name__[0] != "_":
            LAYERS[cls.__name__] = cls

    def __init__(self, param):
        self.param = param
        self.name = param.name

    def check(self):
        """Raise a `UserError` for numbers of bottoms and tops, and sizes, that Caffe refuses."""
        self._check_counts("bottoms", len(self.param.bottom), *self.bottoms)
        self._check_counts("tops", len(self.param.top), *self.tops)
        for name, value in _large(self.param):
            self.fail(f"{name} {value}: expected at most {LARGEST}, the largest int of Caffe")

    def _check_counts(self, what, count, least, most):
        if not least <= count <= most:
            expected = least if least == most else f"at least {least}"
            expected = expected if least == most or most == inf else f"{least} to {most}"
            self.fail(f"{count} {what}, expected {expected}")

    def shapes(self, bottoms):
        """Return the shapes of the tops for the shapes of the bottoms (leading axis: images)."""
        return [bottoms[0]]

    def weight_shapes(self, bottoms):
        """Return the shapes of the layer's weights, bias and so on."""
        return []

    def forward(self, work, weights, bottoms, tops):
        """Compute `tops` from `bottoms`, in place."""
        raise NotImplementedError

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        """Return the gradient with respect to each bottom (anything where not `wanted`).

        ``dtops`` are the gradients with respect to the tops; they may be overwritten.
        """
        raise UserError(
            f"layer {self.name}: Caffe has no gradient of a layer of type {self.param.type}"
        )

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        """Return the gradient with respect to each of the layer's weights, for one image."""
        raise NotImplementedError

    def fail(self, message):
        """Raise a `UserError` that names this layer and its type."""
        raise UserError(f"layer {self.name} ({self.param.type}): {message}")

    def axis(self, value, shape):
        """Return `value` as an axis of `shape` counted from the front (-1 is the last)."""
        if not -len(shape) <= value < len(shape):
            self.fail(f"axis {value} is outside a blob of shape {shape}")
        return value % len(shape)


def _large(message):
    """Yield name and value of the unsigned numbers of a layer that Caffe's ``int`` cannot hold."""
    for field, value in message.ListFields():
        values = [value] if isinstance(value, int | Message) else value
        if field.cpp_type == FieldDescriptor.CPPTYPE_UINT32:
            yield from ((field.name, each) for each in values if each > LARGEST)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE and field.name != "blobs":
            for each in values:
                yield from _large(each)


def check_size(shape, what):
    """Raise a `UserError` for the shape of a blob that Caffe refuses, whatever its images.

    Parameters
    ----------
    shape : tuple of int
        Leading axis: images.
    what : str
        Begins the message.
    """
    if min(shape, default=0) < 0 or max(*shape, prod(shape[1:]), 0) > LARGEST:
        raise UserError(
            f"{what}: shape {tuple(shape)}, expected no negative size and at most {LARGEST} "
            "numbers, as in Caffe"
        )


def column(vector, axes=4):
    """Return a vector over channels shaped to be added to (N, C, ...) blobs of `axes` axes."""
    return vector.reshape((1, vector.size) + (1,) * (axes - 2))
