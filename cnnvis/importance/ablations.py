"""Which sets of filters are ablated, that is, set to zero together."""

from dataclasses import dataclass

import numpy as np

from cnnvis.importance.class_importance import min_max

# Shares of the layer's filters that a sweep ablates by default, after a single one.
SHARES = (0.02, 0.04, 0.08, 0.16, 0.25, 0.33, 0.5, 0.67, 0.84, 0.92, 1.0)
# Shares of the largest importance below which filters are ablated.
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8)
# How many steps the study's threshold is increased in, from a score of 0 to one of 1.
STUDY_STEPS = 100


@dataclass(frozen=True)
class Ablation:
    """A set of filters that are set to zero together.

    Attributes
    ----------
    kind : {"none", "single", "least", "most", "random", "threshold", "study"}
    filters : tuple of int
        In ascending order.
    criterion : str or None
        By which the least important ones were chosen, if it is not the one of the whole pruning.
    seed : int or None
        Of a random set.
    threshold : float or None
        The share of the largest importance below which filters are ablated; for the study's, the
        score (see `min_max`).
    zero : str or None
        What is set to zero, if it is not what is configured.
    """

    kind: str
    filters: tuple
    criterion: str | None = None
    seed: int | None = None
    threshold: float | None = None
    zero: str | None = None


def steps_of(steps, count):
    """Return how many filters a sweep ablates: `steps`, or by default shares of all."""
    return sorted(set(steps or [1, *(max(1, round(share * count)) for share in SHARES)]))


def plan_orders(orders, steps):
    """Return the ablations of the least important filters by further criteria.

    Parameters
    ----------
    orders : dict of str to ndarray of int, (filters,)
        Each criterion's order, the least important first.
    steps : list of int or None
        As in `plan_ablations`.
    """
    return [
        _ablation("least", order[:step], criterion=name)
        for name, order in orders.items()
        for step in steps_of(steps, len(order))
    ]


def plan_ablations(order, means, steps, seeds):
    """Return every `Ablation` by the order of one criterion, and random ones.

    Parameters
    ----------
    order : ndarray of int, (filters,)
        The least important first.
    means : ndarray, (filters,)
        The filters' importance.
    steps : list of int or None
        How many filters the sweep ablates, each from 1 to all; by default shares of them.
    seeds : int
    """
    count = len(order)
    steps = steps_of(steps, count)
    randoms = [np.random.default_rng(seed).permutation(count) for seed in range(seeds)]
    ablations = [Ablation("none", ())]
    ablations += [Ablation("single", (index,)) for index in range(count)]
    for step in steps:
        ablations.append(_ablation("least", order[:step]))
        ablations.append(_ablation("most", order[count - step :]))
        ablations += [_ablation("random", r[:step], seed=s) for s, r in enumerate(randoms)]
    for share in THRESHOLDS:
        below = np.flatnonzero(means < share * means.max())
        ablations.append(_ablation("threshold", below, threshold=share))
    return ablations


def plan_study_sweep(means):
    """Return the ablations of the study's sweep: the weights of all filters that score below t.

    Parameters
    ----------
    means : ndarray, (filters,)
        The filters' importance.

    Returns
    -------
    list of Ablation
        One for each t from 0 to 1 in steps of 0.01. Many are of the same filters.
    """
    scores, thresholds = min_max(means), np.arange(STUDY_STEPS + 1) / STUDY_STEPS
    return [
        _ablation("study", np.flatnonzero(scores < t), threshold=float(t), zero="weights")
        for t in thresholds
    ]


def _ablation(kind, filters, **options):
    return Ablation(kind, tuple(sorted(map(int, filters))), **options)


def is_for_others(ablation, order):
    """Whether the errors of other classes are counted too: where the importance chose the set.

    That leaves out random sets, the study's sweep (of the class alone, as the study's), other
    criteria, and all single filters but the least and the most important.
    """
    if ablation.kind == "single":
        return ablation.filters[0] in (order[0], order[-1])
    return ablation.kind not in ("random", "study") and ablation.criterion is None
