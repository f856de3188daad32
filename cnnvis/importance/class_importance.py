"""How important each filter is to a class: norms of gradients, averaged over its images.

For every image, the gradient of the class's neuron (or of another one) with respect to a layer's
weights has one L2 norm per filter: the image's *profile*. Over an image set this gives the
profiles' mean and standard deviation, and the norm of the mean gradient, which is small where
images pull a filter in different directions. The study's score of a filter is its mean norm, scaled
from the layer's least to its largest as 0 to 1.

Whether importance is a property of the class is measured by how similar the profiles are. With
``u_i`` the profile of image i, centred over the filters and scaled to unit length, the correlation
of two images is ``u_i . u_j``, and its mean over all pairs follows from the sum of the ``u_i``:

    within a class:     (|sum u_i|^2 - n) / (n (n - 1))
    between two:        (mean u_i) . (mean v_j)

Spearman's correlation is the same for the profiles' ranks. So only sums have to be kept.
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.core.arrays import check_finite, read_array, significant, to_unit_range, write_arrays
from cnnvis.core.files import write_csv, write_json
from cnnvis.gradients.norms import filter_norms
from cnnvis.importance.filter_criteria import CriteriaSums

COLUMNS = ("rank", "filter", "mean", "std", "norm_of_mean", "share", "score")
# Gradients of a batch that are in memory at once: fc6 of CaffeNet alone has 151 MB per image.
GRADIENT_BYTES = 128e6
# ASSUME: what the sentence calls alike. Profiles that share less than half of their shape with
# the next image say little about it; other classes' images that agree more than nine tenths as
# well as the class's own make importance a property of the filters.
ALIKE = 0.5
AS_ALIKE = 0.9


def make_class_sums(streams, image_set, *, layers, neuron=None, criteria=()):
    """Run the network over an image set once; write the averages of all layers.

    Parameters
    ----------
    streams : cnnvis.inputs.streaming.Streams
        Its output is ``.npz``: ``images`` (how many were summed), ``skipped`` (names), and for
        every layer ``LAYER/mean``, ``/std`` (of the population), ``/norm_of_mean``, ``/direction``
        and ``/rank_direction`` (the means of unit profiles and of unit rank profiles), each
        (filters,) and float64, ``LAYER/directed`` (how many profiles have a direction) and
        ``LAYER/variance``: the share of the variance of all norms that the mean profile explains.
        For layers of `criteria` ``LAYER/criteria`` and ``groups``, the ``sums`` of `CriteriaSums`.
    image_set : cnnvis.inputs.image_sets.ImageSet
    layers : list of str
    neuron : int, optional
        Whose gradients are averaged, by default the one of each image's class.
    criteria : sequence of str
        Layers of which all criteria are computed, some of `layers`.

    Raises
    ------
    UserError
        If the neuron, a layer, the image set or a file is not usable.
    """
    model = streams.model
    if neuron is None:
        model.check_classes([image_set])
    else:
        model.check_neuron(neuron)
    model.check_layers(layers)
    shapes = {layer: model.info.layers_with_weights[layer] for layer in layers}
    with model.open(streams.threads) as network:
        sums = ClassSums(network, model.score, shapes, image_set, neuron)
        sums.add_criteria({layer: model.blob_of(layer) for layer in criteria})
        skipped = streams.sum(sums, image_set, neuron, list(layers), list(criteria))
    if streams.hand_over():
        return
    write_arrays(streams.output, sums.averages(skipped))
    streams.forget()


class ClassSums:
    """Sums of the gradients of a neuron, and of their profiles; of criteria if they are added.

    Parameters
    ----------
    network : cnnvis.engines.base.Engine
    score : str
        The blob.
    shapes : dict of str to tuple of int
        ``{layer: the shape of its weights}``.
    image_set : cnnvis.inputs.image_sets.ImageSet
    neuron : int, optional
        By default the one of each image's class.
    """

    def __init__(self, network, score, shapes, image_set=None, neuron=None):
        self.network, self.score, self.layers = network, score, list(shapes)
        self.image_set, self.neuron, self.criteria = image_set, neuron, None
        self.sums = {"images": np.zeros((), np.int64)}
        for layer, shape in shapes.items():
            for name in ("norm", "square", "direction", "rank_direction"):
                self.sums[f"{layer}/{name}"] = np.zeros(shape[0])
            self.sums[f"{layer}/directed"] = np.zeros((), np.int64)
            self.sums[f"{layer}/gradient"] = np.zeros(shape)

    def add_criteria(self, blobs):
        """Sum the criteria of some layers, too, ``{layer: blob of its feature maps}``."""
        if blobs:
            self.criteria = CriteriaSums(self.network, self.score, blobs)
            self.sums |= self.criteria.sums

    def add(self, chunk):
        """Add the gradients of a `cnnvis.inputs.image_sets.Chunk` of images.

        Raises
        ------
        UserError
            If a gradient is not finite.
        """
        values = sum(self.sums[f"{layer}/gradient"].size for layer in self.layers)
        size = max(1, int(GRADIENT_BYTES // (values * chunk.inputs.itemsize)))
        for first in range(0, len(chunk.images), size):
            part = slice(first, first + size)
            self._add(chunk.images[part], chunk.inputs[part])

    def _add(self, images, inputs):
        own = [self.image_set.classes[image] for image in images]
        neurons = own if self.neuron is None else [self.neuron] * len(own)
        gradients = self.network.weight_gradient(inputs, self.score, neurons, self.layers)
        norms = {}
        for layer, of_layer in gradients.items():
            what = f"gradient of {self.score}{sorted(set(neurons))} at layer '{layer}'"
            check_finite(of_layer, what)
            norms[layer] = np.array([filter_norms(gradient) for gradient in of_layer])
            for gradient, profile in zip(of_layer, norms[layer], strict=True):
                self.sums[f"{layer}/gradient"] += gradient
                self.add_profile(layer, profile)
        if self.criteria:
            self.criteria.add(images, inputs, own, norms)
        self.sums["images"] += len(images)

    def add_profile(self, layer, norms):
        """Add the profile of one image to the sums of a layer."""
        from scipy.stats import rankdata

        self.sums[f"{layer}/norm"] += norms
        self.sums[f"{layer}/square"] += norms**2
        direction = unit(norms)
        if direction.any():
            self.sums[f"{layer}/direction"] += direction
            self.sums[f"{layer}/rank_direction"] += unit(rankdata(norms))
            self.sums[f"{layer}/directed"] += 1

    def averages(self, skipped=()):
        """Return the arrays of `make_class_sums`'s file."""
        count = int(self.sums["images"])
        names = [entry["image"] for entry in skipped]
        arrays = {"images": np.int64(count), "skipped": np.array(names, dtype=str)}
        for layer in self.layers:
            arrays |= {f"{layer}/{name}": v for name, v in self._averages(layer, count).items()}
        return arrays | (self.criteria.sums if self.criteria else {})

    def _averages(self, layer, count):
        sums = {name.removeprefix(f"{layer}/"): values for name, values in self.sums.items()}
        mean, directed = sums["norm"] / count, max(1, int(sums["directed"]))
        variance = np.maximum(sums["square"] / count - mean**2, 0)
        total = float(variance.mean() + mean.var())
        return {
            "mean": mean,
            "std": np.sqrt(variance),
            "norm_of_mean": filter_norms(sums["gradient"]) / count,
            "direction": sums["direction"] / directed,
            "rank_direction": sums["rank_direction"] / directed,
            "directed": sums["directed"],
            "variance": np.float64(float(mean.var()) / total if total else 0.0),
        }


def unit(values):
    """Return values centred and of length 1; zeros where they are all the same.

    >>> unit(np.array([1.0, 3.0])).round(3).tolist()
    [-0.707, 0.707]
    """
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    # Rounding must not become a direction: a dead layer's profile is all zeros.
    return centred / length if length > 1e-12 * np.abs(values).max() else np.zeros_like(centred)


@dataclass(frozen=True)
class ClassImportance:
    """The averages of one layer over an image set; see `make_class_sums`.

    Attributes
    ----------
    images : int
    skipped : list of str
    mean, std, norm_of_mean, direction, rank_direction : ndarray, (filters,)
    directed : int
    variance : float
    """

    images: int
    skipped: list
    mean: np.ndarray
    std: np.ndarray
    norm_of_mean: np.ndarray
    direction: np.ndarray
    rank_direction: np.ndarray
    directed: int
    variance: float

    @classmethod
    def read(cls, path, layer):
        """Read one layer of a file of `make_class_sums`.

        Raises
        ------
        UserError
            If the file is not one of those, or has no such layer.
        """
        names = [name for name in cls.__dataclass_fields__ if name not in ("images", "skipped")]
        arrays = {name: read_array(path, f"{layer}/{name}", "importance") for name in names}
        with np.load(path, allow_pickle=False) as archive:
            return cls(int(archive["images"]), archive["skipped"].tolist(), **arrays)


def make_class_importance(
    sums_npz, table, summary, picture, *, layer, image_set, others, title, orders=None
):
    """Write the class importance of one layer's filters: table, summary and picture.

    Parameters
    ----------
    sums_npz : str or Path
        Of `make_class_sums`.
    table : str or Path
        CSV, see `write_table`.
    summary : str or Path
        JSON: ``images``, ``skipped``, ``agreement`` (see `agreement`) and one ``sentence``.
    picture : str or Path
        PNG: the study's map, the sorted norms with their spread, their histogram, the agreement.
    layer, title : str
    image_set : cnnvis.inputs.image_sets.ImageSet
    others : dict of str to path
        The files of the network's other image sets, to compare with.
    orders : dict of str to dict, optional
        Further orders of the filters in which the picture has the map, too.

    Raises
    ------
    UserError
        If a file has no such layer.
    """
    from cnnvis.importance.class_importance_figure import draw_class_importance

    importance = ClassImportance.read(sums_npz, layer)
    rest = {name: ClassImportance.read(path, layer) for name, path in others.items()}
    numbers = agreement(importance, rest)
    write_table(table, importance)
    write_json(
        summary,
        {
            "layer": layer,
            "collection": image_set.name,
            "cls": image_set.cls,
            "images": importance.images,
            "skipped": importance.skipped,
            "agreement": numbers,
            "sentence": sentence(numbers, importance.images, image_set),
        },
    )
    names = {"layer": layer, "image_set": image_set.name, "title": title, "orders": orders}
    draw_class_importance(picture, importance, numbers, **names)


def agreement(importance, others):
    """Return how similar the profiles of a class's images are, and those of other classes.

    Parameters
    ----------
    importance : ClassImportance
    others : dict of str to ClassImportance
        The same of other image sets.

    Returns
    -------
    dict
        ``pearson`` and ``spearman``, the mean correlation of two images of the class (None for
        fewer than two), ``variance``, the share of the norms' variance that the class's mean
        explains, and ``others``, ``{image set: mean correlation of an image with one of it}``.
    """
    count = int(importance.directed)
    return {
        "pearson": _within(importance.direction, count),
        "spearman": _within(importance.rank_direction, count),
        "variance": significant(importance.variance),
        "others": {
            name: significant(importance.direction @ other.direction)
            for name, other in others.items()
            if count and int(other.directed)
        },
    }


def _within(direction, count):
    if count < 2:
        return None
    return significant((count * direction @ direction - 1) / (count - 1))


def sentence(numbers, images, image_set):
    """Say in words whether importance is a property of the class."""
    within, name = numbers["pearson"], image_set.name
    if within is None:
        return f"{name}: too few images whose filters differ in importance to compare them."
    start = (
        f"The importance of filters correlates {within:.2f} between two of the {images} images of "
        f"{name}"
    )
    if image_set.cls is None:
        return f"{start}, which are of several classes."
    if within < ALIKE:
        return f"{start}: it is a property of the image more than of the class."
    if not numbers["others"]:
        return f"{start}: it is alike for the images of the class."
    other, between = max(numbers["others"].items(), key=lambda item: item[1])
    start += f", and {between:.2f} between one of them and one of {other}"
    if between > AS_ALIKE * within:
        return f"{start}: it is a property of the filters more than of the class."
    return f"{start}: it is a property of the class."


def write_table(path, importance):
    """Write a `ClassImportance` as CSV with `COLUMNS`, most important first.

    ``share`` is of the sum of the mean norms, ``score`` the study's (see `min_max`).
    """
    mean = importance.mean
    shares, scores = mean / (mean.sum() or 1.0), min_max(mean)
    columns = (mean, importance.std, importance.norm_of_mean, shares, scores)
    order = np.argsort(-importance.mean, kind="stable")
    rows = (
        (rank, index, *(f"{column[index]:.9g}" for column in columns))
        for rank, index in enumerate(order, 1)
    )
    write_csv(path, COLUMNS, rows)


def min_max(means):
    """Return the study's scores of filters: their mean norms scaled from min..max to 0..1.

    The study divided the sum of the norms over a class's images by 200, which scaling undoes.
    Where all filters are equally important, they score 0.

    >>> min_max(np.array([2.0, 6.0, 3.0])).tolist()
    [0.0, 1.0, 0.25]
    """
    return to_unit_range(means)
