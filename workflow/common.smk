"""The checked configuration, and what the stages share.

Input: the configuration, and the prototxt of each network (for its layers).
Output: `tables`, which the stages look things up in (see cnnvis/config/tables.py).
"""

import contextlib
import os
import re
import sys
from pathlib import Path

from cnnvis.config.load import check_readable, load_config
from cnnvis.core.code_digest import digest
from cnnvis.core.errors import UserError
from cnnvis.core.locks import join_runs
from cnnvis.pages.artefacts import recognise


# What Snakemake's own report says first.
report: "report/workflow.rst"


# The checkout, whichever Snakefile was given: scripts import its package, the one whose code is in
# their params.
home = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
others = filter(None, [os.environ.get("PYTHONPATH")])
# Threads of BLAS that wait for work do so idly: spinning, they cost every job 0.1 s of CPU.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
os.environ.update(PYTHONPATH=os.pathsep.join([str(home), *others]), CNNVIS_HOME=str(home))

# Before Snakemake looks at its lock. A folder that cannot be written, it tells itself.
with contextlib.suppress(OSError):
    if join_runs(".snakemake"):
        print("A run here was killed: its lock is removed.", file=sys.stderr)


def drop_default_limit():
    """Take away Snakemake's own limit of 100 jobs a second; one that somebody asked for stays.

    It wakes the scheduler once a second for every job so far: a core after some hundred jobs. The
    scheduler is there only when a run starts.
    """
    limit = getattr(workflow.scheduling_settings, "max_jobs_per_timespan", None)
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


@contextlib.contextmanager
def mistakes_told():
    """End the run after a user's mistakes, of which Snakemake would add the place in this file."""
    try:
        yield
    except UserError as mistakes:
        print(mistakes, file=sys.stderr)
        sys.exit(1)


# A config of one's own replaces the default run, which is read only where none is given.
if not workflow.overwrite_configfiles:
    with mistakes_told():
        check_readable("config/config.yaml")

    configfile: "config/config.yaml"


with mistakes_told():
    tables = load_config(config, workflow.configfiles)


def code(script):
    """Return the digest of the code a script runs: a param, so that changed code runs again."""
    return digest(home / "scripts" / script, tables["engine"])


def entry(table, *keys):
    """Return a function that finds an entry of the tables for a job's wildcards.

    Snakemake's own `lookup` walks the whole table for every job, which takes minutes where there
    are hundreds of images.
    """

    def find(wildcards):
        value = tables[table]
        for key in keys:
            value = value[key.format(**wildcards)]
        return value

    return find


def parts_of(folder, *keys):
    """Return a function that finds the folders of parts that other jobs make for a job.

    Those are jobs of a rule that is this one with a portion, and get none. `keys` lead to the
    portions, `folder` has their number as {portion}.
    """
    find = entry(*keys, "portions")

    def folders(wildcards):
        portions = [] if "portion" in wildcards.keys() else find(wildcards)
        return [folder.format(portion=portion, **wildcards) for portion in portions]

    return folders


def facts_of(network, layers, *keys):
    """Return some facts of each layer, as a param: a change of others runs nothing again."""
    return [{key: tables["layers"][network][layer][key] for key in keys} for layer in layers]


def shared_orders(network, orders):
    """Return the files of orderings over images, for pairs of an ordering and a layer."""
    return [f"results/{network}/orderings/{name}/{layer}.json" for name, layer in orders]


def responses_of(wildcards):
    """Return the file of what the filters of a layer respond to, if it is made."""
    responses = tables["responses"].get(wildcards.network, {"layers": []})
    made = wildcards.layer in responses["layers"]
    return ["results/{network}/responses/{layer}.npz"] if made else []


def with_responses(network):
    """Return the names of the layers that have a page on what their filters respond to."""
    return list(tables["responses"].get(network, {"layers": {}})["layers"].values())


def reported(files, category):
    """Flag a file, or a list of them, for `snakemake --report`, labelled with the names in its path.

    Its caption is workflow/report/{category}.rst.
    """
    if not isinstance(files, str):
        return [reported(file, category) for file in files]
    # A class has a number in a path, and a wildcard in a rule.
    found = recognise(files.replace("{cls}", "0"), "results")
    labels = found.parts | ({"cls": "{cls}"} if "cls" in found.parts else {})
    return report(
        files,
        caption=f"report/{category.lower().replace(' ', '-')}.rst",
        category=category,
        labels={"figure": found.kind, **labels},
    )


def any_of(names):
    """Return the pattern that matches just these names; with none, nothing.

    Snakemake takes an empty pattern for no constraint.
    """
    return "|".join(map(re.escape, sorted(set(names)))) or "(?!)"


# Rules that run a network run it where its engine is. Real Caffe's conda environment is not ours.
environment = f"../envs/{'caffe' if tables['engine'] == 'pycaffe' else 'workflow'}.yaml"


def compressed_of(wildcards):
    """Return the compressed form of missing weights, and the network they are for."""
    return {
        "compressed": tables["decoded"][wildcards.weights],
        "prototxt": str(Path(wildcards.weights).with_name("deploy.prototxt")),
    }


# Only these can be run; of others there are published gradients.
running = [name for name, facts in tables["networks"].items() if facts["runs"]]


# Rules that could be cached are named by Snakemake in every run, so that they are only with --cache.
caching = workflow.workflow_settings.cache is not None

# Jobs that a cluster runs as one, on one node (see profiles/slurm): those of an image, unless an order over
# several images has to be made between its passes through the network and its pictures; and, as "pages",
# what is drawn of everything at the end.
over_images = any(ordering["images"] for ordering in tables["orderings"].values())
passes, pictures = ("passes", "pictures") if over_images else ("image", "image")


# A rule that takes networks without weights, too, says so with a constraint of its own.
wildcard_constraints:
    network=any_of(running),
    image=any_of(tables["images"]),
    layer=any_of({layer for layers in tables["layers"].values() for layer in layers}),
    collection=any_of(tables["collections"]),
    cls=r"\d+",
    portion=r"\d+",
