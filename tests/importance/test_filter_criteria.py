"""Criteria of importance: against definitions, Euler's theorem, and what removal really does."""

import numpy as np
import pytest

from cnnvis import open_network
from cnnvis.activations.forward import log_probabilities
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.importance import bootstrap
from cnnvis.importance.class_importance import make_class_sums
from cnnvis.importance.filter_criteria import (
    MEASURED,
    first_order,
    gradient_of_log_probability,
    weight_norms,
)
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams
from tests.importance.test_class_importance import MODEL, PREPROCESSING, THIN, write_images

PLAIN = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 12 dim: 12 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 6 kernel_size: 3 %s } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
"""
UPPER = """
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
        convolution_param { num_output: 5 kernel_size: 3 %s } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
        inner_product_param { num_output: 4 %s } }
"""
NO_BIAS = "bias_term: false"


def open_plain(folder, bias, seed=0):
    """Return a network of ReLUs in float64 with random weights."""
    term = "" if bias else NO_BIAS
    path = folder / "plain.prototxt"
    path.write_text(PLAIN % term + UPPER % (term, term))
    random = np.random.default_rng(seed)
    shapes = {"conv1": (6, 3, 3, 3), "conv2": (5, 6, 3, 3), "fc": (4, 45)}
    weights = {
        layer: [random.standard_normal(s, np.float32)]
        + ([random.standard_normal(s[0], np.float32)] if bias else [])
        for layer, s in shapes.items()
    }
    return open_network(path, weights, dtype="float64"), random.standard_normal((3, 3, 12, 12))


def test_gradients_times_weights_sum_to_the_score_by_euler(tmp_path):
    """A network of ReLUs without biases is homogeneous of degree 1 in each layer's weights."""
    network, batch = open_plain(tmp_path, bias=False)
    with network:
        scores = network.forward(batch, ["fc"])["fc"]
        for layer in ("conv1", "conv2", "fc"):
            gradients, _ = network.gradients(batch, "fc", 2, [layer])
            signed = first_order(gradients[layer], network.params[layer])[2]
            np.testing.assert_allclose(signed.sum(axis=1), scores[:, 2], rtol=1e-12)


def test_with_the_bias_it_is_gradient_times_feature_map(tmp_path):
    """The gradient at the map is that of the layers above it, with the map as their input."""
    network, batch = open_plain(tmp_path, bias=True)
    upper = tmp_path / "upper.prototxt"
    head = 'layer { name: "data" type: "Input" top: "conv1" input_param { shape '
    head += "{ dim: 1 dim: 6 dim: 10 dim: 10 } } }"
    upper.write_text(head + PLAIN[PLAIN.index('layer { name: "pool1"') :] + UPPER % ("", ""))
    with network, open_network(upper, network.params, dtype="float64", surplus="ignore") as above:
        maps = network.forward(batch, ["conv1", "fc"])
        seed = gradient_of_log_probability(maps["fc"], np.array([0, 3, 1]))
        gradients, _ = network.gradients(batch, "fc", seed, ["conv1"])
        found = first_order(gradients["conv1"], network.params["conv1"])
        _, at_maps = above.gradients(maps["conv1"], "fc", seed, [], data=True)
    expected = (at_maps * maps["conv1"]).sum(axis=(2, 3))
    np.testing.assert_allclose(found[2], expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[1], np.abs(expected), rtol=1e-10, atol=1e-12)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_it_predicts_an_ablation_by_a_small_factor(tmp_path):
    network, batch = open_plain(tmp_path, bias=True, seed=4)
    own, step = np.array([1, 1, 2]), 1e-6
    with network:

        def logarithms():
            return log_probabilities(network.forward(batch, ["fc"])["fc"])[np.arange(3), own]

        seed = gradient_of_log_probability(network.forward(batch, ["fc"])["fc"], own)
        gradients, _ = network.gradients(batch, "fc", seed, ["conv1"])
        signed = first_order(gradients["conv1"], network.params["conv1"])[2]
        before, kept = logarithms(), [array.copy() for array in network.params["conv1"]]
        for index in range(6):
            changed = [array.copy() for array in kept]
            for array in changed:
                array[index] *= 1 - step
            network.set_weights({"conv1": changed})
            np.testing.assert_allclose(
                (before - logarithms()) / step, signed[:, index], rtol=1e-4, atol=1e-7
            )


@pytest.fixture(scope="module")
def image_set(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("cats"), 5, 0)
    listing = folder / "images.txt"
    listing.write_text("".join(f"{number}.png {number % 3}\n" for number in range(5)))
    return ImageSet("cats", str(listing), None)


def test_criteria_of_images_of_several_classes(image_set, tmp_path):
    streams = Streams(MODEL, PREPROCESSING, tmp_path / "s.npz", chunk=2)
    layers, criteria = ["conv1", "conv2", "fc6"], ["conv2", "fc6"]
    make_class_sums(streams, image_set, layers=layers, criteria=criteria)
    params = read_caffemodel(THIN.with_suffix(".caffemodel"))
    with np.load(tmp_path / "s.npz") as sums, MODEL.open() as network:
        assert "conv1/criteria" not in sums.files
        np.testing.assert_allclose(sums["conv2/criteria"][0, 0] / 5, sums["conv2/mean"], rtol=1e-12)
        counts = bootstrap.counts(image_set.images)
        np.testing.assert_array_equal(sums["groups"], counts.sum(axis=1))
        for layer, replicate in (("conv2", 0), ("conv2", 3), ("fc6", 0)):
            rows = []
            for image, cls in image_set.classes.items():
                batch, own = PREPROCESSING(image)[None], np.array([cls])
                blobs = network.forward(batch, [layer, "fc8"])
                of_score = network.weight_gradient(batch, "fc8", cls, [layer])[layer][0]
                seed = gradient_of_log_probability(blobs["fc8"], own)
                gradients, _ = network.gradients(batch, "fc8", seed, [layer])
                filters = len(of_score)
                weights, bias = (
                    np.array([(g[0, f] * p[f]).sum() for f in range(filters)])
                    for g, p in zip(gradients[layer], params[layer], strict=True)
                )
                maps = blobs[layer].reshape(filters, -1)
                norms = np.linalg.norm(of_score.reshape(filters, -1), axis=1)
                signed = weights + bias.reshape(-1)
                values = [norms, np.abs(weights), np.abs(signed), signed]
                rows.append([*values, maps.mean(axis=1), (maps > 0).mean(axis=1)])
            expected = np.einsum("n,ncf->cf", counts[replicate], np.array(rows))
            found = sums[f"{layer}/criteria"][replicate]
            assert len(found) == len(MEASURED)
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


def test_the_gradient_at_a_softmax_of_the_network(tmp_path):
    """Where the score blob is the softmax itself, the logarithm's gradient is 1 / p."""
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]])
    found = gradient_of_log_probability(probabilities, np.array([1, 0]))
    np.testing.assert_allclose(found, [[0, 1 / 0.75], [2, 0]])


def test_norms_of_weights():
    weights = np.array([[[3.0, -4.0]], [[0.0, 1.0]]])
    norms = weight_norms(weights)
    assert norms["weight_l1"].tolist() == [7, 1] and norms["weight_l2"].tolist() == [5, 1]
