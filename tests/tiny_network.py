"""A network small enough to compute by hand, as Caffe's files.

conv1 multiplies the one-channel image (2 x 2) by 2 and by -1; a ReLU in place; fc8 has three
neurons: the sum of the first filter's outputs, the sum of the second's, and a constant -1.
"""

import numpy as np

from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.engines.model import Model
from cnnvis.inputs.images import Preprocessing

PROTOTXT = """
name: "tiny"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 1 dim: 2 dim: 2 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv/2" type: "Convolution" bottom: "conv1" top: "conv2"
        convolution_param { num_output: 1 kernel_size: 2 bias_term: false } }
layer { name: "fc8" type: "InnerProduct" bottom: "conv1" top: "fc8"
        inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }
"""
IMAGE = np.array([[[1.0, -2.0], [3.0, 0.5]]], np.float32)
# What becomes the image: half of a pixel's distance from 10.
PIXELS = np.array([[12, 6], [16, 11]], np.uint8)
PREPROCESSING = Preprocessing((1, 2, 2), [10.0], 0.5)
CONV1 = np.array([[[2.0, 0.0], [6.0, 1.0]], [[0.0, 2.0], [0.0, 0.0]]])
SCORES = np.array([9.0, 2.0, -1.0])


def write_network(folder):
    """Write the network and the image; return their paths (prototxt, weights, input)."""
    weights = {
        "conv1": [np.array([2.0, -1.0]).reshape(2, 1, 1, 1), np.zeros(2)],
        "conv/2": [np.ones((1, 2, 2, 2))],
        "fc8": [np.repeat(np.eye(3, 2), 4, axis=1), np.array([0.0, 0.0, -1.0])],
    }
    floats = {
        layer: [array.astype(np.float32) for array in arrays] for layer, arrays in weights.items()
    }
    (folder / "deploy.prototxt").write_text(PROTOTXT)
    write_caffemodel(folder / "tiny.caffemodel", floats)
    np.save(folder / "input.npy", IMAGE)
    return folder / "deploy.prototxt", folder / "tiny.caffemodel", folder / "input.npy"


def tiny_model(folder, score="fc8", **options):
    """Write the network; return its `Model`."""
    prototxt, weights, _ = write_network(folder)
    return Model(str(prototxt), str(weights), score, **options)
