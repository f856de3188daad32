"""Blobs on disk: BlobProto messages, read into arrays and written from them without a detour."""

import math

import numpy as np
from google.protobuf.message import DecodeError

from cnnvis.caffe.schema import messages
from cnnvis.caffe.wire import BYTES, FIXED32, FIXED64, opening

DATA, DOUBLE_DATA, SHAPE = 5, 8, 7
MAX_AXES = 32
"""Caffe's own limit (``kMaxBlobAxes``)."""

_FLOAT, _DOUBLE = np.dtype("<f4"), np.dtype("<f8")
_TYPES = {DATA: _FLOAT, DOUBLE_DATA: _DOUBLE}
_FIXED = {DATA: FIXED32, DOUBLE_DATA: FIXED64}


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
        If the bytes make no sense or the count of numbers is not the product of the shape.
    """
    chunks, header = _scan(reader, start, stop)
    shape = _shape(reader, header)
    # As Caffe does: double_data counts where there is any.
    kind = DOUBLE_DATA if chunks[DOUBLE_DATA] or len(header.double_data) else DATA
    dtype = _TYPES[kind]
    loose = header.double_data if kind == DOUBLE_DATA else header.data
    packed = sum(size for _, size in chunks[kind])
    count = packed // dtype.itemsize + len(loose)
    if packed % dtype.itemsize or count != math.prod(shape):
        reader.fail(
            f"shape {shape} expects {math.prod(shape)} numbers, "
            f"found {packed / dtype.itemsize + len(loose):g}"
        )
    return _load(reader, chunks[kind], loose, count, dtype).reshape(shape)


def _scan(reader, start, stop):
    """Return where packed numbers lie, {field: [(position, bytes)]}, and the rest as a message."""
    chunks = {DATA: [], DOUBLE_DATA: []}
    rest = bytearray()
    for field in reader.fields(start, stop):
        if field.number in chunks and field.wire == BYTES:
            if field.stop > field.start:
                chunks[field.number].append((field.start, field.stop - field.start))
        elif field.number == SHAPE or field.number < DATA or _is_loose(field):
            rest += reader.bytes(field.tag, field.stop)
    try:
        return chunks, messages.BlobProto.FromString(bytes(rest))
    except DecodeError:
        reader.damaged(f"no valid blob at byte {start}")


def _is_loose(field):
    """Return whether it is one number of a list that was not packed, as no Caffe writes it."""
    return field.number in _FIXED and field.wire == _FIXED[field.number]


def _shape(reader, header):
    legacy = ("num", "channels", "height", "width")
    if any(header.HasField(name) for name in legacy):
        shape = tuple(getattr(header, name) for name in legacy)
    else:
        shape = tuple(header.shape.dim)
    if len(shape) > MAX_AXES or any(size < 0 for size in shape):
        reader.damaged(f"no valid shape, {len(shape)} axes: {shape[:MAX_AXES]}")
    return shape


def _load(reader, chunks, loose, count, dtype):
    array = np.empty(count, dtype)
    position = 0
    for start, size in chunks:
        end = position + size // dtype.itemsize
        reader.fill(array[position:end], start)
        position = end
    array[position:] = loose
    return array.astype(dtype.newbyteorder("="), copy=False)


def blob_parts(array, number):
    """Return a blob as it stands in a file: what precedes its numbers, and the numbers.

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
        Contiguous, little-endian; a view of `array` where it already is that.
    """
    array = np.asarray(array)
    kind = DOUBLE_DATA if array.dtype == np.float64 else DATA
    numbers = np.ascontiguousarray(array, dtype=_TYPES[kind])
    shape = messages.BlobProto(shape=messages.BlobShape(dim=array.shape)).SerializeToString()
    head = shape + opening(kind, numbers.nbytes)
    return opening(number, len(head) + numbers.nbytes) + head, numbers
