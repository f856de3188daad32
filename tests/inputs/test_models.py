"""The networks in models/ are the published ones: sizes, shapes, names."""

from pathlib import Path

import numpy as np
import pytest

import cnnvis
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.matching import match_weights
from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.engines.inspection import inspect
from cnnvis.engines.numpy.graph import read_graph
from cnnvis.inputs.sources import read_source

MODELS = Path(__file__).parents[2] / "models"
SHARED = Path(__file__).parents[3] / "shared"
needs_squeezenet = pytest.mark.skipif(
    not (SHARED / "squeezenet").is_dir(), reason="the project's ../shared/squeezenet is absent"
)

# Parameters as published: input size, number of weights and biases, first and last layer's shape.
PUBLISHED = {
    "alexnet": (227, 60_965_224, ("conv1", (96, 3, 11, 11)), ("fc8", (1000, 4096))),
    "caffenet": (227, 60_965_224, ("conv1", (96, 3, 11, 11)), ("fc8", (1000, 4096))),
    "googlenet": (224, 6_998_552, ("conv1/7x7_s2", (64, 3, 7, 7)),
                  ("loss3/classifier", (1000, 1024))),
    "nin": (224, 7_595_176, ("conv1", (96, 3, 11, 11)), ("cccp8-1024", (1000, 1024, 1, 1))),
    "resnet50": (224, 25_610_269, ("conv1", (64, 3, 7, 7)), ("fc1000", (1000, 2048))),
    "squeezenet": (227, 1_248_424, ("conv1", (96, 3, 7, 7)), ("conv_final", (1000, 512, 1, 1))),
    "vgg16": (224, 138_357_544, ("conv1_1", (64, 3, 3, 3)), ("fc8", (1000, 4096))),
}  # fmt: skip

# Shapes of blobs (channels, height, width) on the way, from the papers' tables.
BLOBS = {
    "alexnet": {"norm1": (96, 55, 55), "pool1": (96, 27, 27), "pool5": (256, 6, 6)},
    "caffenet": {"pool1": (96, 27, 27), "norm2": (256, 13, 13), "conv4": (384, 13, 13)},
    "googlenet": {
        "pool2/3x3_s2": (192, 28, 28),
        "inception_3a/output": (256, 28, 28),
        "inception_3b/output": (480, 28, 28),
        "inception_4a/output": (512, 14, 14),
        "inception_4d/output": (528, 14, 14),
        "inception_4e/output": (832, 14, 14),
        "inception_5b/output": (1024, 7, 7),
        "pool5/7x7_s1": (1024, 1, 1),
    },
    "nin": {"cccp2": (96, 54, 54), "pool3": (384, 6, 6), "pool4": (1000, 1, 1)},
    "resnet50": {
        "pool1": (64, 56, 56),
        "res2c": (256, 56, 56),
        "res3d": (512, 28, 28),
        "res4f": (1024, 14, 14),
        "res5c": (2048, 7, 7),
        "pool5": (2048, 1, 1),
    },
    "squeezenet": {"fire2/concat": (128, 55, 55), "fire9/concat": (512, 13, 13)},
    "vgg16": {"conv1_2": (64, 224, 224), "conv4_3": (512, 28, 28), "pool5": (512, 7, 7)},
}


def parameters(prototxt):
    graph = read_graph(prototxt)
    shapes = graph.shapes(graph.inputs)[1]
    return sum(int(np.prod(shape)) for layer in shapes.values() for shape in layer)


def test_every_network_is_tested():
    """photonet is trained here; imagenet is what the others share."""
    folders = {path.name for path in MODELS.iterdir() if path.is_dir()}
    assert folders == PUBLISHED.keys() | {"photonet", "imagenet"}
    assert {path.parent.name for path in MODELS.glob("*/source.yaml")} == folders - {"photonet"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes(name):
    size, count, first, last = PUBLISHED[name]
    prototxt = MODELS / name / "deploy.prototxt"
    info = inspect(prototxt)
    assert info.input_shape == (3, size, size)
    weights = {layer: shape for layer, shape in info.layers_with_weights.items() if len(shape) > 1}
    assert next(iter(weights.items())) == first
    assert list(weights.items())[-1] == last
    assert parameters(prototxt) == count
    assert {blob: info.blobs[blob] for blob in BLOBS[name]} == BLOBS[name]
    assert np.prod(info.blobs["prob"]) == 1000


@pytest.mark.parametrize("name", PUBLISHED)
def test_source(name):
    source = read_source(MODELS / name / "source.yaml")
    info = inspect(MODELS / name / "deploy.prototxt")
    assert source["parameters"] == PUBLISHED[name][1]
    assert np.prod(info.blobs[source["score"]]) == 1000
    folder, labels = Path(source["labels"]).parts[-2:]
    assert labels in read_source(MODELS / folder / "source.yaml")["files"]
    for file, entry in source["files"].items():
        assert "sha1" in entry or "sha256" in entry or "decoded_from" in entry, file
        if file.endswith(".caffemodel") and "size" in entry:
            weights = entry["size"] - 4 * source["parameters"]
            # Names and the training's own layers around the numbers; GoogLeNet's has classifiers
            # more, of 6.4 million weights together.
            surplus = 4 * 6_379_728 if name == "googlenet" else 0
            assert 0 < weights - surplus < 120_000, file


def test_caffenet_and_alexnet_differ_in_the_order_of_pooling_and_normalisation():
    def order(name):
        net = read_prototxt(MODELS / name / "deploy.prototxt")
        return [layer.type for layer in net.layer if layer.type in ("Pooling", "LRN")]

    assert order("caffenet") == ["Pooling", "LRN"] * 2 + ["Pooling"]
    assert order("alexnet") == ["LRN", "Pooling"] * 2 + ["Pooling"]


@needs_squeezenet
def test_squeezenet_takes_the_published_weights():
    """And recognises what Caffe recognised, with the published prototxt, to single precision."""
    prototxt = MODELS / "squeezenet" / "deploy.prototxt"
    weights = read_caffemodel(SHARED / "squeezenet" / "squeezenet.caffemodel")
    graph = read_graph(prototxt)
    match_weights(weights, graph.shapes(graph.inputs)[1], path="squeezenet")
    caffe = np.load(SHARED / "squeezenet" / "pembroke.npz")
    with cnnvis.open_network(prototxt, weights, threads=1) as network:
        score = network.forward(caffe["input"].reshape(1, 3, 227, 227), ["pool_final"])
    score = score["pool_final"].ravel()
    assert score.argmax() == caffe["score"].argmax() == 263
    assert np.abs(score - caffe["score"].ravel()).max() < 1e-5 * np.abs(caffe["score"]).max()
