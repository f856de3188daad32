import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.core.places import Places
from cnnvis.gradients import comparisons
from cnnvis.gradients.comparisons import Comparison

STUDY = Path(__file__).parents[3] / "shared" / "study" / "gradients"


@pytest.fixture
def files(tmp_path):
    return Places(tmp_path, network="net", comparison="rocks")


def add(files, name, group, gradient, cls=3, predicted=3, correct=True):
    write_arrays(files("gradients", image=name, cls=3), {"conv1": gradient})
    top = [{"index": predicted, "probability": 0.75}]
    write_json(files("prediction", image=name), {"classes": 9, "top": top})
    return {"group": group, "cls": cls, "image": name, "correct": correct}


def read(files, entries):
    members = comparisons.read_members(files, entries, 3)
    return Comparison.read(members, "conv1", name="rocks", network="net", neuron=3)


def run(files, entries):
    summary = comparisons.make_comparison(files, read(files, entries))
    assert json.loads(files("comparison summary", layer="conv1").read_text()) == summary
    with open(files("comparison table", layer="conv1"), newline="") as stream:
        return summary, list(csv.DictReader(stream))


def tensor(*values):
    return np.array(values, np.float32).reshape(2, 1, 1, -1)


@pytest.fixture
def entries(files):
    return [
        add(files, "moon", "dissimilar", tensor(0, 0, 0, 2), cls=5, predicted=5),
        add(files, "grass", "reference", tensor(3, 0, 0, 4)),
        add(files, "lawn", "reference", tensor(6, 0, 0, 8), predicted=4, correct=False),
        add(files, "gravel", "similar", tensor(-4, 0, 0, 3), cls=4, predicted=4),
    ]


def test_numbers_by_hand(files, entries):
    summary, table = run(files, entries)
    assert [row["image"] for row in table] == ["grass", "lawn", "gravel", "moon"]
    assert [row["correct"] for row in table] == ["True", "False", "True", "True"]
    assert [float(row["norm"]) for row in table] == [5, 10, 5, 2]
    assert summary["scale"] == 8
    assert summary["cosine"] == [
        [1, 1, 0, 0.8],
        [1, 1, 0, 0.8],
        [0, 0, 1, 0.6],
        [0.8, 0.8, 0.6, 1],
    ]
    assert summary["groups"] == {
        "reference": {
            "images": 2,
            "norm": 7.5,
            "norm_spread": pytest.approx(12.5**0.5, rel=1e-5),
            "norm_range": [5, 10],
            "norm_of_mean": 7.5,
            "own_cosine": 1,
            "reference_cosine": 1,
            "reference_correlation": 1,
        },
        "similar": {
            "images": 1,
            "norm": 5,
            "norm_spread": None,
            "norm_range": [5, 5],
            "norm_of_mean": 5,
            "own_cosine": None,
            "reference_cosine": 0,
            "reference_correlation": pytest.approx(
                np.corrcoef([-4, 0, 0, 3], [3, 0, 0, 4])[0, 1], rel=1e-5
            ),
        },
        "dissimilar": {
            "images": 1,
            "norm": 2,
            "norm_spread": None,
            "norm_range": [2, 2],
            "norm_of_mean": 2,
            "own_cosine": None,
            "reference_cosine": 0.8,
            "reference_correlation": pytest.approx(
                np.corrcoef([0, 0, 0, 2], [3, 0, 0, 4])[0, 1], rel=1e-5
            ),
        },
    }
    assert summary["claim"]["holds"] is True
    assert "2 (dissimilar), against 7.5 (reference) and 5 (similar)" in summary["claim"]["sentence"]
    assert table[0]["most_important"] == "1 0"


def test_correlations_agree_with_numpy(files):
    draw = np.random.default_rng(0)
    names = ["reference"] * 3 + ["similar"] * 2
    gradients = [draw.normal(1, 2, size=(4, 3, 2, 2)) for _ in names]
    pairs = zip(names, gradients, strict=True)
    images = [add(files, f"image{i}", *pair) for i, pair in enumerate(pairs)]
    summary = comparisons.summarise(read(files, images))
    flat = np.array([gradient.ravel() for gradient in gradients])
    for index, numbers in enumerate(summary["images"]):
        others = [i for i in range(3) if i != index]
        expected = np.corrcoef(flat[index], flat[others].mean(axis=0))[0, 1]
        assert numbers["reference_correlation"] == pytest.approx(expected, rel=1e-5)
        assert numbers["norm"] == pytest.approx(np.linalg.norm(flat[index]), rel=1e-5)
    assert "dissimilar" not in summary["groups"]


def test_the_only_reference_image_has_none_to_correlate_with(files, entries):
    summary, table = run(files, [entries[1], entries[0]])
    assert table[0]["reference_correlation"] == ""
    assert summary["groups"]["reference"]["reference_cosine"] is None


def test_a_zero_gradient_has_no_cosine(files, entries):
    zero = add(files, "night", "dissimilar", tensor(0, 0, 0, 0))
    summary, _ = run(files, [entries[1], zero])
    assert summary["cosine"] == [[1, None], [None, None]]
    assert summary["claim"]["holds"] is True


def test_all_gradients_zero_still_make_a_picture(files):
    zero = add(files, "night", "reference", tensor(0, 0, 0, 0))
    summary, _ = run(files, [zero])
    assert summary["scale"] == 0
    assert files("comparison picture", layer="conv1").exists()


@pytest.mark.parametrize(
    ("norms", "holds"),
    [
        ({"reference": 3.0, "similar": 2.0, "dissimilar": 1.0}, True),
        ({"reference": 3.0, "similar": 1.0, "dissimilar": 2.0}, False),
        ({"reference": 1.0, "similar": 3.0, "dissimilar": 2.0}, False),
        ({"reference": 1.0, "dissimilar": 1.0}, False),
        ({"reference": 1.0, "similar": 1.0}, None),
    ],
)
def test_the_claim(norms, holds):
    claim = comparisons.check_claim({name: [norm, norm] for name, norm in norms.items()})
    assert claim["holds"] is holds
    if holds is False:
        assert "does not hold here" in claim["sentence"]


def test_without_predictions_images_are_as_correct_as_declared(files, entries, tmp_path, caplog):
    for path in tmp_path.rglob("prediction.json"):
        path.unlink()
    caplog.set_level(logging.WARNING)
    members = comparisons.read_members(files, entries, 3, predicted=False)
    assert [(m.image, m.verdict) for m in members[:2]] == [("grass", "correct"), ("lawn", "wrong")]
    assert {member.predicted for member in members} == {None} and not caplog.records
    comparison = Comparison.read(members, "conv1", name="rocks", network="net", neuron=3)
    comparisons.make_comparison(files, comparison)
    with open(files("comparison table", layer="conv1"), newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["correct"], row["predicted"]) for row in rows[:2]] == [("True", ""), ("False", "")]


@pytest.mark.skipif(not STUDY.is_dir(), reason="../shared/study is absent")
@pytest.mark.parametrize(
    ("suffix", "means"), [("", [86.9, 54.2, 44.0]), ("_conv2", [94.2, 76.6, 59.8])]
)
def test_the_claim_holds_for_the_study_s_own_gradients(suffix, means):
    names = {
        "reference": ("pembroke", "pembroke_miss"),
        "similar": ("chihuahua", "chihuahua_miss"),
        "dissimilar": ("Persian_1", "Persian_miss"),
    }
    found = {
        group: [np.linalg.norm(np.load(STUDY / f"{name}{suffix}.npy")) for name in pair]
        for group, pair in names.items()
    }
    claim = comparisons.check_claim(found)
    for norms, mean in zip(found.values(), means, strict=True):
        assert np.mean(norms) == pytest.approx(mean, abs=0.05)
    assert claim["holds"] is True
    # Two images a class: whatever they show, chance alone does it in one case of six.
    assert [test["least_p"] for test in claim["tests"]] == [1 / 6, 1 / 6]
    assert "which with so few images is never below 0.17" in claim["sentence"]


def test_ranks_agree_with_scipy():
    from scipy.stats import mannwhitneyu

    draw = np.random.default_rng(0)
    for sizes in ((4, 4), (2, 7), (5, 3)):
        first, second = (draw.normal(size=size) for size in sizes)
        found = comparisons.compare_ranks(first, second)
        expected = mannwhitneyu(first, second, alternative="less", method="exact")
        assert found["p"] == pytest.approx(expected.pvalue)
        assert found["pairs"] - found["smaller"] == expected.statistic


def test_ranks_with_ties_by_counting_every_choice():
    from itertools import combinations

    first, second = [1.0, 2.0, 2.0], [2.0, 3.0, 1.0, 5.0]
    values = np.array(first + second)
    pairs = [
        np.sum(np.sign(np.delete(values, chosen)[:, None] - values[list(chosen)]) + 1) / 2
        for chosen in combinations(range(7), 3)
    ]
    found = comparisons.compare_ranks(first, second)
    assert found["smaller"] == pairs[0] == 8.5
    assert found["p"] == np.mean(np.array(pairs) >= 8.5)


def test_one_dissimilar_image_proves_little():
    claim = comparisons.check_claim({"reference": [2.0, 3.0], "dissimilar": [1.0]})
    assert claim["tests"] == [
        {"against": "reference", "pairs": 2, "smaller": 2, "p": 1 / 3, "least_p": 1 / 3}
    ]
    assert "2 of the 2 pairs with reference images" in claim["sentence"]


def test_what_the_network_says_counts_and_a_contradiction_is_logged(files, entries, caplog):
    entries[0]["correct"] = False
    with caplog.at_level(logging.WARNING):
        _, table = run(files, entries)
    assert (table[3]["correct"], table[3]["declared_correct"]) == ("True", "False")
    assert [record.getMessage() for record in caplog.records] == [
        "image 'moon' of class 5 is declared wrong, but the network predicts class 5 (class 5)"
    ]


def test_the_picture_names_what_it_shows(files, entries):
    run(files, entries)
    with Image.open(files("comparison picture", layer="conv1")) as image:
        assert "for 4 images on one colour scale" in image.info["Description"]
        assert "full colour is 8 in magnitude" in image.info["Description"]


@pytest.mark.parametrize("shape", [(96, 3, 11, 11), (20, 128, 3, 3), (5, 4096), (3, 1, 400, 300)])
def test_pictures_of_all_layers(files, shape):
    draw = np.random.default_rng(0)
    names = ("reference", "similar", "dissimilar")
    run(files, [add(files, name, name, draw.normal(size=shape)) for name in names])
    with Image.open(files("comparison picture", layer="conv1")) as image:
        assert image.width < 2200
        assert image.height < 1400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda files, entries: files("prediction", image="moon").unlink(),
            "moon/prediction.json: cannot be read",
        ),
        (
            lambda files, entries: write_arrays(
                files("gradients", image="lawn", cls=3), {"conv2": np.ones(3)}
            ),
            "no gradient of layer 'conv1'; it holds conv2",
        ),
        (
            lambda files, entries: files("gradients", image="moon", cls=3).unlink(),
            "moon/gradients/3.npz: cannot be read",
        ),
    ],
)
def test_mistakes_are_one_line(files, entries, change, message):
    change(files, entries)
    with pytest.raises(UserError, match=message):
        run(files, entries)
    assert not files("comparison picture", layer="conv1").exists()


def test_titles_name_comparison_neuron_layer_and_network(files, entries):
    assert read(files, entries).title == (
        "rocks: gradient of neuron 3 with respect to conv1 of net"
    )
