"""A network of the configuration as one object."""

import numpy as np
import pytest

from cnnvis.core.errors import UserError
from cnnvis.engines.model import Model
from cnnvis.engines.numpy import graph
from tests.tiny_network import IMAGE, SCORES, write_network


@pytest.fixture
def tiny(tmp_path):
    prototxt, weights, _ = write_network(tmp_path)
    return Model(str(prototxt), str(weights), "fc8")


def test_the_prototxt_is_parsed_once(tiny, monkeypatch):
    parsed, read = [], graph.read_deploy
    monkeypatch.setattr(graph, "read_deploy", lambda *given: parsed.append(given) or read(*given))
    assert tiny.info.input_shape == (1, 2, 2)
    for dtype in ("float32", "float64"):
        with tiny.open(dtype=dtype) as network:
            scores = network.forward(IMAGE[None], ["fc8"])["fc8"]
        assert scores.dtype == dtype
        np.testing.assert_array_equal(scores[0], SCORES)
    assert len(parsed) == 1


def test_neurons_and_layers_are_checked(tiny):
    assert tiny.classes == 3
    tiny.check_neuron(2)
    tiny.check_layers(["conv1", "fc8"])
    with pytest.raises(UserError, match="class 3 is outside score blob 'fc8', which has 0 to 2"):
        tiny.check_neuron(3)
    with pytest.raises(UserError, match="'relu1' has no weights; .*: conv1, conv/2, fc8"):
        tiny.check_layers(["conv1", "relu1"])


@pytest.mark.parametrize(
    ("score", "words"),
    [("fc9", r"does not exist; did you mean fc8\?"), ("conv1", r"shape \(2, 2, 2\)")],
)
def test_a_score_that_is_no_vector_is_refused(tiny, score, words):
    with pytest.raises(UserError, match=f"score blob '{score}' .*{words}"):
        _ = Model(tiny.prototxt, tiny.weights, score).classes


def test_results_do_not_depend_on_threads(tiny):
    assert set(tiny.key()) == {
        *("prototxt", "weights", "score", "engine", "surplus", "input_shape", "python")
    }
