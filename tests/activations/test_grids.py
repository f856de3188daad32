import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import grids
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.core.sheets import LABEL_ROOM


def open_picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info["Description"]


def test_limits_are_the_layer_s_minimum_and_nearly_its_maximum():
    values = np.arange(1000.0).reshape(10, 10, 10)
    low, high, extend = grids.grey_limits(values)
    assert (low, extend) == (0, "max")
    assert high == pytest.approx(999 * 0.998)


@pytest.mark.parametrize("value", [0.0, -3.0, 5.0])
def test_limits_of_a_constant_layer(value):
    assert grids.grey_limits(np.full((2, 3, 3), value)) == (value, value + 1, "neither")


def test_limits_of_a_layer_with_one_active_value():
    values = np.zeros((10, 10, 10))
    values[3, 3, 3] = 7
    assert grids.grey_limits(values) == (0, 7, "neither")


@pytest.mark.parametrize(("low", "grey"), [(0, 180), (-1, 191)])
def test_the_scale_is_a_square_root_where_nothing_is_negative(low, grey):
    colours = grids.grey_scale(np.array([low, 0.5, 1.0, 1.0]))
    greys = colours.pixels(np.array([low, 0.5, 1.0]))[:, 0].tolist()
    assert greys == pytest.approx([0, grey, 255], abs=1)


def test_a_grid_shows_the_filters_in_order(tmp_path):
    maps = np.array([[[0.0]], [[1.0]], [[0.25]]], np.float32)
    grids.draw_grid(tmp_path / "g.png", maps, [1, 0, 2], layer="conv1", method="pca", title="title")
    picture, description = open_picture(tmp_path / "g.png")
    row = picture[TITLE_ROOM + LABEL_ROOM + 75, :, 0]
    centres = [int(row[MARGIN + 75 + 154 * place]) for place in range(3)]
    assert centres[:2] == [255, 0]
    assert centres[2] == pytest.approx(127, abs=2)
    assert "the 3 filters of layer conv1 (1 x 1 values each), in the order 'pca'" in description
    assert "square root of the share between (gamma 0.5)" in description
    assert "Crossed out" not in description


def test_dead_filters_are_crossed_out_and_named(tmp_path):
    maps = np.zeros((20, 2, 2), np.float32)
    maps[3:6, 0, 0] = 1
    order = [4, *range(4), *range(5, 20)]
    grids.draw_grid(tmp_path / "g.png", maps, order, layer="conv1", method="pca", title="title")
    picture, description = open_picture(tmp_path / "g.png")
    top, step = TITLE_ROOM + LABEL_ROOM, 154
    corners = [picture[top + 100, MARGIN + step * place + 40, 0] for place in range(5)]
    assert corners == [0, 240, 240, 240, 0]
    middle = picture[top + 74, MARGIN + step + 74, 0]
    assert middle == 179
    assert "(filters 0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14 and 5 more)" in description
