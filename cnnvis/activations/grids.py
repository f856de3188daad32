"""All outputs of a layer in one picture, and the layer's filters themselves."""

import numpy as np

from cnnvis.activations.orderings import read_permutation
from cnnvis.core.arrays import check_finite, check_maps, read_array
from cnnvis.core.drawing import Colours, draw_sheet
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.gradients.weight_gradients import draw_tensor

# A few outliers would leave everything else black.
WHITE = 99.8


def make_grid(blobs, ordering, picture, *, layer, blob, title):
    """Draw all filter outputs of one layer, numbered, in one grey scale.

    Parameters
    ----------
    blobs : str or Path
        The image's ``blobs.npz``.
    ordering : str or Path
        JSON of `cnnvis.activations.orderings.make_ordering`.
    picture : str or Path
        The PNG.
    layer, blob : str
        The convolution and its blob, (filters, height, width).
    title : str

    Raises
    ------
    UserError
        If a file or the blob is not usable.
    """
    outputs = read_array(blobs, blob)
    check_maps(outputs, f"{blobs}: blob '{blob}'")
    permutation = read_permutation(ordering, len(outputs))
    method = read_json(ordering).get("method", "given")
    low, high, extend = grey_limits(outputs)
    count, height, width = outputs.shape
    cut = (
        ""
        if extend == "neither"
        else f", which the strongest {100 - WHITE:.1f} % of its values exceed"
    )
    draw_sheet(
        picture,
        outputs[permutation],
        permutation,
        title=title,
        caption=f"The output of each of the {count} filters of layer {layer} ({width} x {height} "
        f"values), in the order '{method}'; the number above is the filter's. One grey scale for "
        f"the whole layer: black is {low:.3g}, its minimum, white {high:.3g}{cut}.",
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


def make_filters(
    prototxt, weights, picture, *, layer, title, channel_order="BGR", input_shape=None
):
    """Draw the filters of one layer.

    Filters over three channels are colour pictures: mid grey is 0, and what a filter looks for is
    seen in its colours. Filters over other numbers of channels are their channels side by side,
    as in `cnnvis.gradients.weight_gradients`, red positive and blue negative.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    picture : str or Path
        The PNG.
    layer : str
        A layer with weights.
    title : str
    channel_order : {"BGR", "RGB"}
        Of the network's input.
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not say it itself.

    Raises
    ------
    UserError
        If a file or the layer is not usable.
    """
    values = read_weights(prototxt, weights, layer, input_shape)
    check_finite(values, f"{weights}: weights of layer '{layer}'")
    if values.ndim != 4 or values.shape[1] != 3:
        what = f"The weights of each filter of layer {layer}"
        draw_tensor(picture, values, title=title, what=what, label="weight")
        return
    largest = np.abs(values).max()
    draw_sheet(
        picture,
        to_colours(values, channel_order),
        range(len(values)),
        title=title,
        caption=f"The {len(values)} filters of layer {layer}, {values.shape[2]} x "
        f"{values.shape[3]} weights over three colours each. Mid grey is 0; the brightest and the "
        f"darkest are +{largest:.3g} and -{largest:.3g}, the largest magnitude in the layer.",
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


def read_weights(prototxt, weights, layer, input_shape=None):
    """Return the weights of one layer of a ``.caffemodel``, in the shape the network gives them.

    Raises
    ------
    UserError
        If the layer has no weights in the network or the file.
    """
    from cnnvis.caffe.caffemodel import read_caffemodel
    from cnnvis.caffe.matching import match_weights
    from cnnvis.engines.inspection import inspect

    shapes = inspect(prototxt, input_shape).layers_with_weights
    if layer not in shapes:
        raise UserError(
            f"{prototxt}: layer '{layer}' has no weights; layers that have: {', '.join(shapes)}"
        )
    stored = read_caffemodel(weights)
    if layer not in stored:
        raise UserError(f"{weights}: no weights of layer '{layer}'; it has {', '.join(stored)}")
    only = {layer: stored[layer][:1]}
    return match_weights(only, {layer: [shapes[layer]]}, path=weights)[layer][0]
