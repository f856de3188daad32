"""Which part of a network and of its input a filter's maximisation needs."""

import doctest

import numpy as np
import pytest

from cnnvis.engines.model import Model
from cnnvis.gradients import maximisation_figure, maximised_elements
from cnnvis.gradients.maximised_elements import centre, elements, target_of
from tests.conftest import ROOT
from tests.engines.goldens import GOLDENS, MORE_GOLDENS, difference

NETWORKS = {
    GOLDENS / "caffenet_thin": "fc8",
    GOLDENS / "squeezenet_thin": "pool_final",
    GOLDENS / "conv_zoo": "score",
    MORE_GOLDENS / "googlenet_thin": "fc",
    MORE_GOLDENS / "resnet_thin": "fc",
    MORE_GOLDENS / "fcn_thin": "score",
}


def model_of(stem, score="fc8"):
    return Model(f"{stem}.prototxt", f"{stem}.caffemodel", score)


def convolutions():
    for stem, score in NETWORKS.items():
        model = model_of(stem, score)
        yield from (pytest.param(model, x, id=f"{stem.name}-{x}") for x in model.info.convolutions)


@pytest.mark.parametrize(("model", "layer"), list(convolutions()))
def test_the_part_has_the_value_and_the_gradient_of_the_whole(model, layer):
    """What the layer writes, before ReLU, for an image; and where its input changes it."""
    shape = model.info.input_shape
    image = np.random.default_rng(0).normal(0, 40, (1, *shape)).astype(np.float32)
    with target_of(model, layer) as target, target.model.open(threads=1) as part:
        (top, left, height, width), (down, across) = target.box, target.corner
        rows = slice(top - down, top - down + target.input_shape[1])
        columns = slice(left - across, left - across + target.input_shape[2])
        (number,) = target.elements([1])
        seen = image[:, :, rows, columns]
        assert seen.shape[1:] == target.input_shape
        value, gradient = part.value_and_gradient(seen, target.blob, [number])
    with model.open(threads=1) as network:
        output = network.graph.node(layer).tops[0]
        whole = network.run(network.input_values(image), [output]).whole(output)[0]
        expected = whole[(1, *centre(whole.shape))]
        assert value[0] == pytest.approx(expected, rel=1e-4, abs=1e-5 * float(np.abs(whole).max()))
        # Changing what the picture leaves out, in whichever way, does not change the value.
        other = np.random.default_rng(1).normal(0, 40, image.shape).astype(np.float32)
        other[:, :, top : top + height, left : left + width] = image[
            :, :, top : top + height, left : left + width
        ]
        changed = network.run(network.input_values(other), [output]).whole(output)[0]
        assert changed[(1, *centre(whole.shape))] == pytest.approx(expected, rel=1e-5)
    outside = gradient.copy()
    target.picture(outside)[...] = 0
    assert np.abs(outside).max() <= 1e-6 * np.abs(gradient).max()


@pytest.mark.parametrize(
    ("layer", "size", "at", "box"),
    [
        ("conv1", 11, (0, 0), (108, 108, 11, 11)),
        ("conv2", 51, (2, 2), (88, 88, 51, 51)),
        ("conv5", 163, (4, 4), (32, 32, 163, 163)),
    ],
)
def test_the_network_runs_on_little_more_than_the_receptive_field(layer, size, at, box):
    folder = ROOT / "models" / "photonet"
    model = Model(str(folder / "deploy.prototxt"), str(folder / "photonet.caffemodel"), "fc8")
    with target_of(model, layer) as target:
        found = target.input_shape[1] - target.corner[0], target.at, target.box
    assert found == (size, at, box)


def test_a_field_beyond_the_border_is_seen_in_the_whole_image():
    """Its padding is part of what the filter sees."""
    model = model_of(GOLDENS / "caffenet_thin")
    with target_of(model, "conv5") as target:
        assert target.input_shape == model.info.input_shape
        assert target.at == centre(model.info.convolutions["conv5"].shape)


def test_neurons_see_the_whole_input():
    model = model_of(GOLDENS / "caffenet_thin")
    with target_of(model) as target:
        assert target.elements([0, 7]) == [0, 7]
        assert target.picture(np.zeros(model.info.input_shape)).shape == model.info.input_shape
        assert target.model is model


@pytest.mark.parametrize("module", [maximised_elements, maximisation_figure])
def test_examples(module):
    tested = doctest.testmod(module)
    assert tested.failed == 0
    assert tested.attempted


def test_elements_are_counted_as_arrays_are():
    values = np.arange(3 * 5 * 4).reshape(3, 5, 4)
    assert elements(values.shape, (2, 3), [0, 2]) == [values[0, 2, 3], values[2, 2, 3]]
    assert difference(np.array(elements((3, 1, 1), (0, 0), [2])), np.array([2])) == 0
