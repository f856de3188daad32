"""Identify the output neuron that a published gradient belongs to.

All neurons are scanned cheaply: the derivative of the whole score along one direction of a layer's
weights takes two forward passes, and is the scalar product of every neuron's gradient with that
direction. A dozen random directions tell a thousand neurons apart; then the gradients of the few
that fit best are computed in full and compared number by number.
"""

import numpy as np

from cnnvis.checks.agreement import correlation, relative_error
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.inputs.published import read_numbers

DIRECTIONS = 12
CANDIDATES = 3
# Relative to the weights. Small, so that few ReLU switch; rounding in float64 leaves 1e-7 or less.
STEP = 1e-6


def make_fit(model, input, output, *, published, neuron, seed=0, threads=None):
    """Find the neuron whose gradients fit published ones on one image; write it as JSON.

    Always by the embedded engine, in float64.

    Parameters
    ----------
    model : cnnvis.engines.model.Model
    input : str or Path
        ``input.npy`` of the image.
    output : str or Path
        Becomes the JSON: per layer what `fit_layer` returns.
    published : dict of str to path
        Layer -> its published gradient, ``.npy``.
    neuron : int
        The expected one; compared whether it fits or not.
    seed : int
        Of the directions.
    threads : int, optional
        By default every processor this process may run on.

    Raises
    ------
    UserError
        If a file is not usable. What is wrong with a published one is in the JSON instead.
    """
    batch = model.read_input(input)[np.newaxis]
    layers = {}
    with model.open(threads, dtype="float64", engine="numpy") as network:
        for layer, path in published.items():
            try:
                gradient = read_numbers(path, network.params[layer][0].shape)
            except UserError as error:
                layers[layer] = {"error": str(error)}
                continue
            layers[layer] = fit_layer(network, batch, model.score, layer, gradient, neuron, seed)
    write_json(output, {"score": model.score, "neuron": neuron, "layers": layers})


def fit_layer(network, batch, score, layer, gradient, neuron, seed=0):
    """Find the neuron whose gradient with respect to one layer's weights is `gradient`.

    Parameters
    ----------
    network : cnnvis.engines.base.Engine
        In float64.
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
        first: ``neuron`` and the numbers of `goodness_of_fit`.
    """
    estimates = scan(network, batch, score, layer, gradient, seed)
    candidates = np.argsort(estimates, kind="stable")[:CANDIDATES].tolist()
    if neuron < len(estimates) and neuron not in candidates:
        candidates.append(neuron)
    # One by one: all together would need the memory of a batch, and they are few.
    fits = []
    for each in candidates:
        computed = network.weight_gradient(batch, score, each, [layer])[layer][0]
        fits.append({"neuron": each, **goodness_of_fit(computed, gradient)})
    fits.sort(key=lambda fit: fit["relative_error"])
    return {"scanned": len(estimates), "best": fits[0]["neuron"], "candidates": fits}


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
    expected = np.array([np.vdot(direction, gradient) for direction in directions])
    slopes = np.array(slopes_along(network, batch, score, layer, directions))
    squares = (slopes**2).sum(axis=0)
    factors = np.divide(expected @ slopes, squares, out=np.zeros_like(squares), where=squares > 0)
    left = np.linalg.norm(expected[:, np.newaxis] - factors * slopes, axis=0)
    return left / (np.linalg.norm(expected) or 1.0)


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


def goodness_of_fit(gradient, published):
    """Compare a gradient with a published one.

    Returns
    -------
    dict
        ``relative_error`` (norm of the difference to norm of the published gradient),
        ``correlation``, and the ``factor`` by which `gradient` fits best.
    """
    gradient = np.asarray(gradient, np.float64)
    square = float(np.vdot(gradient, gradient))
    return {
        "relative_error": relative_error(gradient, published),
        "correlation": correlation(gradient, published),
        "factor": float(np.vdot(gradient, published) / square) if square else 0.0,
    }
