"""All feature maps of a layer in one picture, and the layer's filters themselves."""

import numpy as np

from cnnvis.core.arrays import check_finite
from cnnvis.core.colours import Colours
from cnnvis.core.errors import UserError
from cnnvis.core.sheets import draw_sheet, draw_tensor

# A few outliers would leave everything else black.
WHITE = 99.8


def draw_grid(picture, feature_maps, permutation, *, layer, method, title):
    """Draw all feature maps of one layer, numbered, in one grey scale.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    feature_maps : ndarray, (filters, height, width)
        All values finite.
    permutation : sequence of int, (filters,)
        Which filter is at each position.
    layer, method, title : str
        The method of the ordering is named in the caption.
    """
    low, high, extend = grey_limits(feature_maps)
    count, height, width = feature_maps.shape
    share = f", which {100 - WHITE:.1f} % of the values exceed" if extend == "max" else ""
    draw_sheet(
        picture,
        feature_maps[permutation],
        permutation,
        title=title,
        caption=f"The feature maps of the {count} filters of layer {layer} ({width} x {height} "
        f"values each), in the order '{method}'. The number above each is the filter's. All have "
        f"one grey scale: black is {low:.3g}, the layer's minimum, and white is {high:.3g}{share}.",
        label="output of the filter",
        colours=Colours("gray", low, high, extend),
    )


def grey_limits(outputs):
    """Return ``(low, high, extend)`` of the grey scale of filter outputs.

    `low` is the minimum; `high` the `WHITE` percentile, or the maximum where that is not above
    the minimum. `extend` is the colour bar's: "max" where values lie above `high`.
    """
    low, top = float(outputs.min()), float(outputs.max())
    high = float(np.percentile(outputs, WHITE))
    if high <= low:
        high = top
    if high <= low:
        return low, low + 1, "neither"
    return low, high, "max" if top > high else "neither"


def make_filters(model, pictures, *, network, channel_order="BGR"):
    """Draw the filters of layers; the weights are read once for all.

    Parameters
    ----------
    model : Model
    pictures : dict
        ``{layer: PNG}``.
    network : str
        Its name, for the titles.
    channel_order : {"BGR", "RGB"}
        Of the network's input.

    Raises
    ------
    UserError
        If a file or a layer is not usable.
    """
    for layer, weights in read_weights(model, list(pictures)).items():
        title = f"Filters of {layer} in {network}"
        draw_filters(
            pictures[layer], weights, layer=layer, title=title, channel_order=channel_order
        )


def draw_filters(picture, weights, *, layer, title, channel_order="BGR"):
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
    from cnnvis.caffe.caffemodel import read_caffemodel
    from cnnvis.caffe.matching import match_weights

    model.check_layers(layers)
    stored = read_caffemodel(model.weights)
    for layer in layers:
        if layer not in stored:
            raise UserError(
                f"{model.weights}: no weights of layer '{layer}'; it has {', '.join(stored)}"
            )
    shapes = {layer: [model.info.layers_with_weights[layer]] for layer in layers}
    only = {layer: stored[layer][:1] for layer in layers}
    matched = match_weights(only, shapes, path=model.weights)
    for layer in layers:
        check_finite(matched[layer][0], f"{model.weights}: weights of layer '{layer}'")
    return {layer: matched[layer][0] for layer in layers}
