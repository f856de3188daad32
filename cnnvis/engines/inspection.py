"""Inspect layer and blob shapes from a prototxt, without loading weights."""

import math
from dataclasses import dataclass

CONVOLUTIONS = ("Convolution", "Deconvolution")


@dataclass(frozen=True)
class Convolution:
    """A convolution layer.

    Attributes
    ----------
    blob : str
        The blob of its output (after a ReLU in place, as in the study).
    shape : tuple of int
        (filters, height, width) of that output.
    weight_shape : tuple of int
        (filters, channels / group, kernel height, kernel width).
    """

    blob: str
    shape: tuple
    weight_shape: tuple


@dataclass(frozen=True)
class NetworkInfo:
    """The shapes of a network.

    Attributes
    ----------
    input_shape : tuple of int
        (C, H, W).
    convolutions : dict
        ``{layer: Convolution}`` in the order of the prototxt.
    layers_with_weights : dict
        ``{layer: shape of its weights}``.
    blobs : dict
        ``{blob: shape}``, without the images' axis.
    filters : dict
        ``{layer: number of filters}`` of the layers whose filters can be pruned.
    """

    input_shape: tuple
    convolutions: dict
    layers_with_weights: dict
    blobs: dict
    filters: dict


def inspect(prototxt, input_shape=None):
    """Return the `NetworkInfo` of a ``deploy.prototxt``.

    Parameters
    ----------
    prototxt : str or Path
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not specify it.

    Raises
    ------
    UserError
        If the file is not usable, naming it and the layer.
    """
    from cnnvis.engines.numpy.graph import read_graph

    return describe(read_graph(prototxt, input_shape))


def describe(graph):
    """Return the `NetworkInfo` of a parsed network."""
    from cnnvis.engines.numpy.change_propagation import has_filters

    shapes, weights = graph.shapes(graph.inputs)
    convolutions = {}
    for node in graph.nodes:
        if node.layer.param.type in CONVOLUTIONS:
            blob = graph.values[node.tops[0]].blob
            shape = shapes[graph.blobs[blob]][1:]
            convolutions[node.layer.name] = Convolution(blob, shape, weights[node.layer.name][0])
    return NetworkInfo(
        input_shape=tuple(next(iter(graph.inputs.values()))[1:]) if graph.inputs else (),
        convolutions=convolutions,
        layers_with_weights={layer: arrays[0] for layer, arrays in weights.items()},
        blobs={blob: shapes[value][1:] for blob, value in graph.blobs.items()},
        filters={
            node.layer.name: weights[node.layer.name][0][0]
            for node in graph.nodes
            if has_filters(node.layer)
        },
    )


def layer_costs(graph):
    """Return what each layer with weights costs.

    Parameters
    ----------
    graph : cnnvis.engines.numpy.graph.Graph

    Returns
    -------
    dict
        ``{layer: {shape, parameters, multiply_adds}}``: the shape of its weights, how many numbers
        it stores, and how many products one image takes, which are counted for convolutions and
        inner products only.
    """
    shapes, weights = graph.shapes(graph.inputs)
    costs = {}
    for node in graph.nodes:
        if node.layer.name in weights:
            shape, *_ = arrays = weights[node.layer.name]
            bottom, top = shapes[node.bottoms[0]], shapes[node.tops[0]]
            costs[node.layer.name] = {
                "shape": list(shape),
                "parameters": sum(map(math.prod, arrays)),
                "multiply_adds": _multiply_adds(node.layer, shape, bottom, top),
            }
    return costs


def _multiply_adds(layer, weights, bottom, top):
    """Return how often one image needs each weight, times the number of weights."""
    kind = layer.param.type
    if kind in CONVOLUTIONS:
        positions = top[2:] if kind == "Convolution" else bottom[2:]
    elif kind == "InnerProduct":
        positions = top[1:-1]
    else:
        return 0
    return math.prod(positions) * math.prod(weights)
