"""Match the weights in a file to the layers of a network, by name and shape."""

import numpy as np

from cnnvis.core.errors import UserError

_SHOWN = 4


def match_weights(source, expected, *, path, surplus="error"):
    """Return each layer's weights, or say in one line why they do not fit.

    The rules are Caffe's (``Net::CopyTrainedLayersFrom``, ``Blob::ShapeEquals``): layers match by
    name, a layer's blobs by number and shape, and a legacy blob of four axes matches a shape of
    fewer axes if the additional ones are 1 and in front. Three cases that Caffe ignores silently
    are errors here: a layer that `source` lacks (Caffe leaves random weights), one that only
    `source` has, and NaN or infinity, as of a training that diverged.

    Parameters
    ----------
    source : dict of str to list of ndarray
        From `cnnvis.caffe.caffemodel.read_caffemodel`, or a user's own.
    expected : dict of str to list of tuple of int
        The shapes of each layer's blobs; the list of a layer without weights is empty.
    path : str or Path
        Where `source` comes from, for messages.
    surplus : {"error", "ignore"}
        What to do with layers that only `source` has.

    Returns
    -------
    dict of str to list of ndarray
        In the order of `expected`, each array in its expected shape, views where possible.

    Raises
    ------
    UserError
        If weights do not fit or are not finite, naming file, layers and shapes.

    >>> import numpy as np
    >>> bias = np.zeros((1, 1, 1, 96), np.float32)
    >>> match_weights({"conv1": [bias]}, {"conv1": [(96,)]}, path="x")["conv1"][0].shape
    (96,)
    """
    problems = []
    for layer, shapes in expected.items():
        problems += _compare(layer, source.get(layer, []), shapes)
    unknown = [layer for layer in source if layer not in expected]
    if unknown and surplus != "ignore":
        names = ", ".join(map(repr, unknown[:_SHOWN]))
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        problems.append(
            f"the network has no layer with weights named {names}{more} "
            "(to ignore them, as Caffe does, set surplus_weights: ignore)"
        )
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise UserError(f"{path}: " + "; ".join(problems[:_SHOWN] + more))
    return {
        layer: [
            np.reshape(array, shape) for array, shape in zip(source[layer], shapes, strict=True)
        ]
        for layer, shapes in expected.items()
        if shapes
    }


def _compare(layer, arrays, shapes):
    """Return how one layer's blobs differ from what is expected, as a list of phrases."""
    if len(arrays) != len(shapes):
        stored = _list(map(np.shape, arrays)) if len(arrays) else "no weights"
        return [f"layer {layer!r}: expected {_list(shapes) or 'no weights'}, found {stored}"]
    found = [_misfit(array, tuple(shape)) for array, shape in zip(arrays, shapes, strict=True)]
    return [f"layer {layer!r} blob {index}: {why}" for index, why in enumerate(found) if why]


def _misfit(array, shape):
    """Return what is wrong with one blob, or None."""
    if not _fits(np.shape(array), shape):
        return f"expected {shape}, found {np.shape(array)}"
    bad = np.size(array) - np.count_nonzero(np.isfinite(array))
    return f"{bad} of {np.size(array)} values are NaN or infinite" if bad else None


def _list(shapes):
    return ", ".join(str(tuple(shape)) for shape in shapes)


def _fits(shape, expected):
    # ASSUME: an array of four axes may be a legacy blob. Caffe knows from the file whether it is,
    # and refuses that shape in the current form, which no file written by Caffe contains.
    padded = (1,) * (4 - len(expected)) + expected
    return shape == expected or (len(shape) == 4 and shape == padded)
