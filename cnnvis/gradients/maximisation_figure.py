"""Sheets of the pictures that drive filters or neurons most."""

import numpy as np

from cnnvis.core.sheets import draw_sheet

PLAIN = ("constant", "progress")
"""Rules that take all their steps, as long as there is a gradient."""
GAP = 1
"""Pixels between the pictures of one filter."""
LARGEST = 99.5
"""The per cent of a picture's values that keep their order where its contrast is stretched."""
LONGEST = 20
"""Letters of a neuron's name above its pictures."""


def draw_maxima(path, pictures, mean, rows, wanted, preset, *, title, names=None):
    """Draw a preset's pictures, those of one filter or neuron side by side.

    Parameters
    ----------
    path : str or Path
        The PNG.
    pictures : ndarray of uint8, (channels, seeds, height, width, 3), or without the last axis
    mean : ndarray of uint8, (height, width, 3) or (height, width)
        What the network's input is 0 for.
    rows : list of dict
        Their numbers, see `cnnvis.gradients.maximised_layers`.
    wanted : cnnvis.gradients.maximised_layers.Wanted
    preset : Preset
    title : str
    names : list of str, optional
        Of all neurons.
    """
    best = {}
    for row in sorted(rows, key=lambda row: row["score"]):
        best[row[wanted.kind]] = row["score"]
    labels = [_label(channel, best[channel], names) for channel in wanted.channels]
    caption = _caption(rows, wanted, preset)
    draw_sheet(path, _tiles(stretched(pictures, mean)), labels, title=title, caption=caption)


def stretched(pictures, mean):
    """Return pictures as they are drawn: mid grey for the mean, little contrast stretched.

    Parameters
    ----------
    pictures : ndarray of uint8, (..., height, width, 3), or without the last axis
    mean : ndarray of uint8
        The shape of a picture.

    Returns
    -------
    ndarray of float32
        RGB from 0 to 1, always with a last axis of 3.
    """
    if mean.ndim == 2:
        mean = mean[..., np.newaxis].repeat(3, axis=-1)
        pictures = pictures[..., np.newaxis].repeat(3, axis=-1)
    values = pictures.astype(np.float32) - mean
    largest = np.percentile(np.abs(values), LARGEST, axis=(-3, -2, -1), keepdims=True)
    return np.clip(0.5 + values / np.clip(2 * largest, 1, 255), 0, 1)


def _tiles(pictures):
    """Return the seeds (channels, seeds, height, width, 3) of each channel side by side."""
    channels, seeds, height, width, _ = pictures.shape
    framed = np.ones((channels, height, seeds, width + GAP, 3), pictures.dtype)
    framed[:, :, :, :width] = pictures.transpose(0, 2, 1, 3, 4)
    return framed.reshape(channels, height, -1, 3)[:, :, :-GAP]


def _label(channel, score, names):
    """Return the line above a tile.

    >>> _label(281, 24.13, {281: "tabby, tabby cat"}), _label(37, 0.5, None)
    ('281 tabby: 24.1', '37: 0.5')
    """
    name = f" {names[channel].split(',')[0][:LONGEST]}" if names else ""
    return f"{channel}{name}: {score:.3g}"


def _caption(rows, wanted, preset):
    what = f"{wanted.kind} of layer {wanted.layer}" if wanted.layer else "neuron"
    side = f", from {wanted.seeds} different noises side by side" if wanted.seeds > 1 else ""
    numbers = [_text(*pair) for pair in preset.numbers().items() if pair[1]]
    scores = np.array([[row["score"], row["unrounded"], row["start"]] for row in rows])
    raised = np.count_nonzero(scores[:, 0] > scores[:, 2])
    change = np.abs(scores[:, 0] - scores[:, 1]) / np.maximum(np.abs(scores[:, 1]), 1e-12)
    early = preset.rule in PLAIN and sum(row["steps"] < preset.steps for row in rows)
    ended = f" For {early} the search ended early, where the gradient vanished." if early else ""
    return (
        f"What drives each {what} most{side}. Above: the number, and the "
        f"{'highest ' if side else ''}score of a picture as it is stored, by a forward pass of its "
        f"own; it is higher than that of the noise the search began with for {raised} of "
        f"{len(rows)} pictures.{ended} Rounding to 8 bits changed it by {np.median(change):.2%} "
        "(median). Mid grey is the mean image; little contrast is stretched. Preset: "
        f"{', '.join(numbers)}."
    )


def _text(name, value):
    """Return a number of a preset in words.

    >>> _text("blur_every", 4), _text("relative", True), _text("rate", 1e8)
    ('blur every 4', 'relative', 'rate 1e+08')
    """
    shown = value if isinstance(value, str) else f"{value:g}"
    return name.replace("_", " ") + ("" if value is True else f" {shown}")
