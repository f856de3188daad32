"""The interface of all layer types."""

from cnnvis.core.errors import UserError

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
    """

    scope = "image"
    is_view = False
    shares_memory = False
    overwrites = False
    needs_top = True

    def __init_subclass__(cls):
        # A class whose name begins with an underscore is a base of layer types.
        if cls.__name__[0] != "_":
            LAYERS[cls.__name__] = cls

    def __init__(self, param):
        self.param = param
        self.name = param.name

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


def column(vector, axes=4):
    """Return a vector over channels shaped to be added to (N, C, ...) blobs of `axes` axes."""
    return vector.reshape((1, vector.size) + (1,) * (axes - 2))
