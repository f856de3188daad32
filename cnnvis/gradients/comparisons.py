"""One neuron's gradients over images of a reference class, a similar and a dissimilar class.

All numbers come from the images' Gram matrix ``G[i, j] = <g_i, g_j>`` and the sums of each
gradient, gathered filter by filter, so that no more than the gradients themselves is in memory:
norms are ``sqrt(G[i, i])``, cosines ``G[i, j] / (|g_i| |g_j|)``, and the correlation with the mean
of the reference images follows because a mean is linear.
"""

import csv
import logging
import math

import numpy as np

from cnnvis.core.arrays import read_array, significant
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, read_json, write_json
from cnnvis.importance.filter_importance import filter_norms

GROUPS = ("reference", "similar", "dissimilar")
COLUMNS = (
    "image",
    "group",
    "cls",
    "correct",
    "declared_correct",
    "predicted",
    "label",
    "probability",
    "norm",
    "largest",
    "reference_correlation",
    "most_important",
)


def make_comparison(groups, picture, table_csv, summary_json, *, layer, neuron, title):
    """Compare one neuron's gradient at one layer over images; write picture, table and summary.

    Parameters
    ----------
    groups : list of dict
        One per image: ``group`` (of `GROUPS`), ``cls`` (its class), ``image`` (its name),
        ``correct`` (whether it is listed as correctly classified), ``gradients`` (``.npz`` of
        `cnnvis.gradients.weight_gradients.make_gradients` for `neuron`) and ``prediction``
        (JSON of `cnnvis.activations.forward.make_activations`).
    picture, table_csv, summary_json : str or Path
        What is written. The summary's ``scale`` is the common scale: the largest magnitude in
        any of the gradients.
    layer : str
    neuron : int
        The class whose score was differentiated.
    title : str

    Raises
    ------
    UserError
        If there is no reference image, a group is unknown, or a file is not usable.

    Notes
    -----
    Whether an image counts as correct is what the network says of it. Where the configuration
    lists it otherwise, both are in the table and a warning is logged.
    """
    from cnnvis.gradients.comparison_figure import draw_comparison

    members = read_members(groups)
    gradients = [read_array(member["gradients"], layer, "gradient of layer") for member in members]
    check_shapes(members, gradients, layer)
    norms = np.stack([filter_norms(gradient) for gradient in gradients])
    numbers = compare(gradients, [member["group"] for member in members])
    rows = [_row(*item) for item in zip(members, norms, numbers["members"], strict=True)]
    claim = check_claim(
        {name: [row["norm"] for row in rows if row["group"] == name] for name in numbers["groups"]}
    )
    write_table(table_csv, rows)
    summary = {"layer": layer, "neuron": neuron, "scale": numbers["scale"], "claim": claim}
    summary |= {"groups": numbers["groups"], "images": rows, "cosine": numbers["cosine"]}
    write_json(summary_json, summary)
    draw_comparison(picture, rows, gradients, norms, layer=layer, neuron=neuron, title=title)


def read_members(groups):
    """Read the predictions of a comparison's images, in the order of `GROUPS`.

    Returns
    -------
    list of dict
        Those of `groups` with ``predicted``, ``label``, ``probability`` (the network's first
        choice), ``correct`` (whether that is right) and ``declared_correct``.

    Raises
    ------
    UserError
        If a group is unknown, or there is no reference image.
    """
    for member in groups:
        if member["group"] not in GROUPS:
            raise UserError(
                f"comparison: image '{member['image']}' is in group '{member['group']}', "
                f"expected {', '.join(GROUPS)}"
            )
    if not any(member["group"] == "reference" for member in groups):
        raise UserError("comparison: no image of the reference class")
    ordered = sorted(groups, key=lambda member: GROUPS.index(member["group"]))
    return [_with_prediction(member) for member in ordered]


def _with_prediction(member):
    try:
        first = read_json(member["prediction"])["top"][0]
        found = {"predicted": int(first["index"]), "label": str(first["label"])}
        found["probability"] = float(first["probability"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{member['prediction']}: is not a prediction") from error
    correct = found["predicted"] == member["cls"]
    if correct != member["correct"]:
        said = "correctly" if member["correct"] else "wrongly"
        logging.warning(
            "comparison: image '%s' of class %s is listed as %s classified, but the network says "
            "%s (%s)",
            *(member["image"], member["cls"], said, found["predicted"], found["label"]),
        )
    return {**member, **found, "correct": correct, "declared_correct": member["correct"]}


def check_shapes(members, gradients, layer):
    """Raise a `UserError` unless all gradients have one shape."""
    for member, gradient in zip(members, gradients, strict=True):
        if gradient.shape != gradients[0].shape:
            raise UserError(
                f"{member['gradients']}: gradient of layer '{layer}' has shape {gradient.shape}, "
                f"that of {members[0]['image']} {gradients[0].shape}; are they of one network?"
            )


def compare(gradients, groups):
    """Compare gradients of one shape.

    Parameters
    ----------
    gradients : list of ndarray, (filters, ...)
    groups : list of str
        The group of each.

    Returns
    -------
    dict
        ``scale`` (largest magnitude of all), ``cosine`` (matrix, list of lists; None where a
        gradient is 0), ``members`` (``norm``, ``largest``, ``reference_correlation`` of each) and
        ``groups``; see `describe_group`.
    """
    gram, means, size = gram_matrix(gradients)
    norms = np.sqrt(np.diag(gram))
    largest = [float(np.abs(gradient).max()) for gradient in gradients]
    cosine = _ratio(gram, np.outer(norms, norms))
    reference = np.array([group == "reference" for group in groups])
    correlation = reference_correlation(gram / size - np.outer(means, means), reference)
    return {
        "scale": max(largest),
        "cosine": [[_number(value) for value in row] for row in cosine],
        "members": [
            {"norm": _number(n), "largest": _number(m), "reference_correlation": _number(r)}
            for n, m, r in zip(norms, largest, correlation, strict=True)
        ],
        "groups": {
            name: describe_group(
                np.array([group == name for group in groups]), reference, gram, correlation
            )
            for name in GROUPS
            if name in groups
        },
    }


def gram_matrix(gradients):
    """Return the Gram matrix of gradients, the mean of each, and their number of elements."""
    gram = np.zeros((len(gradients), len(gradients)))
    sums = np.zeros(len(gradients))
    for parts in zip(*gradients, strict=True):
        rows = np.stack([np.ravel(part) for part in parts]).astype(np.float64)
        gram += rows @ rows.T
        sums += rows.sum(axis=1)
    return gram, sums / gradients[0].size, gradients[0].size


def reference_correlation(covariance, reference):
    """Return each image's Pearson correlation with the mean of the (other) reference images.

    Parameters
    ----------
    covariance : ndarray, (images, images)
        Between the images' gradients.
    reference : ndarray of bool, (images,)

    Returns
    -------
    ndarray, (images,)
        NaN for the only reference image, and where a gradient is constant.
    """
    found = []
    for index in range(len(covariance)):
        weights = reference.astype(float)
        weights[index] = 0
        variance = covariance[index, index] * (weights @ covariance @ weights)
        found.append(_ratio(covariance[index] @ weights, np.sqrt(max(variance, 0))))
    return np.array(found, float)


def describe_group(inside, reference, gram, correlation):
    """Return the means of one group of images, and how far its images lie apart.

    Parameters
    ----------
    inside, reference : ndarray of bool, (images,)
        Which images are in the group, and which in the reference.
    gram : ndarray, (images, images)
    correlation : ndarray, (images,)
        Of `reference_correlation`.

    Returns
    -------
    dict
        ``images``; of their norms the mean (``norm``), the standard deviation (``norm_spread``,
        n - 1) and ``norm_range``; ``norm_of_mean``, the norm of the mean of their gradients;
        ``own_cosine`` and ``reference_cosine``, the mean cosine between an image of the group and
        another of the same group, and another of the reference; ``reference_correlation``, the mean
        of theirs. None where there are too few images.
    """
    norms = np.sqrt(np.diag(gram))
    cosine = _ratio(gram, np.outer(norms, norms))
    others = ~np.eye(len(norms), dtype=bool)
    mean = inside / inside.sum()
    return {
        "images": int(inside.sum()),
        "norm": _number(norms[inside].mean()),
        "norm_spread": _number(norms[inside].std(ddof=1)) if inside.sum() > 1 else None,
        "norm_range": [_number(norms[inside].min()), _number(norms[inside].max())],
        "norm_of_mean": _number(np.sqrt(max(mean @ gram @ mean, 0))),
        "own_cosine": _mean(cosine[np.outer(inside, inside) & others]),
        "reference_cosine": _mean(cosine[np.outer(inside, reference) & others]),
        "reference_correlation": _mean(correlation[inside]),
    }


def check_claim(norms):
    """Test the study's claim that for the dissimilar class gradients were smaller.

    Parameters
    ----------
    norms : dict
        ``{group: [norm of each image's gradient]}``.

    Returns
    -------
    dict
        ``statement``; ``holds``: whether the mean norm of the dissimilar class is below that of
        every other group (None without a dissimilar image); ``tests``: of each other group
        `compare_ranks` and ``against``, its name; a ``sentence`` that gives the numbers.
    """
    statement = "for the dissimilar class gradients were smaller"
    if "dissimilar" not in norms:
        sentence = "There is no dissimilar image to test the study's claim on."
        return {"statement": statement, "holds": None, "tests": [], "sentence": sentence}
    means = {name: float(np.mean(values)) for name, values in norms.items()}
    own = means.pop("dissimilar")
    holds = all(own < mean for mean in means.values())
    tests = [{"against": name, **compare_ranks(norms["dissimilar"], norms[name])} for name in means]
    against = " and ".join(f"{mean:.4g} ({name})" for name, mean in means.items())
    sentence = (
        f'The study\'s claim "{statement}" {"holds" if holds else "does not hold"} here: the mean '
        f"norm of the gradient is {own:.4g} (dissimilar), against {against}."
    )
    sentence = " ".join([sentence, *map(_said, tests)])
    return {"statement": statement, "holds": holds, "tests": tests, "sentence": sentence}


def _said(test):
    few = f", which with so few images is never below {test['least_p']:.2g}"
    return (
        f"The dissimilar image has the smaller norm in {test['smaller']:g} of the {test['pairs']} "
        f"pairs with {test['against']} images (exact one-sided rank test: p = {test['p']:.2g}"
        f"{few if test['least_p'] > 0.05 else ''})."
    )


def compare_ranks(smaller, larger):
    """Test whether the values of one sample tend to be smaller than those of another.

    The rank sum test of Wilcoxon, Mann and Whitney, one-sided and exact with ties: `p` is the share
    of all ways to choose ``len(smaller)`` of all values in which the sum of their ranks is as small
    or smaller.

    Parameters
    ----------
    smaller, larger : sequence of float

    Returns
    -------
    dict
        ``pairs``; ``smaller``, in how many of these the value of `smaller` is less (a tie counts
        one half); ``p``; ``least_p``, the least that samples of these sizes can give.

    Examples
    --------
    >>> compare_ranks([1.0, 2.0], [3.0, 4.0])
    {'pairs': 4, 'smaller': 4.0, 'p': 0.16666666666666666, 'least_p': 0.16666666666666666}
    """
    first, second = np.asarray(smaller, float), np.asarray(larger, float)
    both = np.concatenate([first, second])
    # Twice the rank of each: ties share a mean rank, which may end in one half.
    ranks = (both[:, None] > both).sum(axis=1) + (both[:, None] >= both).sum(axis=1) + 1
    ways = _subset_sums(ranks.tolist(), len(first))
    total = math.comb(len(both), len(first))
    observed = int(ranks[: len(first)].sum())
    extreme = sum(count for value, count in ways.items() if value <= observed)
    less = np.sign(second[:, None] - first)
    return {
        "pairs": less.size,
        "smaller": float((less + 1).sum() / 2),
        "p": extreme / total,
        "least_p": 1 / total,
    }


def _subset_sums(values, size):
    """Return ``{sum: number of subsets of `size` values that have it}``."""
    ways = [{0: 1}] + [{} for _ in range(size)]
    for value in values:
        for taken in range(size, 0, -1):
            for before, count in ways[taken - 1].items():
                ways[taken][before + value] = ways[taken].get(before + value, 0) + count
    return ways[size]


def _row(member, norms, numbers):
    known = {key: member[key] for key in COLUMNS if key in member}
    strongest = np.argsort(-norms, kind="stable")[:5]
    return {**known, **numbers, "most_important": strongest.tolist()}


def write_table(path, rows):
    """Write the rows as CSV with `COLUMNS`; lists are separated by spaces, None is empty."""
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "most_important": " ".join(map(str, row["most_important"]))})


def _ratio(above, below):
    """Divide, NaN where the divisor is 0."""
    above, below = np.asarray(above, float), np.asarray(below, float)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def _mean(values):
    values = values[np.isfinite(values)]
    return _number(values.mean()) if len(values) else None


def _number(value):
    return significant(value) if np.isfinite(value) else None
