"""Parity of two engines; here a second embedded one, right or wrong, takes the place of Caffe."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import cnnvis.engines
from cnnvis.checks.engine_parity import compare_engines, difference, flips, summarise
from cnnvis.core.errors import UserError
from cnnvis.engines.model import Model
from cnnvis.engines.numpy.graph import read_graph
from cnnvis.engines.numpy.network import Network
from cnnvis.pages.parity import parity_page

GOLDENS = Path(__file__).parents[1] / "goldens"
FILES = [str(GOLDENS / f"caffenet_thin.{kind}") for kind in ("prototxt", "caffemodel")]


class OtherNetwork(Network):
    """The embedded engine, with what Caffe's can be told."""

    def __init__(self, *files, python=None, **options):
        super().__init__(*files, **options)


class WrongNetwork(OtherNetwork):
    """An engine whose conv1 is off by a thousandth of its largest value."""

    def forward(self, batch, blobs=None):
        outputs = super().forward(batch, blobs)
        outputs["conv1"] = outputs["conv1"] + np.float32(1e-3) * outputs["conv1"].max()
        return outputs


def report_of(folder, monkeypatch, engine, array=None):
    """Compare the embedded engine with another class of network; return the report."""
    module = types.ModuleType("tests.other_engine")
    module.Network = engine
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cnnvis.engines.ENGINES, "pycaffe", module.__name__)
    image = np.load(GOLDENS / "caffenet_thin.npz")["data"][0] if array is None else array
    np.save(folder / "input.npy", image)
    compare_engines(
        *(Model(*FILES, score="fc8"), {"cat": folder / "input.npy"}, folder / "parity.json"),
        **{"layers": ["conv1", "conv2"], "classes": {"cat": [3]}, "threads": 1, "network": "thin"},
    )
    return json.loads((folder / "parity.json").read_text())


def test_an_engine_agrees_with_itself(tmp_path, monkeypatch):
    report = report_of(tmp_path, monkeypatch, OtherNetwork)
    assert report["faithful"] and report["network"] == "thin" and report["flips"] == []
    assert {each["relative"] for each in report["blobs"].values()} == {0.0}
    assert list(report["gradients"]) == ["conv1", "conv2"]
    assert report["top1"] == {"agree": 1, "of": 1}
    assert set(report["seconds"]) == {"forward", "gradient"}


def test_another_blob_is_not_faithful(tmp_path, monkeypatch):
    report = report_of(tmp_path, monkeypatch, WrongNetwork)
    assert not report["faithful"] and report["sentence"].startswith("NOT faithful")
    assert report["blobs"]["conv1"]["relative"] == pytest.approx(1e-3, rel=1e-2)
    # The ReLU is in place: where it had set a pixel to zero, the gate is open now.
    (flip,) = report["flips"]
    assert flip["image"] == "cat" and flip["switches"]["relu_conv1"] > 0
    assert report["gradients"] == {} and set(flip["gradients"]) == set(flip["float64"]) == {"3"}
    parity_page(tmp_path / "parity.html", tmp_path / "all.json", [tmp_path / "parity.json"])
    assert "No: at least one network" in (tmp_path / "parity.html").read_text()


def test_an_input_of_another_shape(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"input\.npy: has shape \(3, 4, 4\), expected \(3, "):
        report_of(tmp_path, monkeypatch, OtherNetwork, np.zeros((3, 4, 4), np.float32))


def test_difference():
    found = difference(np.float32([1, 2, 5]), np.float32([1, 2, 4]))
    assert found == {"absolute": 1.0, "relative": 0.25}
    assert difference(np.float32([0.5]), np.float32([0])) == {"absolute": 0.5, "relative": 0.5}


def test_a_maximum_that_moves_is_one_flip(tmp_path):
    (tmp_path / "pool.prototxt").write_text(
        """layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 1 dim: 1 dim: 3 } } }
        layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
        pooling_param { pool: MAX kernel_h: 1 kernel_w: 3 } }"""
    )
    graph = read_graph(tmp_path / "pool.prototxt")

    def blobs(*row):
        data = np.array(row, np.float32).reshape(1, 1, 1, 3)
        return {"data": data, "pool": data.max(axis=3, keepdims=True)}

    assert flips(graph, blobs(1, 3, 2), blobs(1, 2, 3)) == {"pool": 1}
    # Where one engine sees a tie, its gradient may go to the other pixel.
    assert flips(graph, blobs(1, 3, 3), blobs(1, 2, 3)) == {"pool": 1}
    assert flips(graph, blobs(1, 3, 3), blobs(2, 4, 4)) == {}


def answer(image, relative, seconds, **others):
    return {
        "image": image,
        "blobs": {"conv1": {"absolute": 1.0, "relative": relative}},
        "top1": [3, 3],
        "switches": {},
        "gradients": {},
        "seconds": {"forward": seconds},
        **others,
    }


def test_a_summary_is_the_worst_of_all_images():
    report = summarise([answer("a", 1e-7, [1, 4]), answer("b", 3e-7, [3, 8])])
    assert report["blobs"] == {"conv1": {"absolute": 1.0, "relative": 3e-7}}
    assert report["seconds"] == {"forward": {"numpy": 2.0, "pycaffe": 6.0}}
    assert report["faithful"] and report["sentence"] == (
        "Faithful: on 2 images the blobs differ from Caffe's by at most 3.0e-07 of their largest "
        "value, the first class is the same on 2 of 2."
    )
    assert not summarise([answer("a", 1e-7, [1, 1], top1=[3, 4])])["faithful"]
