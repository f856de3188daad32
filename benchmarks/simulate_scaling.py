"""Simulate what 1,000 and 100,000 images of photonet take on 1, 8 and 64 cores: docs/scaling.md.

    python benchmarks/simulate_scaling.py [--check 40]

First the costs are measured, in seconds of CPU, so that a busy machine changes them little: runs
of the default configuration (see bench_workflow.py) with few images, and dry runs. Snakemake's
plan and the start of a job on a cluster grow with the number of images: on a line through two.

Then jobs are scheduled, first come, first served, on the graph that Snakemake has for them, each on
one core. Snakemake's own work for each job is serial. On a cluster, groups of jobs are submitted as
in profiles/slurm: each starts Snakemake twice on its node, and that it ended is noticed at the next
of Snakemake's checks. Left out are Slurm's queue and the limits of the file system.

--check runs so many images on all cores, and prints what was predicted and what was measured. The
prediction is for free cores; beside it stands how many times its CPU time the run's jobs took.
"""

import argparse
import heapq
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from pathlib import Path

import yaml
from bench_workflow import ROOT, children, configuration, measure

RUNS, PLANS = (2, 8), (64, 256)  # images of the runs and of the dry runs that are measured
PART = 1000  # images that one Snakemake plans
# As in profiles/slurm: images of a submission, and its cores.
IMAGES, PAGES, WIDTH = 16, 80, 4
CHECK = 40.0  # seconds between checks: the plugin's default
LAST = "image_page"  # of the rules of an image, submitted apart
EARLY = ("filters@photonet", "tuning@photonet")  # of the others, what images' pages wait for
# Run by Python at its start: Snakemake and scripts of the workflow note their seconds at the end.
RECORDER = """
import atexit, json, os, resource, sys, time

def note(start=time.monotonic()):
    used = [resource.getrusage(resource.RUSAGE_SELF)]
    rule = getattr(sys.modules["__main__"], "snakemake", None)
    if rule:
        used.append(resource.getrusage(resource.RUSAGE_CHILDREN))
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    name = rule.rule if rule else "snakemake"
    with open(os.environ["CNNVIS_COSTS"], "a") as file:
        print(json.dumps([name, seconds, time.monotonic() - start]), file=file)

if "/.snakemake/scripts/" in sys.orig_argv[-1] or "snakemake" in sys.orig_argv:
    atexit.register(note)
"""


def main():
    """Measure, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=int)
    arguments = parser.parse_args()
    costs = Costs()
    costs.print()
    print_times(costs)
    if arguments.check:
        check(costs, arguments.check)


class Costs:
    """What was measured, in seconds of CPU."""

    def __init__(self):
        self.rules = job_graph()  # {rule: (whether every image has such a job, rules before it)}
        runs = {images: run(images, "--cores", "1") for images in RUNS}
        self.jobs = runs[RUNS[1]]["rules"]
        one = "results/photonet/crop000/input.png"
        self.plan = line({images: measure(images, "-n")[1] for images in PLANS})
        self.start = line({images: measure(images, "-n", one)[1] for images in PLANS})
        own = line({images: found["snakemake"] for images, found in runs.items()})
        slope = own(1) - own(0) - (self.plan(1) - self.plan(0))
        self.dispatch = slope / sum(each for each, _ in self.rules.values())
        self.files, self.size = runs[RUNS[1]]["files"]

    def print(self):
        for title, wanted in (("of each image", True), ("of a run", False)):
            costs = {rule: self.jobs[rule] for rule in self.rules if self.rules[rule][0] == wanted}
            print(f"\n{title:28} {'CPU s':>6}")
            for name, cost in (costs | {"all of them": sum(costs.values())}).items():
                print(f"{name:28} {cost:>6.2f}")
        print(f"\nfiles of an image {self.files:.0f}, {self.size:.1f} MB")
        print(f"\n{'of Snakemake':28} {'CPU s, and for each image':>6}")
        for name, cost in {"plan": self.plan, "start on a node": self.start}.items():
            print(f"{name:28} {cost(0):>6.2f} {cost(1) - cost(0):>9.4f}")
        print(f"{'its own work for a job':28} {self.dispatch:>6.2f}")


def line(points):
    """Return the line through two points, {x: y}, as a function."""
    (x, y), (more_x, more_y) = points.items()
    return lambda at: y + (more_y - y) / (more_x - x) * (at - x)


def job_graph():
    """Return the rules that Snakemake runs, in order, from its graph for two images."""
    text = snakemake(2, "--dag", "--forceall")["text"]
    rows = [row.strip() for row in text.splitlines()]
    names = {
        row.split("[")[0]: row.split('"')[1].split("\\n")[0] for row in rows if "[label" in row
    }
    edges = [row.rstrip(";").split(" -> ") for row in rows if " -> " in row]
    before = defaultdict(set)
    for first, then in edges:
        before[names[then]].add(names[first])
    count, order = Counter(names.values()), []
    while len(order) < len(count):
        order += [name for name in count if name not in order and before[name] <= set(order)]
    return {name: (count[name] == 2, before[name]) for name in order if name != "all"}


def run(images, *options):
    """Run Snakemake; return the mean seconds of each rule, Snakemake's own, and what it wrote."""
    found = snakemake(images, *options)
    seconds = defaultdict(list)
    for rule, cost, _ in found["costs"]:
        seconds[rule].append(cost)
    [own] = seconds.pop("snakemake")
    walls = [wall for rule, _, wall in found["costs"] if rule != "snakemake"]
    jobs = sum(map(sum, seconds.values()))
    # What the shells and interpreters of jobs take before and after the scripts note it.
    around = (found["cpu"] - own - jobs) / len(walls)
    return {
        "rules": {rule: sum(each) / len(each) + around for rule, each in seconds.items()},
        "snakemake": own,
        "wall": found["wall"],
        "jobs": found["cpu"] - own,
        "slowdown": sum(walls) / jobs,
        "files": (found["files"] / images, found["bytes"] / images / 1e6),
    }


def snakemake(images, *options):
    with tempfile.TemporaryDirectory() as name:
        folder, costs = Path(name), Path(name) / "costs"
        (folder / "config.yaml").write_text(yaml.safe_dump(configuration(images), sort_keys=False))
        (folder / "recorder").mkdir()
        (folder / "recorder" / "sitecustomize.py").write_text(RECORDER)
        costs.touch()
        environment = os.environ | {"CNNVIS_COSTS": str(costs)}
        paths = [str(folder / "recorder"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *options]
        command += ["--directory", name, "--configfile", str(folder / "config.yaml")]
        before, start = children(), time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        wall, cpu = time.monotonic() - start, children() - before
        if done.returncode:
            sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
        made = [path for path in folder.glob("results/photonet/crop*/**/*") if path.is_file()]
        return {
            "text": done.stdout,
            "costs": [json.loads(row) for row in costs.read_text().splitlines()],
            "cpu": cpu,
            "wall": wall,
            "files": len(made),
            "bytes": sum(path.stat().st_size for path in made),
        }


def schedule(jobs, workers, serial=0.0, check=0.0):
    """Return when the last of the jobs is known to have ended.

    Parameters
    ----------
    jobs : list of (float, list of int)
        Seconds, and which jobs come before.
    workers : int
        How many jobs run side by side.
    serial : float
        Seconds that Snakemake is busy with each job before it begins.
    check : float
        Seconds between two moments at which ends are noticed; 0 for at once.
    """
    left, then = [len(before) for _, before in jobs], defaultdict(list)
    for job, (_, before) in enumerate(jobs):
        for earlier in before:
            then[earlier].append(job)
    ready = deque(job for job, count in enumerate(left) if not count)
    events, clock, free, busy = [], 0.0, workers, 0.0
    while ready or events:
        while ready and free:
            job, free, busy = ready.popleft(), free - 1, max(busy, clock) + serial
            end = busy + jobs[job][0]
            heapq.heappush(events, (end, 0, job))
            heapq.heappush(events, (math.ceil(end / check) * check if check else end, 1, job))
        clock, noticed, job = heapq.heappop(events)
        if not noticed:
            free += 1
            continue
        for later in then[job]:
            left[later] -= 1
            if not left[later]:
                ready.append(later)
    return clock


def jobs_of(costs, images, rules):
    """Return the jobs of some rules for so many images, as `schedule` takes them."""
    jobs, at = [], {}
    for rule in (rule for rule in costs.rules if rule in rules):
        each, before = costs.rules[rule]
        places = []
        for image in range(images if each else 1):
            earlier = []
            for name in before & at.keys():
                one_of_many = each and costs.rules[name][0]
                earlier += [at[name][image]] if one_of_many else at[name]
            places.append(len(jobs))
            jobs.append((costs.jobs[rule], earlier))
        at[rule] = places
    return jobs


def local(costs, images, cores):
    """Return the seconds of a run on one machine."""
    jobs = jobs_of(costs, images, costs.rules)
    return costs.plan(images) + schedule(jobs, cores, costs.dispatch)


def cluster(costs, images, cores):
    """Return the seconds of a run on a cluster, in groups of jobs."""
    each = {rule for rule, (every, _) in costs.rules.items() if every}

    def submission(rules, images_in_it):
        inner = jobs_of(costs, images_in_it, rules)
        return 2 * costs.start(images) + schedule(inner, WIDTH, costs.dispatch)

    passes = submission(each - {LAST}, IMAGES)
    jobs = [(passes, []) for _ in range(math.ceil(images / IMAGES))]
    many = len(jobs)
    jobs.append((submission(EARLY, 1), []))
    pages = submission({LAST}, PAGES)
    for first in range(0, many, PAGES // IMAGES):
        waited = range(first, min(first + PAGES // IMAGES, many))
        jobs.append((pages, [*waited, many]))
    rest = submission(costs.rules.keys() - each - set(EARLY), 1)
    jobs.append((rest, list(range(len(jobs)))))
    # Snakemake notes every job of a group by itself, where it was started, too.
    own = costs.dispatch * len(each) * images / len(jobs)
    return costs.plan(images) + schedule(jobs, cores // WIDTH, own, CHECK)


def side_by_side(how, costs, cores, least):
    """Return the least time of 100 runs of 1,000 images, and how many of them go side by side."""
    counts = [count for count in (1, 2, 4, 8, 16, 32) if cores // count >= least]
    times = {k: math.ceil(100 / k) * how(costs, PART, cores // k) for k in counts}
    best = min(times, key=times.get)
    return times[best], best


def print_times(costs):
    """Print how long runs take."""
    print(f"\n{'images':>7} {'cores':>5} {'machine':>9} {'cluster':>9}   hours")
    for cores in (1, 8, 64):
        times = [local(costs, PART, cores)]
        times += [cluster(costs, PART, cores)] if cores >= WIDTH else []
        print(f"{PART:>7} {cores:>5} " + " ".join(f"{each / 3600:>9.2f}" for each in times))
    for cores in (1, 8, 64):
        best = [side_by_side(local, costs, cores, 1)]
        best += [side_by_side(cluster, costs, cores, WIDTH)] if cores >= WIDTH else []
        shown = " ".join(f"{each / 3600:>9.1f}" for each, _ in best)
        print(f"{100 * PART:>7} {cores:>5} {shown}   {[count for _, count in best]} side by side")
    plan, start = costs.plan(100 * PART) / 3600, costs.start(100 * PART) / 60
    print(f"100,000 images at once: {plan:.1f} h to plan, {start:.1f} min to start each job")


def check(costs, images):
    """Run so many images, and print what was predicted beside what was measured."""
    cores = os.cpu_count()
    predicted = local(costs, images, cores)
    jobs = sum(cost for cost, _ in jobs_of(costs, images, costs.rules))
    found = run(images, "--cores", str(cores))
    own = costs.plan(images) + costs.dispatch * len(jobs_of(costs, images, costs.rules))
    print(f"\n{images} images on {cores} cores: predicted, measured")
    print(f"{'wall s':28} {predicted:>6.0f} {found['wall']:>6.0f}, {found['slowdown']:.2f} x")
    print(f"{'CPU s of jobs':28} {jobs:>6.0f} {found['jobs']:>6.0f}")
    print(f"{'CPU s of Snakemake':28} {own:>6.0f} {found['snakemake']:>6.0f}")


if __name__ == "__main__":
    main()
