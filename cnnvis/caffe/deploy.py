"""Convert a network written for training to the form in which it is deployed.

A ``train_val.prototxt`` reads labelled images from a database and ends in a loss. Its deploy form
has an input instead of the database, and no layer that compares results with labels.
"""

import functools
import logging
from copy import deepcopy
from pathlib import Path

from google.protobuf import text_format

from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.caffe.schema import messages
from cnnvis.core.errors import UserError

DATA = ("Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData")
_SHOWN = 8


def read_deploy(path, input_shape=None):
    """Read the deploy form of a network; warn in one line if it was written for training.

    Parameters
    ----------
    path : str or Path
    input_shape : sequence of int, optional
        (C, H, W), for data layers that do not specify it.

    Returns
    -------
    NetParameter
        Of the TEST phase. If it has no data layers (a ``train.prototxt``), those of the TRAIN phase
        define the input.

    Raises
    ------
    UserError
        If the file is not usable, or the size of the input is not specified anywhere.
    """
    net, note = _read(path, input_shape)
    if note:
        _warn(note)
    return net


def deploy_text(path, input_shape=None):
    """Return the text of a network's deploy form for real Caffe; warn as `read_deploy` does.

    Parameters
    ----------
    path : str or Path
    input_shape : sequence of int, optional
        (C, H, W), as for `read_deploy`.

    Returns
    -------
    bytes
        The file itself if it is a deploy form already, so that Caffe's messages name its lines.

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


def text_up_to(path, layer, input_shape=None):
    """Return the text of the network that ends with a layer, of all that the layer depends on.

    What later layers do to its output in place, such as a ReLU, does not happen in it, and without
    fully connected layers it takes images of any size.

    Parameters
    ----------
    path : str or Path
    layer : str
        A layer of the deploy form.
    input_shape : sequence of int, optional
        (C, H, W), as for `read_deploy`.

    Returns
    -------
    bytes

    Raises
    ------
    UserError
        As `read_deploy`.
    """
    net, _ = _read(path, input_shape)
    last = [each.name for each in net.layer].index(layer)
    below = _with_layers(net, net.layer[: last + 1])
    needed = _ancestors(below, net.layer[last].top)
    kept = [each for each in below.layer if needed.intersection(each.top)]
    return text_format.MessageToString(_with_layers(below, kept)).encode()


def _read(path, input_shape):
    net = read_prototxt(path)
    if not any(layer.type == "Input" or is_data(layer) for layer in net.layer):
        sources = [layer for layer in read_prototxt(path, "TRAIN").layer if is_data(layer)]
        net = _with_layers(net, [*sources, *net.layer])
    return as_deploy(net, input_shape, path)


@functools.cache
def _warn(note):
    """Warn once in a process, which may read a network several times."""
    logging.getLogger(__name__).warning("%s", note)


def as_deploy(net, input_shape=None, name="prototxt"):
    """Return the deploy form of a network.

    A data layer becomes an Input of one image. Labels, layers that depend on them, losses and
    accuracies are removed; a SoftmaxWithLoss becomes a Softmax ``prob``. An auxiliary loss (the
    same label as another SoftmaxWithLoss, and a smaller loss_weight) is removed with its branch,
    as in GoogLeNet's own deploy file.

    Parameters
    ----------
    net : NetParameter
        From `cnnvis.caffe.prototxt.read_prototxt`.
    input_shape : sequence of int, optional
        (C, H, W); by default that of the data layer, from its crop_size or dimensions.
    name : str or Path
        The file, for messages.

    Returns
    -------
    net : NetParameter
        The same object if it is a deploy form already.
    note : str or None
        One line on what was changed.

    Raises
    ------
    UserError
        If the shape of the input is unknown, or there are several inputs.
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
    """Whether a layer reads data from elsewhere (as a Python layer without bottoms does)."""
    return layer.type in DATA or (layer.type == "Python" and not layer.bottom)


def is_judge(layer):
    """Whether a layer compares the network's results with labels."""
    return bool(layer.bottom) and (layer.type == "Accuracy" or layer.type.endswith("Loss"))


def _sources(net):
    """Return the layers that read data; where there is an Input, DummyData is a constant."""
    has_input = any(layer.type == "Input" for layer in net.layer)
    dropped = ("DummyData",) if has_input else ()
    return [layer for layer in net.layer if is_data(layer) and layer.type not in dropped]


def _labels(net, sources):
    """Return the blobs of data layers and inputs that only losses and accuracies need."""
    read = {blob for layer in net.layer for blob in layer.bottom}
    judged = _ancestors(net, {layer.bottom[0] for layer in net.layer if is_judge(layer)})
    # Without a loss in this phase, the blobs that no layer reads are the network's results.
    outputs = {blob for layer in net.layer if _computes(layer) for blob in layer.top} - read
    needed = judged | _ancestors(net, outputs)
    labels = []
    for layer in net.layer:
        for position, blob in enumerate(layer.top):
            if layer in sources and position:
                # A data layer's second top is its labels, unless a loss is computed from it.
                labels += [blob] if blob not in judged else []
            elif layer in sources or layer.type == "Input":
                labels += [blob] if blob in read and blob not in needed else []
    return labels


def _computes(layer):
    return not (is_data(layer) or is_judge(layer) or layer.type == "Input")


def _ancestors(net, blobs):
    """Return `blobs` and all blobs that they are computed from."""
    ancestors = set(blobs)
    for layer in reversed(net.layer):
        if ancestors.intersection(layer.top) and not is_judge(layer):
            ancestors.update(layer.bottom)
    return ancestors


def _input(net, sources, labels, input_shape, name):
    """Return blob, shape (C, H, W) and origin of the network's input, three times None without."""
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
            f"{name}: layer {layer.name}: {layer.type} without crop_size does not specify "
            "the size of its images; set input_shape: [channels, height, width]"
        )
    return blob, shape, origin


def _checked(shape, name):
    shape = tuple(shape)
    if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise UserError(f"{name}: input_shape {list(shape)}, expected [channels, height, width]")
    return shape


def data_shape(layer):
    """Return (C, H, W) of a data layer's images and where that is specified, or (None, None).

    Parameters
    ----------
    layer : LayerParameter
    """
    if layer.type == "DummyData":
        return _dummy_shape(layer.dummy_data_param)
    # ASSUME: colour images, as in every published network for photographs, unless force_gray or
    # is_color is set. The database itself is not available.
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
    """Return the layers that need no labels, and the names of those that replace a loss."""
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
    """Return an Input layer without labels among its tops, as a list of one or none."""
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
    exists = any(layer.type == "Softmax" and bottom in layer.bottom for layer in net.layer)
    if exists or bottom in dead:
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
    """Return the auxiliary losses: those with less weight than another of the same label."""
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    largest = {}
    for loss in losses:
        label = tuple(loss.bottom[1:])
        largest[label] = max(_weight(loss), largest.get(label, _weight(loss)))
    return [loss for loss in losses if _weight(loss) < largest[tuple(loss.bottom[1:])]]


def _weight(loss):
    return loss.loss_weight[0] if loss.loss_weight else 1.0


def _without_dead_ends(net, kept):
    """Remove layers that only removed layers read (a branch to an auxiliary loss)."""
    auxiliary = _auxiliary(net)
    heads = {layer.bottom[0] for layer in net.layer if is_judge(layer)}
    heads -= {loss.bottom[0] for loss in auxiliary}
    read = {blob for layer in net.layer for blob in set(layer.bottom).difference(layer.top)}
    needed, result = heads, []
    for layer in reversed(kept):
        is_read = layer.top and read.issuperset(layer.top) and layer.type != "Input"
        if is_read and needed.isdisjoint(layer.top):
            continue
        needed = needed.union(layer.bottom)
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
    copy = deepcopy(net)
    copy.ClearField("layer")
    copy.layer.extend(layers)
    return copy
