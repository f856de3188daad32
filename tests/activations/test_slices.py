import doctest
import json

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import slices
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError


@pytest.fixture
def blobs(tmp_path):
    outputs = np.random.default_rng(0).uniform(size=(14, 5, 6)).astype(np.float32)
    outputs[::2, 3] += 10  # in row 3 there are two kinds of filters
    write_arrays(tmp_path / "blobs.npz", {"conv1": outputs, "dead": np.zeros((4, 2, 3))})
    return tmp_path / "blobs.npz", outputs


def run(blobs, folder, blob="conv1", row=3, clusters=(2, 7), **options):
    kmeans = {k: folder / f"kmeans-{k}.png" for k in clusters}
    paths = (folder / "pca.png", folder / "slice.json")
    slices.make_slice(blobs[0], kmeans, *paths, layer="conv1", blob=blob, row=row, **options)
    return json.loads((folder / "slice.json").read_text())


def test_a_slice_and_its_numbers(blobs, tmp_path):
    numbers = run(blobs, tmp_path)
    assert (numbers["filters"], numbers["width"], numbers["row"]) == (14, 6, 3)
    weak, strong = list(range(1, 14, 2)), list(range(0, 14, 2))
    assert numbers["kmeans"]["2"]["permutation"] == weak + strong
    assert numbers["kmeans"]["2"]["labels"] == [1, 0] * 7
    assert len(numbers["kmeans"]["7"]["sizes"]) == 7
    assert sorted(numbers["pca"]["permutation"][:7]) == weak
    assert numbers["pca"]["explained_variance"][0] > 0.95
    assert numbers["pca"]["neighbour_distance"] < 0.2 * numbers["neighbour_distance"]


def test_pictures_and_titles(blobs, tmp_path):
    run(blobs, tmp_path, title="cat in photonet")
    for name, words in (("kmeans-2", "right in 2 clusters"), ("pca", "first principal direction")):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert words in image.info["Description"]


def test_numbers_are_the_same_again(blobs, tmp_path):
    run(blobs, tmp_path)
    first = (tmp_path / "slice.json").read_bytes()
    run(blobs, tmp_path)
    assert (tmp_path / "slice.json").read_bytes() == first


def test_a_dead_slice_has_one_cluster(blobs, tmp_path):
    numbers = run(blobs, tmp_path, "dead", 1, (3,))
    assert numbers["kmeans"]["3"]["sizes"] == [4]
    assert numbers["pca"]["permutation"] == [0, 1, 2, 3]
    with Image.open(tmp_path / "kmeans-3.png") as image:
        assert "3 were asked for, but fewer rows are distinct" in image.info["Description"]


@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_outside_is_one_line(blobs, tmp_path, row):
    with pytest.raises(UserError, match=f"'conv1' has rows 0 to 4, there is no row {row}"):
        run(blobs, tmp_path, row=row)


def test_too_many_clusters_are_one_line_and_leave_nothing(blobs, tmp_path):
    with pytest.raises(
        UserError, match="slice at row 3 of conv1: k-means: k = 15, expected 1 to 14"
    ):
        run(blobs, tmp_path, clusters=(2, 15))
    assert not list(tmp_path.glob("*.png"))


def test_bars_by_hand():
    values = np.arange(8.0).reshape(4, 2)
    found = slices.separate(values, [0, 0, 1, 3], 2)
    assert found.shape == (8, 2)
    assert found[~np.isnan(found)].tolist() == values.ravel().tolist()
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [2, 3, 5, 6]
    assert np.array_equal(slices.separate(values, [0] * 4, 2), values)


def test_labels_that_would_touch_are_left_out():
    assert slices._thin([0, 5, 12, 13, 30], list("abcde")) == ([0, 12, 30], ["a", "c", "e"])


def test_places_are_about_ten():
    assert slices._places(55) == list(range(0, 55, 5))
    assert slices._places(13) == list(range(0, 13, 2))
    assert slices._places(3) == [0, 1, 2]
    assert all(1 <= len(slices._places(count)) <= 12 for count in range(1, 5000, 7))


def test_examples():
    assert doctest.testmod(slices) == (0, 1)
