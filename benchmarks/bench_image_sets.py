"""Measure whether time per image and memory are the same for image sets of any size.

    python benchmarks/bench_image_sets.py [--images 200 2000 20000] [--plans 200 20000]

Image sets are links to eight small photographs, and the network is tiny (three layers, 48 x 48
pixels), so that what the sets themselves cost is seen. `class_sums` and `responses` run as their
jobs do, each in a process of its own. The columns:

- ms: CPU time per image, of all threads, with what it takes to open the network;
- peak: the largest memory of the process; of `responses` also the file of a layer's responses that
  is in memory as long as nobody else needs it, 20 bytes for each image and filter;
- disk: the largest place that parts take until the results are written.

The second table is the CPU time of a dry run (`snakemake -n`) with a collection of so many images:
they are listed, and their times of change looked at.
"""

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from bench_workflow import children
from networks import write_random_weights
from PIL import Image

from cnnvis.activations.responses import make_responses
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.importance.class_importance import make_class_sums
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.photographs import read_photograph
from cnnvis.inputs.streaming import Streams

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["conv1", "conv2"]
PROTOTXT = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 48 input_dim: 48
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 16 kernel_size: 5 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
        convolution_param { num_output: 32 kernel_size: 3 stride: 2 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc8" type: "InnerProduct" bottom: "conv2" top: "fc8"
        inner_product_param { num_output: 10 } }
"""


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="*", default=[200, 2000, 20000])
    parser.add_argument("--plans", type=int, nargs="*", default=[200, 20000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "deploy.prototxt").write_text(PROTOTXT)
        write_random_weights(folder / "deploy.prototxt", folder / "tiny.caffemodel")
        print(f"{'job':<12}{'images':>7}{'ms':>8}{'peak MB':>9}{'disk MB':>9}")
        for count in arguments.images:
            link_images(folder, count)
            for job in (class_sums, responses):
                seconds, peak, disk = in_a_process(job, folder, count)
                row = f"{1e3 * seconds / count:8.2f}{peak:9.0f}{disk:9.1f}"
                print(f"{job.__name__:<12}{count:>7}{row}", flush=True)
        print(f"\n{'images':>7}{'CPU s':>8}   of a dry run")
        for count in arguments.plans:
            link_images(folder, count)
            print(f"{count:>7}{plan(folder, count):8.1f}", flush=True)


def link_images(folder, count):
    """Make a folder of so many links to eight photographs, if it is not there."""
    links = folder / str(count)
    if links.exists():
        return
    pixels = np.rint(read_photograph("astronaut") * 255).astype(np.uint8)
    for number in range(8):
        crop = pixels[40 * number : 40 * number + 64, 200:280]
        Image.fromarray(crop).save(folder / f"{number}.jpg", quality=90)
    links.mkdir()
    for number in range(count):
        (links / f"{number:05}.jpg").symlink_to(folder / f"{number % 8}.jpg")


def in_a_process(job, folder, count):
    """Return the seconds of a job, the peak of its process and the place of its parts, in MB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(measure, (job, folder, count))


def measure(job, folder, count):
    """Run a job in this process; see `in_a_process`."""
    model = Model(str(folder / "deploy.prototxt"), str(folder / "tiny.caffemodel"), "fc8")
    preprocessing = Preprocessing(model.info.input_shape, [104.0, 117.0, 123.0])
    files, disk = Places(folder / job.__name__ / str(count), network="tiny"), []

    class Measured(Streams):
        def forget(self):
            disk.append(sum(each.path.stat().st_size for each in self.checkpoints) / 1e6)
            super().forget()

    streams = Measured(model, preprocessing, files("responses", layer="conv1"), threads=1)
    start = time.process_time()
    job(streams, files, ImageSet("images", str(folder / str(count)), 3))
    seconds = time.process_time() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, disk[0]


def class_sums(streams, _, image_set):
    """Average gradients, with the criteria of one layer."""
    make_class_sums(streams, image_set, layers=LAYERS, criteria=LAYERS[:1])


def responses(streams, files, image_set):
    """Look what filters respond to."""
    make_responses(streams, files, [image_set], LAYERS, 9)


def plan(folder, count):
    """Return the CPU seconds of a dry run with a collection of so many images."""
    network = {"prototxt": "deploy.prototxt", "weights": "tiny.caffemodel", "score": "fc8"}
    config = {
        "networks": {"tiny": network | {"mean": [104, 117, 123]}},
        "images": {"one": {"path": "0.jpg"}},
        "collections": {"many": {"path": str(count), "cls": 3}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "-n", "-s", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    before = children()
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stdout[-2000:] + run.stderr[-2000:])
    return children() - before


if __name__ == "__main__":
    main()
