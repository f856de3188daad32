"""Read a mean image (`.binaryproto`), as Caffe's compute_image_mean writes it."""

import numpy as np

from cnnvis.caffe.blobs import read_blob
from cnnvis.caffe.wire import open_reader
from cnnvis.core.errors import UserError

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
        If the file cannot be read, is damaged, or does not hold exactly one image.
    """
    with open_reader(path, WHAT) as reader:
        blob = read_blob(reader, 0, reader.size)
    shape = blob.shape[1:] if blob.ndim == 4 and blob.shape[0] == 1 else blob.shape
    if len(shape) != 3 or 0 in shape:
        raise UserError(
            f"{path}: shape {blob.shape}, expected one image (1, channels, height, width)"
        )
    return blob.reshape(shape).astype(np.float32, copy=False)
