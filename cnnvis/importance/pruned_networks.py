"""Write the networks that pruning leaves: smaller files that every other part can run.

The filters of one layer that are least important to a class are removed, with the channels that
they make (see `cnnvis.importance.surgery`). What comes out computes what pruning measured, the
network with these filters at zero, and the report says by how much it is smaller, faster and worse.
"""

import platform
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from google.protobuf import text_format

from cnnvis.caffe.caffemodel import read_caffemodel, write_caffemodel
from cnnvis.caffe.deploy import read_deploy
from cnnvis.caffe.matching import match_weights
from cnnvis.core.arrays import significant
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, write_json
from cnnvis.engines.inspection import layer_costs
from cnnvis.importance.ablations import Ablation
from cnnvis.importance.filter_criteria import STUDY
from cnnvis.importance.pruning import ErrorCounts, PruningSettings, rank_filters
from cnnvis.importance.surgery import remove_filters
from cnnvis.importance.timings import layer_milliseconds, milliseconds

# Images of each set whose scores are compared, and of the larger batch that is timed.
COMPARED, BATCH = 8, 8
# ASSUME: rounding of float32 stays below this share of the largest score in any network that is of
# use; a difference above it means that the surgery is wrong.
LARGEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class PrunedSettings:
    """Which networks are written.

    Attributes
    ----------
    layer : str
    shares : list of float
        The shares of its filters that are removed, a network for each.
    zero : {"weights_and_bias", "weights"}
        What pruning sets to zero; with ``weights``, what the biases do is kept.
    criterion : str
        Whose order is followed, see `cnnvis.importance.filter_criteria`.
    """

    layer: str
    shares: list
    zero: str = "weights_and_bias"
    criterion: str = STUDY


class PrunedFiles(NamedTuple):
    """The files of one network: a prototxt, a caffemodel, and the report, JSON."""

    network: str
    weights: str
    report: str


def make_pruned_networks(streams, image_sets, importance_npz, responses_npz, files, settings):
    """Write a network for each share of a layer's filters, and a report on each.

    Parameters
    ----------
    streams : cnnvis.inputs.streaming.Streams
        Of the whole network.
    image_sets : list of cnnvis.inputs.image_sets.ImageSet
        All whose errors are counted; the first is of the class whose importance sets the order.
    importance_npz, responses_npz
        As in `cnnvis.importance.pruning.PruningInputs`; the latter may be None.
    files : list of PrunedFiles
        Of each share. Not needed in the job of a portion, whose networks go with its output.
    settings : PrunedSettings

    Raises
    ------
    UserError
        If a class, the layer, an image set or a file is not usable.
    """
    model = streams.model
    model.check_filters(settings.layer)
    model.check_classes(image_sets)
    own, weights = image_sets[0], weights_of(model)
    params = weights[settings.layer]
    _, order = rank_filters(importance_npz, responses_npz, params, settings, own)
    if streams.portion is not None:
        files = [_files_in(streams.output, share) for share in settings.shares]
    measures, found = Measures(streams, image_sets, settings), []
    before = measures.count(model, [], "before")
    for share, paths in zip(settings.shares, files, strict=True):
        least = [int(each) for each in order[: count_removed(share, len(order))]]
        smaller, done = write_pruned(model, weights, paths, settings, least)
        found.append((least, smaller, done, measures.count(smaller, least, str(share))))
    if streams.hand_over():
        return
    for share, paths, each in zip(settings.shares, files, found, strict=True):
        least, smaller, done, after = each
        errors = {"before": errors_of(before), "after": errors_of(after)}
        report = {
            "layer": settings.layer,
            "collection": own.name,
            "share": share,
            "zero": settings.zero,
            "criterion": settings.criterion,
            "filters": len(order),
            "removed": done.removed,
            "stay": _by_reason(done.stay),
            **_sizes(model, smaller),
            **measures.compare(model, smaller, least, done.removed),
            "errors": _beside(errors),
            "skipped": measures.skipped,
        }
        write_json(paths.report, {"sentence": sentence(report), **report})
    streams.forget()


def _files_in(folder, share):
    return PrunedFiles(Path(folder, f"{share}.prototxt"), Path(folder, f"{share}.caffemodel"), None)


def count_removed(share, filters):
    """Return how many filters a share is: at least one, and never all.

    >>> [count_removed(share, 10) for share in (0.01, 0.26, 0.99)]
    [1, 3, 9]
    """
    return min(max(1, round(share * filters)), filters - 1)


def weights_of(model):
    """Return the weights of a network as its layers take them, ``{layer: [weights, ...]}``."""
    _, shapes = model.graph.shapes(model.graph.inputs)
    expected = {node.layer.name: shapes.get(node.layer.name, ()) for node in model.graph.nodes}
    stored = read_caffemodel(model.weights)
    return match_weights(stored, expected, path=model.weights, surplus=model.surplus)


def write_pruned(model, weights, files, settings, filters):
    """Write a network without some filters; return its `Model` and the `Surgery`.

    Parameters
    ----------
    model : cnnvis.engines.model.Model
    weights : dict
        Of `weights_of`.
    files : PrunedFiles
    settings : PrunedSettings
    filters : list of int
        The first ones are removed where not all can be.
    """
    net = read_deploy(model.prototxt, model.input_shape)
    where = {"score": model.score, "source": model.prototxt}
    keep = settings.zero == "weights"
    done = remove_filters(net, weights, settings.layer, filters, keep_bias=keep, **where)
    with atomic(files.network) as temporary:
        temporary.write_text(text_format.MessageToString(done.net), encoding="utf-8")
    write_caffemodel(files.weights, done.weights, done.net)
    paths = {"prototxt": str(files.network), "weights": str(files.weights)}
    return replace(model, **paths, surplus="error", input_shape=None), done


class Measures:
    """What two networks are measured by, over the same images."""

    def __init__(self, streams, image_sets, settings):
        self.streams, self.image_sets, self.settings = streams, image_sets, settings
        self.skipped = {}

    def count(self, model, gone, name):
        """Return `ErrorCounts` of a network without some filters, of each image set.

        Checkpoints have its `name`.
        """
        counts, streams = [], self.streams
        settings = PruningSettings(self.settings.layer, self.settings.zero)
        with model.open(streams.threads) as network:
            for image_set in self.image_sets:
                whole = [Ablation("none", ())]
                counts.append(ErrorCounts(network, model.score, image_set, settings, whole))
                values = [settings.layer, settings.zero, gone]
                self.skipped[image_set.name] = streams.sum(
                    counts[-1], image_set, *values, name=name
                )
        return counts

    def compare(self, model, smaller, filters, removed):
        """Return how much the scores of two networks differ, and how long both take.

        They are not timed if nothing is `removed`.
        """
        batches = [self._first_images(image_set) for image_set in self.image_sets]
        threads = self.streams.threads
        with model.open(threads) as whole, smaller.open(threads) as pruned:
            differences = [self._difference(whole, pruned, model, x, filters) for x in batches]
            times = _times((whole, pruned), model, smaller, batches[0]) if removed else None
        largest = max(differences)
        if not largest <= LARGEST_DIFFERENCE:
            raise UserError(
                f"{smaller.weights}: its scores differ by {largest:.3g} of the largest from those "
                f"without the filters of {self.settings.layer}, expected rounding; please report it"
            )
        images = sum(map(len, batches))
        agreement = {"largest_difference": float(f"{largest:.2g}"), "images": images}
        return {"agreement": agreement, "milliseconds": times}

    def _first_images(self, image_set):
        chunks = image_set.chunks(self.streams.preprocessing, COMPARED, self.streams.threads)
        return next(part.inputs for part in chunks if part.images)

    def _difference(self, whole, pruned, model, inputs, filters):
        """Return the largest difference of scores, as a share of the largest score."""
        keep = self.settings.zero == "weights"
        where = (self.settings.layer, [filters], model.score, keep)
        expected = whole.scores_without(inputs, *where)[0]
        found = pruned.forward(inputs, [model.score])[model.score].reshape(expected.shape)
        return np.abs(found - expected).max() / (np.abs(expected).max() or 1)


def errors_of(counts):
    """Return ``{image set: images, error_top1, ...}`` of the counts of a network."""
    rows = [row for each in counts for row in each.rows()]
    keys = ("cls", "images", "error_top1", "error_top5", "probability")
    return {
        row["collection"]: {
            key: significant(row[key]) if isinstance(row[key], float) else row[key] for key in keys
        }
        for row in rows
    }


def _times(networks, model, smaller, inputs):
    """Return the times of both networks, of one image, of a batch, and of the layers that differ.

    Single layers can be timed in the embedded engine only.
    """
    batch = np.resize(inputs, (BATCH, *inputs.shape[1:]))
    batches = {}
    for images in (1, BATCH):
        part = batch[:images]
        pair = [lambda n=network, x=part: n.forward(x, [model.score]) for network in networks]
        batches[str(images)] = milliseconds(pair, images)
    before, after = layer_costs(model.graph), layer_costs(smaller.graph)
    changed = [layer for layer in before if before[layer] != after[layer]]
    own = layer_milliseconds(networks, batch[:1], changed) if model.engine == "numpy" else {}
    machine = {"machine": platform.machine(), "engine": model.engine}
    return {**machine, "batches": batches, "layers": own}


def _sizes(model, smaller):
    """Return ``sizes`` in total, and those of ``layers``, before and after."""
    costs = [layer_costs(each.graph) for each in (model, smaller)]
    layers = _beside(dict(zip(("before", "after"), costs, strict=True)))
    totals = defaultdict(dict)
    for when, of_layers, each in zip(("before", "after"), costs, (model, smaller), strict=True):
        for key in ("parameters", "multiply_adds"):
            totals[key][when] = sum(cost[key] for cost in of_layers.values())
        totals["bytes"][when] = Path(each.weights).stat().st_size
    return {"sizes": dict(totals), "layers": layers}


def _beside(pair):
    """Turn ``{when: {name: value}}`` inside out."""
    names = pair["before"]
    return {name: {when: values[name] for when, values in pair.items()} for name in names}


def _by_reason(stay):
    """Return ``[{reason, filters}]`` of ``{filter: reason}``."""
    reasons = defaultdict(list)
    for each, reason in stay.items():
        reasons[reason].append(each)
    return [{"reason": reason, "filters": filters} for reason, filters in reasons.items()]


def sentence(report):
    """Say in words what a report of `make_pruned_networks` holds."""
    gone, layer, name = len(report["removed"]), report["layer"], report["collection"]
    left = sum(len(each["filters"]) for each in report["stay"])
    least = f"least important to {name}"
    least += "" if report["criterion"] == STUDY else f" by {report['criterion']}"
    zeros = "weights and bias" if report["zero"] == "weights_and_bias" else "weights"
    errors = report["errors"][name]
    wrong = [round(each["error_top1"] * each["images"]) for each in errors.values()]
    than = "as before" if wrong[0] == wrong[1] else f"instead of {wrong[0]}"
    end = f"of {errors['after']['images']} images of {name}, {wrong[1]} are classified wrongly"
    if not gone:
        return (
            f"None of the {left} filters of {layer} (of {report['filters']}) that are {least} can "
            f"be removed: {report['stay'][0]['reason']}. With their {zeros} at zero the network is "
            f"as large as before; {end}, {than}."
        )
    also = f", and with the {zeros} of {left} more at zero" if left else ""
    return (
        f"Without {gone} of the {report['filters']} filters of {layer}{also} (the {gone + left} "
        f"{least}), the network {_savings(report)}; {end}, {than}."
    )


def _savings(report):
    """Say how much smaller and faster a network is."""
    sizes, time = report["sizes"], report["milliseconds"]["batches"]["1"]
    fewer = {
        key: f"{100 * (1 - each['after'] / each['before']):.3g} %" for key, each in sizes.items()
    }
    speed = f"takes {time['after']:g} ms for an image instead of {time['before']:g} ms"
    if time["ratio"][0] <= 1 <= time["ratio"][2]:
        speed = f"takes as long for an image, {time['after']:g} ms,"
    return (
        f"has {fewer['parameters']} fewer parameters and {fewer['multiply_adds']} fewer "
        f"multiply-adds, and {speed} on the machine that wrote this"
    )
