"""Whose gradient is it? Which neuron of a network fits a gradient that was published without one.

All neurons are looked at, cheaply: the derivative of the whole score along one direction of a
layer's weights is two forward passes, and holds the product of every neuron's gradient with that
direction. A dozen random directions tell a thousand neurons apart; then the gradients of the few
that fit best are made in full and compared number by number.
"""

import numpy as np

from cnnvis.checks.gradient_check import correlation
from cnnvis.checks.published import read_numbers
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json

DIRECTIONS = 12
CANDIDATES = 3
# Relative to the weights. Small, so that few ReLU switch; rounding in float64 leaves 1e-7 or less.
STEP = 1e-6


def make_fit(
    prototxt,
    weights,
    input,
    output,
    *,
    published,
    score,
    neuron,
    seed=0,
    threads=None,
    surplus="error",
    input_shape=None,
):
    """Find the neuron whose gradients fit published ones on one image; write it as JSON.

    Always by the embedded engine, in float64.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    input : str or Path
        ``input.npy`` of `cnnvis.inputs.images.make_input`.
    output : str or Path
        Becomes the JSON: per layer what `fit_layer` returns.
    published : dict of str to path
        Layer -> its published gradient, ``.npy``.
    score : str
        The blob whose elements are the neurons.
    neuron : int
        The one expected; compared whether it fits or not.
    seed : int
        Of the directions.
    threads : int, optional
    surplus : {"error", "ignore"}
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not say it itself.

    Raises
    ------
    UserError
        If a file is not usable; a published one's fault stands in the JSON instead.
    """
    from cnnvis.activations.forward import read_input
    from cnnvis.engines import open_network
    from cnnvis.engines.inspection import inspect

    batch = read_input(input, inspect(prototxt, input_shape).input_shape)[np.newaxis]
    options = {"threads": threads, "surplus": surplus, "input_shape": input_shape}
    with open_network(prototxt, weights, dtype="float64", **options) as opened:
        layers = {
            layer: _fit_file(opened, batch, score, layer, path, neuron, seed)
            for layer, path in published.items()
        }
    write_json(output, {"score": score, "neuron": neuron, "layers": layers})


def _fit_file(network, batch, score, layer, path, neuron, seed):
    try:
        gradient = read_numbers(path, network.params[layer][0].shape)
    except UserError as error:
        return {"error": str(error)}
    return fit_layer(network, batch, score, layer, gradient, neuron, seed)


def fit_layer(network, batch, score, layer, gradient, neuron, seed=0):
    """Find the neuron whose gradient by one layer's weights is `gradient`.

    Parameters
    ----------
    network : network
        In float64; see `cnnvis.open_network`.
    batch : ndarray, (1, C, H, W)
    score, layer : str
    gradient : ndarray
        Of the weights' shape.
    neuron : int
        Compared in any case.
    seed : int

    Returns
    -------
    dict
        ``scanned``: how many neurons; ``best``: the one that fits best; ``candidates``, best
        first: ``neuron``, ``relative_error`` (norm of the difference to norm of the published
        gradient), ``correlation``, and the ``factor`` that would fit best.
    """
    estimates = scan(network, batch, score, layer, gradient, seed)
    chosen = np.argsort(estimates, kind="stable")[:CANDIDATES].tolist()
    if neuron < len(estimates) and neuron not in chosen:
        chosen.append(neuron)
    # One by one: all together would need the memory of a batch, and they are few.
    found = [network.weight_gradient(batch, score, each, [layer])[layer][0] for each in chosen]
    entries = [
        {"neuron": int(each), **compare(made, gradient)}
        for each, made in zip(chosen, found, strict=True)
    ]
    entries.sort(key=lambda entry: entry["relative_error"])
    return {"scanned": len(estimates), "best": entries[0]["neuron"], "candidates": entries}


def scan(network, batch, score, layer, gradient, seed=0):
    """Estimate for every neuron how far its gradient is from `gradient`, whatever its factor.

    Parameters
    ----------
    network, batch, score, layer, gradient, seed
        As for `fit_layer`.

    Returns
    -------
    ndarray, (neurons,)
        Norm of what the best multiple of the neuron's gradient leaves, relative to `gradient`'s,
        estimated from `DIRECTIONS` random directions.
    """
    rng = np.random.default_rng(seed)
    directions = [rng.normal(size=gradient.shape) for _ in range(DIRECTIONS)]
    wanted = np.array([np.vdot(direction, gradient) for direction in directions])
    slopes = np.array(slopes_along(network, batch, score, layer, directions))
    squares = (slopes**2).sum(axis=0)
    factors = np.divide(wanted @ slopes, squares, out=np.zeros_like(squares), where=squares > 0)
    left = np.linalg.norm(wanted[:, np.newaxis] - factors * slopes, axis=0)
    return left / (np.linalg.norm(wanted) or 1.0)


def slopes_along(network, batch, score, layer, directions):
    """Return the derivatives of a whole score along directions of a layer's weights.

    Central differences; the network's weights are put back.

    Returns
    -------
    list of ndarray, (neurons,)
    """
    original = network.params[layer]
    step = STEP * (np.sqrt(np.mean(original[0] ** 2)) or 1.0)

    def score_at(weights):
        network.set_weights({layer: [weights, *original[1:]]})
        return network.forward(batch, [score])[score].reshape(-1)

    try:
        return [
            (score_at(original[0] + step * d) - score_at(original[0] - step * d)) / (2 * step)
            for d in directions
        ]
    finally:
        network.set_weights({layer: original})


def compare(found, published):
    """Compare a gradient with a published one.

    Returns
    -------
    dict
        ``relative_error``, ``correlation`` and ``factor``: what `found` times it fits best.
    """
    found = np.asarray(found, np.float64)
    square = float(np.vdot(found, found))
    return {
        "relative_error": float(
            np.linalg.norm(found - published) / (np.linalg.norm(published) or 1.0)
        ),
        "correlation": correlation(found, published),
        "factor": float(np.vdot(found, published) / square) if square else 0.0,
    }
