"""What happens to a class's error rate when filters are pruned.

Filters of one layer are removed in the order of their importance to a class (the mean norm of
their gradients, `cnnvis.importance.class_importance`): the study's two cases, the least and the
most important one; each alone; the k least, the k most and k random ones; and all below a
threshold, in a few steps and, if asked for, in the study's. The class's own images show what the
class loses, other image sets what pruning costs the other classes.

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
from cnnvis.core.arrays import check_finite
from cnnvis.core.files import write_json
from cnnvis.importance.ablations import is_for_others, plan_ablations, plan_study_sweep
from cnnvis.importance.class_importance import class_order
from cnnvis.importance.filter_effects import count_higher
from cnnvis.importance.pruning_table import Pruning
from cnnvis.inputs.streaming import CHUNK, Checkpoint, stream

TOPS = (1, 5)


@dataclass(frozen=True)
class PruningSettings:
    """Which filters are removed, and how.

    Attributes
    ----------
    layer : str
    zero : {"weights_and_bias", "weights"}
        What is set to zero.
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
    steps: list | None = None
    random_seeds: int = 5
    study_sweep: bool = False


class PruningFiles(NamedTuple):
    """The files of `make_pruning`: a CSV, a JSON, a PNG and an SVG."""

    table: str
    summary: str
    picture: str
    vector_picture: str


def make_pruning(
    model,
    preprocessing,
    image_sets,
    importance_npz,
    files,
    settings,
    *,
    title,
    code="",
    threads=None,
    chunk=CHUNK,
):
    """Prune a layer in the order of its filters' importance to a class; count the errors.

    Parameters
    ----------
    model : cnnvis.engines.model.Model
    preprocessing : cnnvis.inputs.images.Preprocessing
    image_sets : list of cnnvis.inputs.image_sets.ImageSet
        All whose errors are counted; the first is of the class whose importance sets the order.
    importance_npz : str or Path
        Of `cnnvis.importance.class_importance.make_class_sums` for that class.
    files : PruningFiles
    settings : PruningSettings
    title : str
    code : str
        The digest of the code: counts of other code are not resumed.
    threads : int, optional
    chunk : int
        Images per batch; an interrupted run resumes after the last one that was finished.

    Raises
    ------
    UserError
        If a class, the layer, an image set or a file is not usable.
    """
    from cnnvis.importance.pruning_figure import draw_pruning

    model.check_filters(settings.layer)
    for image_set in image_sets:
        model.check_neuron(image_set.cls)
    layer, own = settings.layer, image_sets[0]
    order, means = class_order(importance_npz, layer)
    ablations = plan_ablations(order, means, settings.steps, settings.random_seeds)
    if settings.study_sweep:
        ablations += plan_study_sweep(means)
    rows, skipped, checkpoints = [], {}, []
    with model.open(threads) as network:
        for image_set in image_sets:
            chosen = [a for a in ablations if image_set is own or is_for_others(a, order)]
            errors = ErrorCounts(network, model.score, image_set, settings, chosen)
            values = [layer, settings.zero, errors.sets, chunk, code]
            checkpoint = Checkpoint.of(files.table, model, preprocessing, image_set, *values)
            options = {"chunk": chunk, "threads": threads}
            name = image_set.name
            skipped[name] = stream(image_set, preprocessing, errors, checkpoint, **options)
            checkpoints.append(checkpoint)
            rows += errors.rows()
    pruning = Pruning(layer, own.name, settings.zero, order, means, rows, skipped)
    pruning.write_table(files.table)
    write_json(files.summary, pruning.summary)
    draw_pruning(pruning, files.picture, files.vector_picture, title=title)
    for checkpoint in checkpoints:
        checkpoint.forget()


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

    Attributes
    ----------
    sets : list of (str, tuple of int)
        What is set to zero, and of which filters: ablations of several kinds may be the same.
    """

    def __init__(self, network, score, image_set, settings, ablations):
        self.network, self.score, self.image_set = network, score, image_set
        self.settings, self.ablations = settings, ablations
        self.sets = sorted(set(map(self._set, ablations)))
        self.sums = {
            "images": np.zeros((), np.int64),
            "errors": np.zeros((len(self.sets), len(TOPS)), np.int64),
            "probability": np.zeros(len(self.sets)),
        }

    def _set(self, ablation):
        return ablation.zero or self.settings.zero, ablation.filters

    def add(self, chunk):
        """Count the errors of a `cnnvis.inputs.image_sets.Chunk` of images.

        Raises
        ------
        UserError
            If a score is not finite.
        """
        name, cls = self.image_set.name, self.image_set.cls
        for place, of_set in enumerate(self._scores(chunk.inputs)):
            count = len(self.sets[place][1])
            what = f"{name}: scores without {count} filters of {self.settings.layer}"
            check_finite(of_set, what)
            higher = count_higher(of_set, cls)
            self.sums["errors"][place] += [np.count_nonzero(higher >= top) for top in TOPS]
            self.sums["probability"][place] += to_probabilities(of_set)[0][:, cls].sum()
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
        entry = self._set(ablation)
        place = self.sets.index(entry)
        top1, top5 = map(int, self.sums["errors"][place])
        return {
            "removal": ablation.kind,
            "removed": len(ablation.filters),
            "filter": ablation.filters[0] if ablation.kind == "single" else None,
            "seed": ablation.seed,
            "threshold": ablation.threshold,
            "zero": entry[0],
            "collection": self.image_set.name,
            "cls": self.image_set.cls,
            "images": images,
            "error_top1": top1 / images,
            "error_top5": top5 / images,
            "probability": float(self.sums["probability"][place]) / images,
        }
