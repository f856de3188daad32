"""The photographs that photonet was trained on, their split, and crops of them.

A part of every photograph, on one of its sides, is held out: no pixel of it is ever seen in
training. ``models/photonet/train.py`` draws its crops with these functions, too.
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
# Of each photograph the side that is held out and its share of the height or width, chosen so that
# both parts show what the photograph is of.
HELD_OUT = {
    "astronaut": ("left", 0.36),  # the flag and an arm of the suit; the rest has the other arm
    "brick": ("right", 0.32),  # a texture: every side shows it
    "cat": ("left", 0.45),  # an ear, an eye and the striped cheek; the rest has the other eye
    "coffee": ("left", 0.48),  # half of the cup and of its saucer
    "coins": ("right", 0.34),  # two of six columns
    "flower": ("right", 0.5),  # half of the flower; left and right half are alike
    "grass": ("right", 0.32),  # a texture
    "gravel": ("right", 0.32),  # a texture
    "hubble_deep_field": ("right", 0.32),  # galaxies are everywhere
    "immunohistochemistry": ("bottom", 0.36),  # brown glands in blue tissue, as in the rest
    "moon": ("top", 0.4),  # the large craters; the right side has hardly any
    "motorcycle": ("right", 0.45),  # front wheel and handlebars; the rest has the other wheel
    "page": ("right", 0.34),  # printed lines run through
    "retina": ("right", 0.32),  # vessels, and the round edge as on the left
    "rocket": ("bottom", 0.5),  # the rocket's lower half, towers and lamps; columns would miss it
    "temple": ("left", 0.33),  # half of the pagoda; the right side has none of it
    "text": ("left", 0.4),  # strokes of a pen
}
# Held-out crops are at least this share of the short side of their part; those for training are
# smaller, too: the network then knows a thing by pieces of it.
SMALLEST = 0.6
SMALLEST_IN_TRAINING = 0.4
# A texture looks different at another scale: of these, a share of the crops for training is nearly
# as large as the whole photograph.
TEXTURES = ("brick", "grass", "gravel")
WHOLE = 0.15
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


def split(label, shape):
    """Return the training part and the held-out part of a photograph.

    Parameters
    ----------
    label : str
    shape : tuple of int
        Height and width of the photograph in pixels.

    Returns
    -------
    training, held_out : list of int
        Both as ``[top, left, height, width]`` in pixels.
    """
    side, share = HELD_OUT[label]
    upright = side in ("left", "right")
    rows, columns = shape[:2] if upright else shape[1::-1]
    breadth = round(share * columns)
    first = columns - breadth if side in ("right", "bottom") else 0
    training = [0, 0 if first else breadth, rows, columns - breadth]
    held_out = [0, first, rows, breadth]
    if upright:
        return training, held_out
    return [[left, top, width, height] for top, left, height, width in (training, held_out)]


def draw_crop(part, smallest, largest, rng):
    """Draw a crop that lies in a part of a photograph.

    Parameters
    ----------
    part : list of int
        ``[top, left, height, width]`` in pixels of the photograph.
    smallest, largest : float
        Its size in pixels, drawn log-uniformly; the aspect ratio is log-uniform around a square.
        A side that is longer than the part's is cut to it.
    rng : numpy.random.Generator

    Returns
    -------
    list of int
        ``[top, left, height, width]`` in pixels of the photograph.
    """
    top, left, rows, columns = part
    side = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(ASPECT))
    height, width = min(rows, round(side / stretch)), min(columns, round(side * stretch))
    top += int(rng.integers(rows - height + 1))
    left += int(rng.integers(columns - width + 1))
    return [top, left, height, width]


def training_crop(label, shape, rng):
    """Draw a crop for training, of a photograph that is `without_held_out`.

    They are of the training part, from smaller than a held-out one to all of it; some of textures
    are of the whole, from most of it to all of it.
    """
    if label in TEXTURES and rng.random() < WHOLE:
        part, smallest = [0, 0, *shape[:2]], SMALLEST * min(shape[:2])
    else:
        part, held_out = split(label, shape)
        smallest = SMALLEST_IN_TRAINING * min(held_out[2:])
    return draw_crop(part, smallest, max(part[2:]) * ASPECT**0.5, rng)


def without_held_out(label, photograph):
    """Return a photograph whose held-out part is replaced by the mirror image of the other.

    It has the scale of the whole photograph, and no pixel that may not be trained on.
    """
    top, left, height, width = split(label, photograph.shape)[0]
    rows, columns = photograph.shape[:2]
    margins = (top, rows - top - height), (left, columns - left - width), (0, 0)
    part = photograph[top : top + height, left : left + width]
    return np.pad(part, margins, mode="symmetric")


def held_out_crops(label, shape, count, seed=0):
    """Return `count` crops of the held-out part of a class's photograph, the same every time.

    Their sizes are from a share of the part's short side to all of it.
    """
    rng = np.random.default_rng([seed, photograph_labels().index(label)])
    part = split(label, shape)[1]
    short = min(part[2:])
    return [draw_crop(part, SMALLEST * short, short, rng) for _ in range(count)]


def network_input(photograph, crop):
    """Return a crop as the network sees it, float32 (3, 227, 227): the project's own steps."""
    return PREPROCESSING.apply(crop_image(photograph, crop, "crop"))
