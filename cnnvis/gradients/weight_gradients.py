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

Bytes are ``rint(127.5 + 127.5 * v / scale)`` with ``scale = max |v|`` of the layer:
255 is the most positive gradient, 0 the most negative, and a gradient of 0 is 128 everywhere
(127.5 rounds to even). Weights of an inner product (outputs, inputs) are (outputs, inputs, 1, 1).
"""

import numpy as np

from cnnvis.core.arrays import check_finite, read_array, write_arrays, write_npy
from cnnvis.core.files import safe_name
from cnnvis.core.sheets import draw_tensor
from cnnvis.core.volume_files import tile_channels, to_signed_bytes, write_volume
from cnnvis.gradients.attributions import KINDS, attribute, saliency_map


def make_gradients(model, preprocessing, files, *, cls, layers, kinds=(), threads=None, title):
    """Differentiate one neuron for one image, by weights and by pixels, and write the gradients.

    Parameters
    ----------
    model : Model
    preprocessing : Preprocessing
        Of the image, to draw it again.
    files : Places
        Of the image. Read is ``input``; written are ``gradients``, ``{layer: (filters, channels,
        kh, kw)}`` as the engine gives it; ``attributions``, ``{"kind/layer": array}``;
        ``data gradient``, (channels, height, width); ``saliency map``, (height, width); and
        ``saliency picture``.
    cls : int
        The neuron: an element of the score blob.
    layers : list of str
        Layers with weights.
    kinds : list of str
        Of `cnnvis.gradients.attributions.KINDS`.
    threads : int, optional
    title : str
        Of the picture.

    Raises
    ------
    UserError
        If a file, the class or a layer is not usable, or a result is not finite.
    """
    from cnnvis.gradients.saliency_figure import draw_saliency

    model.check_neuron(cls)
    model.check_layers(layers)
    values = model.read_input(files("input"))
    batch = values[np.newaxis]
    with model.open(threads) as network:
        weights, data = network.gradients(batch, model.score, cls, list(layers), data=True)
        gradients = {layer: weights[layer][0][0] for layer in layers}
        attributions = attribute(network, batch, model.score, cls, gradients, kinds)
    for name, array in {"data": data[0], **gradients, **attributions}.items():
        check_finite(array, f"{files('input')}: gradient of {model.score}[{cls}] at '{name}'")
    saliency = saliency_map(data[0])
    write_arrays(files("gradients", cls=cls), gradients)
    write_arrays(files("attributions", cls=cls), attributions)
    write_npy(files("data gradient", cls=cls), data[0])
    write_npy(files("saliency map", cls=cls), saliency)
    draw_saliency(files("saliency picture", cls=cls), data[0], values, preprocessing, title=title)


def make_gradient_layer(files, *, layer, cls, kinds=(), title):
    """Write one neuron's gradient at one layer, and its attributions, as volumes and pictures.

    Parameters
    ----------
    files : Places
        Of the image. Read are ``gradients`` and ``attributions``; written are
        ``gradient volume``, ``gradient picture`` and the same for each attribution.
    layer : str
    cls : int
    kinds : list of str
    title : str
        What the titles of pictures end with.

    Returns
    -------
    ndarray, (filters, channels, kh, kw)
        The gradient.

    Raises
    ------
    UserError
        If a file has no such layer.
    """
    where = {"cls": cls, "layer": safe_name(layer)}
    gradient = read_array(files("gradients", cls=cls), layer, "gradient of layer")
    paths = files("gradient volume", volume="vox", **where), files("gradient picture", **where)
    what = f"The gradient at each filter of layer {layer}"
    _write_tensor(*paths, gradient, title=f"Gradient {title}", what=what, label="gradient")
    for name in kinds:
        kind, where["attribution"] = KINDS[name], name
        _write_tensor(
            files("attribution volume", volume="vox", **where),
            files("attribution picture", **where),
            read_array(files("attributions", cls=cls), f"{name}/{layer}", "attribution"),
            title=f"{kind.title} {title}",
            what=f"{kind.title} at each filter of layer {layer}. {kind.meaning} "
            "One tile per filter",
            label=kind.title[0].lower() + kind.title[1:],
        )
    return gradient


def _write_tensor(volume, picture, tensor, **texts):
    write_volume(volume, to_signed_bytes(tile_channels(tensor)))
    draw_tensor(picture, tensor, **texts)
