import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import filters
from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.core.places import Places
from cnnvis.core.sheets import LABEL_ROOM
from cnnvis.engines.model import Model

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
    return Model(str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel"), "conv2")


def draw(network, folder, layers, **options):
    """Draw the filters of layers, in no further orders; return the folder of the pictures."""
    files, layers = Places(folder, network="net"), dict.fromkeys(layers, [])
    filters.make_filters(files, network, layers=layers, network="net", **options)
    return folder / "net" / "filters"


def open_picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info["Description"]


def test_colours_by_hand():
    values = np.zeros((1, 3, 1, 1))
    values[0, :, 0, 0] = [2.0, 0.0, -1.0]
    assert filters.to_colours(values, "BGR").tolist() == [[[[0.25, 0.5, 1.0]]]]
    assert filters.to_colours(values, "RGB").tolist() == [[[[1.0, 0.5, 0.25]]]]
    assert filters.to_colours(np.zeros((1, 3, 1, 1))).tolist() == [[[[0.5, 0.5, 0.5]]]]


def test_filters_over_three_channels_are_coloured(network, tmp_path):
    picture, description = open_picture(draw(network, tmp_path, ["conv1"]) / "conv1.png")
    row = picture[TITLE_ROOM + LABEL_ROOM + 75]
    assert row[MARGIN + 75].tolist() == [128, 128, 255]
    assert row[MARGIN + 75 + 154].tolist() == [64, 128, 128]
    assert "+2 and -2" in description
    draw(network, tmp_path, ["conv1"], channel_order="RGB")
    reversed_row = open_picture(tmp_path / "net/filters/conv1.png")[0][TITLE_ROOM + LABEL_ROOM + 75]
    assert reversed_row[MARGIN + 75].tolist() == [255, 128, 128]


def test_other_filters_are_their_channels_side_by_side(network, tmp_path):
    folder = draw(network, tmp_path, ["conv1", "conv2"])
    assert "the three colours" in open_picture(folder / "conv1.png")[1]
    assert "with its 2 channels side by side" in open_picture(folder / "conv2.png")[1]


def test_filters_in_a_shared_order(network, tmp_path):
    files = Places(tmp_path, network="net")
    write_json(files("shared ordering", ordering="all", layer="conv1"), {"permutation": [1, 0]})
    filters.make_filters(files, network, layers={"conv1": ["all"]}, network="net")
    picture, _ = open_picture(files("ordered filters", ordering="all", layer="conv1"))
    row = picture[TITLE_ROOM + LABEL_ROOM + 75]
    assert row[MARGIN + 75].tolist() == [64, 128, 128]
    assert row[MARGIN + 75 + 154].tolist() == [128, 128, 255]


def test_tensors_in_another_order(tmp_path):
    weights = np.array([[1.0], [-1.0], [0.0]])
    for name, order in (("plain", None), ("turned", [1, 0, 2])):
        filters.draw_filters(tmp_path / f"{name}.png", weights, "fc", name, order=order)
    plain, turned = (
        open_picture(tmp_path / f"{name}.png")[0][TITLE_ROOM + LABEL_ROOM + 20]
        for name in ("plain", "turned")
    )
    wide = np.flatnonzero((plain != 255).any(axis=1))[0]
    assert plain[wide].tolist() != turned[wide].tolist()


def test_a_layer_without_weights_is_named(network):
    with pytest.raises(UserError, match="layer 'relu1' has no weights; layers that have: conv1"):
        filters.read_weights(network, ["relu1"])
    write_caffemodel(network.weights, {"conv1": [np.zeros((2, 3, 2, 2), np.float32)]})
    with pytest.raises(UserError, match="layer 'conv2': expected .* found no weights"):
        filters.read_weights(network, ["conv1", "conv2"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros((2, 3, 3, 3), np.float32), "conv1"),
        (np.full((2, 3, 2, 2), np.nan, np.float32), "layer 'conv1' blob 0: 24 of 24 values"),
    ],
)
def test_unusable_weights_are_an_error(network, weights, message):
    write_caffemodel(network.weights, {"conv1": [weights]})
    with pytest.raises(UserError, match=message):
        filters.read_weights(network, ["conv1"])
