"""Networks with published gradients instead of weights: mistakes, and tables."""

import numpy as np
import pytest
import yaml

from cnnvis.config.load import load_config
from cnnvis.config.page_files import index_files
from cnnvis.core.errors import ConfigError
from tests.config.test_load import COMPARISON, ROOT, THIN

PROTOTXT = THIN["networks"]["thin"]["prototxt"]


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a configuration of published gradients, and their files."""

    def config(files=("cat.npy", "moon.npy"), network=None, **changes):
        for name in files:
            np.save(tmp_path / name, np.zeros(1))
        published = {
            "prototxt": PROTOTXT,
            "gradients": {"conv1": f"{tmp_path}/{{image}}.npy"},
            "mean": [104, 117, 123],
            "score": "fc8",
            **(network or {}),
        }
        images = {name: {"path": f"skimage:{name}", "classes": [1]} for name in ("cat", "moon")}
        networks = {name: each for name, each in (("published", published),) if each}
        return {"networks": networks, "images": images, **changes}

    return config


def lines(config):
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    return caught.value.lines


def test_only_what_hangs_on_gradients_is_made(write, tmp_path):
    tables = load_config(write(attributions=["loss"]))
    assert tables["networks"]["published"]["runs"] is False
    assert tables["networks"]["published"]["weights"] is None
    assert tables["differentiated"] == {"published": ["conv1"]}
    assert tables["published"]["published"]["moon"] == {"1": [f"{tmp_path}/moon.npy"]}
    folder, suffixes = "results/published/cat", ("hd", "mhd", "nhdr", "vox")
    assert set(tables["pages"]["published"]["cat"]["shown"]) == {
        *(f"{folder}/gradients/1/conv1.{suffix}" for suffix in ("png", *suffixes)),
        *(f"{folder}/gradients/1/conv1.channels.{suffix}" for suffix in suffixes),
        *(f"{folder}/importance/1/conv1.{suffix}" for suffix in ("csv", "png")),
        f"{folder}/viewer/gradient-1-conv1.html",
        f"{folder}/viewer/gradient-1-conv1.channels.html",
    }
    linked = index_files({**tables, "class_files": {}})["shown"]
    assert not [path for path in linked if "prediction" in path or "filters" in path]


def test_a_network_with_weights_beside_it_has_all(write):
    config = write()
    both = {**config, "networks": {**config["networks"], **THIN["networks"]}}
    both["collections"] = {"cats": {"path": "photonet:cat", "cls": 1}}
    alone = {**both, "networks": THIN["networks"]}
    tables, expected = load_config(both), load_config(alone)
    for key in ("networks", "layers", "differentiated", "attributions", "pages", "classes"):
        assert tables[key]["thin"] == expected[key]["thin"]
    assert expected["published"] == {} and list(tables["classes"]) == ["thin"]


def test_a_neuron_of_a_comparison_is_taken_from_the_arrays_too(write, tmp_path):
    config = write(["cat.npy", "moon.npy", "grass.npy"], comparisons={"pets": COMPARISON})
    config["images"]["grass"] = {"path": "skimage:grass"}
    tables = load_config(config)
    assert tables["published"]["published"]["grass"] == {"1": [f"{tmp_path}/grass.npy"]}
    assert [m["correct"] for m in tables["comparisons"]["published"]["pets"]["members"]] == [
        *(True, False, True)
    ]


def test_a_pattern_may_have_the_neuron(write, tmp_path):
    gradients = {"conv1": f"{tmp_path}/{{cls}}/{{image}}.npy"}
    files = ["1/cat.npy", "7/cat.npy", "1/moon.npy"]
    for name in ("1", "7"):
        (tmp_path / name).mkdir()
    config = write(files, network={"gradients": gradients})
    config["images"]["cat"]["classes"] = [1, 7]
    assert load_config(config)["published"]["published"]["cat"] == {
        "1": [f"{tmp_path}/1/cat.npy"],
        "7": [f"{tmp_path}/7/cat.npy"],
    }


def test_arrays_are_downloaded_from_addresses_and_as_a_source_describes(write, tmp_path):
    address = "https://example.org/{image}.npy"
    tables = load_config(write(network={"gradients": {"conv1": address}}))
    (path,) = tables["published"]["published"]["cat"]["1"]
    assert path.startswith("results/downloads/") and path.endswith("-cat.npy")
    assert tables["downloads"][path] == {"urls": ["https://example.org/cat.npy"]}
    (tmp_path / "moon.npy").unlink()
    (tmp_path / "source.yaml").write_text(
        "{name: x, licence: none, files: {moon.npy: {urls: ['https://example.org/m']}}}"
    )
    tables = load_config(write(["cat.npy"]))
    assert tables["downloads"] == {f"{tmp_path}/moon.npy": {"urls": ["https://example.org/m"]}}


@pytest.mark.parametrize(
    ("network", "changes", "expected"),
    [
        (
            {"weights": THIN["networks"]["thin"]["weights"]},
            {},
            "networks.published: has both weights and gradients; expected one of them",
        ),
        (
            {"gradients": {"conv1": "{folder}/cat.npy"}},
            {},
            "networks.published.gradients.conv1: '{folder}/cat.npy' lacks {image}, which stands "
            "for the name of an image",
        ),
        (
            {"gradients": {"conv9": "{folder}/{image}.npy"}},
            {},
            "networks.published.gradients: 'conv9' is not one of the layers of published with "
            "weights; did you mean conv5? Expected one of conv1, ",
        ),
        (
            {},
            {"gradients": {"layers": ["conv2"]}},
            "gradients.layers: 'conv2' is not one of the published layers of published",
        ),
        (
            {},
            {"collections": {"cats": {"path": "photonet:cat", "cls": 1}}},
            "collections.cats: needs a network with weights; published has none",
        ),
        (
            {},
            {"images": {"brick": {"path": "skimage:brick", "classes": [1]}}},
            "networks.published.gradients.conv1: file not found: {folder}/brick.npy; expected the "
            "gradient of neuron 1 for image brick",
        ),
        (
            {},
            {"images": {"cat": {"path": "skimage:cat", "classes": [1, 7]}}},
            "networks.published.gradients.conv1: one file cannot be the gradient of the neurons "
            "1, 7 for image cat; expected one neuron in its classes and comparisons, or {cls} in ",
        ),
        ({"gradients": {}}, {}, "networks.published.gradients: {} is empty"),
        (
            {"gradients": "study/{image}.npy"},
            {},
            "networks.published.gradients: 'study/{image}.npy' is a string; expected a mapping",
        ),
    ],
)
def test_mistakes_are_named_in_one_line_each(write, tmp_path, network, changes, expected):
    if isinstance(network.get("gradients"), dict):
        patterns = network["gradients"].items()
        patterns = {key: text.replace("{folder}", str(tmp_path)) for key, text in patterns}
        network = {**network, "gradients": patterns}
    (line,) = lines(write(network=network, **changes))
    assert line.startswith("config: " + expected.replace("{folder}", str(tmp_path)))


def test_a_network_needs_weights_or_gradients():
    network = {key: x for key, x in THIN["networks"]["thin"].items() if key != "weights"}
    assert lines({**THIN, "networks": {"thin": network}}) == [
        "config: networks.thin.weights: missing; expected the path of a .caffemodel file, or "
        "published gradients in its place"
    ]


def test_a_verification_of_published_gradients_alone_is_accepted():
    config = yaml.safe_load((ROOT / "config/published.yaml").read_text())
    verify = {"study": "study", "image": "Persian_1"}
    tables = load_config({**config, "verify": verify})
    expected = "results/published/Persian_1/gradients/263.npz"
    assert tables["verify"]["run"]["files"]["Persian_1 conv1"] == expected
