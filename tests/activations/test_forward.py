import doctest
import json

import numpy as np
import pytest

from cnnvis.activations import forward
from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from tests.tiny_network import CONV1, SCORES, write_network


@pytest.fixture
def network(tmp_path):
    return write_network(tmp_path)


def run(network, folder, **options):
    options = {"engine": "numpy", "score": "fc8", "threads": 1, **options}
    paths = (folder / "blobs.npz", folder / "prediction.json")
    forward.make_activations(*network, *paths, **options)
    return paths[0], json.loads(paths[1].read_text())


def test_blobs_and_prediction_by_hand(network, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("n02123045 tabby, tabby cat\nn00000001 dog\n  moon \n")
    blobs, prediction = run(network, tmp_path, labels=labels)
    assert np.array_equal(read_array(blobs, "conv1"), CONV1)  # after the ReLU in place
    assert np.array_equal(read_array(blobs, "conv2"), [[[11.0]]])
    assert np.array_equal(read_array(blobs, "fc8"), SCORES)
    with np.load(blobs) as archive:
        assert archive.files == ["conv1", "conv2", "fc8"]
    assert prediction["probability"] == "softmax"
    assert [one["index"] for one in prediction["top"]] == [0, 1, 2]
    assert [one["label"] for one in prediction["top"]] == ["tabby, tabby cat", "dog", "moon"]
    first = prediction["top"][0]
    assert (first["rank"], first["score"]) == (1, 9.0)
    assert first["probability"] == pytest.approx(1 / (1 + np.exp(-7) + np.exp(-10)))


def test_the_network_s_own_softmax_is_not_repeated(network, tmp_path):
    _, prediction = run(network, tmp_path, score="prob")
    assert prediction["probability"] == "score"
    top = prediction["top"]
    assert [one["score"] for one in top] == [one["probability"] for one in top]
    assert top[0]["probability"] == pytest.approx(1 / (1 + np.exp(-7) + np.exp(-10)))
    assert top[2]["label"] == "class 2"


def test_only_five_best_first_and_lower_index_at_a_tie():
    scores = np.array([1.0, 5.0, 3.0, 5.0, 0.0, -1.0, 3.0])
    top = forward.predict(scores, [str(i) for i in range(7)], "fc8")["top"]
    assert [one["index"] for one in top] == [1, 3, 2, 6, 0]


def test_large_scores_do_not_overflow():
    probabilities, origin = forward.to_probabilities(np.array([1000.0, 999.0], np.float32))
    assert origin == "softmax"
    assert probabilities == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])


@pytest.mark.parametrize("scores", [[0.5, 0.6], [-0.5, 1.5], [3.0]])
def test_what_is_no_distribution_gets_a_softmax(scores):
    assert forward.to_probabilities(np.array(scores))[1] == "softmax"


def test_scores_behind_global_pooling_are_flat():
    assert forward.count_classes({"pool": (10, 1, 1)}, "pool", "net") == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "fc9"}, "score blob 'fc9' does not exist; blobs: data, conv1"),
        ({"score": "conv1"}, "score blob 'conv1' has shape \\(2, 2, 2\\), expected one number"),
        ({"labels": "two.txt"}, "two.txt: 2 labels, but the score blob has 3 classes"),
        ({"labels": "none.txt"}, "none.txt: cannot be read as labels"),
        ({"labels": "latin.txt"}, "latin.txt: cannot be read as labels"),
        ({"engine": "torch"}, "engine"),
    ],
)
def test_mistakes_are_one_line(network, tmp_path, options, message):
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "latin.txt").write_bytes(b"\xe9\n\xff\n")
    if "labels" in options:
        options = {"labels": tmp_path / options["labels"]}
    with pytest.raises(UserError, match=message) as error:
        run(network, tmp_path, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "blobs.npz").exists()


def test_an_input_of_another_size(network, tmp_path):
    np.save(network[2], np.zeros((1, 3, 3), np.float32))
    message = "input.npy: has shape \\(1, 3, 3\\), the network's input is \\(1, 2, 2\\)"
    with pytest.raises(UserError, match=message):
        run(network, tmp_path)


def test_an_input_that_is_none(network, tmp_path):
    network[2].write_bytes(b"")
    with pytest.raises(UserError, match="input.npy: cannot be read as .npy"):
        run(network, tmp_path)


def test_outputs_that_are_not_finite_are_an_error(network, tmp_path):
    np.save(network[2], np.full((1, 2, 2), np.inf, np.float32))
    with np.errstate(invalid="ignore"), pytest.raises(UserError, match="are NaN or infinite"):
        run(network, tmp_path)


def test_examples():
    assert doctest.testmod(forward) == (0, 1)
