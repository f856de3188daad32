import doctest

import numpy as np
import pytest

from cnnvis.activations import volumes


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


FAR, NEAR = [-3e38, 1e38], [16777216, 16777218]


@pytest.mark.parametrize(
    ("rule", "values"), [("otsu", FAR), ("percentile", FAR), ("otsu", NEAR), ("otsu", [0, 1e-45])]
)
def test_values_that_float32_cannot_divide_into_bins(rule, values):
    values = np.array(values, np.float32)
    assert volumes.to_binary(values, rule, 50).tolist() == [0, 255]


def test_examples():
    assert doctest.testmod(volumes) == (0, 1)
