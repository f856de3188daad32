"""Are the gradients right? A report for one image: numerical derivatives against analytic ones.

What is compared, layer by layer: derivatives by single weights, and along random directions of
the whole tensor, by central differences in float64 (see `cnnvis.checks.finite_differences`), with
the gradient
by backpropagation in float64; and that one with the gradient in the file, which is float32.
Numerical derivatives are always the embedded engine's, so that a file made by Caffe is checked by
code that has nothing in common with it.
"""

import logging

import numpy as np

from cnnvis.checks import finite_differences
from cnnvis.checks.finite_differences import FLOOR, TOLERANCE, Progress, relative_errors
from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json

MODES = ("sample", "full", "study")
# What a float32 gradient may differ from the float64 one, norm of the difference to norm: rounding
# makes about 1e-6, and one ReLU so near its kink that it stands otherwise in float32, about 1e-4.
FLOAT32_TOLERANCE = 1e-3
STEP_TEXT = (
    "eps^(1/4) * max(|w|, root mean square of the filter), eps = 2.2e-16; up to 8 times larger "
    "where rounding would exceed the tolerance; quartered while there is a kink and it would not"
)
ERROR_TEXT = f"|numeric - analytic| / max(|numeric|, |analytic|, {FLOOR:g} * largest |analytic|)"


def check_gradients(
    prototxt,
    weights,
    input,
    gradients_npz,
    report_json,
    picture,
    *,
    score,
    cls,
    layers,
    mode="sample",
    per_filter=5,
    directions=8,
    seed=0,
    threads=None,
    surplus="error",
    input_shape=None,
):
    """Check the gradients of one neuron on one image; write a report and a scatter plot.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    input : str or Path
        ``input.npy`` of `cnnvis.inputs.images.make_input`.
    gradients_npz : str or Path
        Of `cnnvis.gradients.weight_gradients.make_gradients`, for the same image.
    report_json : str or Path
        Becomes the report: per layer the worst and the median relative error, the correlation,
        the kinks, and a sentence; see `check_layer`.
    picture : str or Path
        Becomes a PNG: analytic against numerical derivatives.
    score : str
        The blob whose elements are the neurons.
    cls : int
        Which of them.
    layers : list of str
    mode : {"sample", "full", "study"}
        `per_filter` weights of every filter; every weight; or the study's own scheme (float32,
        one side, a step of 1e-9) on the sample, to show what is wrong with it.
    per_filter, directions : int
        Weights of each filter, and directions of the whole tensor.
    seed : int
        Of the sample and of the directions.
    threads : int, optional
    surplus : {"error", "ignore"}
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not say it itself.

    Raises
    ------
    UserError
        If a file, the class, a layer or the mode is not usable.
    """
    from cnnvis.checks.gradient_check_figure import draw_check
    from cnnvis.engines import open_network

    if mode not in MODES:
        raise UserError(f"mode: {mode!r} is not known, expected one of {', '.join(MODES)}")
    batch = _read_batch(prototxt, input, score, cls, layers, input_shape)
    files = {layer: read_array(gradients_npz, layer, "gradient of layer") for layer in layers}
    how = {"mode": mode, "per_filter": per_filter, "directions": directions, "seed": seed}
    options = {"threads": threads, "surplus": surplus, "input_shape": input_shape}
    with open_network(prototxt, weights, dtype="float64", **options) as network:
        found = network.weight_gradient(batch, score, cls, list(layers))
        analytic = {layer: found[layer][0] for layer in layers}
        if mode != "study":
            checks = _check_layers(network, batch, score, cls, analytic, how)
    if mode == "study":
        with open_network(prototxt, weights, dtype="float32", **options) as network:
            checks = _check_layers(network, batch, score, cls, analytic, how)
    for layer, check in checks.items():
        check.entry["float32"] = compare_file(files[layer], analytic[layer], gradients_npz, layer)
        check.entry["sentence"] = sentence(layer, check.entry, how)
        logging.info("%s", check.entry["sentence"])
    write_json(report_json, _report(checks, how, score, cls))
    draw_check(picture, checks, mode, f"Gradient of {score}[{cls}]: {_what(mode)}")


def _what(mode):
    return "the study's numerical check" if mode == "study" else "numerical check"


def _read_batch(prototxt, input, score, cls, layers, input_shape):
    from cnnvis.activations.forward import read_input
    from cnnvis.engines.inspection import inspect
    from cnnvis.gradients.weight_gradients import check_layers, check_neuron

    network = inspect(prototxt, input_shape)
    check_neuron(network, prototxt, score, cls)
    check_layers(network, prototxt, layers)
    return read_input(input, network.input_shape)[np.newaxis]


class Check:
    """What a layer's check found: its entry in the report, and what is drawn.

    Attributes
    ----------
    entry : dict
        See `check_layer`.
    analytic, numeric : ndarray, (count,)
    kinks : ndarray of bool, (count,)
    """

    def __init__(self, entry, analytic, numeric, kinks):
        self.entry, self.analytic, self.numeric, self.kinks = entry, analytic, numeric, kinks


def _check_layers(network, batch, score, cls, analytic, how):
    checks = {}
    for layer, gradient in analytic.items():
        variants = network.perturbations(batch, score, cls, layer)
        check = check_study if how["mode"] == "study" else check_layer
        checks[layer] = check(variants, gradient, layer, how)
    return checks


def check_layer(variants, gradient, layer, how):
    """Check a layer's gradient by central differences.

    Parameters
    ----------
    variants : Variants
        In float64; see `cnnvis.checks.finite_differences`.
    gradient : ndarray
        Of the shape of the weights.
    layer : str
    how : dict
        ``mode`` "sample" or "full", ``per_filter``, ``directions``, ``seed``.

    Returns
    -------
    Check
        Its entry has ``weights`` (how many there are), ``checked``, ``kinks`` (how many of these
        are not counted), ``kink_weights`` (which), ``worst``, ``worst_weight``, ``median``,
        ``correlation``, ``step`` (smallest, median, largest), ``directions`` (``checked``,
        ``kinks``, ``worst``, ``median``) and ``agrees``.
    """
    if not variants.learned:
        return _unchecked(gradient)
    full = how["mode"] == "full"
    indices = finite_differences.sample_weights(
        gradient.shape, None if full else how["per_filter"], how["seed"], layer
    )
    analytic, largest = gradient.reshape(-1)[indices], float(np.abs(gradient).max())
    numeric, kinks, steps = finite_differences.central_differences(
        variants, indices, analytic, largest, Progress(layer, len(indices))
    )
    entry = _entry(gradient, indices, analytic, numeric, kinks)
    entry["step"] = {
        "smallest": float(steps.min()),
        "median": float(np.median(steps)),
        "largest": float(steps.max()),
    }
    entry["directions"] = check_directions(variants, gradient, layer, how)
    errors = (entry["worst"], entry["directions"]["worst"])
    entry["agrees"] = all(error is None or error <= TOLERANCE for error in errors)
    return Check(entry, analytic, numeric, kinks)


def _unchecked(gradient):
    none, kinks = np.zeros(0), np.zeros(0, bool)
    entry = _entry(gradient, np.zeros(0, int), none, none, kinks)
    entry["directions"] = {"checked": 0, "kinks": 0, **_summary(none)}
    return Check({**entry, "agrees": True}, none, none, kinks)


def _entry(gradient, indices, analytic, numeric, kinks):
    """Return what the report says of single weights, those on a kink not counted."""
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


def check_directions(variants, gradient, layer, how):
    """Check a gradient along random directions; return the report's entry."""
    directions = finite_differences.random_directions(
        variants.weights, how["directions"], how["seed"], layer
    )
    # Of a random direction the derivative is normal, with this standard deviation.
    scale = finite_differences.root_mean_square(variants.weights) or 1.0
    typical = float(np.linalg.norm(gradient)) * scale
    numeric, kinks, _ = finite_differences.directional_differences(variants, directions, typical)
    analytic = np.array([np.vdot(gradient, make()) for make in directions])
    errors = relative_errors(numeric, analytic, typical)[~kinks]
    return {"checked": len(directions), "kinks": int(kinks.sum()), **_summary(errors)}


def check_study(variants, gradient, layer, how):
    """Check a layer's gradient as the study did: on the sample, without looking for kinks.

    Returns
    -------
    Check
        As `check_layer`, without ``step`` and ``directions``; ``unchanged`` counts the weights
        that are the same float32 number when 1e-9 is added, ``zeros`` the derivatives that are 0.
    """
    indices = finite_differences.sample_weights(
        gradient.shape, how["per_filter"], how["seed"], layer
    )
    numeric, unchanged = finite_differences.study_differences(
        variants, indices, Progress(layer, len(indices))
    )
    analytic, kinks = gradient.reshape(-1)[indices], np.zeros(len(indices), bool)
    entry = _entry(gradient, indices, analytic, numeric.astype(np.float64), kinks)
    entry |= {"unchanged": unchanged, "zeros": int(np.count_nonzero(numeric == 0))}
    entry["agrees"] = entry["worst"] <= TOLERANCE
    return Check(entry, analytic, numeric.astype(np.float64), kinks)


def correlation(first, second):
    """Return Pearson's correlation, or None where one of them does not vary."""
    first, second = (np.asarray(values, np.float64).reshape(-1) for values in (first, second))
    if len(first) < 2:
        return None
    first, second = first - first.mean(), second - second.mean()
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.clip(first @ second / norms, -1, 1)) if norms > 0 else None


def compare_file(found, expected, path, layer):
    """Compare the gradient in a file with the float64 one.

    Returns
    -------
    dict
        ``relative_error``: the norm of their difference to the norm of the gradient; ``worst``:
        the largest difference to the largest magnitude; ``correlation``; ``agrees``.
    """
    if found.shape != expected.shape:
        raise UserError(
            f"{path}: gradient of layer '{layer}' has shape {found.shape}, the network's weights "
            f"have {expected.shape}; make it again for this network"
        )
    difference = found.astype(np.float64) - expected
    error = float(np.linalg.norm(difference) / (np.linalg.norm(expected) or 1.0))
    return {
        "relative_error": error,
        "worst": float(np.abs(difference).max() / (np.abs(expected).max() or 1.0)),
        "correlation": correlation(found, expected),
        "agrees": error <= FLOAT32_TOLERANCE,
    }


def sentence(layer, entry, how):
    """Return what a layer's check found, in one plain sentence."""
    if how["mode"] == "study":
        return _study_sentence(layer, entry)
    which = "" if how["mode"] == "full" else "sampled "
    counted = entry["checked"] - entry["kinks"]
    if not entry["checked"]:
        return f"{layer}: holds statistics, not weights; their gradient is zero by definition."
    if not counted:
        return f"{layer}: all {entry['checked']} {which}weights sat on a kink; nothing is known."
    if entry["wrong"]:
        said = (
            f"{layer}: {entry['wrong']} of {counted} {which}weights DISAGREE with central "
            f"differences, by up to {_short(entry['worst'])} at {entry['worst_weight']}"
        )
    else:
        said = (
            f"{layer}: {counted} {which}weights agree with central differences to "
            f"{_short(entry['worst'])} (median {_short(entry['median'])})"
        )
    kinks = f"; {entry['kinks']} sat on a kink and are not counted" if entry["kinks"] else ""
    return f"{said}{kinks}; {_directions_said(entry['directions'])}{_file_said(entry['float32'])}."


def _short(number):
    """Return a number's first digit and its power of ten: 3e-10."""
    return f"{number:.1g}".replace("e-0", "e-")


def _directions_said(entry):
    counted = entry["checked"] - entry["kinks"]
    if not entry["checked"]:
        return "no directions were asked for"
    if not counted:
        return f"{entry['checked']} random directions, all with a kink"
    verb = "agree to" if entry["worst"] <= TOLERANCE else "DISAGREE by up to"
    kinks = f" ({entry['kinks']} more with a kink)" if entry["kinks"] else ""
    return f"{counted} random directions {verb} {_short(entry['worst'])}{kinks}"


def _file_said(entry):
    verb = "agrees to" if entry["agrees"] else "DISAGREES by"
    return f"; the gradient in the file {verb} {_short(entry['relative_error'])}"


def _study_sentence(layer, entry):
    related = entry["correlation"]
    return (
        f"{layer}: the study's numerical derivatives (float32, one side, step 1e-9) by "
        f"{entry['checked']} sampled weights have correlation "
        f"{'undefined' if related is None else format(related, '.2f')} with the gradient, where "
        f"right ones have 1; adding 1e-9 left {entry['unchanged']} of these weights as they were, "
        f"and {entry['zeros']} derivatives came out as 0{_file_said(entry['float32'])}."
    )


def _report(checks, how, score, cls):
    entries = {layer: check.entry for layer, check in checks.items()}
    study = how["mode"] == "study"
    step = "1e-9, one side, float32" if study else STEP_TEXT
    return {
        "score": score,
        "cls": cls,
        **how,
        "step": step,
        "relative_error": ERROR_TEXT,
        "tolerance": TOLERANCE,
        "float32_tolerance": FLOAT32_TOLERANCE,
        "agrees": all(e["agrees"] and e["float32"]["agrees"] for e in entries.values()),
        "sentence": " ".join(entry["sentence"] for entry in entries.values()),
        "layers": entries,
    }
