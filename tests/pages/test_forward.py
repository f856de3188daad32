"""The forward pass of the pages, against the engine and real Caffe."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from cnnvis.engines import open_network
from cnnvis.engines.model import Model
from cnnvis.engines.programs import KINDS, LARGEST, make_program, refusal, weights_of
from cnnvis.pages.render import source
from tests.conftest import ROOT
from tests.engines.goldens import GOLDENS, difference

DECODE = """
const decode = (text) => new Float32Array(
  Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
"""


def encode(array):
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def scores_of_page(browser, engine, program, image, sets):
    """Return the scores of the page's forward pass: those of all filters, then without `sets`."""
    session = browser.open("about:blank")
    body = f"""{DECODE}{source("viewer/forward.js")}
    const program = {json.dumps(program)};
    distribute(program, decode({json.dumps(encode(weights_of(engine, program)))}));
    const values = forward(program, decode({json.dumps(encode(image))}));
    const without = {json.dumps(sets)}.map((pair) => scoresWithout(program, values, ...pair));
    return [values[program.score], ...without].map((scores) => [...scores]);"""
    found = browser.run(session, body)
    browser.close(session)
    return np.array(found)


CASES = {
    "photonet": (
        ROOT / "models/photonet",
        "fc8",
        [("conv1", [3, 44]), ("conv2", [40, 7, 1]), ("conv5", range(32)), ("fc6", range(64))],
    ),
    "squeezenet_thin": (GOLDENS, None, [("conv1", [2]), ("f2/expand3x3", [0, 11])]),
    "caffenet_thin": (GOLDENS, None, [("conv2", [0, 1])]),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_are_the_engines(browser, name):
    folder, score, sets = CASES[name]
    prototxt = folder / ("deploy.prototxt" if name == "photonet" else f"{name}.prototxt")
    model = Model(str(prototxt), str(folder / f"{name}.caffemodel"), score)
    score = score or list(model.graph.blobs)[-1]
    assert refusal(model.graph, score) == ""
    image = np.random.default_rng(0).normal(0, 50, model.info.input_shape).astype("f4")
    sets = [(layer, list(filters)) for layer, filters in sets]
    with model.open(1) as engine:
        expected = [engine.forward(image[None], [score])[score].reshape(1, -1)]
        for layer, filters in sets:
            expected.append(engine.scores_without(image[None], layer, [filters], score)[0])
        program = make_program(model.graph, score)
        found = scores_of_page(browser, engine, program, image, sets)
    for without, each, theirs in zip([None, *sets], found, expected, strict=True):
        assert difference(each, theirs[0]) < 1e-5, without
        assert np.ptp(each) > 0
        assert without is None or not np.allclose(each, found[0], rtol=1e-4), without


CHAIN = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 6 dim: 13 dim: 11 }} }} }}
layer {{ name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {{
  num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 2 pad_w: 1
  dilation: 2 group: 2 bias_term: false }} }}
layer {{ name: "r" type: "ReLU" bottom: "c" top: "c" relu_param {{ negative_slope: 0.1 }} }}
layer {{ name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param {{ {pooling} }} }}
layer {{ name: "n" type: "LRN" bottom: "p" top: "n"
  lrn_param {{ local_size: 3 alpha: 2 beta: 0.6 k: 1.5 }} }}
layer {{ name: "f" type: "Flatten" bottom: "n" top: "f" }}
layer {{ name: "i" type: "InnerProduct" bottom: "f" top: "i"
  inner_product_param {{ num_output: 5 }} }}
layer {{ name: "s" type: "Softmax" bottom: "i" top: "s" }}
"""


@pytest.mark.parametrize(
    "pooling",
    [
        "pool: MAX kernel_size: 3 stride: 2 pad: 1",
        "pool: AVE kernel_size: 3 stride: 2 pad: 1",
        "pool: AVE kernel_size: 4 stride: 3",
        "pool: AVE global_pooling: true",
    ],
)
def test_options_are_caffes(browser, tmp_path, pooling):
    (tmp_path / "net.prototxt").write_text(CHAIN.format(pooling=pooling))
    model, rng = Model(str(tmp_path / "net.prototxt"), None, "s"), np.random.default_rng(0)
    _, shapes = model.graph.shapes(model.graph.inputs)
    weights = {layer: [rng.normal(0, 0.3, s) for s in each] for layer, each in shapes.items()}
    image = rng.normal(size=model.info.input_shape).astype("f4")
    with open_network(model.prototxt, weights, threads=1) as engine:
        program = make_program(model.graph, "s")
        found = scores_of_page(browser, engine, program, image, [("c", [1])])
        expected = engine.scores_without(image[None], "c", [[], [1]], "s")[:, 0]
    assert difference(found, expected) < 1e-5
    assert difference(found[1], found[0]) > 1e-3


def test_what_pages_lack_is_said():
    for name, said in {
        "alexnet": f"too large for a page: 244 MB, at most {LARGEST // 10**6}",
        "resnet50": "is of type BatchNorm, which pages do not compute",
    }.items():
        prototxt = Path(ROOT / f"models/{name}/deploy.prototxt")
        model = Model(str(prototxt), None, "fc8")
        score = list(model.graph.blobs)[-1]
        assert said in refusal(model.graph, score)
    assert "Eltwise" not in KINDS
