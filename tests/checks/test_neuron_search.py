import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cnnvis.checks.gradient_check import check_gradients
from cnnvis.checks.neuron_search import make_fit, scan
from cnnvis.checks.reproduction import Run, require_agreement
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.engines.model import Model
from cnnvis.inputs import published
from tests.checks.test_reproduction import report_of

GOLDENS = Path(__file__).parents[1] / "goldens"


@pytest.fixture(scope="module")
def thin(tmp_path_factory):
    """CaffeNet in small with random weights, an input, and published gradients of neuron 3."""
    folder = tmp_path_factory.mktemp("thin")
    files = [str(GOLDENS / f"caffenet_thin.{kind}") for kind in ("prototxt", "caffemodel")]
    model = Model(*files, score="fc8")
    batch = np.load(GOLDENS / "caffenet_thin.npz")["data"][:1]
    np.save(folder / "input.npy", batch[0])
    (folder / "study").mkdir()
    with model.open() as network:
        gradients = network.weight_gradient(batch, "fc8", 3, ["conv1", "conv2"])
        others = network.weight_gradient(batch, "fc8", 7, ["conv1", "conv2"])
    for layer, gradient in gradients.items():
        np.save(folder / "study" / published.gradient_name("pembroke", layer), gradient[0])
    write_arrays(folder / "7.npz", {layer: gradient[0] for layer, gradient in others.items()})
    return folder, model


def fit(thin, output, study=None):
    folder, model = thin
    study = study or folder / "study"
    files = {
        layer: study / published.gradient_name("pembroke", layer) for layer in ("conv1", "conv2")
    }
    make_fit(model, folder / "input.npy", output, published=files, neuron=7)
    return json.loads(Path(output).read_text())["layers"]


def test_the_neuron_of_a_published_gradient_is_found(thin, tmp_path):
    for layer in fit(thin, tmp_path / "fit.json").values():
        assert (layer["best"], layer["scanned"]) == (3, 10)
        best = layer["candidates"][0]
        assert best["relative_error"] < 1e-5 and best["factor"] == pytest.approx(1, abs=1e-5)
        other = next(each for each in layer["candidates"] if each["neuron"] == 7)
        assert other["relative_error"] > 0.1


def test_a_factor_does_not_hide_the_neuron(thin, tmp_path):
    """A script of the study's history starts backpropagation with 0.1 instead of 1."""
    study = tmp_path / "study"
    shutil.copytree(thin[0] / "study", study)
    for path in study.iterdir():
        np.save(path, np.load(path) * np.float32(0.1))
    layer = fit(thin, tmp_path / "fit.json", study=study)["conv1"]
    assert min(layer["candidates"], key=lambda each: abs(each["factor"] - 0.1))["neuron"] == 3
    assert any(each["neuron"] == 3 for each in layer["candidates"])


def test_the_network_is_as_before_a_scan(thin):
    folder, model = thin
    batch = np.load(folder / "input.npy")[None]
    with model.open(dtype="float64") as network:
        before = network.forward(batch, ["fc8"])["fc8"]
        gradient = np.load(folder / "study" / "pembroke.npy")
        estimates = scan(network, batch, "fc8", "conv1", gradient)
        np.testing.assert_array_equal(network.forward(batch, ["fc8"])["fc8"], before)
    assert estimates.argmin() == 3 and estimates[3] < 1e-4 and np.sort(estimates)[1] > 0.1


def gradient_run(thin, folder, study=None):
    fit(thin, folder / "fit.json", study=study)
    return Run(
        study=study or thin[0] / "study",
        network="thin",
        image="cat",
        neuron=7,
        files={
            "pembroke conv1": thin[0] / "7.npz",
            "pembroke conv2": thin[0] / "7.npz",
            "fit pembroke": folder / "fit.json",
        },
        reasons={"chihuahua conv1": "there is no chihuahua"},
    )


def test_gradients_agree_with_the_neuron_that_fits(thin, tmp_path):
    report, checks = report_of(gradient_run(thin, tmp_path), tmp_path)
    for name in ("pembroke.npy", "pembroke_conv2.npy"):
        assert checks[name]["status"] == "reproduced"
    assert "neuron 3 fits best" in checks["pembroke.npy"]["sentence"]
    assert checks["pembroke.npy"]["numbers"]["best_neuron"] == 3
    assert checks["chihuahua.npy"]["status"] == "not checked"
    assert "there is no chihuahua" in checks["chihuahua.npy"]["sentence"]
    assert report["passed"] and report["counts"]["reproduced"] == 2


def test_gradients_that_fit_no_neuron_differ(thin, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(thin[0] / "study", study)
    gradient = np.load(study / "pembroke.npy")
    np.save(study / "pembroke.npy", gradient + 0.1 * np.abs(gradient).max())
    report, checks = report_of(gradient_run(thin, tmp_path, study), tmp_path)
    assert checks["pembroke.npy"]["status"] == "differs"
    assert checks["pembroke_conv2.npy"]["status"] == "reproduced"
    assert not report["passed"]
    with pytest.raises(UserError, match=r"1 differs.*pembroke\.npy: Relative error"):
        require_agreement(tmp_path / "verify.json")


def test_a_gradient_of_another_shape_differs(thin, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(thin[0] / "study", study)
    np.save(study / "pembroke.npy", np.zeros((2, 3, 4, 4)))
    checks = report_of(gradient_run(thin, tmp_path, study), tmp_path)[1]
    assert "has shape (2, 3, 4, 4)" in checks["pembroke.npy"]["sentence"]
    assert checks["pembroke.npy"]["status"] == "differs"


def test_the_studys_scheme_is_repeated(thin, tmp_path):
    folder, model = thin
    report = tmp_path / "check.json"
    check_gradients(
        *(model, folder / "input.npy", folder / "7.npz", report, tmp_path / "check.png"),
        **{"cls": 7, "layers": ["conv1"], "check": {"mode": "study", "weights": 8}},
    )
    run = Run(tmp_path, "thin", "cat", 7, files={"scheme": report})
    check = report_of(run, tmp_path)[1]["The study's numerical scheme, repeated"]
    assert check["status"] == "explained" and "step 1e-9" in check["sentence"]
