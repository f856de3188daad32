"""A small results folder with every page, made by the same functions as a real one."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnvis.activations.forward import predict, write_picture
from cnnvis.activations.layer_tuning import LayerTuning
from cnnvis.activations.layers import make_layer
from cnnvis.activations.tuning import tune
from cnnvis.activations.tuning_figure import draw_tuning
from cnnvis.core.arrays import write_arrays, write_npy
from cnnvis.core.files import safe_name, write_json
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.gradients.attributions import KINDS, saliency_map
from cnnvis.gradients.comparisons import Comparison, make_comparison, read_members
from cnnvis.gradients.layers import make_gradient_layer
from cnnvis.gradients.saliency_figure import draw_saliency
from cnnvis.gradients.time_series import make_time_series
from cnnvis.importance.filter_importance import write_importance
from cnnvis.inputs.images import Preprocessing
from cnnvis.pages.comparisons import comparison_page
from cnnvis.pages.images import image_page
from cnnvis.pages.index import index_page, methods_page
from cnnvis.pages.maps import write_maps
from cnnvis.pages.networks import network_page
from cnnvis.pages.orderings import orderings_page
from cnnvis.pages.tuning import tuning_page
from cnnvis.pages.viewers import comparison_viewer, gradient_viewer, volume_viewer

NASTY = "<b>&\"'</script>"
LABELS = ["cat & dog", f"page {NASTY}", "moon", "brick <i>"]
LAYERS = {"conv1": (12, 9, 8), "fire2/squeeze1x1": (6, 5, 5)}
ORDERINGS = {
    "natural": {"method": "natural"},
    "kmeans": {"method": "kmeans", "k": 3, "seed": 0},
    "pca": {"method": "pca"},
}
PREPROCESSING = Preprocessing((3, 19, 17), [104.0, 116.5, 122.25])
# What an image's page shows of its folder.
SHOWN = (
    *("orderings", "grids", "volumes", "slices", "gradients", "importance", "attributions"),
    "viewer",
)
# Of filters large enough for Gabor functions; the network's own are smaller.
TUNED = np.random.default_rng(5).normal(size=(7, 3, 5, 5))
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
RUN = {
    "engine": "numpy",
    "configs": [NASTY],
    "networks": {
        "tiny": {"prototxt": "net.prototxt", "weights": NASTY, "score": "score", "labels": None}
    },
}
MEMBERS = [
    ("moon_right", "reference", 2, True),
    ("moon_wrong", "reference", 2, False),
    ("cat", "similar", 0, True),
    ("brick", "dissimilar", 3, True),
]


@dataclass
class Tree:
    """A results folder, its network and the names of its classes."""

    root: Path
    model: Model
    labels: Path
    network: str = "tiny"

    @property
    def folder(self):
        return self.root / self.network

    def files(self, **parts):
        """Return the places of the network's files, or of an image's."""
        return Places(self.root, network=self.network, **parts)

    def artefacts(self, *patterns):
        return [path for pattern in patterns for path in sorted(self.folder.glob(pattern))]

    def members(self):
        entries = [
            {"group": group, "cls": cls, "image": image, "correct": correct}
            for image, group, cls, correct in MEMBERS
        ]
        return read_members(self.files(), entries, 2, labels=self.labels)


def build(base):
    """Make the whole tree under `base`, and return it."""
    base.mkdir(parents=True, exist_ok=True)
    (base / "net.prototxt").write_text(PROTOTXT)
    (base / "labels.txt").write_text("\n".join(LABELS) + "\n")
    model = Model(str(base / "net.prototxt"), "", "score")
    tree = Tree(base / "results", model, base / "labels.txt")
    for seed, (image, _, cls, correct) in enumerate(MEMBERS):
        _make_arrays(tree.files(image=image), cls if correct else 1, np.random.default_rng(seed))
    _make_layers(tree, "cat")
    _make_neuron(tree, "cat")
    for image, *_ in MEMBERS:
        make_image_page(tree, image)
    orderings_page(
        tree.files(),
        {safe_name(name): {"name": name, "blob": name} for name in LAYERS},
        network=tree.network,
        image="cat",
        shown=tree.artefacts("cat/orderings/*/*.json", "cat/slices/*/stability.*"),
    )
    _make_tuning(tree)
    _make_comparison(tree)
    network_page(
        tree.files()("network page"),
        network=tree.network,
        graph=model.graph,
        shown=tree.artefacts("filters/*.png"),
    )
    index_page(
        tree.root / "index.html",
        tree.artefacts(
            *("index.html", "*/index.html", "*/input.png", "*/prediction.json"),
            *("comparisons/*/index.html", "comparisons/*/*.png", "filters/*.png"),
            *("tuning/*.html", "cat/grids/*/*.png"),
        ),
        {**RUN, "networks": {"tiny": {**RUN["networks"]["tiny"], "labels": tree.labels}}},
    )
    methods_page(tree.root / "methods.html", RUN)
    return tree


def make_image_page(tree, image, shown=None):
    """Make one image's page from everything its folder holds, or from `shown`; return its path."""
    if shown is None:
        shown = tree.artefacts(*(f"{image}/{kind}/**/*.*" for kind in SHOWN), "filters/*.png")
    files = tree.files(image=image)
    image_page(
        files, tree.model, network=tree.network, image=image, shown=shown, labels=tree.labels
    )
    return files("page")


def _make_arrays(files, predicted, rng):
    values = rng.uniform(-120, 130, PREPROCESSING.shape).astype(np.float32)
    write_npy(files("input"), values)
    write_picture(files("picture"), PREPROCESSING.undo(values))
    scores = rng.normal(size=4).astype(np.float32)
    scores[predicted] = 4
    write_json(files("prediction"), predict(scores, "score"))
    write_arrays(
        files("blobs"),
        {name: np.maximum(rng.normal(size=s), 0).astype("f4") for name, s in LAYERS.items()},
    )
    gradient = rng.normal(size=(12, 3, 3, 3)).astype("f4") * 1e-6
    write_arrays(files("gradients", cls=2), {"conv1": gradient})


def _make_layers(tree, image):
    files = tree.files(image=image)
    for name in LAYERS:
        layer = make_layer(
            files,
            layer=name,
            blob=name,
            orderings=ORDERINGS,
            volumes={"rule": "positive", "percentile": 90},
            slices={
                **{"method": "study", "seed": 0, "starts": 20, "cluster_order": "labels"},
                **{"rows": [4] if name == "conv1" else [], "k": [2, "3x2"]},
                "stability": name == "conv1",
            },
            title=name,
        )
        write_maps(files, layer)
        volume_viewer(files, layer, network=tree.network, image=image)


def _make_neuron(tree, image):
    files, rng = tree.files(image=image), np.random.default_rng(9)
    attributions = {f"{kind}/conv1": rng.normal(size=(12, 3, 3, 3)) for kind in KINDS}
    write_arrays(files("attributions", cls=2), attributions)
    orderings = {"pca": ORDERINGS["pca"]}
    layer = make_gradient_layer(
        files, layer="conv1", cls=2, orderings=orderings, kinds=["loss"], title="x"
    )
    where = {"cls": 2, "layer": "conv1"}
    table, picture = files("importance table", **where), files("importance picture", **where)
    write_importance(table, picture, layer.gradient, layer="conv1", title="x")
    gradient_viewer(files, layer, network=tree.network, image=image)
    data = rng.normal(size=PREPROCESSING.shape)
    write_npy(files("data gradient", cls=2), data)
    write_npy(files("saliency map", cls=2), saliency_map(data))
    values = np.load(files("input"))
    draw_saliency(files("saliency picture", cls=2), data, values, PREPROCESSING, title="x")
    layer = {"agrees": True, "float32": {"agrees": True}, "sentence": "conv1: 60 agree to 3e-8."}
    float32 = {"agrees": True, "sentence": "The float32 gradients in the file differ by 1e-7."}
    report = {"agrees": False, "float32": float32, "sentence": "x", "layers": {"conv1": layer}}
    write_json(files("gradient check", cls=2), report)
    shutil.copy(files("gradient picture", **where), files("gradient check picture", cls=2))


def _make_tuning(tree):
    weights = TUNED.copy()
    weights[3] = 0
    filters, files = tune(weights), tree.files()
    tuning = LayerTuning("conv1", tree.network, weights, "BGR", filters, error=None)
    draw_tuning(files("tuning picture", layer="conv1"), filters, layer="conv1", network="tiny")
    for kind in ("csv", "summary"):
        files(f"tuning {kind}", layer="conv1").touch()
    tuning_page(files, tuning)


def _make_comparison(tree):
    names = {"network": tree.network, "neuron": 2}
    files = tree.files(comparison="rocks")
    comparison = Comparison.read(tree.members(), "conv1", name="rocks", **names)
    summary = make_comparison(files, comparison)
    make_time_series(files, comparison)
    comparison_viewer(files, comparison)
    comparison_page(
        files,
        comparison.members,
        [summary],
        comparison="rocks",
        classes=len(LABELS),
        labels=tree.labels,
        **names,
    )
