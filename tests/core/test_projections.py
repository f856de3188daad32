"""Volumes seen from aside: where voxels are, and which of them are seen."""

import doctest

import numpy as np
import pytest

from cnnvis.core import projections
from cnnvis.core.projections import camera, project

VOLUME = np.random.default_rng(3).normal(size=(4, 5, 6))


def strongest(volume, axis):
    places = np.abs(volume).argmax(axis=axis)
    return np.take_along_axis(volume, np.expand_dims(places, axis), axis).squeeze(axis)


@pytest.mark.parametrize(
    ("turn", "tilt", "expected"),
    [
        (0, 0, strongest(VOLUME, 0)),
        # From the right, the first filter is on the left; from above, it is at the bottom.
        (90, 0, strongest(VOLUME, 2).T),
        (0, 90, strongest(VOLUME, 1)[::-1]),
        (180, 0, strongest(VOLUME, 0)[:, ::-1]),
    ],
)
def test_along_an_axis_it_is_the_strongest_value_of_each_line(turn, tilt, expected):
    picture = project(VOLUME, camera(turn, tilt), 1, 12)
    seen = ~np.isnan(picture)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    shown = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(shown, expected.astype(np.float32))
    # In the middle, to within the half pixel that an odd number of voxels leaves.
    assert abs(rows.mean() - 5.5) <= 0.5 and abs(columns.mean() - 5.5) <= 0.5


@pytest.mark.parametrize("turn", [0, 20, 35, 140])
def test_from_aside_there_are_no_holes_and_nothing_is_cut_off(turn):
    volume = np.ones((20, 11, 13))
    scale, size = 4.0, 140
    picture = project(volume, camera(turn, 24), scale, size)
    seen = ~np.isnan(picture)
    for row in seen[seen.any(axis=1)]:
        assert row[np.argmax(row) : size - np.argmax(row[::-1])].all()
    edges = [seen[0], seen[-1], seen[:, 0], seen[:, -1]]
    assert not np.any(edges)
    # The shadow of a box: the sum of those of its three pairs of faces.
    sides, view = np.array(volume.shape) * scale, camera(turn, 24)
    pairs = ((0, 1), (0, 2), (1, 2))
    area = sum(abs(np.linalg.det(view[:, [i, j]])) * sides[i] * sides[j] for i, j in pairs)
    assert area <= seen.sum() <= 1.1 * area


def test_a_thin_layer_is_no_longer_than_a_box_may_be():
    sides = np.array((384, 13, 13)) * projections.spacing_of((384, 13, 13))
    assert sides[0] == pytest.approx(projections.LONGEST * 13)


def test_the_examples_in_docstrings_hold():
    failed, tried = doctest.testmod(projections)
    assert tried > 0
    assert failed == 0
