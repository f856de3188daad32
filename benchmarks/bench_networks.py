"""The embedded engine beside real Caffe on VGG-16, ResNet-50, SqueezeNet and MobileNet: forward.

    python benchmarks/bench_networks.py [--caffe PYTHON] [--rounds N] [--threads N]

Engines and the machine's own matrix product take turns, as in bench_engines.py; ratios are medians
of those within a round. Behind each network, what share of its CPU time each type of layer takes
(on one thread), convolutions by their method.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from bench_engines import CaffeTimer, NumpyTimer, describe, parse, ratios, sgemm_peak
from networks import flop_of, prototxt_of, write_random_weights

import cnnvis

NETWORKS = ("vgg16", "resnet50", "squeezenet", "mobilenet")
BATCHES = (1, 10)
GOALS = {"vgg16": "at least 100 % of sgemm at batch 10", "mobilenet": "at least 4.0 x Caffe"}
SHOWN = 0.02  # share of the time from which on a type of layer is named


def main():
    options = parse(__doc__)
    print(describe(options))
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            prototxt = prototxt_of(name, Path(folder))
            weights = Path(folder) / f"{name}.caffemodel"
            write_random_weights(prototxt, weights)
            compare(name, prototxt, weights, options)


def compare(name, prototxt, weights, options):
    timers = {"numpy": NumpyTimer(prototxt, weights, options.threads)}
    if options.caffe:
        # With weights of zero: files above 512 MB are too large for some builds of Caffe.
        timers["caffe"] = CaffeTimer(options.caffe, prototxt, weights.parent, options.threads)
    print(f"\n{name}" + (f"; goal: {GOALS[name]}" if name in GOALS else ""))
    rounds = [one_round(timers, options.threads) for _ in range(options.rounds)]
    flop = flop_of(prototxt)
    for images in BATCHES:
        ours = [times[images]["numpy"] for times, _ in rounds]
        share = [flop * images / t / peak for t, (_, peak) in zip(ours, rounds, strict=True)]
        row = f"forward {images:2}  {statistics.median(ours) / images * 1e3:8.2f} ms/image"
        row += f"  {statistics.median(share):4.0%} of sgemm"
        if "caffe" in timers:
            row += f"  {ratios([times[images]['caffe'] for times, _ in rounds], ours):5.2f} x Caffe"
        print(row)
    print(shares(prototxt, weights))
    for timer in timers.values():
        timer.close()


def one_round(timers, threads):
    """Return ``{images: {engine: seconds}}`` and the FLOP/s of a large matrix product."""
    times = {
        images: {name: timer("forward", images) for name, timer in timers.items()}
        for images in BATCHES
    }
    print(".", end="", file=sys.stderr, flush=True)
    return times, sgemm_peak(threads)


def shares(prototxt, weights):
    """Return what share of a forward pass of 10 images each type of layer takes."""
    spent = Counter()
    with cnnvis.open_network(prototxt, weights, threads=1) as network:
        for node in network.graph.nodes:
            node.layer.forward = timed(node.layer, spent)
        (shape,) = (array[1:] for array in network.inputs.values())
        batch = np.random.default_rng(0).standard_normal((10, *shape), dtype="f4")
        network.forward(batch, [list(network.graph.blobs)[-1]])
        spent.clear()
        network.forward(batch, [list(network.graph.blobs)[-1]])
    total = spent.total()
    named = {kind: part / total for kind, part in spent.most_common() if part >= SHOWN * total}
    return "  " + ", ".join(f"{kind} {part:.0%}" for kind, part in named.items())


def timed(layer, spent):
    forward = layer.forward

    def run(work, weights, bottoms, tops):
        start = time.thread_time()
        forward(work, weights, bottoms, tops)
        kind = layer.param.type
        if kind == "Convolution":
            kind = type(layer.method(weights[0], bottoms[0], tops[0])).__name__.lower()
        spent[kind] += time.thread_time() - start

    return run


if __name__ == "__main__":
    main()
