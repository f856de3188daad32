"""Whole runs of the configurations that reproduce the study, from planning to the exit status."""

import json
import shutil

import numpy as np
import pytest

from cnnvis.inputs import published
from tests.checks.test_reproduction import STUDY, change, needs_study
from tests.conftest import ROOT, copy_study

SHARED = ROOT.parent / "shared"
WITH_WEIGHTS = ("caffenet", "alexnet", "squeezenet", "recovered")


@pytest.fixture
def project(tmp_path):
    """Return the workflow in a folder of its own, with models/ and study/."""
    project = copy_study(tmp_path / "project")
    for name in ("models", "study"):
        shutil.copytree(ROOT / name, project.folder / name, dirs_exist_ok=True)
    return project


def place(project, names, folder="study"):
    """Put files of ../shared where the workflow would put what it fetches."""
    for name in names:
        source = next(SHARED.glob(f"study/*/{name}"), SHARED / "squeezenet" / name)
        source = source if source.is_file() else STUDY / name
        shutil.copyfile(source, project.folder / folder / name)


def recovered_command(study):
    """Return the arguments of a run of recovered filters with a folder of the study's files."""
    images = {image: {"path": f"{study}/images/{image}.jpg"} for image in published.ORDERED}
    volume = f"{study}/activations/{published.CONV1}"
    changes = {
        "verify": {"study": str(study)},
        "images": images,
        "recover": {"caffenet": {"volume": volume, "image": images["cat"]["path"]}},
    }
    config = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    return "verify", "--cores", "2", "--configfile", "config/recovered.yaml", "--config", *config


@pytest.mark.slow
@needs_study
def test_a_run_of_recovered_filters_passes_and_an_altered_study_fails(project):
    """Offline: without the network's weights, from a folder that is not the one configured."""
    study = project.folder / "published"
    for name in ("activations", "images", "figures"):
        shutil.copytree(STUDY / name, study / name, copy_function=shutil.copyfile)
    found = project.snakemake(*recovered_command(study))
    assert found.returncode == 0, found.stderr
    results = project.folder / "results"
    assert json.loads((results / "verify.json").read_text())["counts"]["reproduced"] == 7
    change(study / "activations/L1_conv1.vox", 1, 3)
    found = project.snakemake(*recovered_command(study))
    assert found.returncode != 0
    assert "L1_conv1.vox: 290,399 of 290,400 voxels identical" in found.stderr
    assert "Not everything." in (results / "verify.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHARED / "squeezenet").is_dir() or not STUDY.is_dir(),
    reason="../shared/squeezenet and ../shared/study are not here",
)
def test_squeezenet_recognises_the_studys_images(project):
    """A real ImageNet network through the whole workflow, against what Caffe computed."""
    place(project, [f"{image}.jpg" for image in (published.IMAGE, *published.IMAGES)])
    place(project, ["compressed_SqueezeNet.net"], "models/squeezenet")
    place(project, ["synset_words.txt"], "models/imagenet")
    images = {"cat": 281, "Persian_1": 283, "pembroke": 263, "chihuahua_miss": 151}
    results = "results/squeezenet"
    targets = [f"{results}/{image}/gradients/{cls}.npz" for image, cls in images.items()]
    targets += [f"{results}/{image}/prediction.json" for image in (*images, "chihuahua")]
    targets += [f"{results}/comparisons/pembroke/conv1.json"]
    command = ("--cores", "2", "--configfile", "config/squeezenet.yaml")
    found = project.snakemake(*targets, *command)
    assert found.returncode == 0, found.stderr
    folder = project.folder / results
    for image, cls in images.items():
        expected = np.load(SHARED / "squeezenet" / f"{image}.npz")
        found = json.loads((folder / image / "prediction.json").read_text())["top"][0]
        assert found["index"] == expected["score"].argmax()
        gradients = np.load(folder / image / "gradients" / f"{cls}.npz")
        for layer in gradients.files:
            caffe = expected[f"grad/{layer}"]
            error = np.linalg.norm(gradients[layer] - caffe) / np.linalg.norm(caffe)
            # One gate of a ReLU that rounding flips is up to 1.5e-3 here, in Caffe's float32 or in
            # this one (see tests/engines/test_goldens.py); a wrong neuron or input is about 1.
            assert error < 5e-3, (image, layer)
    for image, cls in {"Persian_1": 283, "chihuahua": 151, "pembroke": 263}.items():
        found = json.loads((folder / image / "prediction.json").read_text())["top"][0]
        assert found["index"] == cls
    again = project.snakemake("--dry-run", *targets, *command)
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.slow
@needs_study
def test_the_published_gradients_run_without_weights(project):
    """Offline, everything that hangs on gradients, and nothing that needs a forward pass."""
    place(project, [f"{image}.jpg" for image in published.IMAGES])
    for layer in published.GRADIENT_LAYERS:
        place(project, [published.gradient_name(image, layer) for image in published.IMAGES])
    place(project, ["synset_words.txt"], "models/imagenet")
    command = ("--cores", "2", "--configfile", "config/published.yaml")
    found = project.snakemake(*command)
    assert found.returncode == 0, found.stderr
    folder = project.folder / "results/published"
    imported = np.load(folder / "Persian_1/gradients/263.npz")["conv1"]
    assert np.array_equal(imported, np.load(STUDY / "gradients/Persian_1.npy"))
    assert (folder / "Persian_1/gradients/263/conv1.vox").stat().st_size > 0
    means = {"conv1": [86.9273, 54.1519, 44.0291], "conv2": [94.2006, 76.5714, 59.7707]}
    for layer, expected in means.items():
        summary = json.loads((folder / f"comparisons/pembroke/{layer}.json").read_text())
        assert [group["norm"] for group in summary["groups"].values()] == expected
        assert summary["claim"]["holds"] is True
    made = {path.name for path in (project.folder / "results").rglob("*.*")}
    assert not made & {
        "blobs.npz",
        "input.npy",
        "prediction.json",
        "saliency.png",
        "263.check.json",
    }
    page = (folder / "Persian_1/index.html").read_text()
    assert "What needs a pass through the network is left out" in page
    again = project.snakemake("--dry-run", *command)
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.parametrize("name", [*WITH_WEIGHTS, "published"])
def test_configs_plan_their_downloads(project, name):
    """With nothing here but the repository, a dry run knows where everything comes from."""
    found = project.snakemake("--dry-run", "--configfile", f"config/{name}.yaml")
    assert found.returncode == 0, found.stderr
    assert "download" in found.stdout


def test_the_published_files_are_fetched_for_a_verification(project):
    found = project.snakemake("verify", "--dry-run", "--configfile", "config/caffenet.yaml")
    assert found.returncode == 0, found.stderr
    for name in {name for entry in published.entries() for name in entry.needed}:
        assert f"study/{name}." in found.stdout


@pytest.mark.parametrize(
    ("name", "line"),
    [
        *((name, "images.cat.path: file not found: study/cat.jpg") for name in WITH_WEIGHTS),
        (
            "published",
            "networks.published.gradients.conv2: file not found: study/Persian_miss_conv2.npy; "
            "expected the gradient of neuron 263 for image Persian_miss",
        ),
    ],
)
def test_configs_say_what_is_missing(project, name, line):
    (project.folder / "study/source.yaml").unlink()
    found = project.snakemake("--dry-run", "--configfile", f"config/{name}.yaml")
    assert found.returncode != 0 and "Traceback" not in found.stderr
    assert f"config: {line}" in found.stderr


def test_verify_without_its_key_says_so(project):
    found = project.snakemake("verify", "--cores", "1")
    assert found.returncode != 0
    assert "config: verify is missing" in found.stderr
