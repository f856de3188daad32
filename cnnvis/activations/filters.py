"""The filters of a layer in one picture: the weights themselves."""

import numpy as np

from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.matching import match_weights
from cnnvis.core.arrays import check_finite
from cnnvis.core.sheets import draw_sheet, draw_tensor


def make_filters(model, pictures, *, titles, channel_order="BGR"):
    """Draw the filters of layers; the weights are read once for all.

    Parameters
    ----------
    model : Model
    pictures : dict
        ``{layer: PNG}``.
    titles : dict
        ``{layer: title of its picture}``.
    channel_order : {"BGR", "RGB"}
        Of the network's input.

    Raises
    ------
    UserError
        If a file or a layer is not usable.
    """
    for layer, weights in read_weights(model, list(pictures)).items():
        draw_filters(pictures[layer], weights, layer, titles[layer], channel_order)


def draw_filters(picture, weights, layer, title, channel_order="BGR"):
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
    """
    if weights.ndim != 4 or weights.shape[1] != 3:
        what = f"The weights of each filter of layer {layer}"
        draw_tensor(picture, weights, title=title, what=what, label="weight")
        return
    largest = np.abs(weights).max()
    draw_sheet(
        picture,
        to_colours(weights, channel_order),
        range(len(weights)),
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
    for layer, (weights,) in matched.items():
        check_finite(weights, f"{model.weights}: weights of layer '{layer}'")
    return {layer: weights for layer, (weights,) in matched.items()}
