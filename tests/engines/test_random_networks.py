"""Networks drawn at random: the embedded engine against real Caffe, and against mathematics."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import cnnvis
from cnnvis.checks.engine_parity import flips
from cnnvis.core.errors import UserError
from cnnvis.engines.numpy.graph import read_graph
from tests.engines.goldens import difference
from tests.engines.random_networks import INPUT, network_texts, random_weights

relaxed = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
seeds = st.integers(0, 2**32 - 1)


def drawn_network(folder, text, seed):
    prototxt = folder / "random.prototxt"
    prototxt.write_text(text)
    try:
        graph = read_graph(prototxt)
        weights = random_weights(graph, seed)
    except UserError:
        assume(False)  # a kernel larger than what is left of the image
    batch = np.random.default_rng(seed).normal(size=(2, *INPUT)).astype("f4")
    return prototxt, weights, batch, [name for name in weights]


@settings(max_examples=60, deadline=None, suppress_health_check=relaxed, derandomize=True)
@given(network_texts(), seeds)
def test_gradient_is_the_derivative(tmp_path, text, seed):
    """Along a random direction, away from kinks: float64, central differences."""
    prototxt, weights, batch, layers = drawn_network(tmp_path, text, seed)
    with cnnvis.open_network(prototxt, weights, dtype="float64", threads=1) as network:
        direction = np.random.default_rng(seed + 1).normal(size=batch.shape)
        slopes, step = [], 1e-6
        ends = [network.forward(batch + h * direction) for h in (step, -step)]
        assume(all(np.isfinite(end["score"]).all() for end in ends))
        assume(not flips(network.graph, *ends))
        slopes = (ends[0]["score"] - ends[1]["score"])[:, 1] / (2 * step)
        gradient = network.data_gradient(batch, "score", 1)
        found = (gradient * direction).sum(axis=(1, 2, 3))
        largest = np.abs(gradient * direction).sum(axis=(1, 2, 3))
        assert np.all(np.abs(found - slopes) <= 1e-6 * largest + 1e-9)


# Every example starts a process of Caffe's, so one that fails is shown as it is, not made smaller.
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=relaxed,
    derandomize=True,
    phases=[Phase.generate],
)
@given(network_texts(), seeds)
def test_caffe_agrees(tmp_path, caffe_python, text, seed):
    prototxt, weights, batch, layers = drawn_network(tmp_path, text, seed)
    ours = cnnvis.open_network(prototxt, weights, threads=1)
    caffe = cnnvis.open_network(prototxt, weights, engine="pycaffe", python=caffe_python)
    with ours, caffe:
        blobs, expected = ours.forward(batch), caffe.forward(batch)
        assume(all(np.isfinite(blob).all() for blob in expected.values()))
        assert set(blobs) == set(expected)
        wrong = {name: difference(blobs[name], expected[name]) for name in expected}
        assert {name: value for name, value in wrong.items() if not value <= 1e-4} == {}
        if flips(ours.graph, blobs, expected):
            return  # their gradients differ, and both are right
        gradients = [net.gradients(batch, "score", 2, layers, data=True) for net in (ours, caffe)]
    pairs = [(gradients[0][1], gradients[1][1])]
    for layer in layers:
        pairs += zip(gradients[0][0][layer], gradients[1][0][layer], strict=True)
    # Of all gradients together: some are zero (a bias before MVN), all of it rounding.
    largest = max(np.abs(right).max() for _, right in pairs)
    assert max(np.abs(found - right).max() for found, right in pairs) <= 1e-4 * largest


@pytest.mark.parametrize("images", [1, 2, 7])
def test_a_batch_is_its_images(tmp_path, images):
    text = """layer { name: "data" type: "Input" top: "data"
      input_param { shape { dim: 1 dim: 3 dim: 13 dim: 11 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
      convolution_param { num_output: 4 kernel_size: 3 } }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "score" type: "InnerProduct" bottom: "c" top: "score"
      inner_product_param { num_output: 4 } }"""
    prototxt, weights, _, _ = drawn_network(tmp_path, text, 0)
    batch = np.random.default_rng(1).normal(size=(images, *INPUT))
    with cnnvis.open_network(prototxt, weights, dtype="float64", threads=2) as network:
        together = network.gradients(batch, "score", 0, ["c"], data=True)
        for image in range(images):
            alone = network.gradients(batch[image : image + 1], "score", 0, ["c"], data=True)
            assert difference(together[1][image], alone[1][0]) <= 1e-12
            assert difference(together[0]["c"][0][image], alone[0]["c"][0][0]) <= 1e-12
