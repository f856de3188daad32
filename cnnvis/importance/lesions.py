"""What the removal of each filter alone does to each class: which classes need which filters.

Positive numbers are losses: a class needs a filter without which the probability that the network
gives to its images, or the logarithm of that, is lower, or without which more of them are errors;
negative ones say that it is better off without. Images whose class no list says have no own class:
of all images together it is shown how much lower the mean of every score is without a filter.
"""

from typing import NamedTuple

import numpy as np

from cnnvis.activations.orderings import order
from cnnvis.core.arrays import read_array, significant, write_arrays
from cnnvis.core.files import safe_name, write_json
from cnnvis.importance.filter_effects import EFFECTS, FilterEffects

OWN = {"log_probability": -1, "probability": -1, "error_top1": 1}
"""What is told of a class by its own images, and whether a rise (1) or a fall (-1) is a loss."""
SCORE = "score"
# A loss of log-probability from which on the sentence counts a filter.
LEAST = 0.1
# How many classes of a filter, and filters of a class, are named.
NAMED = 3
# Of the sizes of all losses: larger ones, of which there are few, have the colour of this one.
PERCENTILE = 99


class Losses(NamedTuple):
    """What classes lose without each filter, by one measure.

    Attributes
    ----------
    classes : ndarray of int, (classes,)
        Ascending.
    before : ndarray of float64, (classes,)
        The measure with all filters.
    values : ndarray of float64, (classes, filters)
        By how much it is worse without each.
    """

    classes: np.ndarray
    before: np.ndarray
    values: np.ndarray

    @property
    def window(self):
        """The loss at the end of the scale of colours: the `PERCENTILE` of all sizes, above 0."""
        sizes = np.abs(self.values)
        return float(np.percentile(sizes, PERCENTILE) or sizes.max() or 1.0)


def make_lesions(streams, files, image_sets, layers, *, zero):
    """Remove each filter of layers alone, over image sets; write what each class loses.

    Parameters
    ----------
    streams : cnnvis.inputs.streaming.Streams
    files : Places
        Of the network. Written are, for each layer, ``lesion arrays``, see `arrays_of`, and
        ``lesions``, see `summarise`.
    image_sets : list of cnnvis.inputs.image_sets.ImageSet
    layers : list of str
    zero : {"weights_and_bias", "weights"}
        What is set to zero.

    Raises
    ------
    UserError
        If a class, a layer, an image set or a file is not usable.
    """
    classes = sorted({cls for each in image_sets for cls in each.classes.values()} - {None})
    model, found = streams.model, {}
    model.check_classes(image_sets)
    for layer in layers:
        model.check_filters(layer)
    with model.open(streams.threads) as network:
        for layer in layers:
            sums, skipped, where = {}, [], (layer, model.score, zero == "weights")
            for image_set in image_sets:
                count = _counter(image_set, classes)
                effects = FilterEffects(network, where, image_set, count, model.classes)
                values = [layer, zero, classes]
                skipped += streams.sum(effects, image_set, *values, name=safe_name(layer))
                sums = {name: sums.get(name, 0) + each for name, each in effects.sums.items()}
            found[layer] = sums, skipped
    if streams.hand_over():
        return
    for layer, (sums, skipped) in found.items():
        arrays = arrays_of(sums, classes)
        facts = {"layer": layer, "zero": zero, "images": int(sums["images"]), "skipped": skipped}
        write_arrays(files("lesion arrays", layer=safe_name(layer)), arrays)
        write_json(files("lesions", layer=safe_name(layer)), facts | summarise(arrays))
    streams.forget()


def _counter(image_set, classes):
    """Return a function from images to how often they count in each class, (classes, images)."""
    numbers = np.array(classes, object)[:, np.newaxis]

    def count(images):
        own = np.array([image_set.classes[image] for image in images], object)
        return (numbers == own).astype(np.float64)

    return count


def arrays_of(sums, classes):
    """Return the means of the sums of `FilterEffects` whose groups are classes.

    Returns
    -------
    dict of str to ndarray
        ``class`` and ``images``, the classes of which there are images, and how many, (classes,);
        ``effects``, (classes, `EFFECTS`, filters + 1), the first column with all filters; and
        ``scores`` over all images, (filters + 1, classes of the network).
    """
    images = sums["groups"]
    seen = images > 0
    return {
        "class": np.array(classes, np.int64)[seen],
        "images": images[seen].astype(np.int64),
        "effects": sums["effects"][seen] / images[seen, np.newaxis, np.newaxis],
        "scores": sums["scores"] / sums["images"],
    }


def losses_of(arrays):
    """Return ``{measure: Losses}``: those of `OWN` where images have a class, and `SCORE`."""
    losses, effects = {}, arrays["effects"]
    for name, sign in OWN.items() if len(effects) else ():
        values = effects[:, EFFECTS.index(name)]
        changes = values[:, 1:] - values[:, :1]
        losses[name] = Losses(arrays["class"], values[:, 0], sign * changes)
    before, without = arrays["scores"][0], arrays["scores"][1:]
    return losses | {SCORE: Losses(np.arange(len(before)), before, (before - without).T)}


def read_losses(path):
    """Return `losses_of` a file of `make_lesions`; raises `UserError` if it is not one."""
    return losses_of(
        {name: read_array(path, name, "array") for name in ("class", "effects", "scores")}
    )


def summarise(arrays):
    """Return which classes need which filters, ready for JSON.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Of `arrays_of`.

    Returns
    -------
    dict
        ``measure``, by which the rest is: ``log_probability``, or ``score`` where no image has a
        class; ``filters``: for each, ``needed_by``, the classes that lose most
        without it; ``classes``, all of the network, with how many ``images`` there are, and
        ``needs``, the filters without which it loses most; ``filter_order``, and
        ``class_orders`` by ``measure`` and by ``score``: neighbours are as alike as possible.
    """
    losses = losses_of(arrays)
    measure, main = next(iter(losses.items()))
    images = dict(zip(arrays["class"].tolist(), arrays["images"].tolist(), strict=True))
    rows = dict(zip(main.classes.tolist(), main.values, strict=True))
    return {
        "measure": measure,
        "filters": [
            {
                "needed_by": [
                    {"cls": cls, "loss": loss} for cls, loss in _largest(column, main.classes)
                ]
            }
            for column in main.values.T
        ],
        "classes": [
            {
                "cls": cls,
                "images": images.get(cls, 0),
                "needs": [
                    {"filter": number, "loss": loss}
                    for number, loss in _largest(rows.get(cls, np.zeros(0)))
                ],
            }
            for cls in range(arrays["scores"].shape[1])
        ],
        "filter_order": _order(main.values.T, main.window),
        "class_orders": {
            name: each.classes[_order(each.values, each.window)].tolist()
            for name, each in losses.items()
            if name in (measure, SCORE)
        },
    }


def _largest(losses, numbers=None):
    """Yield the number and the size of the largest losses, if they are above 0."""
    for place in np.argsort(-losses, kind="stable")[:NAMED]:
        if losses[place] > 0:
            yield int(place if numbers is None else numbers[place]), significant(losses[place])


def _order(rows, window):
    """Return the order of rows in which neighbours, as coloured, are as alike as possible."""
    return order(np.clip(rows, -window, window), "shortest")[0].tolist()


def sentence(layer, measure, losses, names):
    """Say how many filters matter, and which one most.

    Examples
    --------
    >>> losses = Losses(np.array([3]), np.zeros(1), np.array([[0.5, 0.01]]))
    >>> sentence("conv1", "log_probability", losses, ["", "", "", "cat"])[:48]
    'Of the 2 filters of conv1, 1 takes at least 0.1 '
    """
    count = losses.values.shape[1]
    place, filter_ = np.unravel_index(losses.values.argmax(), losses.values.shape)
    largest, name = losses.values[place, filter_], names[losses.classes[place]]
    what = measure.replace("_", "-")
    of_all = f"Of the {count} filter{'s' * (count > 1)} of {layer}"
    if largest <= 0:
        return f"{of_all}, none lowers the {what} of any class when removed alone."
    if measure == SCORE:
        return (
            f"{of_all}, filter {filter_} lowers a mean score most when removed alone: "
            f"that of {name}, by {largest:.3g}."
        )
    needed = int((losses.values >= LEAST).any(axis=0).sum())
    return (
        f"{of_all}, {needed or 'none'} {'take' if needed > 1 else 'takes'} at least {LEAST} of "
        f"{what} from some class when removed alone; filter {filter_} matters most, for {name} "
        f"({largest:.3g})."
    )
