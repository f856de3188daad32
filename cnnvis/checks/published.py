"""What the CNN-VIS study published, by the names of its files, and how they are read.

A folder with these files may hold them side by side, as ``study/source.yaml`` fetches them, or in
subfolders `FOLDERS`.
"""

from pathlib import Path

import numpy as np

from cnnvis.core.arrays import check_finite
from cnnvis.core.errors import UserError

IMAGE = "cat"
"""The image whose outputs were published."""
IMAGES = ("pembroke", "pembroke_miss", "chihuahua", "chihuahua_miss", "Persian_1", "Persian_miss")
"""The images whose gradients were published: three classes, each once recognised, once not."""
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
GRADIENT_LAYERS = ("conv1", "conv2")
CONV1 = "conv1_cat_scaled255.npy"
ORDERED = "vis_pca.vox"
FOLDERS = ("", "activations", "gradients", "images")


def volume_name(layer):
    """Return the name of a layer's volume.

    >>> volume_name("conv2")
    'L2_conv2.vox'
    """
    return f"L{layer.removeprefix('conv')}_{layer}.vox"


def header_name(layer):
    """Return the name of the header of a layer's volume."""
    return volume_name(layer).replace(".vox", ".hd")


def gradient_name(image, layer):
    """Return the name of an image's gradient with respect to a layer's weights.

    >>> gradient_name("pembroke", "conv1"), gradient_name("pembroke", "conv2")
    ('pembroke.npy', 'pembroke_conv2.npy')
    """
    return f"{image}.npy" if layer == "conv1" else f"{image}_{layer}.npy"


def numerical_name(image):
    """Return the name of an image's numerical gradient with respect to conv1's weights."""
    return f"{image}_numerical.npy"


def names(layers=LAYERS, images=IMAGES):
    """Return the names of the files that a verification reads.

    Parameters
    ----------
    layers : sequence of str
        Those of `LAYERS` whose outputs are compared.
    images : sequence of str
        Those of `IMAGES` whose gradients are compared. The numerical ones are compared with
        conv1's of the study itself, whatever the run has.
    """
    found = [name(layer) for layer in layers for name in (volume_name, header_name)]
    found += [CONV1, ORDERED] if "conv1" in layers else []
    found += [gradient_name(image, layer) for image in images for layer in GRADIENT_LAYERS]
    found += [gradient_name(image, "conv1") for image in IMAGES if image not in images]
    return [*found, *map(numerical_name, IMAGES)]


def find(folder, name):
    """Return the path of a published file.

    Parameters
    ----------
    folder : str or Path
    name : str

    Returns
    -------
    Path
        Directly in `folder` where it is in none of its subfolders either.
    """
    places = [Path(folder) / inner / name for inner in FOLDERS]
    return next((place for place in places if place.is_file()), places[0])


def read_bytes(path, shape=None):
    """Read a volume of bytes.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int, optional
        (depth, height, width); by default what the header beside it says.

    Returns
    -------
    ndarray of uint8, (depth, height, width)

    Raises
    ------
    UserError
        If it has another size.
    """
    if shape is None:
        from cnnvis.checks.filter_recovery import read_volume

        return read_volume(path)[0].astype(np.uint8)
    content = np.fromfile(path, np.uint8)
    if content.size != np.prod(shape):
        raise UserError(f"{path}: has {content.size} bytes, expected {np.prod(shape)}")
    return content.reshape(shape)


def read_numbers(path, shape=None):
    """Read a ``.npy`` of finite numbers as float64.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int, optional
        What it must have.

    Raises
    ------
    UserError
        If it cannot be read, or has another shape.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as .npy ({error})") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise UserError(f"{path}: expected an array of numbers")
    if shape is not None and values.shape != tuple(shape):
        raise UserError(f"{path}: has shape {values.shape}, expected {tuple(shape)}")
    check_finite(values, str(path))
    return values.astype(np.float64)
