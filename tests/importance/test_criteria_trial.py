"""Criteria on trial: against scipy, curves by hand, and sentences."""

import csv

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from cnnvis.core.errors import UserError
from cnnvis.importance import bootstrap, criteria_trial
from cnnvis.importance.criteria_trial import (
    LOSS,
    LOSSES,
    ORACLE,
    SIGNED,
    SIZE,
    Trial,
    areas_under,
    correlate,
    losses_of,
    orders_of,
    read_criteria,
    sentence,
)
from cnnvis.importance.filter_criteria import MEASURED, STUDY
from cnnvis.importance.filter_effects import EFFECTS

FILTERS, REPLICATES = 12, 40


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    return {
        name: random.standard_normal((REPLICATES + 1, FILTERS)) for name in ("one", "other", "loss")
    }


def test_correlations_are_those_of_scipy_with_percentiles_of_the_replicates(rows):
    loss = {"loss": rows.pop("loss")}
    rows["other"][3] = np.nan
    found = correlate(rows, loss)
    kept = [place for place in range(1, REPLICATES + 1) if place != 3]
    for name, values in rows.items():
        for kind, function in (("spearman", spearmanr), ("kendall", kendalltau)):
            entry = found[name]["loss"][kind]
            expected = function(values[0], loss["loss"][0]).statistic
            assert entry["value"] == pytest.approx(expected, rel=1e-5)
            replicates = [function(values[i], loss["loss"][i]).statistic for i in kept]
            ends = np.percentile(replicates, bootstrap.ENDS)
            assert entry["interval"] == pytest.approx(ends, rel=1e-5)


def test_many_filters_have_no_interval_of_kendalls(rows, monkeypatch):
    monkeypatch.setattr(criteria_trial, "MOST_FILTERS", FILTERS - 1)
    entry = correlate({"one": rows["one"]}, {"loss": rows["loss"]})["one"]["loss"]
    assert entry["kendall"]["interval"] is None and entry["spearman"]["interval"]


def test_filters_that_all_score_the_same_correlate_with_nothing(rows):
    flat = {"flat": np.ones((REPLICATES + 1, FILTERS))}
    entry = correlate(flat, {"loss": rows["loss"]})["flat"]["loss"]
    assert entry["spearman"] == {"value": None, "interval": None}


def test_losses_grow_with_what_the_class_loses():
    effects = np.zeros((1, len(EFFECTS), 3))
    effects[0, EFFECTS.index("probability")] = [0.8, 0.9, 0.5]
    effects[0, EFFECTS.index("error_top1")] = [0.1, 0.1, 0.4]
    effects[0, EFFECTS.index("change")] = [0, 0.2, 0.7]
    losses = losses_of(effects)
    assert list(losses) == list(LOSSES)
    np.testing.assert_allclose(losses["probability"], [[-0.1, 0.3]])
    np.testing.assert_allclose(losses["error_top1"], [[0, 0.3]])
    np.testing.assert_allclose(losses["change"], [[0.2, 0.7]])


def test_areas_are_on_a_scale_from_the_oracle_to_random_orders():
    curves = {
        ORACLE: {0: 1.0, 2: 1.0, 4: 0.0},
        "random": {0: 1.0, 2: 0.0, 4: 0.0},
        "one": {0: 1.0, 2: 0.5, 4: 0.0},
    }
    found = areas_under(curves, 4)
    assert {name: entry["area"] for name, entry in found.items()} == {
        **{ORACLE: 0.75, "random": 0.25},
        "one": 0.5,
    }
    assert [found[name]["relative"] for name in curves] == [0, 1, 0.5]
    # Of a sweep that ends before all filters are gone, the mean height up to there.
    assert areas_under({name: {0: 1.0, 1: 0.5} for name in curves}, 4)["one"] == {
        **{"area": 0.75, "relative": None},
    }


@pytest.fixture
def importance_npz(tmp_path):
    random, groups = np.random.default_rng(1), np.array([4.0, 5.0, 0.0])
    sums = random.random((3, len(MEASURED), 5)) * groups[:, None, None]
    np.savez(tmp_path / "i.npz", **{"c/criteria": sums, "groups": groups})
    return tmp_path / "i.npz", sums


def test_criteria_are_means_and_those_of_weights_do_not_vary(importance_npz):
    path, sums = importance_npz
    weights, areas = np.arange(10.0).reshape(5, 2) - 4, np.linspace(0, 1, 5)
    criteria = read_criteria(path, "c", [weights], areas)
    assert list(criteria) == [*MEASURED, "weight_l1", "weight_l2", "selectivity", "random"]
    np.testing.assert_allclose(criteria["taylor"][:2], sums[:2, 1] / [[4], [5]])
    assert np.isnan(criteria["taylor"][2]).all()
    np.testing.assert_array_equal(criteria["weight_l1"], [np.abs(weights).sum(axis=1)] * 3)
    np.testing.assert_array_equal(criteria["selectivity"][1], areas)
    assert sorted(criteria["random"][0]) == list(range(5))
    assert "selectivity" not in read_criteria(path, "c", [weights])
    with pytest.raises(UserError, match="no sum 'd/criteria'"):
        read_criteria(path, "d", [weights])


def test_orders_begin_with_the_least_important_filter_and_the_least_loss():
    criteria = {"one": np.array([[3.0, 1.0, 2.0]])}
    losses = {LOSS: np.array([[0.1, -0.5, 0.0]]), SIZE: np.array([[0.1, 0.5, 0.0]])}
    orders = orders_of(criteria, losses)
    assert {name: order.tolist() for name, order in orders.items()} == {
        **{"one": [1, 2, 0], ORACLE: [1, 2, 0]},
    }


def entries(**values):
    """Return rows of criteria, each with its correlation with the size and its interval."""
    return {
        name: {
            "losses": {
                loss: {"spearman": {"value": value, "interval": value and [value - 0.1, value]}}
                for loss in (SIZE, LOSS)
            }
        }
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"taylor": 0.9, STUDY: 0.7, SIGNED: 0.2}, "Of 3 criteria, taylor says best how much the"),
        (
            {"taylor": 0.9, STUDY: 0.7, SIGNED: 0.2},
            "study's gradient_norm is number 2 with 0.7",
        ),
        ({STUDY: 0.7, SIGNED: 0.2}, "0.70 [0.60 to 0.70]): the study's own. Whether the class"),
        ({"taylor": 0.5, STUDY: 0.4, SIGNED: 0.2}, "None of 3 criteria can be trusted to say"),
        ({"taylor": None, STUDY: None, SIGNED: None}, "No filter of conv1 matters more to cats"),
        ({"taylor": 0.9, STUDY: None, SIGNED: 0.2}, "number 2 with no value"),
    ],
)
def test_the_sentence_says_which_criterion_to_trust(values, words):
    assert words in sentence(list(values), entries(**values), "conv1", "cats")


def test_summary_and_table(tmp_path, rows):
    random = np.random.default_rng(2)
    losses = {name: random.random((REPLICATES + 1, FILTERS)) for name in LOSSES}
    criteria = {name: rows["one"] + 1 for name in (STUDY, SIGNED)}
    criteria["true"] = losses[SIZE] * 2
    names = [*criteria, ORACLE, "random"]
    curves = {value: {name: {0: 1.0, 3: 0.5} for name in names} for value in ("probability",)}
    trial = Trial("conv1", "cats", criteria, losses, curves)
    summary = trial.summary()
    assert list(summary["criteria"])[0] == "true"
    assert summary["criteria"]["true"]["losses"][SIZE]["kendall"] == {
        **{"value": 1.0, "interval": [1.0, 1.0]},
    }
    assert (summary["filters"], summary["replicates"]) == (FILTERS, REPLICATES)
    trial.write_table(tmp_path / "t.csv")
    table = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert len(table) == FILTERS
    assert float(table[3]["true"]) == pytest.approx(2 * losses[SIZE][0, 3], rel=1e-5)
    assert float(table[3]["loss_change"]) == pytest.approx(losses[SIZE][0, 3], rel=1e-5)
