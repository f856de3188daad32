"""Measure what following only the changes saves in a pruning sweep, against whole passes.

    python benchmarks/bench_pruning.py [--images 16] [--repeats 5] [--threads N]

For some layers of CaffeNet and photonet (random weights), the time per image of one set of
ablated filters, computed two ways that alternate in one run:

- whole: the weights set to zero, a whole forward pass (`Engine.scores_without`);
- followed: above the layer only the changed channels are propagated, to the next linear layers
  (`Network.scores_without`), once for `SETS` sets, which share what lies below the layer.

The last column is the largest difference between the scores of both, relative to the largest
score. Times are medians.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import cnnvis
from cnnvis.engines.base import Engine
from cnnvis.engines.inspection import inspect

SETS = 8
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


def measure(network, batch, layer, count, repeats):
    """Return ``{way: median seconds per image and set}`` and the relative difference of scores."""
    random, filters = np.random.default_rng(1), len(network.params[layer][0])
    sets = [random.permutation(filters)[:count] for _ in range(SETS)]
    ways = {
        "whole": lambda: Engine.scores_without(network, batch, layer, sets, "fc8"),
        "followed": lambda: network.scores_without(batch, layer, sets, "fc8"),
    }
    times = {way: [] for way in ways}
    scores = {way: ask() for way, ask in ways.items()}
    for _ in range(repeats):
        for way, ask in ways.items():
            start = time.perf_counter()
            ask()
            times[way].append((time.perf_counter() - start) / len(batch) / SETS)
    apart = np.abs(scores["followed"] - scores["whole"]).max() / np.abs(scores["whole"]).max()
    return {way: float(np.median(values)) for way, values in times.items()}, apart


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16, help="in the batch (default 16)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    print("ms per image and set")
    print(f"{'network layer filters':22}{'whole':>9}{'followed':>10}{'share':>8}{'apart':>10}")
    for name in dict.fromkeys(case[0] for case in CASES):
        with random_network(name, options.threads) as network:
            random = np.random.default_rng(2)
            batch = random.uniform(-120, 130, (options.images, *network.input_shape))
            for _, layer, count in (case for case in CASES if case[0] == name):
                times, apart = measure(network, batch, layer, count, options.repeats)
                whole, followed = (1000 * times[way] for way in ("whole", "followed"))
                row = f"{whole:9.2f}{followed:10.2f}{followed / whole:8.0%}{apart:10.0e}"
                print(f"{name:9}{layer:6}{count:7}{row}", flush=True)


if __name__ == "__main__":
    main()
