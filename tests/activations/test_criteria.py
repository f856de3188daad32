import doctest
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnvis.activations import criteria
from cnnvis.activations.criteria import judge

# The example of the tests of R's package seriation (tests/testthat/test-criterion.R), where its
# values are worked out by hand, and the values that it expects.
PACKAGE = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 1, 1]], float)
EXPECTED = {"Path_length": 4, "AR_events": 2, "AR_deviations": 0.504017, "RGAR": 0.25}
EXPECTED_BAR = 21.936


def distances_between(points):
    return np.linalg.norm(points[:, np.newaxis] - points, axis=-1)


def few_values(seed, count):
    """Return distances of which many are equal."""
    return distances_between(np.random.default_rng(seed).integers(0, 3, (count, 2)).astype(float))


def test_the_packages_own_example():
    found = judge(distances_between(PACKAGE), range(4))
    assert found["path_length"]["value"] * 3 == pytest.approx(EXPECTED["Path_length"], rel=1e-5)
    assert found["anti_robinson_events"]["value"] == EXPECTED["RGAR"]
    # Four filters have eight triples.
    assert found["anti_robinson_events"]["value"] * 8 == EXPECTED["AR_events"]
    deviations = found["anti_robinson_deviations"]["value"] * 8
    assert deviations == pytest.approx(EXPECTED["AR_deviations"], rel=1e-5)
    # A band of one is the path.
    assert found["banded"]["value"] == found["path_length"]["value"]


def test_the_packages_own_example_in_a_wider_band(monkeypatch):
    monkeypatch.setattr(criteria, "BAND", 4 / 3)
    found = judge(distances_between(PACKAGE), range(4))
    # The weights are 3 for neighbours, 2 and 1.
    assert found["banded"]["value"] * (3 * 3 + 2 * 2 + 1) == pytest.approx(EXPECTED_BAR, abs=1e-3)


def test_linear_seriation_by_hand():
    # Points 0, 1 and 3 on a line: (1 + 2 + 2 * 3) / 4, against (1 + 2 + 3) / 3 on average.
    found = judge(distances_between(np.array([[0.0], [1.0], [3.0]])), [0, 1, 2])
    assert found["linear_seriation"] == {"value": 2.25, "random": 2.0}
    assert found["path_length"] == {"value": 1.5, "random": 2.0, "natural": 1.5}


def by_definition(distances, permutation):
    """Return the sums of R's package as its formulas say, triple by triple."""
    ordered = distances[np.ix_(permutation, permutation)]
    pairs = list(combinations(range(len(ordered)), 2))
    rises = [
        rise
        for i, j, k in combinations(range(len(ordered)), 3)
        for rise in (ordered[i, j] - ordered[i, k], ordered[k, j] - ordered[k, i])
    ]
    return {
        "path_length": sum(ordered[i, j] for i, j in pairs if j == i + 1),
        "linear_seriation": sum(ordered[i, j] * (j - i) for i, j in pairs),
        "anti_robinson_events": sum(rise > 0 for rise in rises),
        "anti_robinson_deviations": sum(rise for rise in rises if rise > 0),
    }


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(3, 9), equal=st.booleans())
def test_they_are_what_their_definitions_say(seed, count, equal):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    distances = few_values(seed, count) if equal else distances_between(points)
    permutation = rng.permutation(count)
    found, sums = judge(distances, permutation), by_definition(distances, permutation)
    triples = count * (count - 1) * (count - 2) / 3
    wholes = {
        "path_length": count - 1,
        "linear_seriation": (count + 1) * count * (count - 1) / 6,
        "anti_robinson_events": triples,
        "anti_robinson_deviations": triples,
    }
    for name, whole in wholes.items():
        assert found[name]["value"] == pytest.approx(sums[name] / whole, rel=1e-5, abs=1e-9), name
    natural = by_definition(distances, range(count))["path_length"] / (count - 1)
    assert found["path_length"]["natural"] == pytest.approx(natural, rel=1e-5)


@pytest.mark.parametrize("count", [3, 5, 6])
def test_random_is_the_mean_over_all_orders(count):
    distances = few_values(count, count)
    every = [judge(distances, order) for order in permutations(range(count))]
    for name, first in every[0].items():
        assert len({found[name]["random"] for found in every}) == 1
        mean = np.mean([found[name]["value"] for found in every])
        assert mean == pytest.approx(first["random"], rel=1e-4), name


def test_a_line_has_no_events_in_either_direction():
    points = np.sort(np.random.default_rng(3).normal(size=12))[:, np.newaxis]
    distances = distances_between(points)
    forwards, backwards = (judge(distances, order) for order in (range(12), range(11, -1, -1)))
    assert forwards == backwards
    assert forwards["anti_robinson_events"]["value"] == 0
    assert forwards["anti_robinson_deviations"]["value"] == 0
    assert forwards["linear_seriation"]["value"] > forwards["linear_seriation"]["random"]


def test_the_unit_does_not_matter_to_what_is_relative():
    distances = distances_between(np.random.default_rng(4).normal(size=(15, 4)))
    found, scaled = (judge(distances * unit, range(15)) for unit in (1, 1024))
    for name, values in found.items():
        ratio = values["value"] / values["random"]
        assert scaled[name]["value"] / scaled[name]["random"] == pytest.approx(ratio, rel=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_filters_for_a_triple(count):
    distances = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) * 2.0
    found = judge(distances, range(count))
    expected = 0.0 if count == 1 else 2.0
    assert found["path_length"] == dict.fromkeys(("value", "random", "natural"), expected)
    for name in ("anti_robinson_events", "anti_robinson_deviations"):
        assert found[name] == {"value": 0.0, "random": 0.0}


def test_equal_filters():
    found = judge(np.zeros((6, 6)), range(6))
    assert {value for values in found.values() for value in values.values()} == {0.0}


@pytest.mark.parametrize("count", [65, 100, 128, 129])
def test_events_of_more_filters_than_are_counted_at_once(count):
    distances = few_values(0, count)
    right = np.triu(distances)
    rises = [right[:last, :last] > right[:last, last, np.newaxis] for last in range(count)]
    assert criteria._events_right_of_diagonal(distances) == sum(map(np.count_nonzero, rises))


def test_examples():
    assert doctest.testmod(criteria) == (0, 1)
