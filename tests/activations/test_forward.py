import doctest
import json

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import forward
from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from cnnvis.core.places import Places
from cnnvis.inputs.images import Preprocessing
from tests.tiny_network import CONV1, IMAGE, PIXELS, PREPROCESSING, SCORES, tiny_model


@pytest.fixture
def files(tmp_path):
    return Places(tmp_path / "results", network="tiny", image="cat")


def run(folder, files, preprocessing=PREPROCESSING, pixels=PIXELS, **options):
    Image.fromarray(pixels).save(folder / "cat.png")
    model = tiny_model(folder, **options)
    forward.make_forward(model, preprocessing, folder / "cat.png", files, threads=1)
    return json.loads(files("prediction").read_text())


def test_blobs_and_prediction_by_hand(files, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("n02123045 tabby, tabby cat\nn00000001 dog\n  moon \n")
    run(tmp_path, files)
    prediction = forward.read_prediction(files("prediction"), labels)
    # After the ReLU in place, which leaves zeros.
    np.testing.assert_allclose(read_array(files("blobs"), "conv1"), CONV1, rtol=1e-5)
    np.testing.assert_allclose(read_array(files("blobs"), "conv2"), [[[11.0]]], rtol=1e-5)
    np.testing.assert_allclose(read_array(files("blobs"), "fc8"), SCORES, rtol=1e-5)
    with np.load(files("blobs")) as archive:
        assert archive.files == ["conv1", "conv2", "fc8"]
    assert prediction["probability"] == "softmax"
    assert [one["index"] for one in prediction["top"]] == [0, 1, 2]
    assert [one["label"] for one in prediction["top"]] == ["tabby, tabby cat", "dog", "moon"]
    first = prediction["top"][0]
    assert (first["rank"], first["score"]) == (1, pytest.approx(9.0))
    assert first["probability"] == pytest.approx(1 / (1 + np.exp(-7) + np.exp(-10)))


def test_four_files_are_written(files, tmp_path):
    run(tmp_path, files)
    names = {"input.npy", "input.png", "blobs.npz", "prediction.json"}
    assert {path.name for path in files("input").parent.iterdir()} == names
    values = np.load(files("input"))
    assert values.dtype == np.float32
    assert np.array_equal(values, PREPROCESSING(tmp_path / "cat.png"))
    np.testing.assert_allclose(values, IMAGE, rtol=1e-5)
    with Image.open(files("picture")) as picture:
        assert np.array_equal(np.asarray(picture), PIXELS)


def test_the_crop_is_what_the_network_sees(files, tmp_path):
    larger = np.pad(PIXELS, ((1, 0), (3, 2)), constant_values=200)
    Image.fromarray(larger).save(tmp_path / "large.png")
    forward.make_forward(
        tiny_model(tmp_path), PREPROCESSING, tmp_path / "large.png", files, crop=[1, 3, 2, 2]
    )
    np.testing.assert_allclose(np.load(files("input")), IMAGE, rtol=1e-5)


def test_the_network_s_own_softmax_is_not_repeated(files, tmp_path):
    prediction = run(tmp_path, files, score="prob")
    assert prediction["probability"] == "score"
    top = prediction["top"]
    assert [one["score"] for one in top] == [one["probability"] for one in top]
    assert top[0]["probability"] == pytest.approx(1 / (1 + np.exp(-7) + np.exp(-10)))
    assert "label" not in top[2]
    assert forward.read_prediction(files("prediction"))["top"][2]["label"] == "class 2"


def test_scores_behind_global_pooling_are_flat(files, tmp_path):
    # conv2 is one number per class for one class: (1, 1, 1).
    prediction = run(tmp_path, files, score="conv2")
    assert prediction["classes"] == 1
    assert read_array(files("blobs"), "conv2").shape == (1,)


def test_labels_are_as_many_as_classes(files, tmp_path):
    run(tmp_path, files)
    (tmp_path / "two.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match="two.txt: 2 labels, but the score blob has 3 classes"):
        forward.read_prediction(files("prediction"), tmp_path / "two.txt")


def test_only_five_best_first_and_lower_index_at_a_tie():
    scores = np.array([1.0, 5.0, 3.0, 5.0, 0.0, -1.0, 3.0])
    top = forward.predict(scores, "fc8")["top"]
    assert [one["index"] for one in top] == [1, 3, 2, 6, 0]


def test_large_scores_do_not_overflow():
    probabilities, origin = forward.to_probabilities(np.array([1000.0, 999.0], np.float32))
    assert origin == "softmax"
    assert probabilities == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])


@pytest.mark.parametrize("scores", [[0.5, 0.6], [-0.5, 1.5], [3.0]])
def test_what_is_no_distribution_gets_a_softmax(scores):
    assert forward.to_probabilities(np.array(scores))[1] == "softmax"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "fc9"}, "score blob 'fc9' does not exist; did you mean fc8"),
        ({"score": "conv1"}, "score blob 'conv1' has shape \\(2, 2, 2\\), expected one number"),
        ({"engine": "torch"}, "engine: 'torch' is unknown"),
        (
            {"preprocessing": Preprocessing((1, 2, 2), [0.0], 2e37)},
            "tiny.caffemodel: blob 'conv1' of .*cat.png: 3 of 8 values are NaN or infinite",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(files, tmp_path, options, message):
    with np.errstate(all="ignore"), pytest.raises(UserError, match=message) as error:
        run(tmp_path, files, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "results").exists()


def test_examples():
    assert doctest.testmod(forward) == (0, 1)
