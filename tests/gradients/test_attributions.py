import doctest

import numpy as np
import pytest

import cnnvis
from cnnvis.activations.forward import to_probabilities
from cnnvis.gradients import attributions
from cnnvis.gradients.attributions import KINDS
from tests.engines.goldens import difference, golden_networks, gradients_of
from tests.tiny_network import write_network

# Convolutions, ReLU, both poolings and an inner product, nothing with a bias: the score is
# homogeneous of degree 1 in the weights of each layer.
HOMOGENEOUS = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 17 dim: 15 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 bias_term: false } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 bias_term: false } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "fc3" type: "InnerProduct" bottom: "pool2" top: "fc3"
  inner_product_param { num_output: 5 bias_term: false } }
"""
LAYERS = ["conv1", "conv2", "fc3"]


@pytest.fixture
def homogeneous(tmp_path):
    path = tmp_path / "homogeneous.prototxt"
    path.write_text(HOMOGENEOUS)
    draw = np.random.default_rng(0)
    shapes = {"conv1": (8, 3, 3, 3), "conv2": (6, 4, 3, 3), "fc3": (5, 72)}
    weights = {layer: [draw.normal(size=shape)] for layer, shape in shapes.items()}
    with cnnvis.open_network(path, weights, dtype="float64", threads=1) as network:
        yield network, draw.normal(size=(1, 3, 17, 15))


def test_contributions_sum_to_the_score(homogeneous):
    """Euler: f(t w) = t f(w) for t > 0, so that sum_i w_i df/dw_i = f; layer by layer."""
    network, batch = homogeneous
    scores = network.forward(batch, ["fc3"])["fc3"][0]
    for cls, score in enumerate(scores):
        assert score != 0
        found = network.weight_gradient(batch, "fc3", cls, LAYERS)
        for layer in LAYERS:
            parts = found[layer][0] * network.params[layer][0]
            assert parts.sum() == pytest.approx(score, rel=1e-10)


def test_gradient_times_image_sums_to_the_score_as_well(homogeneous):
    network, batch = homogeneous
    gradient = network.data_gradient(batch, "fc3", 1)
    score = network.forward(batch, ["fc3"])["fc3"][0, 1]
    assert (gradient * batch).sum() == pytest.approx(score, rel=1e-10)


def test_the_gradient_of_the_loss_is_that_of_all_scores(homogeneous):
    network, batch = homogeneous
    scores = network.forward(batch, ["fc3"])["fc3"][0]
    probabilities = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    found = attributions.loss_gradient(network, batch, "fc3", 3, LAYERS)
    for layer in LAYERS:
        singles = [network.weight_gradient(batch, "fc3", j, [layer])[layer][0] for j in range(5)]
        expected = sum((p - (j == 3)) * singles[j] for j, p in enumerate(probabilities))
        assert difference(found[layer], expected) < 1e-10


def test_the_gradient_of_the_loss_by_central_differences(homogeneous):
    network, batch = homogeneous

    def loss():
        scores = network.forward(batch, ["fc3"])["fc3"][0]
        return -np.log(to_probabilities(scores)[0][2])

    weights, step = network.params["conv2"][0].copy(), 1e-6
    found = attributions.loss_gradient(network, batch, "fc3", 2, ["conv2"])["conv2"]
    for place in ((0, 0, 0, 0), (2, 3, 1, 1), (5, 1, 2, 0)):
        losses = []
        for sign in (1, -1):
            changed = weights.copy()
            changed[place] += sign * step
            network.set_weights({"conv2": [changed]})
            losses.append(loss())
        network.set_weights({"conv2": [weights]})
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(found[place], rel=1e-6)


def test_the_loss_of_a_softmax_is_that_of_its_scores(tmp_path):
    """Where the score blob is the softmax itself, the loss is the same number."""
    prototxt, weights, input = write_network(tmp_path)
    batch = np.load(input)[np.newaxis].astype(np.float64)
    with cnnvis.open_network(prototxt, weights, dtype="float64", threads=1) as network:
        before = attributions.loss_gradient(network, batch, "fc8", 1, ["conv1", "fc8"])
        behind = attributions.loss_gradient(network, batch, "prob", 1, ["conv1", "fc8"])
    for layer, gradient in before.items():
        assert difference(behind[layer], gradient) < 1e-10


def test_a_sure_answer_still_has_a_gradient_of_the_loss():
    seed = attributions.loss_seed(np.array([60.0, 0.0, 0.0]), 0)
    assert seed[0] == pytest.approx(-2 * np.exp(-60), rel=1e-12)
    assert abs(seed.sum()) < 1e-40


# Caffe's gradients of the one left out are wrong, and known to be (tests/engines/test_goldens.py).
RIGHT = [path for path in golden_networks() if path.stem != "in_place_overwritten"]


@pytest.mark.parametrize("prototxt", RIGHT, ids=lambda path: path.stem)
def test_saliency_is_what_caffe_says(prototxt):
    golden = np.load(prototxt.with_suffix(".npz"))
    _, expected = gradients_of(golden)
    with cnnvis.open_network(prototxt, prototxt.with_suffix(".caffemodel"), threads=1) as network:
        for image, of_data in enumerate(expected):
            batch, cls = golden["data"][image : image + 1], int(golden[f"class/{image}"])
            found = network.data_gradient(batch, str(golden["score_blob"]), cls)
            of_data = of_data.reshape(found.shape)
            assert difference(found, of_data) <= 1e-5
            largest = attributions.saliency_map(found[0])
            assert difference(largest, np.abs(of_data[0]).max(axis=0)) <= 1e-5


@pytest.mark.parametrize("kinds", [[], ["loss"], ["gradient_x_weight"], list(KINDS)])
def test_only_what_is_asked_for_is_computed(homogeneous, kinds):
    network, batch = homogeneous
    gradients = network.weight_gradient(batch, "fc3", 1, LAYERS)
    gradients = {layer: gradients[layer][0] for layer in LAYERS}
    arrays = attributions.attribute(network, batch, "fc3", 1, gradients, kinds)
    assert set(arrays) == {f"{kind}/{layer}" for kind in kinds for layer in LAYERS}
    for name, array in arrays.items():
        assert array.shape == gradients[name.split("/")[1]].shape
        assert array.any()


def test_examples():
    assert doctest.testmod(attributions, extraglobs={"np": np}).failed == 0
