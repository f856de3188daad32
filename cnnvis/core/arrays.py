"""Files of arrays, and small questions that everything asks of numbers.

An ``.npz`` of this project is uncompressed (activations hardly compress, and one blob of many is
read at memory speed), written whole or not at all, and the same bytes for the same arrays.
"""

import base64
import gzip
import math
import os
import zipfile
from pathlib import Path

import numpy as np

from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, open_regular

UNPACKED = 1 << 30
"""Bytes that a compressed array may have: a few MB of zeros can be compressed from many GB."""


def write_arrays(path, arrays):
    """Write ``{name: array}`` as an uncompressed ``.npz``.

    ``numpy.savez`` takes the names as keyword arguments, so that a blob called ``file`` breaks
    it; any name is welcome here.
    """
    with (
        atomic(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, array in arrays.items():
            # A ZipInfo made by hand carries 1980 as its date: same arrays, same bytes.
            entry = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array, order="C"))


def write_npy(path, array):
    """Write one array as ``.npy``, atomically."""
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        np.save(stream, array)


def array_in_file(path, dtype, shape):
    """Return an array of zeros in a new ``.npy`` file, all of whose place on the disk is taken.

    Otherwise a full disk would end the process at some later time, without a word.

    Raises
    ------
    UserError
        If the disk is full.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    try:
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    except OSError as error:
        Path(path).unlink()
        size = f"{array.nbytes / 1e6:.1f} MB of intermediate values"
        raise UserError(f"{path}: cannot be written, {size} ({error.strerror})") from error
    return array


def temporary_array(dtype, shape, folder=None):
    """Return an array of zeros in a file that goes with it; see `array_in_file`."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir=folder, prefix=".cnnvis-") as temporary:
        return array_in_file(Path(temporary) / "array.npy", dtype, shape)


def read_array(path, name, kind="blob"):
    """Read one array of an ``.npz``, checked to be numbers without NaN or infinity.

    Parameters
    ----------
    path : str or Path
        A file of `write_arrays` or ``numpy.savez``.
    name : str
        Which array.
    kind : str
        What an array of this file is called in error messages.

    Returns
    -------
    ndarray

    Raises
    ------
    UserError
        If the file cannot be read, has no such array, or the array is not finite.
    """
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as archive:
            if name not in archive.files:
                held = ", ".join(archive.files) or "nothing"
                raise UserError(f"{path}: no {kind} '{name}'; it holds {held}")
            _check_unpacked(archive.zip, name)
            array = archive[name]
    except UserError:
        raise
    # Of a damaged file the parsers of NumPy, zipfile and Python raise whatever they meet.
    except Exception as error:
        raise UserError(f"{path}: cannot be read as .npz ({first_line(error)})") from error
    what = f"{path}: {kind} '{name}'"
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise UserError(f"{what}: expected an array of numbers")
    check_finite(array, what)
    return array


def _check_unpacked(archive, name):
    """Raise a ValueError for an array that is compressed from more than `UNPACKED` bytes."""
    held = {entry.filename: entry for entry in archive.infolist()}
    entry = held.get(f"{name}.npy") or held[name]
    if entry.compress_type != zipfile.ZIP_STORED and entry.file_size > UNPACKED:
        raise ValueError(
            f"'{name}' has {entry.file_size} bytes, expected at most {UNPACKED} of a compressed "
            "array; write it with numpy.savez"
        )


def check_finite(array, what):
    """Raise a `UserError` that starts with `what` where `array` has NaN or infinity."""
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise UserError(f"{what}: {bad} of {array.size} values are NaN or infinite")


def first_line(error):
    """Return what an exception says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def packed(array, level=6):
    """Return base64 of gzip of an array's bytes, in C order: what scripts of pages ``unpack``.

    Level 9 is the smallest and takes the longest.
    """
    content = np.ascontiguousarray(array).tobytes()
    return base64.b64encode(gzip.compress(content, level, mtime=0)).decode()


def factor(count):
    """Return ``(rows, columns)``, the exact factors of `count` nearest to a square.

    `rows` is the largest divisor of `count` that is not above its root.

    >>> factor(48), factor(3), factor(96)
    ((6, 8), (1, 3), (8, 12))
    """
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return rows, count // rows


def cluster_numbers(k):
    """Return the numbers of clusters of one clustering after the other.

    >>> cluster_numbers(7), cluster_numbers("20x5")
    ([7], [20, 5])
    """
    return [int(number) for number in str(k).split("x")]


def significant(value):
    """Return six significant digits: what differs from machine to machine lies behind them."""
    return float(f"{value:.6g}")


def to_unit_range(values):
    """Scale values from their least to their largest as 0 to 1; all 0 where they are equal.

    >>> to_unit_range(np.array([2.0, 6.0, 3.0])).tolist()
    [0.0, 1.0, 0.25]
    """
    low, high = values.min(), values.max()
    return (values - low) / ((high - low) or 1)


def read_npy(path, shape=None, ndim=None):
    """Read a ``.npy`` file of numbers.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int, optional
        The shape it must have.
    ndim : int, optional
        The number of dimensions it must have.

    Returns
    -------
    ndarray

    Raises
    ------
    UserError
        If it cannot be read, does not hold numbers, is empty, or has another shape.
    """
    try:
        with open_regular(path) as file:
            values = np.load(file, allow_pickle=False)
    except Exception as error:  # as in `read_array`
        raise UserError(f"{path}: cannot be read as .npy ({first_line(error)})") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu" or not values.size:
        raise UserError(f"{path}: expected a .npy file with one array of numbers")
    if shape is not None and values.shape != tuple(shape):
        raise UserError(f"{path}: has shape {values.shape}, expected {tuple(shape)}")
    if ndim is not None and values.ndim != ndim:
        raise UserError(f"{path}: has shape {values.shape}, expected {ndim} dimensions")
    return values
