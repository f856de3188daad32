"""How far the embedded engine is from BVLC Caffe, blob by blob and gradient by gradient.

Differences are relative to the largest magnitude of the array, as rounding errors are. A gradient
in float32 may jump: where rounding decides on which side of zero the input of a ReLU lies, or which
of two almost equal pixels is a window's maximum, two correct engines differ by far more than
rounding. Such flips are counted and named, and float64 says how far each engine is from the exact
gradient.
"""

import logging
import time
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

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
    with ExitStack() as stack:
        engines = [
            stack.enter_context(model.open(threads, engine="numpy")),
            stack.enter_context(caffe.open(threads)),
        ]
        answers = [
            compare_image(engines, model.score, image, batch, layers, classes.get(image, []))
            for image, batch in batches.items()
        ]
        flipped = [answer for answer in answers if answer["switches"]]
        if flipped:
            exact = stack.enter_context(model.open(threads, "float64", engine="numpy"))
            for answer in flipped:
                batch = batches[answer["image"]]
                answer["float64"] = _distances(exact, model.score, batch, layers, answer)
        summary = summarise(answers, list(engines[0].graph.blobs))
    logging.info("%s", summary["sentence"])
    write_json(report, {"network": network, **summary})


def compare_image(engines, score, image, batch, layers, classes):
    """Compare what two engines compute of one image.

    Parameters
    ----------
    engines : pair of cnnvis.engines.base.Engine
        The embedded engine and Caffe.
    score, image : str
    batch : ndarray of float32, (1, C, H, W)
    layers : list of str
    classes : list of int

    Returns
    -------
    dict
        ``image``; ``blobs`` {blob: `difference`}; ``top1``, the first class by each engine;
        ``switches``, see `flips`; ``gradients`` {cls: {layer: difference}}; ``computed``
        {cls: the gradients by each engine}; ``seconds`` {task: of each engine}.
    """
    blobs, seconds = _timed(engines, lambda engine: engine.forward(batch))
    answer = {
        "image": image,
        "blobs": {
            name: difference(blobs[0][name], blobs[1][name])
            for name in blobs[1]
            if name in blobs[0]
        },
        "top1": [int(each[score].reshape(-1).argmax()) for each in blobs],
        "switches": flips(engines[0].graph, *blobs),
        "gradients": {},
        "computed": {},
        "seconds": {"forward": seconds},
    }
    for cls in classes:
        gradients, answer["seconds"]["gradient"] = _timed(
            engines, lambda engine, cls=cls: engine.weight_gradient(batch, score, cls, layers)
        )
        answer["computed"][cls] = gradients
        answer["gradients"][cls] = {
            layer: difference(gradients[0][layer], gradients[1][layer]) for layer in layers
        }
    return answer


def _timed(engines, compute):
    """Return what each engine computes, and in how many seconds once it is warm."""
    results, seconds = [], []
    for engine in engines:
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
    """Count the ReLU gates and maxima that differ between two sets of blobs.

    Parameters
    ----------
    graph : cnnvis.engines.numpy.graph.Graph
    blobs, others : dict of str to ndarray

    Returns
    -------
    dict
        ``{layer: count}`` of the layers that have any; see `cnnvis.engines.numpy.linear_regions`.
    """
    work, counts = Work(), {}
    for node in graph.nodes:
        switches = SWITCHES.get(node.layer.param.type)
        bottoms, tops = (
            [graph.values[value].blob for value in side] for side in (node.bottoms, node.tops)
        )
        if switches is None or any(
            name not in blobs or name not in others for name in [*bottoms, *tops]
        ):
            continue
        states = [
            switches(node.layer, work, [each[n] for n in bottoms], [each[n] for n in tops])
            for each in (blobs, others)
        ]
        if states[0] is not None and (states[0] != states[1]).any():
            counts[node.layer.name] = int(np.count_nonzero(states[0] != states[1]))
    return counts


def _distances(exact, score, batch, layers, answer):
    """Return {cls: {layer: how far each engine's gradient is from that of float64}}."""
    distances = {}
    for cls, computed in answer["computed"].items():
        gradients = exact.weight_gradient(batch, score, cls, layers)
        distances[cls] = {
            layer: [difference(each[layer], gradients[layer])["relative"] for each in computed]
            for layer in layers
        }
    return distances


def summarise(answers, blobs):
    """Return the report on all images of a network.

    Parameters
    ----------
    answers : list of dict
        Of `compare_image`, with ``float64`` where switches flipped.
    blobs : list of str
        The order in which blobs are listed.

    Returns
    -------
    dict
        ``images``; ``blobs`` and ``gradients``, the worst of all images by name (gradients only
        where no switch flipped); ``flips``, a list by image; ``top1``; ``seconds``, medians;
        ``faithful`` and ``sentence``.
    """
    worst = _worst(answer["blobs"] for answer in answers)
    steady = [table for a in answers if not a["switches"] for table in a["gradients"].values()]
    kinds = ("image", "switches", "gradients", "float64")
    report = {
        "images": [answer["image"] for answer in answers],
        "blobs": {name: worst[name] for name in blobs if name in worst},
        "gradients": _worst(steady),
        "flips": [
            {kind: answer[kind] for kind in kinds} for answer in answers if answer["switches"]
        ],
        "top1": {"agree": sum(len(set(a["top1"])) == 1 for a in answers), "of": len(answers)},
        "seconds": _medians(answers),
    }
    differences = [*report["blobs"].values(), *report["gradients"].values()]
    within = all(value["relative"] <= TOLERANCE for value in differences)
    report["faithful"] = within and report["top1"]["agree"] == len(answers)
    return {**report, "sentence": _sentence(report)}


def _worst(tables):
    worst = {}
    for table in tables:
        for name, value in table.items():
            if name not in worst or value["relative"] > worst[name]["relative"]:
                worst[name] = value
    return worst


def _medians(answers):
    medians = {}
    for task in ("forward", "gradient"):
        seconds = [answer["seconds"][task] for answer in answers if task in answer["seconds"]]
        if seconds:
            medians[task] = dict(zip(ENGINES, np.median(seconds, axis=0).tolist(), strict=True))
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
