import doctest

import numpy as np
import pytest

from cnnvis.activations import volumes
from cnnvis.core.errors import UserError


@pytest.mark.parametrize(
    ("rule", "percentile", "expected"),
    [
        ("positive", 0, [0, 0, 255, 255, 255]),
        (2, 0, [0, 0, 0, 255, 255]),
        (-2.5, 0, [255, 255, 255, 255, 255]),
        ("percentile", 50, [0, 0, 0, 255, 255]),
        ("percentile", 100, [0, 0, 0, 0, 0]),
        ("otsu", 0, [0, 0, 0, 0, 255]),
    ],
)
def test_binary_by_hand(rule, percentile, expected):
    values = np.array([-1.0, 0.0, 1.0, 3.0, 100.0])
    assert volumes.to_binary(values, rule, percentile).tolist() == expected


@pytest.mark.parametrize("rule", ["median", True, None, float("nan"), [1]])
def test_an_unknown_rule_is_named(rule):
    with pytest.raises(UserError, match="expected positive, otsu, percentile or a number"):
        volumes.to_binary(np.ones(3), rule)


@pytest.mark.parametrize("percentile", [-1, 100.5])
def test_a_percentile_is_between_0_and_100(percentile):
    with pytest.raises(UserError, match=f"percentile {percentile} is not between"):
        volumes.to_binary(np.ones(3), "percentile", percentile)


def test_examples():
    assert doctest.testmod(volumes) == (0, 1)
