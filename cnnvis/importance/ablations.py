"""Filters that are removed together, and the scores of a network without them."""

from dataclasses import dataclass

import numpy as np

from cnnvis.core.errors import UserError

# Shares of the layer's filters that a sweep removes, after a single one, unless told how many.
SHARES = (0.02, 0.04, 0.08, 0.16, 0.25, 0.33, 0.5, 0.67, 0.84, 0.92, 1.0)
# Shares of the largest importance below which filters are removed.
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8)


@dataclass(frozen=True)
class Removal:
    """Filters that are removed together.

    Attributes
    ----------
    kind : {"none", "single", "least", "most", "random", "threshold"}
    filters : tuple of int
        In ascending order.
    seed : int or None
        Of a random removal.
    threshold : float or None
        The share of the largest importance below which filters go.
    """

    kind: str
    filters: tuple
    seed: int | None = None
    threshold: float | None = None


def plan_removals(order, means, steps, seeds, layer):
    """Return every `Removal` that is measured.

    Parameters
    ----------
    order : ndarray of int, (filters,)
        The least important first.
    means : ndarray, (filters,)
        The filters' importance.
    steps : list of int or None
    seeds : int
    layer : str
        For error messages.

    Raises
    ------
    UserError
        If a step is not a number of filters of this layer.
    """
    count = len(order)
    for step in steps or []:
        if not 1 <= step <= count:
            raise UserError(
                f"pruning: steps: {step} filters cannot be removed from layer '{layer}', which "
                f"has {count}"
            )
    steps = sorted(set(steps or [1, *(max(1, round(share * count)) for share in SHARES)]))
    randoms = [np.random.default_rng(seed).permutation(count) for seed in range(seeds)]
    removals = [Removal("none", ())]
    removals += [Removal("single", (index,)) for index in range(count)]
    for step in steps:
        removals.append(_removal("least", order[:step]))
        removals.append(_removal("most", order[count - step :]))
        removals += [_removal("random", r[:step], seed=s) for s, r in enumerate(randoms)]
    for share in THRESHOLDS:
        below = np.flatnonzero(means < share * means.max())
        removals.append(_removal("threshold", below, threshold=share))
    return removals


def _removal(kind, filters, **options):
    return Removal(kind, tuple(sorted(map(int, filters))), **options)


def is_for_others(removal, order):
    """Whether a removal's cost to other classes is counted: where the importance decides.

    That leaves out random removals, and all single filters but the least and the most important.
    """
    if removal.kind == "single":
        return removal.filters[0] in (order[0], order[-1])
    return removal.kind != "random"


def score_passes(network, layer, score, zero):
    """Return how scores are computed without some filters.

    Returns
    -------
    callable
        ``start(inputs)``, which returns ``ask(filters)``, which returns scores (N, classes). The
        embedded engine shares what lies below the layer and follows only what changes above;
        others run whole passes.
    """
    weights, *bias = network.params[layer]
    rest = bias[0] if zero == "weights" and bias else np.zeros(len(weights), weights.dtype)
    if hasattr(network, "resume") and not _shares_weights(network, layer):
        return lambda inputs: _followed(network, inputs, layer, score, rest)
    return lambda inputs: _whole(network, inputs, layer, score, zero)


def _shares_weights(network, layer):
    from cnnvis.engines.numpy.sharing import partners

    return bool(partners(network._shared, [layer]))


def _followed(network, inputs, layer, score, rest):
    from cnnvis.engines.numpy.changes import Base

    base = Base(network, inputs, layer, [score])

    def ask(filters):
        chosen = list(filters)
        return base.change(chosen, rest[chosen])[score].reshape(len(inputs), -1)

    return ask


def _whole(network, inputs, layer, score, zero):
    def ask(filters):
        kept = network.params[layer]
        zeroed = [array.copy() for array in kept]
        for array in zeroed if zero == "weights_and_bias" else zeroed[:1]:
            array[list(filters)] = 0
        network.set_weights({layer: zeroed})
        try:
            return network.forward(inputs, [score])[score].reshape(len(inputs), -1)
        finally:
            network.set_weights({layer: kept})

    return ask
