"""Networks that are written without filters: what is in the files, and what the reports say."""

import doctest
from dataclasses import replace

import numpy as np
import pytest

from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.engines.model import Model
from cnnvis.importance import pruned_networks, timings
from cnnvis.importance.ablations import Ablation
from cnnvis.importance.class_importance import ClassImportance, make_class_sums
from cnnvis.importance.pruned_networks import (
    PrunedFiles,
    PrunedSettings,
    make_pruned_networks,
    sentence,
)
from cnnvis.importance.pruning import ErrorCounts, PruningSettings
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Checkpoint, Streams, stream
from tests.engines.goldens import GOLDENS, difference
from tests.importance.test_class_importance import MODEL, PREPROCESSING, write_images

SETTINGS = PrunedSettings("conv5", [0.1, 0.5])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Measure times as seldom as possible: no test is about them."""
    monkeypatch.setattr(timings, "ENOUGH", 0)


@pytest.fixture(scope="module")
def image_sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("collections")
    return [
        ImageSet("cats", str(write_images(root / "cats", 5, 0)), 4),
        ImageSet("dogs", str(write_images(root / "dogs", 3, 1)), 2, limit=2),
    ]


@pytest.fixture(scope="module")
def importance(image_sets, tmp_path_factory):
    output = tmp_path_factory.mktemp("importance") / "cats.npz"
    return sums(MODEL, image_sets[0], output, ["conv1", "conv5", "fc6"])


def sums(model, image_set, output, layers):
    options = {"layers": layers, "criteria": layers}
    make_class_sums(Streams(model, PREPROCESSING, output), image_set, **options)
    return output


def make(importance, image_sets, folder, settings=SETTINGS, model=MODEL, **options):
    names = [f"{settings.layer}-{share}" for share in settings.shares]
    suffixes = ("prototxt", "caffemodel", "json")
    files = [PrunedFiles(*(folder / f"{name}.{end}" for end in suffixes)) for name in names]
    streams = Streams(model, PREPROCESSING, files[0].network, **options)
    make_pruned_networks(streams, image_sets, importance, None, files, settings)
    return files


def ordered(importance, layer):
    return np.argsort(ClassImportance.read(importance, layer).mean, kind="stable")


def smaller_model(files, model=MODEL):
    return replace(model, prototxt=str(files.network), weights=str(files.weights))


@pytest.mark.parametrize("zero", ["weights_and_bias", "weights"])
def test_a_written_network_is_the_one_that_pruning_measured(importance, image_sets, tmp_path, zero):
    settings = replace(SETTINGS, zero=zero)
    order = ordered(importance, "conv5")
    for files, count in zip(make(importance, image_sets, tmp_path, settings), (2, 8), strict=True):
        report = read_json(files.report)
        least = [int(each) for each in order[:count]]
        stay = [each for entry in report["stay"] for each in entry["filters"]]
        assert sorted(report["removed"] + stay) == sorted(least)
        ablations = [Ablation("none", ()), Ablation("least", tuple(sorted(least)))]
        with MODEL.open() as network, smaller_model(files).open() as smaller:
            batch = np.stack([PREPROCESSING(image) for image in image_sets[0].images])
            expected = network.scores_without(batch, "conv5", [least], "fc8", zero == "weights")
            found = smaller.forward(batch, ["fc8"])["fc8"]
            assert difference(found, expected[0]) <= 1e-6
            for image_set in image_sets:
                pruning = PruningSettings("conv5", zero)
                counts = ErrorCounts(network, "fc8", image_set, pruning, ablations)
                stream(image_set, PREPROCESSING, counts, Checkpoint(tmp_path / "c.npz", ""))
                (tmp_path / "c.npz").unlink()
                rows = zip(("before", "after"), counts.rows(), strict=True)
                for when, row in rows:
                    errors = report["errors"][image_set.name][when]
                    assert errors["images"] == row["images"] and errors["cls"] == image_set.cls
                    for key in ("error_top1", "error_top5"):
                        assert errors[key] == pytest.approx(row[key], rel=1e-5)
                    assert errors["probability"] == pytest.approx(row["probability"], rel=1e-4)
        assert report["agreement"]["largest_difference"] <= 1e-6
        assert report["agreement"]["images"] == 7


def test_sizes_are_those_of_the_files(importance, image_sets, tmp_path):
    files = make(importance, image_sets, tmp_path, replace(SETTINGS, layer="fc6"))
    report = read_json(files[1].report)
    assert report["removed"] == sorted(int(each) for each in ordered(importance, "fc6")[:16])
    sizes, layers = report["sizes"], report["layers"]
    for when, model in (("before", MODEL), ("after", smaller_model(files[1]))):
        weights = read_caffemodel(model.weights)
        count = sum(array.size for arrays in weights.values() for array in arrays)
        assert sizes["parameters"][when] == count
        # Kernel, channels (of a group), filters, positions.
        assert layers["conv1"][when]["multiply_adds"] == 11 * 11 * 3 * 16 * 27 * 27
        assert layers["conv2"][when]["multiply_adds"] == 5 * 5 * 8 * 24 * 13 * 13
        assert layers["fc7"][when]["multiply_adds"] == 32 * layers["fc6"][when]["shape"][0]
        for layer, arrays in weights.items():
            assert layers[layer][when]["shape"] == list(arrays[0].shape)
            assert layers[layer][when]["parameters"] == sum(array.size for array in arrays)
    assert sizes["bytes"]["after"] == files[1].weights.stat().st_size < sizes["bytes"]["before"]
    changed = [layer for layer, cost in layers.items() if cost["before"] != cost["after"]]
    assert changed == ["fc6", "fc7"] == list(report["milliseconds"]["layers"])
    saved = sizes["parameters"]["before"] - sizes["parameters"]["after"]
    assert saved == 16 * (layers["fc6"]["before"]["shape"][1] + 1) + 16 * 32
    text = report["sentence"]
    assert text.startswith("Without 16 of the 32 filters of fc6 (the 16 least important to cats), ")
    assert f"{100 * saved / sizes['parameters']['before']:.3g} % fewer parameters" in text
    assert list(report["milliseconds"]["batches"]) == ["1", "8"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for each in files for path in each
    )


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        ([0.7, 0.8, 0.9], "takes 4 ms for an image instead of 5 ms on the machine that wrote this"),
        ([0.7, 0.8, 1.1], "takes as long for an image, 4 ms, on the machine that wrote this"),
    ],
)
def test_a_difference_of_time_is_said_where_most_rounds_have_it(ratio, words):
    report = {
        **{"layer": "conv1", "collection": "cats", "zero": "weights", "criterion": "gradient_norm"},
        **{"filters": 9, "removed": [2], "stay": [{"reason": "why", "filters": [3, 4]}]},
        "sizes": dict.fromkeys(("parameters", "multiply_adds"), {"before": 4, "after": 3}),
        "milliseconds": {"batches": {"1": {"before": 5.0, "after": 4.0, "ratio": ratio}}},
        "errors": {
            "cats": {
                "before": {"error_top1": 0.25, "images": 8},
                "after": {"error_top1": 0.375, "images": 8},
            }
        },
    }
    assert sentence(report) == (
        "Without 1 of the 9 filters of conv1, and with the weights of 2 more at zero (the 3 least "
        "important to cats), the network has 25 % fewer parameters and 25 % fewer multiply-adds, "
        f"and {words}; of 8 images of cats, 3 are classified wrongly, instead of 2."
    )


def test_what_cannot_be_removed_is_said(importance, image_sets, tmp_path):
    settings = PrunedSettings("conv1", [0.5], "weights")
    (files,) = make(importance, image_sets, tmp_path, settings)
    report = read_json(files.report)
    ((reason, filters),) = [(each["reason"], each["filters"]) for each in report["stay"]]
    assert len(filters) == 8 and report["removed"] == [] and report["milliseconds"] is None
    assert report["sentence"].startswith(
        "None of the 8 filters of conv1 (of 16) that are least important to cats can be removed: "
        "layer 'norm1' (LRN) mixes neighbouring channels, whose windows would move. With their "
        "weights at zero the network is as large as before; of 5 images of cats, "
    )
    weights = read_caffemodel(files.weights)["conv1"]
    assert not weights[0][filters].any() and weights[1][filters].any()


def test_a_written_network_is_written_again_smaller(importance, image_sets, tmp_path):
    (files,) = make(importance, image_sets, tmp_path, PrunedSettings("fc6", [0.5]))
    model = smaller_model(files)
    output = sums(model, image_sets[0], tmp_path / "again.npz", ["fc6"])
    settings = PrunedSettings("fc6", [0.25])
    (again,) = make(output, image_sets, tmp_path, settings, model)
    assert Model(str(again.network), str(again.weights), "fc8").info.filters["fc6"] == 12
    # The names of layers and blobs are those of the network from which it comes.
    assert list(model.info.blobs) == list(MODEL.info.blobs)
    assert model.info.input_shape == MODEL.info.input_shape


def test_an_interrupted_run_is_resumed(importance, image_sets, tmp_path, monkeypatch):
    batches, original = [], ErrorCounts.add

    def add(errors, chunk):
        batches.append(len(chunk.images))
        if len(batches) == 4:
            raise KeyboardInterrupt
        original(errors, chunk)

    monkeypatch.setattr(ErrorCounts, "add", add)
    settings = replace(SETTINGS, shares=[0.5])
    with pytest.raises(KeyboardInterrupt):
        make(importance, image_sets, tmp_path, settings, chunk=3)
    (files,) = make(importance, image_sets, tmp_path, settings, chunk=3)
    # Before: cats in two chunks, dogs in one, which are not run again; then after.
    assert batches == [3, 2, 2, 3, 3, 2, 2]
    assert read_json(files.report)["errors"]["cats"]["after"]["images"] == 5
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_the_order_is_that_of_the_criterion_of_pruning(importance, image_sets, tmp_path):
    settings = PrunedSettings("fc6", [0.25], criterion="weight_l1")
    (files,) = make(importance, image_sets, tmp_path, settings)
    report = read_json(files.report)
    norms = np.abs(read_caffemodel(MODEL.weights)["fc6"][0]).sum(axis=1)
    assert report["removed"] == sorted(np.argsort(norms)[:8].tolist())
    assert "(the 8 least important to cats by weight_l1)" in report["sentence"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (replace(SETTINGS, layer="pool1"), "layer 'pool1' has no weights"),
        (replace(SETTINGS, layer="conv2"), "no sum 'conv2/criteria'"),
    ],
)
def test_mistakes_are_reported_in_one_line(importance, image_sets, tmp_path, settings, words):
    with pytest.raises(UserError, match=words) as error:
        make(importance, image_sets, tmp_path, settings)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_network_that_computes_something_else_is_no_result(
    importance, image_sets, tmp_path, monkeypatch
):
    original = pruned_networks.remove_filters

    def wrong(*values, **options):
        done = original(*values, **options)
        done.weights["fc8"][1] = done.weights["fc8"][1] + 1
        return done

    monkeypatch.setattr(pruned_networks, "remove_filters", wrong)
    with pytest.raises(UserError, match="scores differ by .* please report it"):
        make(importance, image_sets, tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_a_network_for_training_is_written_as_its_deploy_form(importance, image_sets, tmp_path):
    text = (GOLDENS / "caffenet_thin.prototxt").read_text()
    data = (
        'name: "thin"\n'
        'layer { name: "data" type: "Data" top: "data" top: "label" '
        "transform_param { crop_size: 115 } }\n"
    )
    lines = [line for line in text.splitlines()[1:] if not line.startswith(("input", "force"))]
    (tmp_path / "train_val.prototxt").write_text(data + "\n".join(lines))
    model = replace(MODEL, prototxt=str(tmp_path / "train_val.prototxt"))
    (files,) = make(importance, image_sets, tmp_path, PrunedSettings("fc6", [0.5]), model)
    assert smaller_model(files).graph.inputs == {"data": (1, 3, 115, 115)}


def test_real_caffe_writes_the_same_network(importance, image_sets, tmp_path, caffe_python):
    settings = replace(SETTINGS, shares=[0.5])
    caffe = replace(MODEL, engine="pycaffe", python=caffe_python)
    (ours,) = make(importance, image_sets, tmp_path / "ours", settings)
    (theirs,) = make(importance, image_sets, tmp_path / "theirs", settings, caffe)
    assert ours.network.read_bytes() == theirs.network.read_bytes()
    assert ours.weights.read_bytes() == theirs.weights.read_bytes()
    report = read_json(theirs.report)
    assert report["agreement"]["largest_difference"] <= 1e-6
    # Layers alone are timed in the embedded engine only.
    assert report["milliseconds"]["engine"] == "pycaffe" and not report["milliseconds"]["layers"]


def test_examples():
    assert doctest.testmod(pruned_networks) == (0, 1)
