"""The part of protobuf's wire format that reading and writing weights in place requires.

protobuf's own library holds a whole message in memory, and then its numbers a second time. As
nearly all of a `.caffemodel` is weights, these are read from the file straight into arrays, and
protobuf decodes only the few bytes around them.
"""

import os
from contextlib import contextmanager
from typing import NamedTuple

from cnnvis.core.errors import UserError
from cnnvis.core.files import open_regular

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# First bytes of files that are mistaken for Caffe's, and what to tell the user.
_OPENINGS = {
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file: save the weights as a binary .caffemodel "
    "(snapshot_format: BINARYPROTO in the solver, or net.save(...) in pycaffe)",
    b"\x93NUMPY": "is a NumPy array",
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"\x1f\x8b": "is compressed by gzip: unpack it first",
    b"version https://git-lfs": "is a Git LFS pointer: fetch the file itself (git lfs pull)",
    b"<": "is a web page: the download failed, repeat it",
}


class Field(NamedTuple):
    """One field of a message: number, wire type, and where tag and content lie in the file."""

    number: int
    wire: int
    tag: int
    start: int
    stop: int


class Reader:
    """Iterate over the fields of a file; a malformed one is an error of one line.

    Parameters
    ----------
    file : BufferedReader
    path : str or Path
    what : str
        The kind of file expected, for messages.
    """

    def __init__(self, file, path, what):
        self.file = file
        self.path = path
        self.what = what
        self.size = os.fstat(file.fileno()).st_size
        self.where = ""

    def fail(self, reason):
        """Raise a `UserError` that names the file, the place and the reason."""
        raise UserError(f"{self.path}: {self.where}{reason}")

    def damaged(self, reason):
        """Raise a `UserError` for bytes that are not what was expected."""
        self.fail(f"{reason}: the file is damaged or no {self.what}; copy or download it again")

    def fields(self, start, stop):
        """Yield each `Field` between two positions, without reading its content."""
        position = start
        while position < stop:
            self.file.seek(position)
            key, content = self._varint(position, stop)
            number, wire = key >> 3, key & 7
            if not 0 < number < 1 << 29:
                self.damaged(f"no valid field at byte {position}")
            field = self._extent(number, wire, position, content, stop)
            yield field
            position = field.stop

    def _extent(self, number, wire, tag, start, stop):
        if wire == VARINT:
            end = self._varint(start, stop)[1]
        elif wire == BYTES:
            length, start = self._varint(start, stop)
            end = start + length
        elif wire in (FIXED32, FIXED64):
            end = start + (4 if wire == FIXED32 else 8)
        else:
            # Groups (3 and 4) exist in the wire format, but no version of Caffe writes them.
            self.damaged(f"no valid field at byte {tag}")
        if end > stop:
            have = f"the file has {self.size}" if stop == self.size else f"its entry ends at {stop}"
            self.damaged(f"is cut off: bytes {start} to {end} expected, {have}")
        return Field(number, wire, tag, start, end)

    def _varint(self, position, stop):
        """Return a number of variable length and the position behind it."""
        value = 0
        for index in range(10):
            byte = self.file.read(1) if position + index < stop else b""
            if not byte:
                self.damaged(f"is cut off at byte {position + index}")
            value |= (byte[0] & 0x7F) << (7 * index)
            if byte[0] < 0x80:
                return value, position + index + 1
        self.damaged(f"no valid number at byte {position}")

    def bytes(self, start, stop, limit=1 << 16):
        """Return the bytes between two positions, at most `limit` (of names and shapes)."""
        if stop - start > limit:
            self.damaged(f"{stop - start} bytes at byte {start}, expected at most {limit}")
        self.file.seek(start)
        return self.file.read(stop - start)

    def fill(self, array, start):
        """Read numbers from the file into a contiguous array."""
        self.file.seek(start)
        if array.size and self.file.readinto(memoryview(array).cast("B")) != array.nbytes:
            self.damaged(f"is cut off at byte {start}")


@contextmanager
def open_reader(path, what):
    """Open one of Caffe's binary files; a file that is obviously of another kind is refused.

    Parameters
    ----------
    path : str or Path
    what : str
        The kind of file expected, for messages.

    Yields
    ------
    Reader
    """
    try:
        with open_regular(path) as file:
            _check_opening(file.read(256), path, what)
            yield Reader(file, path, what)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _check_opening(opening, path, what):
    if not opening:
        raise UserError(f"{path}: is empty, expected a {what}")
    for start, reason in _OPENINGS.items():
        if opening.startswith(start):
            raise UserError(f"{path}: {reason} (expected a {what})")
    # A binary message has keys or lengths that are control characters or above 127.
    if len(opening) > 16 and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in opening):
        raise UserError(f"{path}: is text (a prototxt?), expected a {what}, which is binary")


def varint(value):
    """Return a number in the wire format's variable length."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def opening(number, length):
    """Return what precedes the content of a length-delimited field."""
    return varint(number << 3 | BYTES) + varint(length)
