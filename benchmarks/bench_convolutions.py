"""Each method of convolution beside the direct one: what the rules that choose among them rest on.

    python benchmarks/bench_convolutions.py [--rounds N]

One thread and its CPU time, one layer at a time; methods take turns, and a ratio is the median of
the rounds'.
"""

import argparse
import statistics
import time

import numpy as np

from cnnvis.caffe.schema import messages
from cnnvis.engines.numpy.convolutions import METHODS
from cnnvis.engines.numpy.convolutions.direct import Direct
from cnnvis.engines.numpy.layers.convolution import Convolution
from cnnvis.engines.numpy.workers import Workers

SHORTEST = 0.01  # seconds that a measurement takes at least
PASSES = ("forward", "gradient of the bottom", "gradient of the weights")
WINOGRAD = [(channels, size) for channels in (16, 32, 64, 256) for size in (56, 28, 13, 7)]
DEPTHWISE = [(channels, 1, size) for channels in (64, 256) for size in (56, 28, 14, 7)]
GROUPED = [(64, depth, size) for depth in (2, 4) for size in (56, 28, 14, 7)]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    with Workers(1).single_threaded_blas():
        print("direct's time / method's: " + ", ".join(PASSES))
        for channels, size in WINOGRAD:
            compare("Winograd", channels, 1, size, rounds)
        for channels, depth, size in DEPTHWISE + GROUPED:
            compare("Depthwise", channels, channels // depth, size, rounds)


def compare(name, channels, groups, size, rounds):
    """Print a method's speed beside the direct one's, in a layer of equal input and output."""
    param = messages.ConvolutionParameter(
        num_output=channels, group=groups, kernel_size=[3], pad=[1], bias_term=False
    )
    layer = Convolution(messages.LayerParameter(name="layer", convolution_param=param))
    arrays = arrays_of(layer, (1, channels, size, size))
    kinds = [Direct, next(kind for kind in METHODS if kind.__name__ == name)]
    tasks = [passes(kind(layer.name, layer.window), *arrays) for kind in kinds]
    ratios = [
        [seconds(direct) / seconds(other) for direct, other in zip(*tasks, strict=True)]
        for _ in range(rounds)
    ]
    medians = "  ".join(
        f"{statistics.median(of_pass):5.2f}" for of_pass in zip(*ratios, strict=True)
    )
    where = f"{channels} channels, {channels // groups} a group, {size} x {size}"
    print(f"{name:9} {where:40} {medians}", flush=True)


def arrays_of(layer, bottom):
    random = np.random.default_rng(0)
    shapes = (*layer.weight_shapes([bottom]), bottom, *layer.shapes([bottom]))
    weights, *blobs = (random.standard_normal(shape, dtype="f4") for shape in shapes)
    weights.flags.writeable = False
    return weights, *blobs


def passes(method, weights, bottom, top):
    work = Workers(1).shared
    out, gradient, weight_gradient = (np.empty_like(array) for array in (top, bottom, weights))
    return [
        lambda: method.forward(work, weights, None, bottom, out),
        lambda: method.backward(work, weights, top, gradient),
        lambda: method.weight_gradient(work, weight_gradient, bottom[0], top[0]),
    ]


def seconds(task):
    task()
    start, count = time.thread_time(), 0
    while time.thread_time() < start + SHORTEST:
        task()
        count += 1
    return (time.thread_time() - start) / count


if __name__ == "__main__":
    main()
