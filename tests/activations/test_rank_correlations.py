import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cnnvis.activations import rank_correlations
from cnnvis.activations.rank_correlations import CORRELATIONS, correlate, kendall, spearman

SCIPY = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 30), ties=st.booleans())
def test_they_are_those_of_scipy_with_ties_too(seed, count, ties):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 4, (3, count)) if ties else rng.normal(size=(3, count))
    rows[:, :2] = [0, 1]
    for kind, function in CORRELATIONS.items():
        table = function(rows)
        for one in range(3):
            for other in range(3):
                expected = SCIPY[kind](rows[one], rows[other]).statistic
                assert table[one, other] == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    assert spearman([[0, 1, 2], [0, 2, 1], [2, 1, 0]]).tolist() == pytest.approx(
        np.array([[1, 0.5, -1], [0.5, 1, -0.5], [-1, -0.5, 1]])
    )
    third = 1 / 3
    assert kendall([[0, 1, 2], [0, 2, 1], [2, 1, 0]]) == pytest.approx(
        np.array([[1, third, -1], [third, 1, -third], [-1, -third, 1]])
    )


@pytest.mark.parametrize("row", [[3.0, 3.0, 3.0], [1.0]])
def test_equal_values_have_no_order(row):
    for function in CORRELATIONS.values():
        assert np.isnan(function([row, range(len(row))])[0, 1])
    assert correlate(row, range(len(row))) == {"spearman": None, "kendall": None}


def test_correlate_is_ready_for_json():
    assert correlate([0, 1, 2], [5, 6, 9]) == {"spearman": 1.0, "kendall": 1.0}


def test_examples():
    failed, tried = doctest.testmod(rank_correlations)
    assert (failed, tried) == (0, 2)
