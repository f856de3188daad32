import copy
import re
from pathlib import Path

import pytest
import yaml

from cnnvis.config.load import SCHEMA, check_readable, load_config
from cnnvis.core.errors import ConfigError, UserError
from cnnvis.engines.model import Model

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = "tests/goldens"
THIN = {
    "networks": {
        "thin": {
            "prototxt": f"{GOLDENS}/caffenet_thin.prototxt",
            "weights": f"{GOLDENS}/caffenet_thin.caffemodel",
            "mean": [104, 117, 123],
            "score": "fc8",
        }
    },
    "images": {
        "cat": {"path": "skimage:cat", "classes": [1]},
        "moon": {"path": "skimage:moon"},
        "grass": {"path": "skimage:grass"},
    },
}
COMPARISON = {
    "neuron": 1,
    "reference": {"cls": 1, "correct": ["cat"]},
    "similar": {"cls": 2, "wrong": ["grass"]},
    "dissimilar": {"cls": 3, "correct": ["moon"]},
}


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def config(**changes):
    """Return a config that is right, with changes such as images__cat__crop=[...]."""
    result = copy.deepcopy(THIN)
    for place, value in changes.items():
        *folders, key = place.split("__")
        node = result
        for folder in folders:
            node = node.setdefault(folder, {})
        node[key] = value
    return result


def lines(wrong):
    with pytest.raises(ConfigError) as caught:
        load_config(wrong)
    return caught.value.lines


SLICES = {"method": "study", "seed": 123, "starts": 1000, "cluster_order": "labels"}
SLICES |= {"stability": True}


def test_what_is_left_out_is_filled_in():
    tables = load_config(config())
    assert tables["engine"] == "numpy"
    assert {name: ordering["how"] for name, ordering in tables["orderings"].items()} == {
        "natural": {"method": "natural"},
        "pca": {"method": "pca"},
        "shortest": {"metric": "euclidean", "method": "shortest"},
    }
    assert not any(ordering["shared"] for ordering in tables["orderings"].values())
    layers = tables["layers"]["thin"]
    # 20x5 is left out, because conv1 has 16 filters.
    assert layers["conv1"]["slices"] == SLICES | {"rows": [15], "k": [3, 7, 10]}
    # It has fewer than 16 rows.
    assert layers["conv2"]["slices"] == SLICES | {"rows": [], "k": [3, 7, 10], "stability": False}
    assert all(layers[f"conv{i}"]["volumes"] for i in range(1, 6))
    assert tables["differentiated"] == {"thin": ["conv1", "conv2"]}
    assert tables["networks"]["thin"]["preprocessing"]["shape"] == (3, 115, 115)


def test_slices_of_all_rows_and_of_scikit_learn():
    slices = {"rows": "all", "method": "scikit-learn", "k": ["16x2", 5], "stability": False}
    tables = load_config(config(slices=slices))
    for layer, height in (("conv1", 27), ("conv2", 13), ("conv5", 6)):
        cut = tables["layers"]["thin"][layer]["slices"]
        assert cut["rows"] == list(range(height))
        assert (cut["k"], cut["starts"], cut["stability"]) == (["16x2", 5], 10, False)
    shown = tables["pages"]["thin"]["cat"]["shown"]
    assert "results/thin/cat/slices/conv2/row-12/kmeans-16x2.png" in shown
    assert not [path for path in shown if path.endswith("stability.png")]
    shown = load_config(config())["pages"]["thin"]["cat"]["shown"]
    assert [path for path in shown if "stability" in path] == [
        f"results/thin/cat/slices/conv1/stability.{suffix}" for suffix in ("json", "png")
    ]


def test_the_configuration_of_the_user_is_not_changed():
    original = config(networks__thin__mean="models/mean.npy", orderings=["pca"])
    before = copy.deepcopy(original)
    with pytest.raises(ConfigError):
        load_config(original)
    assert original == before


def test_a_mean_file_alone_means_its_pixel(tmp_path):
    (tmp_path / "mean.npy").write_bytes(b"")
    tables = load_config(config(networks__thin__mean=str(tmp_path / "mean.npy")))
    network = tables["networks"]["thin"]
    assert network["preprocessing"]["mean"] == {"file": str(tmp_path / "mean.npy"), "use": "pixel"}
    assert network["mean_file"] == [str(tmp_path / "mean.npy")]


def test_layers_with_slashes_have_names_for_paths():
    tables = load_config(
        config(
            networks__thin__prototxt=f"{GOLDENS}/squeezenet_thin.prototxt",
            networks__thin__score="pool10",
            orderings=["natural"],
            slices__k=[2],
            gradients__layers=["f2/squeeze1x1"],
        )
    )
    assert tables["differentiated"]["thin"] == ["f2/squeeze1x1"]
    layer = tables["layers"]["thin"]["f2-squeeze1x1"]
    assert layer["name"] == layer["blob"] == "f2/squeeze1x1"
    shown = tables["pages"]["thin"]["cat"]["shown"]
    assert "results/thin/cat/gradients/1/f2-squeeze1x1.png" in shown


def test_layers_may_differ_between_networks():
    two = config(volumes__layers={"other": ["conv5"]})
    two["networks"]["other"] = THIN["networks"]["thin"]
    layers = load_config(two)["layers"]
    assert [name for name, layer in layers["other"].items() if layer["volumes"]] == ["conv5"]
    assert all(layers["thin"][f"conv{i}"]["volumes"] for i in range(1, 6))


def test_comparison_members_come_in_the_order_of_groups():
    comparison = load_config(config(comparisons={"pets": COMPARISON}))["comparisons"]["thin"][
        "pets"
    ]
    members = comparison["members"]
    assert [member["group"] for member in members] == ["reference", "similar", "dissimilar"]
    assert [member["image"] for member in members] == ["cat", "grass", "moon"]
    assert comparison["layers"] == ["conv1", "conv2"]


def test_images_for_comparisons_only_show_nothing_else():
    pages = load_config(config(images__moon__artefacts="comparisons"))["pages"]["thin"]
    assert not any(pages["moon"].values())
    assert any(pages["cat"].values())


def test_an_image_is_for_the_networks_it_names():
    two = config(images__cat__networks=["other"])
    two["networks"]["other"] = THIN["networks"]["thin"]
    pages = load_config(two)["pages"]
    assert "cat" in pages["other"]
    assert "cat" not in pages["thin"]


@pytest.mark.parametrize("score", ["conv5", "fc88"])
def test_a_score_that_has_no_neurons_fails_with_the_words_of_the_job(score):
    """A map of scores, or a blob that does not exist; the classes of images add nothing."""
    with pytest.raises(UserError) as job:
        Model(THIN["networks"]["thin"]["prototxt"], "", score).check_neuron(1)
    assert lines(config(networks__thin__score=score)) == [
        f"config: networks.thin.score: {job.value}"
    ]


WRONG = {
    "engine: 'torch' is not allowed; expected numpy or pycaffe": {"engine": "torch"},
    "networks.thin.mean: [1, 2] is too short; expected three BGR numbers, the path of a .npy": {
        "networks__thin__mean": [1, 2]
    },
    "networks.thin.mean: 3 is not allowed; expected three BGR numbers": {"networks__thin__mean": 3},
    "networks.thin.mean.use: 'all' is not allowed; expected": {
        "networks__thin__mean": {"file": "m.npy", "use": "all"}
    },
    "networks.thin.mean[1]: nan is not a finite number; expected three BGR": {
        "networks__thin__mean": [1.0, float("nan"), 2]
    },
    "networks.thin.mean: file not found: m.npy": {"networks__thin__mean": "m.npy"},
    "networks.thin.mean: README.md is neither .npy nor .binaryproto": {
        "networks__thin__mean": f"{ROOT}/pyproject.toml"
    },
    "networks.thin.weights: file not found: missing.caffemodel": {
        "networks__thin__weights": "missing.caffemodel"
    },
    "networks.thin.labels: file not found: labels.txt": {"networks__thin__labels": "labels.txt"},
    "networks.thin.labels: models/photonet/labels.txt: 17 labels, but the score blob has 10": {
        "networks__thin__labels": "models/photonet/labels.txt"
    },
    "networks.thin.prototxt: pyproject.toml": {"networks__thin__prototxt": "pyproject.toml"},
    "networks.thin.score: tests/goldens/caffenet_thin.prototxt: score blob 'fc88' does not exist; "
    "did you mean fc8?": {"networks__thin__score": "fc88"},
    "networks.thin.input_scale: 0 is not allowed; expected a number other than 0": {
        "networks__thin__input_scale": 0
    },
    "networks: {} is empty; expected at least one network": {"networks": {}},
    "networks: [] is a list; expected at least one network": {"networks": []},
    "networks.thin: None is null; expected a mapping with the keys": {"networks__thin": None},
    "images.cat.pth: unknown key; did you mean path?": {"images__cat__pth": "x.png"},
    "images.cat.path: missing; expected the path of an image file": {
        "images__cat": {"classes": [1]}
    },
    "images.cat.path: file not found: cat.jpg; expected an image file": {
        "images__cat__path": "cat.jpg"
    },
    "images.cat.path: skimage:dog: skimage ships no image 'dog'": {
        "images__cat__path": "skimage:dog"
    },
    "images.cat.classes[0]: '8' is a string; expected a list of class numbers": {
        "images__cat__classes": ["8"]
    },
    "images.cat.classes[0]: 1.0 is not a whole number": {"images__cat__classes": [1.0]},
    "images.cat.classes[0]: True is a boolean": {"images__cat__classes": [True]},
    "images.cat.classes: tests/goldens/caffenet_thin.prototxt: class 10 is outside score blob "
    "'fc8', which has 0 to 9": {"images__cat__classes": [10]},
    "images.cat.classes[0]: -1 is too small": {"images__cat__classes": [-1]},
    "images.cat.classes: [1, 1] contains duplicates": {"images__cat__classes": [1, 1]},
    "images.cat.crop: [0, 0, 9] is too short; expected [top, left, height, width]": {
        "images__cat__crop": [0, 0, 9]
    },
    "images.cat.crop: [0, 0, 0, 9] is empty; expected a height and a width": {
        "images__cat__crop": [0, 0, 0, 9]
    },
    "images.cat.networks: 'thinn' is not one of the networks; did you mean thin?": {
        "images__cat__networks": ["thinn"]
    },
    "images: key 'my cat' cannot be used as a name in paths; expected a name of": {
        "images__my cat": {"path": "skimage:cat"}
    },
    "images: key '../cat' cannot be used as a name in paths": {
        "images__../cat": {"path": "skimage:cat"}
    },
    "images: 'filters' is reserved for the results; choose another name": {
        "images__filters": {"path": "skimage:cat"}
    },
    "images: 'index.html' is reserved for the results; choose another name": {
        "images__index.html": {"path": "skimage:cat"}
    },
    "images: key 1 is a number; write it in quotes": {
        "images": {1: {}, "cat": {"path": "skimage:cat"}}
    },
    "orderings[1]: 'kmean' is not allowed; "
    "expected natural, kmeans, pca, leaf, shortest or spectral": {"orderings": ["pca", "kmean"]},
    "orderings.mine.method: missing, and 'mine' is not a method": {"orderings": {"mine": {"k": 3}}},
    "orderings.pca.k: k applies to kmeans only, not to pca": {"orderings": {"pca": {"k": 3}}},
    "orderings.pca.metric: metric applies to leaf and shortest and spectral only, not to pca": {
        "orderings": {"pca": {"metric": "cosine"}}
    },
    "orderings.leaf.metric: 'angle' is not allowed; expected euclidean, cosine or correlation": {
        "orderings": {"leaf": {"metric": "angle"}}
    },
    "orderings.kmeans.k: 17 is more than the 16 filters of conv1 in thin": {
        "orderings": {"kmeans": {"k": 17}}
    },
    "slices.rows: 28 is outside every convolution of thin; expected 0 to 26": {
        "slices__rows": [28]
    },
    "slices.rows: 15 is outside conv5 of thin; expected 0 to 5": {"slices__layers": ["conv5"]},
    "slices.k: 17 is more than the 16 filters of conv1 in thin": {"slices__k": [17]},
    "slices.k: 20 is more than the 16 filters of conv1 in thin": {"slices__k": ["20x5"]},
    "slices.k: 5x9 makes 9 clusters of 5; expected fewer, as in 20x5": {"slices__k": ["5x9"]},
    "slices.k[1]: '20:5' is not allowed; expected a whole number of at least 2, or two": {
        "slices__k": [2, "20:5"]
    },
    "slices.k[0]: '1x5' is not allowed; expected a whole number of at least 2": {
        "slices__k": ["1x5"]
    },
    "slices.method: 'scipy' is not allowed; expected study or scikit-learn": {
        "slices__method": "scipy"
    },
    "slices.rows: 'each' is not allowed; expected all, or a list of row numbers": {
        "slices__rows": "each"
    },
    "slices.starts: 0 is too small; expected a whole number of at least 1": {"slices__starts": 0},
    "slices.cluster_order: 'size' is not allowed; expected labels or similarity": {
        "slices__cluster_order": "size"
    },
    "volumes.layers: thin has no convolution named 'fc6'; expected one of conv1": {
        "volumes__layers": ["fc6"]
    },
    "volumes.layers: 'thick' is not one of the networks; did you mean thin?": {
        "volumes__layers": {"thick": ["conv1"]}
    },
    "volumes.percentile: 101 is too large; expected a number from 0 to 100": {
        "volumes__percentile": 101
    },
    "volumes.binarise: 'otso' is not allowed; expected positive, otsu, percentile or a": {
        "volumes__binarise": "otso"
    },
    "gradients.layers: thin has no layer with weights named 'conv11'; did you mean conv1?": {
        "gradients__layers": ["conv11"]
    },
    "gradients.orderings: 'pcs' is not one of the orderings; did you mean pca?": {
        "gradients__orderings": ["pcs"]
    },
    "gradients.orderings: 12 is more than the 10 filters of fc8 in thin": {
        "orderings": {"kmeans": {"k": 12}},
        "gradients__layers": ["fc8"],
        "gradients__orderings": ["kmeans"],
    },
    "class_importance.layers: thin has no layer with weights named 'pool1'; expected": {
        "class_importance__layers": {"thin": ["pool1"]}
    },
    "class_importance.layers: 'thick' is not one of the networks; did you mean thin?": {
        "class_importance__layers": {"thick": ["conv1"]}
    },
    "pruning.layers: thin has no layer that can be pruned named 'conv9'; did you mean conv": {
        "pruning__layers": ["conv9"]
    },
    "pruning.write[1]: 1 is not allowed; expected a number above 0 and below 1": {
        "pruning__write": [0.5, 1]
    },
    "pruning.write[0]: 0 is not allowed; expected a number above 0": {"pruning__write": [0]},
    "pruning.write: [0.3, 0.3] contains duplicates": {"pruning__write": [0.3, 0.3]},
    "pruning.write: 0.3 is a number; expected a list of numbers above 0": {"pruning__write": 0.3},
    "colours: unknown key; expected one of engine, pycaffe, networks": {"colours": 3},
}


@pytest.mark.parametrize("start", WRONG)
def test_a_mistake_is_one_line_with_key_value_and_expectation(start):
    found = lines(config(**WRONG[start]))
    start = start.replace("README.md", f"{ROOT}/pyproject.toml")
    assert len(found) == 1
    assert found[0].startswith(f"config: {start}")
    assert "\n" not in found[0]


@pytest.mark.parametrize(
    ("place", "value", "start"),
    [
        ("neuron", 10, f"comparisons.pets.neuron: {GOLDENS}/caffenet_thin.prototxt: class 10 is"),
        ("networks", ["fat"], "comparisons.pets.networks: 'fat' is not one of the networks"),
        ("layers", ["conv3"], "comparisons.pets.layers: 'conv3' is not one of the grad"),
        (
            "similar",
            {"cls": 2},
            "comparisons.pets.similar: has no images; expected some in correct or wrong",
        ),
        (
            "similar",
            {"cls": 2, "wrong": ["gras"]},
            "comparisons.pets.similar: 'gras' is not one of the images; did you mean grass?",
        ),
        (
            "similar",
            {"cls": 2, "wrong": ["cat"]},
            "comparisons.pets.similar: 'cat' is listed twice in this comparison",
        ),
        ("similar", {"cls": 10, "wrong": ["grass"]}, "comparisons.pets.similar.cls: tests/"),
    ],
)
def test_a_mistake_in_a_comparison_is_one_line(place, value, start):
    found = lines(config(comparisons={"pets": {**COMPARISON, place: value}}))
    assert [line.startswith(f"config: {start}") for line in found] == [True]


def test_all_mistakes_are_shown_at_once():
    found = lines(
        config(
            engine="torch",
            images__cat__path="nowhere.png",
            images__moon__classes=["a"],
            slices__rows=[99],
            comparisons={"pets": {**COMPARISON, "neuron": 77}},
        )
    )
    keys = [re.match(r"config: ([\w.\[\]]+)", line).group(1) for line in found]
    assert sorted(keys) == [
        "comparisons.pets.neuron",
        "engine",
        "images.cat.path",
        "images.moon.classes[0]",
        "slices.rows",
    ]


def test_an_image_that_is_wrong_is_not_reported_missing_where_it_is_named():
    found = lines(config(images__cat__crop="all", comparisons={"pets": COMPARISON}))
    assert [line.split(": ")[1] for line in found] == ["images.cat.crop"]


@pytest.mark.parametrize("value", [None, [], [1], "text", 3])
def test_a_config_that_is_no_mapping_is_one_line(value):
    assert len(lines(value)) == 1


def test_an_empty_mapping_names_what_is_missing():
    assert [line.split(";")[0] for line in lines({})] == [
        "config: networks: missing",
        "config: images: missing",
    ]


def test_a_key_that_stands_twice_is_named_with_its_lines(tmp_path):
    file = tmp_path / "twice.yaml"
    file.write_text("images:\n  cat: {path: a}\n  dog: {path: b}\n  cat: {path: c}\n")
    line = f"config: {file}: duplicate key images.cat (lines 2 and 4); keep one"
    with pytest.raises(ConfigError) as caught:
        load_config(config(), [file])
    assert caught.value.lines == [line]


@pytest.mark.parametrize("text", ["a: [b", "a: \0", "\tb: 1"])
def test_a_file_that_is_not_yaml_is_one_line(tmp_path, text):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match="cannot be read as YAML") as caught:
        load_config(config(), [file])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [b", "a: 2026-13-45", "a: " + "[" * 5000, None])
def test_a_file_that_snakemake_cannot_read_either_is_one_line(tmp_path, text):
    file = tmp_path / "broken.yaml"
    if text:
        file.write_text(text)
    with pytest.raises(UserError, match=f"^config: {file}: cannot be read as YAML") as caught:
        check_readable(file)
    assert "\n" not in str(caught.value)


def test_the_schema_describes_every_key_and_says_what_it_expects():
    schema = yaml.safe_load(SCHEMA.read_text())
    missing = list(_undescribed(schema, ""))
    assert missing == []


def _undescribed(schema, place):
    if not isinstance(schema, dict):
        return
    for key, value in schema.get("properties", {}).items():
        if "description" not in value:
            yield f"{place}.{key}"
    for key, value in schema.items():
        children = value if isinstance(value, list) else [value]
        for child in children:
            yield from _undescribed(child, f"{place}.{key}")


def test_defaults_suit_a_small_network(tmp_path, monkeypatch):
    """What nobody asked for is made smaller; what somebody did is a mistake."""
    monkeypatch.chdir(tmp_path)
    Path("small.prototxt").write_text(
        'input: "data" input_shape { dim: 1 dim: 3 dim: 9 dim: 9 }\n'
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"\n'
        "  convolution_param { num_output: 4 kernel_size: 2 } }\n"
        'layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"\n'
        "  pooling_param { pool: AVE global_pooling: true } }\n"
    )
    Path("small.caffemodel").write_bytes(b"")
    files = {"prototxt": "small.prototxt", "weights": "small.caffemodel"}
    config = {
        "networks": {"small": {**files, "mean": [0, 0, 0], "score": "pool"}},
        "images": {"cat": {"path": "skimage:cat"}},
    }
    tables = load_config(config | {"orderings": ["natural", "kmeans"]})
    assert tables["orderings"]["kmeans"]["how"] == {"method": "kmeans", "k": 4, "seed": 0}
    slices = tables["layers"]["small"]["conv"]["slices"]
    assert slices == SLICES | {"rows": [4], "k": [3, 4]}
    asked = {"slices": {"rows": [15], "k": [7]}, "orderings": {"kmeans": {"k": 10}}}
    with pytest.raises(ConfigError) as error:
        load_config(config | asked)
    assert len(error.value.lines) == 2


def anchored(depth):
    """Return lists in lists that are ten times the same, as anchors of YAML make them."""
    value = ["x"] * 10
    for _ in range(depth):
        value = [value] * 10
    return value


def in_itself():
    value = {}
    value["a"] = [value]
    return value


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (anchored(9), "has more than 500000 values"),
        (in_itself(), "images.cat.a.* nested more than 20 deep, or contains itself"),
        (nested(5000), "images.cat.* nested more than 20 deep"),
        ({"path": "a.jpg", "classes": [16**5000]}, "images.cat.classes.0.: a whole number of more"),
    ],
)
def test_values_without_end_are_one_line(value, reason):
    with pytest.raises(UserError, match=f"^config: {reason}") as caught:
        load_config(config(images__cat=value))
    assert "\n" not in str(caught.value)


def test_an_anchor_bomb_is_searched_for_duplicates_once(tmp_path):
    bomb = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    (tmp_path / "bomb.yaml").write_text("\n".join([*bomb, "loop: &loop {loop: *loop}"]))
    load_config(config(), [tmp_path / "bomb.yaml"])


@pytest.mark.parametrize("name", ["index.html", "parity.html", "classes", "verify.json"])
def test_names_of_the_results_are_not_those_of_networks(name):
    changed = config()
    changed["networks"][name] = changed["networks"].pop("thin")
    assert f"config: networks: {name!r} is reserved for the results; choose another name" in lines(
        changed
    )


@pytest.mark.parametrize("name", ["a" * 101, "cat\n", "parity.json"])
def test_names_that_are_no_folders(name):
    assert any(
        repr(name)[:40] in line
        for line in lines(config(**{f"images__{name}": {"path": "skimage:cat"}}))
    )


@pytest.mark.parametrize("path", ["x" * 5000, "https://[", "a\0b"])
@pytest.mark.parametrize("key", ["images__cat__path", "networks__thin__labels"])
def test_paths_that_cannot_be(path, key):
    assert any("file not found" in line for line in lines(config(**{key: path})))


@pytest.mark.parametrize("path", ["/", "/**/*.xyz", "/*/**/a.jpg", "/etc/../**/*.png"])
def test_the_whole_file_system_is_not_searched(path):
    wrong = lines(config(collections={"all": {"path": path, "cls": 1}}))
    assert any("would search the whole file system" in line for line in wrong)
