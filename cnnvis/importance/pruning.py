"""What happens to a class's error rate when filters are pruned.

Filters of one layer are removed in the order of their importance to a class (by default the mean
norm of their gradients, `cnnvis.importance.class_importance`): the study's two cases, the least and
the most important one; each alone; the k least, the k most and k random ones; and all below a
threshold, in a few steps and, if asked for, in the study's. The class's own images show what the
class loses, other image sets what pruning costs the other classes. In the class's images, the k
least important ones are removed by every other criterion, too, which puts the criteria on trial
(`cnnvis.importance.criteria_trial`).

To remove a filter is to set its weights and its bias to zero, so that its feature map is zero. With
its weights alone at zero, its feature map is its bias everywhere. The study most likely did the
latter: it writes of "making the weights [...] zero", and all its code that is known handles a
layer's weights only (``blobs[0]``), never a bias. So does the study's sweep here, in any case.
ASSUME: the default is nevertheless ``weights_and_bias``, because a filter that still puts out its
bias is not removed; for a first layer, whose biases are small against its outputs, the two hardly
differ.

An image is a top-k error where at least k classes score higher than its own; of equal scores the
lower class number goes first, as in Caffe's predictions. Sweeps are nested: the k + 1 least
important filters include the k least, and so for each seed's random ones.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from cnnvis.activations.forward import to_probabilities
from cnnvis.core.arrays import check_finite, read_array
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.importance.ablations import (
    is_for_others,
    plan_ablations,
    plan_orders,
    plan_study_sweep,
)
from cnnvis.importance.criteria_trial import (
    CURVES,
    ORACLE,
    Trial,
    losses_of,
    orders_of,
    read_criteria,
)
from cnnvis.importance.filter_criteria import STUDY
from cnnvis.importance.filter_effects import EFFECTS, Effects, count_higher
from cnnvis.importance.pruning_table import Pruning, sweep

TOPS = (1, 5)


@dataclass(frozen=True)
class PruningSettings:
    """Which filters are removed, and how.

    Attributes
    ----------
    layer : str
    zero : {"weights_and_bias", "weights"}
        What is set to zero.
    criterion : str
        Whose order is followed, see `cnnvis.importance.filter_criteria`.
    steps : list of int or None
        How many filters the sweep removes; by default one, and the `SHARES` of all that
        `cnnvis.importance.ablations` lists.
    random_seeds : int
        How many random orders.
    study_sweep : bool
        Whether the study's sweep of a threshold is made, too.
    """

    layer: str
    zero: str = "weights_and_bias"
    criterion: str = STUDY
    steps: list | None = None
    random_seeds: int = 5
    study_sweep: bool = False


class PruningInputs(NamedTuple):
    """What `make_pruning` reads, all of the class whose importance sets the order.

    Attributes
    ----------
    importance : str or Path
        Of `cnnvis.importance.class_importance.make_class_sums`, with criteria of the layer.
    effects : str or Path
        Of `cnnvis.importance.filter_effects.make_filter_effects`.
    responses : str or Path, optional
        Of `cnnvis.activations.responses`, the arrays of the layer.
    """

    importance: str
    effects: str
    responses: str | None = None


class PruningFiles(NamedTuple):
    """The files of `make_pruning`: first those of the errors, then of the criteria on trial."""

    table: str
    summary: str
    picture: str
    vector_picture: str
    criteria: str
    trial: str
    trial_picture: str


def make_pruning(streams, image_sets, inputs, files, settings, *, title):
    """Prune a layer in the order of its filters' importance to a class; count the errors.

    Parameters
    ----------
    streams : cnnvis.inputs.streaming.Streams
    image_sets : list of cnnvis.inputs.image_sets.ImageSet
        All whose errors are counted; the first is of the class whose importance sets the order.
    inputs : PruningInputs
    files : PruningFiles
        Not needed in the job of a portion.
    settings : PruningSettings
    title : str

    Raises
    ------
    UserError
        If a class, the layer, an image set or a file is not usable.
    """
    from cnnvis.importance.criteria_trial_figure import draw_trial
    from cnnvis.importance.pruning_figure import draw_pruning

    model = streams.model
    model.check_filters(settings.layer)
    model.check_classes(image_sets)
    own, counts, skipped = image_sets[0], [], {}
    effects = Effects.read(inputs.effects)
    with model.open(streams.threads) as network:
        params, read = network.params[settings.layer], (inputs.importance, inputs.responses)
        criteria, order = rank_filters(*read, params, settings, own)
        means, losses = criteria[settings.criterion][0], losses_of(effects.effects)
        ablations = plan(order, means, orders_of(criteria, losses), settings)
        for image_set in image_sets:
            chosen = [a for a in ablations if image_set is own or is_for_others(a, order)]
            known = effects if image_set is own else None
            errors = ErrorCounts(network, model.score, image_set, settings, chosen, known)
            values = [settings.layer, settings.zero, errors.sets]
            skipped[image_set.name] = streams.sum(errors, image_set, *values)
            counts.append(errors)
    if streams.hand_over():
        return
    rows = [row for errors in counts for row in errors.rows()]
    pruning = Pruning(settings, own.name, order, means, rows, skipped)
    pruning.write_table(files.table)
    write_json(files.summary, pruning.summary)
    draw_pruning(pruning, files.picture, files.vector_picture, title=title)
    curves = {value: curves_of(pruning.own, criteria, settings, value) for value in CURVES}
    trial = Trial(settings.layer, own.name, criteria, losses, curves)
    trial.write_table(files.criteria)
    summary = trial.summary()
    write_json(files.trial, summary)
    draw_trial(trial, summary, files.trial_picture)
    streams.forget()


def read_selectivity(responses_npz, cls):
    """Return how well each filter's responses tell a class, (filters,), or None if nobody knows."""
    if responses_npz is None:
        return None
    classes = read_array(responses_npz, "class", "array")
    places = np.flatnonzero(classes == cls)
    # Of a single class there is nothing to tell it from: its areas are no numbers.
    if len(classes) < 2 or not len(places):
        return None
    return read_array(responses_npz, "area", "array")[:, places[0]]


def rank_filters(importance_npz, responses_npz, params, settings, image_set):
    """Return all criteria of a layer, and the filters' order by the one that is followed.

    Filters that are equally important, as all are for a neuron that is dead on its images, stand in
    the order of the network.

    Parameters
    ----------
    importance_npz, responses_npz : str or Path
        As in `PruningInputs`; the latter may be None.
    params : list of ndarray
        The layer's weights, and bias if there is one.
    settings : object
        With ``layer`` and ``criterion``.
    image_set : cnnvis.inputs.image_sets.ImageSet

    Returns
    -------
    criteria : dict
        See `cnnvis.importance.criteria_trial.read_criteria`.
    order : ndarray of int, (filters,)
        The least important first.

    Raises
    ------
    UserError
        If there is no such criterion, or a file cannot be read.
    """
    areas = read_selectivity(responses_npz, image_set.cls)
    criteria = read_criteria(importance_npz, settings.layer, params, areas)
    if settings.criterion not in criteria:
        raise UserError(
            f"pruning.criterion: there is no {settings.criterion} of {settings.layer} for "
            f"{image_set.name}; there are {', '.join(criteria)}"
        )
    return criteria, np.argsort(criteria[settings.criterion][0], kind="stable")


def plan(order, means, orders, settings):
    """Return every `Ablation` of the class's own images."""
    # Random orders there are already, unless none is asked for.
    known = {settings.criterion, "random" if settings.random_seeds else None}
    others = {name: each for name, each in orders.items() if name not in known}
    ablations = plan_ablations(order, means, settings.steps, settings.random_seeds)
    ablations += plan_orders(others, settings.steps)
    return ablations + (plan_study_sweep(means) if settings.study_sweep else [])


def curves_of(rows, criteria, settings, value):
    """Return ``{criterion: {filters removed, the least important first: value}}``.

    ``random`` is the mean over the random orders.
    """
    before = next(row[value] for row in rows if row["removal"] == "none")
    names = [*criteria, ORACLE]
    curves = {}
    for name in names:
        criterion = None if name == settings.criterion else name
        kind = "random" if name == "random" and settings.random_seeds else "least"
        points = sweep(rows, kind, value, None if kind == "random" else criterion)
        curves[name] = {0: before} | {count: float(np.mean(x)) for count, x in points.items()}
    return curves


class ErrorCounts:
    """Errors of an image set without each of several sets of filters.

    Parameters
    ----------
    network : cnnvis.engines.base.Engine
    score : str
        The blob.
    image_set : cnnvis.inputs.image_sets.ImageSet
    settings : PruningSettings
    ablations : list of cnnvis.importance.ablations.Ablation
    effects : cnnvis.importance.filter_effects.Effects, optional
        Of single filters of the same images: these are not computed again.

    Attributes
    ----------
    sets : list of (str, tuple of int)
        What is set to zero, and of which filters: ablations of several kinds may be the same.
    """

    def __init__(self, network, score, image_set, settings, ablations, effects=None):
        self.network, self.score, self.image_set = network, score, image_set
        self.settings, self.ablations, self.effects = settings, ablations, effects
        self.sets = sorted({self._set(a) for a in ablations if not self._is_known(a)})
        self.sums = {
            "images": np.zeros((), np.int64),
            "errors": np.zeros((len(self.sets), len(TOPS)), np.int64),
            "probability": np.zeros(len(self.sets)),
        }

    def _set(self, ablation):
        return ablation.zero or self.settings.zero, ablation.filters

    def _is_known(self, ablation):
        return ablation.kind == "single" and self.effects is not None

    def add(self, chunk):
        """Count the errors of a `cnnvis.inputs.image_sets.Chunk` of images.

        Raises
        ------
        UserError
            If a score is not finite.
        """
        name = self.image_set.name
        own = np.array([self.image_set.classes[image] for image in chunk.images])
        for place, of_set in enumerate(self._scores(chunk.inputs)):
            count = len(self.sets[place][1])
            what = f"{name}: scores without {count} filters of {self.settings.layer}"
            check_finite(of_set, what)
            higher = count_higher(of_set, own)
            self.sums["errors"][place] += [np.count_nonzero(higher >= top) for top in TOPS]
            probabilities = to_probabilities(of_set)[0][np.arange(len(own)), own]
            self.sums["probability"][place] += probabilities.sum()
        self.sums["images"] += len(chunk.images)

    def _scores(self, inputs):
        """Yield the scores (images, classes) of each of the sets."""
        for zero, entries in groupby(self.sets, lambda entry: entry[0]):
            filters = [entry[1] for entry in entries]
            where = (self.settings.layer, filters, self.score, zero == "weights")
            yield from self.network.scores_without(inputs, *where)

    def rows(self):
        """Return a row of the table for each ablation; see `cnnvis.importance.pruning_table`."""
        images = int(self.sums["images"])
        return [self._row(ablation, images) for ablation in self.ablations]

    def _row(self, ablation, images):
        top1, top5, probability = self._numbers(ablation, images)
        return {
            "removal": ablation.kind,
            "criterion": ablation.criterion,
            "removed": len(ablation.filters),
            "filter": ablation.filters[0] if ablation.kind == "single" else None,
            "seed": ablation.seed,
            "threshold": ablation.threshold,
            "zero": self._set(ablation)[0],
            "collection": self.image_set.name,
            "cls": self.image_set.cls,
            "images": images,
            "error_top1": top1,
            "error_top5": top5,
            "probability": probability,
        }

    def _numbers(self, ablation, images):
        """Return the shares of errors, top-1 and top-5, and the mean probability."""
        if self._is_known(ablation):
            alone = self.effects.effects[0, :, 1 + ablation.filters[0]]
            names = ("error_top1", "error_top5", "probability")
            return [float(alone[EFFECTS.index(name)]) for name in names]
        place = self.sets.index(self._set(ablation))
        top1, top5 = map(int, self.sums["errors"][place])
        return top1 / images, top5 / images, float(self.sums["probability"][place]) / images
