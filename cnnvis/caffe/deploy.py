"""Networks written for training, as they are deployed.

A ``train_val.prototxt`` reads labelled images from a database and ends in a loss; what runs on one
image is the same network with an input instead of the database, without what judges it by labels.
"""

import functools
import logging
from pathlib import Path

from google.protobuf import text_format

from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.caffe.schema import messages
from cnnvis.core.errors import UserError

DATA = ("Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData")
_SHOWN = 8


def read_deploy(path, input_shape=None):
    """Read a network as it is deployed, and warn in one line where it was written for training.

    Parameters
    ----------
    path : str or Path
    input_shape : sequence of int, optional
        (C, H, W) for a network whose data layers do not tell it.

    Returns
    -------
    NetParameter
        Of the TEST phase. Where only other phases have data layers (a ``train.prototxt``), those
        of the TRAIN phase say what the input is.

    Raises
    ------
    UserError
        For what is wrong in the file, and where nothing says how large the input is.
    """
    net, note = _read(path, input_shape)
    if note:
        _warn(note)
    return net


def deploy_text(path, input_shape=None):
    """Return a network as text that real Caffe runs, and warn as `read_deploy` does.

    Parameters
    ----------
    path : str or Path
    input_shape : sequence of int, optional
        (C, H, W), as for `read_deploy`.

    Returns
    -------
    bytes
        The file's own where it is a deploy form already, so that Caffe's messages name its lines.

    Raises
    ------
    UserError
        As `read_deploy`.
    """
    net, note = _read(path, input_shape)
    if not note:
        return Path(path).read_bytes()
    _warn(note)
    return text_format.MessageToString(net).encode()


def _read(path, input_shape):
    net = read_prototxt(path)
    if not any(layer.type == "Input" or is_data(layer) for layer in net.layer):
        sources = [layer for layer in read_prototxt(path, "TRAIN").layer if is_data(layer)]
        net = _with_layers(net, [*sources, *net.layer])
    return as_deploy(net, input_shape, path)


@functools.cache
def _warn(note):
    """Warn once in a process: a network is read whenever its layers are asked for."""
    logging.getLogger(__name__).warning("%s", note)


def as_deploy(net, input_shape=None, name="prototxt"):
    """Return a network for training as its deploy form.

    A data layer becomes an Input of one image. Labels, what depends on them, and losses and
    accuracies go; a SoftmaxWithLoss leaves a Softmax ``prob``. An auxiliary loss (the same label
    as another SoftmaxWithLoss, and a smaller loss_weight) goes with the branch that is only there
    for it, as in GoogLeNet's own deploy file.

    Parameters
    ----------
    net : NetParameter
        From `cnnvis.caffe.prototxt.read_prototxt`.
    input_shape : sequence of int, optional
        (C, H, W); by default the data layer's own, from its crop_size or dimensions.
    name : str or Path
        The file, for messages.

    Returns
    -------
    net : NetParameter
        The same object where it is a deploy form already.
    note : str or None
        One line that says what was changed.

    Raises
    ------
    UserError
        If the input's shape is not to be found, or there is more than one input.
    """
    sources = _sources(net)
    if not sources and not any(map(is_judge, net.layer)):
        return net, None
    labels = _labels(net, sources)
    image, shape, origin = _input(net, sources, labels, input_shape, name)
    kept, added = _without_labels(net, labels, sources)
    kept = _without_dead_ends(net, kept)
    front = [_input_layer(image, shape)] if image else []
    note = f"{Path(name).name}: run as its deploy form"
    if image:
        note += f": input {image} {'x'.join(map(str, shape))} from {origin}"
    gone = [*labels, *_names_left_out(net, kept, sources)]
    note += f"; left out: {_list(gone)}" if gone else ""
    note += f"; added: {_list(added)}" if added else ""
    return _with_layers(net, front + kept), note


def is_data(layer):
    """Return whether a layer reads data from somewhere (a Python layer without bottoms does)."""
    return layer.type in DATA or (layer.type == "Python" and not layer.bottom)


def is_judge(layer):
    """Return whether a layer compares what the network says with labels."""
    return bool(layer.bottom) and (layer.type == "Accuracy" or layer.type.endswith("Loss"))


def _sources(net):
    """Return the layers that read data; beside an Input, DummyData is a constant and stays."""
    given = any(layer.type == "Input" for layer in net.layer)
    return [layer for layer in net.layer if is_data(layer) and not (given and _is_dummy(layer))]


def _is_dummy(layer):
    return layer.type == "DummyData"


def _labels(net, sources):
    """Return the blobs of data layers and inputs that only serve to judge."""
    read = {blob for layer in net.layer for blob in layer.bottom}
    judged = _ancestors(net, {layer.bottom[0] for layer in net.layer if is_judge(layer)})
    # Without a loss in this phase, what the network is for is what nothing reads.
    outputs = {blob for layer in net.layer if _computes(layer) for blob in layer.top} - read
    wanted = judged | _ancestors(net, outputs)
    given = [layer for layer in net.layer if layer in sources or layer.type == "Input"]
    labels = []
    for layer in given:
        for position, blob in enumerate(layer.top):
            further = position and layer.type != "Input"
            if blob not in (judged if further else wanted) and (further or blob in read):
                labels.append(blob)
    return labels


def _computes(layer):
    return not (is_data(layer) or is_judge(layer) or layer.type == "Input")


def _ancestors(net, blobs):
    """Return `blobs` and every blob they are computed from."""
    found = set(blobs)
    for layer in reversed(net.layer):
        if found.intersection(layer.top) and not is_judge(layer):
            found.update(layer.bottom)
    return found


def _input(net, sources, labels, input_shape, name):
    """Return blob, shape (C, H, W) and its origin for the network's input, or Nones."""
    images = [(layer, blob) for layer in sources for blob in layer.top if blob not in labels]
    if not images:
        return None, None, None
    if len(images) > 1:
        raise UserError(
            f"{name}: is for training and has {len(images)} inputs "
            f"({_list([blob for _, blob in images])}); write its deploy form with Input layers"
        )
    layer, blob = images[0]
    if input_shape is not None:
        return blob, _checked(input_shape, name), "input_shape"
    shape, origin = data_shape(layer)
    if shape is None:
        raise UserError(
            f"{name}: layer {layer.name}: {layer.type} without crop_size does not say how large "
            "its images are; give input_shape: [channels, height, width]"
        )
    return blob, shape, origin


def _checked(shape, name):
    shape = tuple(shape)
    if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise UserError(f"{name}: input_shape {list(shape)}, expected [channels, height, width]")
    return shape


def data_shape(layer):
    """Return (C, H, W) of what a data layer gives, and what says so; (None, None) if nothing does.

    Parameters
    ----------
    layer : LayerParameter
    """
    if layer.type == "DummyData":
        return _dummy_shape(layer.dummy_data_param)
    # ASSUME: colour images, as in every published network for photographs; grey ones say so in
    # force_gray or is_color. A database itself is not there to be asked.
    grey = layer.transform_param.force_gray or not layer.image_data_param.is_color
    channels, size, origin = 1 if grey else 3, (), None
    if layer.type == "ImageData":
        size = layer.image_data_param.new_height, layer.image_data_param.new_width
        origin = "new_height and new_width"
    if layer.type == "MemoryData":
        memory = layer.memory_data_param
        channels, size, origin = memory.channels, (memory.height, memory.width), "its dimensions"
    crop = layer.transform_param.crop_size
    if crop:
        size, origin = (crop, crop), "crop_size"
    return ((channels, *size), origin) if all((channels, *size)) and size else (None, None)


def _dummy_shape(dummy):
    if dummy.shape:
        shape = tuple(dummy.shape[0].dim)[1:]
    else:
        shape = tuple(sizes[0] for sizes in (dummy.channels, dummy.height, dummy.width) if sizes)
    return (shape, "its dimensions") if len(shape) == 3 else (None, None)


def _input_layer(blob, shape):
    layer = messages.LayerParameter(name=blob, type="Input", top=[blob])
    layer.input_param.shape.add(dim=(1, *shape))
    return layer


def _without_labels(net, labels, sources):
    """Return the layers that need no labels, and the names of those put in a loss's place."""
    dead, kept, added = set(labels), [], []
    auxiliary = _auxiliary(net)
    for layer in net.layer:
        if layer in sources:
            continue
        if layer.type == "Input":
            kept += _unlabelled_input(layer, labels)
        elif is_judge(layer):
            if layer.type == "SoftmaxWithLoss" and layer not in auxiliary:
                kept += _softmax(layer, net, dead, added)
            dead.update(set(layer.top).difference(added))
        elif dead.intersection(layer.bottom) or layer.type == "HDF5Output":
            dead.update(layer.top)
        else:
            kept.append(layer)
    return kept, added


def _unlabelled_input(layer, labels):
    """Return an Input layer without the labels among its tops, as a list of one or none."""
    places = [place for place, blob in enumerate(layer.top) if blob not in labels]
    if len(places) == len(layer.top):
        return [layer]
    shapes = list(layer.input_param.shape)
    copy = messages.LayerParameter(name=layer.name, type="Input")
    for place in places:
        copy.top.append(layer.top[place])
        copy.input_param.shape.add().CopyFrom(shapes[min(place, len(shapes) - 1)])
    return [copy] if places else []


def _softmax(loss, net, dead, added):
    """Return the Softmax for a SoftmaxWithLoss, as a list; add its name to `added`."""
    bottom = loss.bottom[0]
    there = any(layer.type == "Softmax" and bottom in layer.bottom for layer in net.layer)
    if there or bottom in dead:
        return []
    taken = {blob for layer in net.layer for blob in (layer.name, *layer.top)} | set(added)
    own = loss.top[1] if len(loss.top) > 1 else None
    name = own or ("prob" if "prob" not in taken else f"prob_{bottom}")
    softmax = messages.LayerParameter(name=name, type="Softmax", bottom=[bottom], top=[name])
    if loss.HasField("softmax_param"):
        softmax.softmax_param.CopyFrom(loss.softmax_param)
    added.append(name)
    return [softmax]


def _auxiliary(net):
    """Return the losses that only help training: less weight than another by the same label."""
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    return [
        loss
        for loss in losses
        if any(
            loss.bottom[1:] == other.bottom[1:] and _weight(loss) < _weight(other)
            for other in losses
        )
    ]


def _weight(loss):
    return loss.loss_weight[0] if loss.loss_weight else 1.0


def _without_dead_ends(net, kept):
    """Drop layers whose results only served what was dropped (a branch to an auxiliary loss)."""
    auxiliary = _auxiliary(net)
    heads = {layer.bottom[0] for layer in net.layer if is_judge(layer)}
    heads -= {loss.bottom[0] for loss in auxiliary}
    served = {blob for layer in net.layer for blob in set(layer.bottom).difference(layer.top)}
    wanted, result = heads, []
    for layer in reversed(kept):
        only_served = layer.top and served.issuperset(layer.top) and layer.type != "Input"
        if only_served and wanted.isdisjoint(layer.top):
            continue
        wanted = wanted.union(layer.bottom)
        result.append(layer)
    return result[::-1]


def _names_left_out(net, kept, sources):
    names = {layer.name for layer in kept}
    return [
        layer.name
        for layer in net.layer
        if layer not in sources and layer.type != "Input" and layer.name not in names
    ]


def _list(names):
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _with_layers(net, layers):
    copy = messages.NetParameter()
    copy.CopyFrom(net)
    copy.ClearField("layer")
    copy.layer.extend(layers)
    return copy
