import doctest
from pathlib import Path

import numpy as np
import pytest

from cnnvis.activations import volumes
from cnnvis.core import volume_files
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json

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


@pytest.mark.parametrize(
    ("rule", "percentile", "expected"),
    [
        ("positive", 0, [0, 0, 255, 255, 255]),
        (2, 0, [0, 0, 0, 255, 255]),
        (-2.5, 0, [255, 255, 255, 255, 255]),
        ("percentile", 50, [0, 0, 0, 255, 255]),
        ("percentile", 100, [0, 0, 0, 0, 0]),
        ("otsu", 0, [0, 0, 0, 0, 255]),
    ],
)
def test_binary_by_hand(rule, percentile, expected):
    values = np.array([-1.0, 0.0, 1.0, 3.0, 100.0])
    assert volumes.to_binary(values, rule, percentile).tolist() == expected


@pytest.mark.parametrize("rule", ["median", True, None, float("nan"), [1]])
def test_an_unknown_rule_is_named(rule):
    with pytest.raises(UserError, match="expected positive, otsu, percentile or a number"):
        volumes.to_binary(np.ones(3), rule)


@pytest.mark.parametrize("percentile", [-1, 100.5])
def test_a_percentile_is_between_0_and_100(percentile):
    with pytest.raises(UserError, match=f"percentile {percentile} is not between"):
        volumes.to_binary(np.ones(3), "percentile", percentile)


def test_headers_say_x_first(tmp_path):
    volume_files.write_volume(tmp_path / "a.vox", np.zeros((4, 3, 2), np.uint8))
    assert (tmp_path / "a.hd").read_bytes() == b"Size 2x3x4 unsigned byte \nSpacing 1.0x1.0x1.0"
    nrrd = (tmp_path / "a.nhdr").read_text().splitlines()
    assert nrrd[0] == "NRRD0004"
    assert {"sizes: 2 3 4", "type: uint8", "encoding: raw", "data file: a.vox"} <= set(nrrd)
    meta = (tmp_path / "a.mhd").read_text().splitlines()
    assert "DimSize = 2 3 4" in meta
    assert meta[-1] == "ElementDataFile = a.vox"


def test_only_volumes_of_bytes_are_written(tmp_path):
    with pytest.raises(TypeError, match="expected uint8"):
        volume_files.write_volume(tmp_path / "a.vox", np.zeros((1, 1, 1)))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def layer(tmp_path):
    outputs = np.array([[[0.0, 1.0, 2.0]], [[-1.0, 4.0, 3.0]]], np.float32)
    write_arrays(tmp_path / "blobs.npz", {"conv1": outputs, "fc": np.zeros(3)})
    write_json(tmp_path / "swapped.json", {"permutation": [1, 0]})
    return tmp_path


def test_slices_stand_in_the_order_of_the_ordering(layer):
    paths = (layer / "blobs.npz", layer / "swapped.json", layer / "a.vox", layer / "a.binary.vox")
    volumes.make_volume(*paths, blob="conv1", binarise="positive", percentile=90)
    grey = np.fromfile(layer / "a.vox", np.uint8).tolist()
    assert grey == [0, 255, 204, 51, 102, 153]
    assert np.fromfile(layer / "a.binary.vox", np.uint8).tolist() == [0, 255, 255, 0, 255, 255]
    for name in ("a.hd", "a.nhdr", "a.mhd", "a.binary.hd", "a.binary.nhdr", "a.binary.mhd"):
        assert (layer / name).exists()
    assert "a.binary.vox" in (layer / "a.binary.mhd").read_text()


def test_a_blob_without_maps_is_named(layer):
    paths = (layer / "blobs.npz", layer / "swapped.json", layer / "a.vox", layer / "b.vox")
    with pytest.raises(UserError, match="blob 'fc': has shape \\(3,\\)"):
        volumes.make_volume(*paths, blob="fc")


def test_examples():
    assert doctest.testmod(volumes) == (0, 1)
