"""Volumes of other programs' formats: every reader, and files that are damaged or lie."""

import doctest
import gzip
import io
import zipfile
import zlib

import nibabel
import numpy as np
import pytest

from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import write_volume
from cnnvis.gradients.time_series import write_nifti
from cnnvis.inputs import volumes
from cnnvis.inputs.volumes import MOST_VALUES, read_volume


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(0, 256, (4, 3, 2), np.uint8)


@pytest.mark.parametrize("suffix", [".vox", ".hd", ".nhdr", ".mhd"])
def test_the_headers_that_are_written_are_read(tmp_path, volume, suffix):
    write_volume(tmp_path / "a.vox", volume)
    assert np.array_equal(read_volume(tmp_path / f"a{suffix}"), volume[np.newaxis])


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">f4", "f8"])
def test_arrays_of_numpy(tmp_path, volume, dtype):
    values = volume.astype(dtype)
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "one.npz", conv1=values)
    np.savez(tmp_path / "two.npz", conv1=values, other=np.zeros(3))
    for path, name in (("a.npy", None), ("one.npz", None), ("two.npz", "conv1")):
        assert np.array_equal(read_volume(tmp_path / path, name), values[np.newaxis])


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_nrrd_attached_and_big_endian(tmp_path, volume, encoding, line):
    head = "NRRD0005\n# a: comment\ntype: short\ndimension: 3\nsizes: 2 3 4\nendian: big\n"
    head += f"encoding: {encoding}\nmade:=by hand\n\n"
    content = volume.astype(">i2").tobytes()
    packed = gzip.compress(content) if encoding == "gzip" else content
    (tmp_path / "a.nrrd").write_bytes(head.replace("\n", line).encode() + packed)
    assert np.array_equal(read_volume(tmp_path / "a.nrrd"), volume[np.newaxis])


def test_metaimage_compressed_and_big_endian(tmp_path, volume):
    (tmp_path / "a.zraw").write_bytes(zlib.compress(volume.astype(">f8").tobytes()))
    (tmp_path / "a.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementType = MET_DOUBLE\n"
        "BinaryDataByteOrderMSB = True\nCompressedData = True\nElementDataFile = a.zraw\n"
    )
    assert np.array_equal(read_volume(tmp_path / "a.mhd"), volume[np.newaxis])


def test_nifti_of_time_series_and_of_others(tmp_path, volume):
    series = [volume.astype("<f4"), volume.astype("<f4") + 0.5]
    write_nifti(tmp_path / "a.nii.gz", series, "title", {})
    assert np.array_equal(read_volume(tmp_path / "a.nii.gz"), np.stack(series))
    nibabel.save(nibabel.Nifti1Image(volume.T, np.eye(4)), tmp_path / "b.nii")
    assert np.array_equal(read_volume(tmp_path / "b.nii"), volume[np.newaxis])


def npz_with_header(path, shape):
    """Write an .npz whose array says that it has this shape, and has eight bytes."""
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", stream.getvalue() + bytes(8))


def test_headers_that_lie_cost_no_memory(tmp_path):
    size = 1 << 40
    npz_with_header(tmp_path / "a.npz", (size,))
    header = {"descr": "<f8", "fortran_order": False, "shape": (size, 2, 2)}
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    (tmp_path / "a.nhdr").write_text(f"NRRD0004\ntype: uint8\nsizes: {size} 9 9\nencoding: raw\n")
    (tmp_path / "a.mhd").write_text(
        f"DimSize = {size} 2\nElementType = MET_CHAR\nElementDataFile = a"
    )
    (tmp_path / "a.hd").write_text("Size 2000x2000x2000 unsigned byte ")
    with open(tmp_path / "a.vox", "wb") as file:
        file.truncate(8_000_000_000)
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    image.header["dim"][1:4] = 30000
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock + bytes(12))
    for suffix in ("npz", "npy", "nhdr", "mhd", "vox", "nii"):
        with pytest.raises(UserError, match=rf"a\.{suffix}: .*") as error:
            read_volume(tmp_path / f"a.{suffix}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "suffix", [".vox", ".npy", ".npz", ".nhdr", ".nrrd", ".mhd", ".nii", ".nii.gz"]
)
@pytest.mark.parametrize("content", [b"", b"nonsense \xff\x00" * 40])
def test_what_is_no_such_file_is_one_line(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.[\w.]+: ") as error:
        read_volume(path)
    assert "\n" not in str(error.value)


def test_truncated_files_are_one_line(tmp_path, volume):
    write_nifti(tmp_path / "a.nii.gz", [volume.astype("<f4")], "title", {})
    np.savez_compressed(tmp_path / "a.npz", volume)
    np.save(tmp_path / "a.npy", volume)
    head = b"NRRD0004\ntype: uchar\nsizes: 2 3 4\nencoding: gzip\n\n"
    (tmp_path / "a.nrrd").write_bytes(head + gzip.compress(volume.tobytes()))
    write_volume(tmp_path / "a.vox", volume)
    for path in [tmp_path / f"a.{end}" for end in ("nii.gz", "npz", "npy", "nrrd", "vox")]:
        read_volume(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) - 9])
        with pytest.raises(UserError) as error:
            read_volume(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"a\.vox: holds 15 bytes, but its header says 24"):
        read_volume(tmp_path / "a.mhd")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.nhdr", "type: block\nsizes: 2 2", "a.nhdr: type 'block', did you mean|a.nhdr: type"),
        ("a.nhdr", "type: uint8\nsizes: 2 x", "a.nhdr: sizes '2 x', expected numbers"),
        ("a.nhdr", "type: uint8\nsizes: 2 2\nencoding: hex", "encoding 'hex', expected raw"),
        ("a.nhdr", "type: uint8\nsizes: 2 2\nbyte skip: 8", "byte skip '8', expected none"),
        ("a.nhdr", "type: uint8\nsizes: 2 2\ndata file: b", "its data file b is missing"),
        ("a.mhd", "NDims = 3", "a.mhd: expected a line 'ElementDataFile = FILE'"),
    ],
)
def test_headers_that_are_wrong_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(("NRRD0004\n" if name.endswith("nhdr") else "") + text + "\n")
    with pytest.raises(UserError, match=message):
        read_volume(tmp_path / name)


def test_arrays_that_cannot_be_shown_are_named(tmp_path):
    cases = {
        "expected numbers": np.array([["a"]]),
        "expected two to four dimensions": np.zeros(3),
        "1 of 4 values are NaN or infinite": np.array([[1, np.nan], [2, 3]]),
        "at most": np.broadcast_to(np.float32(0), (1, MOST_VALUES + 1)),
    }
    for message, values in cases.items():
        with pytest.raises(UserError, match=f"x: .*{message}"):
            volumes.as_frames(values, "x")
    np.savez(tmp_path / "a.npz", conv1=np.zeros((2, 2)), conv2=np.zeros((2, 2)))
    with pytest.raises(UserError, match=r"a\.npz: which array\? It holds conv1, conv2"):
        read_volume(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"no array 'conv11'; did you mean conv1\?"):
        read_volume(tmp_path / "a.npz", "conv11")
    with pytest.raises(UserError, match=r"b\.npy: there is no such file"):
        read_volume(tmp_path / "b.npy")


def test_the_examples_in_docstrings_hold():
    failed, tried = doctest.testmod(volumes, extraglobs={"np": np})
    assert tried > 0
    assert failed == 0
