"""Activation maximisation: pictures that drive a filter or a neuron most, by gradient ascent.

A preset (`cnnvis.config.presets`) says how pictures are parametrised, how long a step is, and what
keeps pictures from being noise. The steps of those without another source are the Deep
Visualization Toolbox's (optimize/gradient_optimizer.py), in its order.

Nothing here runs a network: an *objective* is a function of pictures. It takes pictures, an array
(n, C, H, W), and their numbers among all, and returns scores (n,) and their gradients (n, C, H, W).
"""

import time
from dataclasses import dataclass

import numpy as np

from cnnvis.gradients.parametrisations import Fourier, Pixels

SAVE_EVERY = 30.0
"""Seconds between two checkpoints."""
TOOLBOX_VALUES = 3 * 227 * 227
"""Of the pictures that the toolbox's rates were chosen for."""
GROWTH, CUT = 2.0, 0.25
"""By what the trust rule multiplies the length of a step that it accepted, or rejected."""
SMALLEST = 1e-7
"""The trust rule ends where an accepted step gains no more than this share of the score, or where
steps that it rejects have become so short a share of the first."""


@dataclass(frozen=True)
class Maxima:
    """What a maximisation has found.

    Attributes
    ----------
    pictures : ndarray, (N, C, H, W)
        In grey levels from the mean: of all steps' pictures the one with the highest score, and
        the last one where pictures are moved before they are scored.
    scores, first : ndarray, (N,)
        Of these pictures, and of those that the search began with.
    steps : ndarray of int, (N,)
        How many were taken.
    """

    pictures: np.ndarray
    scores: np.ndarray
    first: np.ndarray
    steps: np.ndarray


def maximise(objective, preset, low, high, seeds, *, size=None, blue_first=True, run=None):
    """Search pictures that maximise an objective, several at once and each on its own.

    Parameters
    ----------
    objective : callable
        See the module.
    preset : Preset
    low, high : ndarray, (C, H, W)
        The range of a picture.
    seeds : sequence of N int
        Of the noise that each picture begins with.
    size : tuple of int, optional
        Height and width of the part of a picture that has an effect; by default all of it.
    blue_first : bool
        Whether three channels are BGR, not RGB.
    run : Run, optional
        What keeps intermediate states and is told about progress.

    Returns
    -------
    Maxima
    """
    values = len(low) * np.prod(size or low.shape[1:])
    if preset.parametrisation == "fourier":
        space = Fourier(low, high, blue_first)
    else:
        space = Pixels(low, high, preset.radius * np.sqrt(values) if preset.radius else None)
    ascent = Ascent(objective, preset, space, seeds, values)
    for number in range(run.read(ascent.state) if run else 0, preset.steps):
        ascent.step(number)
        if run:
            run.after(number + 1, ascent.state)
    return ascent.maxima()


class Ascent:
    """Pictures on their way up.

    Parameters
    ----------
    objective, preset, seeds
        As for `maximise`.
    space : Pixels or Fourier
        The parametrisation.
    values : int
        How many of a picture have an effect.

    Attributes
    ----------
    state : dict of ndarray
        All that changes, an entry for each picture: ``numbers`` of the parametrisation, the
        ``best`` picture and its ``score``, the ``first`` score, the ``steps`` taken, whether it has
        ``ended``, and what the rule needs: ``gradient`` and ``length`` of a step, or ``mean`` and
        ``square``.
    """

    def __init__(self, objective, preset, space, seeds, values):
        self.objective, self.preset, self.space = objective, preset, space
        self.share = np.sqrt(values / TOOLBOX_VALUES)
        self.seeds, count = list(seeds), len(seeds)
        starts = {seed: space.start(seed) for seed in set(self.seeds)}
        numbers = space.project(np.stack([starts[seed] for seed in self.seeds]))
        self.state = {
            "numbers": numbers,
            "best": np.zeros((count, *space.low.shape)),
            "score": np.full(count, -np.inf),
            "first": np.zeros(count),
            "steps": np.zeros(count, int),
            "ended": np.zeros(count, bool),
        }
        extra = {"trust": ("gradient",), "adam": ("mean", "square")}.get(preset.rule, ())
        self.state |= {name: np.zeros_like(numbers) for name in extra}
        if preset.rule == "trust":
            self.state["length"] = np.zeros((2, count))
        if "relative" in preset.own():
            self.state["unit"] = np.ones(count)

    def step(self, number):
        """Take a step with each picture that has not ended."""
        on = np.flatnonzero(~self.state["ended"])
        if on.size:
            rules = {"adam": self._adam, "trust": self._trust}
            rules.get(self.preset.rule, self._plain)(on, number)
            self.state["steps"][on] += 1

    def maxima(self):
        """Return the `Maxima`."""
        pictures = self.state["best"]
        if self.preset.jitter:
            pictures = self.space.pictures(self.state["numbers"])
        scores, _ = self.objective(pictures, np.arange(len(pictures)))
        return Maxima(pictures, scores, self.state["first"], self.state["steps"])

    def _evaluate(self, on, number, numbers):
        """Return the scores of pictures and the gradient with respect to their numbers."""
        pictures = self.space.pictures(numbers)
        moves = [self._move(self.seeds[index], number) for index in on]
        scores, gradient = self.objective(_rolled(pictures, moves), on)
        gradient = _rolled(gradient, [(-down, -across) for down, across in moves])
        if number == 0:
            self.state["first"][on] = scores
        self._keep_best(on, pictures, scores)
        return scores, self.space.pull(pictures, gradient)

    def _move(self, seed, number):
        if not self.preset.jitter:
            return 0, 0
        most = self.preset.jitter
        return np.random.RandomState([seed, number]).randint(-most, most + 1, 2)

    def _keep_best(self, on, pictures, scores):
        better = scores > self.state["score"][on]
        self.state["best"][on[better]] = pictures[better]
        self.state["score"][on[better]] = scores[better]

    def _plain(self, on, number):
        """Take a step of the toolbox."""
        pixels = self.space.project(self.state["numbers"][on])
        scores, gradient = self._evaluate(on, number, pixels)
        squares = np.square(gradient).sum(axis=tuple(range(1, gradient.ndim)), keepdims=True)
        # Where nothing changes the score, nothing is gained by regularising the picture.
        self.state["ended"][on] = squares.ravel() == 0
        if self.preset.relative and number == 0:
            self.state["unit"][on] = np.maximum(np.sqrt(squares.ravel()), 1e-300) / self.share
        rate = self.preset.rate / self.state["unit"][on].reshape(squares.shape)
        if self.preset.rule == "progress":
            rate = np.minimum(rate, self.preset.progress / np.maximum(squares, 1e-300))
        if self.preset.parametrisation == "pixels":
            pixels = regularise(pixels + rate * gradient, gradient, self.preset, number)
        else:
            pixels = pixels + rate * gradient
        self.state["numbers"][on] = pixels

    def _adam(self, on, number):
        """Take a step of Adam, upwards."""
        numbers = self.state["numbers"][on]
        _, gradient = self._evaluate(on, number, numbers)
        mean = 0.9 * self.state["mean"][on] + 0.1 * gradient
        square = 0.999 * self.state["square"][on] + 0.001 * np.square(gradient)
        self.state["mean"][on], self.state["square"][on] = mean, square
        rate = self.preset.rate * np.sqrt(1 - 0.999 ** (number + 1)) / (1 - 0.9 ** (number + 1))
        numbers = self.space.project(numbers + rate * mean / (np.sqrt(square) + 1e-8))
        self.state["numbers"][on] = numbers

    def _trust(self, on, number):
        """Try a step, and keep it where the score does not fall."""
        state, numbers = self.state, self.state["numbers"][on]
        lengths = state["length"][0, on].reshape(-1, *[1] * (numbers.ndim - 1))
        tried = self.space.project(numbers + lengths * state["gradient"][on])
        before = state["score"][on]
        scores, gradient = self._evaluate(on, number, tried)
        better = scores >= before
        taken = on[better]
        state["numbers"][taken], state["gradient"][taken] = tried[better], gradient[better]
        if number == 0:
            self._first_length(on)
            return
        state["length"][0, on] *= np.where(better, GROWTH, CUT)
        gained = np.where(better, scores - before, np.inf)
        short = state["length"][0, on] < SMALLEST * state["length"][1, on]
        state["ended"][on] = (gained <= SMALLEST * np.abs(before)) | short

    def _first_length(self, on):
        """Let the first step be as long as the numbers that it starts from."""
        gradient = self.state["gradient"][on].reshape(len(on), -1)
        norms = np.linalg.norm(gradient, axis=1)
        start = np.linalg.norm(self.state["numbers"][on].reshape(len(on), -1), axis=1)
        self.state["ended"][on] = norms == 0
        self.state["length"][:, on] = start / np.maximum(norms, 1e-300)


def regularise(pixels, gradient, preset, number):
    """Return pictures after the toolbox's regularisers, in its order.

    Parameters
    ----------
    pixels : ndarray, (N, C, H, W)
        After the step along `gradient`, which has the same shape.
    preset : Preset
    number : int
        Of the step, from 0.
    """
    pixels = pixels * (1 - preset.decay)
    if preset.blur_width and preset.blur_every and number % preset.blur_every == 0:
        from scipy.ndimage import gaussian_filter

        width = preset.blur_width
        pixels = gaussian_filter(pixels, (0, 0, width, width))
    if preset.small_norms:
        norms = np.sqrt(np.square(pixels).sum(axis=1, keepdims=True))
        pixels = np.where(_least(norms, preset.small_norms), 0, pixels)
    if preset.small_contributions:
        contributions = np.abs((gradient * pixels).sum(axis=1, keepdims=True))
        pixels = np.where(_least(contributions, preset.small_contributions), 0, pixels)
    return pixels


def _least(values, per_cent):
    """Return which values (N, 1, H, W) are below a percentile of their picture."""
    return values < np.percentile(values, per_cent, axis=(1, 2, 3), keepdims=True)


def _rolled(pictures, moves):
    """Return pictures moved by ``[(down, across)]``; what leaves comes in at the other side."""
    if not np.any(moves):
        return pictures
    pairs = zip(pictures, moves, strict=True)
    return np.stack([np.roll(picture, move, axis=(1, 2)) for picture, move in pairs])


class Run:
    """A maximisation that can be interrupted: its checkpoint and its progress.

    Parameters
    ----------
    checkpoint : cnnvis.inputs.streaming.Checkpoint
    progress : cnnvis.core.progress.Progress
    steps : int
        How many there are.
    """

    def __init__(self, checkpoint, progress, steps):
        self.checkpoint, self.progress, self.steps = checkpoint, progress, steps
        self._saved = time.monotonic()

    def read(self, state):
        """Fill `state` from the checkpoint; return how many steps it has."""
        done, _ = self.checkpoint.read(state, self.progress.name)
        self.progress.resume(done * len(state["steps"]))
        return done

    def after(self, done, state):
        """Count the step, of all pictures; write the checkpoint now and then."""
        self.progress.add(len(state["steps"]))
        if done == self.steps or time.monotonic() - self._saved >= SAVE_EVERY:
            self.checkpoint.write(state, done, [])
            self._saved = time.monotonic()
