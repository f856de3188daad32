"""One forward pass of one image: every convolution's output, the score, and what it says."""

import re

import numpy as np

from cnnvis.core.arrays import check_finite, first_line, write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.inputs.labels import read_labels

TOP = 5
SYNSET = re.compile(r"n\d{8}\s+")


def make_activations(
    prototxt,
    weights,
    input,
    blobs,
    prediction,
    *,
    engine,
    score,
    labels=None,
    threads=None,
    surplus="error",
    engine_options=None,
):
    """Run the network on one image; write its blobs and its prediction.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    input : str or Path
        ``input.npy`` of `cnnvis.inputs.images.make_input`.
    blobs : str or Path
        Becomes an ``.npz``: every convolution's blob, (filters, height, width), as layers in place
        (ReLU) leave it, and the score, (classes,).
    prediction : str or Path
        Becomes the JSON of `predict`.
    engine : str
        Of `cnnvis.open_network`.
    score : str
        The blob whose elements are the neurons.
    labels : str or Path, optional
        Text file, one class name per line.
    threads : int, optional
    surplus : {"error", "ignore"}
    engine_options : dict, optional
        Further options of `cnnvis.open_network`: ``input_shape``, ``python``.

    Raises
    ------
    UserError
        If a file or the score blob is not usable, or a blob is not finite.
    """
    from cnnvis.engines import open_network
    from cnnvis.engines.inspection import inspect

    network = inspect(prototxt, (engine_options or {}).get("input_shape"))
    classes = count_classes(network.blobs, score, prototxt)
    names = read_labels(labels, classes)
    batch = read_input(input, network.input_shape)[np.newaxis]
    wanted = list(dict.fromkeys([*(c.blob for c in network.convolutions.values()), score]))
    options = {"engine": engine, "threads": threads, "surplus": surplus, **(engine_options or {})}
    with open_network(prototxt, weights, **options) as opened:
        found = opened.forward(batch, wanted)
    arrays = {name: found[name][0] for name in wanted}
    arrays[score] = arrays[score].reshape(-1)
    for name, array in arrays.items():
        check_finite(array, f"{weights}: blob '{name}' of {input}")
    write_arrays(blobs, arrays)
    write_json(prediction, predict(arrays[score], names, score))


def predict(scores, names, score):
    """Rank classes.

    Parameters
    ----------
    scores : ndarray, (classes,)
    names : list of str
        One label per class.
    score : str
        The blob's name.

    Returns
    -------
    dict
        ``score_blob``, ``classes``, ``probability`` ("softmax" or "score": where it comes from)
        and ``top``: up to five of ``{rank, index, label, score, probability}``, best first, the
        lower index first where scores are equal.
    """
    probabilities, origin = to_probabilities(scores)
    best = np.argsort(-scores, kind="stable")[:TOP]
    return {
        "score_blob": score,
        "classes": len(scores),
        "probability": origin,
        "top": [
            {
                "rank": rank,
                "index": int(index),
                "label": names[index],
                "score": float(scores[index]),
                "probability": float(probabilities[index]),
            }
            for rank, index in enumerate(best, 1)
        ],
    }


def to_probabilities(scores):
    """Return ``(probabilities, origin)`` of scores.

    ASSUME: scores that are all between 0 and 1 and sum to 1 are the network's own softmax
    ("score"); a second softmax would make every class equally likely. Others get one ("softmax").

    Examples
    --------
    >>> to_probabilities(np.array([0.0, 0.0]))
    (array([0.5, 0.5]), 'softmax')
    """
    values = np.asarray(scores, np.float64)
    if len(values) > 1 and (values >= 0).all() and abs(values.sum() - 1) < 1e-4:
        return values, "score"
    powers = np.exp(values - values.max())
    return powers / powers.sum(), "softmax"


def count_classes(blobs, score, prototxt):
    """Return the number of classes of the score blob.

    Parameters
    ----------
    blobs : dict
        ``{blob: shape}``, without the images' axis.
    score : str
    prototxt : str or Path
        For error messages.

    Raises
    ------
    UserError
        If there is no such blob, or it is a map of scores, (classes, height, width): neurons
        are single numbers, and which position's is meant cannot be guessed.
    """
    if score not in blobs:
        raise UserError(
            f"{prototxt}: score blob '{score}' does not exist; blobs: {', '.join(blobs)}"
        )
    shape = tuple(blobs[score])
    if not shape or np.prod(shape) != shape[0]:
        raise UserError(
            f"{prototxt}: score blob '{score}' has shape {shape}, expected one number per class; "
            "choose a blob behind the pooling, or add a global one"
        )
    return shape[0]


def read_input(path, shape):
    """Read a preprocessed image, (channels, height, width).

    Raises
    ------
    UserError
        If it cannot be read or is not of the network's input shape.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as .npy ({first_line(error)})") from error
    if values.shape != tuple(shape):
        raise UserError(f"{path}: has shape {values.shape}, the network's input is {tuple(shape)}")
    return values
