"""The study's error rates beside a run's."""

import pytest

from cnnvis.importance.study_results import beside_study

ERRORS = {"before": 0.1, "least": 0.2, "most": 0.3}
TABLE = {case: {"error_top1": error} for case, error in ERRORS.items()}


def summary(sweep):
    return {"table": TABLE, "study_sweep": sweep}


def test_the_reports_table_and_the_ends_of_its_curves():
    sweep = [step / 100 for step in range(101)]
    persian = beside_study("n02123394", summary(sweep))
    assert [(row["study"], row["here"]) for row in persian] == [
        (0.105, 0.1),
        (0.105, 0.2),
        (0.14, 0.3),
        (0.105, 0),
        (0.77, 0.3),
    ]
    pembroke = beside_study("n02113023", summary(sweep))
    assert [row["study"] for row in pembroke] == [0.0939, 0.0883, 0.1546]
    tabby = beside_study("n02123045", summary(sweep))
    assert [(row["study"], row["here"]) for row in tabby] == [(0.09, 0), (1, 0.16)]
    assert "below 0.16" in tabby[1]["what"]


def test_a_sweep_that_was_not_made_has_no_number():
    assert [row["here"] for row in beside_study("n02123045", summary([]))] == [None, None]


@pytest.mark.parametrize("synset", [None, "n02085620"])
def test_other_classes_are_not_the_studys(synset):
    assert beside_study(synset, summary([])) == []
