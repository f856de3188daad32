"""What all layer types have in common."""

from cnnvis.core.errors import UserError


class Layer:
    """One layer: shapes, then a pair of functions.

    Layers hold no state between calls: ``backward`` works from what ``forward`` was given and
    made, so one layer may serve several threads at once, each with its own image.

    Parameters
    ----------
    param : LayerParameter
        The layer's message in the prototxt.

    Attributes
    ----------
    scope : {"image", "batch", "mixed"}
        "image": each image of the batch is treated alone, and best one by one;
        "batch": each alone, but best all at once (one matrix product);
        "mixed": images depend on each other or the leading axis is not the images'.
    is_view : bool
        The tops are the first bottom, perhaps in another shape; nothing is computed.
    shares_memory : bool
        In Caffe the tops are the bottom's own memory: what changes one in place changes both.
    overwrites : bool
        ``forward`` may write its top over its bottom: ``backward`` can do without the latter.
        Elsewhere a layer that is in place in the prototxt gets memory of its own, so that the
        gradient is that of the values which were there.
    needs_top : bool
        ``backward`` looks at the tops, so nobody may overwrite them.
    """

    scope = "image"
    is_view = False
    shares_memory = False
    overwrites = False
    needs_top = True

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
        """Write what the layer computes from `bottoms` into `tops`."""
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
