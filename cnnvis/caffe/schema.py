"""Message classes for Caffe's files, built from the table in ``fields.txt``.

They have a descriptor pool of their own, so that a Caffe imported into the same process can
register messages of the same names in protobuf's global pool.

>>> from cnnvis.caffe.schema import messages
>>> messages.LRNParameter().local_size
5
"""

import re
from pathlib import Path
from types import SimpleNamespace

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = re.compile(
    r"(?P<name>\w+) (?P<number>\d+) (?P<type>\w+)(?P<label>\[\w*\]|!)?( =(?P<default>.*))?"
)
_FieldProto = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"bool", "bytes", "double", "float", "int32", "int64", "string", "uint32"}
_LABELS = {
    None: _FieldProto.LABEL_OPTIONAL,
    "!": _FieldProto.LABEL_REQUIRED,
    "[]": _FieldProto.LABEL_REPEATED,
    "[packed]": _FieldProto.LABEL_REPEATED,
}


def describe(table, package="caffe"):
    """Return the descriptor of the messages in a table.

    Parameters
    ----------
    table : str
        In the form that ``fields.txt`` explains.
    package : str
        The prefix of the messages' full names, visible in error messages.

    Returns
    -------
    FileDescriptorProto
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"cnnvis/{package}", package=package)
    scope = file
    for line in table.splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("enum "):
            _add_enum(file if line[0] == "e" else scope, text)
        elif line[0] != " ":
            scope = file.message_type.add(name=text)
        else:
            for field in text.split(";"):
                _add_field(scope, field.strip(), package, file.enum_type)
    return file


def _add_enum(scope, text):
    """Add an enum to a message or file, or further values to it if it exists."""
    name, values = text.removeprefix("enum ").split(": ")
    enum = next((enum for enum in scope.enum_type if enum.name == name), None)
    enum = enum or scope.enum_type.add(name=name)
    for value in values.split(", "):
        label, number = value.split()
        enum.value.add(name=label, number=int(number))


def _add_field(message, text, package, global_enums):
    match = _FIELD.fullmatch(text)
    field = message.field.add(
        name=match["name"], number=int(match["number"]), label=_LABELS[match["label"]]
    )
    if match["default"] is not None:
        field.default_value = match["default"].strip()
    if match["label"] == "[packed]":
        field.options.packed = True
    kind = match["type"]
    if kind in _SCALARS:
        field.type = getattr(_FieldProto, f"TYPE_{kind.upper()}")
    elif kind in {enum.name for enum in message.enum_type}:
        field.type, field.type_name = _FieldProto.TYPE_ENUM, f".{package}.{message.name}.{kind}"
    elif kind in {enum.name for enum in global_enums}:
        field.type, field.type_name = _FieldProto.TYPE_ENUM, f".{package}.{kind}"
    else:
        field.type, field.type_name = _FieldProto.TYPE_MESSAGE, f".{package}.{kind}"


def _build():
    """Return all message classes by name."""
    file = describe(Path(__file__).with_name("fields.txt").read_text())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return SimpleNamespace(
        **{
            message.name: message_factory.GetMessageClass(
                pool.FindMessageTypeByName(f"{file.package}.{message.name}")
            )
            for message in file.message_type
        }
    )


messages = _build()
"""Namespace of the message classes: ``messages.NetParameter``, ``messages.BlobProto``, ..."""
