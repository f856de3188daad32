"""With `--cache`, what an image gives in a network is taken from other working folders."""

import os
import re

import pytest
import yaml

from cnnvis.core.arrays import read_array
from tests.conftest import THIN_NETWORK, copy_study

BLOBS = "results/thin/cat/blobs.npz"


@pytest.fixture
def run(tmp_path):
    """Return a function that makes files in a new folder, and says what had to be computed."""
    (tmp_path / "cache").mkdir()
    environment = os.environ | {"SNAKEMAKE_OUTPUT_CACHE": str(tmp_path / "cache")}

    def make(name, *files, **entries):
        study = copy_study(tmp_path / name)
        config = {
            "networks": {"thin": THIN_NETWORK | entries},
            "images": {"cat": {"path": "skimage:cat", "classes": [1, 7]}},
        }
        (study.folder / "config/config.yaml").write_text(yaml.safe_dump(config))
        # --cache takes names of rules, so that files come first.
        found = study.snakemake("--cores", "1", *files, "--cache", environment=environment)
        assert found.returncode == 0, found.stderr
        computed = re.findall(r"Moving output file (\S+) to cache", found.stdout + found.stderr)
        return study.folder, computed

    return make


def test_the_same_is_taken_and_another_neuron_computed(run):
    neurons = [f"results/thin/cat/gradients/{cls}.npz" for cls in (1, 7)]
    first, computed = run("first", neurons[0])
    assert {BLOBS, neurons[0]} < set(computed)
    second, computed = run("second", *neurons)
    assert neurons[1] in computed
    assert [file for file in computed if "7" not in file] == []
    for file in (BLOBS, neurons[0]):
        assert (second / file).read_bytes() == (first / file).read_bytes()
    one, seven = (read_array(second / file, "conv1") for file in neurons)
    assert (one != seven).any()


def test_what_differs_is_computed(run):
    first, _ = run("first", BLOBS)
    second, computed = run("second", BLOBS, input_scale=0.5)
    assert BLOBS in computed
    assert (second / BLOBS).read_bytes() != (first / BLOBS).read_bytes()
