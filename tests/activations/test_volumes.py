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


def test_examples():
    assert doctest.testmod(volumes) == (0, 1)
