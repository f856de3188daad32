"""The embedded engine beside real Caffe and beside the machine's own matrix product, on CaffeNet.

    python benchmarks/bench_engines.py [--caffe PYTHON] [--rounds N] [--threads N]

Every round measures each engine in turn, and
ratios are taken within a round, so that a machine whose speed drifts still compares fairly. Caffe
runs where `--caffe` (or CNNVIS_CAFFE_PYTHON) names an interpreter that imports it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import threadpoolctl
from networks import flop_of, prototxt_of, write_random_weights

import cnnvis

HERE = Path(__file__).parent
PROTOTXT = prototxt_of("caffenet", HERE)
REPEATED = 10  # images at least that one measurement runs; of one image alone, the mean is taken
FORWARD, GRADIENT = (1, 10, 50), (1, 16, 64)
GOALS = {
    "forward 50": "at least 2.0 x Caffe, 80 % of sgemm",
    "gradient 16": "at least 4.0 x Caffe, at most 3.0 forwards",
    "forward 1": "at least 2.0 x Caffe",
    "gradient 1": "at least 2.0 x Caffe",
}


def main():
    options = parse(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "caffenet.caffemodel"
        write_random_weights(PROTOTXT, weights)
        print(describe(options))
        timers = {"numpy": NumpyTimer(PROTOTXT, weights, options.threads)}
        if options.caffe:
            timers["caffe"] = CaffeTimer(
                options.caffe, PROTOTXT, Path(folder), options.threads, [weights]
            )
        else:
            print("Caffe: not measured (give --caffe PYTHON or set CNNVIS_CAFFE_PYTHON)")
        results, peaks = measure(timers, options)
        report(results, peaks)
        print(f"\nopening 244 MB: {opening(timers)}")
        print(f"peak memory, forward of 50, weights included: {peak_memory(weights):.0f} MB")


def parse(doc):
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--caffe", default=os.environ.get("CNNVIS_CAFFE_PYTHON"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def describe(options):
    blas = threadpoolctl.threadpool_info()[0]
    return (
        f"{options.threads} threads; BLAS {blas['internal_api']} {blas['version']}, kernel "
        f"{blas.get('architecture')}, OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE')}"
    )


class NumpyTimer:
    def __init__(self, prototxt, weights, threads):
        start = time.perf_counter()
        self.network = cnnvis.open_network(prototxt, weights, threads=threads)
        self.opening = time.perf_counter() - start
        self.random = np.random.default_rng(0)

    def __call__(self, task, images):
        (shape,) = self.network.inputs.values()
        batch = 60 * self.random.standard_normal((images, *shape[1:]), dtype="f4")
        self.run(task, batch[:2])
        repeats = max(1, REPEATED // images)
        start = time.perf_counter()
        for _ in range(repeats):
            self.run(task, batch)
        return (time.perf_counter() - start) / repeats

    def run(self, task, batch):
        if task == "forward":
            self.network.forward(batch, ["prob"])
        else:
            self.network.weight_gradient(batch, "fc8", 5, ["conv1", "conv2"])

    def close(self):
        self.network.close()


class CaffeTimer:
    def __init__(self, python, prototxt, folder, threads, weights=()):
        text = prototxt.read_text() + "\nforce_backward: true\n"
        prototxt = folder / "forced.prototxt"
        prototxt.write_text(text)
        environment = os.environ | {
            "OPENBLAS_NUM_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "GLOG_minloglevel": "2",
        }
        environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, HERE / "caffe_timer.py", prototxt, *weights],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.opening = float(self.process.stdout.readline())

    def __call__(self, task, images):
        # Per-image gradients cost Caffe the same for each image; 64 in a row would only take long.
        asked = min(images, 16) if task == "gradient" else images
        repeats = max(1, REPEATED // images)
        self.process.stdin.write(f"{task} {asked} {repeats}\n")
        self.process.stdin.flush()
        seconds = float(self.process.stdout.readline()) * images / asked / repeats
        time.sleep(0.1)  # until its BLAS threads have stopped spinning
        return seconds

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def sgemm_peak(threads):
    """Return the FLOP/s of a large matrix product, the best of a few."""
    matrix = np.random.default_rng(0).standard_normal((2048, 2048), dtype="f4")
    out, times = np.empty_like(matrix), []
    with threadpoolctl.threadpool_limits(threads, "blas"):
        for _ in range(5):
            start = time.perf_counter()
            np.matmul(matrix, matrix, out=out)
            times.append(time.perf_counter() - start)
    return 2 * len(matrix) ** 3 / min(times)


def measure(timers, options):
    """Return ``{"task images": {engine: [seconds]}}`` and the sgemm peak, of each round."""
    tasks = [("forward", n) for n in FORWARD] + [("gradient", n) for n in GRADIENT]
    results = {f"{task} {n}": {name: [] for name in timers} for task, n in tasks}
    peaks = []
    for number in range(options.rounds):
        for task, images in tasks:
            for name, timer in timers.items():
                results[f"{task} {images}"][name].append(timer(task, images))
            if (task, images) == ("forward", FORWARD[-1]):
                peaks.append(sgemm_peak(options.threads))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return results, peaks


def report(results, peaks):
    print(f"sgemm {statistics.median(peaks) / 1e9:.0f} GFLOP/s (2048 x 2048)\n")
    print("task         numpy ms/image  caffe ms/image  caffe/numpy  other")
    for name, times in results.items():
        images = int(name.split()[1])
        ours = statistics.median(times["numpy"]) / images * 1e3
        row = f"{name:12} {ours:14.2f}"
        if "caffe" in times:
            caffe = statistics.median(times["caffe"]) / images * 1e3
            ratio = ratios(times["caffe"], times["numpy"])
            row += f"  {caffe:14.2f}  {ratio:>11.2f}"
        else:
            row += " " * 29
        print(f"{row}  {other(name, images, results, peaks)}".rstrip())
        if name in GOALS:
            print(f"{'':12} goal: {GOALS[name]}")


def other(name, images, results, peaks):
    times = results[name]["numpy"]
    if name == f"forward {FORWARD[-1]}":
        share = [flop_of(PROTOTXT) * images / t / p for t, p in zip(times, peaks, strict=True)]
        return f"{statistics.median(share):.0%} of sgemm"
    if name.startswith("gradient"):
        nearest = min(FORWARD, key=lambda n: abs(n - images))
        forwards = [t / nearest * images for t in results[f"forward {nearest}"]["numpy"]]
        return f"{ratios(times, forwards):.2f} forwards (batch {nearest})"
    return ""


def ratios(above, below):
    """Return the median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def opening(timers):
    return ", ".join(f"{name} {timer.opening:.2f} s" for name, timer in timers.items())


def peak_memory(weights):
    """Return the megabytes a fresh process needs to open the network and forward 50 images."""
    code = (
        "import resource, sys, numpy as np, cnnvis\n"
        "network = cnnvis.open_network(sys.argv[1], sys.argv[2], threads=2)\n"
        "network.forward(np.zeros((50, 3, 227, 227), 'f4'), ['prob'])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    run = [sys.executable, "-c", code, PROTOTXT, weights]
    return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
