"""Are the gradients right? A report for one neuron on one image.

Two questions are answered, layer by layer. Is the derivation right: does backpropagation in float64
agree with central differences in float64 (see `cnnvis.checks.finite_differences`), by single
weights and along random directions of all weights? And is the file right, whose gradient is
float32? Rounding in float32 may flip the gate of a ReLU or the winner of a max pooling window, so
that float32 and float64 differentiate different linear pieces of the network. So the file is
compared with both gradients, and the flips are counted.

Numerical derivatives are always the embedded engine's, so that a file made by Caffe is checked by
code that has nothing in common with it.
"""

import logging
import math
from dataclasses import dataclass

import numpy as np

from cnnvis.checks import finite_differences
from cnnvis.checks.agreement import correlation, relative_error
from cnnvis.checks.finite_differences import FLOOR, TOLERANCE, relative_errors
from cnnvis.checks.gradient_check_figure import draw_check
from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.core.progress import Progress
from cnnvis.engines.numpy.linear_regions import SWITCHES

DEFAULTS = {"mode": "sample", "weights": None, "directions": 4, "seed": 0}
# Single weights of each layer by default: as many as this number of multiplications allows.
WEIGHTS, MULTIPLICATIONS = (10, 100), 6e9
STUDY_PER_FILTER = 5
# What the file's gradient may differ from a right one, norm of the difference to norm of the
# gradient. Rounding makes 5e-7, and a gate that only the file's engine rounded away 1e-4 to 1e-3.
FLOAT32_TOLERANCE = 1e-3
# Layers of `SWITCHES` in which one of several numbers wins; the others have gates.
MAXIMA = ("Eltwise", "Pooling")
# Another engine may flip other gates than float32 does here, with an effect of the same order.
FLIPS_TOLERANCE = 2
STEP_TEXT = (
    "8 times the step at which rounding of the score reaches the tolerance, but at most eps^(1/4) "
    "* max(|w|, root mean square of the filter), eps = 2.2e-16; an eighth of it where there is a "
    "kink"
)
ERROR_TEXT = f"|numeric - analytic| / max(|numeric|, |analytic|, {FLOOR:g} * largest |analytic|)"


@dataclass
class LayerCheck:
    """A layer's check: its entry in the report, and what is drawn.

    Attributes
    ----------
    entry : dict
        See `check_layer`.
    analytic, numeric : ndarray, (count,)
    kinks : ndarray of bool, (count,)
    """

    entry: dict
    analytic: np.ndarray
    numeric: np.ndarray
    kinks: np.ndarray


def check_gradients(
    model, input, gradients_npz, report, picture, *, cls, layers, check, threads=None
):
    """Check the gradients of one neuron on one image; write a report and a scatter plot.

    Parameters
    ----------
    model : Model
    input : str or Path
        ``input.npy`` of `cnnvis.inputs.images.make_input`.
    gradients_npz : str or Path
        Of `cnnvis.gradients.weight_gradients.make_gradients`, for the same image.
    report : str or Path
        Becomes the report, JSON. ``agrees`` says whether the derivation is right (None where
        that is not known), ``float32`` whether the file is, and how far it is from float64;
        ``layers`` holds the entries of `check_layer` with that of `compare_file`.
    picture : str or Path
        Becomes a PNG: analytic against numerical derivatives.
    cls : int
        Which element of the score blob.
    layers : list of str
    check : dict
        ``mode``: "sample", "full" (every weight) or "study" (the study's own scheme, float32, one
        side, a step of 1e-9, to show what is wrong with it); ``weights``: how many single weights
        of each layer, None for up to 100 as the network's size allows; ``directions``: how many
        random directions of all weights; ``seed``. What is missing is as in `DEFAULTS`.
    threads : int, optional
        By default every processor this process may run on.

    Raises
    ------
    UserError
        If a file, the class or a layer is not usable.
    """
    check = {**DEFAULTS, **check}
    model.check_neuron(cls)
    model.check_layers(layers)
    question = (model.read_input(input)[np.newaxis], model.score, cls)
    study = check["mode"] == "study"
    checks = {}
    with (
        model.open(threads, dtype="float64", engine="numpy") as exact,
        model.open(threads, engine="numpy") as rounded,
    ):
        float64, float32 = (net.weight_gradient(*question, layers) for net in (exact, rounded))
        of_files = {
            layer: compare_file(gradients_npz, layer, float64[layer][0], float32[layer][0])
            for layer in layers
        }
        flipped = count_flips(*(read_switches(net, *question[:2]) for net in (exact, rounded)))
        for layer in layers:
            perturbations = (rounded if study else exact).perturbations(*question, layer)
            how = {**check, "weights": _sample_size(check, model.info, layer)}
            check_one = check_study if study else check_layer
            checks[layer] = check_one(perturbations, float64[layer][0], layer, how)
            entry = checks[layer].entry
            entry |= {"float32": of_files[layer], "sentence": sentence(layer, entry, check["mode"])}
    entries = {layer: each.entry for layer, each in checks.items()}
    content = _report(entries, check, flipped)
    logging.info("%s", content["sentence"])
    write_json(report, {"score": model.score, "cls": cls, **content})
    draw_check(picture, checks, check["mode"], f"{model.score}[{cls}]", content["sentence"])


def _sample_size(check, info, layer):
    """Return how many single weights of a layer are checked; None for all of them."""
    if check["mode"] == "study":
        shape = info.layers_with_weights[layer]
        return STUDY_PER_FILTER * (shape[0] if shape else 1)
    if check["mode"] == "full":
        return None
    return check["weights"] or affordable_weights(info, layer)


def affordable_weights(info, layer):
    """Return how many single weights are checked by default: fewer below expensive layers.

    Each needs two passes through the layers above.
    """
    names = list(info.layers_with_weights)
    cost = sum(
        math.prod(info.layers_with_weights[name])
        * math.prod(info.convolutions[name].shape[1:] if name in info.convolutions else ())
        for name in names[names.index(layer) + 1 :]
    )
    return int(np.clip(MULTIPLICATIONS / (2 * max(cost, 1)), *WEIGHTS))


def check_layer(perturbations, gradient, layer, check):
    """Check a layer's gradient by central differences.

    Parameters
    ----------
    perturbations : Perturbations
        In float64; see `cnnvis.checks.finite_differences`.
    gradient : ndarray
        Of the shape of the weights, float64.
    layer : str
    check : dict
        ``weights`` (None for all), ``directions``, ``seed``; see `check_gradients`.

    Returns
    -------
    LayerCheck
        Its entry has ``weights`` (how many there are), ``checked``, ``kinks`` (how many of these
        are not counted), ``kink_weights`` (which), ``worst``, ``worst_weight``, ``median``,
        ``wrong`` (how many), ``correlation``, ``step`` (smallest, median, largest),
        ``directions`` (see `check_directions`) and ``agrees``, None where all have a kink.
    """
    if not perturbations.learned:
        return _unchecked(gradient)
    indices = finite_differences.sample_weights(
        gradient.shape, check["weights"], check["seed"], layer
    )
    analytic, largest = gradient.reshape(-1)[indices], float(np.abs(gradient).max())
    directions = check_directions(perturbations, gradient, layer, check)
    smallest = finite_differences.smallest_steps(directions["rounding"], analytic, largest)
    with Progress(layer, len(indices), unit="weights") as progress:
        numeric, kinks, steps = finite_differences.weight_differences(
            perturbations, indices, smallest, progress
        )
    entry = _entry(gradient, indices, analytic, numeric, kinks)
    ends = np.quantile(steps, [0, 0.5, 1]).tolist()
    entry["step"] = dict(zip(("smallest", "median", "largest"), ends, strict=True))
    entry["directions"] = directions
    errors = [part["worst"] for part in (entry, directions) if part["worst"] is not None]
    entry["agrees"] = max(errors) <= TOLERANCE if errors else None
    return LayerCheck(entry, analytic, numeric, kinks)


def _unchecked(gradient):
    none, kinks = np.zeros(0), np.zeros(0, bool)
    entry = _entry(gradient, np.zeros(0, int), none, none, kinks)
    entry["directions"] = {"checked": 0, "kinks": 0, **_summary(none)}
    return LayerCheck({**entry, "agrees": True}, none, none, kinks)


def _entry(gradient, indices, analytic, numeric, kinks):
    """Return the report's entry on single weights, those with a kink not counted."""
    errors = relative_errors(numeric, analytic, float(np.abs(gradient).max()))
    counted = np.flatnonzero(~kinks)
    worst = counted[np.argmax(errors[counted])] if len(counted) else None

    def place(number):
        return [int(axis) for axis in np.unravel_index(indices[number], gradient.shape)]

    return {
        "weights": int(gradient.size),
        "checked": len(indices),
        "kinks": int(kinks.sum()),
        "kink_weights": [place(number) for number in np.flatnonzero(kinks)],
        **_summary(errors[counted]),
        "worst_weight": None if worst is None else place(worst),
        "wrong": int(np.count_nonzero(errors[counted] > TOLERANCE)),
        "correlation": correlation(numeric[counted], analytic[counted]),
    }


def _summary(errors):
    if not len(errors):
        return {"worst": None, "median": None}
    return {"worst": float(errors.max()), "median": float(np.median(errors))}


def check_directions(perturbations, gradient, layer, check):
    """Check a gradient along random directions.

    Returns
    -------
    dict
        ``checked`` and ``kinks``, how many; ``worst`` and ``median``, relative errors; and
        ``rounding``, the standard deviation that rounding gives the score.
    """
    weights, count = perturbations.weights, check["directions"]
    numeric, analytic, kinks = np.zeros(count), np.zeros(count), np.zeros(count, bool)
    # The standard deviation of the derivative along a random direction.
    typical = (finite_differences.root_mean_square(weights) or 1.0) * np.linalg.norm(gradient)
    # One direction at a time: of a layer like fc6 of CaffeNet it has 300 MB.
    direction = finite_differences.random_direction(weights, check["seed"], layer, 0)
    derivative = np.vdot(gradient, direction)
    rounding = finite_differences.rounding_of(perturbations, direction, derivative)
    smallest = finite_differences.smallest_steps(rounding, np.array([typical]), 0)[0]
    for number in range(count):
        direction = finite_differences.random_direction(weights, check["seed"], layer, number)
        analytic[number] = np.vdot(gradient, direction)
        numeric[number], kinks[number] = finite_differences.direction_difference(
            perturbations, direction, smallest
        )
    # Relative to no less than what is usual: a small one has the same rounding as the others.
    errors = relative_errors(numeric, analytic, typical / FLOOR)[~kinks]
    kinks = int(kinks.sum())
    return {"checked": count, "kinks": kinks, "rounding": rounding, **_summary(errors)}


def check_study(perturbations, gradient, layer, check):
    """Check a layer's gradient as the study did: on a sample, without looking for kinks.

    Returns
    -------
    LayerCheck
        As `check_layer`, without ``step`` and ``directions``; ``unchanged`` counts the weights
        that are the same float32 number when 1e-9 is added, ``zeros`` the derivatives that are 0.
    """
    indices = finite_differences.sample_weights(
        gradient.shape, check["weights"], check["seed"], layer
    )
    with Progress(layer, len(indices), unit="weights") as progress:
        numeric, unchanged = finite_differences.study_differences(perturbations, indices, progress)
    analytic, kinks = gradient.reshape(-1)[indices], np.zeros(len(indices), bool)
    entry = _entry(gradient, indices, analytic, numeric, kinks)
    entry |= {"unchanged": unchanged, "zeros": int(np.count_nonzero(numeric == 0))}
    # Where this scheme fails the scheme is wrong, which says nothing of the gradient.
    entry["agrees"] = True if entry["worst"] <= TOLERANCE else None
    return LayerCheck(entry, analytic, numeric, kinks)


def compare_file(path, layer, exact, rounded):
    """Compare a layer's gradient in a file with those computed in float64 and in float32.

    Parameters
    ----------
    path : str or Path
    layer : str
    exact, rounded : ndarray
        The gradient by the embedded engine in float64 and in float32.

    Returns
    -------
    dict
        ``relative_error`` of the file to the float64 gradient and ``recomputed`` to the float32
        one, ``by_rounding`` of the float32 one to the float64 one (see
        `cnnvis.checks.agreement.relative_error`), and ``agrees``: whether the file is within
        `FLOAT32_TOLERANCE` of either, or within `FLIPS_TOLERANCE` times ``by_rounding`` where that
        is more.

    Raises
    ------
    UserError
        If it is not in the file, or of another shape.
    """
    array = read_array(path, layer, "gradient of layer")
    if array.shape != exact.shape:
        raise UserError(
            f"{path}: gradient of layer '{layer}' has shape {array.shape}, the network's weights "
            f"have {exact.shape}; make it again for this network"
        )
    errors = {
        "relative_error": relative_error(array, exact),
        "recomputed": relative_error(array.astype(np.float64), rounded),
        "by_rounding": relative_error(rounded, exact),
    }
    tolerance = max(FLOAT32_TOLERANCE, FLIPS_TOLERANCE * errors["by_rounding"])
    return {**errors, "agrees": min(errors["relative_error"], errors["recomputed"]) <= tolerance}


def read_switches(network, batch, score):
    """Return how every gate and maximum of a forward pass stands.

    Returns
    -------
    dict
        ``{layer: (kind, state)}``: of "gates" a bool for each number, of "maxima" for each pixel
        of a window (axis 1) whether it is the window's maximum.
    """
    switches = {}

    def watch(node, work, image, bottoms, tops):
        kind = node.layer.param.type
        state = SWITCHES[kind](node.layer, work, bottoms, tops) if kind in SWITCHES else None
        if state is not None:
            switches[node.layer.name] = ("maxima" if kind in MAXIMA else "gates", state)

    network.run(network.input_values(batch), [network.graph.value(score)], watch=watch)
    return switches


def count_flips(switches, others):
    """Count by kind what differs between two results of `read_switches`.

    A maximum is a flip only where no pixel is it in both, not where there is a tie in one.
    """
    counts = {"gates": 0, "maxima": 0}
    for layer, (kind, state) in switches.items():
        other = others[layer][1]
        flipped = ~(state & other).any(axis=1) if kind == "maxima" else state != other
        counts[kind] += int(np.count_nonzero(flipped))
    return counts


def sentence(layer, entry, mode):
    """Return the result of a layer's check in one sentence."""
    if mode == "study":
        return _study_sentence(layer, entry)
    sampled = "" if mode == "full" else "sampled "
    counted = entry["checked"] - entry["kinks"]
    if not entry["checked"]:
        return f"{layer}: holds statistics, not weights; their gradient is zero by definition."
    if not counted:
        result = f"all {entry['checked']} {sampled}weights have a kink"
    elif entry["wrong"]:
        result = (
            f"{entry['wrong']} of {counted} {sampled}weights DISAGREE with central differences, "
            f"by up to {_short(entry['worst'])} at {entry['worst_weight']}"
        )
    else:
        result = (
            f"{counted} {sampled}weights agree with central differences to "
            f"{_short(entry['worst'])} (median {_short(entry['median'])})"
        )
    if counted and entry["kinks"]:
        result += f"; {entry['kinks']} more have a kink and are not counted"
    return f"{layer}: {result}; {_directions_sentence(entry['directions'])}."


def _short(number):
    """Return a number's first digit and its power of ten: 3e-10."""
    return f"{number:.1g}".replace("e-0", "e-")


def _directions_sentence(entry):
    counted = entry["checked"] - entry["kinks"]
    if not entry["checked"]:
        return "no random directions were checked"
    if not counted:
        return f"all {entry['checked']} random directions have a kink"
    verb = "agree to" if entry["worst"] <= TOLERANCE else "DISAGREE by up to"
    kinks = f" ({entry['kinks']} more have a kink)" if entry["kinks"] else ""
    return f"{counted} random directions {verb} {_short(entry['worst'])}{kinks}"


def _study_sentence(layer, entry):
    related = entry["correlation"]
    return (
        f"{layer}: the study's numerical derivatives (float32, one side, step 1e-9) by "
        f"{entry['checked']} sampled weights have correlation "
        f"{'undefined' if related is None else format(related, '.2f')} with the gradient, where "
        f"right ones have 1; adding 1e-9 left {entry['unchanged']} of these weights as they were, "
        f"and {entry['zeros']} derivatives came out as 0."
    )


def _float32(entries, flipped):
    """Return the report's entry on the file and on rounding in float32."""
    error = max(entry["relative_error"] for entry in entries.values())
    wrong = {layer: entry for layer, entry in entries.items() if not entry["agrees"]}
    if wrong:
        text = "; ".join(
            f"the gradient of {layer} in the file is WRONG: it differs by "
            f"{_short(entry['relative_error'])} from the float64 gradient and by "
            f"{_short(entry['recomputed'])} from the float32 one"
            for layer, entry in wrong.items()
        )
        text = text[0].upper() + text[1:]
    else:
        text = f"The float32 gradients in the file differ from float64 by up to {_short(error)}"
    text += (
        f"; rounding in float32 flipped {flipped['gates']} of the ReLU gates and "
        f"{flipped['maxima']} of the maxima."
    )
    return {"agrees": not wrong, "relative_error": error, "flipped": flipped, "sentence": text}


def _report(entries, check, flipped):
    float32 = _float32({layer: entry["float32"] for layer, entry in entries.items()}, flipped)
    verdicts = [entry["agrees"] for entry in entries.values()]
    sentences = [entry["sentence"] for entry in entries.values()]
    return {
        **check,
        "step": "1e-9, one side, float32" if check["mode"] == "study" else STEP_TEXT,
        "relative_error": ERROR_TEXT,
        "tolerance": TOLERANCE,
        "agrees": False if False in verdicts else None if None in verdicts else True,
        "float32": float32,
        "sentence": " ".join([*sentences, float32["sentence"]]),
        "layers": entries,
    }
