"""Decode weights in the Deep Compression form of Han, Mao and Dally (arXiv:1510.00149).

The weights of a pruned convolution are stored as codes of 8 bits into a codebook, with the gaps
between the weights that are not zero. The file of SqueezeNet (songhan/SqueezeNet-Deep-Compression)
contains, in little-endian numbers and in the order of the network's convolutions::

    for each: number of codes                      uint32
    then for each: codebook                        256 float32
                   biases                          float32 per filter
                   codes                           uint8 each
                   gaps                            4 bits each, two in a byte, low half first

A gap of g means that there are g zeros between a weight and the one before it, in C order of
(filter, channel, row, column). Longer gaps are interrupted by a code whose value is 0.
"""

import numpy as np

from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.caffe.deploy import read_deploy
from cnnvis.core.errors import UserError
from cnnvis.core.files import open_regular

CODEBOOK = 256


def decode_network(compressed, prototxt, info, caffemodel):
    """Write the ``.caffemodel`` of a network in Deep Compression form.

    Parameters
    ----------
    compressed : str or Path
        The compressed file.
    prototxt : str or Path
        The network. The file has neither names nor shapes of its layers.
    info : NetworkInfo
        The prototxt's layers and their shapes (see `cnnvis.engines.inspection.inspect`).
    caffemodel : str or Path
        The file to write.

    Raises
    ------
    UserError
        If the file cannot be read, or is of another network.
    """
    try:
        with open_regular(compressed) as file:
            content = file.read()
    except OSError as error:
        raise UserError(f"{compressed}: cannot be read ({error.strerror})") from error
    shapes = {name: layer.weight_shape for name, layer in info.convolutions.items()}
    others = [name for name in info.layers_with_weights if name not in shapes]
    if others:
        raise UserError(
            f"{prototxt}: layer {others[0]} has weights and is not a convolution; "
            "Deep Compression files are read for networks with convolutions only"
        )
    weights = decode(content, shapes, compressed)
    write_caffemodel(caffemodel, weights, read_deploy(prototxt))


def decode(content, shapes, name="compressed network"):
    """Decode convolutions.

    Parameters
    ----------
    content : bytes
        See above.
    shapes : dict of str to tuple of int
        (filters, channels, height, width) of each convolution, in the file's order.
    name : str or Path
        The file, for messages.

    Returns
    -------
    dict of str to list of ndarray
        float32 weights and biases by layer.

    Raises
    ------
    UserError
        If the content is damaged or of another network.
    """
    if len(content) < 4 * len(shapes):
        raise UserError(f"{name}: ends at byte {len(content)}, within the numbers of codes")
    counts = np.frombuffer(content, "<u4", len(shapes)).tolist()
    sizes = [
        4 * (CODEBOOK + shape[0]) + count + (count + 1) // 2
        for count, shape in zip(counts, shapes.values(), strict=True)
    ]
    expected = 4 * len(counts) + sum(sizes)
    if expected != len(content):
        raise UserError(
            f"{name}: has {len(content)} bytes, but its header announces {expected}: it is "
            "truncated, or not a Deep Compression file of this network"
        )
    layers, place = {}, 4 * len(counts)
    for (layer, shape), count, size in zip(shapes.items(), counts, sizes, strict=True):
        what = f"{name}: layer {layer}"
        layers[layer] = _decode_layer(content[place : place + size], count, shape, what)
        place += size
    return layers


def _decode_layer(content, count, shape, what):
    biases_end = 4 * (CODEBOOK + shape[0])
    codebook, biases = np.split(np.frombuffer(content[:biases_end], "<f4"), [CODEBOOK])
    codes, halves = np.split(np.frombuffer(content[biases_end:], "u1"), [count])
    gaps = np.stack([halves & 15, halves >> 4], axis=1).ravel()[:count]
    places = np.cumsum(gaps.astype(np.int64) + 1) - 1
    weights = np.zeros(shape, np.float32)
    if count and places[-1] >= weights.size:
        raise UserError(
            f"{what}: the gaps lead to weight {places[-1]} of {weights.size}: the file is "
            "damaged, or of another network"
        )
    if not np.isfinite(codebook).all() or not np.isfinite(biases).all():
        raise UserError(
            f"{what}: has values that are not finite: the file is damaged, or of another network"
        )
    weights.ravel()[places] = codebook[codes]
    return [weights, biases.astype(np.float32)]
