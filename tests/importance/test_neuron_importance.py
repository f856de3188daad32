"""One neuron's importance over images of its own class and of another, in one picture."""

import csv

import numpy as np
from PIL import Image

from cnnvis.core.colours import BLUE, ORANGE
from cnnvis.core.files import read_json
from cnnvis.core.painting import Page
from cnnvis.gradients.sorted_norms import draw_sorted_norms
from cnnvis.importance.neuron_importance import make_neuron_importance

FIELDS = ("std", "norm_of_mean", "direction", "rank_direction")


def write_sums(path, mean, images=3):
    """Write a file of `make_class_sums` whose mean norms at the layer "c" are these."""
    mean = np.array(mean, float)
    rest = {f"c/{name}": np.zeros(len(mean)) for name in FIELDS}
    numbers = {"c/directed": np.int64(0), "c/variance": np.float64(0)}
    counts = {"images": np.int64(images), "skipped": np.array([], str)}
    np.savez(path, **{"c/mean": mean}, **rest, **numbers, **counts)
    return path


def make(folder, sums, own):
    outputs = [folder / name for name in ("n.csv", "n.json", "n.png")]
    options = {"layer": "c", "neuron": 281, "image_set": "dogs", "title": "Importance"}
    make_neuron_importance(sums, own, *outputs, **options)
    return outputs


def test_table_sentence_and_picture(tmp_path):
    dogs = write_sums(tmp_path / "dogs.npz", [0.5, 0.25, 0.75])
    cats = {
        "cats": write_sums(tmp_path / "cats.npz", [16, 1, 4], 9),
        "kittens": write_sums(tmp_path / "kittens.npz", [3, 2, 1]),
    }
    table, summary, picture = make(tmp_path, dogs, cats)
    rows = list(csv.DictReader(table.open()))
    assert [(row["filter"], row["mean"], row["score"]) for row in rows] == [
        ("2", "0.75", "1"),
        ("0", "0.5", "0.5"),
        ("1", "0.25", "0"),
    ]
    found = read_json(summary)
    assert (found["cls"], found["collection"], found["images"]) == (281, "dogs", 3)
    assert found["largest"] == {"cats": 16, "kittens": 3, "dogs": 0.75}
    assert "neuron 281 is 0.75 over dogs, 16 over cats (its class)" in found["sentence"]
    with Image.open(picture) as image:
        assert image.info["Description"].startswith(found["sentence"])
        five = image.width
    _, summary, picture = make(tmp_path, dogs, {})
    assert read_json(summary)["largest"] == {"dogs": 0.75}
    with Image.open(picture) as image:
        assert "its own class" not in image.info["Description"] and image.width < five


def test_lines_go_from_the_smallest_norm_to_the_largest_on_one_scale():
    page = Page(400, 300, "")
    curves = [("one", np.array([21.0, 0.0, 10.5]), BLUE), (None, np.zeros(3), ORANGE)]
    # A limit of 22.05: the largest of the norms is a twentieth below the top.
    draw_sorted_norms(page, (80, 50, 300, 210), curves)
    pixels = np.asarray(page.image)

    def heights(colour, left):
        wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        return np.flatnonzero((pixels[:, left] == wanted).all(axis=1))

    assert 160 in heights(BLUE, 80 + 150) and heights(BLUE, 80 + 249).min() in (60, 61)
    # The legend names the first line alone.
    assert len(heights(BLUE, 100)) and not len(heights(ORANGE, 100))


def test_the_norm_of_a_single_filter_is_a_line_across_the_plot():
    page = Page(400, 300, "")
    draw_sorted_norms(page, (80, 50, 300, 210), [(None, np.array([2.0]), BLUE)])
    wanted = [int(BLUE[place : place + 2], 16) for place in (1, 3, 5)]
    columns = (np.asarray(page.image) == wanted).all(axis=2).any(axis=0)
    assert columns[85:375].all()
