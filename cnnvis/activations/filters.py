"""The filters of a layer in one picture: the weights themselves."""

import numpy as np

from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.matching import match_weights
from cnnvis.core.files import read_json, safe_name
from cnnvis.core.sheets import draw_sheet, draw_tensor


def make_filters(files, model, *, layers, network, channel_order="BGR"):
    """Draw the filters of layers; the weights are read once for all.

    Parameters
    ----------
    files : Places
        Of the network. Written are ``filters`` and, of shared orderings, ``ordered filters``; read
        is each ``shared ordering``.
    model : Model
    layers : dict
        ``{layer: names of its shared orderings}``.
    network : str
    channel_order : {"BGR", "RGB"}
        Of the network's input.

    Raises
    ------
    UserError
        If a file or a layer is not usable.
    """
    for layer, weights in read_weights(model, list(layers)).items():
        where, title = {"layer": safe_name(layer)}, f"Filters of {layer} in {network}"
        draw_filters(files("filters", **where), weights, layer, title, channel_order)
        for name in layers[layer]:
            order = read_json(files("shared ordering", ordering=name, **where))["permutation"]
            picture, its = (
                files("ordered filters", ordering=name, **where),
                f"{title}, {name} order",
            )
            draw_filters(picture, weights, layer, its, channel_order, order)


def draw_filters(picture, weights, layer, title, channel_order="BGR", order=None):
    """Draw the filters of one layer.

    Filters over three channels are colour pictures: mid grey is 0, and the colours that a filter
    responds to are the colours it is drawn in. Filters over other numbers of channels are drawn
    as their channels side by side, red positive and blue negative.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    weights : ndarray, (filters, channels, kh, kw) or (filters, channels)
        All values finite.
    layer, title : str
    channel_order : {"BGR", "RGB"}
        Of three channels.
    order : sequence of int, optional
        Of the filters, by default the network's.
    """
    if weights.ndim != 4 or weights.shape[1] != 3:
        what = f"The weights of each filter of layer {layer}"
        draw_tensor(picture, weights, title=title, what=what, label="weight", order=order)
        return
    largest, order = np.abs(weights).max(), range(len(weights)) if order is None else order
    draw_sheet(
        picture,
        to_colours(weights, channel_order)[order],
        order,
        title=title,
        caption=f"The {len(weights)} filters of layer {layer}, with {weights.shape[2]} x "
        f"{weights.shape[3]} weights for each of the three colours. Mid grey is 0; the lightest "
        f"and the darkest are +{largest:.3g} and -{largest:.3g}, the largest magnitude in the "
        "layer.",
    )


def to_colours(values, channel_order="BGR"):
    """Scale filters over three channels to RGB in [0, 1]: 0 becomes 0.5, over the whole layer.

    Parameters
    ----------
    values : ndarray, (filters, 3, height, width)
    channel_order : {"BGR", "RGB"}

    Returns
    -------
    ndarray, (filters, height, width, 3)
    """
    largest = np.abs(values).max() or 1
    colours = 0.5 + 0.5 * values.transpose(0, 2, 3, 1) / largest
    return colours[..., ::-1] if channel_order == "BGR" else colours


def read_weights(model, layers):
    """Read the weights of layers from a ``.caffemodel``, in the shapes the network gives them.

    Parameters
    ----------
    model : Model
    layers : list of str

    Returns
    -------
    dict
        ``{layer: ndarray}``.

    Raises
    ------
    UserError
        If a layer has no weights in the network or the file, or they are not finite.
    """
    model.check_layers(layers)
    stored = read_caffemodel(model.weights)
    shapes = {layer: [model.info.layers_with_weights[layer]] for layer in layers}
    kernels = {layer: stored.get(layer, [])[:1] for layer in layers}
    matched = match_weights(kernels, shapes, path=model.weights)
    return {layer: weights for layer, (weights,) in matched.items()}
