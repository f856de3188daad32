"""What each class loses without each filter, against whole passes of one image at a time."""

import doctest
import os

import numpy as np
import pytest

from cnnvis.activations.forward import log_probabilities
from cnnvis.caffe.caffemodel import read_caffemodel, write_caffemodel
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.core.places import Places
from cnnvis.engines.base import Engine
from cnnvis.engines.model import Model
from cnnvis.importance import lesions
from cnnvis.importance.filter_effects import EFFECTS, FilterEffects, count_higher
from cnnvis.importance.lesions import (
    Losses,
    losses_of,
    make_lesions,
    read_losses,
    sentence,
    summarise,
)
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams
from tests.importance.test_class_importance import MODEL, PREPROCESSING, write_images

LAYER = "conv2"
NAMES = [f"class {number}" for number in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of seven images; in list.txt, classes 2, 5 and 8 have three, two and one."""
    folder = write_images(tmp_path_factory.mktemp("images"), 7, 0)
    classes = [5, 2, 8, 2, "", 5, 2]
    lines = [f"{number}.png {cls}".strip() + "\n" for number, cls in enumerate(classes)]
    (folder / "list.txt").write_text("".join(lines))
    (folder / "turned.txt").write_text("".join(lines[::-1]))
    return folder


def make(root, folder, *paths, layers=(LAYER,), model=MODEL, zero="weights_and_bias", **options):
    """Make lesions; return the arrays of the first layer, the summary, and the places."""
    files = Places(root, network="thin")
    sets = [ImageSet(f"set{n}", str(folder / each), None) for n, each in enumerate(paths)]
    streams = Streams(model, PREPROCESSING, files("lesions", layer=layers[0]), **options)
    make_lesions(streams, files, sets, list(layers), zero=zero)
    with np.load(files("lesion arrays", layer=layers[0])) as archive:
        return dict(archive), read_json(files("lesions", layer=layers[0])), files


def whole_passes(folder, images, filters, keep_bias=False):
    """Return the scores (images, classes) of passes with the weights of filters at zero."""
    with MODEL.open() as network:
        batch = np.stack([PREPROCESSING(folder / f"{image}.png") for image in images])
        return Engine.scores_without(network, batch, LAYER, [filters], "fc8", keep_bias)[0]


def check_class(folder, arrays, cls, images, filters, keep_bias=False):
    """Compare what is said of a class with whole passes of its images."""
    scores = whole_passes(folder, images, filters, keep_bias)
    logs = log_probabilities(scores)[:, cls]
    errors = count_higher(scores, cls) >= 1
    expected = {
        "log_probability": logs.mean(),
        "probability": np.exp(logs).mean(),
        "error_top1": errors.mean(),
    }
    row, column = arrays["class"].tolist().index(cls), filters[0] + 1 if filters else 0
    for name, value in expected.items():
        found = arrays["effects"][row, EFFECTS.index(name), column]
        assert found == pytest.approx(value, rel=1e-4, abs=1e-6), (cls, filters, name)


OWN = {2: [1, 3, 6], 5: [0, 5], 8: [2]}


def caffe():
    """Return the network in real Caffe, or skip the test."""
    python = os.environ.get("CNNVIS_CAFFE_PYTHON")
    if not python:
        pytest.skip("no Caffe is named")
    return Model(MODEL.prototxt, MODEL.weights, "fc8", engine="pycaffe", python=python)


@pytest.mark.parametrize("engine", ["numpy", "pycaffe"])
@pytest.mark.parametrize("zero", ["weights_and_bias", "weights"])
def test_losses_are_those_of_whole_passes_class_by_class(folder, tmp_path, engine, zero):
    model = MODEL if engine == "numpy" else caffe()
    arrays, summary, files = make(tmp_path, folder, "list.txt", model=model, zero=zero, chunk=3)
    assert (arrays["class"].tolist(), arrays["images"].tolist()) == ([2, 5, 8], [3, 2, 1])
    assert (summary["images"], summary["zero"]) == (7, zero)
    count = arrays["effects"].shape[2] - 1
    for filters in ([], [0], [3], [count - 1]):
        for cls, images in OWN.items():
            check_class(folder, arrays, cls, images, filters, keep_bias=zero == "weights")
        scores = whole_passes(folder, range(7), filters, keep_bias=zero == "weights").mean(axis=0)
        column = filters[0] + 1 if filters else 0
        np.testing.assert_allclose(arrays["scores"][column], scores, rtol=1e-4, atol=1e-5)
    found = read_losses(files("lesion arrays", layer=LAYER))
    assert list(found) == ["log_probability", "probability", "error_top1", "score"]
    row, effects = 1, arrays["effects"][1]
    logs, errors = (effects[EFFECTS.index(x)] for x in ("log_probability", "error_top1"))
    np.testing.assert_array_equal(found["log_probability"].values[row], logs[0] - logs[1:])
    np.testing.assert_array_equal(found["error_top1"].values[row], errors[1:] - errors[0])
    falls = arrays["scores"][0, 4] - arrays["scores"][1:, 4]
    np.testing.assert_array_equal(found["score"].values[4], falls)


@pytest.mark.parametrize("engine", ["numpy", "pycaffe"])
def test_a_filter_of_zeros_has_no_effect_at_all(folder, tmp_path, engine):
    weights = read_caffemodel(MODEL.weights)
    for array in weights[LAYER]:
        array[3] = 0
    write_caffemodel(tmp_path / "zero.caffemodel", weights)
    named = caffe().python if engine == "pycaffe" else None
    path = str(tmp_path / "zero.caffemodel")
    model = Model(MODEL.prototxt, path, "fc8", engine=engine, python=named)
    _, _, files = make(tmp_path, folder, "list.txt", model=model)
    for name, losses in read_losses(files("lesion arrays", layer=LAYER)).items():
        assert not losses.values[:, 3].any(), name
        assert losses.values.any() or name == "error_top1"


def test_an_interrupted_run_goes_on_and_ends_the_same(folder, tmp_path, monkeypatch):
    sets = ("list.txt", "0.png")
    whole, summary, _ = make(tmp_path / "whole", folder, *sets, chunk=2, threads=1)
    add, added = FilterEffects.add, []

    def interrupt(self, chunk):
        if len(added) == 3:
            raise KeyboardInterrupt
        added.append(chunk.images)
        add(self, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(FilterEffects, "add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "again", folder, *sets, chunk=2, threads=1)
    left = list((tmp_path / "again").rglob("*.npz"))
    assert [path.name for path in left] == [".conv2.json.partial.conv2.set0.0000.npz"]
    done = sum(map(len, added))
    monkeypatch.setattr(FilterEffects, "add", lambda *a: (added.append(a[1].images), add(*a))[1])
    again, resumed, _ = make(tmp_path / "again", folder, *sets, chunk=2, threads=1)
    assert sum(map(len, added)) == 8 and done == 6
    assert resumed == summary
    for name, array in whole.items():
        np.testing.assert_array_equal(again[name], array)
    assert {path.name for path in (tmp_path / "again").rglob("*.*")} == {"conv2.npz", "conv2.json"}


def test_neither_chunks_nor_the_order_of_images_nor_how_they_are_parted_matters(folder, tmp_path):
    whole, _, _ = make(tmp_path / "a", folder, "list.txt")
    (folder / "first.txt").write_text("".join((folder / "list.txt").open().readlines()[:3]))
    (folder / "rest.txt").write_text("".join((folder / "list.txt").open().readlines()[3:]))
    for number, (paths, chunk) in enumerate(
        [(["list.txt"], 1), (["turned.txt"], 4), (["rest.txt", "first.txt"], 32)]
    ):
        other, _, _ = make(tmp_path / str(number), folder, *paths, chunk=chunk)
        assert other["class"].tolist() == whole["class"].tolist()
        assert other["images"].tolist() == whole["images"].tolist()
        np.testing.assert_allclose(other["effects"], whole["effects"], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(other["scores"], whole["scores"], rtol=1e-5, atol=1e-5)


def test_of_images_without_a_class_the_scores_are_told(folder, tmp_path):
    arrays, summary, files = make(tmp_path, folder, "0.png", "3.png")
    assert arrays["effects"].shape == (0, len(EFFECTS), arrays["scores"].shape[0])
    assert list(read_losses(files("lesion arrays", layer=LAYER))) == ["score"]
    assert summary["measure"] == "score" and list(summary["class_orders"]) == ["score"]
    said = sentence("conv1", "score", losses_of(arrays)["score"], list("abcdefghij"))
    assert "lowers a mean score most when removed alone: that of " in said
    assert sorted(summary["class_orders"]["score"]) == list(range(10))
    assert [entry["images"] for entry in summary["classes"]] == [0] * 10


def test_each_layer_has_its_files_and_images_that_cannot_be_read_are_told(folder, tmp_path):
    (folder / "bad.png").write_bytes(b"none")
    (folder / "more.txt").write_text("0.png 1\nbad.png 7\n")
    arrays, summary, files = make(tmp_path, folder, "more.txt", layers=("conv1", "fc6"))
    # Of class 7 no image is left.
    assert arrays["class"].tolist() == [1]
    assert [entry["image"][-7:] for entry in summary["skipped"]] == ["bad.png"]
    assert read_json(files("lesions", layer="fc6"))["layer"] == "fc6"


def test_who_needs_what_by_hand():
    """Class 1 needs filter 0, class 2 filter 2 and a little of 0; without filter 1 both gain."""
    logs = np.array([[-1.0, -3.0, -0.5, -1.0], [-2.0, -2.125, -1.75, -2.5]])
    effects = np.zeros((2, len(EFFECTS), 4))
    effects[:, EFFECTS.index("log_probability")] = logs
    scores = np.array([[0, 1.0, 2.0], [0, 0, 2], [0, 1, 3], [0, 1, 1.5]])
    arrays = {"class": np.array([1, 2]), "images": np.array([4, 5])}
    arrays |= {"effects": effects, "scores": scores}
    found, b, c = summarise(arrays), {"cls": 1}, {"cls": 2}
    assert [each["needed_by"] for each in found["filters"]] == [
        [b | {"loss": 2.0}, c | {"loss": 0.125}],
        [],
        [c | {"loss": 0.5}],
    ]
    assert found["classes"][0] == {"cls": 0, "images": 0, "needs": []}
    assert found["classes"][2]["needs"] == [
        {"filter": 2, "loss": 0.5},
        {"filter": 0, "loss": 0.125},
    ]
    losses = losses_of(arrays)["log_probability"]
    assert sentence("conv1", "log_probability", losses, ["a", "b", "c"]) == (
        "Of the 3 filters of conv1, 2 take at least 0.1 of log-probability from some class when "
        "removed alone; filter 0 matters most, for b (2)."
    )
    # The way from the filter that is needed least to the one that is needed most.
    assert found["filter_order"] == [1, 2, 0]
    assert found["class_orders"] == {"log_probability": [2, 1], "score": [2, 0, 1]}


def test_sentences_of_filters_that_hardly_matter():
    little = Losses(np.array([0]), np.zeros(1), np.array([[0.01, 0.02]]))
    said = sentence("conv1", "log_probability", little, ["cat"])
    assert "2 filters of conv1, none takes at least 0.1" in said and "1 matters most" in said
    nothing = Losses(np.array([0]), np.zeros(1), np.array([[-1.0]]))
    said = "Of the 1 filter of conv1, none lowers the score of any class when removed alone."
    assert sentence("conv1", "score", nothing, ["cat"]) == said


def test_the_window_leaves_out_the_few_largest_sizes():
    values = np.zeros((10, 100))
    assert Losses(None, None, values).window == 1
    values[0, 0] = -7
    assert Losses(None, None, values).window == 7
    values[:] = 2
    values[0, :3] = 500
    assert Losses(None, None, values).window == 2


def test_mistakes_are_one_line_and_leave_nothing(folder, tmp_path):
    (folder / "wrong.txt").write_text("0.png 10\n")
    for paths, layers, message in (
        (["wrong.txt"], [LAYER], "class 10 is outside score blob 'fc8', which has 0 to 9"),
        (["list.txt"], [LAYER, "pool1"], "layer 'pool1' has no weights"),
    ):
        with pytest.raises(UserError, match=message) as error:
            make(tmp_path, folder, *paths, layers=layers)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_docstrings():
    assert not doctest.testmod(lesions).failed
