"""Volumes in files of other programs, read as arrays ``(frames, depth, height, width)``.

The formats are the study's ``.vox`` with its ``.hd``, NumPy's ``.npy`` and ``.npz``, NRRD
(``.nhdr`` and ``.nrrd``), MetaImage (``.mhd``) and NIfTI (``.nii``, ``.nii.gz``). No values are
read before the header has said how many there are.
"""

import math
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import check_finite, first_line
from cnnvis.core.errors import UserError, suggest
from cnnvis.core.volume_files import read_vox

MOST_VALUES = 2**26
"""How many values a volume may have: more than a page can show."""
LONGEST_HEADER = 1 << 16
# Names of NRRD, in which C's names and those of stdint mean the same.
NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **{"float": "f4", "double": "f8"},
}
META_TYPES = {
    **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2"},
    **{"MET_INT": "i4", "MET_UINT": "u4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
}


def read_volume(path, array=None):
    """Read the volume, or the frames of one, in a file.

    Parameters
    ----------
    path : str or Path
        Ends in one of `READERS`.
    array : str, optional
        Which array of an ``.npz``; not needed where it holds one.

    Returns
    -------
    ndarray, (frames, depth, height, width)

    Raises
    ------
    UserError
        If the file is missing, damaged, larger than `MOST_VALUES`, of another format, or does not
        hold finite numbers of two to four dimensions.
    """
    path = Path(path)
    suffix = next((end for end in READERS if path.name.lower().endswith(end)), None)
    if suffix is None:
        raise UserError(f"{path}: expected a file that ends in one of {', '.join(READERS)}")
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    try:
        values = READERS[suffix](path, *([array] if suffix == ".npz" else []))
    # A lying header asks for memory that there is not, or for a seek beyond the end.
    except (OSError, EOFError, ValueError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be read as {suffix} ({first_line(error)})") from error
    return as_frames(values, str(path))


def as_frames(values, what):
    """Return an array of numbers as ``(frames, depth, height, width)``.

    Parameters
    ----------
    values : ndarray, (height, width), (depth, height, width) or (frames, depth, height, width)
        Bool, integers or floats; leading dimensions of 1 do not count.
    what : str
        What error messages start with.

    Raises
    ------
    UserError
        If the shape, the type or a value is another.

    Examples
    --------
    >>> as_frames(np.zeros((1, 1, 96, 55, 55)), "x").shape
    (1, 96, 55, 55)
    """
    values = np.asarray(values)
    while values.ndim > 4 and values.shape[0] == 1:
        values = values[0]
    if values.dtype.kind not in "biuf":
        raise UserError(f"{what}: holds {values.dtype}, expected numbers")
    if not 2 <= values.ndim <= 4 or not values.size:
        raise UserError(f"{what}: has shape {values.shape}, expected two to four dimensions")
    _check_size(values.shape, what)
    check_finite(values, what)
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    return values.reshape((1,) * (4 - values.ndim) + values.shape)


def _check_size(shape, what):
    size = math.prod(shape)
    if min(shape, default=0) < 1 or size > MOST_VALUES:
        sides = " x ".join(map(str, shape))
        raise UserError(f"{what}: {sides} values, expected at least 1 and at most {MOST_VALUES}")


def _read_study(path):
    return read_vox(path.with_suffix(".vox"), MOST_VALUES)


def _read_npy(path):
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _read_npz(path, name):
    with zipfile.ZipFile(path) as archive:
        names = [entry.removesuffix(".npy") for entry in archive.namelist()]
        if name is None and len(names) != 1:
            raise UserError(f"{path}: which array? It holds {', '.join(names) or 'none'}")
        if name is not None and name not in names:
            raise UserError(f"{path}: no array '{name}'; {suggest(name, names)}")
        entry = archive.namelist()[names.index(name) if name is not None else 0]
        with archive.open(entry) as stream:
            _check_size(_npy_shape(stream), f"{path}: array '{name or names[0]}'")
        with archive.open(entry) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)


def _npy_shape(stream):
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)[0] or (1,)
    return np.lib.format.read_array_header_2_0(stream)[0] or (1,)


def _read_nrrd(path):
    head, offset = _header(path)
    if not head.startswith("NRRD"):
        raise UserError(f"{path}: expected 'NRRD' at its start")
    fields = dict(re.findall(r"^([^#:=\n]+): *(.*?)\s*$", head, re.M))
    shape = _sizes(path, fields, "sizes")
    dtype = _dtype(path, fields, "type", NRRD_TYPES, fields.get("endian") == "big")
    encoding = fields.get("encoding", "raw")
    if encoding not in ("raw", "gzip", "gz"):
        raise UserError(f"{path}: encoding '{encoding}', expected raw or gzip")
    for key in ("byte skip", "line skip", "byteskip", "lineskip"):
        if fields.get(key, "0") != "0":
            raise UserError(f"{path}: {key} '{fields[key]}', expected none")
    data = fields.get("data file", fields.get("datafile"))
    if data is not None:
        path, offset = _beside(path, data), 0
    return _read_raw(path, offset, shape, dtype, compressed=encoding != "raw")


def _read_meta(path):
    head, _ = _header(path)
    fields = dict(re.findall(r"^(\w+) *= *(.*?)\s*$", head, re.M))
    if "ElementDataFile" not in fields:
        raise UserError(f"{path}: expected a line 'ElementDataFile = FILE'")
    shape = _sizes(path, fields, "DimSize")
    msb = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    dtype = _dtype(path, fields, "ElementType", META_TYPES, msb.lower() == "true")
    if fields.get("HeaderSize", "0") != "0" or fields.get("ElementNumberOfChannels", "1") != "1":
        raise UserError(f"{path}: expected HeaderSize 0 and ElementNumberOfChannels 1")
    compressed = fields.get("CompressedData", "False").lower() == "true"
    data = _beside(path, fields["ElementDataFile"])
    return _read_raw(data, 0, shape, dtype, compressed)


def _header(path):
    """Return the text of a header, which an empty line ends, and how many bytes it has."""
    with open(path, "rb") as file:
        start = file.read(LONGEST_HEADER)
    end = re.search(rb"\r?\n\r?\n", start)
    length = end.end() if end else len(start)
    return start[:length].decode("latin-1"), length


def _sizes(path, fields, key):
    """Return the shape, slowest axis first; headers name the fastest first."""
    sizes = fields.get(key, "").split()
    if not sizes or not all(size.isascii() and size.isdigit() for size in sizes):
        raise UserError(f"{path}: {key} '{fields.get(key, '')}', expected numbers such as 55 55 96")
    shape = tuple(int(size) for size in reversed(sizes))
    _check_size(shape, f"{path}: {key}")
    return shape


def _dtype(path, fields, key, types, big):
    name = fields.get(key, "")
    if name not in types:
        raise UserError(f"{path}: {key} '{name}', {suggest(name, types)}")
    return np.dtype(types[name]).newbyteorder(">" if big else "<")


def _beside(path, name):
    data = path.parent / name
    if not data.is_file():
        raise UserError(f"{path}: its data file {name} is missing")
    return data


def _read_raw(path, offset, shape, dtype, compressed):
    size = math.prod(shape) * dtype.itemsize
    with open(path, "rb") as file:
        file.seek(offset)
        if compressed:
            # 32: of zlib or gzip, as its own header says.
            packed = file.read(size + size // 64 + LONGEST_HEADER)
            unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)
            content = unpacker.decompress(packed, size + 1)
            if len(content) == size and not unpacker.eof:
                raise UserError(f"{path}: its compressed data have no end: the file is truncated")
        else:
            content = file.read(size + 1)
    if len(content) != size:
        held = f"more than {size}" if len(content) > size else str(len(content))
        raise UserError(f"{path}: holds {held} bytes, but its header says {size}")
    return np.frombuffer(content, dtype).reshape(shape)


def _read_nifti(path):
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nibabel.load(path)
    except ImageFileError as error:
        raise ValueError(first_line(error)) from error
    _check_size(image.shape, str(path))
    # x, y, z, time: NIfTI's fastest axis is its first.
    return np.asarray(image.dataobj).T


READERS = {
    **{".vox": _read_study, ".hd": _read_study, ".npy": _read_npy, ".npz": _read_npz},
    **{".nhdr": _read_nrrd, ".nrrd": _read_nrrd, ".mhd": _read_meta},
    **{".nii": _read_nifti, ".nii.gz": _read_nifti},
}
