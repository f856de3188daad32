import doctest
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import slices
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.core.places import Places


@pytest.fixture
def maps():
    values = np.random.default_rng(0).uniform(size=(14, 5, 6)).astype(np.float32)
    values[::2, 3] += 10  # in row 3 there are two kinds of filters
    return values


def run(maps, folder, row=3, clusters=(2, 7)):
    """Make a slice and return its numbers; leave its files, as `kmeans-2.png`, in the folder."""
    files = Places(folder, network="net", image="cat")
    options = {"layer": "conv1", "blob": "relu1", "title": "cat in photonet", "seed": 0}
    slices.make_slice(files, maps, row, clusters=clusters, **options)
    numbers = files("slice numbers", layer="conv1", row=row)
    for path in numbers.parent.iterdir():
        shutil.copy(path, folder)
    return json.loads(numbers.read_text())


def test_a_slice_and_its_numbers(maps, tmp_path):
    numbers = run(maps, tmp_path)
    assert (numbers["filters"], numbers["width"], numbers["row"]) == (14, 6, 3)
    weak, strong = list(range(1, 14, 2)), list(range(0, 14, 2))
    assert numbers["kmeans"]["2"]["permutation"] == weak + strong
    assert numbers["kmeans"]["2"]["labels"] == [1, 0] * 7
    assert len(numbers["kmeans"]["7"]["sizes"]) == 7
    assert sorted(numbers["pca"]["permutation"][:7]) == weak
    assert numbers["pca"]["explained_variance"][0] > 0.95
    assert numbers["pca"]["neighbour_distance"] < 0.2 * numbers["neighbour_distance"]


def test_pictures_and_titles(maps, tmp_path):
    run(maps, tmp_path)
    for name, words in (
        ("kmeans-2", "on the right in 2 clusters"),
        ("pca", "first principal direction"),
    ):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert words in image.info["Description"]


def test_numbers_are_the_same_again(maps, tmp_path):
    run(maps, tmp_path)
    first = (tmp_path / "slice.json").read_bytes()
    run(maps, tmp_path)
    assert (tmp_path / "slice.json").read_bytes() == first


def test_a_dead_slice_has_one_cluster(tmp_path):
    numbers = run(np.zeros((4, 2, 3)), tmp_path, 1, (3,))
    assert numbers["kmeans"]["3"]["sizes"] == [4]
    assert numbers["pca"]["permutation"] == [0, 1, 2, 3]
    with Image.open(tmp_path / "kmeans-3.png") as image:
        assert "3 were asked for, but fewer rows are distinct" in image.info["Description"]


def test_bars_by_hand():
    rows = np.arange(8, dtype=np.uint8).reshape(4, 2)
    separated = slices.separate(rows, [2, 1, 1], 2)
    white = [[255, 255]] * 2
    assert separated.tolist() == [[0, 1], [2, 3], *white, [4, 5], *white, [6, 7]]
    assert np.array_equal(slices.separate(rows, [4], 2), rows)


def test_the_picture_shows_both_orders(tmp_path):
    maps = np.array([[[5.0] * 20], [[1.0] * 20], [[5.0] * 20], [[0.0] * 20]])
    run(maps, tmp_path, row=0, clusters=(2,))
    with Image.open(tmp_path / "kmeans-2.png") as image:
        pixels = np.asarray(image.convert("L")).astype(int)
    top, left = TITLE_ROOM + slices.HEAD, MARGIN + slices.AXIS
    right = left + 440 + MARGIN + slices.AXIS
    middles = top + 12 + 24 * np.arange(4)
    assert pixels[middles, left + 9].tolist() == [255, 51, 255, 0]
    assert pixels[middles[:2], right + 9].tolist() == [51, 0]
    bar, strong = top + 48, top + 48 + slices.BAR
    assert (pixels[bar:strong, right + 9] == 255).all()
    assert (pixels[strong : strong + 48, right + 9] == 255).all()


def test_examples():
    assert doctest.testmod(slices) == (0, 2)
