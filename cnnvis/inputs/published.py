"""What the CNN-VIS study published, in the order of its report, and what each is compared with.

A folder may hold the files side by side, as ``study/source.yaml`` fetches them, or in the
subfolders `FOLDERS`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import check_finite, first_line, read_npy
from cnnvis.core.errors import UserError
from cnnvis.inputs.images import FORMATS

IMAGE = "cat"
"""The image whose feature maps were published."""
IMAGES = ("pembroke", "pembroke_miss", "chihuahua", "chihuahua_miss", "Persian_1", "Persian_miss")
"""The images whose gradients were published: three classes, each once recognised, once not."""
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
GRADIENT_LAYERS = ("conv1", "conv2")
SHAPES = ((96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13))
"""Filters, height and width of what the five convolutions give, as in the report's figure 1."""
CLAIMED = ("comparison conv1", "comparison conv2")
ROW = 15
"""The row of conv1's feature maps that the study cut."""
SLICES = {"method": "study", "seed": 123, "starts": 1000, "cluster_order": "labels"}
CLUSTERS = ("3", "7", "10", "20x5")
"""How the study clustered the slice, as the configuration calls it."""
CONV1 = "conv1_cat_scaled255.npy"
"""Feature maps of conv1 as float32, scaled to 0 to 255."""
NAMED_MAPS = {
    "Vertical edge detection": 2,
    "Foreground-background separation": 10,
    "Horizontal edge detection": 25,
}
"""The filters of conv1 whose feature maps the report names by what they detect. The report does not
say which filters they are: that was found with `CONV1`."""
REPORT = "report.pdf"
ORDERED = {
    "cat": "vis_pca.vox",
    "chihuahua": "vis_pca_chihuahua.vox",
    "Persian_1": "vis_pca_persian.vox",
}
"""Feature maps of conv1 as bytes, in the study's order by PCA, without a header."""
EARLIER = "Persian_1_numerical_earlier.npy"
"""The numerical gradient that the volume in the study's history was made of, since replaced."""
TABBY = 281
"""The neuron whose importance the report maps."""
FOLDERS = ("", "activations", "gradients", "images", "figures")
SECTIONS = (
    "2 Dataset and CNN model",
    "3.1.1 2D unordered visualization",
    "3.1.2 3D unordered visualization",
    "3.1.3 Finding patterns between filter output images: slices",
    "3.1.3 Finding patterns between filter output images: whole outputs",
    "3.2.1 Gradient calculation",
    "3.2.2 Visualization of gradients",
    "3.2.3 Importance measure",
)


@dataclass(frozen=True)
class Published:
    """One published result, and how a run is compared with it.

    Attributes
    ----------
    section : str
        Of the report: one of `SECTIONS`.
    name : str
        The report's figure, table or claim, or a file's name.
    method : str
        The comparison: a key of `cnnvis.checks.outcomes.METHODS`.
    files : tuple of str
        The published files that it reads.
    results : tuple of str
        The files of a run that it reads, by their keys in `cnnvis.checks.reproduction.Run.files`.
    picture : str or tuple or None
        What the study showed: a file's name, or the page of the report (from 1) and the place of
        the picture among those of the page (from 0).
    options : dict
        For the method.
    """

    section: str
    name: str
    method: str
    files: tuple = ()
    results: tuple = ()
    picture: str | tuple | None = None
    options: dict = field(default_factory=dict)

    @property
    def needed(self):
        """The names of all published files that it needs: also the one that the picture is in."""
        picture = REPORT if isinstance(self.picture, tuple) else self.picture
        return (*self.files, picture) if picture else self.files


def entries():
    """Return everything that was published, a list of `Published` in the order of the report."""
    parts = (_model, _maps, _volumes, _slices, _outputs, _gradients, _gradient_volumes, _importance)
    return [
        Published(section, *entry)
        for section, part in zip(SECTIONS, parts, strict=True)
        for entry in part()
    ]


def _model():
    yield "Figure 1: CaffeNet", "network", (), ("prototxt",), (2, 0), {"shapes": SHAPES}


def _photograph(name, image, picture):
    return name, "photograph", (f"{image}.jpg", REPORT), (f"picture {image}",), picture


def _maps():
    yield _photograph("Input image (class: tabby cat)", "cat", (3, 0))
    yield CONV1, "feature maps", (CONV1,), ("blobs",)
    for place, (name, filter) in enumerate(NAMED_MAPS.items(), 1):
        yield name, "feature map", (), ("blobs",), (3, place), {"filter": filter}


def _volumes():
    for layer in LAYERS:
        name = volume_name(layer)
        yield name, "volume", (name, name.replace(".vox", ".hd")), (f"volume {layer}",)
    yield "Figure 2: conv1 in 3D", "3D view", (), ("viewer",), (4, 0)


def _slices():
    results = ("slice", "blobs")
    yield "Input (slice 15)", "slice", (), results, (5, 0), {"least": 96}
    for k, picture in (("3", "kmeans3.png"), ("7", "kmeans7.png")):
        options = {"k": k, "bars": True, "least": 96}
        yield f"{k} means ({picture})", "slice", (), results, picture, options
    # The report shows these two without bars; the second repeats the filters of its first cluster.
    for k, name, place, least in (("10", "10 means", 1, 96), ("20x5", "20X5 means", 3, 99)):
        options = {"k": k, "bars": False, "least": least}
        yield name, "slice", (), results, (5, place), options
    for sizes in ((1, 73, 22), (6, 8, 65, 0, 0, 3, 24)):
        yield f"Sizes of {len(sizes)} clusters", "sizes", (), ("slice",), None, {"sizes": sizes}
    yield "PCA (pca_slices.png)", "slice", (), results, "pca_slices.png", {"k": "pca", "least": 96}
    yield "Claim: consecutive slices order almost the same", "stability", (), ("stability",)


def _outputs():
    for image, name in ORDERED.items():
        yield name, "ordered volume", (name,), (f"ordered {image}",)
    yield "Figure 3: conv1 in the order of PCA, in 3D", "3D view", (), ("viewer",), "pca1.png"


def _gradients():
    for layer in GRADIENT_LAYERS:
        for image in IMAGES:
            name, results = gradient_name(image, layer), (f"{image} {layer}", f"fit {image}")
            yield name, "gradient", (name,), results, None, {"layer": layer}
    for image in IMAGES:
        name = f"{image}_numerical.npy"
        yield name, "numerical gradient", (name, gradient_name(image, "conv1"))
    yield "The study's numerical scheme, repeated", "scheme", (), ("scheme",)


def _gradient_volumes():
    for place, (name, image) in enumerate(
        (("Reference", "pembroke"), ("Similar", "chihuahua"), ("Dissimilar", "Persian_1"))
    ):
        yield _photograph(f"{name} class", image, (9, place))
    for files in (("Persian_1.vox",), ("Persian_1_numerical.vox", EARLIER)):
        yield files[0], "gradient volume", files, ("Persian_1 conv1",)
    for number, verdict, image, picture in (
        (4, "correctly classified", "chihuahua", (9, 3)),
        (5, "miss classified", "chihuahua_miss", (10, 0)),
    ):
        what = f"Figure {number}: chihuahua {verdict}, in 3D"
        yield what, "3D view", (), (f"viewer {image}",), picture
    yield (
        "Demo: the gradients one after the other",
        "3D view",
        (),
        ("viewer comparison",),
        "ani.gif",
    )
    yield "Claim: gradients are less for the dissimilar class", "claim", (), CLAIMED


def _importance():
    name = "Importance for class 281, input belonging to {} class"
    yield name.format("same"), "importance map", (), ("importance",), (11, 1)
    yield name.format("different"), "importance map", (), ("importance elsewhere",), (11, 0)
    for name, page, numbers in (
        (
            "Figure 6: sorted importance",
            12,
            "for images of class 281 up to 16, for images of a different class below 1",
        ),
        (
            "Table: error rates without a filter",
            None,
            "Persian cat 10.5 % before, 10.5 % without the least important filter and 14 % without "
            "the most important; Pembroke 9.39 %, 8.83 % and 15.46 %",
        ),
        (
            "Figure 7: threshold for Persian cat",
            13,
            "neuron 283: from 10.5 % at a threshold of 0 to 77 % at 0.30",
        ),
        (
            "Figure 8: threshold for another class",
            14,
            "neuron 281: from 9 % at a threshold of 0 to 100 % at 0.16",
        ),
    ):
        yield name, "ImageNet", (), (), page and (page, 0), {"numbers": numbers}


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


def read_picture(folder, picture):
    """Read a picture that the study published.

    Parameters
    ----------
    folder : str or Path
        Of the published files.
    picture : str or tuple of int
        See `Published.picture`.

    Returns
    -------
    PIL.Image.Image
        Without transparency, on white.

    Raises
    ------
    UserError
        If the file, or the picture in the report, cannot be read.
    """
    from PIL import Image

    path = find(folder, REPORT if isinstance(picture, tuple) else picture)
    try:
        named = isinstance(picture, str)
        image = Image.open(path, formats=FORMATS) if named else _of_report(path, *picture)
        image = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read as a picture ({first_line(error)})") from error
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _of_report(path, page, place):
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        return PdfReader(path).pages[page - 1].images[place].image
    except (PyPdfError, IndexError) as error:
        raise ValueError(f"page {page}, picture {place + 1}: {error}") from error
