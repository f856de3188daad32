"""How far is the embedded engine from real Caffe? Blob by blob, gradient by gradient.

Differences are relative to the largest magnitude of the array, as rounding errors are. A gradient
in float32 may jump: where rounding decides on which side of zero a ReLU stands, or which of two
almost equal pixels is a window's maximum, two correct engines differ by far more than rounding.
Such flips are counted and named, and float64 says how far each engine is from the exact gradient.
"""

import logging
import time
from dataclasses import dataclass, field

import numpy as np

from cnnvis.core.files import write_json
from cnnvis.engines import open_network
from cnnvis.engines.numpy.graph import read_graph
from cnnvis.engines.numpy.linear_regions import SWITCHES
from cnnvis.engines.numpy.workers import Work

TOLERANCE = 1e-5


@dataclass
class Question:
    """One image to ask both engines about."""

    image: str
    batch: np.ndarray
    classes: list = field(default_factory=list)


def compare_engines(
    prototxt, weights, inputs, report, *, score, layers, classes, surplus="error", threads=None,
    input_shape=None, engine_options=None, network=""
):  # fmt: skip
    """Compare the embedded engine with real Caffe on one network; write a report.

    Parameters
    ----------
    prototxt, weights : str or Path
    inputs : dict
        ``{image: path of its input.npy}``.
    report : str or Path
        Becomes the report, JSON; `summarise` says what is in it.
    score : str
        The blob of the neurons.
    layers : list of str
        Whose weights' gradients are compared.
    classes : dict
        ``{image: [neurons]}``.
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not say it itself.
    engine_options : dict, optional
        For real Caffe: ``{"python": interpreter}``.

    Raises
    ------
    UserError
        Where Caffe is not found, or either engine refuses the network.
    """
    questions = [
        Question(image, np.load(path)[None], list(classes.get(image, [])))
        for image, path in inputs.items()
    ]
    common = {"surplus": surplus, "threads": threads, "input_shape": input_shape}
    with (
        open_network(prototxt, weights, **common) as ours,
        open_network(
            prototxt, weights, engine="pycaffe", **common, **(engine_options or {})
        ) as caffe,
    ):
        answers = [ask(question, ours, caffe, score, layers) for question in questions]
        if any(answer["flips"] for answer in answers):
            with open_network(prototxt, weights, dtype="float64", **common) as exact:
                for question, answer in zip(questions, answers, strict=True):
                    decide(question, answer, exact, score, layers)
    found = summarise(answers, read_graph(prototxt))
    logging.info("%s", found["sentence"])
    write_json(report, {"network": network, **found})


def ask(question, ours, caffe, score, layers):
    """Return both engines' answers on one image, compared.

    Returns
    -------
    dict
        ``blobs`` ``{blob: difference}``, ``gradients`` ``{cls: {layer: difference}}``, ``flips``
        ``{layer: count}``, ``top1`` (ours, Caffe's), ``seconds`` ``{task: (ours, Caffe's)}`` and
        the gradients themselves.
    """
    blobs, forward = _both(ours, caffe, lambda net: net.forward(question.batch))
    names = [blob for blob in blobs[1] if blob in blobs[0]]
    answer = {
        "image": question.image,
        "blobs": {blob: difference(blobs[0][blob], blobs[1][blob]) for blob in names},
        "top1": tuple(int(found[score].reshape(-1).argmax()) for found in blobs),
        "flips": flips(ours.graph, *blobs),
        "gradients": {},
        "found": {},
        "seconds": {"forward": forward},
    }
    for cls in question.classes:
        found, seconds = _both(
            ours,
            caffe,
            lambda net, cls=cls: net.weight_gradient(question.batch, score, cls, layers),
        )
        answer["found"][cls] = found
        answer["seconds"]["gradient"] = seconds
        answer["gradients"][cls] = {
            layer: difference(found[0][layer], found[1][layer]) for layer in layers
        }
    return answer


def _both(ours, caffe, question):
    """Ask both; the first time warms up, the second is timed."""
    answers, seconds = [], []
    for network in (ours, caffe):
        question(network)
        start = time.perf_counter()
        answers.append(question(network))
        seconds.append(time.perf_counter() - start)
    return answers, tuple(seconds)


def difference(found, expected):
    """Return the largest difference: absolute, and relative to the largest magnitude expected."""
    absolute = float(np.abs(found.astype(np.float64) - expected).max(initial=0))
    largest = float(np.abs(expected).max(initial=0))
    return {"absolute": absolute, "relative": absolute / largest if largest else absolute}


def flips(graph, blobs, others):
    """Return ``{layer: how many of its switches stand differently}`` between two sets of blobs.

    A switch is a ReLU's gate or a window's maximum (see `cnnvis.engines.numpy.linear_regions`).
    """
    work, counts = Work(), {}
    for node in graph.nodes:
        find = SWITCHES.get(node.layer.param.type)
        names = [graph.values[value].blob for value in (*node.bottoms, *node.tops)]
        if find is None or any(name not in blobs or name not in others for name in names):
            continue
        states = []
        for found in (blobs, others):
            bottoms = [found[graph.values[value].blob] for value in node.bottoms]
            tops = [found[graph.values[value].blob] for value in node.tops]
            states.append(find(node.layer, work, bottoms, tops))
        if states[0] is not None:
            count = int(np.count_nonzero(states[0] != states[1]))
            if count:
                counts[node.layer.name] = count
    return counts


def decide(question, answer, exact, score, layers):
    """Add, where switches flipped, how far each engine's gradients are from those of float64."""
    if not answer["flips"]:
        return
    answer["float64"] = {}
    for cls, found in answer["found"].items():
        right = exact.weight_gradient(question.batch, score, cls, layers)
        answer["float64"][cls] = {
            layer: [difference(engine[layer], right[layer])["relative"] for engine in found]
            for layer in layers
        }


def summarise(answers, graph):
    """Return the report on all images of a network.

    Returns
    -------
    dict
        ``faithful``, ``sentence``, ``images``, ``blobs`` and ``gradients`` (the worst of all
        images by name), ``flips`` (a list by image), ``top1`` and ``seconds`` (medians).
    """
    order = list(graph.blobs)
    blobs = _worst([answer["blobs"] for answer in answers])
    blobs = {name: blobs[name] for name in order if name in blobs}
    steady = [g for a in answers if not a["flips"] for g in a["gradients"].values()]
    flipped = [_flipped(answer) for answer in answers if answer["flips"]]
    agree = [answer["image"] for answer in answers if len(set(answer["top1"])) == 1]
    report = {
        "images": [answer["image"] for answer in answers],
        "blobs": blobs,
        "gradients": _worst(steady),
        "flips": flipped,
        "top1": {"agree": len(agree), "of": len(answers)},
        "seconds": _seconds(answers),
    }
    report["faithful"] = _is_faithful(report)
    report["sentence"] = _sentence(report)
    return report


def _worst(tables):
    worst = {}
    for table in tables:
        for name, value in table.items():
            if name not in worst or value["relative"] > worst[name]["relative"]:
                worst[name] = value
    return worst


def _flipped(answer):
    return {
        "image": answer["image"],
        "switches": answer["flips"],
        "gradients": {str(cls): table for cls, table in answer["gradients"].items()},
        "float64": {str(cls): table for cls, table in answer.get("float64", {}).items()},
    }


def _seconds(answers):
    tasks = {task for answer in answers for task in answer["seconds"]}
    return {
        task: {
            engine: float(
                np.median([a["seconds"][task][n] for a in answers if task in a["seconds"]])
            )
            for n, engine in enumerate(("numpy", "pycaffe"))
        }
        for task in sorted(tasks)
    }


def _is_faithful(report):
    tables = (report["blobs"], report["gradients"])
    within = all(v["relative"] <= TOLERANCE for table in tables for v in table.values())
    return within and report["top1"]["agree"] == report["top1"]["of"]


def _sentence(report):
    blobs = max((v["relative"] for v in report["blobs"].values()), default=0.0)
    gradients = max((v["relative"] for v in report["gradients"].values()), default=None)
    top1, images = report["top1"], len(report["images"])
    text = "Faithful" if report["faithful"] else "NOT faithful"
    text += f": on {images} images the blobs differ from Caffe's by at most {blobs:.1e} of their "
    text += f"largest value, the first class is the same on {top1['agree']} of {top1['of']}"
    if gradients is not None:
        text += f", gradients differ by at most {gradients:.1e}"
    if report["flips"]:
        switches = sum(sum(one["switches"].values()) for one in report["flips"])
        text += (
            f"; on {len(report['flips'])} images rounding alone flipped {switches} ReLU gates or "
            f"pooling maxima, and their gradients are listed apart"
        )
    return text + "."
