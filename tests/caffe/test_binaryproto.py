import numpy as np
import pytest

from cnnvis.caffe.binaryproto import read_binaryproto
from cnnvis.caffe.schema import messages
from cnnvis.core.errors import UserError
from tests.binaryproto import write_binaryproto

IMAGE = np.arange(24, dtype=np.float32).reshape(3, 2, 4)


def test_round_trip(tmp_path):
    path = tmp_path / "mean.binaryproto"
    write_binaryproto(path, IMAGE.astype(np.float64))
    image = read_binaryproto(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize("dim", [(1, 3, 2, 4), (3, 2, 4)])
def test_shapes_with_and_without_number(save, dim):
    blob = messages.BlobProto(shape={"dim": dim}, double_data=IMAGE.ravel())
    image = read_binaryproto(save(blob.SerializeToString()))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, expected a binaryproto mean"),
        (messages.BlobProto(num=2, channels=1, height=1, width=1, data=[1, 2]), "expected one im"),
        (messages.BlobProto(shape={"dim": [2]}, data=[1, 2]), r"shape \(2,\), expected one image"),
        (messages.BlobProto(shape={"dim": [1, 3, 0, 0]}), "expected one image"),
        (messages.BlobProto(channels=3, num=1, height=1, width=1), "expects 3 numbers, found 0"),
        (messages.NetParameter(name="n", layer=[{"name": "a"}]), "neither a shape nor numbers"),
        (b"\x93NUMPY\x01\x00", "is a NumPy array"),
        (b"\x08\x01\x10\x03\x2a\x0c\x00", "cut off.*expected.*the file has 7"),
    ],
)
def test_what_is_no_mean_is_refused(save, content, reason):
    content = content if isinstance(content, bytes) else content.SerializeToString()
    path = save(content, "mean.binaryproto")
    with pytest.raises(UserError, match=f"^{path}: .*{reason}"):
        read_binaryproto(path)
