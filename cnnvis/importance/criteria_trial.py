"""Whether a criterion of importance measures it: criteria against the true effect of removal.

The truth is what the removal of each filter alone does to the class
(`cnnvis.importance.filter_effects`); it is called the oracle, as in Molchanov et al. 2019. A
criterion agrees with it as far as it puts the filters in the same order: Spearman's and Kendall's
correlation, with the interval in which nine tenths of the bootstrap's replicates lie (both sides
vary with the images). Most criteria have no sign. They can say how much the removal changes the
logarithm of the probability (Molchanov et al. compare with its square), not whether the class loses
or gains; ``taylor_signed`` can say the latter.

What that is worth for pruning is the area under the curve of a sweep that removes the least
important filters first, on a scale from that of the oracle's own order, the least loss first (0),
to that of random orders (1).
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.rank_correlations import CORRELATIONS
from cnnvis.core.arrays import read_array, significant
from cnnvis.core.files import write_csv
from cnnvis.importance import bootstrap
from cnnvis.importance.filter_criteria import MEASURED, STUDY, weight_norms
from cnnvis.importance.filter_effects import EFFECTS

ORACLE = "oracle"
LOSSES = {"change": 1, "log_probability": -1, "probability": -1, "error_top1": 1}
"""What the class loses, of `EFFECTS`, and the sign with which the effect grows with the loss; first
the size of the change."""
SIZE, LOSS = "change", "log_probability"
SIGNED = "taylor_signed"
CURVES = ("probability", "error_top1")
# Kendall's correlation takes the time of all pairs of filters for every replicate.
MOST_FILTERS = 256
# ASSUME: what the sentence trusts. Half of the largest possible rank correlation, in nearly all
# replicates; below that, the order of many filters is another one than the true one.
TRUSTED = 0.5


def read_criteria(path, layer, params, areas=None):
    """Return every criterion of a layer's filters.

    Parameters
    ----------
    path : str or Path
        Of `cnnvis.importance.class_importance.make_class_sums`, with criteria of the layer.
    layer : str
    params : list of ndarray
        The layer's weights, and bias if there is one.
    areas : ndarray, (filters,), optional
        How well each filter's responses tell the class.

    Returns
    -------
    dict of str to ndarray of float64, (replicates + 1, filters)
        Means over the images in the first row, over those of the replicates in the others (NaN
        where one has no image). Criteria that do not depend on the images are the same in all.

    Raises
    ------
    UserError
        If the file has no criteria of this layer.
    """
    sums, groups = (read_array(path, name, "sum") for name in (f"{layer}/criteria", "groups"))
    with np.errstate(invalid="ignore"):
        means = sums / groups[:, np.newaxis, np.newaxis]
    criteria = {name: means[:, place] for place, name in enumerate(MEASURED)}
    filters = means.shape[2]
    fixed = weight_norms(params[0]) | ({} if areas is None else {"selectivity": areas})
    fixed["random"] = np.random.default_rng(0).permutation(filters).astype(np.float64)
    return criteria | {name: np.tile(each, (len(means), 1)) for name, each in fixed.items()}


def losses_of(effects):
    """Return what the class loses without each filter, ``{loss: (replicates + 1, filters)}``.

    Parameters
    ----------
    effects : ndarray, (replicates + 1, `EFFECTS`, filters + 1)
        Of `cnnvis.importance.filter_effects.Effects`.
    """
    return {
        name: sign * (effects[:, place, 1:] - effects[:, place, :1])
        for name, sign in LOSSES.items()
        for place in [EFFECTS.index(name)]
    }


def orders_of(criteria, losses):
    """Return each criterion's order of the filters, and the oracle's, the least important first."""
    rows = {name: values[0] for name, values in criteria.items()} | {ORACLE: losses[LOSS][0]}
    return {name: np.argsort(values, kind="stable") for name, values in rows.items()}


def correlate(criteria, losses):
    """Return how far each criterion agrees with each loss.

    Parameters
    ----------
    criteria, losses : dict of str to ndarray, (replicates + 1, filters)

    Returns
    -------
    dict
        ``{criterion: {loss: {"spearman" and "kendall": {"value", "interval"}}}}``. A value is None
        where all filters are equal, an interval where it is in all replicates; Kendall's have none
        for more than `MOST_FILTERS` filters.
    """
    rows = np.stack([*criteria.values(), *losses.values()], axis=1)
    rows = rows[~np.isnan(rows).any(axis=(1, 2))]
    found = {}
    for kind, function in CORRELATIONS.items():
        few = kind == "spearman" or rows.shape[2] <= MOST_FILTERS
        found[kind] = np.stack([function(each) for each in (rows if few else rows[:1])])
    return {
        name: {
            loss: {kind: _entry(values[:, i, len(criteria) + j]) for kind, values in found.items()}
            for j, loss in enumerate(losses)
        }
        for i, name in enumerate(criteria)
    }


def _entry(values):
    interval = bootstrap.interval(values[1:])
    return {
        "value": None if np.isnan(values[0]) else significant(values[0]),
        "interval": interval and list(map(significant, interval)),
    }


def areas_under(curves, filters):
    """Return the area under each criterion's curve.

    Parameters
    ----------
    curves : dict of str to dict of int to float
        For each criterion, and for ``oracle`` and ``random``, the class's probability or error
        without its k least important filters, by k, from 0.
    filters : int

    Returns
    -------
    dict
        ``{criterion: {"area", "relative"}}``: the mean height of the curve, and that on the scale
        from the oracle's own order (0) to random orders (1), None where these two do not differ.
    """
    areas = {name: _area(curve, filters) for name, curve in curves.items()}
    worst, best = areas["random"], areas[ORACLE]
    span = worst - best
    return {
        name: {
            "area": significant(area),
            "relative": significant((area - best) / span) if abs(span) > 1e-9 else None,
        }
        for name, area in areas.items()
    }


def _area(curve, filters):
    counts = np.array(sorted(curve))
    heights = np.array([curve[count] for count in counts])
    widths = np.diff(counts) / filters
    return float((widths * (heights[1:] + heights[:-1]) / 2).sum() / widths.sum())


@dataclass(frozen=True)
class Trial:
    """The criteria of a layer's filters, what their removal does, and how far these agree.

    Attributes
    ----------
    layer, image_set : str
    criteria, losses : dict of str to ndarray, (replicates + 1, filters)
    curves : dict of str to dict
        ``{value of `CURVES`: {criterion: {filters removed: value}}}``.
    """

    layer: str
    image_set: str
    criteria: dict
    losses: dict
    curves: dict

    @property
    def filters(self):
        """How many the layer has."""
        return self.losses[SIZE].shape[1]

    def summary(self):
        """Return the correlations, areas and one ``sentence``, as a dict for JSON."""
        correlations = correlate(self.criteria, self.losses)
        areas = {value: areas_under(curves, self.filters) for value, curves in self.curves.items()}
        rows = {
            name: {
                "losses": by_loss,
                "areas": {value: areas[value][name] for value in self.curves},
            }
            for name, by_loss in correlations.items()
        }
        ranked = rank_criteria(rows)
        return {
            "layer": self.layer,
            "collection": self.image_set,
            "filters": self.filters,
            "replicates": len(self.losses[SIZE]) - 1,
            "criteria": {name: rows[name] for name in ranked},
            "bounds": {
                value: {name: areas[value][name] for name in (ORACLE, "random")}
                for value in self.curves
            },
            "sentence": sentence(ranked, rows, self.layer, self.image_set),
        }

    def write_table(self, path):
        """Write each filter's criteria and losses as CSV."""
        columns = {name: values[0] for name, values in self.criteria.items()}
        columns |= {f"loss_{name}": values[0] for name, values in self.losses.items()}
        rows = (
            (index, *(f"{column[index]:.6g}" for column in columns.values()))
            for index in range(self.filters)
        )
        write_csv(path, ("filter", *columns), rows)


def rank_criteria(rows):
    """Return the names of criteria, the one that agrees most with the size of changes first."""

    def agreement(name):
        value = rows[name]["losses"][SIZE]["spearman"]["value"]
        return -2 if value is None else value

    return sorted(rows, key=agreement, reverse=True)


def sentence(ranked, rows, layer, image_set):
    """Say in words which criterion to trust, and where the study's stands."""
    size = {name: rows[name]["losses"][SIZE]["spearman"] for name in ranked}
    best, study = ranked[0], size[STUDY]
    if size[best]["value"] is None:
        alike = f"No filter of {layer} matters more to {image_set} than another"
        return f"{alike}: there is nothing to agree with."
    what = f"how much the removal of each filter of {layer} changes {image_set}'s log-probability"
    interval = size[best]["interval"]
    trusted = interval is not None and interval[0] >= TRUSTED
    start = (
        f"Of {len(ranked)} criteria, {best} says best {what}"
        if trusted
        else f"None of {len(ranked)} criteria can be trusted to say {what}; {best} comes nearest"
    )
    text = f"{start} (Spearman's correlation {_with_interval(size[best])})"
    if best == STUDY:
        text += ": the study's own"
    else:
        place = ranked.index(STUDY) + 1
        text += f"; the study's {STUDY} is number {place} with {_with_interval(study)}"
    signed = rows[SIGNED]["losses"][LOSS]["spearman"]
    if signed["value"] is None:
        return f"{text}."
    return f"{text}. Whether the class loses or gains, {SIGNED} says with {_with_interval(signed)}."


def _with_interval(entry):
    if entry["value"] is None:
        return "no value"
    if entry["interval"] is None:
        return f"{entry['value']:.2f}"
    return f"{entry['value']:.2f} [{entry['interval'][0]:.2f} to {entry['interval'][1]:.2f}]"
