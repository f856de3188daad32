import doctest
from pathlib import Path

import numpy as np
import pytest

from cnnvis.core import volume_files
from cnnvis.core.errors import UserError

STUDY = Path(__file__).parents[3] / "shared" / "study" / "activations"
needs_study = pytest.mark.skipif(
    not STUDY.is_dir(), reason="the study's published files (../shared/study) are absent"
)


@needs_study
def test_the_study_s_volume_byte_for_byte(tmp_path):
    outputs = np.load(STUDY / "conv1_cat_scaled255.npy")
    volume_files.write_volume(tmp_path / "conv1.vox", volume_files.to_bytes(outputs))
    assert (tmp_path / "conv1.vox").read_bytes() == (STUDY / "L1_conv1.vox").read_bytes()
    assert (tmp_path / "conv1.hd").read_bytes() == (STUDY / "L1_conv1.hd").read_bytes()


@needs_study
def test_the_study_s_volume_from_any_units():
    outputs = np.load(STUDY / "conv1_cat_scaled255.npy").astype(np.float64)
    theirs = np.fromfile(STUDY / "L1_conv1.vox", np.uint8).reshape(outputs.shape)
    assert np.array_equal(volume_files.to_bytes(outputs * 0.03 - 7), theirs)


def test_bytes_by_hand():
    # (x + 1) * 255 / 4: 0, 63.75, 127.5 (to even), 255
    assert volume_files.to_bytes(np.array([-1.0, 0.0, 1.0, 3.0])).tolist() == [0, 64, 128, 255]


def test_bytes_of_large_float32_do_not_overflow():
    values = np.array([-3e38, 0, 3e38], np.float32)
    assert volume_files.to_bytes(values).tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [0.0, 7.0, -1.0])
def test_a_constant_layer_is_zeros(value):
    assert volume_files.to_bytes(np.full((2, 2, 2), value)).tolist() == np.zeros((2, 2, 2)).tolist()


def test_headers_say_x_first(tmp_path):
    volume_files.write_volume(tmp_path / "a.vox", np.zeros((4, 3, 2), np.uint8))
    assert (tmp_path / "a.hd").read_bytes() == b"Size 2x3x4 unsigned byte \nSpacing 1.0x1.0x1.0"
    nrrd = (tmp_path / "a.nhdr").read_text().splitlines()
    assert nrrd[0] == "NRRD0004"
    assert {"sizes: 2 3 4", "type: uint8", "encoding: raw", "data file: a.vox"} <= set(nrrd)
    meta = (tmp_path / "a.mhd").read_text().splitlines()
    assert "DimSize = 2 3 4" in meta
    assert meta[-1] == "ElementDataFile = a.vox"


def test_a_volume_comes_back(tmp_path):
    volume = np.random.default_rng(0).integers(0, 256, (4, 3, 2), np.uint8)
    volume_files.write_volume(tmp_path / "a.vox", volume)
    assert np.array_equal(volume_files.read_vox(tmp_path / "a.vox"), volume)
    # x runs fastest, then y, then z.
    assert (tmp_path / "a.vox").read_bytes()[(3 * 3 + 1) * 2 + 1] == volume[3, 1, 1]


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".hd", None, "a.hd: cannot be read"),
        (".vox", None, "a.vox: cannot be read"),
        (".hd", b"Size 2 by 3", "a.hd: expected a line such as 'Size 55x55x96 unsigned byte'"),
        (".vox", b"12345", "a.vox: has 5 bytes, but a.hd says 2 x 3 x 4"),
    ],
)
def test_a_volume_that_does_not_fit_its_header_is_one_line(tmp_path, suffix, content, message):
    volume_files.write_volume(tmp_path / "a.vox", np.zeros((4, 3, 2), np.uint8))
    path = tmp_path / f"a{suffix}"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        volume_files.read_vox(tmp_path / "a.vox")


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
    assert volume_files.to_signed_bytes(np.zeros(2)).tolist() == [128, 128]


def test_examples():
    assert doctest.testmod(volume_files) == (0, 2)
