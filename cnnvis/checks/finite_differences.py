"""Numerical derivatives with respect to weights: central differences that detect kinks.

The derivative of a score along a weight is ``(f(w + h) - f(w - h)) / 2h``. The step h is limited
from both sides. From below by rounding: the scatter of the score's last digits is measured, and
`smallest_steps` says from which step on it can not exceed `TOLERANCE` of the derivative. From above
by kinks, where a ReLU or a maximum switches between w - h and w + h, and by the error of order
h^2. So h is a few times the smallest step, and never more than ``eps^(1/4) * max(|w|, rms of its
filter)``, 1.2e-4 of a usual weight, unless rounding requires it. Where there is a kink h is
divided, down to the smallest step; a kink that is still there is reported.

Everything here works on an object like `cnnvis.engines.numpy.perturbations.Perturbations`:
``weights``, an array whose first axis is the filters, and ``of_steps`` and ``of_weights``.
"""

import zlib

import numpy as np

STEP = float(np.finfo(np.float64).eps) ** 0.25
# By what the first step is larger than the smallest one, and by what it is divided, how often.
MARGIN, TRIES = 8, 6
# Up to how many times larger than usual a step is where rounding requires it.
GROW = 8
SIGMAS = 6
# What central differences agree to with a right gradient, relative (see `relative_errors`).
TOLERANCE = 1e-6
# Numbers below this part of the tensor's largest are compared relative to it: there is rounding
# of the score, which is the same for all weights, and nothing else.
FLOOR = 1e-3
STUDY_STEP = np.float32(1e-9)
# Relative changes of all weights that show how the score is rounded, and how many.
PROBE = 2 * float(np.finfo(np.float64).eps)
PROBES = 6
CHUNK = 64


def sample_weights(shape, count, seed, name=""):
    """Choose weights at random, equally many of every filter or, if few, at most one of each.

    Parameters
    ----------
    shape : tuple of int
        Of the weights; the first axis is the filters.
    count : int or None
        How many; None, or as many as there are, for all of them.
    seed : int
    name : str
        The layer's: every layer has a sample of its own, whichever others are checked.

    Returns
    -------
    ndarray of int
        Positions in C order, ascending, without repetition.

    Examples
    --------
    >>> sample_weights((2, 3), None, 0)
    array([0, 1, 2, 3, 4, 5])
    >>> sample_weights((3, 100), 3, 0) // 100
    array([0, 1, 2])
    """
    filters = shape[0] if shape else 1
    size = int(np.prod(shape)) // filters
    if count is None or count >= filters * size:
        return np.arange(filters * size)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    counts = np.full(filters, count // filters)
    if count % filters:
        counts[generator.choice(filters, count % filters, replace=False)] += 1
    chosen = [
        number * size + np.sort(generator.choice(size, counts[number], replace=False))
        for number in np.flatnonzero(counts)
    ]
    return np.concatenate([np.zeros(0, int), *chosen])


def usual_steps(weights, indices):
    """Return the step at each weight that rounding does not limit; see the module's formula.

    A filter of zeros takes the root mean square of the whole tensor, a tensor of zeros 1.
    """
    rows = np.asarray(weights, np.float64).reshape(len(weights) if weights.ndim else 1, -1)
    numbers, places = np.unique(indices // rows.shape[1], return_inverse=True)
    of_filters = np.sqrt(np.mean(rows[numbers] ** 2, axis=1))
    if not of_filters.all():
        of_filters[of_filters == 0] = root_mean_square(rows) or 1.0
    return STEP * np.maximum(np.abs(rows.reshape(-1)[indices]), of_filters[places])


def relative_errors(numeric, analytic, largest):
    """Return ``|numeric - analytic| / max(|numeric|, |analytic|, FLOOR * largest)``.

    Parameters
    ----------
    numeric, analytic : ndarray
    largest : float
        The largest magnitude in the whole tensor (for derivatives along directions: the usual
        one). Where all are 0, so is the error.

    Examples
    --------
    >>> relative_errors(np.array([1.0, 0.0, 0.0]), np.array([2.0, 0.0, 0.002]), 2.0)
    array([0.5, 0. , 1. ])
    """
    numeric, analytic = np.asarray(numeric, np.float64), np.asarray(analytic, np.float64)
    scale = np.maximum(np.maximum(np.abs(numeric), np.abs(analytic)), FLOOR * largest)
    return np.abs(numeric - analytic) / np.where(scale > 0, scale, 1)


def rounding_of(perturbations, direction, derivative):
    """Return the standard deviation that rounding alone gives the score.

    It is measured: all weights change in their last digits.

    Parameters
    ----------
    perturbations : Perturbations
    direction : ndarray
        Of the shape of the weights, its norm about theirs.
    derivative : float
        Along this direction; the true change is subtracted.
    """
    steps = PROBE * (np.arange(PROBES) - (PROBES - 1) / 2)
    scores, _ = perturbations.of_weights(_line(perturbations.weights, direction, steps))
    least = np.finfo(np.float64).eps * abs(float(scores.mean()))
    return max(float((scores - derivative * steps).std(ddof=1)), least)


def _line(weights, direction, steps):
    """Yield the weights after each step; each time in the same memory, for layers of 300 MB."""
    moved = np.empty_like(weights)
    for step in steps:
        np.multiply(direction, step, out=moved)
        moved += weights
        yield moved


def smallest_steps(rounding, sizes, largest):
    """Return the steps below which rounding may exceed `TOLERANCE`.

    Parameters
    ----------
    rounding : float
        Of the score; see `rounding_of`.
    sizes : ndarray
        What each derivative is about (its analytic value).
    largest : float
        See `relative_errors`.
    """
    compared = np.maximum(np.abs(sizes), FLOOR * largest)
    noise = SIGMAS * rounding / np.sqrt(2)
    return np.divide(noise, TOLERANCE * compared, out=np.zeros_like(compared), where=compared > 0)


def differentiate(function, usual, smallest, progress=None):
    """Differentiate by central differences at several places; divide the steps that have a kink.

    Parameters
    ----------
    function : callable
        ``function(places, steps)`` returns the scores after a step at each place, and a list of
        the activation patterns there.
    usual, smallest : ndarray, (count,)
        Steps; see the module.
    progress : Progress, optional

    Returns
    -------
    derivatives : ndarray, (count,)
    kinks : ndarray of bool, (count,)
        Where even the smallest step has a kink. The derivative there is that of this step.
    steps : ndarray, (count,)
    """
    steps = np.minimum(np.clip(usual, smallest, MARGIN * smallest), GROW * usual)
    steps = np.where(smallest > 0, steps, usual)
    left = np.arange(len(steps))
    derivatives, kinks = np.zeros(len(steps)), np.zeros(len(steps), bool)
    for _ in range(TRIES):
        for first in range(0, len(left), CHUNK):
            chosen = left[first : first + CHUNK]
            derivatives[chosen], kinks[chosen] = _both_sides(function, chosen, steps[chosen])
            if progress:
                again = kinks[chosen] & (steps[chosen] > smallest[chosen])
                progress.add(len(chosen), more=np.count_nonzero(again))
        left = left[kinks[left] & (steps[left] > smallest[left])]
        if not len(left):
            break
        steps[left] = np.maximum(steps[left] / MARGIN, smallest[left])
    return derivatives, kinks, steps


def _both_sides(function, places, steps):
    """Return central differences, and where the activation patterns of the two sides differ."""
    scores, patterns = function(np.repeat(places, 2), (steps[:, None] * [1, -1]).reshape(-1))
    derivatives = (scores[::2] - scores[1::2]) / (2 * steps)
    pairs = zip(patterns[::2], patterns[1::2], strict=True)
    return derivatives, np.array([above != below for above, below in pairs], bool)


def weight_differences(perturbations, indices, smallest, progress=None):
    """Differentiate by single weights; see `differentiate`.

    Parameters
    ----------
    perturbations : Perturbations
    indices : ndarray of int, (count,)
    smallest : ndarray, (count,)
    progress : Progress, optional

    Returns
    -------
    derivatives, kinks, steps : ndarray, (count,)
    """

    def function(places, steps):
        return perturbations.of_steps(indices[places], steps)

    return differentiate(function, usual_steps(perturbations.weights, indices), smallest, progress)


def direction_difference(perturbations, direction, smallest):
    """Differentiate along a direction in the space of all weights of the layer.

    Parameters
    ----------
    perturbations : Perturbations
    direction : ndarray
        Of the shape of the weights, its norm about theirs.
    smallest : float
        The smallest step, as a fraction of the direction.

    Returns
    -------
    derivative : float
    kink : bool
    """

    def function(_, steps):
        return perturbations.of_weights(_line(perturbations.weights, direction, steps))

    # All filters change at once, and each in all its weights: so many times smaller is each step.
    usual = STEP / np.sqrt(len(perturbations.weights) if perturbations.weights.ndim else 1)
    derivatives, kinks, _ = differentiate(function, np.array([usual]), np.array([smallest]))
    return derivatives[0], kinks[0]


def random_direction(weights, seed, name, number):
    """Return a direction of random signs, each times the root mean square of the weights.

    All weights take part alike. (Normal numbers take four times as long, a second for fc6 of
    CaffeNet, to no use.)
    """
    generator = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    signs = np.frombuffer(generator.bytes(-(-weights.size // 8)), np.uint8)
    direction = np.unpackbits(signs, count=weights.size).astype(np.float64).reshape(weights.shape)
    scale = root_mean_square(weights) or 1.0
    direction *= 2 * scale
    direction -= scale
    return direction


def root_mean_square(values):
    """Return the root of the mean of the squares of an array, in float64."""
    return float(np.linalg.norm(np.asarray(values, np.float64)) / np.sqrt(values.size))


def study_differences(perturbations, indices, progress=None):
    """Differentiate as the study did: float32, one side, a step of 1e-9.

    It added 1e-9 to a weight, ran the network, and divided the change of the score by 1e-9, all
    in float32, whose neighbours of 0.02 are 2e-9 apart.

    Parameters
    ----------
    perturbations : Perturbations
        In float32.
    indices : ndarray of int, (count,)
    progress : Progress, optional

    Returns
    -------
    derivatives : ndarray of float32, (count,)
    unchanged : int
        How many weights are still the same when 1e-9 has been added to them.
    """
    weights = perturbations.weights.copy()
    flat, before = weights.reshape(-1), np.float32(perturbations.score)
    unchanged = int(np.count_nonzero(flat[indices] + STUDY_STEP == flat[indices]))
    derivatives = np.empty(len(indices), np.float32)
    for number, index in enumerate(indices):
        flat[index] += STUDY_STEP
        scores, _ = perturbations.of_weights([weights])
        flat[index] = perturbations.weights.reshape(-1)[index]
        derivatives[number] = (np.float32(scores[0]) - before) / STUDY_STEP
        if progress:
            progress.add()
    return derivatives, unchanged
