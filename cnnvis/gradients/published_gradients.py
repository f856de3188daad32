"""Gradients that somebody published as arrays, in place of those of a network with weights."""

import numpy as np

from cnnvis.core.arrays import check_finite, read_npy, write_arrays
from cnnvis.core.errors import UserError


def import_gradients(path, arrays, shapes):
    """Write published gradients of one neuron as a backward pass would have written them.

    Parameters
    ----------
    path : str or Path
        The ``.npz`` to write, ``{layer: (filters, channels, kh, kw)}`` in float32.
    arrays : dict of str to path
        The ``.npy`` of each layer.
    shapes : dict of str to tuple of int
        The shape of each layer's weights, and so of its gradient.

    Raises
    ------
    UserError
        If a file cannot be read, does not have its layer's shape, or is not finite in float32.
    """
    write_arrays(
        path, {layer: read_gradient(arrays[layer], layer, shapes[layer]) for layer in arrays}
    )


def read_gradient(path, layer, shape):
    """Read the published gradient of a layer as float32, checked; see `import_gradients`."""
    values = read_npy(path)
    if values.shape != tuple(shape):
        raise UserError(
            f"{path}: has shape {values.shape}; expected {tuple(shape)}, the shape of the weights "
            f"of layer {layer}"
        )
    # Numbers that float32 cannot hold become infinite, and are reported as such.
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    check_finite(values, f"{path}: gradient of layer {layer}")
    return values
