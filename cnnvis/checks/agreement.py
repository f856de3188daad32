"""What agrees: the comparisons of a verification, from arrays to (status, sentence, numbers)."""

import tempfile
from pathlib import Path

import numpy as np

from cnnvis.activations.orderings import order
from cnnvis.checks.gradient_check import correlation
from cnnvis.core.errors import UserError

# ASSUME: a byte is rounded to its neighbour where a value lies within its error of a half, so
# float32 sums in another order (1e-6 of the layer) change about 0.05 % of the bytes by one. Ten
# times that is no longer rounding.
OFF_BY_ONE = 0.005
# Norm of the difference to norm. Float32 leaves 2e-7, another way to resize the image 1e-2.
NUMBERS_TOLERANCE = 1e-5
# ASSUME: two filters whose projections differ by less than this part of their range may stand
# in either order: rounding decides.
TIE = 1e-5
# A ReLU or a maximum that rounding switches moves a gradient in float32 by up to 1e-3 (measured on
# SqueezeNet against Caffe); another neuron's gradient is off by about 1.
GRADIENT_TOLERANCE = 1e-2


def bytes_check(found, expected, what):
    """Compare bytes one by one: identical, off by one, worse.

    Parameters
    ----------
    found, expected : ndarray of uint8
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
    >>> bytes_check(np.uint8([1, 2, 9]), np.uint8([1, 3, 3]), "voxels")[:2]
    ('differs', '1 of 3 voxels identical, 1 off by one, 1 worse (by up to 6).')
    """
    if found.shape != expected.shape:
        sides = (" x ".join(map(str, array.shape)) for array in (found, expected))
        raise UserError("{} {what}, the study's are {}".format(*sides, what=what))
    difference = np.abs(found.astype(int) - expected)
    largest, close = int(difference.max(initial=0)), int((difference == 1).sum())
    numbers = {
        "count": difference.size,
        "identical": int((difference == 0).sum()),
        "off_by_one": close,
        "worse": int((difference > 1).sum()),
        "largest": largest,
    }
    good = not numbers["worse"] and close <= OFF_BY_ONE * difference.size
    if not largest:
        return "agrees", f"All {difference.size:,} {what} are identical.", numbers
    worse = f", {numbers['worse']:,} worse (by up to {largest})" if numbers["worse"] else ""
    said = f"{numbers['identical']:,} of {difference.size:,} {what} identical"
    return "agrees" if good else "differs", f"{said}, {close:,} off by one{worse}.", numbers


def numbers_check(found, expected):
    """Compare arrays of numbers; see `bytes_check`."""
    difference = found - expected
    error = float(np.linalg.norm(difference) / (np.linalg.norm(expected) or 1))
    largest = float(np.abs(difference).max() / (np.abs(expected).max() or 1))
    said = f"Relative error {error:.1g} (norm), largest difference {largest:.1g} of the largest"
    numbers = {"relative_error": error, "largest": largest}
    good = error <= NUMBERS_TOLERANCE
    return "agrees" if good else "differs", f"{said} value.", numbers


def order_check(found, matrix):
    """Compare an order by PCA with that of published outputs, by the same method.

    Parameters
    ----------
    found : dict
        With ``permutation``.
    matrix : ndarray, (filters, pixels)
        The published outputs.
    """
    permutation, numbers = order(matrix, "pca")
    return compare_orders(found["permutation"], permutation, np.array(numbers["projections"]))


def published_order_check(found, volume, outputs):
    """Compare an order with that of a published volume whose slices are the filters' outputs.

    Parameters
    ----------
    found : dict
        With ``permutation``.
    volume : ndarray of uint8, (filters, height, width)
    outputs : ndarray, (filters, height, width)
        The published outputs in natural order, from 0 to 255.

    Raises
    ------
    UserError
        If a slice is no filter's output.
    """
    permutation = identify(volume, np.rint(outputs).astype(np.uint8))
    projections = order(outputs.reshape(len(outputs), -1), "pca")[1]["projections"]
    return compare_orders(found["permutation"], permutation, np.array(projections))


def identify(volume, natural):
    """Return which filter each slice of a volume is.

    Of filters with the same bytes the first in natural order comes first.

    Raises
    ------
    UserError
        If a slice is none of them.
    """
    places = {}
    for number, output in enumerate(natural):
        places.setdefault(output.tobytes(), []).append(number)
    permutation = []
    for depth, output in enumerate(volume):
        numbers = places.get(output.tobytes())
        if not numbers:
            raise UserError(f"slice {depth} of the published volume is no filter's output")
        permutation.append(numbers.pop(0))
    return np.array(permutation)


def compare_orders(found, expected, projections):
    """Compare two orders by a projection, up to its sign and to ties.

    Parameters
    ----------
    found, expected : sequence of int, (filters,)
    projections : ndarray, (filters,)
        What the filters are ordered by.

    Returns
    -------
    tuple
        Status, sentence, and numbers ``filters``, ``moved``, ``wrong`` and ``reversed``.

    Examples
    --------
    >>> compare_orders([2, 1, 0], [0, 1, 2], np.array([1.0, 2.0, 3.0]))[:2]
    ('agrees', 'All 3 filters stand in the same order, reversed: its sign is arbitrary.')
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if sorted(found) != list(range(len(expected))):
        raise UserError(f"an order of {len(found)} filters, the study has {len(expected)}")
    limit = TIE * np.ptp(projections)
    best = None
    for backwards in (False, True):
        other = found[::-1] if backwards else found
        moved = other != expected
        wrong = np.abs(projections[other] - projections[expected])[moved] > limit
        if best is None or wrong.sum() < best["wrong"]:
            best = {"moved": int(moved.sum()), "wrong": int(wrong.sum()), "reversed": backwards}
    return _order_said({"filters": len(expected), **best})


def _order_said(numbers):
    filters, moved, wrong = (numbers[key] for key in ("filters", "moved", "wrong"))
    if wrong:
        return "differs", f"{wrong} of {filters} filters stand elsewhere.", numbers
    said = f"All {filters} filters stand in the same order"
    said += f", but for {moved} that rounding swaps" if moved else ""
    said += ", reversed: its sign is arbitrary" if numbers["reversed"] else ""
    return "agrees", f"{said}.", numbers


def clusters_check(found, matrix):
    """Compare clusters with those of published outputs, by the same method.

    Parameters
    ----------
    found : dict
        With ``labels`` and ``parameters``.
    matrix : ndarray, (filters, pixels)
    """
    expected = np.array(order(matrix, "kmeans", **found["parameters"])[1]["labels"])
    labels = np.asarray(found["labels"])
    if labels.shape != expected.shape:
        raise UserError(f"clusters of {labels.size} filters, the study has {expected.size}")
    # Two filters are together in both or in neither, whatever the clusters are called.
    together = labels[:, np.newaxis] == labels
    wrong = int((together != (expected[:, np.newaxis] == expected)).any(axis=1).sum())
    clusters, numbers = len(np.unique(expected)), {"filters": labels.size, "wrong": wrong}
    if wrong:
        return "differs", f"{wrong} of {labels.size} filters are in other company.", numbers
    return "agrees", f"All {labels.size} filters are in the same {clusters} clusters.", numbers


def grid_check(picture, ordering, outputs, expected, title):
    """Compare a grid with that of published outputs, pixel by pixel.

    Parameters
    ----------
    picture, ordering : path
        The run's grid and its ordering.
    outputs, expected : ndarray, (filters, height, width)
        The run's and the published outputs; they may differ by a factor.
    title : str
        Of the run's grid.
    """
    from cnnvis.activations.grids import make_grid
    from cnnvis.core.arrays import write_arrays

    if outputs.shape != expected.shape:
        raise UserError(f"outputs of shape {outputs.shape}, the study's have {expected.shape}")
    low, high = float(outputs.min()), float(outputs.max())
    scaled = expected * ((high - low) / (np.ptp(expected) or 1)) + low
    with tempfile.TemporaryDirectory() as folder:
        blobs, drawn = Path(folder) / "blobs.npz", Path(folder) / "grid.png"
        write_arrays(blobs, {"conv1": scaled.astype(outputs.dtype)})
        make_grid(blobs, ordering, drawn, layer="conv1", blob="conv1", title=title)
        return bytes_check(_pixels(picture), _pixels(drawn), "colour values of its pixels")


def _pixels(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def numerical_check(numerical, gradient):
    """Compare a published numerical gradient with the published one by backpropagation.

    Where they disagree, the file is asked why. A derivative does not depend on the one computed
    before it; if neighbours in the file are nearly equal, weights were changed and not put back.
    And quotients of differences and a step such as 1e-9 are float64 numbers, of which hardly one
    is a float32 number, too; if all are, they are differences of scores that nothing divided.

    Parameters
    ----------
    numerical, gradient : ndarray
        Of one shape.
    """
    values = numerical.reshape(-1)
    numbers = {
        "correlation": correlation(numerical, gradient),
        "neighbours": correlation(values[1:], values[:-1]),
        "float32": bool(np.all(values == values.astype(np.float32))),
    }
    error = float(np.linalg.norm(numerical - gradient) / (np.linalg.norm(gradient) or 1))
    numbers["relative_error"] = error
    if error <= GRADIENT_TOLERANCE:
        return "agrees", f"Agrees with the backpropagated one to {error:.1g}.", numbers
    said = f"Correlation {numbers['correlation'] or 0:.2f} with the study's own backpropagated "
    said += "gradient, where a right one has 1."
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
    if not reasons:
        return "differs", f"{said} Nothing in the file says why.", numbers
    return "explained", f"{said} In the file {', and '.join(reasons)}.", numbers
