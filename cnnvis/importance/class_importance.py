"""How important each filter is to a class: norms of gradients, averaged over its images.

Of every image, the gradient of the class's neuron with respect to a layer's weights has one L2
norm per filter: the image's *profile*. Over a collection this gives the profiles' mean and
standard deviation, and the norm of the mean gradient, which is small where images pull a filter in
different directions.

Whether importance is a property of the class is asked by how alike the profiles are. With ``u_i``
the profile of image i, centred over the filters and of unit length, the correlation of two images
is ``u_i . u_j``, and its mean over all pairs follows from the sum of the ``u_i`` alone:

    within a class:     (|sum u_i|^2 - n) / (n (n - 1))
    between two:        (mean u_i) . (mean v_j)

Spearman's correlation is the same of the profiles' ranks. So only sums are kept.
"""

import numpy as np

from cnnvis.core.arrays import check_finite, read_array, significant, write_arrays
from cnnvis.core.code_digest import digest
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.gradients.weight_gradients import check_layers, check_neuron
from cnnvis.importance.filter_importance import filter_norms
from cnnvis.importance.streaming import checkpoint_of, digest_of, forget, sum_over
from cnnvis.inputs.image_sets import list_images, prepare_for

COLUMNS = ("rank", "filter", "mean", "std", "norm_of_mean", "share")
# Gradients of a batch that are in memory at once: fc6 of CaffeNet alone has 151 MB per image.
GRADIENT_BYTES = 128e6
# ASSUME: what the sentence calls alike. Profiles that share less than half of their shape with
# the next image say little about it; other classes' images that agree more than nine tenths as
# well as the class's own make importance a property of the filters.
ALIKE = 0.5
AS_ALIKE = 0.9


def make_class_sums(
    prototxt,
    weights,
    output,
    *,
    name,
    path,
    cls,
    limit=None,
    layers,
    score,
    engine,
    mean,
    input_scale=1.0,
    channel_order="BGR",
    chunk=32,
    threads=None,
    surplus="error",
    engine_options=None,
):
    """Run the network over a collection once; write what is averaged, for all layers.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    output : str or Path
        ``.npz``: ``images`` (how many were summed), ``skipped`` (names), and for every layer
        ``LAYER/mean``, ``/std`` (of the population), ``/norm_of_mean``, ``/direction`` and
        ``/rank_direction`` (the means of unit profiles and of unit rank profiles), each (filters,)
        and float64, and ``LAYER/variance``: the share of the variance of all norms that the mean
        profile explains.
    name : str
        The collection's.
    path, limit
        See `cnnvis.inputs.image_sets.list_images`.
    cls : int
        The neuron of the collection's class.
    layers : list of str
    score, engine, mean, input_scale, channel_order, threads, surplus, engine_options
        As in `cnnvis.gradients.weight_gradients.make_gradients` and
        `cnnvis.inputs.images.make_input`.
    chunk : int
        Images per batch; an interrupted run goes on with the last chunk that was not finished.

    Raises
    ------
    UserError
        If the class, a layer, the collection or a file is not usable.
    """
    from cnnvis.engines import open_network
    from cnnvis.engines.inspection import inspect

    network = inspect(prototxt, (engine_options or {}).get("input_shape"))
    check_neuron(network, prototxt, score, cls)
    check_layers(network, prototxt, layers)
    images = list_images(path, cls, limit)
    prepare = prepare_for(network, mean=mean, input_scale=input_scale, channel_order=channel_order)
    sums = empty_sums({layer: network.layers_with_weights[layer] for layer in layers})
    options = {"engine": engine, "threads": threads, "surplus": surplus, **(engine_options or {})}
    checkpoint = checkpoint_of(output)
    with open_network(prototxt, weights, **options) as opened:
        key = digest_of(
            images,
            [list(layers), score, cls, repr(mean), input_scale, channel_order, options, chunk],
            digest(__file__),
            files=[prototxt, weights, *([mean["file"]] if isinstance(mean, dict) else [])],
        )

        def step(inputs):
            add_gradients(opened, inputs, score, cls, sums)

        skipped = sum_over(
            images,
            prepare,
            step,
            sums,
            name=name,
            chunk=chunk,
            checkpoint=checkpoint,
            key=key,
            threads=threads,
        )
    write_arrays(output, finish(sums, skipped))
    forget(checkpoint)


def empty_sums(shapes):
    """Return sums of zeros for layers whose weights have `shapes`: ``{"LAYER/sum": array}``."""
    sums = {"images": np.zeros((), np.int64)}
    for layer, shape in shapes.items():
        for name in ("norm", "square", "direction", "rank_direction"):
            sums[f"{layer}/{name}"] = np.zeros(shape[0])
        sums[f"{layer}/directed"] = np.zeros((), np.int64)
        sums[f"{layer}/gradient"] = np.zeros(shape)
    return sums


def add_gradients(network, inputs, score, cls, sums):
    """Add the gradients of a batch of images to sums of `empty_sums`.

    Raises
    ------
    UserError
        If a gradient is not finite.
    """
    layers = [key.removesuffix("/gradient") for key in sums if key.endswith("/gradient")]
    per_image = sum(sums[f"{layer}/gradient"].size for layer in layers) * inputs.itemsize
    size = max(1, int(GRADIENT_BYTES // per_image))
    for first in range(0, len(inputs), size):
        part = inputs[first : first + size]
        found = network.weight_gradient(part, score, cls, layers)
        for layer in layers:
            check_finite(found[layer], f"gradient of {score}[{cls}] at layer '{layer}'")
            for gradient in found[layer]:
                sums[f"{layer}/gradient"] += gradient
                add_norms(sums, layer, filter_norms(gradient))
        sums["images"] += len(part)


def add_norms(sums, layer, norms):
    """Add one image's profile to the sums of a layer."""
    from scipy.stats import rankdata

    sums[f"{layer}/norm"] += norms
    sums[f"{layer}/square"] += norms**2
    direction = unit(norms)
    if direction.any():
        sums[f"{layer}/direction"] += direction
        sums[f"{layer}/rank_direction"] += unit(rankdata(norms))
        sums[f"{layer}/directed"] += 1


def unit(values):
    """Return values centred and of length 1; zeros where they are all the same.

    >>> unit(np.array([1.0, 3.0])).round(3).tolist()
    [-0.707, 0.707]
    """
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    # Rounding must not become a direction: a dead layer's profile is all zeros.
    return centred / length if length > 1e-12 * np.abs(values).max() else np.zeros_like(centred)


def finish(sums, skipped):
    """Return the arrays of `make_class_sums`'s file from the sums over a collection."""
    count = int(sums["images"])
    names = [entry["image"] for entry in skipped]
    arrays = {"images": np.int64(count), "skipped": np.array(names, dtype=str)}
    for layer in (key.removesuffix("/gradient") for key in sums if key.endswith("/gradient")):
        mean = sums[f"{layer}/norm"] / count
        variance = np.maximum(sums[f"{layer}/square"] / count - mean**2, 0)
        directed = max(1, int(sums[f"{layer}/directed"]))
        total = float(variance.mean() + mean.var())
        arrays |= {
            f"{layer}/mean": mean,
            f"{layer}/std": np.sqrt(variance),
            f"{layer}/norm_of_mean": filter_norms(sums[f"{layer}/gradient"]) / count,
            f"{layer}/direction": sums[f"{layer}/direction"] / directed,
            f"{layer}/rank_direction": sums[f"{layer}/rank_direction"] / directed,
            f"{layer}/directed": sums[f"{layer}/directed"],
            f"{layer}/variance": np.float64(float(mean.var()) / total if total else 0.0),
        }
    return arrays


def make_class_importance(
    sums_npz, table, summary, picture, *, layer, cls, collection, others=None, title
):
    """Write the class importance of one layer's filters: table, summary and picture.

    Parameters
    ----------
    sums_npz : str or Path
        Of `make_class_sums`.
    table : str or Path
        CSV with `COLUMNS`, most important first; ``share`` is of the sum of means.
    summary : str or Path
        JSON: ``images``, ``skipped``, ``agreement`` (see `agreement`) and one ``sentence``.
    picture : str or Path
        PNG: the study's map, the sorted norms with their spread, their histogram, the agreement.
    layer, collection, title : str
    cls : int
    others : dict of str to path, optional
        The files of the network's other collections, to compare with.

    Raises
    ------
    UserError
        If a file has no such layer.
    """
    from cnnvis.importance.class_importance_figure import draw_class_importance

    found = read_class(sums_npz, layer)
    rest = {name: read_class(path, layer) for name, path in (others or {}).items()}
    numbers = agreement(found, rest)
    write_table(table, found)
    write_json(
        summary,
        {
            "layer": layer,
            "collection": collection,
            "cls": cls,
            "images": found["images"],
            "skipped": found["skipped"],
            "agreement": numbers,
            "sentence": sentence(numbers, found["images"], collection),
        },
    )
    draw_class_importance(picture, found, numbers, layer=layer, collection=collection, title=title)


def read_class(path, layer):
    """Read what `make_class_sums` wrote of one layer: ``{name: array}``, ``images``, ``skipped``.

    Raises
    ------
    UserError
        If the file is not one of those, or has no such layer.
    """
    names = ("mean", "std", "norm_of_mean", "direction", "rank_direction", "variance", "directed")
    found = {name: read_array(path, f"{layer}/{name}", "importance") for name in names}
    with np.load(path, allow_pickle=False) as archive:
        found["images"] = int(archive["images"])
        found["skipped"] = archive["skipped"].tolist()
    return found


def agreement(found, others):
    """Return how alike the profiles of a class's images are, and those of other classes.

    Parameters
    ----------
    found : dict
        Of `read_class`.
    others : dict of str to dict
        The same of other collections.

    Returns
    -------
    dict
        ``pearson`` and ``spearman``, the mean correlation of two images of the class (None for
        fewer than two), ``variance``, the share of the norms' variance that the class's mean
        explains, and ``others``, ``{collection: mean correlation of an image with one of it}``.
    """
    count = int(found["directed"])
    return {
        "pearson": _within(found["direction"], count),
        "spearman": _within(found["rank_direction"], count),
        "variance": significant(found["variance"]),
        "others": {
            name: significant(found["direction"] @ other["direction"])
            for name, other in others.items()
            if count and int(other["directed"])
        },
    }


def _within(direction, count):
    if count < 2:
        return None
    return significant((count * direction @ direction - 1) / (count - 1))


def sentence(numbers, images, collection):
    """Say in words whether importance is a property of the class."""
    within = numbers["pearson"]
    if within is None:
        return f"{collection}: too few images whose filters differ in importance to compare them."
    start = (
        f"The importance of filters correlates {within:.2f} between two of the {images} images of "
        f"{collection}"
    )
    if within < ALIKE:
        return f"{start}: it is a property of the image more than of the class."
    if not numbers["others"]:
        return f"{start}: it is alike for the images of the class."
    name, between = max(numbers["others"].items(), key=lambda item: item[1])
    start += f", and {between:.2f} between one of them and one of {name}"
    if between > AS_ALIKE * within:
        return f"{start}: it is a property of the filters more than of the class."
    return f"{start}: it is a property of the class."


def rank(found):
    """Return ``[(rank, filter, mean, std, norm_of_mean, share)]``, most important first."""
    order = np.argsort(-found["mean"], kind="stable")
    total = found["mean"].sum() or 1.0
    return [
        (
            place,
            int(index),
            *(float(found[name][index]) for name in ("mean", "std", "norm_of_mean")),
            float(found["mean"][index] / total),
        )
        for place, index in enumerate(order, 1)
    ]


def write_table(path, found):
    """Write `rank` as CSV with `COLUMNS`."""
    import csv

    from cnnvis.core.files import atomic

    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for place, index, *values in rank(found):
            writer.writerow([place, index, *(f"{value:.9g}" for value in values)])


def class_order(path, layer):
    """Return a layer's filters from the least to the most important, and their mean norms.

    Raises
    ------
    UserError
        If all filters are equally important: there is no order to speak of.
    """
    means = read_array(path, f"{layer}/mean", "importance")
    if len(means) > 1 and means.min() == means.max():
        raise UserError(f"{path}: all filters of layer '{layer}' have importance {means[0]:g}")
    return np.argsort(means, kind="stable"), means
