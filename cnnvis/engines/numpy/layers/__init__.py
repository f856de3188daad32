"""The layer types of the embedded engine, by their name in a prototxt."""

from cnnvis.engines.numpy.layers.activations import ACTIVATIONS
from cnnvis.engines.numpy.layers.base import Layer
from cnnvis.engines.numpy.layers.convolution import CONVOLUTIONS
from cnnvis.engines.numpy.layers.elementwise import ELEMENTWISE
from cnnvis.engines.numpy.layers.inner_product import INNER_PRODUCTS
from cnnvis.engines.numpy.layers.normalisation import NORMALISATIONS
from cnnvis.engines.numpy.layers.pooling import POOLINGS
from cnnvis.engines.numpy.layers.reductions import REDUCTIONS
from cnnvis.engines.numpy.layers.shaping import SHAPINGS

LAYERS = (
    ACTIVATIONS
    | CONVOLUTIONS
    | ELEMENTWISE
    | INNER_PRODUCTS
    | NORMALISATIONS
    | POOLINGS
    | REDUCTIONS
    | SHAPINGS
)

__all__ = ["LAYERS", "Layer"]
