"""A run on a Slurm cluster of one node gives the files of a local run, byte for byte."""

import importlib.util
import re

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import THIN_NETWORK, copy_study
from tests.slurm_cluster import cluster, missing

CONFIG = {
    "networks": {"thin": THIN_NETWORK},
    "images": {
        "cat": {"path": "skimage:cat", "classes": [1]},
        "moon": {"path": "skimage:moon", "classes": [1]},
    },
    "orderings": {"natural": {}, "pca": {}},
    "slices": {"rows": []},
    "volumes": {"layers": ["conv1"]},
    "collections": {"noise": {"path": "noise", "cls": 1}},
}
# A small cluster keeps no accounts, and jobs of seconds are asked for sooner.
OPTIONS = [
    *("--profile", "profiles/slurm", "--cores", "2"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif(
        importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
        reason="not installed: pip install -e '.[slurm]'",
    ),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Return the environment of a running cluster."""
    with cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


def prepared(folder):
    study = copy_study(folder)
    (study.folder / "noise").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(study.folder / "noise" / f"{number}.png")
    (study.folder / "config/config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    return study


def results(study):
    files = (study.folder / "results").rglob("*")
    return {
        str(path.relative_to(study.folder)): path.read_bytes() for path in files if path.is_file()
    }


def test_a_cluster_gives_the_files_of_a_local_run(slurm, tmp_path):
    study, local = prepared(tmp_path / "cluster"), prepared(tmp_path / "local")
    run = study.snakemake(*OPTIONS, environment=slurm, timeout=1200)
    assert run.returncode == 0, run.stdout + run.stderr
    # Only what takes long is submitted by itself; all else goes in groups.
    alone = set(re.findall(r"slurm_logs/rule_([^/]+)/", run.stdout + run.stderr))
    assert alone == {"class_sums", "filter_effects", "pruning", "responses@thin"}
    run = local.snakemake("--cores", "2", timeout=1200)
    assert run.returncode == 0, run.stderr
    made, expected = results(study), results(local)
    assert made.keys() == expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []
