"""A network of the configuration as one object."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from cnnvis.core.errors import UserError
from cnnvis.engines.model import Model
from cnnvis.engines.numpy import graph
from tests.tiny_network import IMAGE, PROTOTXT, SCORES, tiny_model


@pytest.fixture
def tiny(tmp_path):
    return tiny_model(tmp_path)


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
    for cls in (-1, 3):
        message = f"class {cls} is outside score blob 'fc8', which has 0 to 2"
        with pytest.raises(UserError, match=message):
            tiny.check_neuron(cls)
    with pytest.raises(UserError, match="'relu1' has no weights; .*: conv1, conv/2, fc8"):
        tiny.check_layers(["conv1", "relu1"])


def test_a_neuron_of_a_score_that_is_a_map_is_refused(tiny):
    with pytest.raises(UserError, match=r"shape \(2, 2, 2\), expected one number per class"):
        replace(tiny, score="conv1").check_neuron(0)


def test_one_number_per_class_may_have_further_axes_of_one(tiny):
    model = replace(tiny, score="conv2")
    assert model.info.blobs["conv2"] == (1, 1, 1)
    assert model.classes == 1


@pytest.mark.parametrize(
    ("score", "words"),
    [("fc9", r"does not exist; did you mean fc8\?"), ("conv1", r"shape \(2, 2, 2\)")],
)
def test_a_score_that_is_no_vector_is_refused(tiny, score, words):
    with pytest.raises(UserError, match=f"score blob '{score}' .*{words}"):
        _ = Model(tiny.prototxt, tiny.weights, score).classes


def test_a_key_has_what_results_depend_on_and_no_threads(tiny):
    assert set(tiny.key()) == {
        *("prototxt", "weights", "score", "engine", "surplus", "input_shape", "python")
    }
    before = tiny.key()
    with tiny.open(threads=1, dtype="float64"):
        assert tiny.key() == before
    assert replace(tiny, engine="pycaffe").key() != before


def test_a_model_does_not_change(tiny):
    _ = tiny.info  # kept, which changes nothing either
    with pytest.raises(FrozenInstanceError):
        tiny.score = "prob"
    assert tiny == Model(tiny.prototxt, tiny.weights, "fc8")


def test_inputs_have_the_shape_of_the_network_s(tiny, tmp_path):
    assert np.array_equal(tiny.read_input(tmp_path / "input.npy"), IMAGE)
    np.save(tmp_path / "other.npy", np.zeros((1, 3, 3), np.float32))
    (tmp_path / "empty.npy").touch()
    with pytest.raises(UserError, match=r"other.npy: has shape \(1, 3, 3\), expected \(1, 2, 2\)"):
        tiny.read_input(tmp_path / "other.npy")
    with pytest.raises(UserError, match="empty.npy: cannot be read as .npy"):
        tiny.read_input(tmp_path / "empty.npy")


def test_the_engine_can_be_another_for_once(tiny):
    caffe = replace(tiny, engine="pycaffe", python="/nowhere/python")
    with pytest.raises(UserError, match="/nowhere/python"):
        caffe.open()
    with caffe.open(engine="numpy") as network:
        assert np.array_equal(network.forward(IMAGE[None], ["fc8"])["fc8"][0], SCORES)


def test_weights_that_the_network_lacks_may_be_ignored(tiny):
    layer = PROTOTXT.index('layer { name: "conv/2"')
    end = PROTOTXT.index('layer { name: "fc8"')
    with open(tiny.prototxt, "w") as file:
        file.write(PROTOTXT[:layer] + PROTOTXT[end:])
    with pytest.raises(UserError, match="conv/2"):
        tiny.open()
    with replace(tiny, surplus="ignore").open() as network:
        assert list(network.params) == ["conv1", "fc8"]


def test_the_input_s_shape_can_be_said_for_a_file_that_does_not(tiny):
    data = PROTOTXT.index('layer { name: "data"')
    rest = PROTOTXT.index('layer { name: "conv1"')
    layer = 'layer { name: "data" type: "Data" top: "data" }\n'
    with open(tiny.prototxt, "w") as file:
        file.write(PROTOTXT[:data] + layer + PROTOTXT[rest:])
    with pytest.raises(UserError, match="deploy.prototxt"):
        _ = tiny.info
    assert replace(tiny, input_shape=(1, 2, 2)).info.input_shape == (1, 2, 2)
