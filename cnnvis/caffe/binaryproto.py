"""Single blobs (`.binaryproto`): the mean image that Caffe's compute_image_mean writes."""

import numpy as np

from cnnvis.caffe.blobs import DATA, read_blob
from cnnvis.caffe.schema import messages
from cnnvis.caffe.wire import open_reader, opening
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic

WHAT = "binaryproto mean"


def read_binaryproto(path):
    """Read a mean image.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    ndarray, float32, shape (channels, height, width)

    Raises
    ------
    UserError
        If the file cannot be read, is damaged, or holds something else than one image.
    """
    with open_reader(path, WHAT) as reader:
        blob = read_blob(reader, 0, reader.size)
    shape = blob.shape[1:] if blob.ndim == 4 and blob.shape[0] == 1 else blob.shape
    if len(shape) != 3 or 0 in shape:
        raise UserError(
            f"{path}: shape {blob.shape}, expected one image (1, channels, height, width)"
        )
    return blob.reshape(shape).astype(np.float32, copy=False)


def write_binaryproto(path, image):
    """Write a mean image in the form that every version of Caffe reads.

    Parameters
    ----------
    path : str or Path
    image : ndarray, shape (channels, height, width)
        Written as float32.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    image = np.ascontiguousarray(image, dtype="<f4")
    channels, height, width = image.shape
    head = messages.BlobProto(num=1, channels=channels, height=height, width=width)
    with atomic(path) as temporary:
        temporary.write_bytes(
            head.SerializeToString() + opening(DATA, image.nbytes) + image.tobytes()
        )
