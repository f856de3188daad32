"""Measure what one more image costs: jobs, CPU seconds and wall seconds for 1, 8 and 64 images.

    python benchmarks/bench_workflow.py [--images 1 8 64] [--plans 64 256] [--cores 2]

Each run is the default configuration of photonet on so many crops of one photograph, one class
each, without comparisons, image sets and maximisation, from nothing, in a folder of its own. The
columns:

- jobs: what Snakemake ran;
- CPU: of Snakemake and all its jobs; wall: from start to end;
- per image: the difference to the run with fewer images, divided by the images it has more.

The second table is the wall time of a dry run (`snakemake -n`), where nothing has been made yet.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = ("comparisons", "collections", "lesions", "maximisation", "pruning", "responses")


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--plans", type=int, nargs="*", default=[64, 256])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, --cores {arguments.cores}, {kernel()}")
    print(f"{'images':>7} {'jobs':>6} {'CPU s':>8} {'wall s':>8} | per image: jobs, CPU s, wall s")
    before = (0, 0, 0.0, 0.0)
    for images in arguments.images:
        row = (images, *measure(images, "--cores", str(arguments.cores)))
        more = images - before[0]
        each = [(now - then) / more for now, then in zip(row[1:], before[1:], strict=True)]
        print(
            f"{row[0]:>7} {row[1]:>6} {row[2]:>8.1f} {row[3]:>8.1f} | "
            f"{each[0]:.1f}, {each[1]:.1f}, {each[2]:.1f}",
            flush=True,
        )
        before = row
    print(f"\n{'images':>7} {'jobs':>6} {'CPU s':>8} {'wall s':>8}   of a dry run")
    for images in arguments.plans:
        jobs, cpu, wall = measure(images, "-n")
        print(f"{images:>7} {jobs:>6} {cpu:>8.1f} {wall:>8.1f}", flush=True)


def measure(images, *options):
    """Return the jobs, CPU seconds and wall seconds of one run of Snakemake."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(configuration(images), sort_keys=False))
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *options]
        command += ["--directory", folder, "--configfile", str(config)]
        before, start = children(), time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True)
        seconds = time.monotonic() - start
        if run.returncode:
            sys.exit(run.stdout[-2000:] + run.stderr[-2000:])
        return count_jobs(run.stdout + run.stderr), children() - before, seconds


def configuration(images):
    """Return the default run of photonet with so many crops of the cat."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    for key in LEFT_OUT:
        config.pop(key)
    network = config["networks"]["photonet"]
    for key in ("prototxt", "weights", "labels"):
        network[key] = str(ROOT / network[key])
    config["images"] = {
        f"crop{number:03}": {
            "path": "skimage:cat",
            "crop": [number % 50, number // 50, 240, 300],
            "classes": [2],
        }
        for number in range(images)
    }
    return config


def count_jobs(text):
    """Return the total of Snakemake's table of jobs."""
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("total")))


def children():
    """Return the CPU seconds of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def kernel():
    """Return what is set for OpenBLAS, which changes the speed of the arithmetic."""
    return f"OPENBLAS_CORETYPE {os.environ.get('OPENBLAS_CORETYPE', 'not set')}"


if __name__ == "__main__":
    main()
