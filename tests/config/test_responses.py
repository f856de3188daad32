"""The key responses: which images and layers, and what is wrong with it."""

import pytest

from cnnvis.config.load import load_config
from tests.config.test_load import _in_the_root, config, lines  # noqa: F401

MOONS = {"path": "photonet:moon", "cls": 3, "limit": 2}


def test_without_images_there_is_nothing():
    tables = load_config(config())
    assert tables["responses"] == {}
    assert not any("responses" in path for path in tables["pages"]["thin"]["cat"]["shown"])


def test_by_default_the_images_are_those_of_all_collections():
    tables = load_config(config(collections={"moons": MOONS, "again": MOONS}))
    facts = tables["responses"]["thin"]
    assert [each["name"] for each in facts["image_sets"]] == ["moons", "again"]
    assert facts["folders"] == ["results/collections/moons", "results/collections/again"]
    assert list(facts["layers"]) == [f"conv{number}" for number in range(1, 6)]
    assert facts["k"] == 9
    assert "results/thin/responses/conv1.html" in tables["pages"]["thin"]["cat"]["shown"]


def test_all_collections_are_divided_among_jobs_together():
    tables = load_config(config(collections={"moons": MOONS, "again": MOONS}, images_per_job=2))
    portions = {"0": {"moons": [0, 1]}, "1": {"again": [0, 1]}}
    assert tables["responses"]["thin"]["portions"] == portions
    said = "images_per_job: 0 is too small; expected a whole number of at least 1"
    assert lines(config(images_per_job=0)) == [f"config: {said}"]


def test_images_and_layers_of_its_own(tmp_path):
    (tmp_path / "list.txt").write_text("a.png 3\nb.png 1\n")
    responses = {"images": str(tmp_path / "list.txt"), "layers": ["conv2"], "k": 4, "limit": 1}
    tables = load_config(config(responses=responses, collections={"moons": MOONS}))
    facts = tables["responses"]["thin"]
    assert [each["cls"] for each in facts["image_sets"]] == [None]
    assert facts["image_sets"][0]["limit"] == 1
    assert (facts["layers"], facts["k"], facts["folders"]) == ({"conv2": "conv2"}, 4, [])


def test_crops_of_all_photographs():
    facts = load_config(config(responses={"images": "photonet:*"}))
    assert facts["collections"]["responses"]["crops"] == 12
    assert facts["collections"]["responses"]["size"] == 12 * 17
    image_set = facts["responses"]["thin"]["image_sets"][0]
    assert image_set["path"] == "results/collections/responses/images.txt"
    assert image_set["limit"] is None


@pytest.mark.parametrize(
    ("expected", "responses"),
    [
        ("responses.images: collection nowhere: there is no such folder", {"images": "nowhere"}),
        ("responses.images: 'photonet:moon' is not allowed", {"images": "photonet:moon"}),
        ("responses.limit: applies to responses.images, which is missing", {"limit": 3}),
        ("expected a whole number from 1 to 50", {"k": 0}),
        ("responses.layers: thin has no convolution named 'fc8'", {"layers": ["fc8"]}),
    ],
)
def test_what_is_wrong_is_one_line(expected, responses):
    assert [line for line in lines(config(responses=responses)) if expected in line]
    assert len(lines(config(responses=responses))) == 1


def test_a_collection_of_this_name_is_refused():
    expected = "collections: 'responses' is reserved for the results; choose another name"
    assert [f"config: {expected}"] == lines(config(collections={"responses": MOONS}))
