"""Bytes that are no Caffe file, or no longer one: always one line, never a traceback."""

import os
import re

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnvis.caffe.binaryproto import read_binaryproto
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.prototxt import parse_prototxt, read_prototxt
from cnnvis.caffe.schema import messages
from cnnvis.caffe.wire import varint
from cnnvis.core.errors import UserError
from tests.fuzz.mutations import mutations

fuzz = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

LEGACY = {"num": 1, "channels": 2, "height": 1, "width": 2, "data": [1, 2, 3, 4]}
VALID = {
    "current": messages.NetParameter(
        name="net",
        layer=[
            {"name": "data", "type": "Input"},
            {
                "name": "conv1",
                "type": "Convolution",
                "bottom": ["data"],
                "blobs": [{"shape": {"dim": [2, 3]}, "data": range(6)}, LEGACY],
                "convolution_param": {"num_output": 2},
            },
            {"name": "fc", "blobs": [{"shape": {"dim": [2]}, "double_data": [1, 2]}]},
        ],
    ).SerializeToString(),
    "v1": messages.NetParameter(
        layers=[{"name": "conv1", "type": "CONVOLUTION", "blobs": [LEGACY], "blobs_lr": [1, 2]}]
    ).SerializeToString(),
}
PROTOTXT = """name: "net" input: "data" input_dim: [1, 3, 8, 8] # comment
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { std: 1e-2 } } }
"""


def blob_layer(blob, name=b"\x0a\x01a"):
    """Wrap a blob's bytes in a layer called a."""
    content = name + b"\x3a" + varint(len(blob)) + blob
    return b"\xa2\x06" + varint(len(content)) + content


def refusal(read, path):
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{path}: ")
    return message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, expected a binary .caffemodel"),
        (PROTOTXT, r"is text \(a prototxt\?\)"),
        (b"\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file: save .* BINARYPROTO"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html>", "web page"),
        (b"PK\x03\x04\x14", "zip archive"),
        (b"\x0a\x03net", "has no layers"),
        (b"\xa2\x06\x03\x0a\x01a\x00", "after layer 'a': no valid field at byte 6"),
        (b"\x00" * 99, "no valid field at byte 0"),
        (b"\x0a", "cut off at byte 1"),
        (b"\x0a" + b"\xff" * 20, "no valid number at byte 1"),
        (b"\xa3\x06\xa4\x06", "no valid field at byte 0"),
        (b"\xa2\x06" + varint(2**60), "cut off: bytes 11 to 1152921504606846987 expected"),
        (b"\xa2\x06\x04\x0a\x01a\x3a\xff\x7f", "layer 'a': is cut off at byte 7"),
        (b"\xa2\x06\x05\x0a\x01a\x3a\x7f\x00\x00", "layer 'a': .*its entry ends at 8"),
        (blob_layer(b"\x2a" + varint(2**62)), "layer 'a' blob 0: is cut off"),
        (blob_layer(b""), "layer 'a' blob 0: holds neither"),
        (blob_layer(b"\x3a\x01\x08"), "layer 'a' blob 0: no valid blob"),
        (blob_layer(b"\x2a\x03abc"), "3 bytes at byte 10, expected a multiple of 4"),
        (
            blob_layer(b"\x3a\x02\x08\x03\x2a\x04abcd"),
            r"layer 'a' blob 0: shape \(3,\) expects 3 numbers, found 1",
        ),
        (blob_layer(b"\x3a\x0b\x0a\x09" + varint(2**62)), "expected at most 2147483647 numbers"),
        (blob_layer(b"\x3a\x0b\x08" + varint(2**64 - 1)), r"no valid shape, 1 axes: \(-1,\)"),
        (blob_layer(b"\x08" + varint(2**64 - 5)), r"no valid shape, 4 axes: \(-5, 0, 0, 0\)"),
        (blob_layer(b"\x3a\x23\x0a\x21" + b"\1" * 33), "no valid shape, 33 axes"),
        (blob_layer(b"\x3a" + varint(70000) + bytes(70000)), "expected at most 65536"),
        (
            blob_layer(b"\x3a\x1e\x0a\x1c\x00" + varint(2**62) * 3),
            "expected at most 2147483647 numbers",
        ),
        (b"\xa2\x06\x00\x12\x00", "both 'layer' and 'layers'"),
        (b"\x12\x05\x0a\x03\x0a\x01a", "V0.*upgrade_net_proto_binary"),
    ],
)
def test_refusals(save, content, reason):
    assert re.search(reason, refusal(read_caffemodel, save(content)))


def test_refusals_of_the_system(tmp_path):
    assert "No such file" in refusal(read_caffemodel, tmp_path / "absent.caffemodel")
    assert "Is a directory" in refusal(read_caffemodel, tmp_path)


@pytest.mark.parametrize("kind", VALID)
def test_cut_off_anywhere(save, kind):
    """Only a cut between two layers goes unnoticed: nothing in the format tells of the rest."""
    content = VALID[kind]
    whole = read_caffemodel(save(content))
    for length in range(len(content)):
        path = save(content[:length])
        try:
            part = read_caffemodel(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            messages.NetParameter.FromString(content[:length])
            assert list(part) == list(whole)[: len(part)]


def agrees_with_protobuf(weights, content):
    """Assert that protobuf, where it accepts the same bytes, finds the same numbers."""
    try:
        net = messages.NetParameter.FromString(content)
    except (DecodeError, UnicodeDecodeError):
        return
    found = [layer.blobs for layer in [*net.layer, *net.layers] if layer.blobs]
    numbers = [np.array(blob.double_data or blob.data) for blobs in found for blob in blobs]
    if len(found) == len(weights):  # No two layers of one name.
        mine = [array.ravel() for arrays in weights.values() for array in arrays]
        for a, b in zip(mine, numbers, strict=True):
            np.testing.assert_array_equal(a, b)


@fuzz
@given(content=st.sampled_from(sorted(VALID)).map(VALID.get).flatmap(mutations))
def test_damaged_weights(save, content):
    path = save(content)
    try:
        weights = read_caffemodel(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        agrees_with_protobuf(weights, content)


@fuzz
@given(content=st.binary(max_size=200))
def test_random_bytes(save, content):
    for read in (read_caffemodel, read_binaryproto):
        try:
            read(save(content))
        except UserError as error:
            assert "\n" not in str(error)


@fuzz
@given(content=mutations(PROTOTXT.encode()) | st.binary(max_size=50) | st.text(max_size=50))
def test_damaged_text(content):
    try:
        net = parse_prototxt(content)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert net.layer and not net.layers


def test_deep_nesting():
    deep = b"\xa2\x06\x00"
    for _ in range(500):
        deep = b"\xa2\x06" + varint(len(deep)) + deep
    with pytest.raises(UserError):
        parse_prototxt("layer {" * 5000)
    with pytest.raises(UserError):
        parse_prototxt("layer { unknown {" + "a {" * 5000)


@pytest.mark.parametrize("read", [read_caffemodel, read_binaryproto, read_prototxt])
def test_a_fifo_does_not_wait(tmp_path, read):
    os.mkfifo(tmp_path / "net")
    assert "is no regular file" in refusal(read, tmp_path / "net")
