"""What a configuration may say of collections, and what the workflow looks up of them."""

import os

import pytest
from PIL import Image

from cnnvis.config.collections import check_collections, resolve_collections
from cnnvis.engines.inspection import inspect
from tests.engines.goldens import GOLDENS

NETWORKS = {"thin": {"score": "fc8"}, "thinner": {"score": "prob"}}


@pytest.fixture(scope="module")
def infos():
    return {
        "thin": inspect(GOLDENS / "caffenet_thin.prototxt"),
        "thinner": inspect(GOLDENS / "squeezenet_thin.prototxt"),
    }


@pytest.fixture
def folder(tmp_path):
    for index in range(3):
        Image.new("RGB", (2, 2)).save(tmp_path / f"{index}.png")
    return tmp_path


def mistakes(infos, collections, networks=("thin", "thinner"), **config):
    config = {"networks": NETWORKS, "collections": collections, **config}
    return list(check_collections(config, {"networks": list(networks)}, infos))


def test_what_is_right_is_no_mistake(infos, folder):
    collections = {
        "cats": {"path": str(folder), "cls": 9, "networks": ["thin"]},
        "moons": {"path": "photonet:moon", "cls": 0},
        "some": {"path": [str(folder / "*.png")], "cls": 0, "limit": 2},
    }
    pruning = {"layers": {"thin": ["conv2", "fc6"]}, "collections": ["cats"], "steps": [1, 24]}
    assert mistakes(infos, collections, pruning=pruning) == []
    assert mistakes(infos, {}) == []


@pytest.mark.parametrize(
    ("collections", "config", "words"),
    [
        ({"x": {"path": "/nowhere", "cls": 0}}, {}, ["collections.x.path", "no such folder"]),
        ({"x": {"path": "photonet:mon", "cls": 0}}, {}, ["no photograph 'mon'", "moon"]),
        ({"x": {"path": "photonet:cat", "cls": 10}}, {}, ["cls: 10 is outside fc8 of thin", "9"]),
        (
            {"x": {"path": "photonet:cat", "cls": 0, "networks": ["thim"]}},
            {},
            ["'thim' is not one of the networks", "thin"],
        ),
        ({}, {"class_importance": {"layers": {"thin": ["pool1"]}}}, ["'pool1' is no layer with"]),
        ({}, {"pruning": {"layers": {"thin": ["conv9"]}}}, ["'conv9' is no layer", "conv1"]),
        (
            {"x": {"path": "photonet:cat", "cls": 0}},
            {"pruning": {"collections": ["y"]}},
            ["pruning.collections", "'y' is not one of the collections"],
        ),
        (
            {"x": {"path": "photonet:cat", "cls": 0, "networks": ["thin"]}},
            {"pruning": {"steps": [17], "layers": {"thin": ["conv1"]}}},
            ["pruning.steps", "17 is more than the 16 filters of conv1 in thin"],
        ),
    ],
)
def test_mistakes_are_named_in_one_line_each(infos, collections, config, words):
    infos = {"thin": infos["thin"]}
    (line,) = mistakes(infos, collections, ["thin"], **config)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_a_network_must_not_take_the_folder_of_the_collections(infos):
    (line,) = mistakes(infos, {}, ["thin", "collections"])
    assert "'collections' is a folder of the results" in line


def test_tables(infos, folder):
    config = {
        "collections": {
            "cats": {"path": str(folder), "cls": 1, "limit": 2},
            "moons": {"path": "photonet:moon", "cls": 10, "networks": ["thin"]},
        },
        "gradients": {"layers": {"thin": ["conv2"]}},
        "pruning": {"layers": {"thin": ["conv1", "conv2"]}, "collections": ["moons"]},
    }
    found = resolve_collections(config, infos)
    cats, moons = found["collections"]["cats"], found["collections"]["moons"]
    assert (cats["path"], cats["limit"], cats["made"], cats["label"]) == (str(folder), 2, [], None)
    assert moons["path"] == "results/collections/moons" and moons["made"] == [moons["path"]]
    assert (moons["label"], moons["limit"], moons["images"]) == ("moon", 200, None)
    assert found["summed"]["thin"] == ["conv2", "conv1"]
    assert found["classes"]["thin"]["moons"] == {
        "layers": ["conv2"],
        "pruned": ["conv1", "conv2"],
        "others": ["cats"],
        "counted": {"cats": cats, "moons": moons},
        "made": ["results/collections/moons"],
    }
    assert found["class_places"]["thin"]["pruning"] == [("moons", "conv1"), ("moons", "conv2")]
    assert list(found["classes"]["thinner"]) == ["cats"]
    assert ("thinner", "cats", "conv1") in found["class_pictures"]
    os.utime(folder / "1.png", (1, 1))
    assert resolve_collections(config, infos)["collections"]["cats"]["images"] != cats["images"]
    os.utime(folder / "2.png", (1, 1))  # Beyond the limit: nothing depends on it.
    again = resolve_collections(config, infos)["collections"]["cats"]["images"]
    os.utime(folder / "2.png", (2, 2))
    assert again == resolve_collections(config, infos)["collections"]["cats"]["images"]
