"""What the hits agree on and the verdict in words, worked out by hand."""

import pytest

from echo2ecg_core.evaluation.agreement import agreement, verdicts
from tests.small_workspace import prediction


def test_agreement_is_the_median_and_the_middle_half_of_what_was_measured():
    rows = agreement(
        [{"lvef": 50}, {"lvef": 60}, {"lvef": 70}, {"lvedv": 100.0}, {}], prediction(61.0).report["phenotypes"]
    )
    lvef, lvedv = rows
    assert (lvef.phenotype.name, lvef.n_measured, lvef.median, lvef.predicted) == ("lvef", 3, 60, 61.0)
    assert (lvef.lower_quartile, lvef.upper_quartile) == (55, 65)
    assert (lvedv.phenotype.name, lvedv.n_measured, lvedv.predicted) == ("lvedv", 1, 139.0)


@pytest.mark.parametrize(
    ("measured", "difference", "words"),
    [
        (63.2, 2, "inside the interval"),
        (71.4, 10, "inside the interval"),  # shown as 71, and the interval ends at 71
        (71.6, 11, "above the interval"),
        (50.4, -11, "below the interval"),
        (None, None, "not measured in this study"),
    ],
)
def test_a_measured_value_is_judged_as_it_is_shown(measured, difference, words):
    given = {} if measured is None else {"lvef": measured}
    row = next(v for v in verdicts(given, prediction(61.0).report["phenotypes"]) if v.phenotype.name == "lvef")
    assert (row.predicted, row.interval, row.difference, row.words) == (61.0, (51.0, 71.0), difference, words)


def test_a_phenotype_the_model_refuses_keeps_its_reason():
    row = next(v for v in verdicts({"ivsd": 0.9}, prediction(61.0).report["phenotypes"]) if v.phenotype.name == "ivsd")
    assert row.measured == 0.9 and row.difference is None and row.words.startswith("No estimate: on test patients")


def test_what_is_neither_predicted_nor_measured_has_no_row():
    assert [v.phenotype.name for v in verdicts({"lvesv": 40.0}, [])] == ["lvesv"]


TR = [{"name": "tr_grade", "value": 0.12, "interval": [0, 1], "reason": None}]


def test_the_median_of_grades_is_a_grade_that_was_measured():
    row = agreement([{"tr_grade": g} for g in (0.0, 0.0, 1.0, 3.0)], TR)[0]
    assert (row.lower_quartile, row.median, row.upper_quartile, row.predicted) == (0, 0, 1, 0.12)


@pytest.mark.parametrize(("grade", "words"), [(1.0, "inside the interval"), (2.0, "above the interval")])
def test_a_measured_grade_is_judged_against_the_interval_and_has_no_difference_from_a_chance(grade, words):
    row = verdicts({"tr_grade": grade}, TR)[0]
    assert (row.measured, row.predicted, row.difference, row.words) == (grade, 0.12, None, words)
