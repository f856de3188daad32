import doctest
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import slices, slices_figure
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.core.places import Places


@pytest.fixture
def maps():
    values = np.random.default_rng(0).uniform(size=(14, 5, 6)).astype(np.float32)
    values[::2, 3] += 10  # in row 3 there are two kinds of filters
    return values


def options(method="study", k=(2, 7), **others):
    defaults = {"seed": 0, "starts": 50, "cluster_order": "labels"}
    return {"method": method, "k": list(k), **defaults, **others}


def run(maps, folder, row=3, **chosen):
    """Make a slice and return its numbers; leave its files, as `kmeans-2.png`, in the folder."""
    files = Places(folder, network="net", image="cat")
    names = {"layer": "conv1", "blob": "relu1", "title": "cat in photonet"}
    slices.make_slice(files, maps, row, options(**chosen), **names)
    numbers = files("slice numbers", layer="conv1", row=row)
    for path in numbers.parent.iterdir():
        shutil.copy(path, folder)
    return json.loads(numbers.read_text())


def description(path):
    with Image.open(path) as image:
        return image.info["Description"]


@pytest.mark.parametrize("method", ["study", "scikit-learn"])
def test_a_slice_and_its_numbers(maps, tmp_path, method):
    numbers = run(maps, tmp_path, method=method)
    assert (numbers["filters"], numbers["width"], numbers["row"]) == (14, 6, 3)
    assert (numbers["method"], numbers["seed"], numbers["starts"]) == (method, 0, 50)
    weak, strong = list(range(1, 14, 2)), list(range(0, 14, 2))
    two = numbers["kmeans"]["2"]
    # Scikit-learn's clusters are numbered from weak to strong, the study's as they come.
    assert two["permutation"] in (weak + strong, strong + weak)[: 1 + (method == "study")]
    assert two["labels"] == [int(filter not in two["permutation"][:7]) for filter in range(14)]
    assert two["sizes"] == [7, 7]
    assert sum(numbers["kmeans"]["7"]["sizes"]) == 14
    assert sorted(numbers["pca"]["permutation"][:7]) == weak
    assert numbers["pca"]["explained_variance"][0] > 0.95
    assert numbers["pca"]["neighbour_distance"] < 0.2 * numbers["neighbour_distance"]
    assert ("distance" in two, "inertia" in two) == (method == "study", method != "study")


def test_the_methods_differ_where_one_column_varies_much_more(tmp_path):
    """The first column alone decides without standardisation; with it, the two others do."""
    rows = np.array([[100.0, 3, 3], [110, 1, 1], [120, 4, 4], [130, 2, 2]])
    orders = {
        method: run(rows[:, np.newaxis], tmp_path, 0, method=method, k=[2])["pca"]["permutation"]
        for method in ("study", "scikit-learn")
    }
    assert orders == {"scikit-learn": [0, 1, 2, 3], "study": [1, 3, 0, 2]}


def test_the_scale_of_the_studys_slices_is_that_of_the_whole_layer(maps):
    rows = slices.rows_of(maps, 0, "study")
    assert rows == pytest.approx((maps[:, 0] - maps.min()) / (maps.max() - maps.min()))
    assert rows.max() < 0.1  # the strong row is another one
    assert np.array_equal(slices.rows_of(maps, 0, "scikit-learn"), maps[:, 0])
    assert not slices.rows_of(np.full((2, 1, 3), 7.0), 0, "study").any()


@pytest.mark.parametrize("method", ["study", "scikit-learn"])
def test_clusters_of_clusters(method):
    """Six groups of two rows, of which two and two are near each other."""
    places = np.repeat([0, 0.8, 0.4, 0.1, 0.9, 0.5], 2) + np.tile([0, 0.001], 6)
    chosen = options(method, starts=200)
    permutation, numbers = slices.cluster_rows(places[:, np.newaxis], "6x3", chosen)
    labels = np.array(numbers["labels"])
    assert numbers["sizes"] == [4, 4, 4]
    for first, second in ((0, 6), (2, 8), (4, 10)):
        assert len(set(labels[[first, first + 1, second, second + 1]])) == 1
    # Rows of one of the six are neighbours, too.
    pairs = permutation.reshape(6, 2) // 2
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert labels[permutation].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_clusters_of_few_clusters(tmp_path):
    """Of two distinct rows there are not five clusters."""
    numbers = run(np.tile([[[1.0]], [[2.0]]], (4, 1, 1)), tmp_path, 0, k=["4x5"])
    assert sum(numbers["kmeans"]["4x5"]["sizes"]) == 8
    assert "5 were asked for, but fewer came out" in description(tmp_path / "kmeans-4x5.png")
    assert "as the study drew it" not in description(tmp_path / "kmeans-4x5.png")


def test_similar_clusters_are_neighbours():
    """Four clusters on a line: by similarity they stand as on the line, whatever their labels."""
    places = np.array([0.9, 0.0, 0.6, 0.3])
    rows = (places[:, np.newaxis] + [0, 0.001, 0.002]).reshape(-1, 1)
    chosen = options("study", starts=200, seed=2)
    _, labelled = slices.cluster_rows(rows, 4, chosen)
    permutation, similar = slices.cluster_rows(rows, 4, {**chosen, "cluster_order": "similarity"})
    assert permutation.tolist() == [3, 4, 5, 9, 10, 11, 6, 7, 8, 0, 1, 2]
    assert similar["labels"] == [3] * 3 + [0] * 3 + [2] * 3 + [1] * 3
    assert labelled["labels"] != similar["labels"]
    assert labelled["distance"] == similar["distance"]


def test_pictures_and_titles(maps, tmp_path):
    run(maps, tmp_path)
    assert "then in 2 clusters, with white bars" in description(tmp_path / "kmeans-2.png")
    assert "last as the study drew it, a bar" in description(tmp_path / "kmeans-2.png")
    assert "first principal direction" in description(tmp_path / "pca.png")
    run(maps, tmp_path, method="scikit-learn")
    assert "as the study drew it" not in description(tmp_path / "kmeans-2.png")


def test_numbers_are_the_same_again(maps, tmp_path):
    run(maps, tmp_path)
    first = (tmp_path / "slice.json").read_bytes()
    run(maps, tmp_path)
    assert (tmp_path / "slice.json").read_bytes() == first


@pytest.mark.parametrize("method", ["study", "scikit-learn"])
def test_a_dead_slice_has_one_cluster(tmp_path, method):
    numbers = run(np.zeros((4, 2, 3)), tmp_path, 1, k=(3,), method=method)
    assert numbers["kmeans"]["3"]["sizes"] == [4]
    assert numbers["pca"]["permutation"] == [0, 1, 2, 3]
    assert "3 were asked for, but fewer came out" in description(tmp_path / "kmeans-3.png")


def test_bars_by_hand():
    rows = np.arange(8, dtype=np.uint8).reshape(4, 2)
    separated = slices_figure.separate(rows, [2, 1, 1], 2)
    white = [[255, 255]] * 2
    assert separated.tolist() == [[0, 1], [2, 3], *white, [4, 5], *white, [6, 7]]
    assert np.array_equal(slices_figure.separate(rows, [4], 2), rows)


def test_the_picture_shows_all_orders(tmp_path):
    maps = np.array([[[5.0] * 20], [[1.0] * 20], [[5.0] * 20], [[0.0] * 20]])
    numbers = run(maps, tmp_path, row=0, k=(2,), seed=1)
    with Image.open(tmp_path / "kmeans-2.png") as image:
        pixels = np.asarray(image.convert("L")).astype(int)
    top = TITLE_ROOM + slices_figure.HEAD
    step = MARGIN + slices_figure.AXIS + 440
    natural, ours, study = (pixels[:, MARGIN + slices_figure.AXIS + step * i + 9] for i in range(3))
    middles, bar = top + 12 + 24 * np.arange(4), slices_figure.BAR
    assert natural[middles].tolist() == [255, 51, 255, 0]
    expected = [[255, 51, 255, 0][filter] for filter in numbers["kmeans"]["2"]["permutation"]]
    assert ours[middles + [0, 0, bar, bar]].tolist() == expected
    assert (ours[top + 48 : top + 48 + bar] == 255).all()
    assert study[middles].tolist() == [*expected[:2], 255, expected[3]]


def test_examples():
    assert doctest.testmod(slices_figure) == (0, 2)
