import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import grids
from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.core.arrays import write_arrays
from cnnvis.core.drawing import LABEL_ROOM, MARGIN, TITLE_ROOM
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json

PROTOTXT = """
input: "data" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 2 kernel_size: 2 bias_term: false } }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
        convolution_param { num_output: 3 kernel_size: 1 } }
"""


@pytest.fixture
def network(tmp_path):
    weights = np.zeros((2, 3, 2, 2), np.float32)
    weights[0, 0] = 2  # blue, in BGR
    weights[1, 2] = -1  # against red
    second = [np.ones((3, 2, 1, 1), np.float32), np.zeros(3, np.float32)]
    (tmp_path / "net.prototxt").write_text(PROTOTXT)
    write_caffemodel(tmp_path / "net.caffemodel", {"conv1": [weights], "conv2": second})
    return tmp_path / "net.prototxt", tmp_path / "net.caffemodel"


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


def test_a_grid_shows_the_filters_in_order(tmp_path):
    outputs = np.array([[[0.0]], [[1.0]], [[0.5]]], np.float32)
    write_arrays(tmp_path / "blobs.npz", {"conv1": outputs})
    write_json(tmp_path / "o.json", {"method": "pca", "permutation": [1, 0, 2]})
    paths = (tmp_path / "blobs.npz", tmp_path / "o.json", tmp_path / "g.png")
    grids.make_grid(*paths, layer="conv1", blob="conv1", title="title")
    picture, description = open_picture(tmp_path / "g.png")
    row = picture[TITLE_ROOM + LABEL_ROOM + 75, :, 0]
    centres = [int(row[MARGIN + 75 + 154 * place]) for place in range(3)]
    assert centres[:2] == [255, 0]
    assert centres[2] == pytest.approx(127, abs=2)
    assert "each of the 3 filters of layer conv1 (1 x 1 values), in the order 'pca'" in description


def test_colours_by_hand():
    values = np.zeros((1, 3, 1, 1))
    values[0, :, 0, 0] = [2.0, 0.0, -1.0]
    assert grids.to_colours(values, "BGR").tolist() == [[[[0.25, 0.5, 1.0]]]]
    assert grids.to_colours(values, "RGB").tolist() == [[[[1.0, 0.5, 0.25]]]]
    assert grids.to_colours(np.zeros((1, 3, 1, 1))).tolist() == [[[[0.5, 0.5, 0.5]]]]


def test_filters_over_three_channels_are_coloured(network, tmp_path):
    grids.make_filters(*network, tmp_path / "f.png", layer="conv1", title="title")
    picture, description = open_picture(tmp_path / "f.png")
    row = picture[TITLE_ROOM + LABEL_ROOM + 75]
    assert row[MARGIN + 75].tolist() == [128, 128, 255]
    assert row[MARGIN + 75 + 154].tolist() == [64, 128, 128]
    assert "+2 and -2" in description
    grids.make_filters(*network, tmp_path / "g.png", layer="conv1", title="", channel_order="RGB")
    reversed_row = open_picture(tmp_path / "g.png")[0][TITLE_ROOM + LABEL_ROOM + 75]
    assert reversed_row[MARGIN + 75].tolist() == [255, 128, 128]


def test_other_filters_are_their_channels_side_by_side(network, tmp_path):
    grids.make_filters(*network, tmp_path / "f.png", layer="conv2", title="title")
    assert "with its 2 channels side by side" in open_picture(tmp_path / "f.png")[1]


def test_a_layer_without_weights_is_named(network, tmp_path):
    with pytest.raises(UserError, match="layer 'relu1' has no weights; layers that have: conv1"):
        grids.make_filters(*network, tmp_path / "f.png", layer="relu1", title="")
    write_caffemodel(network[1], {"conv1": [np.zeros((2, 3, 2, 2), np.float32)]})
    with pytest.raises(UserError, match="no weights of layer 'conv2'; it has conv1"):
        grids.make_filters(*network, tmp_path / "f.png", layer="conv2", title="")


def test_weights_of_another_shape_are_an_error(network, tmp_path):
    write_caffemodel(network[1], {"conv1": [np.zeros((2, 3, 3, 3), np.float32)]})
    with pytest.raises(UserError, match="conv1"):
        grids.make_filters(*network, tmp_path / "f.png", layer="conv1", title="")
