import doctest

import numpy as np
import pytest
from PIL import Image

from cnnvis.core import volume_files
from cnnvis.core.arrays import read_array, write_arrays
from cnnvis.core.errors import UserError
from cnnvis.gradients import weight_gradients
from tests.tiny_network import write_network


@pytest.fixture
def network(tmp_path):
    return write_network(tmp_path)


def run(network, folder, **options):
    options = {"engine": "numpy", "score": "fc8", "cls": 0, "layers": ["conv1"], **options}
    path = folder / "0.npz"
    weight_gradients.make_gradients(*network, path, threads=1, **options)
    return path


def test_gradients_by_hand(network, tmp_path):
    path = run(network, tmp_path, layers=["conv1", "fc8"])
    # The first neuron sums the first filter's outputs where the ReLU lets them through: 1, 3, 0.5.
    assert read_array(path, "conv1").tolist() == [[[[4.5]]], [[[0.0]]]]
    # By the weights of fc8 it is the layer's input, in the row of this neuron.
    rows = read_array(path, "fc8")
    assert rows.tolist() == [[2, 0, 6, 1, 0, 2, 0, 0], [0] * 8, [0] * 8]


def test_another_neuron(network, tmp_path):
    assert read_array(run(network, tmp_path, cls=1), "conv1").tolist() == [[[[0]]], [[[-2]]]]
    assert not read_array(run(network, tmp_path, cls=2), "conv1").any()


def test_layers_keep_their_names(network, tmp_path):
    path = run(network, tmp_path, score="conv2", layers=["conv/2"])
    assert read_array(path, "conv/2").shape == (1, 2, 2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cls": 3}, "class 3 is outside score blob 'fc8', which has 0 to 2"),
        ({"cls": -1}, "class -1 is outside"),
        ({"score": "fc9"}, "score blob 'fc9' does not exist"),
        ({"layers": ["relu1"]}, "layer 'relu1' has no weights; layers that have: conv1, conv/2"),
    ],
)
def test_mistakes_are_one_line(network, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(network, tmp_path, **options)
    assert not (tmp_path / "0.npz").exists()


def test_tiles_by_hand():
    # Six channels of 1 x 2: two rows of three tiles.
    tensor = np.arange(24).reshape(2, 6, 1, 2)
    tiles = volume_files.tile_channels(tensor)
    assert tiles.tolist() == [
        [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]],
        [[12, 13, 14, 15, 16, 17], [18, 19, 20, 21, 22, 23]],
    ]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((96, 3, 11, 11), (96, 11, 33)),
        ((256, 48, 5, 5), (256, 30, 40)),
        ((4, 7, 2, 3), (4, 2, 21)),
        ((4, 1, 2, 3), (4, 2, 3)),
        ((10, 64), (10, 8, 8)),
    ],
)
def test_every_channel_is_where_the_module_says(shape, expected):
    tensor = np.random.default_rng(0).normal(size=shape)
    tiles = volume_files.tile_channels(tensor)
    assert tiles.shape == expected
    filters, channels, kh, kw = (*shape, 1, 1)[:4]
    columns = expected[2] // kw
    for channel in (0, channels // 2, channels - 1):
        top, left = channel // columns * kh, channel % columns * kw
        tile = tiles[:, top : top + kh, left : left + kw]
        assert np.array_equal(tile, tensor.reshape(filters, channels, kh, kw)[:, channel])


def test_signed_bytes_by_hand():
    values = np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
    assert volume_files.to_signed_bytes(values).tolist() == [0, 64, 128, 191, 255]
    assert volume_files.to_signed_bytes(values, 2).tolist() == [0, 0, 128, 255, 255]
    assert volume_files.to_signed_bytes(values, 8).tolist() == [64, 96, 128, 159, 191]
    assert volume_files.to_signed_bytes(np.zeros(2)).tolist() == [128, 128]


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf")])
def test_a_scale_is_positive(scale):
    with pytest.raises(UserError, match="is not a positive number"):
        volume_files.to_signed_bytes(np.ones(2), scale)


def test_a_volume_and_its_picture(tmp_path):
    tensor = np.random.default_rng(1).normal(size=(5, 4, 2, 3))
    write_arrays(tmp_path / "0.npz", {"conv1": tensor})
    vox, picture = tmp_path / "conv1.vox", tmp_path / "conv1.png"
    weight_gradients.make_gradient_volume(
        tmp_path / "0.npz", vox, picture, layer="conv1", title="test"
    )
    found = np.fromfile(vox, np.uint8).reshape(5, 4, 6)
    expected = volume_files.tile_channels(tensor) / np.abs(tensor).max()
    assert np.abs((found - 127.5) / 127.5 - expected).max() <= 0.5 / 127.5 + 1e-12
    assert (tmp_path / "conv1.hd").read_text().startswith("Size 6x4x5 ")
    with Image.open(picture) as image:
        assert "4 channels as 2 x 2 tiles" in image.info["Description"]
    weight_gradients.make_gradient_volume(
        tmp_path / "0.npz", vox, picture, layer="conv1", title="test", scale=1000.0
    )
    assert set(np.fromfile(vox, np.uint8)) == {127, 128}


def test_a_missing_layer_is_named(tmp_path):
    write_arrays(tmp_path / "0.npz", {"conv1": np.zeros((1, 1, 1, 1))})
    paths = (tmp_path / "0.npz", tmp_path / "a.vox", tmp_path / "a.png")
    with pytest.raises(UserError, match="no gradient of layer 'conv2'; it holds conv1"):
        weight_gradients.make_gradient_volume(*paths, layer="conv2", title="")


def test_examples():
    assert doctest.testmod(weight_gradients) == (0, 2)
