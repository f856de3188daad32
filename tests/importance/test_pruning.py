"""Error rates without filters, against full passes with changed weights."""

import csv
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnnvis.caffe.caffemodel import read_caffemodel, write_caffemodel
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.engines.base import Engine
from cnnvis.engines.model import Model
from cnnvis.importance.ablations import (
    THRESHOLDS,
    Ablation,
    plan_ablations,
    plan_study_sweep,
)
from cnnvis.importance.class_importance import make_class_sums
from cnnvis.importance.filter_criteria import MEASURED
from cnnvis.importance.filter_effects import EFFECTS, count_higher, make_filter_effects
from cnnvis.importance.pruning import (
    ErrorCounts,
    PruningFiles,
    PruningInputs,
    PruningSettings,
    make_pruning,
    read_selectivity,
)
from cnnvis.importance.pruning_table import sweep
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Checkpoint, Streams, stream
from tests.engines.goldens import GOLDENS
from tests.importance.test_class_importance import MODEL, PREPROCESSING, write_images
from tests.tiny_network import write_network

COLUMNS = "removal criterion removed filter seed threshold zero collection cls images"
COLUMNS += " error_top1 error_top5 probability"
OUTPUTS = ("p.csv", "p.json", "p.png", "p.svg", "c.csv", "c.json", "c.png")
SETTINGS = PruningSettings("conv1", steps=[1, 5, 16], random_seeds=2)


@pytest.fixture(scope="module")
def image_sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("collections")
    return [
        ImageSet("cats", str(write_images(root / "cats", 7, 0)), 4),
        ImageSet("dogs", str(write_images(root / "dogs", 3, 1)), 2, limit=2),
    ]


@pytest.fixture(scope="module")
def importance(image_sets, tmp_path_factory):
    return inputs_of(MODEL, image_sets[0], tmp_path_factory.mktemp("importance"), ["conv1", "fc6"])


def inputs_of(model, image_set, folder, layers, zero="weights_and_bias"):
    """Return `PruningInputs`, of which the effects are the first layer's."""
    inputs = PruningInputs(folder / "cats.npz", folder / "effects.npz")
    options = {"layers": layers, "criteria": layers}
    make_class_sums(Streams(model, PREPROCESSING, inputs.importance), image_set, **options)
    options = {"layer": layers[0], "zero": zero}
    make_filter_effects(Streams(model, PREPROCESSING, inputs.effects), image_set, **options)
    return inputs


def prune(importance, image_sets, folder, settings=SETTINGS, model=MODEL, **options):
    files = PruningFiles(*(folder / name for name in OUTPUTS))
    streams = Streams(model, PREPROCESSING, files.table, **{"chunk": 3} | options)
    make_pruning(streams, image_sets, importance, files, settings, title="Pruning")
    return files


@pytest.mark.parametrize("chunk", [2, 50])
def test_counts_are_those_of_images_one_by_one(image_sets, tmp_path, chunk):
    ablations = [Ablation("none", ()), Ablation("single", (1,)), Ablation("most", (0, 3, 5))]
    with MODEL.open() as network:
        errors = ErrorCounts(network, "fc8", image_sets[0], SETTINGS, ablations)
        checkpoint = Checkpoint(tmp_path / "c.npz", "")
        stream(image_sets[0], PREPROCESSING, errors, checkpoint, chunk=chunk)
        for ablation, row in zip(ablations, errors.rows(), strict=True):
            assert (row["images"], row["removed"]) == (7, len(ablation.filters))
            top1, top5, probability = 0, 0, 0.0
            for image in image_sets[0].images:
                batch = PREPROCESSING(image)[None]
                filters = [ablation.filters]
                scores = Engine.scores_without(network, batch, "conv1", filters, "fc8")[0, 0]
                place = np.argsort(-scores, kind="stable").tolist().index(4)
                top1, top5 = top1 + (place >= 1), top5 + (place >= 5)
                powers = np.exp(scores - scores.max(), dtype=np.float64)
                probability += powers[4] / powers.sum() / 7
            assert (row["error_top1"], row["error_top5"]) == (top1 / 7, top5 / 7)
            assert row["probability"] == pytest.approx(probability, rel=1e-4)


def test_of_equal_scores_the_lower_class_goes_first():
    scores = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0], [5.0, 1.0, 5.0]])
    assert count_higher(scores, 0).tolist() == [0, 2, 0]
    assert count_higher(scores, 1).tolist() == [1, 0, 2]
    assert count_higher(scores, 2).tolist() == [2, 1, 1]


def test_errors_by_hand(tmp_path):
    """The first neuron sums what the first filter sees; without it, every score is below 0."""
    prototxt, weights, _ = write_network(tmp_path)
    (tmp_path / "images").mkdir()
    for name, pixels in (("a", [[138, 128], [128, 128]]), ("b", [[118, 128], [128, 128]])):
        Image.fromarray(np.array(pixels, np.uint8)).save(tmp_path / "images" / f"{name}.png")
    images = ImageSet("images", tmp_path / "images", 1)
    ablations = [Ablation("none", ()), Ablation("single", (0,)), Ablation("single", (1,))]
    preprocessing = Preprocessing((1, 2, 2), [128.0])
    with Model(str(prototxt), str(weights), "fc8").open() as network:
        errors = ErrorCounts(network, "fc8", images, SETTINGS, ablations)
        stream(images, preprocessing, errors, Checkpoint(tmp_path / "c.npz", ""))
    # Image a scores (20, 0, -1), b (0, 10, -1). Without filter 0: (0, 0, -1) and (0, 10, -1);
    # without filter 1: (20, 0, -1) and (0, 0, -1), where class 0 goes first.
    assert [row["error_top1"] for row in errors.rows()] == [0.5, 0.5, 1]


def test_removals_are_nested_and_follow_the_importance():
    means = np.array([3.0, 1.0, 2.0, 10.0, 0.4])
    order = np.argsort(means)
    removals = plan_ablations(order, means, [1, 3], 2)
    by_kind = {}
    for removal in removals:
        by_kind.setdefault(removal.kind, []).append(removal.filters)
    assert by_kind["none"] == [()]
    assert by_kind["single"] == [(0,), (1,), (2,), (3,), (4,)]
    assert by_kind["least"] == [(4,), (1, 2, 4)]
    assert by_kind["most"] == [(3,), (0, 2, 3)]
    random = [removal for removal in removals if removal.kind == "random"]
    for seed in range(2):
        few, many = (set(removal.filters) for removal in random if removal.seed == seed)
        assert few < many and len(many) == 3
    assert random == [r for r in plan_ablations(order, means, [1, 3], 2) if r.kind == "random"]
    thresholds = {r.threshold: r.filters for r in removals if r.kind == "threshold"}
    assert set(thresholds) == set(THRESHOLDS)
    assert thresholds[0.05] == (4,) and thresholds[0.25] == (1, 2, 4) and thresholds[0.1] == (4,)


def test_the_study_sweeps_a_threshold_on_scores_from_0_to_1():
    sweep = plan_study_sweep(np.array([3.0, 1.0, 2.0, 11.0, 1.9]))  # Scores 0.2, 0, 0.1, 1, 0.09.
    filters = {removal.threshold: removal.filters for removal in sweep}
    assert len(sweep) == 101 and {removal.kind for removal in sweep} == {"study"}
    assert {removal.zero for removal in sweep} == {"weights"}
    assert filters[0.0] == () and filters[0.01] == filters[0.09] == (1,)
    assert filters[0.1] == (1, 4) and filters[0.11] == filters[0.2] == (1, 2, 4)
    # What scores 1, the largest, is never below.
    assert filters[0.21] == filters[1.0] == (0, 1, 2, 4)


def test_the_study_sets_weights_alone_to_zero_whatever_is_configured(tmp_path):
    """Without its weights, the first filter puts out its bias, 4, everywhere; without both, 0."""
    prototxt, weights, _ = write_network(tmp_path)
    parameters = read_caffemodel(weights)
    parameters["conv1"][1] = np.array([4, 0], np.float32)
    write_caffemodel(weights, parameters)
    (tmp_path / "images").mkdir()
    Image.fromarray(np.array([[118, 128], [128, 128]], np.uint8)).save(tmp_path / "images/a.png")
    images = ImageSet("images", tmp_path / "images", 0)
    study = Ablation("study", (0,), zero="weights")
    ablations = [Ablation("none", ()), Ablation("least", (0,)), study]
    preprocessing = Preprocessing((1, 2, 2), [128.0])
    with Model(str(prototxt), str(weights), "fc8").open() as network:
        errors = ErrorCounts(network, "fc8", images, PruningSettings("conv1"), ablations)
        stream(images, preprocessing, errors, Checkpoint(tmp_path / "c.npz", ""))
    # The image scores (12, 10, -1); without weights and bias (0, 10, -1), with bias (16, 10, -1).
    both = "weights_and_bias"
    found = [(row["zero"], row["error_top1"]) for row in errors.rows()]
    assert found == [(both, 0), (both, 1), ("weights", 0)]


@pytest.mark.parametrize("count", [1, 2, 96, 384])
def test_the_sweep_begins_with_one_filter_and_ends_with_all(count):
    means = np.arange(1.0, count + 1)
    removals = plan_ablations(np.arange(count), means, None, 0)
    sizes = [len(removal.filters) for removal in removals if removal.kind == "least"]
    assert sizes[0] == 1 and sizes[-1] == count and sizes == sorted(set(sizes))


def test_table_summary_and_pictures(importance, image_sets, tmp_path):
    table, summary, png, svg, *trial = prune(importance, image_sets, tmp_path)
    rows = list(csv.DictReader(table.open()))
    assert " ".join(rows[0]) == COLUMNS
    own = [row for row in rows if row["collection"] == "cats"]
    kinds = [row["removal"] for row in own]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        **{"none": 1, "single": 16, "least": 27, "most": 3, "random": 6},
        "threshold": len(THRESHOLDS),
    }
    assert {row["images"] for row in own} == {"7"}
    others = [row for row in rows if row["collection"] == "dogs"]
    assert {row["images"] for row in others} == {"2"}
    kinds = [row["removal"] for row in others]
    assert kinds.count("single") == 2 and kinds.count("most") == 3 and "random" not in kinds
    # All filters gone, it does not matter in which order they went.
    gone = {row["probability"] for row in own if row["removed"] == "16"}
    assert len(gone) == 1
    found = read_json(summary)
    means = np.load(importance.importance)["conv1/mean"]
    assert found["table"]["least"]["filter"] == means.argmin()
    assert found["table"]["most"]["filter"] == means.argmax()
    alone = next(row for row in own if row["filter"] == str(means.argmax()))
    assert found["table"]["most"]["error_top1"] == pytest.approx(float(alone["error_top1"]))
    assert set(found["others"]["dogs"]) == {"before", "least", "most"}
    assert "Of 7 images of cats" in found["sentence"]
    with Image.open(png) as picture:
        assert picture.info["Description"].startswith(found["sentence"])
    names = {*MEASURED, "weight_l1", "weight_l2", "oracle"} - {"gradient_norm"}
    assert {row["criterion"] for row in own if row["removal"] == "least"} == {"", *names}
    assert [list(csv.DictReader(trial[0].open()))[5]["filter"]] == ["5"]
    assert read_json(trial[1])["filters"] == 16
    with Image.open(trial[2]) as picture:
        assert picture.info["Description"].startswith(read_json(trial[1])["sentence"])
    assert "Each filter removed alone" in "".join(ElementTree.parse(svg).getroot().itertext())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(OUTPUTS)


def test_the_study_sweep_is_of_the_class_alone_and_runs_each_set_once(
    importance, image_sets, tmp_path, monkeypatch
):
    with MODEL.open() as network:
        kind = type(network)
    asked, original = [], kind.scores_without

    def scores_without(network, batch, layer, sets, blob, keep_bias):
        asked.append((len(batch), keep_bias, sets))
        return original(network, batch, layer, sets, blob, keep_bias)

    monkeypatch.setattr(kind, "scores_without", scores_without)
    settings = replace(SETTINGS, study_sweep=True)
    files = prune(importance, image_sets, tmp_path, settings, chunk=50)
    (_, _, study), *_ = [call for call in asked if call[1]]
    assert [call[0] for call in asked] == [7, 7, 2] and len(set(study)) == len(study) <= 17
    rows = [row for row in csv.DictReader(files.table.open()) if row["removal"] == "study"]
    assert [row["threshold"] for row in rows[:3]] == ["0", "0.01", "0.02"] and len(rows) == 101
    assert {(row["collection"], row["zero"]) for row in rows} == {("cats", "weights")}
    assert rows[-1]["removed"] == "15"
    errors = read_json(files.summary)["study_sweep"]
    assert errors == pytest.approx([float(row["error_top1"]) for row in rows])
    text = "".join(ElementTree.parse(files.vector_picture).getroot().itertext())
    assert "The study's sweep" in text
    with Image.open(files.picture) as picture:
        assert "steps of 0.01" in picture.info["Description"]


def test_pictures_and_tables_are_the_same_for_the_same_numbers(importance, image_sets, tmp_path):
    first = prune(importance, image_sets, tmp_path / "1", chunk=2)
    second = prune(importance, image_sets, tmp_path / "2", chunk=2)
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupted_run_is_resumed_with_other_threads_and_ends_the_same(
    importance, image_sets, tmp_path, monkeypatch, threads
):
    batches, original = [], ErrorCounts.add

    def add(errors, inputs):
        batches.append(len(inputs.images))
        if len(batches) == 3:
            raise KeyboardInterrupt
        original(errors, inputs)

    whole = prune(importance, image_sets, tmp_path / "whole", threads=1)
    monkeypatch.setattr(ErrorCounts, "add", add)
    with pytest.raises(KeyboardInterrupt):
        prune(importance, image_sets, tmp_path / "again", threads=1)
    assert not (tmp_path / "again" / "p.csv").exists()
    again = prune(importance, image_sets, tmp_path / "again", threads=threads)
    # Two chunks of cats were done; the third of one image and the two dogs were not.
    assert batches == [3, 3, 1, 1, 2]
    if threads == 1:
        for one, other in zip(whole, again, strict=True):
            assert one.read_bytes() == other.read_bytes()
    # On some processors, BLAS rounds a matrix that its threads share otherwise.
    rows, others = (list(csv.reader(files.table.open())) for files in (whole, again))
    for one, other in zip(rows, others, strict=True):
        for value, twin in zip(one, other, strict=True):
            assert value == twin or float(value) == pytest.approx(float(twin), rel=1e-4)
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(OUTPUTS)


def test_images_of_several_classes_count_each_for_its_own(importance, image_sets, tmp_path):
    cats = image_sets[0].images
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{image} {place % 3}\n" for place, image in enumerate(cats)))
    several = ImageSet("several", str(listing), None)
    alone = [ImageSet("one", image, place % 3) for place, image in enumerate(cats)]
    found = []
    for image_set in (several, *alone):
        with MODEL.open() as network:
            errors = ErrorCounts(network, "fc8", image_set, SETTINGS, [Ablation("least", (2, 3))])
            stream(image_set, PREPROCESSING, errors, Checkpoint(tmp_path / "c.npz", ""))
            (tmp_path / "c.npz").unlink()
            row = errors.rows()[0]
            found.append([row[key] for key in ("error_top1", "error_top5", "probability")])
    np.testing.assert_allclose(found[0], np.mean(found[1:], axis=0), rtol=1e-4, atol=1e-7)
    assert len({tuple(each) for each in found[1:]}) > 1


def test_the_order_of_another_criterion(importance, image_sets, tmp_path):
    settings = replace(SETTINGS, criterion="weight_l1")
    files = prune(importance, image_sets, tmp_path, settings)
    norms = np.abs(MODEL.open().params["conv1"][0]).sum(axis=(1, 2, 3))
    found = read_json(files.summary)
    assert found["criterion"] == "weight_l1"
    assert found["table"]["least"]["filter"] == norms.argmin()
    assert found["table"]["most"]["filter"] == norms.argmax()


@pytest.mark.parametrize("value", [0, 7])
def test_filters_that_are_all_equally_important_are_said_to_be(
    importance, image_sets, tmp_path, value
):
    """A neuron that is dead on its images does not stop a run."""
    sums = dict(np.load(importance.importance))
    # Some replicate may have drawn no image: its sums are zero.
    sums["conv1/criteria"][:, MEASURED.index("gradient_norm")] = value * sums["groups"][:, None]
    np.savez(tmp_path / "equal.npz", **sums)
    files = prune(importance._replace(importance=tmp_path / "equal.npz"), image_sets, tmp_path)
    found = read_json(files.summary)
    assert found["sentence"].startswith("All filters of conv1 are equally important to cats, so")
    assert found["table"]["least"]["filter"] == 0 and found["table"]["most"]["filter"] == 15
    assert "no value" in read_json(files.trial)["sentence"]


def test_single_filters_are_those_of_the_effects(importance, image_sets, tmp_path):
    """They are not computed again: what the effects say stands in the table."""
    effects = dict(np.load(importance.effects))
    effects["effects"][0, EFFECTS.index("error_top5"), 1:] = np.arange(16)
    np.savez(tmp_path / "other.npz", **effects)
    files = prune(importance._replace(effects=tmp_path / "other.npz"), image_sets, tmp_path)
    rows = [row for row in csv.DictReader(files.table.open()) if row["removal"] == "single"]
    own = [float(row["error_top5"]) * 7 for row in rows if row["collection"] == "cats"]
    np.testing.assert_allclose(own, np.arange(16), rtol=1e-5)


def test_a_checkpoint_of_other_removals_is_not_used(importance, image_sets, tmp_path):
    settings = replace(SETTINGS, steps=[2])
    whole = prune(importance, image_sets, tmp_path / "whole", settings)
    with MODEL.open() as network:
        errors = ErrorCounts(network, "fc8", image_sets[0], settings, [Ablation("none", ())])
        checkpoint = Checkpoint(tmp_path / "other" / ".p.csv.partial.cats.0000.npz", "another")
        stream(image_sets[0], PREPROCESSING, errors, checkpoint)
    other = prune(importance, image_sets, tmp_path / "other", settings)
    assert whole.table.read_bytes() == other.table.read_bytes()


def test_a_layer_of_an_inner_product_has_filters_too(importance, image_sets, tmp_path):
    settings = PruningSettings("fc6", "weights", steps=[3], random_seeds=0)
    inputs = inputs_of(MODEL, image_sets[0], tmp_path, ["fc6"], "weights")
    files = prune(inputs, image_sets, tmp_path, settings)
    rows = list(csv.DictReader(files.table.open()))
    single = [row for row in rows if row["removal"] == "single" and row["collection"] == "cats"]
    assert len(single) == MODEL.info.filters["fc6"]
    # Without random orders, that of the criterion that says nothing is compared with.
    assert read_json(files.trial)["criteria"]["random"]["areas"]["probability"]["relative"] == 1


def test_responses_of_a_single_class_tell_it_from_nothing(tmp_path):
    areas = np.array([[0.2, 0.8], [0.6, 0.4]])
    write_arrays(tmp_path / "two.npz", {"class": np.array([3, 4]), "area": areas})
    assert read_selectivity(tmp_path / "two.npz", 4).tolist() == [0.8, 0.4]
    assert read_selectivity(tmp_path / "two.npz", 5) is None
    arrays = {"class": np.array([4]), "area": np.full((2, 1), np.nan)}
    write_arrays(tmp_path / "one.npz", arrays)
    assert read_selectivity(tmp_path / "one.npz", 4) is None


def test_a_sweep_has_one_value_per_seed():
    rows = [
        {"removal": "random", "criterion": None, "removed": 2, "error_top1": 0.5},
        {"removal": "least", "criterion": None, "removed": 2, "error_top1": 0.1},
        {"removal": "least", "criterion": "taylor", "removed": 2, "error_top1": 0.3},
        {"removal": "random", "criterion": None, "removed": 1, "error_top1": 0.2},
        {"removal": "random", "criterion": None, "removed": 2, "error_top1": 0.7},
    ]
    assert sweep(rows, "least", "error_top1") == {2: [0.1]}
    assert sweep(rows, "least", "error_top1", "taylor") == {2: [0.3]}
    assert list(sweep(rows, "random", "error_top1").items()) == [(1, [0.2]), (2, [0.5, 0.7])]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (replace(SETTINGS, layer="pool1"), "layer 'pool1' has no weights"),
        (replace(SETTINGS, layer="conv2"), "no sum 'conv2/criteria'"),
        (replace(SETTINGS, criterion="selectivity"), "pruning.criterion: there is no selectivity"),
    ],
)
def test_mistakes_are_reported_in_one_line(importance, image_sets, tmp_path, settings, words):
    with pytest.raises(UserError, match=words) as error:
        prune(importance, image_sets, tmp_path, settings)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("p.*"))


@pytest.mark.parametrize(
    ("image_set", "words"),
    [
        (ImageSet("cats", "/nowhere", 4), "/nowhere: there is no such folder"),
        (ImageSet("cats", ".", 10), "class 10 is outside score blob"),
    ],
)
def test_image_sets_that_cannot_be_used(importance, tmp_path, image_set, words):
    with pytest.raises(UserError, match=words):
        prune(importance, [image_set], tmp_path)


@pytest.mark.parametrize(("golden", "layer"), [("normalise_merge", "bn"), ("conv_zoo", "deconv")])
def test_layers_without_filters_cannot_be_pruned(importance, tmp_path, golden, layer):
    """A Deconvolution has no filters on the first axis of its weights."""
    prototxt = GOLDENS / f"{golden}.prototxt"
    model = Model(str(prototxt), str(prototxt.with_suffix(".caffemodel")), "data")
    with pytest.raises(UserError, match=f"layer '{layer}' has no filters that can be pruned"):
        prune(importance, [], tmp_path, PruningSettings(layer), model)
