"""Other ways to say what a neuron depends on, from the gradient and the weights or the image.

- gradient x weight: what each weight contributes to the score, to first order. Where a network is
  homogeneous in a layer's weights (ReLU, pooling, no biases above and in it), the contributions of
  that layer sum to the score itself (Euler's theorem).
- the gradient of the loss, ``-log softmax(score)[cls]``, instead of that of the score: it also
  knows the other classes, ``d loss / d w = sum_j (p_j - [j = cls]) d score_j / d w``.
- magnitudes of each of these.
- the gradient by the image: a saliency map (Simonyan, Vedaldi and Zisserman 2013, "Deep inside
  convolutional networks": the largest magnitude over the colours of a pixel).

Volumes are laid out as in `cnnvis.gradients.weight_gradients`. Signed kinds become bytes as there,
128 is 0; of
magnitudes, ``rint(255 * v / max)``, 0 is 0.
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.forward import read_input, to_probabilities
from cnnvis.core.arrays import check_finite, read_array, write_arrays
from cnnvis.core.drawing import Colours, draw_sheet
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic
from cnnvis.core.volume_files import tile_channels, to_signed_bytes, write_volume
from cnnvis.gradients.weight_gradients import check_layers, check_neuron, draw_tensor


@dataclass(frozen=True)
class Kind:
    """A kind of attribution: its name for people, and what it says."""

    title: str
    meaning: str
    signed: bool = True


KINDS = {
    "gradient_x_weight": Kind(
        "Gradient x weight",
        "What each weight contributes to the score, to first order. Red: without this weight the "
        "score would be lower; blue: higher.",
    ),
    "loss": Kind(
        "Gradient of the loss",
        "How the loss, -log of the probability of this class, would change. Blue: a larger weight "
        "makes this answer more probable, against all other classes; red: less.",
    ),
    "absolute_gradient": Kind(
        "Magnitude of the gradient",
        "How much the score depends on each weight, whichever way.",
        signed=False,
    ),
    "absolute_gradient_x_weight": Kind(
        "Magnitude of gradient x weight",
        "How much each weight contributes to the score, whichever way.",
        signed=False,
    ),
    "absolute_loss": Kind(
        "Magnitude of the gradient of the loss",
        "How much the probability of this class depends on each weight, whichever way.",
        signed=False,
    ),
}


def gradient_x_weight(gradient, weights):
    """Return what each weight contributes to the score, to first order.

    Parameters
    ----------
    gradient, weights : ndarray
        Of one shape.

    Returns
    -------
    ndarray
    """
    return gradient * weights


def loss_seed(scores, cls):
    """Return the derivative of the loss by each score.

    Parameters
    ----------
    scores : ndarray, (classes,)
    cls : int

    Returns
    -------
    ndarray of float64, (classes,)
        ``p_j - [j = cls]``; for scores that are probabilities already (see
        `cnnvis.activations.forward.to_probabilities`), ``-1 / p`` at `cls` and 0 elsewhere.

    Examples
    --------
    >>> loss_seed(np.array([0.0, 0.0]), 1)
    array([ 0.5, -0.5])
    """
    probabilities, origin = to_probabilities(scores)
    if origin == "score":
        seed = np.zeros(len(scores))
        seed[cls] = -1 / max(probabilities[cls], np.finfo(np.float64).tiny)
        return seed
    seed = probabilities.copy()
    # Not p - 1: of a probability near 1 that leaves only rounding.
    seed[cls] = -np.delete(probabilities, cls).sum()
    return seed


def absolute(values):
    """Return magnitudes."""
    return np.abs(values)


def saliency_map(gradient):
    """Return the largest magnitude over the colours of every pixel (Simonyan et al. 2013).

    Parameters
    ----------
    gradient : ndarray, (channels, height, width)

    Returns
    -------
    ndarray, (height, width)

    Examples
    --------
    >>> saliency_map(np.array([[[1.0, 0.0]], [[-3.0, 2.0]]]))
    array([[3., 2.]])
    """
    return np.abs(gradient).max(axis=0)


def make_attributions(
    prototxt,
    weights,
    input,
    gradients_npz,
    attributions_npz,
    data_gradient,
    saliency,
    *,
    engine,
    score,
    cls,
    kinds,
    layers,
    threads=None,
    surplus="error",
    engine_options=None,
):
    """Compute attributions of one neuron for one image; the network is loaded once for all.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    input : str or Path
        ``input.npy`` of `cnnvis.inputs.images.make_input`.
    gradients_npz : str or Path
        Of `cnnvis.gradients.weight_gradients.make_gradients`, for the same image and neuron.
    attributions_npz : str or Path
        Becomes ``{"kind/layer": array of the shape of the layer's weights}``.
    data_gradient, saliency : str or Path
        Become ``.npy``: d score[cls] / d input, (channels, height, width), and its `saliency_map`.
    engine : str
        Of `cnnvis.open_network`.
    score : str
        The blob whose elements are the neurons.
    cls : int
        Which of them.
    kinds : list of str
        Of `KINDS`; may be empty.
    layers : list of str
        Layers in `gradients_npz`.
    threads : int, optional
    surplus : {"error", "ignore"}
    engine_options : dict, optional
        Further options of `cnnvis.open_network`: ``input_shape``, ``python``.

    Raises
    ------
    UserError
        If a file, the class, a kind or a layer is not usable, or a result is not finite.
    """
    from cnnvis.engines import open_network
    from cnnvis.engines.inspection import inspect

    check_kinds(kinds)
    network = inspect(prototxt, (engine_options or {}).get("input_shape"))
    check_neuron(network, prototxt, score, cls)
    check_layers(network, prototxt, layers)
    batch = read_input(input, network.input_shape)[np.newaxis]
    gradients = {layer: read_array(gradients_npz, layer, "gradient of layer") for layer in layers}
    options = {"engine": engine, "threads": threads, "surplus": surplus, **(engine_options or {})}
    with open_network(prototxt, weights, **options) as opened:
        of_data = opened.data_gradient(batch, score, cls)[0]
        found = _attribute(opened, batch, score, cls, gradients, kinds)
    for name, array in {"data": of_data, **found}.items():
        check_finite(array, f"{input}: {name} of {score}[{cls}]")
    write_arrays(attributions_npz, found)
    for path, array in ((data_gradient, of_data), (saliency, saliency_map(of_data))):
        with atomic(path) as temporary, open(temporary, "wb") as stream:
            np.save(stream, array)


def check_kinds(kinds):
    """Raise a `UserError` unless all `kinds` are known."""
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"attributions: {kind!r} is unknown, expected {', '.join(KINDS)}")


def _attribute(network, batch, score, cls, gradients, kinds):
    """Return ``{"kind/layer": array}``, computing only what `kinds` need."""
    signed = {"gradient": gradients}
    plain = {kind.removeprefix("absolute_") for kind in kinds}
    if "gradient_x_weight" in plain:
        signed["gradient_x_weight"] = {
            layer: gradient_x_weight(gradient, network.params[layer][0].reshape(gradient.shape))
            for layer, gradient in gradients.items()
        }
    if "loss" in plain:
        signed["loss"] = loss_gradient(network, batch, score, cls, list(gradients))
    return {
        f"{kind}/{layer}": absolute(array) if kind.startswith("absolute_") else array
        for kind in kinds
        for layer, array in signed[kind.removeprefix("absolute_")].items()
    }


def loss_gradient(network, batch, score, cls, layers):
    """Return the gradient of ``-log softmax(score)[cls]`` with respect to weights.

    Parameters
    ----------
    network
        Of `cnnvis.open_network`.
    batch : ndarray, (1, C, H, W)
        One image.
    score : str
        The blob whose elements are the neurons.
    cls : int
    layers : list of str

    Returns
    -------
    dict
        ``{layer: array of the shape of its weights}``.
    """
    scores = network.forward(batch, [score])[score]
    seed = loss_seed(scores.reshape(-1), cls).reshape(scores.shape).astype(network.dtype)
    found = network.weight_gradient(batch, score, seed, layers)
    return {layer: array[0] for layer, array in found.items()}


def make_attribution_volume(attributions_npz, vox, picture, *, layer, kind, title):
    """Write one kind of attribution at one layer as a volume with its headers, and a picture.

    Parameters
    ----------
    attributions_npz : str or Path
        Of `make_attributions`.
    vox, picture : str or Path
        The volume (headers take its name) and the PNG.
    layer, kind, title : str

    Raises
    ------
    UserError
        If the kind is unknown or the file has no such layer.
    """
    check_kinds([kind])
    known = KINDS[kind]
    values = read_array(attributions_npz, f"{kind}/{layer}", "attribution")
    what = f"{known.title} at each filter of layer {layer}. {known.meaning} One tile per filter"
    label = known.title[0].lower() + known.title[1:]
    if known.signed:
        write_volume(vox, to_signed_bytes(tile_channels(values)))
        draw_tensor(picture, values, title=title, what=what, label=label)
        return
    write_volume(vox, to_magnitude_bytes(tile_channels(values)))
    largest = float(values.max()) or 1.0
    draw_sheet(
        picture,
        tile_channels(values),
        range(len(values)),
        title=title,
        caption=f"{what}, its channels as smaller ones; the number above is the filter's. Black is "
        f"0, the lightest colour {largest:.3g}.",
        label=label,
        colours=Colours("magma", 0, largest),
    )


def to_magnitude_bytes(values):
    """Scale magnitudes to bytes: 0 is 0, the largest 255.

    >>> to_magnitude_bytes(np.array([0.0, 1.0, 2.0]))
    array([  0, 128, 255], dtype=uint8)
    """
    largest = float(np.max(values)) or 1.0
    return np.rint(np.asarray(values, np.float64) * (255 / largest)).astype(np.uint8)
