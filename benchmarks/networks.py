"""Networks that benchmarks run, with random weights: speed does not depend on them."""

from pathlib import Path

import numpy as np

from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.engines.numpy.graph import read_graph

MODELS = Path(__file__).parents[1] / "models"
# Filters and stride of each depthwise convolution and the 1x1 convolution behind it.
MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
MOBILENET += [(1024, 2), (1024, 1)]


def prototxt_of(name, folder):
    """Return the path of a network's prototxt: of `models`, or of MobileNet, made in `folder`."""
    if name != "mobilenet":
        return MODELS / name / "deploy.prototxt"
    path = folder / "mobilenet.prototxt"
    path.write_text(mobilenet())
    return path


def mobilenet():
    """Return MobileNet (Howard et al., arXiv:1704.04861) with Caffe's BatchNorm and Scale."""
    lines = [
        'name: "MobileNet" input: "data" input_dim: 10 input_dim: 3 input_dim: 224 input_dim: 224'
    ]
    blob = unit(lines, "conv1", "data", "num_output: 32 kernel_size: 3 pad: 1 stride: 2")
    channels = 32
    for number, (filters, stride) in enumerate(MOBILENET, 2):
        window = f"kernel_size: 3 pad: 1 stride: {stride}"
        depthwise = f"num_output: {channels} group: {channels} {window}"
        blob = unit(lines, f"conv{number}/dw", blob, depthwise)
        blob = unit(lines, f"conv{number}/sep", blob, f"num_output: {filters} kernel_size: 1")
        channels = filters
    for layer in (
        'name: "pool" type: "Pooling" top: "pool" pooling_param { pool: AVE global_pooling: true }',
        'name: "fc" type: "InnerProduct" top: "fc" inner_product_param { num_output: 1000 }',
        'name: "prob" type: "Softmax" top: "prob"',
    ):
        lines.append(f'layer {{ bottom: "{blob}" {layer} }}')
        blob = layer.split('"')[1]
    return "\n".join(lines)


def unit(lines, name, bottom, convolution):
    """Add a convolution with BatchNorm, Scale and ReLU, and return its blob."""
    where = f'bottom: "{name}" top: "{name}"'
    lines += [
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ bias_term: false {convolution} }} }}",
        f'layer {{ name: "{name}/bn" type: "BatchNorm" {where} }}',
        f'layer {{ name: "{name}/scale" type: "Scale" {where} scale_param {{ bias_term: true }} }}',
        f'layer {{ name: "{name}/relu" type: "ReLU" {where} }}',
    ]
    return name


def write_random_weights(prototxt, path):
    """Write weights that keep blobs at about the size of the input."""
    random = np.random.default_rng(0)
    graph = read_graph(prototxt)
    _, shapes = graph.shapes(graph.inputs)
    weights = {}
    for node in graph.nodes:
        layer, kind = node.layer.name, node.layer.param.type
        arrays = [np.zeros(shape, "f4") for shape in shapes.get(layer, [])]
        if kind in ("BatchNorm", "Scale"):
            for array in arrays[1:] if kind == "BatchNorm" else arrays[:1]:
                array[...] = 1
        elif arrays:
            scale = np.float32(np.sqrt(2 / np.prod(arrays[0].shape[1:])))
            random.standard_normal(arrays[0].shape, "f4", arrays[0])
            arrays[0] *= scale
        weights |= {layer: arrays} if arrays else {}
    write_caffemodel(path, weights)


def flop_of(prototxt):
    """Return the floating point operations of an image in convolutions and inner products."""
    graph = read_graph(prototxt)
    shapes, weights = graph.shapes(graph.inputs)
    total = 0
    for node in graph.nodes:
        if node.layer.param.type in ("Convolution", "InnerProduct"):
            positions = np.prod(shapes[node.tops[0]][2:], dtype=int)
            total += 2 * int(np.prod(weights[node.layer.name][0])) * int(positions)
    return total
