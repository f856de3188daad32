import doctest
import errno
import os
import struct
import zipfile

import numpy as np
import pytest

from cnnvis.core import arrays
from cnnvis.core.errors import UserError


def test_any_name_comes_back(tmp_path):
    path = tmp_path / "a.npz"
    given = {
        "file": np.arange(3.0),
        "fire2/squeeze": np.eye(2, dtype=np.float32),
        "allow_pickle": 7,
    }
    arrays.write_arrays(path, given)
    for name, value in given.items():
        found = arrays.read_array(path, name)
        assert found.dtype == np.asarray(value).dtype
        assert np.array_equal(found, value)


def test_numpy_reads_it_and_the_same_arrays_are_the_same_bytes(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).transpose(2, 0, 1)
    for name in "ab":
        arrays.write_arrays(tmp_path / f"{name}.npz", {"conv1": values})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as archive:
        assert np.array_equal(archive["conv1"], values)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED


def test_a_missing_name_lists_what_is_there(tmp_path):
    arrays.write_arrays(tmp_path / "a.npz", {"conv1": np.zeros(1), "conv2": np.zeros(1)})
    with pytest.raises(UserError, match="no blob 'conv9'; it holds conv1, conv2"):
        arrays.read_array(tmp_path / "a.npz", "conv9")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text"])
def test_a_broken_file_is_one_line(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.npz: cannot be read") as error:
        arrays.read_array(path, "conv1")
    assert "\n" not in str(error.value)


def test_a_damaged_array_is_one_line(tmp_path):
    path = tmp_path / "a.npz"
    arrays.write_arrays(path, {"conv1": np.zeros(1000)})
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as .npz"):
        arrays.read_array(path, "conv1")


def test_one_array_is_not_an_archive(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(2))
    with pytest.raises(UserError, match="a.npy: cannot be read as .npz"):
        arrays.read_array(tmp_path / "a.npy", "conv1")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(tmp_path, bad):
    arrays.write_arrays(tmp_path / "a.npz", {"conv1": np.array([1.0, bad])})
    with pytest.raises(UserError, match="a.npz: blob 'conv1': 1 of 2 values are NaN or infinite"):
        arrays.read_array(tmp_path / "a.npz", "conv1")


def test_one_array_comes_back(tmp_path):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    arrays.write_npy(tmp_path / "new" / "a.npy", values)
    for options in ({}, {"shape": [2, 3]}, {"ndim": 2}):
        read = arrays.read_npy(tmp_path / "new" / "a.npy", **options)
        assert read.dtype == np.float32
        assert np.array_equal(read, values)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, {}, "cannot be read as .npy"),
        (b"", {}, "cannot be read as .npy"),
        (b"text", {}, "cannot be read as .npy"),
        (np.array(["a"]), {}, "expected a .npy file with one array of numbers"),
        (np.array([True]), {}, "expected a .npy file with one array of numbers"),
        (np.zeros((0, 2)), {}, "expected a .npy file with one array of numbers"),
        (np.array([{}]), {}, "cannot be read as .npy"),
        (np.zeros((2, 3)), {"shape": (3, 2)}, r"has shape \(2, 3\), expected \(3, 2\)"),
        (np.zeros((2, 3)), {"ndim": 3}, r"has shape \(2, 3\), expected 3 dimensions"),
    ],
)
def test_what_is_no_array_of_numbers_is_one_line(tmp_path, content, options, message):
    path = tmp_path / "a.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(UserError, match=f"a.npy: {message}") as error:
        arrays.read_npy(path, **options)
    assert "\n" not in str(error.value)


def test_an_archive_is_no_single_array(tmp_path):
    arrays.write_arrays(tmp_path / "a.npz", {"conv1": np.zeros(1)})
    with pytest.raises(UserError, match="expected a .npy file with one array of numbers"):
        arrays.read_npy(tmp_path / "a.npz")


def test_six_digits_are_kept():
    assert arrays.significant(1234567.0) == 1234570.0
    assert arrays.significant(np.float32(0.1)) == 0.1
    assert arrays.significant(-2e-9 / 3) == -6.66667e-10


def test_factors_are_exact_and_rows_do_not_exceed_columns():
    for count in range(1, 400):
        rows, columns = arrays.factor(count)
        assert rows * columns == count
        assert rows <= columns
        assert not any(count % more == 0 for more in range(rows + 1, int(count**0.5) + 1))


def test_examples():
    assert doctest.testmod(arrays) == (0, 3)


def test_an_array_in_a_file_takes_its_place_at_once(tmp_path):
    path = tmp_path / "a.npy"
    array = arrays.array_in_file(path, np.float32, (300, 1000))
    assert path.stat().st_blocks * 512 >= array.nbytes
    array[1] = 2
    array.flush()
    assert np.load(path)[1].tolist() == [2] * 1000
    assert not arrays.temporary_array(np.uint8, (3, 4), tmp_path).any()
    assert [each.name for each in tmp_path.iterdir()] == ["a.npy"]


def test_an_array_on_a_full_disk_is_one_line_and_no_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UserError, match=r"a.npy: cannot be written, 4.0 MB .* \(No space left"):
        arrays.array_in_file(tmp_path / "a.npy", np.float32, (1000, 1000))
    assert not any(tmp_path.iterdir())


def npy(header, body=b""):
    header = header.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def described(descr="'<f4'", shape="(3,)"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3"),  # TokenError
        npy(described("','")),  # SyntaxError
        npy(described("'<f4'", "(True,)"), bytes(4)),  # TypeError
        npy(described("'<f4'", "(1000000000000000000000000,)")),  # OverflowError
        npy(described("'<f4'", "(8000000000,)")),
        npy(described("[('a', '<f4')]", "(1,)"), bytes(4)),
        npy(described("'<c8'", "(1,)"), bytes(8)),
        npy(described("'<M8[s]'", "(1,)"), bytes(8)),
        npy("(" * 9000),
    ],
)
def test_damaged_headers_and_other_arrays_are_one_line(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match="a.npy: ") as error:
        arrays.read_npy(tmp_path / "a.npy")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("array", [["a"], [1j], np.zeros(1, "M8[s]"), np.zeros(1, [("a", "f4")])])
def test_an_archive_of_other_arrays_than_numbers(tmp_path, array):
    np.savez(tmp_path / "a.npz", conv1=array)
    with pytest.raises(UserError, match="a.npz: blob 'conv1': expected an array of numbers"):
        arrays.read_array(tmp_path / "a.npz", "conv1")


def test_a_foreign_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(UserError, match="a.npz: blob 'a.txt': expected an array of numbers"):
        arrays.read_array(tmp_path / "a.npz", "a.txt")


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 99)])
def test_an_encrypted_archive_and_an_unknown_compression(tmp_path, place, value):
    path = tmp_path / "a.npz"
    arrays.write_arrays(path, {"conv1": np.zeros(1)})
    content = bytearray(path.read_bytes())
    content[place] = content[content.index(b"PK\x01\x02") + place + 2] = value
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.npz: cannot be read as .npz") as error:
        arrays.read_array(path, "conv1")
    assert "\n" not in str(error.value)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "UNPACKED", 1000)
    np.savez_compressed(tmp_path / "a.npz", conv1=np.zeros(1000), small=np.zeros(3))
    with pytest.raises(UserError, match="'conv1' has 8128 bytes, expected at most 1000"):
        arrays.read_array(tmp_path / "a.npz", "conv1")
    assert not arrays.read_array(tmp_path / "a.npz", "small").any()


@pytest.mark.parametrize("read", [arrays.read_npy, lambda path: arrays.read_array(path, "a")])
def test_a_fifo_does_not_wait(tmp_path, read):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(UserError, match="a.npy: cannot be read .*is no regular file"):
        read(tmp_path / "a.npy")
