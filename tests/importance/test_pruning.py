"""Error rates without filters, against full passes with changed weights."""

import csv
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.engines.base import Engine
from cnnvis.engines.inspection import inspect
from cnnvis.importance.ablations import THRESHOLDS, Ablation, plan_ablations
from cnnvis.importance.class_importance import make_class_sums
from cnnvis.importance.pruning import COLUMNS, count_errors, count_higher, make_pruning, sweep
from cnnvis.inputs.image_sets import list_images, prepare_for
from tests.engines.goldens import GOLDENS
from tests.importance.test_class_importance import MEAN, THIN, write_images
from tests.tiny_network import write_network

WEIGHTS = THIN.with_suffix(".caffemodel")
OUTPUTS = ("p.csv", "p.json", "p.png", "p.svg")


@pytest.fixture
def thin():
    with cnnvis.open_network(THIN, WEIGHTS) as network:
        yield network


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    root = tmp_path_factory.mktemp("collections")
    return {
        "cats": {"path": str(write_images(root / "cats", 7, 0)), "cls": 4},
        "dogs": {"path": str(write_images(root / "dogs", 3, 1)), "cls": 2, "limit": 2},
    }


@pytest.fixture(scope="module")
def importance(collections):
    from pathlib import Path

    output = Path(collections["cats"]["path"]).parent / "cats.npz"
    make_class_sums(
        THIN,
        WEIGHTS,
        output,
        name="cats",
        path=collections["cats"]["path"],
        cls=4,
        layers=["conv1", "fc6"],
        score="fc8",
        engine="numpy",
        mean=MEAN,
    )
    return output


def prune(importance, collections, folder, **options):
    outputs = [folder / name for name in OUTPUTS]
    given = {
        "collection": "cats",
        "collections": collections,
        "layer": "conv1",
        "steps": [1, 5, 16],
        "seeds": 2,
        "score": "fc8",
        "engine": "numpy",
        "mean": MEAN,
        "chunk": 3,
        "title": "Pruning",
    } | options
    make_pruning(THIN, WEIGHTS, importance, *outputs, **given)
    return outputs


@pytest.mark.parametrize("chunk", [2, 50])
def test_counts_are_those_of_images_one_by_one(thin, collections, tmp_path, chunk):
    images = list_images(collections["cats"]["path"])
    prepare = prepare_for(inspect(THIN), mean=MEAN)
    removals = [Ablation("none", ()), Ablation("single", (1,)), Ablation("most", (0, 3, 5))]
    found = count_errors(
        thin,
        images,
        prepare,
        removals,
        cls=4,
        layer="conv1",
        score="fc8",
        chunk=chunk,
        checkpoint=tmp_path / "c.npz",
        key="",
    )
    assert found["images"] == 7
    for removal in removals:
        top1, top5, probability = 0, 0, 0.0
        for image in images:
            batch = prepare(image)[None]
            scores = Engine.scores_without(thin, batch, "conv1", [removal.filters], "fc8")[0, 0]
            place = np.argsort(-scores, kind="stable").tolist().index(4)
            top1, top5 = top1 + (place >= 1), top5 + (place >= 5)
            powers = np.exp(scores - scores.max(), dtype=np.float64)
            probability += powers[4] / powers.sum() / 7
        assert found["counts"][removal.filters][:2] == (top1, top5)
        assert found["counts"][removal.filters][2] == pytest.approx(probability, rel=1e-4)


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
    with cnnvis.open_network(prototxt, weights) as network:
        found = count_errors(
            network,
            list_images(tmp_path / "images"),
            prepare_for(inspect(prototxt), mean=[128.0]),
            [Ablation("none", ()), Ablation("single", (0,)), Ablation("single", (1,))],
            cls=1,
            layer="conv1",
            score="fc8",
            checkpoint=tmp_path / "c.npz",
            key="",
        )
    # Image a scores (20, 0, -1), b (0, 10, -1). Without filter 0: (0, 0, -1) and (0, 10, -1);
    # without filter 1: (20, 0, -1) and (0, 0, -1), where class 0 goes first.
    errors = {filters: counts[0] for filters, counts in found["counts"].items()}
    assert errors == {(): 1, (0,): 1, (1,): 2}


def test_removals_are_nested_and_follow_the_importance():
    means = np.array([3.0, 1.0, 2.0, 10.0, 0.4])
    order = np.argsort(means)
    removals = plan_ablations(order, means, [1, 3], 2, "conv1")
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
    assert random == [
        r for r in plan_ablations(order, means, [1, 3], 2, "conv1") if r.kind == "random"
    ]
    thresholds = {r.threshold: r.filters for r in removals if r.kind == "threshold"}
    assert set(thresholds) == set(THRESHOLDS)
    assert thresholds[0.05] == (4,) and thresholds[0.25] == (1, 2, 4) and thresholds[0.1] == (4,)


@pytest.mark.parametrize("count", [1, 2, 96, 384])
def test_the_sweep_begins_with_one_filter_and_ends_with_all(count):
    means = np.arange(1.0, count + 1)
    removals = plan_ablations(np.arange(count), means, None, 0, "c")
    sizes = [len(removal.filters) for removal in removals if removal.kind == "least"]
    assert sizes[0] == 1 and sizes[-1] == count and sizes == sorted(set(sizes))


def test_table_summary_and_pictures(importance, collections, tmp_path):
    table, summary, png, svg = prune(importance, collections, tmp_path)
    rows = list(csv.DictReader(table.open()))
    assert tuple(rows[0]) == COLUMNS
    own = [row for row in rows if row["collection"] == "cats"]
    kinds = [row["removal"] for row in own]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        **{"none": 1, "single": 16, "least": 3, "most": 3, "random": 6},
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
    means = np.load(importance)["conv1/mean"]
    assert found["table"]["least"]["filter"] == means.argmin()
    assert found["table"]["most"]["filter"] == means.argmax()
    alone = next(row for row in own if row["filter"] == str(means.argmax()))
    assert found["table"]["most"]["error_top1"] == pytest.approx(float(alone["error_top1"]))
    assert set(found["others"]["dogs"]) == {"before", "least", "most"}
    assert "Of 7 images of cats" in found["sentence"]
    with Image.open(png) as picture:
        assert picture.info["Description"].startswith(found["sentence"])
    assert "Each filter alone removed" in "".join(ElementTree.parse(svg).getroot().itertext())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(OUTPUTS)


def test_pictures_and_tables_are_the_same_for_the_same_numbers(importance, collections, tmp_path):
    first = prune(importance, collections, tmp_path / "1", chunk=2)
    second = prune(importance, collections, tmp_path / "2", chunk=2)
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_an_interrupted_run_goes_on_and_ends_the_same(
    importance, collections, tmp_path, monkeypatch
):
    from cnnvis.engines.numpy import changes

    whole = prune(importance, collections, tmp_path / "whole")
    original, batches = changes.Base.__init__, []

    def count(base, network, batch, *rest):
        batches.append(len(batch))
        if len(batches) == 3:
            raise KeyboardInterrupt
        original(base, network, batch, *rest)

    monkeypatch.setattr(changes.Base, "__init__", count)
    with pytest.raises(KeyboardInterrupt):
        prune(importance, collections, tmp_path / "again")
    assert not (tmp_path / "again" / "p.csv").exists()
    again = prune(importance, collections, tmp_path / "again")
    # Two chunks of cats were done; the third of one image and the two dogs were not.
    assert batches == [3, 3, 1, 1, 2]
    for one, other in zip(whole, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(OUTPUTS)


def test_a_checkpoint_of_other_removals_is_not_used(importance, collections, tmp_path):
    whole = prune(importance, collections, tmp_path / "whole", steps=[2])
    checkpoint = tmp_path / "other" / ".p.csv.cats.partial.npz"
    images = list_images(collections["cats"]["path"])
    with cnnvis.open_network(THIN, WEIGHTS) as network:
        count_errors(
            network,
            images,
            prepare_for(inspect(THIN), mean=MEAN),
            [Ablation("none", ())],
            cls=4,
            layer="conv1",
            score="fc8",
            checkpoint=checkpoint,
            key="another",
        )
    other = prune(importance, collections, tmp_path / "other", steps=[2])
    assert whole[0].read_bytes() == other[0].read_bytes()


def test_a_layer_of_an_inner_product_has_filters_too(importance, collections, tmp_path):
    table, *_ = prune(importance, collections, tmp_path, layer="fc6", steps=[3], zero="weights")
    rows = list(csv.DictReader(table.open()))
    single = [row for row in rows if row["removal"] == "single" and row["collection"] == "cats"]
    assert len(single) == inspect(THIN).layers_with_weights["fc6"][0]


def test_a_sweep_has_one_value_per_seed():
    rows = [
        {"removal": "random", "removed": 2, "error_top1": 0.5},
        {"removal": "least", "removed": 2, "error_top1": 0.1},
        {"removal": "random", "removed": 1, "error_top1": 0.2},
        {"removal": "random", "removed": 2, "error_top1": 0.7},
    ]
    assert list(sweep(rows, "random", "error_top1").items()) == [(1, [0.2]), (2, [0.5, 0.7])]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": "pool1"}, "layer 'pool1' has no weights"),
        ({"layer": "conv2"}, "no importance 'conv2/mean'"),
        ({"steps": [17]}, "17 filters cannot be removed from layer 'conv1', which has 16"),
        ({"zero": "bias"}, "zero 'bias' is not known, expected weights_and_bias or weights"),
        ({"collections": {"cats": {"path": "/nowhere", "cls": 4}}}, "/nowhere: there is no such"),
        ({"collections": {"cats": {"path": ".", "cls": 10}}}, "class 10 is outside score blob"),
    ],
)
def test_mistakes_are_said_in_one_line(importance, collections, tmp_path, options, words):
    options = dict(options)
    with pytest.raises(UserError, match=words) as error:
        prune(importance, options.pop("collections", collections), tmp_path, **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("p.*"))


def test_layers_without_filters_cannot_be_pruned(importance, collections, tmp_path):
    outputs = [tmp_path / name for name in OUTPUTS]
    golden = GOLDENS / "normalise_merge.prototxt"
    layers = inspect(golden).layers_with_weights
    other = next(layer for layer, shape in layers.items() if len(shape) == 1)
    with pytest.raises(UserError, match=f"layer '{other}' is of type .* expected one with filters"):
        make_pruning(
            golden,
            golden.with_suffix(".caffemodel"),
            importance,
            *outputs,
            collection="cats",
            collections=collections,
            layer=other,
            score=list(inspect(golden).blobs)[-1],
            engine="numpy",
            mean=MEAN,
            title="",
        )
