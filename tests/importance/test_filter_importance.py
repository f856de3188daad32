import csv
import doctest

import numpy as np
import pytest
from PIL import Image, ImageColor

from cnnvis.core.colours import BLUE, Colours
from cnnvis.gradients import norms
from cnnvis.importance import filter_importance, filter_importance_figure


def run(folder, gradient):
    filter_importance.write_importance(
        folder / "i.csv", folder / "i.png", gradient, layer="conv1", title="title"
    )
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


def test_more_filters_than_pixels_have_bars(tmp_path):
    assert len(run(tmp_path, np.random.default_rng(0).normal(size=(4096, 1, 1, 1)))) == 4097


def test_a_zero_gradient_has_no_shares(tmp_path):
    rows = run(tmp_path, np.zeros((2, 1, 1, 1)))
    assert rows[1:] == [["1", "0", "0", "0"], ["2", "1", "0", "0"]]


def test_norms_do_not_lose_digits_in_float32():
    gradient = np.full((1, 3, 100, 100), 1 + 2**-12, np.float32)
    assert norms.filter_norms(gradient)[0] == pytest.approx((1 + 2**-12) * 30000**0.5, rel=1e-14)


def test_ties_go_to_the_lower_filter(tmp_path):
    rows = run(tmp_path, np.array([1.0, 2.0, 2.0, 1.0]).reshape(4, 1))
    assert [row[1] for row in rows[1:]] == ["1", "2", "0", "3"]


def test_the_map_of_the_study():
    assert filter_importance_figure.map_shape(96) == (16, 6)
    for filters in range(1, 600):
        rows, columns = filter_importance_figure.map_shape(filters)
        assert rows * columns >= filters
        assert (rows - 1) * columns < filters


def test_the_map_is_painted_cell_by_cell():
    values = np.array([0.0, 1.0, 4.0, 2.0, 3.0])
    rows, columns = filter_importance_figure.map_shape(5)
    pixels = filter_importance_figure.paint_map(values)
    assert pixels.shape == (rows * 46, columns * 46, 3)
    corners = pixels[1::46, 1::46].reshape(-1, 3)
    assert np.array_equal(corners[:5], Colours("viridis", 0, 4).pixels(values))
    assert (corners[5:] == 255).all()


def test_headings_of_narrow_maps_stand_apart():
    orders = {"a_name_of_an_ordering": {"permutation": [0]}, "b": {"permutation": [0]}}
    pixels, top = filter_importance_figure.paint_maps(np.ones(1), orders)
    empty = (pixels == 255).all(axis=(0, 2))
    # Between the three headings is more room than between words.
    ink = "".join(" " if free else "x" for free in empty)
    assert len([part for part in ink.split(" " * 20) if "x" in part]) == 3


def test_the_bars_are_as_high_as_the_norms(tmp_path):
    filter_importance_figure.draw_importance(
        tmp_path / "i.png", np.array([1.0, 2.0]), layer="conv1", title=""
    )
    with Image.open(tmp_path / "i.png") as image:
        blue = (np.asarray(image) == ImageColor.getrgb(BLUE)).all(axis=2)
    heights = blue.sum(axis=0)[blue.any(axis=0)]
    largest = 420 / 1.05
    assert heights.tolist() == pytest.approx([largest] * 210 + [largest / 2] * 210, abs=1)


def test_examples():
    for module in (norms, filter_importance_figure):
        assert doctest.testmod(module) == (0, 1)
