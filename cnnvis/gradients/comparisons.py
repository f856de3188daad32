"""One neuron's gradients over images of a reference class, a similar and a dissimilar class.

All numbers come from the images' Gram matrix ``G[i, j] = <g_i, g_j>`` and the sums of each
gradient, gathered filter by filter, so that no more than the gradients themselves is in memory:
norms are ``sqrt(G[i, i])``, cosines ``G[i, j] / (|g_i| |g_j|)``, and the correlation with the mean
of the reference images follows because a mean is linear.
"""

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cnnvis.activations.forward import read_prediction
from cnnvis.core.arrays import read_array, significant
from cnnvis.core.colours import GROUP_COLOURS, VERDICTS
from cnnvis.core.files import safe_name, write_csv, write_json
from cnnvis.gradients.comparison_figure import draw_comparison
from cnnvis.gradients.norms import filter_norms

GROUPS = tuple(GROUP_COLOURS)


@dataclass(frozen=True)
class Member:
    """One image of a comparison.

    Attributes
    ----------
    image : str
    group : str
        Of `GROUPS`.
    cls : int
        The image's class.
    correct : bool
        Whether the network chooses this class; without a prediction, as declared.
    declared_correct : bool
        Whether the configuration lists the image as correctly classified.
    predicted : int or None
        The class the network chooses; None where there are no weights to run it with.
    label : str or None
        That class's name.
    probability : float or None
        That class's probability.
    gradients : Path
        The ``.npz`` of the compared neuron's gradients for this image.
    """

    image: str
    group: str
    cls: int
    correct: bool
    declared_correct: bool
    predicted: int | None
    label: str | None
    probability: float | None
    gradients: Path

    @property
    def verdict(self):
        """Whether the network chooses the image's class, as a word."""
        return VERDICTS[self.correct][0]


def read_members(files, entries, neuron, predicted=True, labels=None):
    """Return the images of a comparison, in the order of `GROUPS`.

    Where the network disagrees with the configuration about whether an image is classified
    correctly, a warning is logged.

    Parameters
    ----------
    files : Places
        Of the network. Read is each image's ``prediction``.
    entries : list of dict
        For each image its ``image`` (name), ``group``, ``cls`` and ``correct`` (what the
        configuration declares).
    neuron : int
        The class whose score was differentiated.
    predicted : bool
        Whether there are predictions to read; without, images are as correct as declared.
    labels : path, optional
        Class names, one per line.

    Returns
    -------
    list of Member

    Raises
    ------
    UserError
        If a prediction or the labels cannot be read.
    """
    members = []
    for entry in sorted(entries, key=lambda entry: GROUPS.index(entry["group"])):
        image, cls, declared = entry["image"], entry["cls"], entry["correct"]
        path = files("prediction", image=image)
        best = read_prediction(path, labels)["top"][0] if predicted else {}
        member = Member(
            *(image, entry["group"], cls, best["index"] == cls if best else declared, declared),
            *(best.get(key) for key in ("index", "label", "probability")),
            files("gradients", image=image, cls=neuron),
        )
        if member.correct != member.declared_correct:
            logging.warning(
                f"image '{image}' of class {cls} is declared "
                f"{VERDICTS[member.declared_correct][0]}, but the network predicts "
                f"class {member.predicted} ({member.label})"
            )
        members.append(member)
    return members


@dataclass(frozen=True)
class Comparison:
    """One neuron's gradients at one layer over the images of a comparison.

    Attributes
    ----------
    name, network : str
    neuron : int
    layer : str
    members : list of Member
    gradients : list of ndarray, (filters, channels, kh, kw) or (filters, channels)
        One per member, all of one shape.
    norms : ndarray of float64, (members, filters)
        Of each filter's gradient.
    orders : dict of str to dict
        Shared orders of the filters, see `cnnvis.activations.orderings.describe_order`.
    ordering : str or None
        The one of them in which the filters of pictures and time series stand.
    """

    name: str
    network: str
    neuron: int
    layer: str
    members: list
    gradients: list
    norms: np.ndarray
    orders: dict = field(default_factory=dict)
    ordering: str | None = None

    @classmethod
    def read(cls, members, layer, *, name, network, neuron, **orders):
        """Read the gradients of all members at one layer; `orders` and `ordering` as they are.

        Raises
        ------
        UserError
            If a file has no usable gradient of the layer.
        """
        gradients = [read_array(member.gradients, layer, "gradient of layer") for member in members]
        norms = np.stack([filter_norms(gradient) for gradient in gradients])
        return cls(name, network, neuron, layer, members, gradients, norms, **orders)

    @property
    def title(self):
        """What pictures of this comparison are called."""
        return (
            f"{self.name}: gradient of neuron {self.neuron} with respect to {self.layer} "
            f"of {self.network}"
        )

    @property
    def order(self):
        """Which filter stands at each place: ndarray of int, (filters,)."""
        if self.ordering is None:
            return np.arange(self.norms.shape[1])
        return np.array(self.orders[self.ordering]["permutation"])

    @property
    def groups(self):
        """The group of each member, ndarray of str, (members,)."""
        return np.array([member.group for member in self.members])

    @property
    def ranking(self):
        """The filters from the largest mean norm over the reference images to the least."""
        reference = self.norms[self.groups == "reference"]
        return np.argsort(-reference.mean(axis=0), kind="stable")


def make_comparison(files, comparison):
    """Write the picture, the table and the summary of a comparison at one layer.

    Parameters
    ----------
    files : Places
        Of the comparison. Written are ``comparison picture``, ``comparison table`` and
        ``comparison summary``.
    comparison : Comparison

    Returns
    -------
    dict
        The summary, see `summarise`.
    """
    layer, summary = safe_name(comparison.layer), summarise(comparison)
    rows = [
        {**row, "most_important": " ".join(map(str, row["most_important"]))}
        for row in summary["images"]
    ]
    write_csv(files("comparison table", layer=layer), rows[0], [row.values() for row in rows])
    write_json(files("comparison summary", layer=layer), summary)
    draw_comparison(files("comparison picture", layer=layer), comparison, summary)
    return summary


def summarise(comparison):
    """Compare the gradients of all images at one layer.

    Returns
    -------
    dict
        ``layer``; ``neuron``; ``scale``, the largest magnitude in any gradient; ``claim``, see
        `check_claim`; ``groups``, see `describe_group`; ``images``, for each image what its
        `Member` says, ``norm`` and ``largest`` magnitude of its gradient, its correlation with the
        reference (see `reference_correlation`) and the five filters with the largest norm;
        ``cosine``, of the angle between each two gradients, a list of lists. A cosine or a
        correlation is None where a gradient is 0 or constant.
    """
    gram, covariance = gram_matrix(comparison.gradients)
    largest = [float(np.abs(gradient).max()) for gradient in comparison.gradients]
    reference = comparison.groups == "reference"
    correlation = reference_correlation(covariance, reference)
    images = [
        {
            **{key: value for key, value in vars(member).items() if key != "gradients"},
            "norm": _number(math.sqrt(gram[index, index])),
            "largest": _number(largest[index]),
            "reference_correlation": _number(correlation[index]),
            "most_important": np.argsort(-comparison.norms[index], kind="stable")[:5].tolist(),
        }
        for index, member in enumerate(comparison.members)
    ]
    groups = {
        name: describe_group(comparison.groups == name, reference, gram, correlation)
        for name in GROUPS
        if name in comparison.groups
    }
    norms = {name: [row["norm"] for row in images if row["group"] == name] for name in groups}
    return {
        "layer": comparison.layer,
        "neuron": comparison.neuron,
        "scale": max(largest),
        "claim": check_claim(norms),
        "groups": groups,
        "images": images,
        "cosine": [[_number(value) for value in row] for row in _cosine(gram)],
    }


def gram_matrix(gradients):
    """Return the Gram matrix of gradients and their covariances."""
    gram = np.zeros((len(gradients), len(gradients)))
    sums = np.zeros(len(gradients))
    for parts in zip(*gradients, strict=True):
        rows = np.stack([np.ravel(part) for part in parts]).astype(np.float64)
        gram += rows @ rows.T
        sums += rows.sum(axis=1)
    means = sums / gradients[0].size
    return gram, gram / gradients[0].size - np.outer(means, means)


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
    correlations = []
    for index in range(len(covariance)):
        weights = reference.astype(float)
        weights[index] = 0
        variance = covariance[index, index] * (weights @ covariance @ weights)
        correlations.append(_ratio(covariance[index] @ weights, np.sqrt(max(variance, 0))))
    return np.array(correlations, float)


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
    cosine = _cosine(gram)
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
    sentence = " ".join([sentence, *map(_describe_test, tests)])
    return {"statement": statement, "holds": holds, "tests": tests, "sentence": sentence}


def _describe_test(test):
    few = f", which with so few images is never below {test['least_p']:.2g}"
    return (
        f"The dissimilar image has the smaller norm in {test['smaller']:g} of the {test['pairs']} "
        f"pairs with {test['against']} images (exact one-sided rank test: p = {test['p']:.2g}"
        f"{few if test['least_p'] > 0.05 else ''})."
    )


def compare_ranks(smaller, larger):
    """Test whether the values of one sample tend to be smaller than those of another.

    The rank sum test of Wilcoxon, Mann and Whitney, one-sided and exact, with ties: `p` is the
    share of all ways to choose ``len(smaller)`` of all values in which the sum of their ranks is as
    small or smaller.

    Parameters
    ----------
    smaller, larger : sequence of float

    Returns
    -------
    dict
        ``pairs``; ``smaller``, in how many of these the value of `smaller` is less (a tie counts
        one half); ``p``; ``least_p``, the least that samples of these sizes can give.

    Notes
    -----
    ``scipy.stats.mannwhitneyu`` is exact only without ties, and importing it takes longer than
    everything else a comparison does.

    Examples
    --------
    >>> compare_ranks([1.0, 2.0], [3.0, 4.0])
    {'pairs': 4, 'smaller': 4.0, 'p': 0.16666666666666666, 'least_p': 0.16666666666666666}
    """
    first, second = np.asarray(smaller, float), np.asarray(larger, float)
    both = np.concatenate([first, second])
    # Twice the rank of each: ties share a mean rank, which may end in one half.
    ranks = (both[:, None] > both).sum(axis=1) + (both[:, None] >= both).sum(axis=1) + 1
    # In how many ways so many of the values (row) have this sum of ranks (column).
    ways = np.zeros((len(first) + 1, ranks.sum() + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, :-rank]
    less = np.sign(second[:, None] - first)
    total = math.comb(len(both), len(first))
    return {
        "pairs": less.size,
        "smaller": float((less + 1).sum() / 2),
        "p": float(ways[-1, : ranks[: len(first)].sum() + 1].sum() / total),
        "least_p": 1 / total,
    }


def _cosine(gram):
    norms = np.sqrt(np.diag(gram))
    return _ratio(gram, np.outer(norms, norms))


def _ratio(above, below):
    """Divide, NaN where the divisor is 0."""
    above, below = np.asarray(above, float), np.asarray(below, float)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def _mean(values):
    values = values[np.isfinite(values)]
    return _number(values.mean()) if len(values) else None


def _number(value):
    return significant(value) if np.isfinite(value) else None
