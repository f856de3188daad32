"""The key maximisation: what is wrong with it, and what becomes of it."""

import pytest

from cnnvis.config.load import load_config
from cnnvis.config.presets import PRESETS, Preset
from tests.config.test_load import _in_the_root, config, lines  # noqa: F401


def maximisation(**keys):
    return config(maximisation=keys)


@pytest.mark.parametrize(
    ("place", "words", "keys"),
    [
        ("layers", "thin has no convolution named 'conv9'; did you", {"layers": {"conv9": "all"}}),
        ("layers", "conv1 of thin has no filter 16; expected 0 to 15", {"layers": {"conv1": [16]}}),
        ("layers", "'thick' is not one of the networks", {"layers": {"thick": {"conv1": "all"}}}),
        (
            "layers.conv1",
            "'each' is not allowed; expected all, or a list",
            {"layers": {"conv1": "each"}},
        ),
        ("neurons", "class 10 is outside score blob 'fc8'", {"neurons": [10]}),
        ("neurons", "'thick' is not one of the networks", {"neurons": {"thick": "all"}}),
        (
            "presets[0]",
            "'blurr' is not allowed; expected small_norms, decay",
            {"presets": ["blurr"]},
        ),
        ("presets.mine.preset", "missing, and 'mine' is not a preset", {"presets": {"mine": {}}}),
        (
            "presets.blur.jitter",
            "does not apply to rule constant",
            {"presets": {"blur": {"jitter": 2}}},
        ),
        (
            "presets.x.decay",
            "does not apply to rule adam with parametrisation fourier; expected steps",
            {"presets": {"x": {"preset": "fourier", "decay": 0.1}}},
        ),
        (
            "presets.x.radius",
            "does not apply to rule trust with parametrisation fourier; expected steps",
            {"presets": {"x": {"preset": "trust", "parametrisation": "fourier", "radius": 3}}},
        ),
        (
            "presets.blur.rate",
            "-1 is not allowed; expected a number above 0",
            {"presets": {"blur": {"rate": -1}}},
        ),
        ("seeds", "0 is too small; expected a whole number of at least 1", {"seeds": 0}),
        ("steps", "0 is too small; expected a whole number of at least 1", {"steps": 0}),
    ],
)
def test_what_is_wrong_is_one_line(place, words, keys):
    (line,) = lines(maximisation(**keys))
    assert line.startswith(f"config: maximisation.{place}: ")
    assert words in line


def test_nothing_is_maximised_by_default():
    assert load_config(config())["maximisation"]["networks"] == {"thin": {}}


def test_filters_and_neurons_of_a_network():
    keys = {"layers": {"conv1": [3, 1], "conv2": "all", "conv3": []}, "neurons": "all"}
    table = load_config(maximisation(**keys, seeds=2))["maximisation"]
    assert table["seeds"] == 2
    targets = table["networks"]["thin"]
    assert targets["conv1"] == {"layer": "conv1", "blob": "conv1", "channels": [3, 1]}
    assert targets["conv2"]["channels"] == list(range(24))
    assert targets["fc8"] == {"layer": None, "blob": "fc8", "channels": list(range(10))}
    assert list(targets) == ["conv1", "conv2", "fc8"]


def test_each_network_has_its_own():
    keys = {"layers": {"other": {"conv1": [0]}}, "neurons": {"thin": [5]}}
    both = maximisation(**keys)
    both["networks"]["other"] = both["networks"]["thin"]
    networks = load_config(both)["maximisation"]["networks"]
    assert {name: list(targets) for name, targets in networks.items()} == {
        "thin": ["fc8"],
        "other": ["conv1"],
    }


def test_presets_by_name_and_with_other_numbers():
    def presets(**keys):
        made = load_config(maximisation(**keys))["maximisation"]["presets"]
        return {name: Preset(**numbers) for name, numbers in made.items()}

    assert list(presets()) == ["trust", "blur", "fourier"]
    assert presets(presets=["decay"]) == {"decay": PRESETS["decay"]}
    own = {"blur": None, "soft": {"preset": "blur", "blur_width": 2, "steps": 9}}
    assert presets(presets=own) == {
        "blur": PRESETS["blur"],
        "soft": Preset("constant", 9, rate=100, decay=0.0001, blur_width=2, blur_every=4),
    }
    few = presets(presets=["trust", "blur"], steps=300)
    assert [preset.steps for preset in few.values()] == [100, 300]


def test_the_score_of_a_convolution_is_named_once():
    wrong = maximisation(layers={"conv5": "all"}, neurons=[0])
    wrong["networks"]["thin"]["score"] = "conv5"
    wrong["images"] = {"moon": {"path": "skimage:moon"}}
    found = lines(wrong)
    assert any("conv5 is the score of thin; name its filters in neurons only" in x for x in found)
