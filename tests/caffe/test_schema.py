import subprocess
import sys

import pytest

from cnnvis.caffe.schema import describe, messages


@pytest.mark.parametrize(
    ("message", "field", "default"),
    [
        ("ConvolutionParameter", "group", 1),
        ("ConvolutionParameter", "bias_term", True),
        ("FillerParameter", "type", "constant"),
        ("LRNParameter", "beta", 0.75),
        ("MVNParameter", "eps", pytest.approx(1e-9)),
        ("ImageDataParameter", "root_folder", ""),
        ("WindowDataParameter", "crop_mode", "warp"),
        ("NetState", "phase", 1),
        ("EltwiseParameter", "operation", 1),
    ],
)
def test_defaults_are_caffes(message, field, default):
    assert getattr(getattr(messages, message)(), field) == default


def test_numbers_on_the_wire_are_caffes():
    layer = messages.LayerParameter(name="a", elu_param=messages.ELUParameter(alpha=2))
    assert layer.SerializeToString() == b"\x0a\x01a" + b"\xe2\x08\x05" + b"\x0d\x00\x00\x00\x40"


def test_weights_are_packed_on_the_wire():
    blob = messages.BlobProto(data=[1, 2])
    assert blob.SerializeToString() == b"\x2a\x08\x00\x00\x80\x3f\x00\x00\x00\x40"


def test_v1_types_keep_their_numbers():
    assert messages.V1LayerParameter(type="DECONVOLUTION").SerializeToString() == b"\x28\x27"


def test_table_forms():
    file = describe(
        "enum Side: LEFT 0, RIGHT 1\n"
        "Hand\n"
        "    enum Finger: THUMB 0\n"
        "    enum Finger: RING 3\n"
        "    # a comment\n"
        "    side 1 Side = RIGHT; name 2 string! ; ages 3 int32[packed]; nails 4 Finger[]\n",
        package="body",
    )
    (hand,) = file.message_type
    assert [value.number for value in hand.enum_type[0].value] == [0, 3]
    assert [field.type_name for field in hand.field] == [".body.Side", "", "", ".body.Hand.Finger"]
    assert [field.label for field in hand.field] == [1, 2, 3, 3]
    assert hand.field[0].default_value == "RIGHT"
    assert hand.field[2].options.packed


def test_a_caffe_in_the_same_process_keeps_its_messages():
    """pycaffe registers messages of the same names in protobuf's global pool."""
    code = (
        "from google.protobuf import descriptor_pb2, descriptor_pool\n"
        "from cnnvis.caffe.prototxt import parse_prototxt\n"
        "file = descriptor_pb2.FileDescriptorProto(name='caffe.proto', package='caffe')\n"
        "file.message_type.add(name='NetParameter')\n"
        "file.message_type.add(name='BlobProto')\n"
        "pool = descriptor_pool.Default()\n"
        "pool.AddSerializedFile(file.SerializeToString())\n"
        "assert not pool.FindMessageTypeByName('caffe.NetParameter').fields\n"
        "assert parse_prototxt('layer { name: \"a\" }').layer[0].name == 'a'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
