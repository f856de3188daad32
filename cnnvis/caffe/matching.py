"""Weights from a file, given to the layers of a network by name."""

import numpy as np

from cnnvis.core.errors import UserError

_SHOWN = 4


def match_weights(source, expected, *, path, surplus="error"):
    """Give each layer of a network its weights, or say in one line why that is impossible.

    The rules are Caffe's (``Net::CopyTrainedLayersFrom``, ``Blob::ShapeEquals``): layers match by
    name, a layer's blobs by number and shape, and a legacy blob of four axes matches a shape of
    fewer axes that has ones in front. Two things are stricter, because Caffe goes on in silence:
    a layer that `source` lacks (Caffe leaves random weights), and one that only `source` has.

    Parameters
    ----------
    source : dict of str to list of ndarray
        From `cnnvis.caffe.caffemodel.read_caffemodel`, or a user's own.
    expected : dict of str to list of tuple of int
        The shapes of each layer's blobs; layers without weights may be there with an empty list.
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
        Naming file, layers, expected and found shapes.

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
            "(set surplus_weights: ignore if that is deliberate, as Caffe does)"
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
    """Return what is wrong with one layer's blobs, as a list of phrases."""
    if len(arrays) != len(shapes):
        found = _list(map(np.shape, arrays)) if len(arrays) else "no weights"
        return [f"layer {layer!r}: expected {_list(shapes) or 'no weights'}, found {found}"]
    return [
        f"layer {layer!r} blob {index}: expected {tuple(shape)}, found {np.shape(array)}"
        for index, (array, shape) in enumerate(zip(arrays, shapes, strict=True))
        if not _fits(np.shape(array), tuple(shape))
    ]


def _list(shapes):
    return ", ".join(str(tuple(shape)) for shape in shapes)


def _fits(found, expected):
    # ASSUME: an array of four axes may be a legacy blob. Caffe knows from the file whether it is,
    # and refuses the same shape in the current form; that never occurs in files Caffe wrote.
    padded = (1,) * (4 - len(expected)) + expected
    return found == expected or (len(found) == 4 and found == padded)
