"""Comparisons of a run's arrays with published ones: each returns (status, sentence, numbers)."""

import numpy as np

from cnnvis.activations.orderings import order
from cnnvis.core.errors import UserError

# ASSUME: a byte is rounded to its neighbour where a value lies within its error of a half, so
# float32 sums in another order (1e-6 of the layer) change about 0.05 % of the bytes by one. Ten
# times that is no longer rounding.
OFF_BY_ONE = 0.005
# Norm of the difference to norm. Float32 leaves 2e-7, another way to resize the image 1e-2.
NUMBERS_TOLERANCE = 1e-5
# ASSUME: two filters whose projections differ by less than this part of their range may be in
# either order: rounding decides.
TIE = 1e-5
# A ReLU or a maximum that rounding switches moves a gradient in float32 by up to 1e-3 (measured on
# SqueezeNet against Caffe); another neuron's gradient is off by about 1.
GRADIENT_TOLERANCE = 1e-2


def compare_bytes(values, expected, what):
    """Compare bytes one by one: identical, off by one, or worse.

    Parameters
    ----------
    values, expected : ndarray of uint8
    what : str
        What they are, in the plural.

    Returns
    -------
    status : str
        ``agrees`` if none is worse and at most `OFF_BY_ONE` of them are off by one.
    sentence : str
    numbers : dict
        ``count``, ``identical``, ``off_by_one``, ``worse`` and the ``largest`` difference.

    Raises
    ------
    UserError
        If the shapes differ.

    Examples
    --------
    >>> compare_bytes(np.uint8([1, 2, 9]), np.uint8([1, 3, 3]), "voxels")[:2]
    ('differs', '1 of 3 voxels identical, 1 off by one, 1 worse (by up to 6).')
    """
    if values.shape != expected.shape:
        sides = (" x ".join(map(str, array.shape)) for array in (values, expected))
        raise UserError("{} {what}, the study's are {}".format(*sides, what=what))
    counts = np.bincount(np.abs(values.astype(int) - expected).ravel(), minlength=2)
    identical, off_by_one, count = map(int, (*counts[:2], values.size))
    worse, largest = count - identical - off_by_one, int(np.flatnonzero(counts)[-1])
    numbers = {"count": count, "identical": identical, "off_by_one": off_by_one}
    numbers |= {"worse": worse, "largest": largest}
    if identical == count:
        return "agrees", f"All {count:,} {what} are identical.", numbers
    sentence = f"{identical:,} of {count:,} {what} identical, {off_by_one:,} off by one"
    sentence += f", {worse:,} worse (by up to {largest})." if worse else "."
    rounding = not worse and off_by_one <= OFF_BY_ONE * count
    return "agrees" if rounding else "differs", sentence, numbers


def relative_error(values, expected):
    """Return the norm of the difference relative to the norm of what is expected."""
    return float(np.linalg.norm(values - expected) / (np.linalg.norm(expected) or 1))


def correlation(first, second):
    """Return Pearson's correlation, or None where one of them does not vary."""
    first, second = (np.ravel(values).astype(np.float64) for values in (first, second))
    if first.size < 2 or not np.ptp(first) or not np.ptp(second):
        return None
    return float(np.corrcoef(first, second)[0, 1])


def compare_numbers(values, expected):
    """Compare arrays of numbers; see `compare_bytes`."""
    error = relative_error(values, expected)
    largest = float(np.abs(values - expected).max() / (np.abs(expected).max() or 1))
    return (
        "agrees" if error <= NUMBERS_TOLERANCE else "differs",
        f"Relative error {error:.1g} (norm), largest difference {largest:.1g} of the largest "
        "value.",
        {"relative_error": error, "largest": largest},
    )


def compare_pca(ordering, matrix):
    """Compare an order by PCA with the order of published feature maps by the same method.

    Parameters
    ----------
    ordering : dict
        With ``permutation``.
    matrix : ndarray, (filters, pixels)
        The published feature maps.
    """
    expected, numbers = order(matrix, "pca")
    return compare_orders(ordering["permutation"], expected, np.array(numbers["projections"]))


def compare_published_order(ordering, volume, outputs):
    """Compare an order with that of a published volume whose slices are feature maps.

    Parameters
    ----------
    ordering : dict
        With ``permutation``.
    volume : ndarray of uint8, (filters, height, width)
    outputs : ndarray, (filters, height, width)
        The published feature maps in natural order, from 0 to 255.

    Raises
    ------
    UserError
        If a slice is no filter's feature map.
    """
    expected = identify(volume, np.rint(outputs).astype(np.uint8))
    projections = order(outputs.reshape(len(outputs), -1), "pca")[1]["projections"]
    return compare_orders(ordering["permutation"], expected, np.array(projections))


def identify(volume, natural):
    """Return which filter each slice of a volume is.

    Of filters with the same bytes the first in natural order comes first.

    Raises
    ------
    UserError
        If a slice is none of them.
    """
    filters, permutation = [feature_map.tobytes() for feature_map in natural], []
    for depth, feature_map in enumerate(volume):
        content = feature_map.tobytes()
        if content not in filters:
            raise UserError(f"slice {depth} of the published volume is no filter's output")
        permutation.append(filters.index(content))
        filters[permutation[-1]] = None
    return np.array(permutation)


def compare_orders(permutation, expected, projections):
    """Compare two orders by a projection, up to its sign and to ties.

    Parameters
    ----------
    permutation, expected : sequence of int, (filters,)
    projections : ndarray, (filters,)
        What the filters are ordered by.

    Returns
    -------
    tuple
        Status, sentence, and numbers ``filters``, ``moved``, ``wrong`` and ``reversed``.

    Examples
    --------
    >>> compare_orders([2, 1, 0], [0, 1, 2], np.array([1.0, 2.0, 3.0]))[:2]
    ('agrees', 'All 3 filters are in the same order, reversed: the sign of PCA is arbitrary.')
    """
    permutation, expected = np.asarray(permutation), np.asarray(expected)
    filters = len(expected)
    if sorted(permutation) != list(range(filters)):
        raise UserError(f"an order of {len(permutation)} filters, the study has {filters}")
    candidates = []
    for places in (permutation, permutation[::-1]):
        distances = np.abs(projections[places] - projections[expected])
        wrong = int((distances > TIE * np.ptp(projections)).sum())
        candidates.append({"moved": int((places != expected).sum()), "wrong": wrong})
    backwards = candidates[1]["wrong"] < candidates[0]["wrong"]
    numbers = {"filters": filters, **candidates[backwards], "reversed": backwards}
    if numbers["wrong"]:
        sentence = f"{numbers['wrong']} of {filters} filters are at a different position."
        return "differs", sentence, numbers
    ties = f", except for {numbers['moved']} that rounding swaps" if numbers["moved"] else ""
    sign = ", reversed: the sign of PCA is arbitrary" if numbers["reversed"] else ""
    return "agrees", f"All {filters} filters are in the same order{ties}{sign}.", numbers


def compare_clusters(ordering, matrix):
    """Compare k-means clusters with those of published feature maps by the same method.

    Parameters
    ----------
    ordering : dict
        With ``labels`` and ``parameters``.
    matrix : ndarray, (filters, pixels)
    """
    expected = order(matrix, "kmeans", **ordering["parameters"])[1]["labels"]
    return compare_labels(ordering["labels"], expected)


def compare_labels(labels, expected):
    """Compare clusters, whatever they are called.

    Parameters
    ----------
    labels, expected : sequence of int, (filters,)
        The cluster of each filter.
    """
    labels, expected = np.asarray(labels), np.asarray(expected)
    if labels.shape != expected.shape:
        raise UserError(f"clusters of {labels.size} filters, the study has {expected.size}")
    # Two filters are together in both or in neither, whatever the clusters are called.
    together = labels[:, np.newaxis] == labels
    wrong = int((together != (expected[:, np.newaxis] == expected)).any(axis=1).sum())
    clusters, numbers = len(np.unique(expected)), {"filters": labels.size, "wrong": wrong}
    if wrong:
        sentence = f"{wrong} of {labels.size} filters are in a different cluster."
        return "differs", sentence, numbers
    return "agrees", f"All {labels.size} filters are in the same {clusters} clusters.", numbers


def compare_numerical(numerical, gradient):
    """Compare a published numerical gradient with the published backpropagated one.

    Where they disagree, the file itself is examined. A derivative does not depend on the one
    computed before it: where neighbours in the file are nearly equal, weights were changed and not
    put back. And differences divided by a step such as 1e-9 are float64 numbers, of which hardly
    one is a float32 number, too: if all are, they are differences of scores that nothing divided.

    Parameters
    ----------
    numerical, gradient : ndarray
        Of one shape.
    """
    values, error = numerical.reshape(-1), relative_error(numerical, gradient)
    numbers = {
        "correlation": correlation(numerical, gradient),
        "neighbours": correlation(values[1:], values[:-1]),
        "float32": bool(np.all(values == values.astype(np.float32))),
        "relative_error": error,
    }
    if error <= GRADIENT_TOLERANCE:
        return "agrees", f"Agrees with the backpropagated gradient to {error:.1g}.", numbers
    reasons = []
    if (numbers["neighbours"] or 0) > 0.9:
        reasons.append(
            f"each number is nearly the one before it (correlation {numbers['neighbours']:.4f}), "
            "as when changed weights are not put back"
        )
    if numbers["float32"]:
        reasons.append(
            "all are float32 numbers, as differences of scores are before, but not after, they are "
            "divided by a step (1e-9 in the published script)"
        )
    sentence = (
        f"Correlation {numbers['correlation'] or 0:.2f} with the study's own backpropagated "
        "gradient; that of a correct one is 1. "
    )
    if not reasons:
        return "differs", f"{sentence}Nothing in the file explains it.", numbers
    return "explained", f"{sentence}In the file {', and '.join(reasons)}.", numbers
