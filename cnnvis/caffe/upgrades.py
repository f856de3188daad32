"""Upgrade networks of older Caffe versions to the form of Caffe 1.0.

The rules are those of BVLC Caffe's ``upgrade_proto.cpp``, in its order: transformation fields of
data layers, ``layers {}`` to ``layer {}``, input fields to an Input layer, BatchNorm's ``param``.
"""

from cnnvis.caffe.schema import messages
from cnnvis.core.errors import UserError

# V1 writes these in capitals, the words of some separated by underscores.
_NAMES = """
    AbsVal Accuracy ArgMax BNLL Concat ContrastiveLoss Convolution Data Deconvolution Dropout
    DummyData Eltwise EuclideanLoss Exp Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData
    InfogainLoss InnerProduct LRN MemoryData MultinomialLogisticLoss MVN Pooling Power ReLU
    Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax Split TanH Threshold WindowData
"""
_CURRENT = {name.upper(): name for name in _NAMES.split()}
_CURRENT |= {"NONE": "", "SOFTMAXLOSS": "SoftmaxWithLoss"}

TYPES = {
    name: _CURRENT[name.replace("_", "")] for name, _ in messages.V1LayerParameter.LayerType.items()
}
"""The current name of each layer type, by its name in V1's enum."""

_DATA_PARAMETERS = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}
# V1 fields that `_upgrade_layer` does not carry over under their own name.
_RENAMED = {"type", "name", "param", "blob_share_mode", "blobs_lr", "weight_decay"}


def upgrade(net, name):
    """Upgrade `net` to the current form, in place; its layers are then in ``layer`` alone.

    Parameters
    ----------
    net : NetParameter
    name : str or Path
        The file, for error messages.

    Raises
    ------
    UserError
        If the network is in Caffe's oldest format, mixes formats, or has inputs without a shape.
    """
    upgrade_layers(net, name)
    upgrade_inputs(net, name)
    for layer in net.layer:
        _upgrade_batch_norm(layer)
        _upgrade_rounding(layer, name)


def upgrade_layers(net, name):
    """Convert V1's ``layers {}`` to ``layer {}``, in place."""
    if net.layers and net.layer:
        raise UserError(
            f"{name}: has both 'layer' and 'layers' entries; "
            "Caffe refuses that: write all of them as 'layer'"
        )
    if any(old.HasField("layer") for old in net.layers):
        raise UserError(
            f"{name}: is in Caffe's format of 2013 (V0: layers {{ layer {{ ... }} }}); "
            "convert it with Caffe's tool upgrade_net_proto_text"
        )
    for old in net.layers:
        _move_transformation(old)
        _upgrade_layer(old, net.layer.add())
    net.ClearField("layers")


def _type_name(old):
    return messages.V1LayerParameter.LayerType.Name(old.type)


def _move_transformation(old):
    """Move scale, mean_file, crop_size and mirror of a data layer to its transform_param."""
    parameter = _DATA_PARAMETERS.get(_type_name(old))
    if parameter is None or not old.HasField(parameter):
        return
    source = getattr(old, parameter)
    for field in ("scale", "mean_file", "crop_size", "mirror"):
        if source.HasField(field):
            setattr(old.transform_param, field, getattr(source, field))
            source.ClearField(field)


def _upgrade_layer(old, new):
    for field, value in old.ListFields():
        if field.name not in _RENAMED:
            getattr(new, field.name).MergeFrom(value)
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("type"):
        new.type = TYPES[_type_name(old)]
    for target, values in (
        ("name", old.param),
        ("share_mode", old.blob_share_mode),
        ("lr_mult", old.blobs_lr),
        ("decay_mult", old.weight_decay),
    ):
        for index, value in enumerate(values):
            while len(new.param) <= index:
                new.param.add()
            setattr(new.param[index], target, value)


def upgrade_inputs(net, name):
    """Convert ``input`` with ``input_shape`` or ``input_dim`` to one Input layer in front.

    As in Caffe, its name is ``input`` and it has one top per input.
    """
    if net.input:
        layer = messages.LayerParameter(name="input", type="Input", top=net.input)
        for index in range(len(net.input)):
            layer.input_param.shape.add(dim=_input_shape(net, index, name))
        layers = list(net.layer)
        net.ClearField("layer")
        net.layer.extend([layer, *layers])
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _input_shape(net, index, name):
    """Return the shape of one legacy input; as in Caffe, input_shape precedes input_dim."""
    if net.input_shape:
        shape = list(net.input_shape[index].dim) if index < len(net.input_shape) else []
        expected = f"{len(net.input)} input_shape entries, found {len(net.input_shape)}"
    else:
        shape = list(net.input_dim[4 * index : 4 * index + 4])
        expected = f"{4 * len(net.input)} input_dim values, found {len(net.input_dim)}"
        shape = shape if len(shape) == 4 else []
    if not shape:
        raise UserError(f"{name}: input {net.input[index]!r} has no shape: expected {expected}")
    return shape


def _upgrade_batch_norm(layer):
    """Exclude BatchNorm's statistics, which early versions list as params, from training."""
    if layer.type == "BatchNorm" and len(layer.param) == 3:
        for spec in layer.param:
            spec.lr_mult = spec.decay_mult = 0


def _upgrade_rounding(layer, name):
    """Convert a fork's ``ceil_mode`` to BVLC's ``round_mode``."""
    pooling = layer.pooling_param
    if not pooling.HasField("ceil_mode"):
        return
    mode = pooling.CEIL if pooling.ceil_mode else pooling.FLOOR
    if pooling.HasField("round_mode") and pooling.round_mode != mode:
        raise UserError(f"{name}: layer {layer.name!r}: ceil_mode contradicts round_mode")
    pooling.round_mode = mode
    pooling.ClearField("ceil_mode")
