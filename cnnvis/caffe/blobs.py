"""Read blobs (BlobProto messages) straight into arrays, and write them straight from arrays."""

import math

import numpy as np
from google.protobuf.message import DecodeError

from cnnvis.caffe.schema import messages
from cnnvis.caffe.wire import BYTES, FIXED32, FIXED64, VARINT, opening

DATA, DOUBLE_DATA, SHAPE = 5, 8, 7
MAX_AXES, MAX_COUNT = 32, 2**31 - 1
"""Caffe's own limits (``kMaxBlobAxes``, and its counts are ``int``)."""

_LEGACY_SHAPE = ("num", "channels", "height", "width")
_TYPES = {DATA: np.dtype("<f4"), DOUBLE_DATA: np.dtype("<f8")}
# What protobuf decodes: the shape, legacy or not, and numbers that are not packed (valid, though
# no version of Caffe writes them).
_SMALL = {(number, VARINT) for number in range(1, 5)}
_SMALL |= {(SHAPE, BYTES), (DATA, FIXED32), (DOUBLE_DATA, FIXED64)}


def read_blob(reader, start, stop):
    """Read the BlobProto between two positions of a file; its gradients (diff) are skipped.

    Parameters
    ----------
    reader : cnnvis.caffe.wire.Reader
    start, stop : int
        Positions in the file.

    Returns
    -------
    ndarray
        float64 where the blob holds double_data, otherwise float32. Its shape is the stored one:
        four-dimensional where the blob has the legacy fields num, channels, height and width.

    Raises
    ------
    UserError
        If the bytes are not a blob, or the number of values is not the product of the shape.
    """
    chunks, header = _scan(reader, start, stop)
    shape = _shape(reader, header)
    # As in Caffe, double_data takes precedence where there is any.
    kind = DOUBLE_DATA if chunks[DOUBLE_DATA] or len(header.double_data) else DATA
    unpacked = header.double_data if kind == DOUBLE_DATA else header.data
    array = np.empty(_count(reader, chunks[kind], kind) + len(unpacked), _TYPES[kind])
    if not shape and not array.size:
        reader.damaged("holds neither a shape nor numbers")
    if array.size != math.prod(shape):
        reader.fail(f"shape {shape} expects {math.prod(shape)} numbers, found {array.size}")
    _load(reader, chunks[kind], unpacked, array)
    return array.reshape(shape).astype(array.dtype.newbyteorder("="), copy=False)


def _scan(reader, start, stop):
    """Return the places of packed numbers, ``{field: [(start, bytes)]}``, and the rest decoded."""
    chunks = {DATA: [], DOUBLE_DATA: []}
    rest = bytearray()
    for field in reader.fields(start, stop):
        if field.number in chunks and field.wire == BYTES:
            if field.stop > field.start:
                chunks[field.number].append((field.start, field.stop - field.start))
        elif (field.number, field.wire) in _SMALL:
            rest += reader.bytes(field.tag, field.stop)
    try:
        return chunks, messages.BlobProto.FromString(bytes(rest))
    except DecodeError:
        reader.damaged(f"no valid blob at byte {start}")


def _shape(reader, header):
    if any(header.HasField(name) for name in _LEGACY_SHAPE):
        shape = tuple(getattr(header, name) for name in _LEGACY_SHAPE)
    else:
        shape = tuple(header.shape.dim)
    if len(shape) > MAX_AXES or any(size < 0 for size in shape):
        reader.damaged(f"no valid shape, {len(shape)} axes: {shape[:MAX_AXES]}")
    if math.prod(size or 1 for size in shape) > MAX_COUNT:
        reader.damaged(f"shape {shape}, expected at most {MAX_COUNT} numbers")
    return shape


def _count(reader, chunks, kind):
    """Return how many packed numbers there are (the file has room for them, see `Reader`)."""
    size = _TYPES[kind].itemsize
    for start, length in chunks:
        if length % size:
            reader.damaged(f"{length} bytes at byte {start}, expected a multiple of {size}")
    return sum(length for _, length in chunks) // size


def _load(reader, chunks, unpacked, array):
    position = 0
    for start, length in chunks:
        end = position + length // array.itemsize
        reader.fill(array[position:end], start)
        position = end
    array[position:] = unpacked


def blob_parts(array, number):
    """Return the two parts of a blob in a file: what precedes its numbers, and the numbers.

    Parameters
    ----------
    array : ndarray
        float64 is written as double_data, everything else as float32 data.
    number : int
        The field that holds the blob.

    Returns
    -------
    head : bytes
    numbers : ndarray
        Contiguous and little-endian; `array` itself where it is so already.
    """
    array = np.asarray(array)
    kind = DOUBLE_DATA if array.dtype == np.float64 else DATA
    numbers = np.ascontiguousarray(array, dtype=_TYPES[kind])
    shape = messages.BlobProto(shape=messages.BlobShape(dim=array.shape)).SerializeToString()
    head = shape + opening(kind, numbers.nbytes)
    return opening(number, len(head) + numbers.nbytes) + head, numbers
