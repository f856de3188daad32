import doctest
import os

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.activations.forward import to_probabilities
from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import tile_channels, to_signed_bytes
from cnnvis.gradients import attributions
from cnnvis.gradients.attributions import KINDS
from cnnvis.gradients.weight_gradients import make_gradients
from tests.engines.goldens import GOLDENS, difference, golden_networks, gradients_of
from tests.tiny_network import CONV1, SCORES, write_network

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
            parts = attributions.gradient_x_weight(found[layer][0], network.params[layer][0])
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


def run(network, folder, engine="numpy", kinds=tuple(KINDS), score="fc8", **options):
    common = {"engine": engine, "score": score, "cls": 1, "layers": ["conv1"], "threads": 1}
    common |= options
    make_gradients(*network, folder / "1.npz", **common | {"cls": 1, "layers": ["conv1"]})
    paths = [folder / "out" / name for name in ("1.npz", "data_gradient.npy", "saliency.npy")]
    attributions.make_attributions(*network, folder / "1.npz", *paths, kinds=kinds, **common)
    return paths


def test_by_hand(tmp_path):
    network = write_network(tmp_path)
    path, of_data, saliency = run(network, tmp_path)
    # The second neuron sums the second filter's outputs, of which the ReLU lets one through: the
    # pixel -2, times its weight -1.
    assert read_array(path, "gradient_x_weight/conv1").tolist() == [[[[0]]], [[[2]]]]
    assert read_array(path, "absolute_gradient/conv1").tolist() == [[[[0]]], [[[2]]]]
    p = np.exp(SCORES - SCORES.max()) / np.exp(SCORES - SCORES.max()).sum()
    loss = [p[0] * 4.5, (p[1] - 1) * -2]
    np.testing.assert_allclose(read_array(path, "loss/conv1").ravel(), loss, rtol=1e-6)
    np.testing.assert_allclose(read_array(path, "absolute_loss/conv1").ravel(), np.abs(loss))
    assert np.load(of_data).tolist() == [[[0, -1], [0, 0]]]
    assert np.load(saliency).tolist() == [[0, 1], [0, 0]]
    assert CONV1[1, 0, 1] == 2


def test_only_what_is_asked_for_is_made(tmp_path):
    network = write_network(tmp_path)
    path, *_ = run(network, tmp_path, kinds=["absolute_loss"])
    with np.load(path) as found:
        assert found.files == ["absolute_loss/conv1"]
    path, _, saliency = run(network, tmp_path, kinds=[])
    with np.load(path) as found:
        assert found.files == []
    assert np.load(saliency).any()


@pytest.mark.skipif(not os.environ.get("CNNVIS_CAFFE_PYTHON"), reason="no Caffe is named")
def test_caffe_agrees(tmp_path):
    thin = GOLDENS / "caffenet_thin.prototxt"
    np.save(tmp_path / "input.npy", np.load(thin.with_suffix(".npz"))["data"][0])
    network = (thin, thin.with_suffix(".caffemodel"), tmp_path / "input.npy")
    caffe = {"python": os.environ["CNNVIS_CAFFE_PYTHON"]}
    found = run(network, tmp_path / "a", engine="pycaffe", engine_options=caffe)
    expected = run(network, tmp_path / "b")
    with np.load(found[0]) as ours, np.load(expected[0]) as theirs:
        assert ours.files == theirs.files
        for name in ours.files:
            assert difference(ours[name], theirs[name]) < 1e-5
    assert difference(np.load(found[1]), np.load(expected[1])) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_volumes_and_pictures(tmp_path, kind):
    path, *_ = run(write_network(tmp_path), tmp_path)
    vox, picture = tmp_path / kind / "conv1.vox", tmp_path / kind / "conv1.png"
    attributions.make_attribution_volume(path, vox, picture, layer="conv1", kind=kind, title="t")
    values = tile_channels(read_array(path, f"{kind}/conv1"))
    found = np.frombuffer(vox.read_bytes(), np.uint8).reshape(values.shape)
    if KINDS[kind].signed:
        assert np.array_equal(found, to_signed_bytes(values))
    else:
        np.testing.assert_allclose(found, values / values.max() * 255, atol=0.5)
    assert all(vox.with_suffix(suffix).exists() for suffix in (".hd", ".nhdr", ".mhd"))
    assert KINDS[kind].title in Image.open(picture).text["Description"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["losses"]}, "attributions: 'losses' is unknown, expected gradient_x_weight, "),
        ({"cls": 3}, "class 3 is outside score blob 'fc8', which has 0 to 2"),
        ({"layers": ["relu1"]}, "layer 'relu1' has no weights"),
        ({"layers": ["fc8"]}, "no gradient of layer 'fc8'; it holds conv1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(write_network(tmp_path), tmp_path, **options)
    assert not (tmp_path / "out").exists()


def test_examples():
    assert doctest.testmod(attributions, extraglobs={"np": np}).failed == 0
