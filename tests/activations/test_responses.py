"""Responses over image sets: by hand, against other implementations, and streamed."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from skimage.io import imsave

from cnnvis.activations import responses
from cnnvis.core.errors import UserError
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs.image_sets import Chunk, ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import CHUNK, Streams

THIN = "tests/goldens/caffenet_thin"
LAYERS = ["conv1", "conv5"]


def rows_of(values):
    """Return rows of responses, (filters, images), with these values and nothing else."""
    rows = np.zeros(np.shape(values), responses.ROW)
    rows["value"] = values
    return rows


def layer_of(values, classes, images=None):
    values = np.asarray(values, float)
    names = images or [f"{number}.png" for number in range(values.shape[1])]
    sets = ["set"] * len(names)
    return responses.Responses("conv", "blob", 4, names, sets, np.array(classes), rows_of(values))


def test_what_is_kept_of_a_map_by_hand():
    maps = np.array([[[0.0, 3.0, 1.0], [0.0, 0.0, 2.0]], [[-4.0, -1.0, -1.0], [-2.0, -3.0, -1.0]]])
    row = np.zeros(2, responses.ROW)
    responses.describe_maps(maps, row)
    assert row["value"].tolist() == [3, -1]
    # The first of equal values.
    assert row["place"].tolist() == [1, 1]
    assert row["mean"].tolist() == [1, -2]
    assert row["square"] == pytest.approx([14 / 6, 32 / 6])
    assert row["zeros"].tolist() == [0.5, 0]


def test_a_summary_by_hand():
    layer = layer_of([[1, 9, 9, 2], [5, 5, 5, 5]], [0, 7, 7, 0])
    layer.rows["place"] = [[0, 6, 3, 1], [0, 0, 0, 0]]
    layer.rows["mean"], layer.rows["square"], layer.rows["zeros"] = 2, 5, 0.25
    summary = json.loads(json.dumps(responses.summarise(layer, responses.arrays_of(layer), 2)))
    assert (summary["images"], summary["classes"]) == (4, {"0": 2, "7": 2})
    first, second = summary["filters"]
    expected = {"image": "1.png", "collection": "set", "value": 9, "y": 1, "x": 2}
    assert first["top"] == [expected, {**expected, "image": "2.png", "y": 0, "x": 3}]
    assert [entry["image"] for entry in first["weakest"]] == ["0.png", "3.png"]
    assert (first["mean"], first["variance"], first["zeros"]) == (2, 1, 0.25)
    assert first["selectivity"]["best"] == [{"cls": 7, "area": 1}, {"cls": 0, "area": 0}]
    assert first["selectivity"]["worst"] == [{"cls": 0, "area": 0}, {"cls": 7, "area": 1}]
    assert second["selectivity"]["best"][0] == {"cls": 0, "area": 0.5}
    assert first["quantiles"][0] == 1
    assert first["quantiles"][-1] == 9
    assert sum(first["histogram"]) == 4
    assert first["alike"] == second["alike"] == []


def test_a_single_class_has_no_selectivity():
    layer = layer_of([[1, 2, 3]], [4, 4, 4])
    summary = responses.summarise(layer, responses.arrays_of(layer), 5)
    assert summary["filters"][0]["selectivity"] == {"best": [], "worst": []}
    assert len(summary["filters"][0]["top"]) == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 5))
def test_areas_are_those_of_mann_and_whitney(seed, images, levels):
    random = np.random.default_rng(seed)
    row = rows_of(random.integers(0, levels, images))
    classes = random.integers(0, 3, images)
    areas = responses.areas_under_curves(row, classes)
    for cls, area in zip(np.unique(classes), areas, strict=True):
        inside = row["value"][classes == cls]
        rest = row["value"][classes != cls]
        if len(rest):
            statistic = mannwhitneyu(inside, rest).statistic
            assert area == pytest.approx(statistic / (len(inside) * len(rest)))
        else:
            assert np.isnan(area)


def test_correlations_are_pearsons(monkeypatch):
    monkeypatch.setattr(responses, "MANY", 7)
    values = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    assert responses.correlations(rows_of(values)) == pytest.approx(np.corrcoef(values))
    values[2] = 1e6
    constant = responses.correlations(rows_of(values))[2]
    assert constant.tolist() == [0, 0, 0, 0, 0]


def test_moments_of_groups():
    random = np.random.default_rng(1)
    maps, row = random.normal(size=(6, 3, 5)).clip(0), np.zeros(6, responses.ROW)
    for image, each in enumerate(maps):
        responses.describe_maps(each[np.newaxis], row[image : image + 1])
    groups = np.array([0, 1, 0, 1, 1, 0])
    moments = responses.moments(row, groups)
    for group in (0, 1):
        values = maps[groups == group]
        assert moments["mean"][group] == pytest.approx(values.mean(), rel=1e-5)
        assert moments["variance"][group] == pytest.approx(values.var(), rel=1e-5)
        assert moments["zeros"][group] == pytest.approx((values == 0).mean(), rel=1e-5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return a folder with more images than a chunk, one of them broken, and a list of them."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(2)
    lines = []
    for number in range(CHUNK + 3):
        name = f"{number:02}.png"
        imsave(folder / name, random.integers(0, 255, (24, 30, 3), dtype=np.uint8))
        lines.append(f"{name} {number % 2}\n")
    (folder / "05.png").write_bytes(b"no picture")
    (folder / "all.txt").write_text("".join(lines))
    (folder / "turned.txt").write_text("".join(lines[::-1]))
    return folder


def run(folder, *sets, **options):
    files, model = (
        Places(folder, network="thin"),
        Model(f"{THIN}.prototxt", f"{THIN}.caffemodel", score="fc8"),
    )
    preprocessing = Preprocessing(model.info.input_shape, [104.0, 117.0, 123.0])
    options = {"threads": 1, **options}
    streams = Streams(model, preprocessing, files("responses", layer="conv1"), **options)
    responses.make_responses(streams, files, list(sets), LAYERS, 4)
    paths = sorted((folder / "thin/responses").rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}


def test_results_do_not_depend_on_the_order_of_images(pictures, tmp_path):
    one = run(tmp_path / "a", ImageSet("s", str(pictures / "all.txt"), None))
    other = run(tmp_path / "b", ImageSet("s", str(pictures / "turned.txt"), None))
    assert "thin/responses/conv1.json" in one
    assert one == other


def test_an_interrupted_pass_goes_on_and_ends_the_same(pictures, tmp_path, monkeypatch):
    sets = [ImageSet("s", str(pictures / "all.txt"), None), ImageSet("t", str(pictures), 1, 2)]
    whole = run(tmp_path / "whole", *sets)
    batches, original = [], responses.ResponseTable.add

    def add(table, inputs):
        batches.append(len(inputs.images))
        if len(batches) == 2:
            raise KeyboardInterrupt
        original(table, inputs)

    monkeypatch.setattr(responses.ResponseTable, "add", add)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again", *sets)
    assert run(tmp_path / "again", *sets) == whole
    assert batches == [CHUNK - 1, 3, 3, 2]


def test_values_and_places_are_those_of_a_forward_pass(pictures, tmp_path):
    run(tmp_path, ImageSet("s", str(pictures / "all.txt"), None))
    model = Model(f"{THIN}.prototxt", f"{THIN}.caffemodel", score="fc8")
    preprocessing = Preprocessing(model.info.input_shape, [104.0, 117.0, 123.0])
    blob = model.info.convolutions["conv5"].blob
    with np.load(tmp_path / "thin/responses/conv5.npz") as arrays, model.open(1) as network:
        assert [name.rsplit("/", 1)[1] for name in arrays["images"][:6]] == [
            f"{number:02}.png" for number in (0, 1, 2, 3, 4, 6)
        ]
        assert arrays["classes"][:6].tolist() == [0, 1, 0, 1, 0, 0]
        maps = network.forward(preprocessing(arrays["images"][7])[None], [blob])[blob][0]
        assert arrays["value"][:, 7] == pytest.approx(maps.max(axis=(1, 2)))
        y, x = arrays["y"][:, 7], arrays["x"][:, 7]
        assert maps[np.arange(len(maps)), y, x] == pytest.approx(arrays["value"][:, 7])
    summary = json.loads((tmp_path / "thin/responses/conv5.json").read_text())
    assert [entry["image"] for entry in summary["skipped"]] == [str(pictures / "05.png")]


def test_maps_that_are_not_finite():
    model = Model(f"{THIN}.prototxt", f"{THIN}.caffemodel", score="fc8")
    broken = {"conv5": np.full((1, *model.info.convolutions["conv5"].shape), np.inf)}

    class Broken:
        def forward(self, inputs, blobs):
            return {blob: broken["conv5"] for blob in blobs}

    convolutions = {"conv5": model.info.convolutions["conv5"]}
    table = responses.ResponseTable(Broken(), convolutions, 1)
    with pytest.raises(UserError, match="layer 'conv5': blob .* NaN or infinite"):
        table.add(Chunk(["a.png"], np.zeros((1, 3, 4, 4)), []))
