"""The key lesions: which images and layers, and what is wrong with it."""

import pytest

from cnnvis.config.load import load_config
from tests.config.test_load import _in_the_root, config, lines  # noqa: F401
from tests.config.test_responses import MOONS


def test_without_the_key_there_is_nothing():
    tables = load_config(config(collections={"moons": MOONS}))
    assert tables["lesions"] == {}
    assert not any("lesions" in path for path in tables["pages"]["thin"]["cat"]["shown"])


def test_by_default_images_are_those_of_collections_and_layers_those_that_are_pruned():
    collections = {"moons": MOONS, "again": MOONS}
    facts = load_config(config(lesions={}, collections=collections))["lesions"]["thin"]
    assert [each["name"] for each in facts["image_sets"]] == ["moons", "again"]
    assert (facts["layers"], facts["zero"]) == ({"conv1": "conv1"}, "weights_and_bias")
    pruning = {"layers": ["fc6", "conv2"], "zero": "weights"}
    tables = load_config(config(lesions={}, collections=collections, pruning=pruning))
    facts = tables["lesions"]["thin"]
    assert (list(facts["layers"]), facts["zero"]) == (["fc6", "conv2"], "weights")


def test_images_and_layers_of_its_own(tmp_path):
    (tmp_path / "list.txt").write_text("a.png 3\nb.png 1\nc.png\n")
    lesions = {"images": str(tmp_path / "list.txt"), "layers": {"thin": ["conv3"]}, "limit": 2}
    tables = load_config(config(lesions=lesions, collections={"moons": MOONS}))
    facts = tables["lesions"]["thin"]
    assert [(each["name"], each["limit"]) for each in facts["image_sets"]] == [("lesions", 2)]
    assert (facts["layers"], facts["folders"]) == ({"conv3": "conv3"}, [])
    assert tables["responses"]["thin"]["image_sets"][0]["name"] == "moons"


def test_another_class_in_a_list_is_another_fingerprint(tmp_path):
    found = []
    for cls in (3, 4, 3):
        (tmp_path / "list.txt").write_text(f"a.png {cls}\n")
        tables = load_config(config(lesions={"images": str(tmp_path / "list.txt")}))
        found.append(tables["lesions"]["thin"]["images"])
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize(
    ("expected", "lesions"),
    [
        ("lesions.images: missing, and there are no collections", {}),
        ("lesions.images: collection nowhere: there is no such folder", {"images": "nowhere"}),
        ("lesions.images: 'photonet:moon' is not allowed", {"images": "photonet:moon"}),
        ("class 16 is outside score blob 'fc8', which has 0 to 9", {"images": "photonet:*"}),
        ("lesions.images: 3 is not allowed; expected a folder, a text file", {"images": 3}),
        ("lesions.limit: 0 is too small", {"limit": 0}),
        ("lesions.k: unknown key", {"k": 3}),
        ("lesions: None is null; expected a mapping", None),
        ("thin has no layer that can be pruned named 'pool1'", {"layers": ["pool1"]}),
    ],
)
def test_what_is_wrong_is_one_line(expected, lesions, tmp_path):
    (tmp_path / "list.txt").write_text("a.png 3\n")
    if lesions and "layers" in lesions:
        lesions = lesions | {"images": str(tmp_path / "list.txt")}
    assert [line for line in lines(config(lesions=lesions)) if expected in line]
    assert len(lines(config(lesions=lesions))) == 1


def test_a_limit_needs_images():
    found = lines(config(lesions={"limit": 3}, collections={"moons": MOONS}))
    assert found == ["config: lesions.limit: applies to lesions.images, which is missing"]


def test_a_class_that_the_network_does_not_have_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("a.png 3\nb.png 10\n")
    found = lines(config(lesions={"images": str(tmp_path / "list.txt")}))
    assert len(found) == 1 and "class 10 is outside score blob 'fc8'" in found[0]


def test_names_are_reserved():
    expected = "'lesions' is reserved for the results; choose another name"
    assert lines(config(collections={"lesions": MOONS})) == [f"config: collections: {expected}"]
    images = {"lesions": {"path": "skimage:cat"}}
    assert lines(config(images=images)) == [f"config: images: {expected}"]
