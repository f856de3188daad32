import doctest
import hashlib
from pathlib import Path

import numpy as np
import pytest

from cnnvis.gradients import volumes
from cnnvis.gradients.volumes import CHANNELS, SUMMED, sum_channels

STUDY = Path(__file__).parents[3] / "shared" / "study" / "gradients"
# Of gradient/Persian_1.vox in the study's repository, at its commit 118ea62.
PERSIAN = "002a9d75c19f79976ea49b216f25b8ee581a301fb67b963eac53b82146d1ecde"
# Two filters with two channels of 1 x 3.
TENSOR = np.array([[[[1, 2, 3]], [[10, -2, 4]]], [[[0, 0, 0]], [[-5, 0, 1]]]], np.float32)


def test_examples():
    assert doctest.testmod(volumes, extraglobs={"np": np}) == (0, 1)


def test_channels_are_summed_and_scaled_from_the_least_sum_to_the_largest():
    assert SUMMED.arrange(TENSOR).tolist() == [[[11, 0, 7]], [[-5, 0, 1]]]
    # 16 from -5 to 11: 5, 12 and 6 sixteenths of 255 are 79.7, 191.25 and 95.6.
    assert SUMMED.voxels(TENSOR).tolist() == [[[255, 80, 191]], [[0, 80, 96]]]


def test_channels_are_tiles_and_zero_is_in_the_middle():
    assert CHANNELS.arrange(TENSOR)[0].tolist() == [[1, 2, 3, 10, -2, 4]]
    # 127.5 + 12.75 * value, halves to even.
    assert CHANNELS.voxels(TENSOR)[1].tolist() == [[128, 128, 128, 64, 128, 140]]


def test_weights_of_an_inner_product_are_single_values():
    weights = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, -7.0]])
    assert SUMMED.arrange(weights).tolist() == [[[7]], [[-7]]]
    assert SUMMED.voxels(weights).tolist() == [[[255]], [[0]]]
    assert CHANNELS.arrange(weights).shape == (2, 1, 3)


@pytest.mark.skipif(not STUDY.exists(), reason="the study's published gradients are not here")
def test_the_study_s_volume_comes_out_of_its_gradient():
    sums = sum_channels(np.load(STUDY / "Persian_1.npy"))
    assert sums.shape == (96, 11, 11)
    # The published volume was scaled to 0..1 before it was rounded, and not to 0..255.
    shares = (sums - sums.min()) / (sums.max() - sums.min())
    assert hashlib.sha256(np.rint(shares).astype(np.uint8).tobytes()).hexdigest() == PERSIAN
