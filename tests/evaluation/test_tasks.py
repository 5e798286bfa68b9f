"""What counts as a finding, written out by hand for single patients."""

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.evaluation.tasks import TASKS
from echo2ecg_core.phenotypes import LVEF_CLASSES, PHENOTYPES

HEALTHY = {
    "lvef": 62,
    "ivsd": 0.9,
    "lvpwd": 0.9,
    "tapse": 2.2,
    "rvsp": 28,
    "lv_mass_index": 80,
    "lavi": 28,
    "lvidd": 4.8,
    "as_grade": 0,
    "ar_grade": 1,
    "mr_grade": 1,
    "tr_grade": 0,
    "sex": "female",
}


def target(name, **changed):
    return TASKS[name].target(pd.DataFrame([HEALTHY | changed]))[0]


@pytest.mark.parametrize(
    ("lvef", "expected"),
    [
        (40, "reduced"),
        (40.4, "reduced"),
        (40.6, "mildly_reduced"),
        (41, "mildly_reduced"),
        (49.4, "mildly_reduced"),
        (49.6, "preserved"),
        (50, "preserved"),
        (72, "preserved"),
    ],
)
def test_lvef_classes_have_the_limits_of_the_universal_definition(lvef, expected):
    assert LVEF_CLASSES[int(target("lvef_class", lvef=lvef))] == expected
    assert target("lvef_le_40", lvef=lvef) == (expected == "reduced")


@pytest.mark.parametrize(
    "name, at_limit, beyond",
    [
        ("rv_dysfunction", {"tapse": 1.7}, {"tapse": 1.69}),
        ("rvsp_ge_45", {"rvsp": 44.9}, {"rvsp": 45}),
        ("wall_ge_1_3", {"ivsd": 1.29, "lvpwd": 1.29}, {"lvpwd": 1.3}),
        ("la_enlargement", {"lavi": 34}, {"lavi": 34.1}),
        ("lv_hypertrophy", {"lv_mass_index": 95}, {"lv_mass_index": 96}),
        ("lv_dilatation", {"lvidd": 5.2}, {"lvidd": 5.3}),
        ("aortic_stenosis", {"as_grade": 1}, {"as_grade": 2}),
        ("mitral_regurgitation", {"mr_grade": 1}, {"mr_grade": 3}),
        ("tricuspid_regurgitation", {"tr_grade": 1}, {"tr_grade": 2}),
        ("aortic_regurgitation", {"ar_grade": 1}, {"ar_grade": 2}),
    ],
)
def test_a_finding_begins_right_beyond_its_limit(name, at_limit, beyond):
    assert target(name, **at_limit) == 0 and target(name, **beyond) == 1


def test_limits_differ_by_sex_and_without_sex_count_only_where_both_agree():
    assert (
        target("lv_hypertrophy", lv_mass_index=100, sex="male") == 0
        and target("lv_hypertrophy", lv_mass_index=100) == 1
    )
    assert np.isnan(target("lv_hypertrophy", lv_mass_index=100, sex=None))
    assert (
        target("lv_hypertrophy", lv_mass_index=90, sex=None) == 0
        and target("lv_hypertrophy", lv_mass_index=120, sex=None) == 1
    )


@pytest.mark.parametrize(
    "finding",
    [
        {"lvef": 45.4},
        {"ivsd": 1.3},
        {"as_grade": 2},
        {"ar_grade": 2},
        {"mr_grade": 2},
        {"tr_grade": 2},
        {"tapse": 1.6},
        {"rvsp": 45},
    ],
)
def test_any_one_finding_makes_structural_heart_disease(finding):
    assert target("structural_heart_disease") == 0 and target("structural_heart_disease", **finding) == 1


def test_structural_heart_disease_is_certain_with_one_finding_and_absent_only_when_all_is_known():
    assert np.isnan(target("structural_heart_disease", tr_grade=np.nan))
    assert target("structural_heart_disease", tr_grade=np.nan, lvef=30) == 1
    only_lvef = pd.DataFrame({"lvef": [30.0, 60.0, np.nan]})
    np.testing.assert_array_equal(TASKS["structural_heart_disease"].target(only_lvef), [1, np.nan, np.nan])


def test_every_measured_phenotype_is_asked_for_and_nothing_is_known_of_an_empty_table():
    numbers = {name for name, p in PHENOTYPES.items() if p.kind == "number"}
    assert numbers == {name for name, task in TASKS.items() if task.kind == "regression"}
    for name, task in TASKS.items():
        assert task.name == name and task.label and task.source and task.definition.endswith(".")
        assert np.isnan(task.target(pd.DataFrame(index=range(2)))).all(), name
