"""The files that the CNN-VIS study published, and what of a run each of them is compared with.

A folder may hold the files side by side, as ``study/source.yaml`` fetches them, or in the
subfolders `FOLDERS`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import check_finite, read_npy

IMAGE = "cat"
"""The image whose feature maps were published."""
IMAGES = ("pembroke", "pembroke_miss", "chihuahua", "chihuahua_miss", "Persian_1", "Persian_miss")
"""The images whose gradients were published: three classes, each once recognised, once not."""
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
GRADIENT_LAYERS = ("conv1", "conv2")
CONV1 = "conv1_cat_scaled255.npy"
"""Feature maps of conv1 as float32, scaled to 0 to 255."""
ORDERED = "vis_pca.vox"
"""The same maps as bytes, in the study's order by PCA, without a header."""
FOLDERS = ("", "activations", "gradients", "images")


@dataclass(frozen=True)
class Published:
    """One published result, and how a run is compared with it.

    Attributes
    ----------
    group : str
        The kind of result; see the sections of `cnnvis.pages.verification`.
    name : str
        A file's name, or what follows from a file.
    method : str
        The comparison: a key of `cnnvis.checks.reproduction.METHODS`.
    files : tuple of str
        The published files that it reads.
    results : tuple of str
        The files of a run that it reads, by their keys in `cnnvis.checks.reproduction.Run.files`.
    """

    group: str
    name: str
    method: str
    files: tuple = ()
    results: tuple = ()


def entries(rows=(), checked=None):
    """Return everything that was published, in the order of the report.

    Parameters
    ----------
    rows : iterable of int
        The rows of conv1 that the run has slices of.
    checked : str, optional
        One of `IMAGES`, on which the run repeats the study's numerical gradient.

    Returns
    -------
    list of Published
    """
    return [
        *map(_volume, LAYERS),
        Published("Outputs of conv1", CONV1, "feature maps", (CONV1,), ("blobs",)),
        *_orders(rows),
        _conv1("Pictures", "grid", "grid", "grid", "blobs"),
        *(_gradient(image, layer) for layer in GRADIENT_LAYERS for image in IMAGES),
        *map(_numerical, IMAGES),
        Published(
            "Numerical gradients",
            f"the study's scheme, on {checked}" if checked else "the study's scheme",
            "scheme",
            results=("scheme",),
        ),
    ]


def _volume(layer):
    name = volume_name(layer)
    files = (name, name.replace(".vox", ".hd"))
    return Published("Volumes", name, "volume", files, (f"volume {layer}",))


def _conv1(group, what, method, *results):
    return Published(group, f"{what}, from {CONV1}", method, (CONV1,), results)


def _orders(rows):
    group = "Orders of conv1's filters"
    yield _conv1(group, "pca", "pca", "pca")
    yield _conv1(group, "kmeans", "kmeans", "kmeans")
    yield Published(group, f"pca, as in {ORDERED}", "published order", (CONV1, ORDERED), ("pca",))
    for row in rows:
        yield _conv1(group, f"row {row}", "slice", f"row {row}")


def _gradient(image, layer):
    name = gradient_name(image, layer)
    return Published(
        "Gradients", name, f"gradient of {layer}", (name,), (f"{image} {layer}", f"fit {image}")
    )


def _numerical(image):
    name = f"{image}_numerical.npy"
    files = (name, gradient_name(image, "conv1"))
    return Published("Numerical gradients", name, "numerical gradient", files)


def volume_name(layer):
    """Return the name of a layer's volume.

    >>> volume_name("conv2")
    'L2_conv2.vox'
    """
    return f"L{layer.removeprefix('conv')}_{layer}.vox"


def gradient_name(image, layer):
    """Return the name of an image's gradient with respect to a layer's weights.

    >>> gradient_name("pembroke", "conv1"), gradient_name("pembroke", "conv2")
    ('pembroke.npy', 'pembroke_conv2.npy')
    """
    return f"{image}.npy" if layer == "conv1" else f"{image}_{layer}.npy"


def find(folder, name):
    """Return the path of a published file: in `folder` itself if it is in none of `FOLDERS`."""
    places = [Path(folder) / inner / name for inner in FOLDERS]
    return next((place for place in places if place.is_file()), places[0])


def read_numbers(path, shape=None):
    """Read a published array as float64.

    Raises
    ------
    UserError
        If it cannot be read, is not finite, or has another shape.
    """
    values = read_npy(path, shape=shape)
    check_finite(values, str(path))
    return values.astype(np.float64)
