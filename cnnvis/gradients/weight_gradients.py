"""The gradient of one neuron with respect to weights and pixels, for one image: one backward pass.

`cnnvis.gradients.layers` makes volumes and pictures of it.
"""

import numpy as np

from cnnvis.core.arrays import check_finite, write_arrays, write_npy
from cnnvis.gradients.attributions import attribute, saliency_map


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
