"""Image sets, class importance and pruning in a configuration: mistakes, and tables."""

import os

import pytest
from PIL import Image

from cnnvis.config.collections import check_collections, resolve_collections
from cnnvis.engines.model import Model
from tests.engines.goldens import GOLDENS
from tests.tiny_network import tiny_model


@pytest.fixture(scope="module")
def models():
    return {
        "thin": Model(GOLDENS / "caffenet_thin.prototxt", "", "fc8"),
        "thinner": Model(GOLDENS / "squeezenet_thin.prototxt", "", "prob"),
    }


@pytest.fixture
def infos(models):
    return {name: model.info for name, model in models.items()}


@pytest.fixture
def folder(tmp_path):
    for index in range(3):
        Image.new("RGB", (2, 2)).save(tmp_path / f"{index}.png")
    return tmp_path


NETWORKS = {name: {"gradients": {}} for name in ("thin", "thinner", "net")}
EMPTY = {"networks": NETWORKS, "gradients": {}, "class_importance": {}, "pruning": {}}


def mistakes(models, collections, networks=("thin", "thinner"), **config):
    config = {**EMPTY, "collections": collections, **config}
    return list(check_collections(config, {"networks": list(networks)}, models))


def test_what_is_right_is_no_mistake(models, folder):
    collections = {
        "cats": {"path": str(folder), "cls": 9, "networks": ["thin"], "neurons": [0, 9]},
        "moons": {"path": "photonet:moon", "cls": 0},
        "some": {"path": [str(folder / "*.png")], "cls": 0, "limit": 2},
    }
    pruning = {"layers": {"thin": ["conv2", "fc6"]}, "collections": ["cats"], "steps": [1, 24]}
    assert mistakes(models, collections, pruning=pruning) == []
    assert mistakes(models, {}) == []


@pytest.mark.parametrize(
    ("collections", "config", "words"),
    [
        ({"x": {"path": "/nowhere", "cls": 0}}, {}, ["collections.x.path", "no such folder"]),
        ({"x": {"path": "/nowhere"}}, {}, ["collections.x.path", "no such folder"]),
        ({"x": {"path": "photonet:cat"}}, {}, ["collections.x.cls: is missing; expected"]),
        ({"x": {"path": "."}}, {}, ["collections.x.cls: is missing; expected"]),
        ({"x": {"path": "photonet:*"}}, {}, ["collections.x.cls: ", "class 16 is outside"]),
        ({"x": {"path": "photonet:*", "cls": 1}}, {}, ["collections.x.path: ", "'*'"]),
        (
            {"x": {"path": "photonet:mon", "cls": 0}},
            {},
            ["'mon' is not one of the photographs", "moon"],
        ),
        (
            {"x": {"path": "photonet:cat", "cls": 10}},
            {},
            ["cls: ", "class 10 is outside score blob 'fc8', which has 0 to 9"],
        ),
        (
            {"x": {"path": "photonet:cat", "cls": 0, "neurons": [9, 11]}},
            {},
            ["neurons: ", "class 11 is outside score blob 'fc8', which has 0 to 9"],
        ),
        (
            {"x": {"path": "photonet:cat", "cls": 0, "networks": ["thim"]}},
            {},
            ["'thim' is not one of the networks", "thin"],
        ),
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
def test_mistakes_are_named_in_one_line_each(models, collections, config, words):
    models = {"thin": models["thin"]}
    (line,) = mistakes(models, collections, ["thin"], **config)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_a_deconvolution_has_no_filters_to_prune(tmp_path):
    """The first axis of its weights counts its inputs: here 3, of which it makes 5 feature maps."""
    (tmp_path / "net.prototxt").write_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
        'layer { name: "up" type: "Deconvolution" bottom: "data" top: "up"\n'
        "  convolution_param { num_output: 5 kernel_size: 2 } }\n"
        'layer { name: "conv" type: "Convolution" bottom: "up" top: "conv"\n'
        "  convolution_param { num_output: 4 kernel_size: 9 } }\n"
    )
    model = Model(tmp_path / "net.prototxt", "", "conv")
    info = model.info
    assert info.filters == {"conv": 4}
    config = {
        **EMPTY,
        "collections": {"x": {"path": "photonet:cat", "cls": 0}},
        "pruning": {"steps": [4]},
    }

    def lines():
        return list(check_collections(config, {"networks": ["net"]}, {"net": model}))

    # By default the first convolution that can be pruned, of which the steps are checked.
    assert lines() == []
    assert resolve_collections(config, {"net": info})["classes"]["net"]["x"]["pruned"] == ["conv"]
    assert resolve_collections(config, {"net": info})["pruned"] == {}
    config["pruning"]["write"] = [0.3, 0.00001]
    pruned = resolve_collections(config, {"net": info})["pruned"]
    assert pruned == {"0.3": 0.3, "0.00001": 0.00001}
    assert lines() == []
    config["pruning"]["steps"] = [5]
    assert lines() == ["pruning.steps: 5 is more than the 4 filters of conv in net"]


def test_a_layer_of_one_filter_has_none_to_do_without(tmp_path):
    model = tiny_model(tmp_path)
    collections = {"x": {"path": "photonet:cat", "cls": 0}}
    config = {**EMPTY, "collections": collections}
    config["pruning"] = {"layers": ["conv/2"], "write": [0.5]}
    assert list(check_collections(config, {"networks": ["net"]}, {"net": model})) == [
        "pruning.write: conv/2 of net has a single filter, which cannot be removed; "
        "name other layers in pruning.layers"
    ]


def test_tables(infos, folder):
    config = {
        **EMPTY,
        "collections": {
            "cats": {"path": str(folder), "cls": 1, "limit": 2},
            "moons": {"path": "photonet:moon", "cls": 10, "networks": ["thin"]},
        },
        "gradients": {"layers": {"thin": ["conv2"]}},
        "pruning": {"layers": {"thin": ["conv1", "conv2"]}, "collections": ["moons"]},
    }
    tables = resolve_collections(config, infos)
    cats, moons = tables["collections"]["cats"], tables["collections"]["moons"]
    assert cats["image_set"] == {"name": "cats", "path": str(folder), "cls": 1, "limit": 2}
    assert (cats["folders"], cats["label"]) == ([], None)
    assert moons == {
        "image_set": {
            "name": "moons",
            "path": "results/collections/moons",
            "cls": 10,
            "limit": None,
        },
        "crops": 200,
        "images": None,
        "size": 200,
        "label": "moon",
        "folders": ["results/collections/moons"],
        "portions": {},
    }
    assert tables["summed"]["thin"] == ["conv2", "conv1"]
    assert tables["classes"]["thin"]["moons"] == {
        "layers": ["conv2"],
        "pruned": ["conv1", "conv2"],
        "criteria": ["conv1", "conv2"],
        "others": ["cats"],
        "neurons": {},
        "image_sets": [moons["image_set"], cats["image_set"]],
        "images": [None, cats["images"]],
        "folders": ["results/collections/moons"],
        "portions": {},
    }
    assert list(tables["classes"]["thinner"]) == ["cats"]
    os.utime(folder / "1.png", (1, 1))
    assert resolve_collections(config, infos)["collections"]["cats"]["images"] != cats["images"]
    os.utime(folder / "2.png", (1, 1))  # Beyond the limit: nothing depends on it.
    again = resolve_collections(config, infos)["collections"]["cats"]["images"]
    os.utime(folder / "2.png", (2, 2))
    assert again == resolve_collections(config, infos)["collections"]["cats"]["images"]


def test_image_sets_are_divided_among_jobs(infos, folder):
    collections = {
        "cats": {"path": str(folder), "cls": 1},
        "moons": {"path": "photonet:moon", "cls": 1, "limit": 600},
    }
    config = {**EMPTY, "collections": collections, "images_per_job": 512}
    tables = resolve_collections(config, infos)
    assert tables["collections"]["cats"]["portions"] == {}
    moons = tables["collections"]["moons"]
    assert (moons["size"], moons["portions"]) == (
        600,
        {"0": {"moons": [0, 1]}, "1": {"moons": [1, 2]}},
    )
    # Each class comes first in its own jobs.
    assert tables["classes"]["thin"]["cats"]["portions"] == {
        "0": {"cats": [0, 1], "moons": [0, 1]},
        "1": {"moons": [1, 2]},
    }
    assert tables["classes"]["thin"]["moons"]["portions"] == {
        "0": {"moons": [0, 1]},
        "1": {"moons": [1, 2], "cats": [0, 1]},
    }


def test_neurons_of_other_classes_stand_beside_the_collections_of_their_class(infos, folder):
    def collection(cls, **keys):
        return {"path": str(folder), "cls": cls, **keys}

    collections = {
        "cats": collection(1),
        "kittens": collection(1),
        "elsewhere": collection(1, networks=["thinner"]),
        "dogs": collection(2, neurons=[1, 2, 7]),
    }
    classes = resolve_collections({**EMPTY, "collections": collections}, infos)["classes"]["thin"]
    assert classes["dogs"]["neurons"] == {"1": ["cats", "kittens"], "7": []}
    assert classes["cats"]["neurons"] == {}
