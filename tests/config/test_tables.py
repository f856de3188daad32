"""The tables of the workflow, of networks described by hand."""

import pytest

from cnnvis.config.tables import _tuned
from cnnvis.engines.inspection import Convolution, NetworkInfo


def network(channels, *weight_shapes):
    layers = {
        f"block/conv{number}": Convolution(f"conv{number}", (weights[0], 9, 9), weights)
        for number, weights in enumerate(weight_shapes)
    }
    return NetworkInfo((channels, 32, 32), layers, {}, {}, {})


@pytest.mark.parametrize(("kernel", "shown"), [((3, 3), False), ((5, 7), True), ((7, 4), False)])
def test_the_first_convolution_over_three_colours_is_tuned(kernel, shown):
    tuned = _tuned(network(3, (8, 3, *kernel), (8, 3, 9, 9)))
    assert tuned == {"layer": "block-conv0", "name": "block/conv0", "shown": shown}


@pytest.mark.parametrize(
    "info",
    [
        network(3),
        network(3, (8, 3, 1, 1)),
        network(3, (8, 3, 2, 5)),
        network(3, (9, 1, 5, 5)),  # a group for each colour
        network(1, (8, 1, 5, 5), (8, 3, 5, 5)),
        network(6, (8, 3, 5, 5)),
    ],
)
def test_others_are_not(info):
    assert _tuned(info) is None
