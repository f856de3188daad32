"""Numerical derivatives with respect to weights: central differences that know about kinks.

The step at a weight w is ``h = eps^(1/4) * max(|w|, rms of its filter)``, 1.2e-4 of what weights
are like there. For a smooth function the textbook has eps^(1/3); but networks are nearly linear
between their kinks, so that the error of order h^2 is small and the larger step, with a smaller
error by rounding (eps |f| / h), is the better one. Rounding of the score is measured; where it
alone would exceed `TOLERANCE`, the step is up to eight times larger.

Where a ReLU or a maximum switches between w - h and w + h there is a kink, and the step is
quartered until there is none, but only as long as rounding stays below `TOLERANCE` of what is
compared. What still has a kink then is reported as such.

Everything here works on an object like `cnnvis.engines.numpy.perturbations.Perturbations`:
``weights``, an array whose first axis is the filters, and ``of_steps`` and ``of_weights``.
"""

import logging
import time
import zlib
from functools import partial

import numpy as np

STEP = float(np.finfo(np.float64).eps) ** 0.25
GROW, SHRINK = 8, 4
TRIES = 6
SIGMAS = 6
# What central differences agree to with a right gradient, relative (see `relative_errors`).
TOLERANCE = 1e-6
# Numbers below this part of the tensor's largest are compared relative to it: there is rounding
# of the score, which is the same for all weights, and nothing else.
FLOOR = 1e-3
STUDY_STEP = np.float32(1e-9)
# Changes of a weight that show how the score is rounded: enough to change last digits of outputs.
PROBE = 64 * float(np.finfo(np.float64).eps)
PROBES = 24
CHUNK = 256
PROGRESS_SECONDS = 10


def sample_weights(shape, per_filter, seed, name=""):
    """Choose some weights of every filter.

    Parameters
    ----------
    shape : tuple of int
        Of the weights; the first axis is the filters.
    per_filter : int or None
        How many of each; None, or as many as there are, for all of them.
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
    >>> sample_weights((3, 100), 1, 0) // 100
    array([0, 1, 2])
    """
    filters = shape[0] if shape else 1
    size = int(np.prod(shape)) // filters
    if per_filter is None or per_filter >= size:
        return np.arange(filters * size)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    chosen = [
        number * size + np.sort(generator.choice(size, per_filter, replace=False))
        for number in range(filters)
    ]
    return np.concatenate(chosen)


def step_sizes(weights, indices):
    """Return the step at each weight; see the module's formula.

    A filter of zeros takes the root mean square of the whole tensor, a tensor of zeros 1.
    """
    rows = np.asarray(weights, np.float64).reshape(len(weights) if weights.ndim else 1, -1)
    whole = root_mean_square(rows) or 1.0
    of_filters = np.sqrt(np.mean(rows**2, axis=1))
    of_filters[of_filters == 0] = whole
    return STEP * np.maximum(np.abs(rows.reshape(-1)[indices]), of_filters[indices // len(rows[0])])


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


def rounding_of(variants, seed=0):
    """Return the standard deviation that rounding alone gives the score.

    It is measured: weights change in their last digits, too little for any true change.
    """
    size = variants.weights.size
    indices = np.random.default_rng(seed).integers(0, size, min(PROBES, 4 * size))
    steps = PROBE / STEP * step_sizes(variants.weights, indices)
    scores, _ = variants.of_steps(indices, steps)
    least = np.finfo(np.float64).eps * abs(float(scores.mean()))
    return max(float(scores.std()), least)


def central_differences(variants, indices, sizes, largest, progress=None):
    """Differentiate the score by single weights.

    Parameters
    ----------
    variants : Variants
        In float64.
    indices : ndarray of int, (count,)
    sizes : ndarray, (count,)
        What each derivative is about (its analytic value): where the step may still be quartered.
    largest : float
        The tensor's largest derivative.
    progress : Progress, optional

    Returns
    -------
    derivatives : ndarray, (count,)
    kinks : ndarray of bool, (count,)
        Where even the smallest step that makes sense has a kink. The derivative there is that of
        the smallest step.
    steps : ndarray, (count,)
    """

    def difference(chosen, steps):
        return _both_sides(variants.of_steps, indices[chosen], steps)

    smallest = _smallest_steps(rounding_of(variants), sizes, largest)
    steps = step_sizes(variants.weights, indices)
    return _without_kinks(difference, steps, smallest, progress)


def directional_differences(variants, directions, typical, progress=None):
    """Differentiate the score along directions in the space of all weights of the layer.

    Parameters
    ----------
    variants : Variants
    directions : list of callable
        Each returns an array of the shape of the weights, its norm about theirs. (They are made
        when they are needed: one of a layer like fc6 of CaffeNet has 300 MB.)
    typical : float
        The usual size of such a derivative.
    progress : Progress, optional

    Returns
    -------
    As `central_differences`; steps are fractions of the directions.
    """

    def difference(chosen, steps):
        return _both_sides(
            lambda places, signed: variants.of_weights(
                variants.weights + step * directions[place]()
                for place, step in zip(places, signed, strict=True)
            ),
            chosen,
            steps,
        )

    # All filters change at once, and each in all its weights: so many times smaller is each step.
    start = STEP / np.sqrt(len(variants.weights) if variants.weights.ndim else 1)
    steps = np.full(len(directions), start)
    smallest = _smallest_steps(rounding_of(variants), np.zeros(len(steps)), typical / FLOOR)
    return _without_kinks(difference, steps, smallest, progress)


def _smallest_steps(rounding, sizes, largest):
    """Return the step below which rounding may exceed `TOLERANCE`."""
    compared = np.maximum(np.abs(sizes), FLOOR * largest)
    noise = SIGMAS * rounding / np.sqrt(2)
    return np.divide(noise, TOLERANCE * compared, out=np.zeros_like(compared), where=compared > 0)


def _both_sides(function, places, steps):
    """Return central differences, and where switches stand differently on the two sides."""
    scores, switches = function(np.repeat(places, 2), (steps[:, None] * [1, -1]).reshape(-1))
    derivatives = (scores[::2] - scores[1::2]) / (2 * steps)
    pairs = zip(switches[::2], switches[1::2], strict=True)
    return derivatives, np.array([above != below for above, below in pairs], bool)


def _without_kinks(difference, steps, smallest, progress):
    """Differentiate; shrink the steps with kinks while that makes sense."""
    steps, left = np.clip(smallest, steps, GROW * steps), np.arange(len(steps))
    derivatives, kinks = np.zeros(len(steps)), np.zeros(len(steps), bool)
    for _ in range(TRIES):
        for first in range(0, len(left), CHUNK):
            chosen = left[first : first + CHUNK]
            derivatives[chosen], kinks[chosen] = difference(chosen, steps[chosen])
            if progress:
                progress.add(len(chosen), np.count_nonzero(kinks[chosen]))
        left = left[kinks[left] & (steps[left] / SHRINK >= smallest[left])]
        steps[left] /= SHRINK
        if not len(left):
            break
    return derivatives, kinks, steps


def random_directions(weights, count, seed, name=""):
    """Return `count` functions that each make a direction.

    Its numbers are normal and independent, with the root mean square of the weights.
    """
    scale = root_mean_square(weights) or 1.0

    def make(number):
        generator = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        return generator.standard_normal(weights.shape) * scale

    return [partial(make, number) for number in range(count)]


def root_mean_square(values):
    """Return the root of the mean of the squares of an array, in float64."""
    return float(np.linalg.norm(np.asarray(values, np.float64)) / np.sqrt(values.size))


def study_differences(variants, indices, progress=None):
    """Differentiate as the study did: float32, one side, a step of 1e-9.

    It added 1e-9 to a weight, ran the network, and divided the change of the score by 1e-9, all
    in float32, whose neighbours of 0.02 are 2e-9 apart.

    Parameters
    ----------
    variants : Variants
        In float32.
    indices : ndarray of int, (count,)

    Returns
    -------
    derivatives : ndarray of float32, (count,)
    unchanged : int
        How many weights are still the same when 1e-9 has been added to them.
    """
    weights = variants.weights.copy()
    flat, before = weights.reshape(-1), np.float32(variants.score)
    unchanged = int(np.count_nonzero(flat[indices] + STUDY_STEP == flat[indices]))
    derivatives = np.empty(len(indices), np.float32)
    for number, index in enumerate(indices):
        flat[index] += STUDY_STEP
        scores, _ = variants.of_weights([weights])
        flat[index] = variants.weights.reshape(-1)[index]
        derivatives[number] = (np.float32(scores[0]) - before) / STUDY_STEP
        if progress:
            progress.add(1)
    return derivatives, unchanged


class Progress:
    """Logs, now and then, how many of `total` are done, the rate, and the time left."""

    def __init__(self, what, total):
        self.what, self.total, self.done = what, total, 0
        self._start = self._said = time.monotonic()

    def add(self, count, again=0):
        """Count `count` more as done, `again` of them to be done once more."""
        self.done += count
        self.total += again
        now = time.monotonic()
        if now - self._said >= PROGRESS_SECONDS:
            self._said = now
            rate = self.done / (now - self._start)
            left = (self.total - self.done) / rate
            logging.info(
                "%s: %d of %d, %.0f per second, %.0f s left",
                *(self.what, self.done, self.total, rate, left),
            )
