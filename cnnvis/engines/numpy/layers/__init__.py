"""The layer types of the embedded engine: a class each, named as its type is in a prototxt."""

# Every module defines layer types, which are then the subclasses of Layer.
from cnnvis.engines.numpy.layers import (  # noqa: F401
    activations,
    convolution,
    elementwise,
    inner_product,
    normalisation,
    pooling,
    reductions,
    shaping,
)
from cnnvis.engines.numpy.layers.base import LAYERS, Layer

__all__ = ["LAYERS", "Layer"]
