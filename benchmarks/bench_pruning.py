"""Measure what a pruning sweep saves by sharing: full passes, resumed passes, followed changes.

    python benchmarks/bench_pruning.py [--images 16] [--repeats 5] [--threads N]

For some layers of CaffeNet and photonet (random weights), the time per image of one pruned
network, computed three ways that alternate in one run:

- full: the weights set to zero, a whole forward pass;
- resume: the layer's output computed once, all layers above run again (bit-equal to full);
- change: above the layer only the changed channels are followed, as far as the next linear layer.

The last column is the largest difference between the scores of full and change, relative to the
largest score. Times are medians; the passes that are shared are not counted, they are few.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import cnnvis
from cnnvis.engines.inspection import inspect
from cnnvis.engines.numpy.changes import Base

MODELS = Path(__file__).parents[1] / "models"
CASES = [
    ("caffenet", "conv1", 1),
    ("caffenet", "conv1", 8),
    ("caffenet", "conv1", 32),
    ("caffenet", "conv2", 1),
    ("caffenet", "conv5", 1),
    ("caffenet", "conv5", 32),
    ("photonet", "conv1", 1),
    ("photonet", "conv1", 8),
    ("photonet", "conv1", 32),
]


def random_network(name, threads):
    """Return a network with weights that keep activations at about the size of the input."""
    prototxt = MODELS / name / "deploy.prototxt"
    random = np.random.default_rng(0)
    weights = {}
    for layer, shape in inspect(prototxt).layers_with_weights.items():
        scale = np.float32(np.sqrt(2 / np.prod(shape[1:])))
        weights[layer] = [
            random.standard_normal(shape, np.float32) * scale,
            random.standard_normal(shape[0], np.float32),
        ]
    return cnnvis.open_network(prototxt, weights, threads=threads)


def full_pass(network, batch, layer, filters):
    """Return the scores with some filters of a layer set to zero."""
    kept = network.params[layer]
    zeroed = [array.copy() for array in kept]
    for array in zeroed:
        array[filters] = 0
    network.set_weights({layer: zeroed})
    try:
        return network.forward(batch, ["fc8"])["fc8"]
    finally:
        network.set_weights({layer: kept})


def measure(network, batch, layer, count, repeats):
    """Return ``{way: median seconds per image}`` and the relative difference of scores."""
    base = Base(network, batch, layer, ["fc8"])
    filters = np.random.default_rng(1).permutation(base.output.shape[1])[:count]
    ways = {
        "full": lambda: full_pass(network, batch, layer, filters),
        "resume": lambda: base.resume(filters, 0.0)["fc8"],
        "change": lambda: base.change(filters, 0.0)["fc8"],
    }
    times = {way: [] for way in ways}
    scores = {way: ask() for way, ask in ways.items()}
    for _ in range(repeats):
        for way, ask in ways.items():
            start = time.perf_counter()
            ask()
            times[way].append((time.perf_counter() - start) / len(batch))
    assert np.array_equal(scores["full"], scores["resume"])
    apart = np.abs(scores["change"] - scores["full"]).max() / np.abs(scores["full"]).max()
    return {way: float(np.median(values)) for way, values in times.items()}, apart


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16, help="in the batch (default 16)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    print(f"{'':22}{'ms per image':^27}{'share of full':^18}")
    print(f"{'network layer filters':22}{'full':>9}{'resume':>9}{'change':>9}", end="")
    print(f"{'resume':>9}{'change':>9}{'apart':>10}")
    for name in dict.fromkeys(case[0] for case in CASES):
        with random_network(name, options.threads) as network:
            random = np.random.default_rng(2)
            batch = random.uniform(-120, 130, (options.images, *network.input_shape))
            for _, layer, count in (case for case in CASES if case[0] == name):
                times, apart = measure(network, batch, layer, count, options.repeats)
                row = "".join(f"{1000 * times[way]:9.2f}" for way in times)
                shares = "".join(f"{times[w] / times['full']:9.0%}" for w in ("resume", "change"))
                print(f"{name:9}{layer:6}{count:7}{row}{shares}{apart:10.0e}", flush=True)


if __name__ == "__main__":
    main()
