"""Insert the Split layers that Caffe inserts: one for every blob that several layers read.

In Caffe each reader then writes a gradient of its own, and these are added. The Split layers and
their blobs are visible in pycaffe, so they have the same names here.
"""

from collections import Counter
from copy import deepcopy

from cnnvis.caffe.schema import messages
from cnnvis.core.errors import UserError


def insert_splits(layers, source):
    """Return `layers` with Caffe's Split layers in between.

    Parameters
    ----------
    layers : sequence of LayerParameter
    source : str
        The file, for error messages.

    Raises
    ------
    UserError
        If a layer changes a blob in place that another layer reads unchanged, which Caffe refuses
        too.
    """
    readers = _readers(layers)
    produced, splits, result = {}, Counter(), []
    for number, layer in enumerate(layers):
        _refuse_shared_in_place(layer, produced, readers, layers, source)
        layer = deepcopy(layer)  # cheap: the messages of a prototxt hold no weights
        for position, blob in enumerate(layer.bottom):
            producer = produced.get(blob)
            if len(readers.get(producer, [])) > 1:
                layer.bottom[position] = _split_blob(layers, producer, blob, splits[producer])
                splits[producer] += 1
        result.append(layer)
        for position, blob in enumerate(layer.top):
            produced[blob] = (number, position)
            count = len(readers.get((number, position), []))
            if count > 1:
                result.append(_split_layer(layers, (number, position), blob, count))
    return result


def _readers(layers):
    """Return ``{(layer number, top number): [numbers of the layers that read it]}``."""
    produced, readers = {}, {}
    for number, layer in enumerate(layers):
        for blob in layer.bottom:
            readers.setdefault(produced.get(blob), []).append(number)
        produced.update({blob: (number, position) for position, blob in enumerate(layer.top)})
    readers.pop(None, None)
    return readers


def _refuse_shared_in_place(layer, produced, readers, layers, source):
    for blob in set(layer.bottom).intersection(layer.top):
        others = [layers[n].name for n in readers.get(produced.get(blob), [])]
        others = [name for name in others if name != layer.name]
        if others:
            raise UserError(
                f"{source}: layer {layer.name}: changes blob {blob!r} in place, which layer "
                f"{others[0]} reads unchanged; Caffe refuses that too, give its top another name"
            )


def _split_blob(layers, producer, blob, number):
    layer, position = producer
    return f"{blob}_{layers[layer].name}_{position}_split_{number}"


def _split_layer(layers, producer, blob, count):
    layer, position = producer
    split = messages.LayerParameter(
        name=f"{blob}_{layers[layer].name}_{position}_split", type="Split", bottom=[blob]
    )
    split.top.extend(_split_blob(layers, producer, blob, number) for number in range(count))
    return split
