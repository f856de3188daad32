"""A small results folder with every page, made by the same functions as a real one."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnvis import pages
from cnnvis.activations.forward import predict
from cnnvis.activations.grids import make_grid
from cnnvis.activations.orderings import make_ordering
from cnnvis.activations.slices import make_slice
from cnnvis.activations.volumes import make_volume
from cnnvis.core.arrays import write_arrays
from cnnvis.core.files import safe_name, write_json
from cnnvis.gradients.comparisons import make_comparison
from cnnvis.gradients.time_series import make_series
from cnnvis.gradients.weight_gradients import make_gradient_volume
from cnnvis.importance.filter_importance import make_importance
from cnnvis.inputs.images import make_input

NASTY = "<b>&\"'</script>"
LABELS = ["cat & dog", f"page {NASTY}", "moon", "brick <i>"]
LAYERS = {"conv1": (12, 9, 8), "fire2/squeeze1x1": (6, 5, 5)}
ORDERINGS = {"natural": {}, "kmeans": {"k": 3, "seed": 0}, "pca": {}}
MEAN = [104.0, 116.5, 122.25]
PROTOTXT = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 19 dim: 17 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 12 kernel_size: 3 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "fire2/squeeze1x1" type: "Convolution" bottom: "pool1" top: "squeeze"
  convolution_param { num_output: 6 kernel_size: 1 } }
layer { name: "score" type: "InnerProduct" bottom: "squeeze" top: "score"
  inner_product_param { num_output: 4 } }
"""
MEMBERS = [
    ("moon_right", "reference", 2, True),
    ("moon_wrong", "reference", 2, False),
    ("cat", "similar", 0, True),
    ("brick", "dissimilar", 3, True),
]


@dataclass
class Tree:
    """Where things are."""

    root: Path
    prototxt: Path
    labels: Path
    network: str = "tiny"

    @property
    def folder(self):
        return self.root / self.network

    def artefacts(self, *patterns):
        return [path for pattern in patterns for path in sorted(self.folder.glob(pattern))]

    def blobs(self, image):
        return self.folder / image / "blobs.npz"

    def orderings(self, image, layer):
        folder = self.folder / image / "orderings"
        return {name: folder / name / f"{safe_name(layer)}.json" for name in ORDERINGS}

    def groups(self):
        return [
            {
                "group": group,
                "cls": cls,
                "image": image,
                "correct": correct,
                "gradients": self.folder / image / "gradients/2.npz",
                "prediction": self.folder / image / "prediction.json",
            }
            for image, group, cls, correct in MEMBERS
        ]


def build(base):
    """Make the whole tree under `base`, and return it."""
    tree = Tree(base / "results", base / "net.prototxt", base / "labels.txt")
    base.mkdir(parents=True, exist_ok=True)
    tree.prototxt.write_text(PROTOTXT)
    tree.labels.write_text("\n".join(LABELS) + "\n")
    for seed, (image, _, cls, correct) in enumerate(MEMBERS):
        _make_arrays(tree, image, cls if correct else 1, np.random.default_rng(seed))
    _make_artefacts(tree, "cat")
    for image, *_ in MEMBERS:
        make_image_page(tree, image)
    _make_comparison(tree)
    pages.make_index(
        tree.root / "index.html",
        artefacts=tree.artefacts(
            "*/index.html", "*/input.png", "*/prediction.json", "comparisons/*/index.html",
            "comparisons/*/*.png", "filters/*.png",
        ),
    )  # fmt: skip
    return tree


def make_image_page(tree, image, artefacts=None, page=None, **options):
    """Make one image's page from everything its folder holds, or from `artefacts`."""
    folder = tree.folder / image
    kinds = (
        *("orderings", "grids", "volumes", "slices", "gradients", "importance", "attributions"),
        "viewer",
    )
    found = [path for kind in kinds for path in sorted(folder.glob(f"{kind}/**/*.*"))]
    page = page or folder / "index.html"
    pages.make_image_page(
        page,
        page.parent / "input.png",
        network=tree.network,
        image=image,
        prototxt=tree.prototxt,
        input=folder / "input.npy",
        prediction=folder / "prediction.json",
        artefacts=found + tree.artefacts("filters/*.png") if artefacts is None else artefacts,
        mean=MEAN,
        labels=tree.labels,
        **options,
    )
    return page


def _make_arrays(tree, image, predicted, rng):
    from PIL import Image

    folder = tree.folder / image
    folder.mkdir(parents=True)
    pixels = rng.integers(0, 256, (23, 31, 3), np.uint8)
    Image.fromarray(pixels).save(tree.root.parent / f"{image}.png")
    make_input(
        tree.root.parent / f"{image}.png", folder / "input.npy", shape=(3, 19, 17), mean=MEAN
    )
    scores = rng.normal(size=4).astype(np.float32)
    scores[predicted] = 4
    write_json(folder / "prediction.json", predict(scores, LABELS, "score"))
    write_arrays(
        tree.blobs(image),
        {name: np.maximum(rng.normal(size=s), 0).astype("f4") for name, s in LAYERS.items()},
    )
    write_arrays(
        folder / "gradients/2.npz",
        {"conv1": rng.normal(size=(12, 3, 3, 3)).astype("f4") * 1e-6},
    )


def _make_artefacts(tree, image):
    folder = tree.folder / image
    blobs = tree.blobs(image)
    for layer in LAYERS:
        name = safe_name(layer)
        for ordering, path in tree.orderings(image, layer).items():
            make_ordering(blobs, path, blob=layer, method=ordering, **ORDERINGS[ordering])
            common = {"layer": layer, "blob": layer, "title": layer}
            make_grid(blobs, path, folder / f"grids/{ordering}/{name}.png", **common)
            volumes = folder / f"volumes/{ordering}"
            make_volume(
                blobs, path, volumes / f"{name}.vox", volumes / f"{name}.binary.vox", blob=layer
            )
        pages.make_volume_viewer(
            blobs,
            tree.orderings(image, layer),
            folder / f"viewer/{name}.html",
            layer=layer,
            blob=layer,
            network=tree.network,
            image=image,
            files=tree.artefacts(f"{image}/volumes/*/{name}.*hd*"),
        )
    place = folder / "slices/conv1/row-4"
    make_slice(
        blobs, {2: place / "kmeans-2.png"}, place / "pca.png", place / "slice.json",
        layer="conv1", blob="conv1", row=4,
    )  # fmt: skip
    _make_gradients(tree, folder, image)


def _make_gradients(tree, folder, image):
    npz = folder / "gradients/2.npz"
    place = folder / "gradients/2/conv1"
    make_gradient_volume(
        npz, place.with_suffix(".vox"), place.with_suffix(".png"), layer="conv1", title="gradient"
    )
    place = folder / "importance/2/conv1"
    make_importance(
        npz, place.with_suffix(".csv"), place.with_suffix(".png"), layer="conv1", title="x"
    )
    _make_attributions(folder)
    pages.make_gradient_viewer(
        npz,
        folder / "viewer/gradient-2-conv1.html",
        layer="conv1",
        cls=2,
        network=tree.network,
        image=image,
    )


def _make_attributions(folder):
    from cnnvis.gradients.attributions import KINDS, make_attribution_volume
    from cnnvis.gradients.saliency_figure import make_saliency

    rng = np.random.default_rng(9)
    values = {f"{kind}/conv1": np.abs(rng.normal(size=(12, 3, 3, 3))) for kind in KINDS}
    place = folder / "attributions/2"
    write_arrays(place.with_suffix(".npz"), values)
    for kind in ("loss", "absolute_gradient"):
        make_attribution_volume(
            place.with_suffix(".npz"), place / kind / "conv1.vox", place / kind / "conv1.png",
            layer="conv1", kind=kind, title=kind,
        )  # fmt: skip
    np.save(place / "data_gradient.npy", rng.normal(size=(3, 19, 17)))
    np.save(place / "saliency.npy", np.ones((19, 17)))
    make_saliency(
        place / "data_gradient.npy", folder / "input.npy", place / "saliency.png",
        mean=MEAN, title="saliency",
    )  # fmt: skip
    layer = {"agrees": True, "float32": {"agrees": True}, "sentence": "conv1: 60 agree to 3e-8."}
    report = {"agrees": False, "sentence": "x", "layers": {"conv1": layer}}
    write_json(folder / "gradients/2.check.json", report)
    shutil.copy(folder / "gradients/2/conv1.png", folder / "gradients/2.check.png")


def _make_comparison(tree):
    place = tree.folder / "comparisons/rocks"
    groups = tree.groups()
    make_comparison(
        groups, place / "conv1.png", place / "conv1.csv", place / "conv1.json",
        layer="conv1", neuron=2, title="rocks",
    )  # fmt: skip
    make_series(
        groups,
        *(place / f"conv1{suffix}" for suffix in (".nii.gz", ".pvd", "", ".webp", ".gif")),
        place / "conv1.still.png",
        layer="conv1", neuron=2, title="rocks",
    )  # fmt: skip
    common = {"neuron": 2, "network": tree.network, "comparison": "rocks"}
    pages.make_comparison_viewer(groups, place / "conv1.html", layer="conv1", **common)
    pages.make_comparison_page(
        place / "index.html",
        groups=groups,
        artefacts=tree.artefacts("comparisons/rocks/conv1.*", "*/input.png", "*/index.html"),
        labels=tree.labels,
        **common,
    )
