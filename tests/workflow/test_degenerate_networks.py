"""Networks with too little of something, through every stage of a real run."""

import json
import re

import numpy as np
import pytest
import yaml
from PIL import Image

from cnnvis.caffe.caffemodel import write_caffemodel

# A layer of one filter with maps of 1x1, and behind it one of three filters, of which all are dead.
PROTOTXT = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
        convolution_param { num_output: 1 kernel_size: 9 } }
layer { name: "dead" type: "Convolution" bottom: "one" top: "dead"
        convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "relu" type: "ReLU" bottom: "dead" top: "dead" }
layer { name: "fc" type: "InnerProduct" bottom: "dead" top: "fc"
        inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
CONFIG = {
    "networks": {
        "net": {
            "prototxt": "n.prototxt",
            "weights": "n.caffemodel",
            "mean": [0, 0, 0],
            "score": "fc",
        }
    },
    "images": {"black": {"path": "a/black.png", "classes": [0]}},
    "orderings": {
        **{"natural": {}, "pca": {}, "shortest": {}, "leaf": {}, "spectral": {}},
        "patterns": {"method": "shortest", "metric": "correlation"},
        "together": {"method": "pca", "over": ["black"]},
    },
    "slices": {"rows": "all", "starts": 2},
    "volumes": {"binarise": "otsu"},
    "gradients": {"orderings": ["pca"]},
    "comparisons": {
        "x": {
            "neuron": 0,
            "reference": {"cls": 0, "correct": ["black"]},
            "similar": {"cls": 1, "wrong": ["grey"]},
            "dissimilar": {"cls": 1, "correct": ["white"]},
        }
    },
    "collections": {"a": {"path": "a", "cls": 0, "neurons": [1]}},
    "responses": {},
    "lesions": {},
    "maximisation": {"layers": {"dead": [0]}, "neurons": [0], "presets": ["trust"], "steps": 3},
    "pruning": {"layers": ["dead"], "write": [0.3], "study_sweep": True, "random_seeds": 1},
}


def prepare(study):
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    weights = {
        "one": [draw(1, 3, 9, 9), draw(1)],
        "dead": [np.zeros((3, 1, 1, 1), np.float32), np.full(3, -1, np.float32)],
        "fc": [draw(2, 3), draw(2)],
    }
    write_caffemodel(study.folder / "n.caffemodel", weights)
    (study.folder / "n.prototxt").write_text(PROTOTXT)
    config = CONFIG | {"images": dict(CONFIG["images"])}
    for name, value in {"black": 0, "grey": 99, "white": 255}.items():
        (study.folder / "a").mkdir(exist_ok=True)
        Image.new("RGB", (9, 9), (value,) * 3).save(study.folder / "a" / f"{name}.png")
        entry = {"path": f"a/{name}.png", "artefacts": "comparisons"}
        config["images"].setdefault(name, entry)
    (study.folder / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


@pytest.mark.slow
def test_one_filter_maps_of_one_value_and_a_dead_layer(study):
    prepare(study)
    run = study.snakemake("--cores", "2")
    assert run.returncode == 0, run.stderr
    results = study.folder / "results"
    for path in results.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
    for path in results.rglob("*.html"):
        text = re.sub("<script.*?</script>", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"[>\s](nan|inf|None|undefined)[<\s]", text), path
    for path in study.folder.glob("logs/**/*.log"):
        assert "Warning" not in path.read_text(), path
    orders = (results / "net/orderings/index.html").read_text()
    assert "here all maps of a layer are equal" in orders
