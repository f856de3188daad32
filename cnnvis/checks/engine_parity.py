"""How far the embedded engine is from BVLC Caffe, blob by blob and gradient by gradient.

Differences are relative to the largest magnitude of the array, as rounding errors are. A gradient
in float32 may jump: where rounding decides on which side of zero the input of a ReLU lies, or which
of two almost equal pixels is a window's maximum, two correct engines differ by far more than
rounding. Such flips are counted and named, and float64 says how far each engine is from the exact
gradient.
"""

import logging
import time
from dataclasses import replace
from operator import itemgetter

import numpy as np

from cnnvis.checks.gradient_check import MAXIMA
from cnnvis.core.files import write_json
from cnnvis.engines.numpy.linear_regions import SWITCHES
from cnnvis.engines.numpy.workers import Work

TOLERANCE = 1e-5
ENGINES = ("numpy", "pycaffe")


def compare_engines(
    model, inputs, report, *, layers, classes, threads=None, network="", python=None
):
    """Compare the embedded engine with Caffe on one network; write a report.

    Parameters
    ----------
    model : cnnvis.engines.model.Model
        Of either engine.
    inputs : dict
        ``{image: path of its input.npy}``.
    report : str or Path
        Becomes the report, JSON; `summarise` says what is in it.
    layers : list of str
        Whose weights' gradients are compared.
    classes : dict
        ``{image: [neurons]}``.
    threads : int, optional
        By default every processor this process may run on.
    network : str
        Its name in the report.
    python : str, optional
        The interpreter that imports Caffe.

    Raises
    ------
    UserError
        Where an input does not fit, Caffe is not found, or either engine refuses the network.
    """
    batches = {image: model.read_input(path)[np.newaxis] for image, path in inputs.items()}
    caffe = replace(model, engine="pycaffe", python=python or model.python)
    with (
        model.open(threads, engine="numpy") as ours,
        caffe.open(threads) as theirs,
        model.open(threads, "float64", engine="numpy") as exact,
    ):
        engines, score = (ours, theirs, exact), model.score
        answers = [
            {"image": image, **compare_image(engines, score, batch, layers, classes.get(image, []))}
            for image, batch in batches.items()
        ]
    summary = summarise(answers)
    logging.info("%s", summary["sentence"])
    write_json(report, {"network": network, **summary})


def compare_image(engines, score, batch, layers, classes):
    """Compare what two engines compute of one image.

    Parameters
    ----------
    engines : sequence of 3 cnnvis.engines.base.Engine
        The embedded engine, Caffe, and the embedded engine in float64.
    score : str
    batch : ndarray of float32, (1, C, H, W)
    layers : list of str
    classes : list of int

    Returns
    -------
    dict
        ``blobs`` {blob: `difference`}; ``top1``, the first class by each engine; ``switches``, see
        `flips`; ``gradients`` {cls: {layer: difference}}; ``seconds`` {task: of each engine}; and
        ``float64``, {cls: {layer: how far each engine is from float64}}, where switches flipped.
    """
    *pair, exact = engines
    (ours, theirs), forward = _timed(pair, lambda engine: engine.forward(batch))
    seconds, gradients, distances = {"forward": forward}, {}, {}
    switches = flips(pair[0].graph, ours, theirs)
    for cls in classes:
        question = (batch, score, cls, layers)
        of_pair, seconds["gradient"] = _timed(pair, lambda net, q=question: net.weight_gradient(*q))
        gradients[cls] = {layer: difference(*(each[layer] for each in of_pair)) for layer in layers}
        if switches:
            right = exact.weight_gradient(*question)
            distances[cls] = {
                layer: [difference(each[layer], right[layer])["relative"] for each in of_pair]
                for layer in layers
            }
    return {
        "blobs": {name: difference(ours[name], theirs[name]) for name in ours if name in theirs},
        "top1": [int(each[score].argmax()) for each in (ours, theirs)],
        "switches": switches,
        "gradients": gradients,
        "float64": distances,
        "seconds": seconds,
    }


def _timed(pair, compute):
    """Return what each engine computes, and in how many seconds once it is warm."""
    results, seconds = [], []
    for engine in pair:
        compute(engine)
        start = time.perf_counter()
        results.append(compute(engine))
        seconds.append(time.perf_counter() - start)
    return results, seconds


def difference(values, expected):
    """Return the largest difference: absolute, and relative to the largest magnitude expected."""
    absolute = float(np.abs(values.astype(np.float64) - expected).max(initial=0))
    largest = float(np.abs(expected).max(initial=0))
    return {"absolute": absolute, "relative": absolute / largest if largest else absolute}


def flips(graph, blobs, others):
    """Count the ReLU gates and the maxima that differ between two sets of blobs.

    A tie in one of them differs, too: of tied pixels the gradient goes to any one.

    Parameters
    ----------
    graph : cnnvis.engines.numpy.graph.Graph
    blobs, others : dict of str to ndarray
        All of the graph's.

    Returns
    -------
    dict
        ``{layer: count of gates or windows}`` of the layers that have any; see
        `cnnvis.engines.numpy.linear_regions`.
    """
    work, counts = Work(), {}
    for node in graph.nodes:
        kind = node.layer.param.type
        if kind not in SWITCHES:
            continue
        sides = [[graph.values[value].blob for value in s] for s in (node.bottoms, node.tops)]
        state, other = (
            SWITCHES[kind](node.layer, work, *([each[name] for name in side] for side in sides))
            for each in (blobs, others)
        )
        if state is not None and (state != other).any():
            differ = (state != other).any(axis=1) if kind in MAXIMA else state != other
            counts[node.layer.name] = int(np.count_nonzero(differ))
    return counts


def summarise(answers):
    """Return the report on all images of a network.

    Parameters
    ----------
    answers : list of dict
        Of `compare_image`, with ``image``.

    Returns
    -------
    dict
        ``images``; ``blobs`` and ``gradients``, the worst of all images by name (gradients only
        where no switch flipped); ``flips``, a list by image; ``top1``; ``seconds``, medians;
        ``faithful`` and ``sentence``.
    """
    steady = [table for a in answers if not a["switches"] for table in a["gradients"].values()]
    kinds = ("image", "switches", "gradients", "float64")
    report = {
        "images": [answer["image"] for answer in answers],
        "blobs": _worst([answer["blobs"] for answer in answers]),
        "gradients": _worst(steady),
        "flips": [{kind: a[kind] for kind in kinds} for a in answers if a["switches"]],
        "top1": {"agree": sum(len(set(a["top1"])) == 1 for a in answers), "of": len(answers)},
        "seconds": _medians([answer["seconds"] for answer in answers]),
    }
    differences = [*report["blobs"].values(), *report["gradients"].values()]
    within = all(value["relative"] <= TOLERANCE for value in differences)
    report["faithful"] = within and report["top1"]["agree"] == len(answers)
    return {**report, "sentence": _sentence(report)}


def _worst(tables):
    """Return the largest difference of each name that the tables have in common."""
    names = tables[0] if tables else ()
    return {name: max((t[name] for t in tables), key=itemgetter("relative")) for name in names}


def _medians(tables):
    medians = {}
    for task in dict.fromkeys(task for table in tables for task in table):
        seconds = np.median([table[task] for table in tables if task in table], axis=0)
        medians[task] = dict(zip(ENGINES, seconds.tolist(), strict=True))
    return medians


def _sentence(report):
    blobs = max((value["relative"] for value in report["blobs"].values()), default=0.0)
    top1 = report["top1"]
    text = (
        f"{'Faithful' if report['faithful'] else 'NOT faithful'}: on {_images(top1['of'])} the "
        f"blobs differ from Caffe's by at most {blobs:.1e} of their largest value, the first class "
        f"is the same on {top1['agree']} of {top1['of']}"
    )
    if report["gradients"]:
        worst = max(value["relative"] for value in report["gradients"].values())
        text += f", gradients differ by at most {worst:.1e}"
    if report["flips"]:
        count = sum(sum(each["switches"].values()) for each in report["flips"])
        text += (
            f"; on {_images(len(report['flips']))} {count} ReLU gates or pooling maxima flipped, "
            "and the gradients are listed separately"
        )
    return f"{text}."


def _images(count):
    return f"{count} image{'' if count == 1 else 's'}"
