"""A network as a list of steps, for a forward pass outside of Python: that of a page.

``cnnvis/pages/viewer/forward.js`` runs it. It knows the layers of small classifiers only, and what
it lacks is refused here with a reason.
"""

import json
import math

import numpy as np

from cnnvis.core.arrays import packed
from cnnvis.core.files import atomic
from cnnvis.engines.numpy.layers.pooling import MAX

# A page has to load the weights whole.
LARGEST = 5_000_000


class LackingError(Exception):
    """The message says what the forward pass of the pages lacks."""


def refusal(graph, score):
    """Return why a network cannot be run by a page, one sentence; "" where it can.

    Parameters
    ----------
    graph : cnnvis.engines.numpy.graph.Graph
    score : str
        The blob that is wanted.
    """
    try:
        program = make_program(graph, score)
    except LackingError as lacking:
        return str(lacking)
    size = 4 * sum(math.prod(shape) for step in program["steps"] for shape in step["weights"])
    if size > LARGEST:
        return f"Its weights are too large for a page: {size / 1e6:.0f} MB, at most 5."
    return ""


def make_program(graph, score):
    """Return what a forward pass of one image needs to know but for the weights.

    Parameters
    ----------
    graph : cnnvis.engines.numpy.graph.Graph
    score : str

    Returns
    -------
    dict
        ``shapes`` of all values, without the images' axis; ``input`` and ``score``, numbers of
        values; ``steps``, each with its ``kind``, the ``layer``, numbers of ``bottoms`` and
        ``tops``, the shapes of its ``weights``, and numbers of its own.

    Raises
    ------
    LackingError
        If a layer or an option is not known to the pages.
    """
    if len(graph.inputs) != 1:
        raise LackingError("It has several inputs.")
    shapes, weights = graph.shapes(graph.inputs)
    steps = []
    for node in graph.ancestors([graph.value(score)]):
        layer = node.layer
        if layer.param.type not in KINDS:
            known = f"layer {layer.name} is of type {layer.param.type}, which pages do not compute"
            raise LackingError(f"Its {known}.")
        steps.append(
            {
                "layer": layer.name,
                "bottoms": node.bottoms,
                "tops": node.tops,
                "weights": weights.get(layer.name, []),
                **KINDS[layer.param.type](layer, [shapes[value] for value in node.bottoms]),
            }
        )
    return {
        "shapes": [shape[1:] for shape in shapes],
        "input": graph.input_values[0],
        "score": graph.value(score),
        "steps": steps,
    }


def weights_of(engine, program):
    """Return the weights of a program's steps, one behind the other: ndarray of float32."""
    params = [a for step in program["steps"] for a in engine.params.get(step["layer"], [])]
    return np.concatenate([array.ravel() for array in params]).astype("<f4")


def write_program(path, model):
    """Write a network as a script that pages load: from a disk, they may read no other files.

    Parameters
    ----------
    path : str or Path
        The script: a call of ``cnnvisNetwork`` with what `make_program` returns, and all
        ``weights``, `packed`.
    model : Model
    """
    program = make_program(model.graph, model.score)
    with model.open(1, engine="numpy") as engine:
        program["weights"] = packed(weights_of(engine, program))
    with atomic(path) as temporary:
        text = json.dumps(program, separators=(",", ":"))
        temporary.write_text(f"cnnvisNetwork({text});\n", encoding="ascii")


def _require(layer, condition, option):
    if not condition:
        kind = layer.param.type
        raise LackingError(
            f"Its layer {layer.name} is a {kind} {option}, which pages do not compute."
        )


def _convolution(layer, bottoms):
    _require(layer, len(bottoms) == 1, "of several blobs")
    window = layer.window
    sides = {key: getattr(window, key) for key in ("kernel", "stride", "pad", "dilation")}
    return {"kind": "convolution", "group": layer.group, **sides}


def _pooling(layer, bottoms):
    _require(layer, len(layer.param.top) == 1, "with a mask")
    kernel = bottoms[0][2:] if layer.pooling.global_pooling else layer.kernel
    kind = "maximum" if layer.pooling.pool == MAX else "average"
    return {"kind": kind, "kernel": kernel, "stride": layer.stride, "pad": layer.pad}


def _lrn(layer, bottoms):
    _require(layer, not layer.within, "within channels")
    numbers = {key: getattr(layer, key) for key in ("reach", "factor", "k", "beta")}
    return {"kind": "lrn", **numbers}


def _product(layer, bottoms):
    plain = not layer.inner.transpose and layer.axis(layer.inner.axis, bottoms[0]) == 1
    _require(layer, plain, "along other axes")
    return {"kind": "product"}


def _softmax(layer, bottoms):
    _require(layer, layer.axis(layer.param.softmax_param.axis, bottoms[0]) == 1, "along other axes")
    return {"kind": "softmax"}


def _concat(layer, bottoms):
    _require(layer, layer.along(bottoms[0]) == 1, "along other axes")
    return {"kind": "concat"}


def _view(layer, bottoms):
    return {"kind": "view"}


KINDS = {
    "Convolution": _convolution,
    "ReLU": lambda layer, bottoms: {"kind": "relu", "slope": layer.slope},
    "Pooling": _pooling,
    "LRN": _lrn,
    "InnerProduct": _product,
    "Softmax": _softmax,
    "Concat": _concat,
    **dict.fromkeys(("Dropout", "Split", "Flatten"), _view),
}
"""The layers that ``forward.js`` computes, and the numbers that it needs of each."""
