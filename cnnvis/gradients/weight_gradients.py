"""The gradient of one neuron with respect to a layer's weights: arrays, volumes, pictures.

A layer's weights, and so their gradient, are a tensor (filters, channels, kh, kw). As a volume it
is (filters, kh * rows, kw * columns): one slice per filter, its channels as tiles, row after row.
``rows`` is the largest divisor of the number of channels not above its root. For conv2 of
CaffeNet, (256, 48, 5, 5), that is 6 x 8 tiles of 5 x 5, a volume of 40 x 30 x 256::

            kw = 5
           +----+----+----+- ... -+----+
    kh = 5 | c0 | c1 | c2 |       | c7 |      x runs along kw, then along the columns of tiles
           +----+----+----+- ... -+----+      y runs along kh, then along the rows of tiles
           | c8 | c9 |                        z is the filter
           +----+----+
           |   ...        (6 rows of tiles)

Three channels (conv1) stand side by side: (96, 3, 11, 11) becomes 33 x 11 x 96.

Bytes are ``rint(127.5 + 127.5 * v / scale)`` with ``scale = max |v|`` of the layer unless given:
255 is the most positive gradient, 0 the most negative, and a gradient of 0 is 128 everywhere
(127.5 rounds to even). Weights of an inner product (outputs, inputs) are (outputs, inputs, 1, 1).
"""

import numpy as np

from cnnvis.core.arrays import check_finite, factor, read_array, write_arrays
from cnnvis.core.drawing import Colours, draw_sheet
from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import scale_of, tile_channels, to_signed_bytes, write_volume


def make_gradients(
    prototxt,
    weights,
    input,
    output_npz,
    *,
    engine,
    score,
    cls,
    layers,
    threads=None,
    surplus="error",
    engine_options=None,
):
    """Compute d score[cls] / d weights for one image and write it, layer by layer.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    input : str or Path
        ``input.npy`` of `cnnvis.inputs.images.make_input`.
    output_npz : str or Path
        ``{layer: (filters, channels, kh, kw)}``, as the engine gives it.
    engine : str
        Of `cnnvis.open_network`.
    score : str
        The blob whose elements are the neurons.
    cls : int
        Which of them.
    layers : list of str
        Layers with weights.
    threads : int, optional
    surplus : {"error", "ignore"}
    engine_options : dict, optional
        Further options of `cnnvis.open_network`: ``input_shape``, ``python``.

    Raises
    ------
    UserError
        If a file, the class or a layer is not usable.
    """
    from cnnvis.activations.forward import read_input
    from cnnvis.engines import open_network
    from cnnvis.engines.inspection import inspect

    network = inspect(prototxt, (engine_options or {}).get("input_shape"))
    check_neuron(network, prototxt, score, cls)
    check_layers(network, prototxt, layers)
    batch = read_input(input, network.input_shape)[np.newaxis]
    options = {"engine": engine, "threads": threads, "surplus": surplus, **(engine_options or {})}
    with open_network(prototxt, weights, **options) as opened:
        found = opened.weight_gradient(batch, score, cls, list(layers))
    gradients = {layer: found[layer][0] for layer in layers}
    for layer, gradient in gradients.items():
        check_finite(gradient, f"{input}: gradient of {score}[{cls}] at layer '{layer}'")
    write_arrays(output_npz, gradients)


def check_neuron(network, prototxt, score, cls):
    """Raise a `UserError` unless blob `score` exists and has an element `cls`."""
    if score not in network.blobs:
        raise UserError(
            f"{prototxt}: score blob '{score}' does not exist; blobs: {', '.join(network.blobs)}"
        )
    size = int(np.prod(network.blobs[score]))
    if not 0 <= cls < size:
        raise UserError(
            f"{prototxt}: class {cls} is outside score blob '{score}', which has 0 to {size - 1}"
        )


def check_layers(network, prototxt, layers):
    """Raise a `UserError` unless every layer has weights."""
    for layer in layers:
        if layer not in network.layers_with_weights:
            raise UserError(
                f"{prototxt}: layer '{layer}' has no weights; layers that have: "
                f"{', '.join(network.layers_with_weights)}"
            )


def make_gradient_volume(gradients_npz, vox, picture, *, layer, title, scale=None):
    """Write one layer's gradient as a volume with its headers, and as a picture.

    Parameters
    ----------
    gradients_npz : str or Path
        Of `make_gradients`.
    vox, picture : str or Path
        The volume (headers take its name) and the PNG.
    layer, title : str
    scale : float, optional
        The magnitude that becomes 0 and 255, for a common scale of several images; by default
        the largest magnitude of this one. Larger values are cut.

    Raises
    ------
    UserError
        If the file has no such layer.
    """
    gradient = read_array(gradients_npz, layer, "gradient of layer")
    write_volume(vox, to_signed_bytes(tile_channels(gradient), scale))
    what = f"The gradient at each filter of layer {layer}"
    draw_tensor(picture, gradient, title=title, what=what, label="gradient", scale=scale)


def draw_tensor(picture, tensor, *, title, what, label, scale=None):
    """Draw weights or their gradient, one tile per filter, zero white, red positive.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    tensor : ndarray, (filters, channels, kh, kw) or (filters, channels)
    title, label : str
        Of the picture and of its colour bar.
    what : str
        Begins the caption: what each tile is.
    scale : float, optional
        Magnitude of full colour; by default the largest in `tensor`.
    """
    scale = scale_of(tensor, scale)
    channels = tensor.shape[1]
    rows, columns = factor(channels)
    if channels == 1:
        layout = ""
    elif rows == 1:
        layout = f" with its {channels} channels side by side"
    else:
        layout = f" with its {channels} channels as {rows} x {columns} tiles, row after row"
    draw_sheet(
        picture,
        tile_channels(tensor),
        range(len(tensor)),
        title=title,
        caption=f"{what}{layout}; the number above is the filter's. White is 0, red positive, "
        f"blue negative; full colour is {scale:.3g} in magnitude.",
        label=label,
        colours=Colours("RdBu_r", -scale, scale),
    )
