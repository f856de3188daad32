"""What Snakemake would run, seen in dry runs: what depends on a change, and nothing else."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from cnnvis.config.load import load_config
from cnnvis.config.page_files import index_files, ordering_files
from cnnvis.core.arrays import read_array
from cnnvis.core.files import HOST, read_json
from cnnvis.core.locks import NAME
from tests.browser import SOFTWARE_GL, Browser, find_browser
from tests.conftest import ROOT, THIN_NETWORK, copy_study

CONFIG = {
    "networks": {"thin": THIN_NETWORK},
    "images": {
        "cat": {"path": "skimage:cat", "classes": [1]},
        "moon": {"path": "skimage:moon", "artefacts": "comparisons"},
        "grass": {"path": "skimage:grass", "artefacts": "comparisons"},
    },
    "orderings": {"natural": {}, "kmeans": {"k": 5}},
    "comparisons": {
        "pets": {
            "neuron": 1,
            "layers": ["conv1"],
            "reference": {"cls": 1, "correct": ["cat"]},
            "similar": {"cls": 2, "wrong": ["grass"]},
            "dissimilar": {"cls": 3, "correct": ["moon"]},
        }
    },
}
MAXIMISATION = {"layers": {"conv1": [0, 3]}, "neurons": [1], "presets": ["blur"]}
SHOWN = {"image_page", "index"}
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND"
# The job of an image's layers, and the one that judges the orders of all images.
LAYERS, JUDGED = {"layers@thin"}, {"orderings@thin"}


def write(study, config, name="config/config.yaml"):
    (study.folder / name).write_text(yaml.safe_dump(config, sort_keys=False))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a study for which all is made; tests change copies of it."""
    study = copy_study(tmp_path_factory.mktemp("made") / "study")
    write(study, CONFIG)
    study.pretend()
    return study


@pytest.fixture
def complete(made, tmp_path):
    """Return a copy of `made`, times of files included."""
    shutil.copytree(made.folder, tmp_path / "study", copy_function=shutil.copy2)
    return type(made)(tmp_path / "study")


def pop_index(plan):
    """Take what the job `index` makes out of a plan; return whether it was in it."""
    made = [plan.pop(f"results/{page}.html", None) for page in ("index", "methods")]
    return made == ["index", "index"]


def changed(**entries):
    return {**CONFIG, **entries}


def images(**entries):
    return changed(images={**CONFIG["images"], **entries})


def test_a_second_run_does_nothing(complete):
    assert complete.plan() == {}


def test_a_class_more_runs_its_gradient_and_what_shows_it(complete):
    write(complete, images(cat={"path": "skimage:cat", "classes": [1, 7]}))
    plan = complete.plan()
    assert set(plan.values()) == {"gradients", "gradient_layers@thin", "gradient_check", *SHOWN}
    for output in plan:
        assert "/cat/" in output or plan[output] == "index"
        assert "7" in output or plan[output] in SHOWN


def test_an_image_more_runs_for_itself_and_the_index(complete):
    write(complete, images(dog={"path": "skimage:rocket"}))
    plan = complete.plan()
    assert pop_index(plan)
    assert set(plan.values()) == {
        *("activations", "image_page", "what_if@thin"),
        *(*LAYERS, *JUDGED),
    }
    assert all(
        output.startswith(("results/thin/dog/", "results/thin/orderings/")) for output in plan
    )


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        (
            "cat.png",
            {"activations", "gradients", "layers@thin", "image_page", "comparison_pets@thin"},
        ),
        ("thin/caffenet_thin.caffemodel", {"activations", "gradients", "filters@thin"}),
        ("thin/caffenet_thin.prototxt", {"activations", "gradients", "network_page"}),
    ],
)
def test_a_file_replaced_by_an_older_one_runs_what_read_it(complete, name, rules):
    complete.append("cat.png", "a picture")
    write(complete, images(cat={"path": "cat.png", "classes": [1]}))
    complete.pretend()
    path = complete.folder / name
    os.utime(path, (10**9, 10**9))
    assert complete.plan() == {}
    path.write_bytes(path.read_bytes() + b" ")
    os.utime(path, (10**9, 10**9))
    assert rules <= set(complete.plan().values())
    complete.pretend()
    assert complete.plan() == {}


@pytest.mark.parametrize(
    "name",
    [
        "grids/kmeans/conv1.png",  # shown by a page
        "volumes/natural/conv1.binary.hd",
        "blobs.npz",  # read by others
        "gradients/1.npz",
        "what-if.html",  # the only file of its job
    ],
)
def test_a_result_that_is_deleted_is_made_again(complete, name):
    path = complete.folder / "results/thin/cat" / name
    path.unlink()
    plan = complete.plan()
    assert str(path.relative_to(complete.folder)) in plan
    assert "activations" not in plan.values() or name == "blobs.npz"


def test_a_result_that_was_deleted_is_made_again_once(study):
    write(study, CONFIG)
    target = "results/thin/cat/grids/natural/conv1.png"
    assert study.snakemake("--cores", "2", target).returncode == 0
    deleted = study.folder / "results/thin/cat/orderings/kmeans/conv3.json"
    content = deleted.read_bytes()
    deleted.unlink()
    run = study.snakemake("--cores", "2", target)
    assert run.returncode == 0 and deleted.read_bytes() == content
    assert study.plan(target) == {}


def test_another_label_runs_only_what_shows_it(complete):
    network = {**CONFIG["networks"]["thin"], "labels": "labels.txt"}
    (complete.folder / "list.txt").write_text("a.png 3\nb.png 1\n")
    config = changed(networks={"thin": network}, lesions={"images": "list.txt"})
    complete.append("labels.txt", "cat\n" * 10)
    write(complete, config)
    complete.pretend()
    assert complete.plan() == {}
    complete.append("labels.txt", " \n")
    rules = {"what_if@thin", "comparison_pets@thin", "lesion_pages@thin", *SHOWN}
    assert set(complete.plan().values()) == rules


def test_filters_are_switched_off_only_where_it_is_wanted(study):
    write(study, changed(what_if=False))
    plan = study.plan()
    assert not [output for output in plan if "what-if" in output]
    write(study, CONFIG)
    added = {output: rule for output, rule in study.plan().items() if output not in plan}
    assert added == {
        "results/thin/what-if.js": "filters@thin",
        "results/thin/cat/what-if.html": "what_if@thin",
    }


def test_another_crop_runs_its_image_from_the_start(complete):
    write(complete, images(cat={"path": "skimage:cat", "classes": [1], "crop": [0, 0, 99, 99]}))
    plan = complete.plan()
    assert "results/thin/cat/input.npy" in plan
    assert pop_index(plan)
    assert all(
        any(part in output for part in ("/cat/", "/comparisons/", "/thin/orderings/"))
        for output in plan
    )


def test_a_shared_ordering_comes_before_all_that_stands_in_it(complete):
    together = {"method": "pca", "over": ["cat", "moon"]}
    shared = changed(orderings=CONFIG["orderings"] | {"together": together})
    write(complete, shared)
    plan = complete.plan()
    assert set(plan.values()) == {
        *LAYERS,
        *JUDGED,
        *SHOWN,
        *("ordering_together@thin", "filters@thin", "gradient_layers@thin", "comparison_pets@thin"),
    }
    assert "results/thin/orderings/together/conv1.json" in plan
    complete.pretend()
    together["over"].append("grass")
    write(complete, shared)
    assert set(complete.plan().values()) == set(plan.values())


@pytest.mark.parametrize(
    ("change", "job"),
    [
        ({"slices": {"k": [3, 5, 6]}}, "layers@thin"),
        ({"orderings": {"natural": {}, "kmeans": {"k": 5}, "pca": {}}}, "layers@thin"),
        ({"gradients": {"orderings": ["kmeans"]}}, "gradient_layers@thin"),
        ({"attributions": ["loss"]}, "gradient_layers@thin"),
        ({"gradients": {"layers": ["conv1", "conv3"]}}, "gradient_layers@thin"),
    ],
)
def test_what_makes_a_job_write_more_runs_it(complete, change, job):
    """Snakemake knows nothing of the params of a job that has a file it did not have before."""
    write(complete, changed(slices={"k": [3, 5]}))
    complete.pretend()
    write(complete, changed(**{"slices": {"k": [3, 5]}} | change))
    assert job in complete.plan().values()


@pytest.mark.parametrize(
    "change",
    [{"orderings": {"natural": {}, "kmeans": {"k": 6}}}, {"volumes": {"binarise": "otsu"}}],
)
def test_another_k_or_threshold_runs_layers_and_what_shows_them(complete, change):
    write(complete, changed(**change))
    assert set(complete.plan().values()) == {*LAYERS, *JUDGED, *SHOWN}


def test_volumes_and_slices_of_some_layers_are_made_for_those_only(study):
    write(study, changed(volumes={"layers": ["conv2"]}, slices={"layers": ["conv1"], "rows": [4]}))
    plan = study.plan()
    volumes = [output for output in plan if output.endswith(".binary.vox")]
    assert {output.split("/")[-1] for output in volumes} == {"conv2.binary.vox"}
    viewers = [output for output in plan if "/viewer/conv" in output]
    assert viewers == ["results/thin/cat/viewer/conv2.html"]
    slices = {output for output in plan if "/slices/" in output}
    assert {output.split("/")[4] for output in slices} == {"conv1"}


def test_every_file_that_a_page_shows_is_made_by_a_job(study, monkeypatch):
    """A page waits for one file of each job only; all others must be outputs of the same jobs."""
    write(study, changed(attributions=["loss"], slices={"rows": [4]}, maximisation=MAXIMISATION))
    monkeypatch.chdir(study.folder)
    tables = load_config(yaml.safe_load(Path("config/config.yaml").read_text()))
    outputs = set(study.plan())
    for image, files in tables["pages"]["thin"].items():
        assert set(files["shown"]) <= outputs, image
        assert set(files["made"]) <= set(files["shown"])
    assert set(index_files(tables)["shown"]) <= outputs
    for files in ordering_files(tables).values():
        assert files["shown"] and {*files["shown"], *files["made"], files["blobs"]} <= outputs


def test_filters_and_neurons_are_maximised_by_a_job_for_each_layer(complete):
    write(complete, changed(maximisation=MAXIMISATION))
    plan = complete.plan()
    assert pop_index(plan)
    assert plan == {
        f"results/thin/maximisation/{layer}{suffix}": f"maximisation_{layer}@thin"
        for layer in ("conv1", "fc8")
        for suffix in (".json", ".npz", "/blur.png")
    }
    complete.pretend()
    write(complete, changed(maximisation=MAXIMISATION | {"neurons": [1, 2]}))
    assert set(complete.plan().values()) == {"maximisation_fc8@thin", "index"}
    complete.append("cnnvis/gradients/parametrisations.py", "\n")
    assert "maximisation_conv1@thin" in complete.plan().values()


def test_lesions_are_one_job_and_their_pages_another(complete):
    (complete.folder / "list.txt").write_text("a.png 3\nb.png 1\n")
    lesions = {"images": "list.txt", "layers": ["conv1", "fc6"]}
    write(complete, changed(lesions=lesions))
    plan = complete.plan()
    assert pop_index(plan)
    assert plan.pop("results/thin/index.html") == "network_page"
    rules = {"lesions": (".json", ".npz"), "lesion_pages": (".html", ".png")}
    assert plan == {
        f"results/thin/lesions/{layer}{suffix}": f"{rule}@thin"
        for rule, suffixes in rules.items()
        for layer in ("conv1", "fc6")
        for suffix in suffixes
    }
    complete.pretend()
    # A template is the pages' alone; another class of an image is another result.
    complete.append("cnnvis/pages/templates/lesions.css", "\n")
    rules = complete.plan().values()
    assert "lesion_pages@thin" in rules and "lesions@thin" not in rules
    complete.pretend()
    (complete.folder / "list.txt").write_text("a.png 3\nb.png 2\n")
    assert set(complete.plan().values()) == {"lesions@thin", "lesion_pages@thin", "index"}


def test_lesions_are_made(study):
    write(study, {**CONFIG, "lesions": {"images": "list.txt"}, "pruning": {"zero": "weights"}})
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(study.folder / f"{number}.png")
    (study.folder / "list.txt").write_text("0.png 3\n1.png 1\n")
    run = study.snakemake("--cores", "1", "results/thin/lesions/conv1.html")
    assert run.returncode == 0, run.stderr
    folder = study.folder / "results/thin/lesions"
    assert {path.name for path in folder.iterdir()} == {
        f"conv1{suffix}" for suffix in (".json", ".npz", ".html", ".png")
    }
    found = json.loads((folder / "conv1.json").read_text())
    assert (found["zero"], found["images"], len(found["filters"])) == ("weights", 2, 16)
    assert [each["cls"] for each in found["classes"] if each["images"]] == [1, 3]


SUMMED = {
    "images": {"cat": {"path": "skimage:cat"}},
    "orderings": {"natural": {}, "both": {"method": "pca", "over": "cats"}},
    "comparisons": {},
    "collections": {
        "cats": {"path": "images", "cls": 1},
        "dogs": {"path": "images/1*.png", "cls": 2, "neurons": [1]},
    },
    "class_importance": {"layers": ["conv1", "conv2"]},
    # An LRN follows conv1, so that no filter can go, and no time is measured.
    "pruning": {"layers": ["conv1"], "steps": [1, 4], "write": [0.25]},
    "lesions": {"layers": ["conv1", "conv2"]},
    "responses": {"layers": ["conv1", "conv5"]},
}


def sum_images(folder, **entries):
    """Run all that sums 20 and 10 images, in parts of 8; return how many jobs, and the files."""
    study = copy_study(folder)
    module = study.folder / "cnnvis/inputs/streaming.py"
    module.write_text(re.sub(r"^PART = \d+$", "PART = 8", module.read_text(), flags=re.MULTILINE))
    (study.folder / "images").mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(study.folder / f"images/{number:02}.png")
    (study.folder / "images/13.png").write_bytes(b"no picture")
    write(study, changed(**SUMMED, **entries))
    targets = ["classes/dogs/neurons/1.npz", "classes/cats/pruning/conv1.csv"]
    targets += ["classes/cats/pruned/conv1-0.25.json"]
    targets += [f"{folder}/conv1.json" for folder in ("orderings/both", "lesions", "responses")]
    targets = [f"results/thin/{target}" for target in targets]
    run = study.snakemake("--cores", "2", *targets)
    assert run.returncode == 0, run.stderr
    assert study.plan(*targets) == {}
    jobs = re.findall(r"^([\w@]+) +(\d+)$", run.stdout + run.stderr, re.MULTILINE)
    results = study.folder / "results/thin"
    paths = [path for path in results.rglob("*") if path.name != ".snakemake_timestamp"]
    assert not [path for path in paths if path.name.startswith(".")]
    files = {path.relative_to(results): path.read_bytes() for path in paths if path.is_file()}
    return {name: int(count) for name, count in jobs}, files


def test_results_are_the_same_to_the_bit_whichever_jobs_sum_the_images(tmp_path):
    jobs, files = sum_images(tmp_path / "whole")
    assert len(files) > 40 and not [name for name in jobs if "part" in name]
    # Cats have three parts, dogs two; of both together the two smallest are one job.
    divided, found = sum_images(tmp_path / "divided", images_per_job=8)
    assert {name: count for name, count in divided.items() if "part" in name} == {
        **dict.fromkeys(
            ("class_sums_part", "filter_effects_part", "part_of_ordering_both@thin"), 3
        ),
        **dict.fromkeys(("pruning_part", "pruned_networks_part"), 4),
        **dict.fromkeys(("lesions_part@thin", "responses_part@thin"), 4),
        "neuron_sums_part": 2,
    }
    assert found == files


def pruned(study, *shares, **entries):
    """Return a configuration that writes networks, with the images that it needs."""
    folder = study.folder / "pets"
    if not folder.exists():
        folder.mkdir()
        for number in range(2):
            Image.new("RGB", (40, 40), (200, 99 * number, 7)).save(folder / f"{number}.png")
    pruning = {"layers": ["conv3", "conv5"], "write": list(shares)}
    return changed(
        collections={"pets": {"path": "pets", "cls": 1, "networks": ["thin"]}},
        **{"pruning": pruning, **entries},
    )


def test_networks_are_written_by_a_job_for_each_layer_and_shown(complete):
    write(complete, pruned(complete))
    complete.pretend()
    assert complete.plan() == {}
    write(complete, pruned(complete, 0.1, 0.3))
    plan = complete.plan()
    pages = [f"results/thin/classes/{page}index.html" for page in ("", "pets/")]
    shown = dict.fromkeys(pages, "class_pages@thin")
    assert pop_index(plan)
    assert plan == shown | {
        f"results/thin/classes/pets/pruned/{layer}-{share}.{suffix}": "pruned_networks"
        for layer in ("conv3", "conv5")
        for share in (0.1, 0.3)
        for suffix in ("prototxt", "caffemodel", "json")
    }
    complete.pretend()
    complete.append("cnnvis/importance/surgery.py", "\n")
    assert set(complete.plan().values()) == {"pruned_networks", "class_pages@thin", "index"}


def test_a_network_that_was_written_is_a_network_like_any_other(study):
    folder = "results/thin/classes/pets/pruned"
    write(study, pruned(study, 0.25))
    run = study.snakemake("--cores", "1", f"{folder}/conv5-0.25.json")
    assert run.returncode == 0, run.stderr
    files = {"prototxt": f"{folder}/conv5-0.25.prototxt"}
    files["weights"] = f"{folder}/conv5-0.25.caffemodel"
    networks = {**CONFIG["networks"], "smaller": {**CONFIG["networks"]["thin"], **files}}
    write(study, pruned(study, 0.25, networks=networks, gradients={"layers": ["conv1", "conv5"]}))
    made = ["grids/natural/conv5.png", "volumes/natural/conv5.vox", "gradients/1.npz"]
    made = [f"results/smaller/cat/{name}" for name in made]
    run = study.snakemake("--cores", "1", *made)
    assert run.returncode == 0, run.stderr
    count = 16 - len(read_json(study.folder / folder / "conv5-0.25.json")["removed"])
    assert count < 16
    assert (study.folder / made[1]).stat().st_size == count * 6 * 6
    assert read_array(study.folder / made[2], "conv5").shape == (count, 12, 3, 3)


def test_figures_are_made_on_request_and_nothing_waits_for_them(complete):
    plan = complete.plan("figures")
    formats = ("png", "svg", "webp")
    figures = [f"cat/figures/conv{number}" for number in range(1, 6)]
    figures += ["cat/figures/gradient-1-conv1", "comparisons/pets/figures/conv1"]
    assert set(plan) >= {f"results/thin/{figure}.{end}" for figure in figures for end in formats}
    rules = {"volume_figures@thin", "gradient_figures@thin", "comparison_figures_pets@thin"}
    assert set(plan.values()) == rules


def test_filters_are_ordered_by_their_gradients_in_the_job_that_draws_them(complete):
    write(complete, changed(gradients={"orderings": ["kmeans"]}))
    assert set(complete.plan().values()) == {"gradient_layers@thin", *SHOWN}


def test_another_network_entry_leaves_the_first_as_it_is(complete):
    networks = {**CONFIG["networks"], "other": CONFIG["networks"]["thin"]}
    write(complete, changed(networks=networks))
    plan = complete.plan()
    assert pop_index(plan)
    # Orders of the first are compared with those of the other, whose layers have the same names.
    assert "results/thin/orderings/index.html" in plan
    assert all(output.startswith(("results/other/", "results/thin/orderings/")) for output in plan)


@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("activations/slices", {*LAYERS, *JUDGED, *SHOWN}),
        ("pages/orderings", {*JUDGED, "index"}),
        ("activations/filters", {"filters@thin", "tuning@thin", *SHOWN}),
        ("activations/gabor", {"tuning@thin", *SHOWN}),
        ("gradients/layers", {"gradient_layers@thin", *SHOWN}),
        ("gradients/animation", {"comparison_pets@thin", "index"}),
        ("pages/index", {"index"}),
        ("engines/field_boxes", {"image_page", "network_page", "index"}),
        (
            "pages/templates/index.html",
            {
                *(*LAYERS, *JUDGED, "gradient_layers@thin", "comparison_pets@thin"),
                *("network_page", "tuning@thin", "what_if@thin", *SHOWN),
            },
        ),
        ("engines/pycaffe", set()),
    ],
)
def test_code_that_changed_runs_again_what_used_it(complete, module, rules):
    path = f"cnnvis/{module}" if "." in module else f"cnnvis/{module}.py"
    complete.append(path, "\n")
    assert set(complete.plan().values()) == rules


def test_code_that_no_script_uses_runs_nothing(complete):
    complete.append("cnnvis/core/code_digest.py", "# a remark\n")
    complete.append("cnnvis/config/tables.py", "# a remark\n")
    assert complete.plan() == {}


def test_one_artefact_runs_only_its_ancestors(study):
    write(study, CONFIG)
    plan = study.snakemake("-n", "results/thin/cat/volumes/kmeans/conv1.vox")
    assert plan.returncode == 0
    jobs = dict(re.findall(r"^([\w@]+) +(\d+)$", plan.stdout + plan.stderr, re.MULTILINE))
    assert jobs == {"activations": "1", "layers@thin": "1", "total": "2"}


def test_the_lock_of_a_killed_run_does_not_stop_the_next(study):
    write(study, CONFIG)
    target = "results/thin/index.html"
    locks = study.folder / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text(f"{target}\n")
    run = study.snakemake("--cores", "1", target)
    assert run.returncode == 1 and "cannot be locked" in run.stderr  # nobody knows whose it is
    (locks.parent / NAME).write_text(HOST)
    run = study.snakemake("--cores", "1", target)
    assert run.returncode == 0, run.stderr
    assert "A run here was killed: its lock is removed." in run.stderr
    assert (study.folder / target).exists()


def test_one_artefact_alone_is_made(study):
    write(study, CONFIG)
    target = "results/thin/cat/volumes/kmeans/conv1.vox"
    run = study.snakemake("--cores", "1", target)
    assert run.returncode == 0, run.stderr
    assert (study.folder / target).stat().st_size == 16 * 27 * 27
    made = {path.name for path in (study.folder / "results").rglob("*") if path.is_file()}
    assert "index.html" not in made
    assert {"conv1.hd", "conv1.binary.nhdr", "blobs.npz", "prediction.json"} <= made


def test_an_image_that_cannot_be_read_is_one_line(study):
    (study.folder / "cat.png").write_bytes(b"no picture")
    write(study, images(cat={"path": "cat.png"}))
    run = study.snakemake("--cores", "1", "results/thin/cat/input.npy")
    assert run.returncode != 0
    assert "Traceback" not in run.stdout + run.stderr
    said = [line for line in run.stderr.splitlines() if line.startswith("cnnvis: ")]
    assert len(said) == 1
    assert "cat.png: cannot be read as an image" in said[0]
    assert not (study.folder / "results/thin/cat/input.npy").exists()


def test_a_config_of_ones_own_stands_alone(study):
    write(study, {key: CONFIG[key] for key in ("networks", "images")}, "own.yaml")
    outputs = study.plan("--configfile", "own.yaml")
    assert {output.split("/")[1] for output in outputs} == {"thin", "index.html", "methods.html"}
    assert not [output for output in outputs if "/comparisons/" in output]
    assert {output.split("/")[2] for output in outputs if "/thin/" in output} == {
        "cat",
        "moon",
        "grass",
        "filters",
        "index.html",
        "orderings",
        "tuning",
        "what-if.js",
    }


def test_a_value_on_the_command_line_changes_the_default_run(study):
    write(study, CONFIG)
    given = study.snakemake("-n", "--config", "engine=torch")
    assert given.returncode != 0
    assert errors(given) == ["config: engine: 'torch' is not allowed; expected numpy or pycaffe"]
    assert study.snakemake("-n", "--config", "engine=pycaffe").returncode == 0


def test_another_engine_runs_the_network_again(complete):
    rules = set(complete.plan("--config", "engine=pycaffe").values())
    assert {"activations", "gradients"} <= rules


def errors(run):
    return [line for line in run.stderr.splitlines() if line.startswith("config: ")]


@pytest.mark.parametrize("option", [(), ("--configfile", "config/config.yaml")])
def test_a_wrong_config_is_one_line_per_mistake_and_a_status(study, option):
    write(
        study,
        changed(
            images={"my cat": {"path": "x"}, "cat": {"path": "no.png", "classes": [99]}},
            slices={"rows": "15"},
            comparisons={},
        ),
    )
    run = study.snakemake("-n", *option)
    assert run.returncode == 1
    assert [line.split(";")[0] for line in errors(run)] == [
        "config: images: key 'my cat' cannot be used as a name in paths",
        "config: slices.rows: '15' is not allowed",
        "config: images.cat.path: file not found: no.png",
        "config: images.cat.classes: thin/caffenet_thin.prototxt: class 99 is outside score blob "
        "'fc8', which has 0 to 9",
    ]
    assert "Traceback" not in run.stderr
    assert "common.smk" not in run.stderr
    rest = [line for line in run.stderr.splitlines() if line and not line.startswith("config: ")]
    assert len(rest) <= 1  # Snakemake says which profile it uses


def test_a_key_that_stands_twice_is_told(study):
    write(study, CONFIG)
    study.append("config/config.yaml", "engine: numpy\nengine: pycaffe\n")
    run = study.snakemake("-n")
    assert run.returncode == 1
    assert len(errors(run)) == 1
    assert "duplicate key engine" in errors(run)[0]


@pytest.mark.parametrize("text", ["", "- 1\n", "a: [b\n"])
def test_a_config_that_is_none_is_no_traceback(study, text):
    (study.folder / "own.yaml").write_text(text)
    run = study.snakemake("-n", "--configfile", "own.yaml")
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "Config file" in run.stdout  # Snakemake's own words


def test_the_drawing_of_the_rules_names_those_of_the_default_run(study):
    (study.folder / "models").symlink_to(ROOT / "models")
    graph = study.snakemake("--rulegraph")
    assert graph.returncode == 0, graph.stderr
    rules = {
        name.removesuffix("@photonet") for name in re.findall(r'label = "(.*?)"', graph.stdout)
    }
    drawn = re.findall(r"<text[^>]*>(.*?)</text>", (ROOT / "docs/rules.svg").read_text())
    assert len(rules) > 20
    assert sorted(drawn) == sorted(rules), "make graph"


def test_the_workflow_is_also_where_its_catalogue_looks_for_it(study):
    write(study, CONFIG)
    plan = study.plan("--snakefile", "workflow/Snakefile")
    assert plan and plan == study.plan()


@pytest.mark.slow
def test_the_report_holds_figures_and_3d_pages_and_opens_offline(study, tmp_path):
    write(study, CONFIG)
    page = "results/thin/cat/index.html"
    assert study.snakemake("--cores", "2", page).returncode == 0
    report = study.snakemake(page, "--report", "report.zip")
    assert report.returncode == 0, report.stderr
    shutil.unpack_archive(study.folder / "report.zip", tmp_path / "report")
    (start,) = tmp_path.glob("report/**/report.html")
    text = start.read_text()
    for words in ("Feature maps", "What each filter of a layer gives for cat", "gradient viewer"):
        assert words in text
    results = {path.name for path in start.parent.rglob("*") if path.suffix in (".png", ".html")}
    assert {"conv1.png", "gradient-1-conv1.html"} <= results
    if find_browser() is None:
        pytest.skip("no browser found")
    with Browser(tmp_path / "profile", (*SOFTWARE_GL, NO_NETWORK)) as browser:
        session = browser.open(start.as_uri())
        browser.wait(session, "document.body?.innerText.includes('Feature maps')")
        assert not browser.errors


@pytest.mark.parametrize("order", ["images", "gradients", "collection"])
def test_groups_of_jobs_for_a_cluster_do_not_wait_for_each_other(study, order):
    over = {
        "images": {"method": "pca", "over": ["cat", "moon"]},
        "gradients": {"method": "pca", "by": "gradients", "neuron": 1, "over": ["cat", "moon"]},
        "collection": {"method": "pca", "over": "pets"},
    }
    orderings = {"natural": {}, "together": over[order]}
    write(study, pruned(study, 0.3, orderings=orderings, gradients={"orderings": ["together"]}))
    run = study.snakemake("all", "figures", "-n")
    assert run.returncode == 0, run.stderr
    # Where they do, a dry run says so: the index waits for pages of images, these for others.
    wrong = study.snakemake("-n", "--groups", "response_pages@thin=pages")
    assert "from outside the group" in wrong.stdout


@pytest.mark.parametrize(
    ("asked", "limit"), [((), "None"), (("--max-jobs-per-timespan", "9/1s"), "JobRateLimiter")]
)
def test_only_a_limit_of_jobs_a_second_that_was_asked_for_holds(study, asked, limit):
    write(study, CONFIG)
    study.append("Snakefile", "\nonsuccess:\n    print(workflow.scheduler.job_rate_limiter)\n")
    run = study.snakemake("--cores", "1", "results/thin/index.html", *asked)
    assert run.returncode == 0, run.stderr
    assert limit in run.stdout


def test_lint_is_clean(study):
    write(study, CONFIG)
    run = study.snakemake("--lint")
    assert run.returncode == 0, run.stderr


def test_the_snakefile_is_a_table_of_contents():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 50
    for stage in re.findall(r'include: "(.*)"', (ROOT / "Snakefile").read_text()):
        text = (ROOT / stage).read_text()
        docstring = text.split('"""')[1]
        assert "Input: " in docstring and "Output: " in docstring, stage
        for rule in re.split(r"^ *rule\b", text, flags=re.MULTILINE)[1:]:
            name = rule.split(":")[0]
            if "output:" not in rule:
                continue  # a target: nothing runs
            keys = ["message:", "log:", "conda:", "params:", "script:"]
            # Files of models/ are checked by their digests, whatever code fetched or decoded them.
            fetched = "fetch_file.py" in rule or "decode_weights.py" in rule
            keys = keys[:3] if fetched else [*keys, "code=code("]
            assert [key for key in keys if key not in rule] == [], (stage, name)
            assert "lambda" not in rule and "run:" not in rule


def test_the_default_config_is_right_and_small():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    shown = [name for name, image in config["images"].items() if "artefacts" not in image]
    assert "cat" in shown
    assert 4 <= len(shown) <= 6
