"""What happens to a class's error rate when filters are removed.

Filters of one layer are removed in the order of their importance to a class (the mean norm of
their gradients, `cnnvis.importance.class_importance`): the study's two cases, the least and the
most
important one; each alone; the k least, the k most and k random ones; and all below a threshold.
The class's own images show what it loses, other collections what that costs the other classes.

To remove a filter is to set its weights and its bias to zero: it then says nothing. With its
weights alone at zero it still says its bias, everywhere. The study most likely did the latter: all
its code that is known handles a layer's weights only (``blobs[0]``), never a bias. ASSUME: the
default is nevertheless ``weights_and_bias``, because a filter that still says something is not
removed; for a first layer, whose biases are small against its outputs, the two hardly differ.

An image is a top-k error where at least k classes score higher than its own; of equal scores the
lower class number goes first, as in Caffe's predictions. Sweeps are nested: the k + 1 least
important filters include the k least, and so for each seed's random ones.
"""

import csv

import numpy as np

from cnnvis.activations.forward import to_probabilities
from cnnvis.core.arrays import check_finite, significant
from cnnvis.core.code_digest import digest
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, write_json
from cnnvis.gradients.weight_gradients import check_layers, check_neuron
from cnnvis.importance.ablations import is_for_others, plan_ablations
from cnnvis.importance.class_importance import class_order
from cnnvis.importance.streaming import checkpoint_of, digest_of, forget, sum_over
from cnnvis.inputs.image_sets import list_images, prepare_for

ZERO = ("weights_and_bias", "weights")
TOPS = (1, 5)
COLUMNS = (
    "removal",
    "removed",
    "filter",
    "seed",
    "threshold",
    "collection",
    "cls",
    "images",
    "error_top1",
    "error_top5",
    "probability",
)
PRUNABLE = ("Convolution", "InnerProduct")


def make_pruning(
    prototxt,
    weights,
    importance_npz,
    table,
    summary,
    picture,
    vector_picture,
    *,
    collection,
    collections,
    layer,
    zero="weights_and_bias",
    steps=None,
    seeds=5,
    score,
    engine,
    mean,
    input_scale=1.0,
    channel_order="BGR",
    chunk=32,
    threads=None,
    surplus="error",
    engine_options=None,
    title,
):
    """Remove filters of a layer in the order of their importance to a class; count the errors.

    Parameters
    ----------
    prototxt, weights : str or Path
        The network.
    importance_npz : str or Path
        Of `cnnvis.importance.class_importance.make_class_sums` for `collection`.
    table : str or Path
        CSV with `COLUMNS`: errors are shares of the images, probability the mean of the class's.
    summary : str or Path
        JSON: the study's table, the sweep in numbers and one ``sentence``.
    picture, vector_picture : str or Path
        PNG and SVG.
    collection : str
        Whose class the order is for.
    collections : dict of str to dict
        ``{name: {"path", "cls", "limit"}}`` of all whose errors are counted, `collection` too.
    layer, title : str
    zero : {"weights_and_bias", "weights"}
    steps : list of int, optional
        How many filters the sweep removes; by default one, and the `SHARES` of all that
        `cnnvis.importance.ablations` lists.
    seeds : int
        How many random orders.
    score, engine, mean, input_scale, channel_order, chunk, threads, surplus, engine_options
        As in `cnnvis.importance.class_importance.make_class_sums`.

    Raises
    ------
    UserError
        If a class, the layer, a step, a collection or a file is not usable.
    """
    from cnnvis.engines import open_network
    from cnnvis.engines.inspection import inspect
    from cnnvis.importance.pruning_figure import draw_pruning

    network = inspect(prototxt, (engine_options or {}).get("input_shape"))
    check_prunable(network, prototxt, layer, zero)
    for entry in collections.values():
        check_neuron(network, prototxt, score, entry["cls"])
    order, means = class_order(importance_npz, layer)
    removals = plan_ablations(order, means, steps, seeds, layer)
    prepare = prepare_for(network, mean=mean, input_scale=input_scale, channel_order=channel_order)
    options = {"engine": engine, "threads": threads, "surplus": surplus, **(engine_options or {})}
    files = [prototxt, weights, *([mean["file"]] if isinstance(mean, dict) else [])]
    numbers = [repr(mean), input_scale, channel_order, options, chunk, layer, score, zero]
    given = {"layer": layer, "score": score, "zero": zero, "chunk": chunk, "threads": threads}
    wanted, counted = {}, {}
    with open_network(prototxt, weights, **options) as opened:
        for name, entry in sorted(collections.items(), key=lambda item: item[0] != collection):
            wanted[name] = [r for r in removals if name == collection or is_for_others(r, order)]
            images = list_images(entry["path"], entry["cls"], entry.get("limit"))
            values = [numbers, entry["cls"], [removal.filters for removal in wanted[name]]]
            counted[name] = count_errors(
                opened,
                images,
                prepare,
                wanted[name],
                cls=entry["cls"],
                name=name,
                checkpoint=checkpoint_of(table, name),
                key=digest_of(images, values, digest(__file__), files=files),
                **given,
            )
    rows = to_rows(wanted, counted, collections)
    write_table(table, rows)
    found = summarise(rows, order, means, collection=collection, layer=layer, zero=zero)
    found["skipped"] = {name: counts["skipped"] for name, counts in counted.items()}
    write_json(summary, found)
    draw_pruning(picture, vector_picture, rows, means, found, title=title)
    forget(*(checkpoint_of(table, name) for name in collections))


def check_prunable(network, prototxt, layer, zero):
    """Raise a `UserError` unless a layer has filters that can be removed."""
    from cnnvis.caffe.prototxt import read_prototxt

    check_layers(network, prototxt, [layer])
    found = list(read_prototxt(prototxt).layer)
    kinds = {entry.name: entry.type for entry in found}
    if kinds[layer] not in PRUNABLE:
        raise UserError(
            f"{prototxt}: layer '{layer}' is of type {kinds[layer]}, expected one with filters to "
            f"remove: {' or '.join(PRUNABLE)}"
        )
    transposed = [e.name for e in found if e.inner_product_param.transpose]
    if layer in transposed:
        raise UserError(f"{prototxt}: layer '{layer}' is transposed, which pruning does not know")
    if zero not in ZERO:
        raise UserError(f"pruning: zero '{zero}' is not known, expected {' or '.join(ZERO)}")


def count_errors(
    network,
    images,
    prepare,
    removals,
    *,
    cls,
    layer,
    score,
    zero="weights_and_bias",
    name="",
    chunk=32,
    threads=None,
    checkpoint,
    key,
):
    """Count the errors of a class over its images, for every removal.

    Parameters
    ----------
    network : network of `cnnvis.open_network`
    images : list of str
    prepare : callable
        From a path to an input.
    removals : list of Ablation
    cls : int
        The class of all images.
    layer, score, zero
        As in `make_pruning`.
    name, chunk, threads, checkpoint, key
        As in `cnnvis.importance.streaming.sum_over`.

    Returns
    -------
    dict
        ``images``, ``skipped``, and ``{filters: (top-1 errors, top-5 errors, mean probability)}``
        under ``counts``.
    """
    # Different removals may be of the same filters: they are computed once.
    sets = sorted({removal.filters for removal in removals})
    sums = {
        "images": np.zeros((), np.int64),
        "errors": np.zeros((len(sets), len(TOPS)), np.int64),
        "probability": np.zeros(len(sets)),
    }

    def step(inputs):
        of_sets = network.scores_without(inputs, layer, sets, score, keep_bias=zero == "weights")
        for place, (filters, scores) in enumerate(zip(sets, of_sets, strict=True)):
            check_finite(scores, f"{name}: scores without {len(filters)} filters of {layer}")
            higher = count_higher(scores, cls)
            sums["errors"][place] += [np.count_nonzero(higher >= top) for top in TOPS]
            sums["probability"][place] += sum(to_probabilities(row)[0][cls] for row in scores)
        sums["images"] += len(inputs)

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
    count = int(sums["images"])
    counts = {
        filters: (*map(int, sums["errors"][place]), float(sums["probability"][place]) / count)
        for place, filters in enumerate(sets)
    }
    return {"images": count, "skipped": skipped, "counts": counts}


def count_higher(scores, cls):
    """Return how many classes go before `cls` in each row of scores (images, classes).

    >>> count_higher(np.array([[3.0, 1.0, 3.0], [0.0, 2.0, 1.0]]), 2).tolist()
    [1, 1]
    """
    own = scores[:, cls, None]
    return (scores > own).sum(axis=1) + (scores[:, :cls] == own).sum(axis=1)


def to_rows(removals, counted, collections):
    """Return the rows of the table, as dictionaries of `COLUMNS`.

    Parameters
    ----------
    removals : dict of str to list of Ablation
        By collection.
    counted : dict of str to dict
        Of `count_errors`, by collection.
    collections : dict of str to dict
    """
    rows = []
    for name, found in counted.items():
        for removal in removals[name]:
            top1, top5, probability = found["counts"][removal.filters]
            rows.append(
                {
                    "removal": removal.kind,
                    "removed": len(removal.filters),
                    "filter": removal.filters[0] if removal.kind == "single" else None,
                    "seed": removal.seed,
                    "threshold": removal.threshold,
                    "collection": name,
                    "cls": collections[name]["cls"],
                    "images": found["images"],
                    "error_top1": top1 / found["images"],
                    "error_top5": top5 / found["images"],
                    "probability": probability,
                }
            )
    return rows


def write_table(path, rows):
    """Write rows as CSV with `COLUMNS`; None is empty."""
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            rounded = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(rounded)


def summarise(rows, order, means, *, collection, layer, zero):
    """Return the study's table, the sweep of the class and the sentence.

    Parameters
    ----------
    rows : list of dict
        Of `to_rows`.
    order, means : ndarray
        Of `cnnvis.importance.class_importance.class_order`.
    collection, layer, zero : str
    """
    own = [row for row in rows if row["collection"] == collection]
    least, most = int(order[0]), int(order[-1])
    cases = {
        "before": _only(own, removal="none"),
        "least": _only(own, removal="single", filter=least),
        "most": _only(own, removal="single", filter=most),
    }
    table = {name: {"filter": row["filter"], **_errors(row)} for name, row in cases.items()}
    others = {}
    for row in rows:
        if row["collection"] != collection and row["removal"] in ("none", "single"):
            case = {None: "before", least: "least", most: "most"}[row["filter"]]
            others.setdefault(row["collection"], {})[case] = _errors(row)
    return {
        "layer": layer,
        "collection": collection,
        "cls": own[0]["cls"],
        "zero": zero,
        "images": own[0]["images"],
        "filters": len(order),
        "importance": {"least": significant(means[least]), "most": significant(means[most])},
        "table": table,
        "others": others,
        "half_wrong": {kind: _half_wrong(own, kind) for kind in ("least", "most", "random")},
        "sentence": sentence(table, own, layer=layer, collection=collection),
    }


def _only(rows, **values):
    return next(row for row in rows if all(row[key] == value for key, value in values.items()))


def _errors(row):
    names = ("error_top1", "error_top5", "probability")
    return {name: significant(row[name]) for name in names}


def _half_wrong(rows, kind):
    """Return the fewest filters of the sweep whose removal makes half of the images wrong."""
    for removed, error in sweep(rows, kind, "error_top1").items():
        if np.mean(error) >= 0.5:
            return removed
    return None


def sweep(rows, kind, value):
    """Return ``{filters removed: [value, one per seed]}`` of one kind, fewest first."""
    found = {row["removed"]: [] for row in rows if row["removal"] == kind}
    for row in rows:
        if row["removal"] == kind:
            found[row["removed"]].append(row[value])
    return dict(sorted(found.items()))


def sentence(table, own, *, layer, collection):
    """Say in words what removing filters does to a class."""

    def percent(case):
        return f"{100 * table[case]['error_top1']:.1f} %"

    text = (
        f"Of {own[0]['images']} images of {collection}, {percent('before')} are classified "
        f"wrongly; {percent('least')} without the least important filter of {layer} "
        f"({table['least']['filter']}), {percent('most')} without the most important "
        f"({table['most']['filter']})"
    )
    if table["before"]["error_top1"] >= 0.5:
        return f"{text}; too many to begin with for a sweep to say much."
    halves = {kind: _half_wrong(own, kind) for kind in ("most", "random", "least")}
    named = {"most": "most important", "random": "random", "least": "least important"}
    counts = [f"{halves[kind]} {named[kind]}" for kind in halves if halves[kind]]
    if not counts:
        return f"{text}; no removal makes half of them wrong."
    return f"{text}; half are wrong without {', or '.join(counts)} filters."
