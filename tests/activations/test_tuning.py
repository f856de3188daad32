"""Tuning: Gabor functions whose parameters are known come back, and what is not defined is None."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import layer_tuning
from cnnvis.activations.gabor import Gabor
from cnnvis.activations.layer_tuning import (
    REFERENCE,
    LayerTuning,
    caffenet_error,
    make_layer_tuning,
)
from cnnvis.activations.tuning import GABOR_KERNEL, LEAST_KERNEL, hue_direction, tune
from cnnvis.activations.tuning_figure import draw_tuning
from cnnvis.caffe.caffemodel import read_caffemodel, write_caffemodel
from cnnvis.config import tables
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs.published import NAMED_MAPS

SIZE = 11
PARAMETERS = {
    "orientation": 30.0,
    "frequency": 0.2,
    "phase": 40.0,
    "y": 5.3,
    "x": 4.6,
    "across": 2.0,
    "along": 2.6,
}
PROTOTXT = """
input: "data" input_shape {{ dim: 1 dim: 3 dim: 32 dim: 32 }}
layer {{ name: "a/conv" type: "Convolution" bottom: "data" top: "conv"
         convolution_param {{ num_output: {0} kernel_size: {1} bias_term: false }} }}
"""


def make(colour=(1.0, 1.0, 1.0), size=SIZE, **changes):
    """Return a Gabor function as one filter of (1, 3, size, size), in red, green and blue."""
    gabor = Gabor(explained=1.0, colour=colour, **PARAMETERS | changes)
    return gabor.draw(size, size)[np.newaxis]


def tune_one(weights, order="RGB"):
    return tune(weights, order)[0]


def apart(one, other, turn):
    """Return how far angles are apart that are the same after a turn."""
    return abs((one - other + turn / 2) % turn - turn / 2)


def test_a_gabor_function_by_hand():
    """An even vertical bar: the cosine of 2 pi x / 4 under a Gaussian, less its mean."""
    bar = Gabor(1.0, 90.0, 0.25, 0.0, 0.0, 1.0, 1.0, 1.0, (1.0, 0.0, 0.0)).draw(1, 3)
    side = np.exp(-0.5) * math.cos(math.pi / 2)
    expected = np.array([side, 1.0, side]) - (1 + 2 * side) / 3
    np.testing.assert_allclose(bar[0, 0], expected, atol=1e-12)
    assert not bar[1:].any()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"orientation": 0.0, "phase": -90.0},
        {"orientation": 90.0, "phase": 170.0},
        {"orientation": 175.0, "frequency": 0.3, "phase": 90.0},
        {"orientation": 120.0, "frequency": 0.14, "along": 3.5},
        {"orientation": 60.0, "frequency": 0.4, "across": 3.0, "y": 2.5, "x": 7.5},
    ],
)
def test_a_gabor_function_comes_back(changes):
    gabor, known = tune_one(make(**changes)).gabor, PARAMETERS | changes
    assert gabor.explained > 0.9999
    assert apart(gabor.orientation, known["orientation"], 180) < 0.5
    assert apart(gabor.phase, known["phase"], 360) < 3
    for key in ("frequency", "y", "x", "across", "along"):
        assert getattr(gabor, key) == pytest.approx(known[key], rel=0.02), key


@pytest.mark.parametrize("orientation", range(0, 180, 15))
def test_the_best_grating_has_the_orientation_and_the_frequency(orientation):
    tuning = tune_one(make(orientation=orientation, frequency=0.25))
    assert apart(tuning.orientation, orientation, 180) < 1
    assert tuning.frequency == pytest.approx(0.25, abs=0.005)
    assert tuning.selectivity > 0.8


def test_a_grating_responds_as_much_as_is_said():
    """No other grating of the same contrast has a larger response."""
    weights = make()
    tuning = tune_one(weights)
    y, x = np.mgrid[:SIZE, :SIZE]

    def response(orientation, frequency):
        normal = np.radians(orientation - 90)
        wave = np.exp(2j * np.pi * frequency * (x * np.cos(normal) - y * np.sin(normal)))
        return np.abs((weights[0] * wave).sum())

    best = response(tuning.orientation, tuning.frequency)
    for turn in (-3, 0, 3):
        for more in (-0.01, 0, 0.01):
            assert response(tuning.orientation + turn, tuning.frequency + more) <= best


def test_a_quarter_turn_turns_the_orientation_by_90_degrees():
    weights = make()
    before, after = tune_one(weights), tune_one(np.rot90(weights, axes=(2, 3)))
    assert apart(after.orientation, before.orientation + 90, 180) < 0.1
    assert apart(after.gabor.orientation, before.gabor.orientation + 90, 180) < 0.5
    assert after.frequency == pytest.approx(before.frequency)
    assert after.selectivity == pytest.approx(before.selectivity)


def test_orientation_is_what_one_sees():
    """Row 0 is the upper one: an edge from the lower left to the upper right is at 45 degrees."""
    y, x = np.mgrid[:SIZE, :SIZE]
    rising = np.where(x + y < SIZE - 1, -1.0, 1.0)
    assert tune_one(np.tile(rising, (1, 3, 1, 1))).orientation == pytest.approx(45, abs=1)
    for edge, orientation, phase in (
        (np.sign(x - 4.5), 90, -90),  # light on the right
        (np.sign(4.5 - x), 90, 90),
        (np.sign(y - 4.5), 0, -90),  # below
        (np.sign(4.5 - y), 0, 90),
    ):
        tuning = tune_one(np.tile(edge, (1, 3, 1, 1)))
        assert apart(tuning.orientation, orientation, 180) < 1
        assert apart(tuning.gabor.phase, phase, 360) < 45


def test_edges_by_hand():
    edge = np.where(np.arange(6) < 3, -1.0, 1.0)
    tuning = tune_one(np.tile(edge, (1, 3, 6, 1)))
    assert tuning.vertical_edge == pytest.approx(1)
    assert tuning.horizontal_edge == pytest.approx(0)
    # Out of the middle it has a mean, 1/3: of the squares of 6 weights, 6/9 are left out.
    beside = np.where(np.arange(6) < 2, -1.0, 1.0)
    assert tune_one(np.tile(beside, (1, 3, 6, 1))).vertical_edge == pytest.approx(1 - 1 / 9)
    assert tune_one(np.ones((1, 3, 6, 6))).vertical_edge == pytest.approx(0)
    turned = tune_one(np.tile(edge[:, np.newaxis], (1, 3, 1, 6)))
    assert turned.horizontal_edge == pytest.approx(1)
    red = np.zeros((1, 3, 6, 6))
    red[0, 0] = edge
    assert tune_one(red).vertical_edge == pytest.approx(1 / math.sqrt(3))


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 40.0])
def test_a_positive_factor_changes_the_norm_only(factor):
    weights = make(colour=(1.0, 0.2, -0.5))
    before, after = tune_one(weights).numbers(), tune_one(factor * weights).numbers()
    assert after.pop("norm") == pytest.approx(factor * before.pop("norm"))
    assert after == pytest.approx(before, rel=1e-3)


def test_the_opposite_sign_turns_the_phase_of_grey_and_the_hue_of_coloured_filters():
    grey = make()
    before, after = tune_one(grey), tune_one(-grey)
    assert before.hue is None and after.hue is None
    assert apart(after.gabor.phase, before.gabor.phase + 180, 360) < 0.1
    spot = make(colour=tuple(hue_direction(200)), phase=0.0, frequency=0.1)
    before, after = tune_one(spot), tune_one(-spot)
    assert before.hue == pytest.approx(200)
    assert after.hue == pytest.approx(20)
    assert apart(after.gabor.phase, before.gabor.phase, 360) < 0.1
    for tuning in (before, after):
        assert tuning.gabor.phase == pytest.approx(0, abs=3)


@pytest.mark.parametrize("hue", [0, 60, 120, 180, 240, 300, 350])
def test_hues(hue):
    spot = make(colour=tuple(hue_direction(hue)), phase=0.0, frequency=0.1)
    tuning = tune_one(spot)
    assert tuning.colour == pytest.approx(1)
    assert apart(tuning.hue, hue, 360) < 1e-6
    colour = np.array(tuning.gabor.colour)
    np.testing.assert_allclose(colour / np.linalg.norm(colour), hue_direction(hue), atol=1e-6)
    assert tune_one(spot[:, ::-1], "BGR") == tuning


def test_primary_colours_have_the_hues_of_their_names():
    for channel, hue in enumerate((0, 120, 240)):
        pure = np.zeros((1, 3, 7, 7))
        pure[0, channel] = make(size=7, y=3.0, x=3.0)[0, 0]
        tuning = tune_one(pure)
        assert tuning.colour == pytest.approx(2 / 3)
        assert apart(tuning.hue, hue, 360) < 90
        assert apart(tuning.hue % 180, hue % 180, 180) < 1e-6


def test_shares_of_energy():
    weights = make() + 0.1
    tuning = tune_one(weights)
    energy = (weights**2).sum()
    assert tuning.colour == pytest.approx(0, abs=1e-12)
    assert tuning.uniform == pytest.approx(0.1**2 * weights.size / energy)
    assert tuning.norm == pytest.approx(math.sqrt(energy))
    # What is uniform is left out of everything else.
    assert tuning.orientation == pytest.approx(tune_one(make()).orientation)
    assert tuning.gabor.explained > 0.999


def test_how_much_a_gabor_function_explains():
    noise = np.random.default_rng(0).normal(size=(1, 3, SIZE, SIZE))
    noise -= noise.mean(axis=(2, 3), keepdims=True)
    assert tune_one(noise).gabor.explained < 0.3
    clean = make()
    noise *= np.linalg.norm(clean) / np.linalg.norm(noise)
    # Half of the variance is noise, of which eight parameters can fit little.
    assert tune_one(clean + noise).gabor.explained == pytest.approx(0.5, abs=0.1)
    weights = clean + noise
    gabor = tune_one(weights).gabor
    pattern = weights[0] - weights[0].mean(axis=(1, 2), keepdims=True)
    left = pattern / np.abs(weights).max() - gabor.draw(SIZE, SIZE)
    share = 1 - (left**2).sum() / (pattern**2).sum() * np.abs(weights).max() ** 2
    assert gabor.explained == pytest.approx(share)


def test_bandwidths_are_at_half_the_amplitude_of_the_spectrum():
    """The spectrum of a wide Gabor function, computed on a large grid."""
    gabor = Gabor(1.0, 90.0, 0.2, 0.0, 60.0, 60.0, 4.0, 3.0, (1.0, 0.0, 0.0))
    spectrum = np.abs(np.fft.fft2(gabor.draw(121, 121)[0], (1024, 1024)))
    along, across = spectrum[0, :512], spectrum[:512, round(0.2 * 1024)]
    inside = np.flatnonzero(along > along.max() / 2) / 1024
    assert gabor.frequency_bandwidth == pytest.approx(np.log2(inside[-1] / inside[0]), abs=0.03)
    half = np.flatnonzero(across > across.max() / 2)[-1] / 1024
    assert gabor.orientation_bandwidth == pytest.approx(
        2 * np.degrees(np.arctan(half / 0.2)), abs=0.6
    )
    wide = Gabor(1.0, 90.0, 0.05, 0.0, 5.0, 5.0, 2.0, 2.0, (1.0, 0.0, 0.0))
    assert wide.frequency_bandwidth is None


def test_dead_constant_and_symmetric_filters():
    dead = tune_one(np.zeros((1, 3, SIZE, SIZE)))
    assert dead.numbers() == {**dict.fromkeys(dead.numbers()), "norm": 0.0}
    weights = np.ones((1, 3, SIZE, SIZE)) * np.array([0.3, 0.1, 0.1])[:, np.newaxis, np.newaxis]
    constant = tune_one(weights)
    assert constant.uniform == pytest.approx(1) and constant.gabor is None
    assert [constant.orientation, constant.selectivity, constant.frequency] == [None] * 3
    y, x = np.mgrid[:SIZE, :SIZE] - 5.0
    spot = np.exp(-(x**2 + y**2) / 4) - 0.5 * np.exp(-(x**2 + y**2) / 8)
    symmetric = tune_one(np.tile(spot, (1, 3, 1, 1)))
    assert symmetric.orientation is None
    assert symmetric.selectivity == pytest.approx(0, abs=1e-6)
    assert symmetric.frequency > 0.05
    checks = tune_one(np.tile((-1.0) ** (x + y), (1, 3, 1, 1)))
    assert checks.orientation is None and checks.selectivity < 0.05


def test_random_filters_are_not_oriented():
    for size, most in ((5, 0.3), (11, 0.2)):
        noise = np.random.default_rng(1).normal(size=(60, 3, size, size))
        selectivities = [each.selectivity for each in _without_gabor(noise)]
        assert np.quantile(selectivities, 0.95) < most


def _without_gabor(weights):
    """Tune only what a fit does not need, which takes most of the time."""
    from cnnvis.activations.tuning import _best_grating

    class Selectivity:
        def __init__(self, filter):
            self.selectivity = _best_grating(filter - filter.mean(axis=(1, 2), keepdims=True))[0]

    return [Selectivity(each) for each in weights]


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 6), (5, 7)])
def test_small_kernels(kernel):
    weights = np.random.default_rng(0).normal(size=(2, 3, *kernel))
    for tuning in tune(weights):
        assert (tuning.frequency is None) == (min(kernel) < LEAST_KERNEL)
        assert (tuning.gabor is None) == (min(kernel) < GABOR_KERNEL)
        assert tuning.colour is not None
    assert (LEAST_KERNEL, GABOR_KERNEL) == (tables.LEAST_KERNEL, tables.SHOWN_KERNEL)


@pytest.fixture(scope="module")
def caffenet():
    return read_caffemodel(REFERENCE)["conv1"][0]


@pytest.fixture(scope="module")
def tuned(caffenet):
    return tune(caffenet)


def test_filters_of_caffenet_are_recognised(caffenet):
    assert caffenet_error(caffenet) == pytest.approx(0, abs=1e-7)
    assert caffenet_error(0.03 * caffenet[:, ::-1], "RGB") == pytest.approx(0, abs=1e-6)
    # The two that are not determined may be any.
    other = caffenet.copy()
    other[[57, 89]] = 1
    assert caffenet_error(other) == pytest.approx(0, abs=1e-6)
    assert caffenet_error(-caffenet) > 0.9
    other = caffenet.copy()
    other[NAMED_MAPS["Vertical edge detection"]] *= 2
    assert caffenet_error(other) > 0.4
    assert caffenet_error(np.roll(caffenet, 1, axis=0)) > 0.9
    assert caffenet_error(np.zeros_like(caffenet)) == np.inf
    assert caffenet_error(caffenet[:64]) is None


def test_the_three_filters_of_the_study(tuned):
    """What the page says of them: filter 2 is no vertical edge by its weights, 25 is a bar."""
    vertical, horizontal = (
        tuned[NAMED_MAPS[f"{name} edge detection"]] for name in ("Vertical", "Horizontal")
    )
    area = tuned[NAMED_MAPS["Foreground-background separation"]]
    assert vertical.vertical_edge == pytest.approx(0.54, abs=0.01)
    assert vertical.horizontal_edge == pytest.approx(0.62, abs=0.01)
    assert horizontal.horizontal_edge > 5 * horizontal.vertical_edge
    assert apart(horizontal.orientation, 15, 180) < 2
    assert area.uniform == pytest.approx(0.83, abs=0.01)
    assert apart(area.hue, 120, 360) < 5


def test_filters_tuned_to_edges_are_oriented_and_match_edges_across_less(caffenet, tuned):
    tuning = LayerTuning("conv1", "net", caffenet, "BGR", tuned, None)
    assert tuning.strongest("vertical") == [3, 26, 33]
    assert tuning.strongest("horizontal") == [6, 44, 2]
    corner = np.zeros((1, 3, 6, 6))
    corner[..., :3, :3] = 1  # as much an edge of one direction as of the other
    alike = LayerTuning("conv1", "net", corner, "RGB", tune(corner, "RGB"), None)
    assert alike.strongest("vertical") == alike.strongest("horizontal") == []


def test_caffenet_is_tuned_as_its_picture_shows(tuned):
    assert sum(each.hue is not None for each in tuned[:48]) == 1
    assert sum(each.hue is not None for each in tuned[48:]) > 30
    assert apart(tuned[21].orientation, 90, 180) < 2 and tuned[21].selectivity > 0.95
    assert apart(tuned[38].orientation, 177, 180) < 3
    assert tuned[83].orientation is None and apart(tuned[83].hue, 117, 360) < 5
    assert np.median([each.gabor.explained for each in tuned]) > 0.9


def make_layer(folder, weights):
    (folder / "net.prototxt").write_text(PROTOTXT.format(len(weights), weights.shape[2]))
    write_caffemodel(folder / "net.caffemodel", {"a/conv": [weights.astype(np.float32)]})
    model = Model(str(folder / "net.prototxt"), str(folder / "net.caffemodel"), "conv")
    return make_layer_tuning(Places(folder, network="net"), model, layer="a/conv", network="net")


def test_files(tmp_path):
    weights = np.concatenate([make(), make(orientation=90.0), np.zeros((1, 3, SIZE, SIZE))])
    tuning = make_layer(tmp_path, weights)
    folder = tmp_path / "net" / "tuning"
    summary = json.loads((folder / "a-conv.json").read_text())
    assert summary["study"] is None and summary["layer"] == "a/conv"
    assert summary["edges"] == {"vertical": [1], "horizontal": [0]}
    assert [each["orientation"] for each in summary["filters"]][2] is None
    rows = (folder / "a-conv.csv").read_text().splitlines()
    assert rows[0].startswith("filter,norm,colour,hue,")
    assert rows[3] == "2,0.0" + "," * (rows[0].count(",") - 1)
    assert tuning.ranking("selectivity").keys() == {0, 1}
    with Image.open(folder / "a-conv.png") as picture:
        assert "2 of the 3 filters" in picture.info["Description"]
        assert "Of 1 filters neither is defined" in picture.info["Description"]


def test_pictures_of_a_filter_and_of_its_gabor_function(tmp_path):
    weights = make(colour=(0.0, 0.5, 1.0)) + 0.05
    tuning = make_layer(tmp_path, weights[:, ::-1])
    colours, fitted = tuning.pictures(0)
    np.testing.assert_allclose(
        colours, 0.5 + 0.5 * (weights[0] / np.abs(weights).max()).transpose(1, 2, 0), atol=1e-6
    )
    np.testing.assert_allclose(fitted, colours, atol=0.01)
    assert make_layer(tmp_path, np.zeros((1, 3, SIZE, SIZE))).pictures(0)[1] is None


def test_a_layer_without_anything_to_draw(tmp_path):
    draw_tuning(tmp_path / "x.png", tune(np.zeros((2, 3, 5, 5))), layer="conv1", network="n")
    assert (tmp_path / "x.png").is_file()


def test_the_study_is_named_for_caffenet_alone(tmp_path, caffenet, monkeypatch):
    monkeypatch.setattr(
        layer_tuning, "tune", lambda weights, order: tune(np.zeros_like(weights), order)
    )
    assert make_layer(tmp_path, 3 * caffenet).is_caffenet
    assert json.loads((tmp_path / "net/tuning/a-conv.json").read_text())["study"] == NAMED_MAPS
    assert not make_layer(tmp_path, np.roll(caffenet, 1, axis=0)).is_caffenet
