import doctest
import json
import logging
import runpy
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.checks import finite_differences, gradient_check
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.engines import open_network
from cnnvis.engines.model import Model
from cnnvis.engines.numpy.layers.activations import ReLU
from tests.engines.goldens import GOLDENS, MORE_GOLDENS
from tests.tiny_network import write_network

MODELS = GOLDENS.parents[1] / "models"
HOW = {"mode": "sample", "weights": 24, "directions": 2, "seed": 0}


class Function:
    """Stands for a network: a function of weights, and where it switches."""

    def __init__(self, function, weights, switches=lambda w: b""):
        self.function, self.weights, self.switches = function, np.asarray(weights), switches
        self.learned, self.score = True, function(self.weights)

    def of_weights(self, variants):
        pairs = [(self.function(weights), self.switches(weights)) for weights in variants]
        scores, switches = zip(*pairs, strict=True)
        return np.array(scores), list(switches)

    def of_steps(self, indices, steps):
        def stepped(index, step):
            weights = self.weights.copy()
            weights.reshape(-1)[index] += step
            return weights

        return self.of_weights(map(stepped, indices, steps))


def signs(weights):
    return (weights > 0).tobytes()


def single(function, gradient):
    """Differentiate by every weight; return the derivatives, kinks and steps, and the smallest."""
    gradient = np.asarray(gradient, float)
    direction = finite_differences.random_direction(function.weights, 0, "", 0)
    rounding = finite_differences.rounding_of(function, direction, np.vdot(gradient, direction))
    gradient = gradient.reshape(-1)
    smallest = finite_differences.smallest_steps(rounding, gradient, np.abs(gradient).max())
    indices = np.arange(gradient.size)
    return *finite_differences.weight_differences(function, indices, smallest), smallest


def test_a_smooth_function():
    weights = np.random.default_rng(0).standard_normal((3, 4))
    gradient = np.cos(weights).reshape(-1)
    numeric, kinks, steps, smallest = single(Function(lambda w: np.sin(w).sum(), weights), gradient)
    assert not kinks.any()
    assert finite_differences.relative_errors(numeric, gradient, 1.0).max() < 2e-7
    np.testing.assert_allclose(steps, 8 * smallest)
    # A score with ten digits fewer: what rounding allows is more than the usual step.
    far = Function(lambda w: 1e6 + np.sin(w).sum(), weights)
    numeric, _, steps, smallest = single(far, gradient)
    usual = finite_differences.usual_steps(weights, np.arange(12))
    rms = np.sqrt(np.mean(weights**2, axis=1)).repeat(4)
    np.testing.assert_allclose(usual, np.maximum(np.abs(weights.reshape(-1)), rms) * 2**-13)
    np.testing.assert_allclose(steps, np.clip(smallest, usual, 8 * usual))


def test_a_kink_at_the_weight_is_counted_and_one_near_it_avoided():
    weights = np.array([[0.0, 3e-9, 1.0]])
    function = Function(lambda w: np.abs(w).sum(), weights, signs)
    numeric, kinks, steps, smallest = single(function, [[1.0, 1.0, 1.0]])
    assert kinks.tolist() == [True, False, False]
    np.testing.assert_allclose(numeric[1:], [1, 1], rtol=1e-6)
    assert steps[0] == steps[1] == smallest[0] < 3e-9 < steps[2] == 8 * smallest[2]


def test_steps_stop_shrinking_where_rounding_takes_over():
    weights = np.array([[2e-6, 1.0]])
    near = Function(lambda w: np.abs(w).sum(), weights, signs)
    # The same function on top of a large number, which leaves it ten digits fewer.
    far = Function(lambda w: 1e6 + np.abs(w).sum(), weights, signs)
    assert single(near, [[1.0, 1.0]])[1].tolist() == [False, False]
    assert single(far, [[1.0, 1.0]])[1].tolist() == [True, False]


def test_a_wrong_gradient_of_a_known_function_is_wrong():
    weights = np.random.default_rng(0).standard_normal((3, 4))
    function, how = Function(lambda w: np.sin(w).sum(), weights), {**HOW, "weights": 6}
    right = gradient_check.check_layer(function, np.cos(weights), "sine", how).entry
    assert right["agrees"] and right["worst"] < 1e-6 and right["wrong"] == 0
    wrong = np.cos(weights)
    wrong[1] *= 1.0001
    entry = gradient_check.check_layer(function, wrong, "sine", how).entry
    assert not entry["agrees"] and entry["wrong"] == 2 and entry["worst_weight"][0] == 1
    assert entry["directions"]["worst"] > 1e-6


def test_one_wrong_weight_that_is_not_sampled_is_found_by_directions():
    weights = np.random.default_rng(0).standard_normal((30, 40))
    wrong = np.cos(weights)
    wrong[7, 7] *= 1.01
    function = Function(lambda w: np.sin(w).sum(), weights)
    entry = gradient_check.check_layer(function, wrong, "sine", {**HOW, "directions": 4}).entry
    assert entry["wrong"] == 0 and entry["directions"]["worst"] > 1e-5 and not entry["agrees"]


def test_directions_know_about_kinks():
    function = Function(lambda w: np.abs(w).sum(), np.array([[0.0, 1.0], [2.0, 3.0]]), signs)
    how = {**HOW, "directions": 3}
    entry = gradient_check.check_layer(function, np.ones((2, 2)), "layer", how).entry
    del entry["directions"]["rounding"]
    assert entry["directions"] == {"checked": 3, "kinks": 3, "worst": None, "median": None}
    assert entry["kink_weights"] == [[0, 0]] and entry["agrees"]
    # Where everything has a kink, nothing is known.
    function = Function(lambda w: np.abs(w).sum(), np.zeros((1, 2)), signs)
    entry = gradient_check.check_layer(function, np.ones((1, 2)), "layer", how).entry
    assert entry["agrees"] is None


def test_samples():
    sample = finite_differences.sample_weights
    chosen = sample((7, 3, 5, 5), 37, 0, "conv1")
    assert sorted(np.bincount(chosen // 75)) == [5] * 5 + [6] * 2 and len(set(chosen)) == 37
    assert np.array_equal(chosen, sample((7, 3, 5, 5), 37, 0, "conv1"))
    for other in ((1, "conv1"), (0, "conv2")):
        assert not np.array_equal(chosen, sample((7, 3, 5, 5), 37, *other))
    assert np.bincount(sample((7, 3, 5, 5), 3, 0) // 75).max() == 1
    assert sample((), 5, 0).tolist() == [0]
    assert sample((2, 3), None, 0).tolist() == sample((2, 3), 6, 0).tolist() == list(range(6))


def test_fewer_weights_are_sampled_below_expensive_layers():
    info = Model(MODELS / "caffenet/deploy.prototxt", "", "fc8").info
    # Behind conv5 there are 37.7 + 16.8 + 4.1 million weights, each used once.
    assert gradient_check.affordable_weights(info, "conv1") == 10
    assert gradient_check.affordable_weights(info, "conv5") == int(6e9 / (2 * 58_621_952))
    assert gradient_check.affordable_weights(info, "fc8") == 100


def golden(name):
    folder = GOLDENS if (GOLDENS / f"{name}.prototxt").exists() else MORE_GOLDENS
    return folder / f"{name}.prototxt", np.load(folder / f"{name}.npz")


def opened(name, **options):
    prototxt, arrays = golden(name)
    network = open_network(prototxt, prototxt.with_suffix(".caffemodel"), threads=1, **options)
    blob = str(arrays["score_blob"]) if "score_blob" in arrays.files else "score"
    return network, arrays["data"][:1], blob, int(arrays["class/0"])


CHECKED = [
    ("caffenet_thin", ["conv1", "conv2", "conv3", "conv5", "fc6", "fc8"]),
    ("squeezenet_thin", ["conv1", "f2/squeeze1x1", "f2/expand3x3", "f4/expand1x1", "conv10"]),
    ("normalise_merge", ["a", "bn", "sc", "b", "score"]),
    ("activations", ["c1", "prelu", "score"]),
    ("conv_zoo", ["dil", "grp", "rect", "deconv", "score"]),
    ("pooling_edges", ["c1", "score"]),
    ("shared_weights", ["conv1", "conv2"]),
]


@pytest.mark.parametrize(("name", "layers"), CHECKED)
def test_gradients_agree_with_central_differences(name, layers):
    network, batch, blob, cls = opened(name, dtype="float64")
    gradients = network.weight_gradient(batch, blob, cls, layers)
    for layer in layers:
        perturbations = network.perturbations(batch, blob, cls, layer)
        entry = gradient_check.check_layer(perturbations, gradients[layer][0], layer, HOW).entry
        assert entry["agrees"], (layer, entry)
        if layer == "bn":
            assert entry["checked"] == 0
        else:
            assert entry["checked"] - entry["kinks"] >= 4
            assert entry["worst"] <= 1e-6 and entry["directions"]["worst"] <= 1e-6
            assert entry["correlation"] is None or entry["correlation"] > 0.999999999


STEPPED = [
    ("caffenet_thin", "conv1"),
    ("caffenet_thin", "conv2"),
    ("squeezenet_thin", "conv1"),
    ("normalise_merge", "b"),
    ("conv_zoo", "dil"),
    ("conv_zoo", "grp"),
    ("conv_zoo", "rect"),
    ("conv_zoo", "deconv"),
    ("shapes", "inner_rows"),
    ("shapes", "inner_last_transposed"),
    ("shared_weights", "conv1"),
]


@pytest.mark.parametrize(("name", "layer"), STEPPED)
def test_a_step_is_what_a_full_pass_makes_of_it(name, layer):
    network, batch, blob, cls = opened(name, dtype="float64")
    perturbations = network.perturbations(batch, blob, cls, layer)
    kept = [array.copy() for array in network.params[layer]]
    size = kept[0].size
    indices = np.array([0, size // 3, size // 2, size - 2, size - 1])
    steps = np.linspace(-0.3, 0.5, 5)
    found, _ = perturbations.of_steps(indices, steps)
    for index, step, score in zip(indices, steps, found, strict=True):
        changed = kept[0].copy()
        changed.reshape(-1)[index] += step
        network.set_weights({layer: [changed, *kept[1:]]})
        expected = network.forward(batch, [blob])[blob].reshape(-1)[cls]
        assert score == pytest.approx(expected, rel=1e-11, abs=1e-13)
    assert len(set(found)) > 1


POOL = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 1 dim: 1 dim: 4 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 1 kernel_h: 1 kernel_w: 2 bias_term: false } }
layer { name: "pool" type: "Pooling" bottom: "c" top: "pool"
        pooling_param { pool: MAX kernel_h: 1 kernel_w: 3 } }
"""


def pool_network(tmp_path, dtype="float64"):
    (tmp_path / "pool.prototxt").write_text(POOL)
    weights = {"c": [np.array([1.0, 1.0]).reshape(1, 1, 1, 2)]}
    return open_network(tmp_path / "pool.prototxt", weights, dtype=dtype, threads=1)


def pooled(tmp_path, image):
    batch = np.array(image).reshape(1, 1, 1, 4)
    return pool_network(tmp_path).perturbations(batch, "pool", 0, "c")


def test_maxima_that_switch_are_kinks_and_ties_of_equal_patches_are_not(tmp_path):
    # Outputs 3 (1 + 2) and 3 (2 + 1): by the first weight the slope is 2 above and 1 below.
    crossing = pooled(tmp_path, [1.0, 2.0, 1.0, 0.0])
    assert single(crossing, [2.0, 2.0])[1].tolist() == [True, True]
    # Two patches that are the same but for their last digit, which each step rounds its own way.
    nearly = pooled(tmp_path, [2.0, 2.0, 2.0 - 2**-51, 0.0])
    _, switches = nearly.of_steps(np.zeros(40, int), np.linspace(-1e-4, 1e-4, 40))
    assert len(set(switches)) == 1
    numeric, kinks, *_ = single(nearly, [2.0, 2.0])
    assert not kinks.any()
    np.testing.assert_allclose(numeric, [2, 2], rtol=1e-6)


def tiny(tmp_path, bias=0.0):
    """Write the tiny network; with a bias of -2 its ReLU is exactly at its kink in one pixel."""
    prototxt, weights, image = write_network(tmp_path)
    if bias:
        floats = {
            "conv1": [np.array([2.0, -1.0]).reshape(2, 1, 1, 1), np.array([bias, 0.0])],
            "conv/2": [np.ones((1, 2, 2, 2))],
            "fc8": [np.repeat(np.eye(3, 2), 4, axis=1), np.array([0.0, 0.0, -1.0])],
        }
        floats = {k: [a.astype(np.float32) for a in v] for k, v in floats.items()}
        write_caffemodel(weights, floats)
    return prototxt, weights, image


def run(network, tmp_path, gradients=None, layers=("conv1", "fc8"), **options):
    """Check the tiny network's gradients; return the report and the picture."""
    npz, report, picture = (tmp_path / name for name in ("0.npz", "0.check.json", "0.check.png"))
    prototxt, weights, image = network
    cls, score = options.pop("cls", 0), options.pop("score", "fc8")
    model = Model(prototxt, weights, score)
    if gradients is None:
        with model.open(1) as opened_model:
            batch = model.read_input(image)[None]
            gradients = opened_model.weight_gradient(batch, score, cls, list(layers))
        gradients = {layer: arrays[0] for layer, arrays in gradients.items()}
    write_arrays(npz, gradients)
    gradient_check.check_gradients(
        *(model, image, npz, report, picture), cls=cls, layers=layers, check=options, threads=1
    )

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(report.read_text(), parse_constant=refuse), Image.open(picture)


def test_the_report(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    report, picture = run(tiny(tmp_path), tmp_path, mode="full", directions=3)
    assert report["agrees"] and list(report["layers"]) == ["conv1", "fc8"]
    conv1 = report["layers"]["conv1"]
    assert conv1["weights"] == conv1["checked"] == 2 and conv1["kinks"] == 0
    assert conv1["worst"] < 1e-7 and conv1["float32"]["agrees"]
    assert conv1["sentence"].startswith("conv1: 2 weights agree with central differences to ")
    assert "3 random directions agree to" in conv1["sentence"]
    assert "conv1: 2 of 2 weights" in caplog.text
    float32 = report["float32"]
    assert float32["agrees"] and float32["flipped"] == {"gates": 0, "maxima": 0}
    assert float32["sentence"].endswith(
        "rounding in float32 flipped 0 of the ReLU gates and 0 of the maxima."
    )
    assert float32["sentence"] in report["sentence"]
    for entry in report["layers"].values():
        assert entry["sentence"] in report["sentence"] and entry["sentence"] in caplog.text
    assert conv1["sentence"] in picture.info["Description"]
    assert picture.size[0] > 600 and np.ptp(np.asarray(picture.convert("L"))) > 100


def test_a_kink_put_there_is_found(tmp_path):
    report, picture = run(tiny(tmp_path, bias=-2.0), tmp_path, mode="full")
    conv1 = report["layers"]["conv1"]
    assert conv1["kink_weights"] == [[0, 0, 0, 0]] and conv1["kinks"] == 1
    assert "1 more have a kink" in conv1["sentence"] and conv1["agrees"]
    orange = np.all(np.abs(np.asarray(picture.convert("RGB"), int) - (217, 95, 2)) < 40, axis=2)
    assert orange.sum() > 20


def test_a_wrong_backward_pass_is_found(tmp_path, monkeypatch):
    network = tiny(tmp_path)
    monkeypatch.setattr(ReLU, "backward", lambda self, work, w, bottoms, tops, dtops, wanted: dtops)
    report, _ = run(network, tmp_path, layers=["conv1"])
    conv1 = report["layers"]["conv1"]
    # The first filter's pixel of -2 is let through: 2.5 instead of 4.5.
    assert not report["agrees"] and not conv1["agrees"] and conv1["wrong"] == 1
    # The file is what this backward pass makes of it: it is the derivation that is wrong.
    assert report["float32"]["agrees"]
    assert conv1["worst"] == pytest.approx(2 / 4.5) and conv1["worst_weight"] == [0, 0, 0, 0]
    assert "1 of 2 sampled weights DISAGREE" in conv1["sentence"]


def test_a_wrong_file_is_found(tmp_path):
    right = {"conv1": np.array([4.5, 0], np.float32).reshape(2, 1, 1, 1)}
    report, _ = run(tiny(tmp_path), tmp_path, right, ["conv1"])
    assert report["agrees"] and report["float32"]["agrees"]
    report, _ = run(tiny(tmp_path), tmp_path, {"conv1": 1.01 * right["conv1"]}, ["conv1"])
    assert report["agrees"] and not report["float32"]["agrees"]
    assert "The gradient of conv1 in the file is WRONG: it differs by 0.01" in report["sentence"]
    with pytest.raises(UserError, match="make it again"):
        run(tiny(tmp_path), tmp_path, {"conv1": np.zeros((3, 1, 1, 1))}, ["conv1"])


@pytest.fixture
def flipping(tmp_path):
    """A network whose ReLU opens for the pixel 3 in float64 only: 1503 against 1500."""
    candidates = np.arange(0.1, 0.2, 0.01, np.float32)
    weight = next(w for w in candidates if float(w) * 3 > float(w * 3))
    prototxt, weights, image = write_network(tmp_path)
    floats = {
        "conv1": [np.array([weight, -1]).reshape(2, 1, 1, 1), np.array([-weight * 3, 0])],
        "conv/2": [np.ones((1, 2, 2, 2))],
        "fc8": [np.repeat(np.eye(3, 2), 4, axis=1), np.zeros(3)],
    }
    write_caffemodel(weights, {k: [a.astype(np.float32) for a in v] for k, v in floats.items()})
    np.save(image, np.array([[[1, 3], [500, 1000]]], np.float32))
    return prototxt, weights, image


@pytest.mark.parametrize(
    ("value", "right"), [(1500, True), (1503, True), (1518, False), (150, False), (-1503, False)]
)
def test_a_flipped_gate_is_no_wrong_gradient(flipping, tmp_path, value, right):
    gradient = {"conv1": np.array([value, 0], np.float32).reshape(2, 1, 1, 1)}
    report, _ = run(flipping, tmp_path, gradient, ["conv1"])
    float32, conv1 = report["float32"], report["layers"]["conv1"]
    assert report["agrees"] and conv1["checked"] == 2 and conv1["kinks"] == 0
    assert float32["flipped"] == {"gates": 1, "maxima": 0} and float32["agrees"] == right
    assert conv1["float32"]["by_rounding"] == pytest.approx(3 / 1503)
    assert float32["relative_error"] == pytest.approx(abs(value - 1503) / 1503)
    assert ("WRONG" in float32["sentence"]) != right


def test_a_maximum_flips_where_no_winner_is_common(tmp_path):
    def switches(dtype, *image):
        batch = np.array([*image, 0.0]).reshape(1, 1, 1, 4)
        return gradient_check.read_switches(pool_network(tmp_path, dtype), batch, "pool")

    # Sums of neighbours: 3, 3 + 1e-9 and 1 + 1e-9 in float64; in float32 the first two are equal.
    exact = switches("float64", 1.0, 2.0, 1.0 + 1e-9)
    assert exact["pool"][0] == "maxima" and exact["pool"][1].tolist() == [
        [[[[False]]], [[[True]]], [[[False]]]]
    ]
    for image, flips in (((1.0, 2.0, 1.0), 0), ((1.1, 2.0, 1.0), 1), ((1.0, 2.0, 1.5), 0)):
        counts = gradient_check.count_flips(exact, switches("float32", *image))
        assert counts == {"gates": 0, "maxima": flips}


def test_the_study_shows_why_its_check_failed(tmp_path):
    network, batch, blob, cls = opened("caffenet_thin")
    exact = opened("caffenet_thin", dtype="float64")[0]
    gradient = exact.weight_gradient(batch, blob, cls, ["conv1"])["conv1"][0]
    how = {**HOW, "mode": "study", "weights": 5 * len(gradient)}
    perturbations = network.perturbations(batch, blob, cls, "conv1")
    before = network.params["conv1"][0].copy()
    study = gradient_check.check_study(perturbations, gradient, "conv1", how).entry
    assert np.array_equal(network.params["conv1"][0], before)
    assert abs(study["correlation"]) < 0.3 and study["agrees"] is None
    assert study["unchanged"] > 40 and study["zeros"] > 60
    # The same float32 passes with a step that float32 can show do tell something.
    flat, index = gradient.reshape(-1), int(np.abs(gradient).argmax())
    up, down = perturbations.of_steps(np.array([index, index]), np.array([1e-2, -1e-2]))[0]
    assert (up - down) / 2e-2 == pytest.approx(flat[index], rel=0.05)


def test_the_study_by_its_report(tmp_path):
    report, _ = run(tiny(tmp_path), tmp_path, mode="study")
    conv1 = report["layers"]["conv1"]
    # 2 + 1e-9 is 2 in float32, and so is -1: nothing moves, whatever the gradient is.
    assert conv1["unchanged"] == conv1["zeros"] == 2 and not report["agrees"]
    assert conv1["correlation"] is None and "undefined" in conv1["sentence"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cls": 3}, "class 3 is outside score blob 'fc8'"),
        ({"layers": ["relu1"]}, "layer 'relu1' has no weights"),
        ({"score": "fc9"}, "score blob 'fc9' does not exist"),
    ],
)
def test_errors(tmp_path, options, said):
    network, gradients = tiny(tmp_path), {"conv1": np.zeros((2, 1, 1, 1))}
    with pytest.raises(UserError, match=said):
        run(network, tmp_path, gradients, **{"layers": ["conv1"], **options})
    assert not (tmp_path / "0.check.json").exists()


def test_a_layer_that_is_not_in_the_file(tmp_path):
    with pytest.raises(UserError, match="no gradient of layer 'fc8'; it holds conv1"):
        run(tiny(tmp_path), tmp_path, {"conv1": np.zeros((2, 1, 1, 1))}, ["fc8"])


def test_the_script(tmp_path):
    prototxt, weights, image = tiny(tmp_path)
    write_arrays(tmp_path / "0.npz", {"conv1": np.array([4.5, 0]).reshape(2, 1, 1, 1)})
    paths = {name: tmp_path / name for name in ("report.json", "picture.png", "log")}
    snakemake = SimpleNamespace(
        input=SimpleNamespace(array=image, gradients=tmp_path / "0.npz"),
        output=SimpleNamespace(report=paths["report.json"], picture=paths["picture.png"]),
        params=SimpleNamespace(
            model={"prototxt": prototxt, "weights": weights, "score": "fc8"},
            layers=["conv1"],
            check={"mode": "sample"},
        ),
        wildcards=SimpleNamespace(cls="0"),
        threads=1,
        log=[paths["log"]],
    )
    script = GOLDENS.parents[1] / "scripts" / "check_gradients.py"
    runpy.run_path(str(script), {"snakemake": snakemake})
    assert json.loads(paths["report.json"].read_text())["agrees"]
    assert "conv1: 2 sampled weights agree" in paths["log"].read_text()


def test_examples():
    assert doctest.testmod(finite_differences).attempted >= 3
    assert doctest.testmod(finite_differences).failed == 0
