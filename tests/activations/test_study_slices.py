"""The study's algorithms for slices, by hand and against the pictures that the authors published.

A row of a picture counts as the same where every pixel is within one grey level of ours: the
table of greys of 2016 rounded down.
"""

import doctest

import numpy as np
import pytest

from cnnvis.activations import study_slices
from cnnvis.activations.slices import cluster_rows
from cnnvis.activations.study_slices import (
    cluster_as_scipy_2016,
    draw_as_study,
    order_by_standardised_pca,
)
from cnnvis.checks.screenshots import read_screenshot
from cnnvis.core.colours import Colours
from tests.conftest import ROOT

STUDY = ROOT.parent / "shared" / "study"
needs_study = pytest.mark.skipif(
    not STUDY.is_dir(), reason="../shared/study (the study's published files) is not here"
)


@pytest.fixture(scope="module")
def published():
    """The slice that the study shows, scaled to 0..1 over the layer."""
    maps = np.load(STUDY / "activations" / "conv1_cat_scaled255.npy").astype(float)
    return (maps[:, 15] - maps.min()) / (maps.max() - maps.min())


def same_rows(lines, name, high=1.0):
    """Return how many rows of an array are those of a published picture."""
    picture = read_screenshot(STUDY / "figures" / f"{name}.png", *lines.shape)
    grey = Colours("gray", 0, high).pixels(lines)[..., 0].astype(int)
    return int((np.abs(grey - picture) <= 1).all(axis=1).sum())


@needs_study
def test_the_published_picture_of_pca_comes_out_row_by_row(published):
    permutation, numbers = order_by_standardised_pca(published)
    lines = published[permutation]
    assert same_rows(lines, "pca_slices", lines.max()) == 96
    assert same_rows(lines[::-1], "pca_slices", lines.max()) < 5
    assert np.array_equal(np.argsort(numbers["projections"]), permutation)


@needs_study
@pytest.mark.parametrize(
    ("k", "sizes"), [(3, [1, 74, 21]), (7, [6, 9, 66, 1, 1, 4, 9])], ids=["k=3", "k=7"]
)
def test_the_published_pictures_of_kmeans_come_out_row_by_row(published, k, sizes):
    labels, _ = cluster_as_scipy_2016(published, k)
    assert np.bincount(labels).tolist() == sizes
    lines = draw_as_study(published, np.argsort(labels, kind="stable"), sizes)
    assert same_rows(lines, f"kmeans{k}") == 96


# The pictures "10 Means" and "20X5 Means" of the report have no bars. Their rows were identified by
# their pixels, each of them clearly; these are the filters from top to bottom, and of the second
# picture the 19 clusters that are seen in it (its last three lines repeat the rows 28, 30 and 31).
TEN_MEANS = """
28 30 31 65 85 2 26 33 75 3 44 34 74 10 51 55 62 72 84 7 8 15 43 70 76 81 86 95 83 0 1 9 11 12 13 14
16 17 18 19 20 21 22 23 24 27 32 36 37 38 39 40 41 42 45 46 47 48 49 50 52 53 54 56 57 58 59 60 61
63 64 66 67 68 69 71 73 77 78 79 80 82 87 88 89 90 91 92 93 94 4 5 6 25 29 35
"""
TWENTY_MEANS = """
85 | 44 | 65 | 28 30 31 | 16 21 40 46 66 81 86 | 0 1 9 11 12 13 14 17 18 19 20 22 23 24 32 36 37 38
39 41 42 47 48 49 50 52 53 54 56 57 58 59 61 63 67 68 78 79 88 89 90 92 94 | 43 | 45 60 64 69 71 73
77 80 82 87 93 | 74 | 5 6 25 34 | 4 27 35 91 | 7 15 70 76 95 | 8 | 10 51 55 62 84 | 29 | 83 |
2 26 33 75 | 3 | 72
"""


@needs_study
def test_the_pictures_of_the_report_come_out_row_by_row(published):
    labels, _ = cluster_as_scipy_2016(published, 10)
    assert np.argsort(labels, kind="stable").tolist() == [int(row) for row in TEN_MEANS.split()]
    slices = {"method": "study", "seed": 123, "starts": 1000, "cluster_order": "labels"}
    permutation, numbers = cluster_rows(published, "20x5", slices)
    assert permutation.tolist() == [int(row) for row in TWENTY_MEANS.replace("|", "").split()]
    assert numbers["sizes"] == [3, 86, 1, 4, 2] and len(set(numbers["parts"])) == 19


def test_standardised_pca_by_hand():
    """Both columns vary alike once each has a standard deviation of 1; the third does not vary."""
    rows = np.array([[3, 300, 7], [1, 100, 7], [2, 200, 7]], float)
    permutation, numbers = order_by_standardised_pca(rows)
    assert permutation.tolist() == [1, 2, 0]
    # In standard deviations, rows are +-1.5 ** 0.5 in two columns: 3 ** 0.5 along the diagonal.
    first, second, third = numbers["projections"]
    assert (first - third, second - third) == pytest.approx((3**0.5, -(3**0.5)), abs=1e-4)
    assert numbers["explained_variance"][0] == 1


def test_the_scale_of_a_column_does_not_matter_to_standardised_pca():
    rows = np.random.default_rng(0).uniform(size=(9, 5))
    first, _ = order_by_standardised_pca(rows)
    again, _ = order_by_standardised_pca(rows * [1, 100, 1e-3, 7, 3])
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_rows_keep_their_order(value):
    permutation, numbers = order_by_standardised_pca(np.full((5, 3), value))
    assert permutation.tolist() == list(range(5))
    assert len(set(numbers["projections"])) == 1
    labels, distance = cluster_as_scipy_2016(np.full((5, 3), value), 2, starts=3)
    assert (labels.tolist(), distance) == ([0] * 5, pytest.approx(0, abs=1e-12))


def test_one_start_of_kmeans_by_hand():
    """Drawn are rows 2 and 0: of the centroids 0.7 and 0 only the second moves, to the mean 0.1."""
    rows = np.array([[0.0], [0.1], [0.7], [0.2]])
    assert np.random.RandomState(9).randint(0, 4, 2).tolist() == [2, 0]
    labels, distance = cluster_as_scipy_2016(rows, 2, seed=9, starts=1)
    assert labels.tolist() == [1, 1, 0, 1]
    assert distance == pytest.approx((0.1 + 0 + 0 + 0.1) / 4)


def test_a_centroid_without_members_is_dropped():
    """The same row, drawn twice, has all its members at the first of the two."""
    seed = next(s for s in range(99) if len(set(np.random.RandomState(s).randint(0, 3, 3))) == 1)
    labels, distance = cluster_as_scipy_2016(np.eye(3), 3, seed=seed, starts=1)
    assert labels.tolist() == [0, 0, 0]
    assert distance == pytest.approx((2 / 3) ** 0.5)


def plain_kmeans(rows, k, seed, starts):
    """SciPy's loop as it stood in 2016, start by start and cluster by cluster."""
    draws, best = np.random.RandomState(seed), np.inf
    for _ in range(starts):
        book, previous, fall = rows[draws.randint(0, len(rows), k)], None, np.inf
        while fall > 1e-5:
            distances = np.linalg.norm(rows[:, np.newaxis] - book, axis=2)
            labels, mean = distances.argmin(axis=1), distances.min(axis=1).mean()
            book = np.array([rows[labels == label].mean(axis=0) for label in np.unique(labels)])
            previous, fall = mean, np.inf if previous is None else previous - mean
        if mean < best * (1 - 1e-9):
            best, winner = mean, book
    return np.linalg.norm(rows[:, np.newaxis] - winner, axis=2).argmin(axis=1), best


@pytest.mark.parametrize("k", [1, 4, 9])
def test_all_starts_at_once_are_the_starts_one_by_one(k, monkeypatch):
    rows = np.random.default_rng(3).uniform(size=(30, 4)) ** 3
    expected, best = plain_kmeans(rows, k, seed=5, starts=60)
    for chunk in (1, 500_000):
        monkeypatch.setattr(study_slices, "CHUNK", chunk)
        labels, distance = cluster_as_scipy_2016(rows, k, seed=5, starts=60)
        assert labels.tolist() == expected.tolist()
        assert distance == pytest.approx(best, abs=1e-12)


def test_a_bar_replaces_the_first_row_of_each_further_cluster():
    values = np.arange(5)[:, np.newaxis] / 10
    drawn = draw_as_study(values, [4, 1, 0, 2, 3], [2, 1, 2])
    assert drawn.ravel().tolist() == [0.4, 0.1, 1, 1, 0.3]
    assert draw_as_study(values, range(5), [5]).tolist() == values.tolist()


def test_examples():
    assert doctest.testmod(study_slices) == (0, 1)
