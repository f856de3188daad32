"""What each filter responds to, over image sets: the strongest images, and statistics of all.

A filter's *response* to an image is the largest value of its feature map. One pass over the images
keeps, for each image and filter, the response and its place, and the mean, the mean square and the
share of zeros of the map: 20 bytes, in a file for each part of the images, so that memory does not
grow with their number and an interrupted pass goes on. Everything else follows from these, with the
images in the order of their names: it does not depend on the order in which they were read.

Selectivity for a class is the area under the ROC curve of "this class against the rest": how likely
the response to an image of the class is larger than to an image of another, ties counting half; 1
and 0 where one threshold separates them, 0.5 where the response says nothing. Of the measures in
use it is the one that says how well the filter tells the class (Gale et al., 2020, Are there any
"object detectors" in the hidden layers of CNNs trained to identify objects or scenes?).
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.rank_correlations import rank
from cnnvis.activations.response_pictures import draw_responses, number_pictures
from cnnvis.core.arrays import check_finite, significant, temporary_array, write_arrays
from cnnvis.core.files import safe_name, write_json

ROW = np.dtype(
    [("value", "<f4"), ("place", "<i4"), ("mean", "<f4"), ("square", "<f4"), ("zeros", "<f4")]
)
"""What is kept of a filter's feature map for one image."""
QUANTILES = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)
BINS = 24
# How many classes, and filters, a filter's entry names.
NAMED = 3
# Images whose products are in memory at once.
MANY = 4096
UNKNOWN = -1
"""The class of images of which no list says one: it is a class of its own."""


def make_responses(streams, files, image_sets, layers, k):
    """Run the network over image sets once; write and draw what each filter of layers responds to.

    Parameters
    ----------
    streams : cnnvis.inputs.streaming.Streams
    files : Places
        Of the network. Written are, for each layer, ``responses``, see `summarise`, ``response
        arrays``, see `arrays_of`, and what `draw_responses` draws.
    image_sets : list of cnnvis.inputs.image_sets.ImageSet
    layers : list of str
        Convolutions.
    k : int
        How many of the strongest and of the weakest images are named for each filter.

    Raises
    ------
    UserError
        If a layer, an image set or a file is not usable.
    """
    model, parts, skipped, summaries = streams.model, [], [], {}
    convolutions = {layer: model.info.convolutions[layer] for layer in layers}
    with model.open(streams.threads) as network:
        for image_set in image_sets:
            table = ResponseTable(network, convolutions, min(streams.part, len(image_set.images)))
            found, unreadable = streams.parts(table, image_set, list(layers))
            parts, skipped = parts + found, skipped + unreadable
        if streams.hand_over():
            return
        entries = _entries(image_sets, {entry["image"] for entry in skipped})
        for layer, convolution in convolutions.items():
            arrays_file = files("response arrays", layer=safe_name(layer))
            responses = _gather(layer, convolution, parts, entries, arrays_file.parent)
            arrays = arrays_of(responses)
            summaries[layer] = summarise(responses, arrays, k, skipped)
            write_arrays(arrays_file, arrays)
        images = number_pictures(list(summaries.values()))
        draw_responses(files, model, network, streams.preprocessing, summaries, images)
    for layer, summary in summaries.items():
        write_json(files("responses", layer=safe_name(layer)), summary)
    streams.forget()


class ResponseTable:
    """The responses to the images of a part, see `cnnvis.inputs.streaming.stream`.

    Parameters
    ----------
    network : cnnvis.engines.base.Engine
    convolutions : dict of str to cnnvis.engines.inspection.Convolution
    size : int
        How many images a part has, at most.

    Attributes
    ----------
    sums : dict of str to ndarray
        ``images``, how many there are, and for each layer ``rows/LAYER``, `ROW` of each of them,
        (size, filters).
    """

    def __init__(self, network, convolutions, size):
        self.network, self.convolutions = network, convolutions
        self.sums = {"images": np.zeros((), np.int64)}
        for layer, convolution in convolutions.items():
            self.sums[f"rows/{layer}"] = np.zeros((size, convolution.shape[0]), ROW)

    def add(self, chunk):
        """Add the responses to a `cnnvis.inputs.image_sets.Chunk` of images.

        Raises
        ------
        UserError
            If a feature map is not finite.
        """
        blobs = [convolution.blob for convolution in self.convolutions.values()]
        maps, first = self.network.forward(chunk.inputs, blobs), int(self.sums["images"])
        for layer, blob in zip(self.convolutions, blobs, strict=True):
            check_finite(maps[blob], f"layer '{layer}': blob '{blob}'")
            for place, each in enumerate(maps[blob], first):
                describe_maps(each, self.sums[f"rows/{layer}"][place])
        self.sums["images"] += len(chunk.images)


def describe_maps(maps, row):
    """Write into `row`, ndarray of `ROW`, (filters,), what is kept of (filters, height, width)."""
    flat = maps.reshape(len(maps), -1)
    place = flat.argmax(axis=1)
    row["value"], row["place"] = flat[np.arange(len(flat)), place], place
    row["mean"] = flat.mean(axis=1)
    row["square"] = np.einsum("fp,fp->f", flat, flat) / flat.shape[1]
    row["zeros"] = 1 - np.count_nonzero(flat, axis=1) / flat.shape[1]


@dataclass(frozen=True)
class Responses:
    """The responses of a layer's filters to all images, which are ordered by name.

    Attributes
    ----------
    layer, blob : str
    width : int
        Of its feature maps: a place is ``y * width + x``.
    images, collections : list of str
    classes : ndarray of int, (images,)
    rows : ndarray of `ROW`, (filters, images)
    """

    layer: str
    blob: str
    width: int
    images: list
    collections: list
    classes: np.ndarray
    rows: np.ndarray


def _entries(image_sets, skipped):
    """Return (image, collection, class, place among all that were read) of all images, by name."""
    read = (
        (image, image_set.name, cls)
        for image_set in image_sets
        for image, cls in image_set.classes.items()
        if image not in skipped
    )
    entries = ((*entry, place) for place, entry in enumerate(read))
    return sorted(entries, key=lambda entry: entry[:2])


def _gather(layer, convolution, parts, entries, folder):
    """Return the `Responses` of a layer in all parts, in a file without a name in a folder."""
    images, collections, classes, places = (list(x) for x in zip(*entries, strict=True))
    classes = np.array([UNKNOWN if cls is None else cls for cls in classes])
    columns, first = np.argsort(places), 0
    table = temporary_array(ROW, (convolution.shape[0], len(entries)), folder)
    for part in parts:
        count = int(part.array("images"))
        own = columns[first : first + count]
        table[:, own] = part.array(f"rows/{layer}")[:count].T
        first += count
    width = convolution.shape[2]
    return Responses(layer, convolution.blob, width, images, collections, classes, table)


def summarise(responses, arrays, k, skipped=()):
    """Return what the filters of a layer respond to, ready for JSON.

    Parameters
    ----------
    responses : Responses
    arrays : dict of str to ndarray
        Of `arrays_of`.
    k : int
    skipped : list of dict
        ``image`` and ``reason`` of images that could not be read.

    Returns
    -------
    dict
        ``layer``, ``blob``, ``images`` and ``skipped``; ``collections`` and ``classes`` with their
        numbers of images; ``quantiles_at``; and ``filters``: for each filter

        - ``top``: the `k` images of the strongest responses, with ``image``, ``collection``,
          ``value``, and ``y`` and ``x`` of the strongest position; ``weakest`` likewise. Where
          responses are equal, the image with the lower name comes first.
        - ``quantiles`` of the responses; ``histogram``, their counts in `BINS` equal bins from
          the least to the largest
        - ``zeros``, ``mean`` and ``variance``, of all values of all maps
        - ``selectivity``: ``best`` and ``worst`` classes, each with the ``area`` under the curve
          (see the module); empty for a single class
        - ``alike``: the filters whose responses correlate most with this one's
    """
    sets, sizes = np.unique(responses.collections, return_counts=True)
    classes, counts = np.unique(responses.classes, return_counts=True)
    return {
        "layer": responses.layer,
        "blob": responses.blob,
        "images": len(responses.images),
        "skipped": list(skipped),
        "collections": dict(zip(sets.tolist(), sizes.tolist(), strict=True)),
        "classes": dict(zip(map(str, classes), counts.tolist(), strict=True)),
        "quantiles_at": list(QUANTILES),
        "filters": [
            {
                **_extremes(responses, row, k),
                **describe_responses(row),
                "selectivity": _selectivity(classes, arrays["area"][index]),
                "alike": _alike(arrays["correlation"][index], index),
            }
            for index, row in enumerate(responses.rows)
        ],
    }


def _extremes(responses, row, k):
    ends = {"top": -row["value"], "weakest": row["value"]}
    return {
        end: [_entry(responses, row, image) for image in np.argsort(values, kind="stable")[:k]]
        for end, values in ends.items()
    }


def _entry(responses, row, image):
    y, x = divmod(int(row["place"][image]), responses.width)
    return {
        "image": responses.images[image],
        "collection": responses.collections[image],
        "value": significant(row["value"][image]),
        "y": y,
        "x": x,
    }


def describe_responses(row):
    """Return the statistics of one filter's responses, see `summarise`.

    Parameters
    ----------
    row : ndarray of `ROW`, (images,)

    Returns
    -------
    dict
        ``quantiles``, ``histogram``, ``zeros``, ``mean`` and ``variance``.
    """
    values = row["value"].astype(np.float64)
    return {
        "quantiles": list(map(significant, np.quantile(values, QUANTILES))),
        "histogram": np.histogram(values, BINS)[0].tolist(),
        **{name: significant(value[0]) for name, value in moments(row, [0] * len(row)).items()},
    }


def moments(row, groups):
    """Return the moments of the values of one filter's maps, for groups of images.

    Parameters
    ----------
    row : ndarray of `ROW`, (images,)
        All maps have the same size.
    groups : sequence of int, (images,)
        The group of each image, from 0, none of them empty.

    Returns
    -------
    dict of str to ndarray of float64, (groups,)
        ``zeros``, the share of values that are 0, ``mean`` and ``variance``.
    """
    counts = np.bincount(groups)
    zeros, mean, square = (
        np.bincount(groups, row[name]) / counts for name in ("zeros", "mean", "square")
    )
    return {"zeros": zeros, "mean": mean, "variance": np.maximum(square - mean**2, 0)}


def areas_under_curves(row, classes):
    """Return how well one filter's responses tell each class from the rest.

    It is the statistic of Mann and Whitney by the number of pairs, from the ranks of all responses.

    Parameters
    ----------
    row : ndarray of `ROW`, (images,)
    classes : ndarray of int, (images,)

    Returns
    -------
    ndarray of float64, (classes,)
        Of the distinct classes, ascending; NaN where there is only one.
    """
    _, groups, own = np.unique(classes, return_inverse=True, return_counts=True)
    pairs = own * (len(row) - own)
    larger = np.bincount(groups, rank(row["value"])) - own * (own - 1) / 2
    return np.divide(larger, pairs, out=np.full(len(own), np.nan), where=pairs > 0)


def _selectivity(classes, areas):
    order = np.argsort(-areas, kind="stable") if len(classes) > 1 else []
    ends = {"best": order[:NAMED], "worst": order[::-1][:NAMED]}
    return {
        end: [{"cls": int(classes[i]), "area": significant(areas[i])} for i in each]
        for end, each in ends.items()
    }


def _alike(correlated, index):
    others = [i for i in np.argsort(-correlated, kind="stable") if i != index]
    return [
        {"filter": int(other), "correlation": significant(correlated[other])}
        for other in others[:NAMED]
        if correlated[other] > 0
    ]


def correlations(rows):
    """Return Pearson's correlation of the responses of every two filters.

    Parameters
    ----------
    rows : ndarray of `ROW`, (filters, images)

    Returns
    -------
    ndarray of float64, (filters, filters)
        0 where a filter responds to all images alike.
    """
    means = np.array([row["value"].mean(dtype=np.float64) for row in rows])
    products = np.zeros((len(rows), len(rows)))
    for first in range(0, rows.shape[1], MANY):
        part = rows["value"][:, first : first + MANY] - means[:, np.newaxis]
        products += part @ part.T
    lengths = np.sqrt(np.diagonal(products))
    lengths = np.where(lengths > 1e-9 * np.abs(means), lengths, np.inf)
    return products / np.outer(lengths, lengths)


def arrays_of(responses):
    """Return the arrays of a layer's ``.npz``.

    Parameters
    ----------
    responses : Responses

    Returns
    -------
    dict of str to ndarray
        ``images``, ``collections`` and ``classes`` of all images, (images,); ``value``, ``y`` and
        ``x`` of each filter's response to each, (filters, images); ``class``, the distinct ones,
        and for each filter and class ``area`` (see `areas_under_curves`), ``zeros``, ``mean`` and
        ``variance`` (see `moments`), (filters, classes); ``correlation``, (filters, filters).
    """
    rows = responses.rows
    classes, groups = np.unique(responses.classes, return_inverse=True)
    parts = [
        {"area": areas_under_curves(row, responses.classes), **moments(row, groups)} for row in rows
    ]
    y, x = (part.astype(np.int16) for part in np.divmod(rows["place"], responses.width))
    return {
        "images": np.array(responses.images),
        "collections": np.array(responses.collections),
        "classes": responses.classes,
        "value": rows["value"],
        "y": y,
        "x": x,
        "class": classes,
        **{name: np.stack([part[name] for part in parts]) for name in parts[0]},
        "correlation": correlations(rows).astype(np.float32),
    }
