"""What the removal of each filter of a layer alone does: what a measure of importance predicts.

For every image, the network's scores without a filter are computed for each filter in turn
(`Engine.scores_without`, exact). Kept are sums over images, so that memory does not grow with their
number: of what the removal does to the image's own class, for groups of images (replicates of the
bootstrap, or classes), and of how it changes every score.
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.forward import log_probabilities, to_probabilities
from cnnvis.core.arrays import check_finite, read_array, write_arrays
from cnnvis.importance import bootstrap

EFFECTS = ("probability", "log_probability", "error_top1", "error_top5", "change")
"""Of an image's own class: its probability and the natural logarithm, whether at least one class,
and at least five, score higher, and the size of the change of the logarithm."""
# Scores that are in memory at once, without each of several filters.
SCORE_BYTES = 256e6


def make_filter_effects(streams, image_set, *, layer, zero):
    """Remove each filter of a layer alone, over an image set; write what that does.

    Parameters
    ----------
    streams : cnnvis.inputs.streaming.Streams
        Its output is ``.npz``, the ``sums`` of `FilterEffects`, whose groups are the image set and
        each replicate of the bootstrap; see `Effects`.
    image_set : cnnvis.inputs.image_sets.ImageSet
        All of its images have a class.
    layer : str
    zero : {"weights_and_bias", "weights"}
        What is set to zero.

    Raises
    ------
    UserError
        If a class, the layer, the image set or a file is not usable.
    """
    model = streams.model
    model.check_filters(layer)
    model.check_classes([image_set])
    with model.open(streams.threads) as network:
        where = (layer, model.score, zero == "weights")
        effects = FilterEffects(network, where, image_set, bootstrap.counts, model.classes)
        streams.sum(effects, image_set, layer, zero)
    if streams.hand_over():
        return
    write_arrays(streams.output, effects.sums)
    streams.forget()


class FilterEffects:
    """Sums of what the removal of each filter alone does.

    Parameters
    ----------
    network : cnnvis.engines.base.Engine
    where : (str, str, bool)
        The layer, the score blob, and whether a removed filter keeps its bias.
    image_set : cnnvis.inputs.image_sets.ImageSet
        An image without a class counts in no group.
    count : callable
        From the images of a chunk, a list of str, to how often they count in each group,
        (groups, images).
    classes : int
        How many the network has.

    Attributes
    ----------
    sums : dict of str to ndarray
        See `Effects`, of which it has the sums over images.
    """

    def __init__(self, network, where, image_set, count, classes):
        self.network, self.where, self.image_set, self.count = network, where, image_set, count
        filters, groups = len(network.params[where[0]][0]), len(count([]))
        self.sums = {
            "images": np.zeros((), np.int64),
            "groups": np.zeros(groups),
            "effects": np.zeros((groups, len(EFFECTS), filters + 1)),
            "scores": np.zeros((filters + 1, classes)),
        }

    def add(self, chunk):
        """Add a `cnnvis.inputs.image_sets.Chunk` of images.

        Raises
        ------
        UserError
            If a score is not finite.
        """
        own = np.array([self.image_set.classes[image] or 0 for image in chunk.images])
        removals, classes = self.sums["scores"].shape
        size = max(1, int(SCORE_BYTES // (len(own) * classes * 8)))
        counts, before = self.count(chunk.images), self._scores(chunk.inputs, range(1))[0]
        for first in range(0, removals, size):
            places = slice(first, min(first + size, removals))
            scores = self._scores(chunk.inputs, range(removals)[places])
            self.sums["scores"][places] += scores.sum(axis=1, dtype=np.float64)
            effects = effects_on(scores, own, before)
            self.sums["effects"][:, :, places] += np.einsum("gn,ern->ger", counts, effects)
        self.sums["images"] += len(own)
        self.sums["groups"] += counts.sum(axis=1)

    def _scores(self, inputs, places):
        """Return the scores with all filters (place 0) or without a filter (its number + 1)."""
        layer, blob, keep_bias = self.where
        sets = [[place - 1] if place else [] for place in places]
        scores = self.network.scores_without(inputs, layer, sets, blob, keep_bias)
        check_finite(scores, f"{self.image_set.name}: scores without filters of layer '{layer}'")
        return scores


def effects_on(scores, own, before):
    """Return what removals do to the images' own classes.

    Parameters
    ----------
    scores : ndarray, (removals, images, classes)
    own : ndarray of int, (images,)
    before : ndarray, (images, classes)
        The scores with all filters.

    Returns
    -------
    ndarray of float64, (`EFFECTS`, removals, images)
    """
    images = np.arange(len(own))
    probabilities = to_probabilities(scores)[0][:, images, own]
    logarithms = log_probabilities(scores)[:, images, own]
    higher = np.array([count_higher(of_removal, own) for of_removal in scores])
    change = np.abs(logarithms - log_probabilities(before)[images, own])
    return np.array([probabilities, logarithms, higher >= 1, higher >= 5, change])


def count_higher(scores, own):
    """Return how many classes go before an image's own one, of equal scores the lower first.

    Parameters
    ----------
    scores : ndarray, (images, classes)
    own : int or ndarray of int, (images,)

    Examples
    --------
    >>> count_higher(np.array([[3.0, 1.0, 3.0], [0.0, 2.0, 1.0]]), 2).tolist()
    [1, 1]
    """
    own = np.broadcast_to(own, len(scores))[:, np.newaxis]
    values = np.take_along_axis(scores, own, axis=1)
    lower = np.arange(scores.shape[1]) < own
    return ((scores > values) | ((scores == values) & lower)).sum(axis=1)


@dataclass(frozen=True)
class Effects:
    """What a file of `make_filter_effects` says.

    Attributes
    ----------
    images : int
    groups : ndarray, (groups,)
        How many images each has.
    effects : ndarray, (groups, `EFFECTS`, filters + 1)
        Means over the images of each group, NaN where it has none; the first column is with all
        filters.
    scores : ndarray, (filters + 1, classes)
        Mean scores over all images, the first row with all filters.
    """

    images: int
    groups: np.ndarray
    effects: np.ndarray
    scores: np.ndarray

    @classmethod
    def read(cls, path):
        """Read a file of `make_filter_effects`.

        Raises
        ------
        UserError
            If it is not one of those.
        """
        sums = {name: read_array(path, name, "sum") for name in cls.__dataclass_fields__}
        with np.errstate(invalid="ignore"):
            sums["effects"] /= sums["groups"][:, np.newaxis, np.newaxis]
        sums["scores"] /= sums["images"]
        return cls(int(sums.pop("images")), **sums)
