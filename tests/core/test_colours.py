import doctest

import numpy as np
import pytest
from matplotlib import colormaps

from cnnvis.core import colours
from cnnvis.core.colours import Colours


@pytest.mark.parametrize("name", sorted(colours.encoded_tables().keys() - {"ice and fire"}))
def test_colour_maps_are_matplotlib_s_to_the_byte(name):
    expected = np.rint(255 * colormaps[name](range(256))[:, :3]).astype(np.uint8)
    assert np.array_equal(colours.table(name), expected)


def test_ice_and_fire_is_interpolated_between_five_colours():
    ends_and_middle = [
        [184, 237, 255],
        [31, 128, 255],
        [10, 10, 15],
        [255, 92, 26],
        [255, 230, 140],
    ]
    channels = np.array(ends_and_middle).T
    line = [np.interp(range(256), np.linspace(0, 255, 5), channel) for channel in channels]
    assert np.abs(colours.table("ice and fire") - np.transpose(line)).max() <= 1


def test_pixels_by_hand():
    pixels = Colours("gray", 0, 1).pixels(np.array([[0.0, 1.0, np.nan, 2.0, -1.0, np.inf]]))
    assert pixels[0, :, 0].tolist() == [0, 255, 255, 255, 0, 255]
    assert Colours("RdBu_r", -3, 3).pixels(np.array([0.0])).min() > 240  # nearly white


def test_every_value_has_the_colour_that_matplotlib_gives_it():
    values = np.random.default_rng(0).normal(size=1000)
    expected = np.rint(255 * colormaps["viridis"]((values + 1) / 3)[:, :3])
    assert np.abs(Colours("viridis", -1.0, 2.0).pixels(values) - expected).max() <= 2


def test_examples():
    assert doctest.testmod(colours) == (0, 1)
