"""Read and write the weights of a network (`.caffemodel`) without a copy of them in memory."""

from copy import deepcopy

from cnnvis.caffe.blobs import blob_parts, read_blob
from cnnvis.caffe.schema import messages
from cnnvis.caffe.wire import BYTES, open_reader, opening
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic

WHAT = "binary .caffemodel"
LAYER, LAYERS = 100, 2
# Field numbers of name and blobs in layer {}, and in V1's layers {}.
_NAME = {LAYER: 1, LAYERS: 4}
_BLOBS = {LAYER: 7, LAYERS: 6}
_V0_LAYER = 1
# A message shows at most this many characters of a name, which in a damaged file may be huge.
_SHOWN = 80
LIMIT = 2**31 - 1
"""Caffe and protobuf read no larger message."""


def read_caffemodel(path):
    """Read the weights of every layer that has any.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to list of ndarray
        Blobs by layer name, in the file's order, float32 (float64 where stored as double_data).
        Shapes are as stored: legacy blobs have four axes (see `cnnvis.caffe.matching`).
        Of several layers with the same name the last one counts, as in Caffe, which copies one
        after the other.

    Raises
    ------
    UserError
        If the file cannot be read, is of another kind, or is damaged.
    """
    weights = {}
    with open_reader(path, WHAT) as reader:
        kinds = set()
        for field in reader.fields(0, reader.size):
            if field.number in _NAME and field.wire == BYTES:
                kinds.add(field.number)
                name, blobs = _read_layer(reader, field)
                if blobs:
                    weights[name] = blobs
                reader.where = f"after layer {name[:_SHOWN]!r}: "
        reader.where = ""
        if not kinds:
            reader.damaged("has no layers")
        if len(kinds) > 1:
            reader.fail("has both 'layer' and 'layers' entries, which Caffe refuses")
    return weights


def _read_layer(reader, field):
    """Return name and blobs of the layer that fills `field`."""
    name, places = "", []
    reader.where = ""
    for part in reader.fields(field.start, field.stop):
        if part.wire != BYTES:
            continue
        if part.number == _NAME[field.number]:
            name = _decode(reader.bytes(part.start, part.stop))
            reader.where = f"layer {name[:_SHOWN]!r}: "
        elif part.number == _BLOBS[field.number]:
            places.append((part.start, part.stop))
        elif field.number == LAYERS and part.number == _V0_LAYER:
            reader.fail(
                "is in Caffe's format of 2013 (V0); "
                "convert it with Caffe's tool upgrade_net_proto_binary"
            )
    blobs = []
    for index, place in enumerate(places):
        reader.where = f"layer {name[:_SHOWN]!r} blob {index}: "
        blobs.append(read_blob(reader, *place))
    return name, blobs


def _decode(name):
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def write_caffemodel(path, weights, net=None, name=""):
    """Write weights as Caffe's `.caffemodel`.

    Parameters
    ----------
    path : str or Path
    weights : dict of str to list of ndarray
        Blobs by layer name; float64 is written as double_data, everything else as float32.
    net : NetParameter, optional
        The network, whose layers are written in full and in its order, as in Caffe's snapshots.
        Without it layers have a name only.
    name : str
        The network's name, by default that of `net`.

    Raises
    ------
    UserError
        If `net` lacks a layer of `weights`, the file would be larger than Caffe reads (2 GiB), or
        it cannot be written.
    """
    layers = _describe_layers(path, weights, net)
    name = name or (net.name if net is not None else "")
    written = 0
    with atomic(path) as temporary, open(temporary, "wb") as file:
        written += file.write(messages.NetParameter(name=name).SerializeToString())
        for layer in layers:
            written += _write_layer(file, layer, weights.get(layer.name, ()))
            if written > LIMIT:
                raise UserError(f"{path}: more than {LIMIT} bytes, which Caffe cannot read")


def _describe_layers(path, weights, net):
    """Return the layers to be written, without blobs."""
    if net is None:
        return [messages.LayerParameter(name=name) for name in weights]
    unknown = set(weights) - {layer.name for layer in net.layer}
    if unknown:
        raise UserError(f"{path}: weights for {sorted(unknown)}, which the network does not have")
    layers = [deepcopy(layer) for layer in net.layer]
    for layer in layers:
        layer.ClearField("blobs")
    return layers


def _write_layer(file, layer, arrays):
    """Write one layer with its blobs; return the number of bytes."""
    head = layer.SerializeToString()
    parts = [blob_parts(array, _BLOBS[LAYER]) for array in arrays]
    length = len(head) + sum(len(start) + numbers.nbytes for start, numbers in parts)
    head = opening(LAYER, length) + head
    file.write(head)
    for start, numbers in parts:
        file.write(start)
        if numbers.size:
            file.write(memoryview(numbers).cast("B"))
    return length + len(head)
