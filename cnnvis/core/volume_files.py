"""Files of 8-bit volumes and their headers, and how arrays become their bytes.

A volume of a layer has one slice per filter, in the order of an ordering: the bytes of the
array ``(filters, height, width)`` in C order, so x (width) runs fastest and z is the filter::

              z = filter 95
             +-----------+
            /           /|        offset in the file = (z * height + y) * width + x
     z = 0 +-----------+ |
           |  x -->    | |
           |  y        | +
           |  |        |/
           +-----------+

Beside every ``.vox`` are three headers, which describe the same bytes: ``.hd`` (the study's),
``.nhdr`` (NRRD) and ``.mhd`` (MetaImage), the latter two for 3D Slicer, ParaView, ITK and Fiji.
"""

import re
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import factor
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic

# The study's header has no newline at its end.
HEADERS = {
    ".hd": "Size {width}x{height}x{depth} unsigned byte \nSpacing 1.0x1.0x1.0",
    ".nhdr": """NRRD0004
type: uint8
dimension: 3
sizes: {width} {height} {depth}
spacings: 1 1 1
encoding: raw
data file: {name}
""",
    ".mhd": """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
DimSize = {width} {height} {depth}
ElementSpacing = 1 1 1
ElementType = MET_UCHAR
ElementDataFile = {name}
""",
}

LONGEST_HEADER = 4096


def to_bytes(outputs):
    """Scale a layer to bytes by the study's formula.

    ``rint((x - min) * 255 / (max - min))`` over the whole layer, in double precision: the bytes
    of the study's own conv1 come out the same, every one.

    Parameters
    ----------
    outputs : ndarray
        Any shape, all values finite.

    Returns
    -------
    ndarray of uint8
        The same shape; all zeros where `outputs` is constant.
    """
    values = np.asarray(outputs, np.float64)
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - low) * 255 / (high - low)).astype(np.uint8)


def to_signed_bytes(values):
    """Scale signed values to bytes symmetrically: 0 is 128, the largest magnitude 255 or 0.

    Parameters
    ----------
    values : ndarray
        Any shape, all values finite.

    Returns
    -------
    ndarray of uint8
        All 128 where every value is 0.

    Examples
    --------
    >>> to_signed_bytes(np.array([-2.0, 0.0, 1.0, 2.0]))
    array([  0, 128, 191, 255], dtype=uint8)
    """
    values = np.asarray(values, np.float64)
    return np.rint(127.5 + 127.5 * (values / largest_magnitude(values))).astype(np.uint8)


def largest_magnitude(values):
    """Return the largest magnitude in `values`, 1 where all are 0."""
    return float(np.abs(values).max()) or 1.0


def tile_channels(tensor):
    """Lay the channels of each filter out as tiles, as `cnnvis.gradients.volumes` shows.

    Parameters
    ----------
    tensor : ndarray, (filters, channels, kh, kw) or (filters, channels)

    Returns
    -------
    ndarray, (filters, kh * rows, kw * columns)

    Examples
    --------
    >>> tile_channels(np.arange(6).reshape(1, 6, 1, 1))
    array([[[0, 1, 2],
            [3, 4, 5]]])
    """
    filters, channels, kh, kw = (*tensor.shape, 1, 1)[:4]
    rows, columns = factor(channels)
    tiles = tensor.reshape(filters, rows, columns, kh, kw)
    return tiles.transpose(0, 1, 3, 2, 4).reshape(filters, rows * kh, columns * kw)


def write_volume(vox, volume):
    """Write a volume of bytes and its ``.hd``, ``.nhdr`` and ``.mhd`` beside it.

    Parameters
    ----------
    vox : str or Path
        Ends in ``.vox``.
    volume : ndarray of uint8, (depth, height, width)
    """
    vox = Path(vox)
    depth, height, width = volume.shape
    size = {"width": width, "height": height, "depth": depth, "name": vox.name}
    headers = {suffix: text.format(**size).encode() for suffix, text in HEADERS.items()}
    for suffix, content in {".vox": volume.tobytes(), **headers}.items():
        with atomic(vox.with_suffix(suffix)) as temporary:
            temporary.write_bytes(content)


def read_vox(path, most=None):
    """Read a ``.vox`` file with the ``.hd`` header beside it.

    Parameters
    ----------
    path : str or Path
        Of the ``.vox``.
    most : int, optional
        How many voxels there may be.

    Returns
    -------
    ndarray of uint8, (depth, height, width)

    Raises
    ------
    UserError
        If a file is missing, the header does not fit the number of bytes, or there are too many.
    """
    path = Path(path)
    header = path.with_suffix(".hd")
    try:
        with open(header, encoding="latin-1") as file:
            text = file.read(LONGEST_HEADER)
        length = path.stat().st_size
        size = re.search(r"Size (\d{1,9})x(\d{1,9})x(\d{1,9}) unsigned byte", text)
        if not size:
            raise UserError(f"{header}: expected a line such as 'Size 55x55x96 unsigned byte'")
        width, height, depth = map(int, size.groups())
        if length != width * height * depth:
            raise UserError(
                f"{path}: has {length} bytes, but {header.name} says {width} x {height} x {depth}"
            )
        if most is not None and length > most:
            raise UserError(f"{path}: has {length} voxels, expected at most {most}")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error
    return np.frombuffer(content, np.uint8).reshape(depth, height, width)
