"""The photographs that photonet was trained on, their split, and crops of them.

The left part of every photograph is for training, the rest is held out: no pixel of it is ever
seen in training. ``models/photonet/train.py`` draws its crops with these functions, too.
"""

import functools
import shutil
from pathlib import Path

import numpy as np

from cnnvis.core.checkout import ROOT
from cnnvis.core.files import atomic
from cnnvis.inputs.images import Preprocessing, crop_image, read_image, read_mean

SHAPE = (3, 227, 227)
PREPROCESSING = Preprocessing(SHAPE, [104.00698793, 116.66876762, 122.67891434])
MEAN = read_mean(PREPROCESSING.mean, SHAPE)
TRAINING_SHARE = 0.68
# The held-out strips are narrow. Crops of both parts are at least this share of a strip's side.
SMALLEST = 0.6
ASPECT = 1.6


@functools.cache
def photograph_labels():
    """Return the names of the photographs, in the order of photonet's classes."""
    return (ROOT / "models" / "photonet" / "labels.txt").read_text(encoding="utf-8").split()


def read_photographs():
    """Return ``{label: float32 (H, W, 3) in [0, 1]}`` in the order of the labels."""
    return {label: read_photograph(label) for label in photograph_labels()}


def read_photograph(label):
    """Return the photograph of a class, float32 (H, W, 3) in [0, 1]."""
    return read_image(f"{'sklearn' if label in ('flower', 'temple') else 'skimage'}:{label}")


def make_crops(label, count, folder):
    """Write held-out crops of photographs as PNG files that decode to the same numbers.

    Parameters
    ----------
    label : str
        Of one photograph; or ``*`` for all of them, with a list of the crops and their classes.
    count : int
        Of each photograph.
    folder : str or Path
        It will hold ``crop-0000.png`` and so on, and nothing else; of all photographs
        ``LABEL-0000.png`` and so on, and ``images.txt``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if label != "*":
        _write_crops(label, count, Path(folder), "crop")
        return
    lines = [
        f"{name} {cls}\n"
        for cls, each in enumerate(photograph_labels())
        for name in _write_crops(each, count, Path(folder), each)
    ]
    with atomic(Path(folder) / "images.txt") as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _write_crops(label, count, folder, prefix):
    from PIL import Image

    photograph, names = read_photograph(label), []
    pixels = np.rint(photograph.astype(np.float64) * 255).astype(np.uint8)
    for number, crop in enumerate(held_out_crops(label, photograph.shape, count)):
        names.append(f"{prefix}-{number:04d}.png")
        with atomic(folder / names[-1]) as temporary:
            Image.fromarray(crop_image(pixels, crop, label)).save(temporary)
    return names


def split_column(width):
    """Return the first column that is held out of a photograph of this width."""
    return int(TRAINING_SHARE * width)


def draw_crop(shape, held_out, rng):
    """Draw a crop that lies in one part of a photograph.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the whole photograph in pixels.
    held_out : bool
        Whether the crop comes from the held-out part (right) or the training part (left).
    rng : numpy.random.Generator

    Returns
    -------
    list of int
        ``[top, left, height, width]`` in pixels of the photograph. Its size is log-uniform
        between a share of the held-out strip's short side and the part's own short side, its
        aspect ratio log-uniform around a square; neither leaves the part.
    """
    rows, columns = shape[:2]
    split = split_column(columns)
    first, breadth = (split, columns - split) if held_out else (0, split)
    smallest = SMALLEST * min(rows, columns - split)
    side = np.exp(rng.uniform(np.log(smallest), np.log(min(rows, breadth))))
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(ASPECT))
    height, width = min(rows, round(side / stretch)), min(breadth, round(side * stretch))
    top = int(rng.integers(rows - height + 1))
    left = first + int(rng.integers(breadth - width + 1))
    return [top, left, height, width]


def held_out_crops(label, shape, count, seed=0):
    """Return `count` crops of the held-out part of a class's photograph, the same every time."""
    rng = np.random.default_rng([seed, photograph_labels().index(label)])
    return [draw_crop(shape, True, rng) for _ in range(count)]


def network_input(photograph, crop):
    """Return a crop as the network sees it, float32 (3, 227, 227): the project's own steps."""
    return PREPROCESSING.apply(crop_image(photograph, crop, "crop"))


def sampled(photograph, crop):
    """Return a crop at the network's size, float32 (227, 227, 3) RGB.

    The same as ``cnnvis.inputs.images.resize`` of the crop (its fading border too: the crop is
    surrounded by its darkest value) but for rounding, in a tenth of its time.
    """
    pixels = crop_image(photograph, crop, "crop")
    pixels = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), constant_values=pixels.min())
    first, share = _positions(crop[2])
    pixels = pixels[first] + (pixels[first + 1] - pixels[first]) * share[:, None, None]
    first, share = _positions(crop[3])
    left, right = pixels[:, first], pixels[:, first + 1]
    return left + (right - left) * share[:, None]


def _positions(length):
    # Pixel centres of the result in the padded crop: whole steps and the share of the next.
    positions = (np.arange(SHAPE[1]) + 0.5) * length / SHAPE[1] + 0.5
    first = positions.astype(int)
    return first, (positions - first).astype(np.float32)
