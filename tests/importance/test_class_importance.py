"""Importance of filters averaged over a class, against its definition."""

import csv
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.stats import pearsonr, spearmanr

from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.engines.model import Model
from cnnvis.importance.class_importance import (
    ClassImportance,
    ClassSums,
    agreement,
    make_class_importance,
    make_class_sums,
    min_max,
    sentence,
    unit,
    write_table,
)
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Streams
from tests.engines.goldens import GOLDENS
from tests.tiny_network import write_network

THIN = GOLDENS / "caffenet_thin.prototxt"
MODEL = Model(str(THIN), str(THIN.with_suffix(".caffemodel")), "fc8")
PREPROCESSING = Preprocessing(MODEL.info.input_shape, [104.0, 117.0, 123.0])
LAYERS = ["conv1", "conv2", "fc6"]


def write_images(folder, count, seed, size=(40, 50)):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(
            folder / f"{index}.png"
        )
    return folder


def make(
    folder,
    output,
    cls=1,
    layers=LAYERS,
    neuron=None,
    model=MODEL,
    preprocessing=PREPROCESSING,
    **of,
):
    streams = Streams(model, preprocessing, output, **of)
    make_class_sums(streams, ImageSet("cats", folder, cls), layers=layers, neuron=neuron)
    return output


def profiles(folder, cls, layer):
    """Return the norms (images, filters) and the gradients, one image after the other."""
    with MODEL.open() as network:
        gradients = [
            network.weight_gradient(PREPROCESSING(image)[None], "fc8", cls, [layer])[layer][0]
            for image in ImageSet("cats", folder, cls).images
        ]
    gradients = np.array(gradients, np.float64)
    flat = gradients.reshape(*gradients.shape[:2], -1)
    return np.sqrt((flat**2).sum(axis=2)), gradients


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("collections")
    return write_images(root / "cats", 5, 0), write_images(root / "dogs", 4, 1)


@pytest.fixture(scope="module")
def made(folders):
    cats, dogs = folders
    return make(cats, cats.parent / "cats.npz"), make(dogs, cats.parent / "dogs.npz", cls=2)


@pytest.mark.parametrize("layer", LAYERS)
def test_means_and_spreads_are_those_of_the_images(folders, made, layer):
    norms, gradients = profiles(folders[0], 1, layer)
    importance = ClassImportance.read(made[0], layer)
    assert importance.images == 5 and importance.skipped == []
    np.testing.assert_allclose(importance.mean, norms.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(importance.std, norms.std(axis=0), rtol=1e-3, atol=1e-7)
    mean = gradients.mean(axis=0).reshape(norms.shape[1], -1)
    np.testing.assert_allclose(importance.norm_of_mean, np.linalg.norm(mean, axis=1), rtol=1e-4)
    explained = norms.mean(axis=0).var() / norms.var()
    np.testing.assert_allclose(importance.variance, explained, rtol=1e-4)


def read(made, layer):
    own, dogs = (ClassImportance.read(path, layer) for path in made)
    return own, {"dogs": dogs}


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_agreement_is_the_mean_over_all_pairs_of_images(folders, made, layer):
    cats, _ = profiles(folders[0], 1, layer)
    dogs, _ = profiles(folders[1], 2, layer)
    numbers = agreement(*read(made, layer))
    pairs = list(itertools.combinations(cats, 2))
    across = list(itertools.product(cats, dogs))
    assert numbers["pearson"] == pytest.approx(np.mean([pearsonr(*p)[0] for p in pairs]), rel=1e-4)
    ranks = np.mean([spearmanr(*pair)[0] for pair in pairs])
    assert numbers["spearman"] == pytest.approx(ranks, rel=1e-4)
    between = np.mean([pearsonr(*pair)[0] for pair in across])
    assert numbers["others"]["dogs"] == pytest.approx(between, rel=1e-4, abs=1e-5)


def test_importance_by_hand(tmp_path):
    """The gradient of the first neuron is the sum of the positive pixels for the first filter."""
    prototxt, weights, _ = write_network(tmp_path)
    (tmp_path / "images").mkdir()
    for name, pixels in (("a", [[138, 108], [158, 128]]), ("b", [[129, 127], [127, 129]])):
        Image.fromarray(np.array(pixels, np.uint8)).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images" / "c.png").write_text("none")
    made = make(
        tmp_path / "images",
        tmp_path / "sums.npz",
        cls=0,
        layers=["conv1"],
        model=Model(str(prototxt), str(weights), "fc8"),
        preprocessing=Preprocessing((1, 2, 2), [128.0]),
    )
    importance = ClassImportance.read(made, "conv1")
    np.testing.assert_allclose(importance.mean, [(40 + 2) / 2, 0], rtol=1e-5)
    np.testing.assert_allclose(importance.std, [(40 - 2) / 2, 0], rtol=1e-5)
    write_table(tmp_path / "t.csv", importance)
    scores = [row["score"] for row in csv.DictReader((tmp_path / "t.csv").open())]
    assert scores == ["1", "0"]
    assert importance.images == 2
    assert importance.skipped == [str(tmp_path / "images" / "c.png")]


@pytest.mark.parametrize("chunk", [1, 2])
def test_the_size_of_chunks_does_not_matter(folders, made, tmp_path, chunk):
    other = make(folders[0], tmp_path / "sums.npz", chunk=chunk)
    with np.load(made[0]) as whole, np.load(other) as parts:
        assert whole.files == parts.files
        for name in set(whole.files) - {"skipped"}:
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-4, atol=1e-5)


def test_an_interrupted_run_is_resumed_with_other_threads_and_ends_the_same(
    folders, tmp_path, monkeypatch
):
    batches = []

    def gradients(network, batch, *rest):
        batches.append(len(batch))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return original(network, batch, *rest)

    with MODEL.open() as network:
        kind = type(network)
    original = kind.weight_gradient
    whole = make(folders[0], tmp_path / "whole.npz", chunk=2)
    monkeypatch.setattr(kind, "weight_gradient", gradients)
    with pytest.raises(KeyboardInterrupt):
        make(folders[0], tmp_path / "sums.npz", chunk=2, threads=1)
    checkpoint = tmp_path / ".sums.npz.partial.cats.0000.npz"
    assert checkpoint.exists() and not (tmp_path / "sums.npz").exists()
    again = make(folders[0], tmp_path / "sums.npz", chunk=2, threads=2)
    # One chunk of the two and a half is left.
    assert batches == [2, 2, 1, 1]
    assert not checkpoint.exists()
    with np.load(again) as resumed, np.load(whole) as expected:
        assert resumed.files == expected.files
        for name in set(expected.files) - {"skipped"}:
            np.testing.assert_allclose(resumed[name], expected[name], rtol=1e-4, atol=1e-6)


def test_sums_of_other_code_are_not_resumed(folders, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cnnvis.importance.class_importance.ClassSums.averages", interrupt)
        make(folders[0], tmp_path / "sums.npz", layers=["conv1"], code="old")
    checkpoint = tmp_path / ".sums.npz.partial.cats.0000.npz"
    with np.load(checkpoint) as archive:
        changed = {
            name: array * 2 if array.dtype.kind == "f" else array for name, array in archive.items()
        }
    np.savez(checkpoint, **changed)
    old = make(folders[0], tmp_path / "sums.npz", layers=["conv1"], code="new")
    fresh = make(folders[0], tmp_path / "fresh.npz", layers=["conv1"])
    assert old.read_bytes() == fresh.read_bytes()


def averages(*profiles):
    """Return the `ClassImportance` of a layer's profiles."""
    sums = ClassSums(None, "fc8", {"c": (len(profiles[0]), 1)})
    for norms in profiles:
        sums.add_profile("c", np.asarray(norms, float))
        sums.sums["images"] += 1
    arrays = sums.averages()
    return ClassImportance(**{name.removeprefix("c/"): array for name, array in arrays.items()})


def test_gradients_of_the_neuron_of_another_class(folders, tmp_path):
    norms, _ = profiles(folders[0], 7, "conv2")
    other = make(folders[0], tmp_path / "sums.npz", cls=1, neuron=7)
    mean = ClassImportance.read(other, "conv2").mean
    np.testing.assert_allclose(mean, norms.mean(axis=0), rtol=1e-5)
    assert not np.allclose(mean, profiles(folders[0], 1, "conv2")[0].mean(axis=0), rtol=1e-2)
    with pytest.raises(UserError, match="class 10 is outside score blob"):
        make(folders[0], tmp_path / "sums.npz", neuron=10)


def test_scores_are_those_of_the_study_whatever_the_number_of_images():
    norms = np.array([[1.0, 8.0, 3.0], [3.0, 4.0, 7.0]])
    sums = norms.sum(axis=0) / 200
    scores = (sums - sums.min()) / (sums.max() - sums.min())
    np.testing.assert_allclose(min_max(norms.mean(axis=0)), scores)
    np.testing.assert_allclose(scores, [0, 1, 0.75])
    assert min_max(np.full(3, 5.0)).tolist() == [0, 0, 0]


def test_images_that_agree_and_classes_that_do_not():
    cats = averages(*(scale * np.array([1.0, 2.0, 3.0, 10.0]) for scale in (1, 2, 5)))
    dogs = averages(*(scale * np.array([10.0, 9.0, 8.0, 1.0]) for scale in (1, 2, 5)))
    numbers = agreement(cats, {"dogs": dogs})
    assert numbers["pearson"] == pytest.approx(1) and numbers["spearman"] == pytest.approx(1)
    # The images differ in scale, so their mean explains only a part.
    assert 0.1 < numbers["variance"] < 0.9
    assert numbers["others"]["dogs"] == pytest.approx(-1, abs=1e-3)
    assert "property of the class." in sentence(numbers, 3, ImageSet("cats", "", 1))


@pytest.mark.parametrize(
    ("pearson", "between", "words"),
    [
        (0.2, {"dogs": 0.1}, "property of the image more than of the class"),
        (0.8, {"dogs": 0.79}, "0.79 between one of them and one of dogs: it is a property of the"),
        (0.8, {"dogs": 0.3, "rats": 0.4}, "0.40 between one of them and one of rats"),
        (0.8, {}, "alike for the images of the class"),
        (None, {}, "too few images"),
    ],
)
def test_the_sentence_says_what_importance_is_a_property_of(pearson, between, words):
    numbers, cats = {"pearson": pearson, "others": between}, ImageSet("cats", "", 1)
    assert words in sentence(numbers, 9, cats)
    many = sentence(numbers, 9, ImageSet("cats", "", None))
    assert "property" not in many and (pearson is None or many.endswith("of several classes."))


def test_a_flat_profile_has_no_direction():
    assert not unit(np.full(5, 0.1)).any() and not unit(np.zeros(3)).any()
    flat = averages(np.zeros(3))
    assert agreement(flat, {"same": flat}) == {
        "pearson": None,
        "spearman": None,
        "variance": 0.0,
        "others": {},
    }


def test_table_summary_and_picture(made, tmp_path):
    outputs = [tmp_path / name for name in ("a.csv", "a.json", "a.png")]
    others = {"dogs": made[1]}
    options = {"layer": "conv2", "image_set": ImageSet("cats", "", 1), "title": "Cats"}
    make_class_importance(made[0], *outputs, others=others, **options)
    rows = list(csv.DictReader(outputs[0].open()))
    importance = ClassImportance.read(made[0], "conv2")
    assert [int(row["rank"]) for row in rows] == list(range(1, 25))
    assert sorted(int(row["filter"]) for row in rows) == list(range(24))
    for row in rows:
        assert float(row["mean"]) == pytest.approx(importance.mean[int(row["filter"])], rel=1e-6)
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    assert np.all(np.diff([float(row["mean"]) for row in rows]) <= 0)
    summary = read_json(outputs[1])
    assert summary["images"] == 5 and summary["cls"] == 1
    assert summary["agreement"] == agreement(*read(made, "conv2"))
    with Image.open(outputs[2]) as picture:
        assert "5 images of cats" in picture.info["Description"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cls": 10}, "class 10 is outside score blob 'fc8', which has 0 to 9"),
        ({"layers": ["pool1"]}, "layer 'pool1' has no weights"),
    ],
)
def test_mistakes_are_reported_in_one_line(folders, tmp_path, options, words):
    with pytest.raises(UserError, match=words) as error:
        make(folders[0], tmp_path / "sums.npz", **options)
    assert "\n" not in str(error.value)
