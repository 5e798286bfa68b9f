"""A group against the rest: deltas counted pair by pair, patients counted once, Holm worked by hand."""

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.evaluation.groups import compare, holm, of_patients


@pytest.fixture
def points():
    rng = np.random.default_rng(4)
    patients = [f"P{i // 2}" for i in range(40)]  # two points a patient
    lvef = np.repeat(np.r_[rng.normal(30, 5, 8), rng.normal(60, 5, 12)], 2)
    return pd.DataFrame(
        {"patient_id": patients, "lvef": lvef, "age_years": np.repeat(rng.normal(60, 9, 20), 2), "empty": np.nan}
    )


def test_delta_is_the_share_of_pairs_above_minus_the_share_below(points):
    inside = np.arange(40) < 16
    row = compare(of_patients(points, ["age_years"]), inside)[0]
    values = points.groupby("patient_id", sort=False).age_years.first().to_numpy()
    group, rest = values[:8], values[8:]
    by_hand = np.mean([np.sign(a - b) for a in group for b in rest])
    assert row.delta == pytest.approx(by_hand) and (row.n_group, row.n_rest) == (8, 12)
    assert row.group[1] == pytest.approx(np.median(group)) and row.rest[1] == pytest.approx(np.median(rest))


def test_a_group_that_lies_wholly_below_has_delta_minus_one_and_a_small_p(points):
    row = compare(of_patients(points, ["lvef", "age_years"]), np.arange(40) < 16)[0]
    assert row.delta == -1 and row.p < 0.001


def test_a_patient_with_one_point_inside_counts_once_and_only_in_the_group(points):
    one_each = np.isin(np.arange(40), [0, 2, 4, 6])
    row = compare(of_patients(points, ["lvef"]), one_each)[0]
    assert (row.n_group, row.n_rest) == (4, 16)


def test_too_few_patients_or_no_value_make_no_row(points):
    assert compare(of_patients(points, ["lvef"]), np.arange(40) < 4) == []
    assert [row.name for row in compare(of_patients(points, ["empty", "lvef"]), np.arange(40) < 16)] == ["lvef"]


def test_holm_steps_down_and_never_falls_back():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []
