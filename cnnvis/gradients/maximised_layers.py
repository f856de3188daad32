"""A job of activation maximisation: the filters of a layer, or a network's neurons.

The score of a picture is told by a forward pass of its own: of the whole network, on the picture as
it is stored, with 8 bits, preprocessed as any image file, read from the blob that everything else
here reads. So it can be compared with the values of real images.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import significant, write_arrays
from cnnvis.core.files import write_json
from cnnvis.core.progress import Progress
from cnnvis.gradients.maximisation import Run, maximise
from cnnvis.gradients.maximisation_figure import draw_maxima
from cnnvis.gradients.maximised_elements import centre, elements, target_of
from cnnvis.inputs.labels import read_labels
from cnnvis.inputs.streaming import Checkpoint, digest

TOGETHER = 16
"""Pictures of one batch, which has a checkpoint of its own."""
JITTER_SHARE = 16
"""Pictures are moved by no more than their height or width divided by this."""


@dataclass(frozen=True)
class Wanted:
    """What of a network is maximised, and how.

    Attributes
    ----------
    layer : str or None
        Whose filters; None for neurons.
    blob : str
        Where the whole network has their values.
    channels : list of int
        The filters or neurons.
    presets : dict of str to Preset
    seeds : int
        How many pictures of each by each preset: seeds 0, 1....
    """

    layer: str | None
    blob: str
    channels: list
    presets: dict
    seeds: int

    @property
    def pairs(self):
        """Every channel with every seed."""
        return [(channel, seed) for channel in self.channels for seed in range(self.seeds)]

    def seen_through(self, box):
        """Return the same with presets that move pictures little, as seen through a small box."""
        most = min(box[2:]) // JITTER_SHARE
        presets = {
            name: replace(preset, jitter=min(preset.jitter, most))
            for name, preset in self.presets.items()
        }
        return replace(self, presets=presets)

    @property
    def kind(self):
        """What a channel is called."""
        return "neuron" if self.layer is None else "filter"


def make_maxima(model, preprocessing, wanted, files, *, title, labels=None, code="", threads=None):
    """Maximise the filters of a layer, or neurons: pictures, their scores, and sheets of them.

    Parameters
    ----------
    model : Model
    preprocessing : Preprocessing
    wanted : Wanted
    files : Places
        With network and layer settled. What is written is "maximisation", a JSON (see `_numbers`);
        "maximisation pictures", an ``.npz`` with an array of each preset, uint8 (channels, seeds,
        height, width, 3), RGB; and a "maximisation sheet" of each preset.
    title : str
    labels : path, optional
        The file of the neurons' names.
    code : str
        Digest of the code, for checkpoints.
    threads : int, optional

    Raises
    ------
    UserError
        If the network cannot be run.
    """
    names = read_labels(labels, model.classes) if labels else None
    with target_of(model, wanted.layer) as target:
        wanted = wanted.seen_through(target.box)
        search = _Search(model, preprocessing, target, wanted, code)
        found = search.run(Path(files("maximisation")), title, threads)
    with model.open(threads=threads) as network:
        scores = {
            name: _scores(network, preprocessing, model, wanted, target.box, found[name][0])
            for name in wanted.presets
        }
    rows = list(_rows(wanted, found, scores))
    pictures = {
        name: arrays[0].reshape(len(wanted.channels), wanted.seeds, *arrays[0].shape[1:])
        for name, arrays in found.items()
    }
    mean = _shown(preprocessing.undo(np.zeros(preprocessing.shape)), target.box)
    for name, preset in wanted.presets.items():
        draw_maxima(
            files("maximisation sheet", preset=name),
            pictures[name],
            mean,
            [row for row in rows if row["preset"] == name],
            wanted,
            preset,
            title=f"{title}: {name}",
            names=names,
        )
    write_arrays(files("maximisation pictures"), pictures)
    write_json(files("maximisation"), _numbers(model, wanted, target.box, rows))
    search.forget()


class _Search:
    """The pictures of a job, batch after batch, each of which may have been begun before."""

    def __init__(self, model, preprocessing, target, wanted, code):
        self.preprocessing, self.target, self.wanted = preprocessing, target, wanted
        values = [model.score, wanted.layer, wanted.channels, wanted.seeds, code]
        self.key = digest(model, preprocessing, *values)
        self.checkpoints = []

    def run(self, output, title, threads):
        """Return ``{preset: (pictures, Maxima without them...)}``."""
        presets, pairs = self.wanted.presets, self.wanted.pairs
        total = sum(preset.steps for preset in presets.values()) * len(pairs)
        with (
            self.target.model.open(threads=threads) as network,
            Progress(title, total, "steps") as progress,
        ):
            return {
                name: self._preset(network, name, preset, output, progress)
                for name, preset in presets.items()
            }

    def _preset(self, network, name, preset, output, progress):
        parts, pairs = [], self.wanted.pairs
        for first in range(0, len(pairs), TOGETHER):
            path = output.with_name(f".{output.stem}.{name}.{first}.partial.npz")
            self.checkpoints.append(Checkpoint(path, f"{self.key} {preset}", "steps"))
            run = Run(self.checkpoints[-1], progress, preset.steps)
            parts.append(self._batch(network, preset, pairs[first : first + TOGETHER], run))
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _batch(self, network, preset, pairs, run):
        """Return pictures (uint8), scores, first scores and steps of some pairs."""
        low, high = self.range
        channels, seeds = zip(*pairs, strict=True)
        scale = self.preprocessing.input_scale
        maxima = maximise(
            objective(network, self.target, channels, scale),
            preset,
            low,
            high,
            seeds,
            size=self.target.box[2:],
            blue_first=self.preprocessing.channel_order == "BGR",
            run=run,
        )
        pictures = [self._stored(picture) for picture in maxima.pictures]
        return np.stack(pictures), maxima.scores, maxima.first, maxima.steps

    @cached_property
    def range(self):
        """The least and the largest picture, in grey levels from the mean."""
        channels, height, width = self.preprocessing.shape
        (top, left, *_), (down, across) = self.target.box, self.target.corner
        _, rows, columns = self.target.input_shape
        ends = []
        for share in (0, 1):
            image = np.full((height, width, channels), share, np.float32)
            values = self.preprocessing.apply(image).astype(np.float64)
            part = values[:, top - down :, left - across :][:, :rows, :columns]
            ends.append(part / self.preprocessing.input_scale)
        return ends

    def _stored(self, picture):
        """Return a picture as it is stored: uint8 (height, width, 3), or (height, width)."""
        values = np.zeros(self.preprocessing.shape)
        part = self.target.picture(picture) * self.preprocessing.input_scale
        _shown(values.transpose(1, 2, 0), self.target.box)[...] = part.transpose(1, 2, 0)
        return _shown(self.preprocessing.undo(values), self.target.box)

    def forget(self):
        """Remove the checkpoints, once everything is written."""
        for checkpoint in self.checkpoints:
            checkpoint.forget()


def objective(network, target, channels, scale):
    """Return the function of pictures that `maximise` takes, for one channel each.

    Parameters
    ----------
    network : Engine
        The open network of a `Target`.
    target : Target
    channels : sequence of int
    scale : float
        What the network's input is multiplied by after the mean is subtracted.
    """
    numbers = np.array(target.elements(channels))

    def score(pictures, which):
        values, gradient = network.value_and_gradient(pictures * scale, target.blob, numbers[which])
        return values.astype(np.float64), gradient.astype(np.float64) * scale

    return score


def _scores(network, preprocessing, model, wanted, box, pictures):
    """Return the scores of stored pictures, by a forward pass of the whole network."""
    shape = model.info.blobs[wanted.blob]
    numbers = elements(shape, centre(shape), [channel for channel, _ in wanted.pairs])
    scores = []
    for number, picture in zip(numbers, pictures, strict=True):
        image = whole_image(preprocessing, picture, box)
        values = network.forward(image[np.newaxis], [wanted.blob])[wanted.blob]
        scores.append(float(values.flat[number]))
    return scores


def _shown(image, box):
    """Return the part of an image (height, width, ...) in a box."""
    top, left, height, width = box
    return image[top : top + height, left : left + width]


def whole_image(preprocessing, picture, box):
    """Return the network's input for a stored picture, the mean around it.

    Parameters
    ----------
    preprocessing : Preprocessing
    picture : ndarray of uint8, (height, width, 3) or (height, width)
    box : tuple of int
        [top, left, height, width] in the input.

    Returns
    -------
    ndarray of float32, (C, H, W)
    """
    pixels = preprocessing.undo(np.zeros(preprocessing.shape))
    _shown(pixels, box)[...] = picture
    image = (pixels / 255).astype(np.float32)
    return preprocessing.apply(image.reshape(*image.shape[:2], -1))


def _rows(wanted, found, scores):
    for name in wanted.presets:
        _, *columns = found[name]
        for (channel, seed), score, *numbers in zip(
            wanted.pairs, scores[name], *columns, strict=True
        ):
            unrounded, first, steps = numbers
            yield {
                wanted.kind: channel,
                "preset": name,
                "seed": seed,
                "score": significant(score),
                "unrounded": significant(unrounded),
                "start": significant(first),
                "steps": int(steps),
            }


def _numbers(model, wanted, box, rows):
    """Return the summary of a job.

    Returns
    -------
    dict
        ``layer`` (None for neurons), ``blob``, ``element`` (row and column, of filters), ``box``
        ([top, left, height, width] of the pictures in the input), ``presets`` with their numbers,
        and ``maxima``, for each picture: ``filter`` or ``neuron``, ``preset``, ``seed``, ``score``
        (of the stored picture, by another forward pass, after what changes the blob in place),
        ``unrounded`` (of the picture before it was rounded to 8 bits, before that), ``start`` (of
        the noise that the search began with) and ``steps``.
    """
    shape = model.info.blobs[wanted.blob]
    return {
        "layer": wanted.layer,
        "blob": wanted.blob,
        "element": list(centre(shape)) if wanted.layer else None,
        "box": list(box),
        "presets": {name: preset.numbers() for name, preset in wanted.presets.items()},
        "maxima": rows,
    }
