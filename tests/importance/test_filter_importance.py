import csv
import doctest

import numpy as np
import pytest
from PIL import Image

from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.importance import filter_importance


def run(folder, gradient):
    write_arrays(folder / "0.npz", {"conv1": gradient})
    paths = (folder / "0.npz", folder / "i.csv", folder / "i.png")
    filter_importance.make_importance(*paths, layer="conv1", title="title")
    with open(folder / "i.csv", newline="") as stream:
        return list(csv.reader(stream))


def test_table_by_hand(tmp_path):
    gradient = np.zeros((3, 1, 1, 2), np.float32)
    gradient[0, 0, 0] = [0, -1]
    gradient[2, 0, 0] = [3, 4]
    assert run(tmp_path, gradient) == [
        ["rank", "filter", "norm", "share"],
        ["1", "2", "5", "0.833333"],
        ["2", "0", "1", "0.166667"],
        ["3", "1", "0", "0"],
    ]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (96, 3, 2, 2), (256, 2, 1, 1), (10, 7)])
def test_pictures_of_all_sizes(tmp_path, shape):
    rows = run(tmp_path, np.random.default_rng(0).normal(size=shape))
    assert sorted(int(row[1]) for row in rows[1:]) == list(range(shape[0]))
    with Image.open(tmp_path / "i.png") as image:
        assert f"the {shape[0]} filters of layer conv1" in image.info["Description"]
        assert image.width < 1700
        assert image.height < 1700


def test_a_zero_gradient_has_no_shares(tmp_path):
    rows = run(tmp_path, np.zeros((2, 1, 1, 1)))
    assert rows[1:] == [["1", "0", "0", "0"], ["2", "1", "0", "0"]]


def test_norms_do_not_lose_digits_in_float32():
    gradient = np.full((1, 3, 100, 100), 1 + 2**-12, np.float32)
    assert filter_importance.filter_norms(gradient)[0] == pytest.approx(
        (1 + 2**-12) * 30000**0.5, rel=1e-14
    )


def test_ties_go_to_the_lower_filter():
    ranks = filter_importance.rank_filters(np.array([1.0, 2.0, 2.0, 1.0]))
    assert [index for _, index, _, _ in ranks] == [1, 2, 0, 3]


def test_the_map_of_the_study():
    assert filter_importance.map_shape(96) == (16, 6)
    for filters in range(1, 600):
        rows, columns = filter_importance.map_shape(filters)
        assert rows * columns >= filters
        assert (rows - 1) * columns < filters


def test_a_missing_layer_is_named(tmp_path):
    write_arrays(tmp_path / "0.npz", {"conv1": np.zeros((1, 1))})
    paths = (tmp_path / "0.npz", tmp_path / "i.csv", tmp_path / "i.png")
    with pytest.raises(UserError, match="no gradient of layer 'conv2'"):
        filter_importance.make_importance(*paths, layer="conv2", title="")


def test_examples():
    assert doctest.testmod(filter_importance) == (0, 2)
