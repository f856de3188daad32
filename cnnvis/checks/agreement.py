"""Comparisons of a run's arrays with published ones: each returns (status, sentence, numbers)."""

import numpy as np

from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import to_bytes

# ASSUME: a byte is rounded to its neighbour where a value lies within its error of a half, so
# float32 sums in another order (1e-6 of the layer) change about 0.05 % of the bytes by one. Ten
# times that is no longer rounding.
OFF_BY_ONE = 0.005
# Norm of the difference to norm. Float32 leaves 2e-7, another way to resize the image 1e-2.
NUMBERS_TOLERANCE = 1e-5
# ASSUME: filters recovered from one image say nothing of the few that it hardly excites, and of two
# feature maps with nearly equal projections rounding decides which comes first.
PREDICTED = 92 / 96
IDENTICAL = 0.999
# Of 255: a screenshot's colours went through a screen, and matplotlib rounds to 256 of them.
GREY_LEVELS = 2
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
        ``reproduced`` if none is worse and at most `OFF_BY_ONE` of them are off by one.
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
    check_shapes(values, expected, what)
    counts = np.bincount(np.abs(values.astype(int) - expected).ravel(), minlength=2)
    identical, off_by_one, count = map(int, (*counts[:2], values.size))
    worse, largest = count - identical - off_by_one, int(np.flatnonzero(counts)[-1])
    numbers = {"count": count, "identical": identical, "off_by_one": off_by_one}
    numbers |= {"worse": worse, "largest": largest}
    if identical == count:
        return "reproduced", f"All {count:,} {what} are identical.", numbers
    sentence = f"{identical:,} of {count:,} {what} identical, {off_by_one:,} off by one"
    sentence += f", {worse:,} worse (by up to {largest})." if worse else "."
    rounding = not worse and off_by_one <= OFF_BY_ONE * count
    return "reproduced" if rounding else "differs", sentence, numbers


def check_shapes(values, expected, what):
    """Raise a `UserError` unless two arrays of `what` have one shape."""
    if values.shape != expected.shape:
        sides = (" x ".join(map(str, array.shape)) for array in (values, expected))
        raise UserError("{} {what}, the study's are {}".format(*sides, what=what))


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
        "reproduced" if error <= NUMBERS_TOLERANCE else "differs",
        f"Relative error {error:.1g} (norm), largest difference {largest:.1g} of the largest "
        "value.",
        {"relative_error": error, "largest": largest},
    )


def compare_ordered(volume, expected):
    """Compare a volume of feature maps in an order with a published one, whose sign is arbitrary.

    A published feature map is predicted if it is in the volume, no byte of it off by more than one.

    Parameters
    ----------
    volume, expected : ndarray of uint8, (filters, height, width)

    Returns
    -------
    status : str
        ``reproduced`` if at least `PREDICTED` of the feature maps are predicted, `IDENTICAL` of
        their bytes are identical, and none stands more than one place from where it should.
    sentence : str
    numbers : dict
        ``filters``; ``predicted``; ``identical``, the share of their bytes; ``in_place``;
        ``farthest``, by how many places a predicted one is off; ``reversed``.

    Raises
    ------
    UserError
        If the shapes differ.
    """
    check_shapes(volume, expected, "voxels")
    pairs = np.array(list(_pairs(volume.astype(np.int16), expected.astype(np.int16))))
    count, predicted = len(expected), len(pairs)
    if not predicted:
        return "differs", f"None of the {count} feature maps is predicted.", {"predicted": 0}
    identical = np.mean([(volume[ours] == expected[theirs]).mean() for theirs, ours in pairs])
    moves = [np.abs(pairs[:, 1] - pairs[:, 0]), np.abs(count - 1 - pairs[:, 1] - pairs[:, 0])]
    backwards = bool(moves[1].sum() < moves[0].sum())
    move = moves[backwards]
    numbers = {
        "filters": count,
        "predicted": predicted,
        "identical": float(identical),
        "in_place": int((move == 0).sum()),
        "farthest": int(move.max()),
        "reversed": backwards,
    }
    right = predicted >= PREDICTED * count and identical >= IDENTICAL and move.max() <= 1
    sentence = (
        f"{predicted} of {count} feature maps have no byte off by more than one, "
        f"{100 * identical:.6g} % of their bytes are identical, and {numbers['in_place']} stand in "
        f"the same place{', counted from the other end' if backwards else ''}"
    )
    others = f"; the others are off by {move.max()}" if move.max() else ""
    return "reproduced" if right else "differs", f"{sentence}{others}.", numbers


def _pairs(volume, expected):
    """Yield the places of a published feature map and of ours that is the same within one."""
    free = list(range(len(volume)))
    for theirs, feature_map in enumerate(expected):
        distances = [np.abs(volume[ours] - feature_map).sum() for ours in free]
        nearest = int(np.argmin(distances))
        if np.abs(volume[free[nearest]] - feature_map).max() <= 1:
            yield theirs, free.pop(nearest)
            if not free:
                return


def compare_cells(values, cells, what, least):
    """Compare values with a picture of them, row by row.

    Parameters
    ----------
    values : ndarray, (rows, columns)
        Drawn in grey from the least to the largest, as matplotlib does.
    cells : ndarray of int, (rows, columns)
        Grey values of the picture, 0 to 255.
    what : str
        What the rows are, in the plural.
    least : int
        How many rows have to be the same.

    Returns
    -------
    tuple
        Status, sentence, and numbers ``rows`` and ``same``.
    """
    check_shapes(values, cells, "cells")
    drawn = to_bytes(values).astype(int)
    same = (np.abs(drawn - cells) <= GREY_LEVELS).all(axis=1)
    numbers = {"rows": len(cells), "same": int(same.sum())}
    sentence = (
        f"{numbers['same']} of {len(cells)} {what} agree: every cell is within {GREY_LEVELS} "
    )
    sentence += "of 255 grey levels."
    return "reproduced" if numbers["same"] >= least else "differs", sentence, numbers


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
        return "reproduced", f"Agrees with the backpropagated gradient to {error:.1g}.", numbers
    reasons = []
    if (numbers["neighbours"] or 0) > 0.9:
        related = numbers["neighbours"]
        reasons.append(f"each number is nearly the one before it (correlation {related:.4f})")
    if numbers["float32"]:
        reasons.append("all are float32 numbers")
    sentence = (
        f"Correlation {numbers['correlation'] or 0:.2f} with the study's own backpropagated "
        "gradient. "
    )
    if not reasons:
        return "differs", f"{sentence}Nothing in the file explains it.", numbers
    return "explained", f"{sentence}In the file {' and '.join(reasons)}.", numbers
