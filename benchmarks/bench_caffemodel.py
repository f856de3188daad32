"""Measure opening and writing weights of CaffeNet's size: time and peak memory against the file.

    python benchmarks/bench_caffemodel.py [FILE.caffemodel]

Without a file, 244 MB of random weights in CaffeNet's shapes are written to a temporary folder.
Each measurement is a fresh process. Reading the bytes alone is the yardstick.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CAFFENET = {
    "conv1": [(96, 3, 11, 11), (96,)],
    "conv2": [(256, 48, 5, 5), (256,)],
    "conv3": [(384, 256, 3, 3), (384,)],
    "conv4": [(384, 192, 3, 3), (384,)],
    "conv5": [(256, 192, 3, 3), (256,)],
    "fc6": [(4096, 9216), (4096,)],
    "fc7": [(4096, 4096), (4096,)],
    "fc8": [(1000, 4096), (1000,)],
}
PROBE = """
import re, sys, time
from pathlib import Path
path, copy = map(Path, sys.argv[1:])
def resident(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
{setup}
before, start = resident("VmRSS"), time.perf_counter()
{action}
print(time.perf_counter() - start, resident("VmHWM") - before)
"""
ACTIONS = {
    "plain bytes": ("", "content = path.read_bytes()"),
    "read_caffemodel": (
        "from cnnvis.caffe.caffemodel import read_caffemodel",
        "w = read_caffemodel(path)",
    ),
    "protobuf alone": (
        "from cnnvis.caffe.schema import messages",
        "net = messages.NetParameter.FromString(path.read_bytes())",
    ),
    "write_caffemodel": (
        "from cnnvis.caffe.caffemodel import *\nw = read_caffemodel(path)",
        "write_caffemodel(copy, w)",
    ),
}


def make_weights(path):
    """Write random weights in CaffeNet's shapes."""
    import numpy as np

    from cnnvis.caffe.caffemodel import write_caffemodel

    random = np.random.default_rng(0)
    weights = {
        layer: [random.standard_normal(shape, np.float32) for shape in shapes]
        for layer, shapes in CAFFENET.items()
    }
    start = time.perf_counter()
    write_caffemodel(path, weights, name="CaffeNet")
    print(f"{path.stat().st_size / 1e6:.0f} MB written in {time.perf_counter() - start:.2f} s")


def measure(path, copy, repeats=5):
    """Print the best time and the memory of each action, also as multiples of the file."""
    size = path.stat().st_size / 2**20
    print(f"{'':18}{'best s':>8}{'median s':>10}{'peak MB':>9}{'peak/file':>11}")
    for name, (setup, action) in ACTIONS.items():
        code = PROBE.format(setup=setup, action=action)
        runs = []
        for _ in range(repeats):
            command = [sys.executable, "-c", code, str(path), str(copy)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs.append(tuple(map(float, output.split())))
        times = sorted(run[0] for run in runs)
        peak = max(run[1] for run in runs)
        middle = times[len(times) // 2]
        print(f"{name:18}{times[0]:8.3f}{middle:10.3f}{peak * 1.048576:9.0f}{peak / size:11.2f}")


def main():
    """Measure the given file, or one made for the purpose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    path = parser.parse_args().file
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = Path(folder) / "caffenet.caffemodel"
            make_weights(path)
        measure(path, Path(folder) / "copy.caffemodel")


if __name__ == "__main__":
    main()
