"""The forward pass of one image: its input, every convolution's feature maps, its prediction."""

import numpy as np

from cnnvis.core.arrays import check_finite, write_arrays, write_npy
from cnnvis.core.files import atomic, read_json, write_json
from cnnvis.inputs.labels import read_labels

TOP = 5


def make_forward(model, preprocessing, source, files, *, crop=None, threads=None):
    """Preprocess one image, run the network on it, and write what it gives.

    Parameters
    ----------
    model : Model
    preprocessing : Preprocessing
    source : str or Path
        The image, as `cnnvis.inputs.images.read_image` takes it.
    files : Places
        Of the image. Written are ``input``, the preprocessed image, float32 (channels, height,
        width); ``picture``, the same as a PNG; ``blobs``, every convolution's blob, (filters,
        height, width), as layers in place (ReLU) leave it, and the score, (classes,); and
        ``prediction``, see `predict`.
    crop : list of int, optional
        [top, left, height, width] in pixels of the original.
    threads : int, optional

    Raises
    ------
    UserError
        If a file, the crop or the score blob is not usable, or a blob is not finite.
    """
    model.check_neuron(0)
    values = preprocessing(source, crop)
    convolutions = (convolution.blob for convolution in model.info.convolutions.values())
    outputs = list(dict.fromkeys([*convolutions, model.score]))
    with model.open(threads) as network:
        blobs = network.forward(values[np.newaxis], outputs)
    arrays = {name: blobs[name][0] for name in outputs}
    arrays[model.score] = arrays[model.score].reshape(-1)
    for name, array in arrays.items():
        check_finite(array, f"{model.weights}: blob '{name}' of {source}")
    write_npy(files("input"), values)
    write_picture(files("picture"), preprocessing.undo(values))
    write_arrays(files("blobs"), arrays)
    write_json(files("prediction"), predict(arrays[model.score], model.score))


def write_picture(path, pixels):
    """Write pixels, uint8 (height, width[, 3]), as PNG."""
    from PIL import Image

    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG", optimize=True)


def read_prediction(path, labels=None):
    """Read what `predict` gives, with the ``label`` of each class; the file does not depend on it.

    Parameters
    ----------
    path : str or Path
    labels : str or Path, optional
        Class names, one per line.

    Raises
    ------
    UserError
        If a file cannot be read, or the labels are not as many as the classes.
    """
    prediction = read_json(path)
    names = read_labels(labels, prediction["classes"])
    top = [{**choice, "label": names[choice["index"]]} for choice in prediction["top"]]
    return {**prediction, "top": top}


def predict(scores, score):
    """Rank classes.

    Parameters
    ----------
    scores : ndarray, (classes,)
    score : str
        The blob's name.

    Returns
    -------
    dict
        ``score_blob``, ``classes``, ``probability`` ("softmax" or "score": where it comes from)
        and ``top``: up to five of ``{rank, index, score, probability}``, best first, the
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
                "score": float(scores[index]),
                "probability": float(probabilities[index]),
            }
            for rank, index in enumerate(best, 1)
        ],
    }


def to_probabilities(scores):
    """Return ``(probabilities, origin)`` of scores (..., classes).

    ASSUME: scores that are all between 0 and 1 and sum to 1 are the network's own softmax
    ("score"); a second softmax would make every class equally likely. Others get one ("softmax").

    Examples
    --------
    >>> to_probabilities(np.array([0.0, 0.0]))
    (array([0.5, 0.5]), 'softmax')
    """
    values = np.asarray(scores, np.float64)
    sums = values.sum(axis=-1)
    if values.shape[-1] > 1 and (values >= 0).all() and (np.abs(sums - 1) < 1e-4).all():
        return values, "score"
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True), "softmax"


def log_probabilities(scores):
    """Return the natural logarithm of `to_probabilities`, (..., classes)."""
    probabilities, origin = to_probabilities(scores)
    if origin == "score":
        return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    values = np.asarray(scores, np.float64)
    # The logarithm of a probability that is too small for its type is still a number.
    shifted = values - values.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
