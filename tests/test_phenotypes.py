"""The phenotype table against the clinical conventions it quotes."""

import numpy as np
import pytest

from echo2ecg_core.phantom.heart import draw_heart
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES, grade_word


def test_every_range_is_drawable_and_every_phenotype_names_its_source():
    for name, phenotype in PHENOTYPES.items():
        assert name == phenotype.name and phenotype.source and phenotype.label and phenotype.axis[0] < phenotype.axis[1]
        for low, high in phenotype.reference.values():
            assert (low is not None or high is not None) and (low is None or high is None or low < high)
            assert all(phenotype.axis[0] <= v <= phenotype.axis[1] for v in (low, high) if v is not None)


def test_ranges_of_men_and_women_are_both_there_or_neither():
    assert all(set(p.reference) in (set(), {"male", "female"}) for p in PHENOTYPES.values())
    assert PHENOTYPES["lvef"].reference == {"male": (52, 72), "female": (54, 74)}
    assert PHENOTYPES["lvsv"].reference == {}  # the guideline gives none


def test_everything_the_phantoms_echo_laboratory_writes_down_has_a_row():
    assert set(draw_heart(np.random.default_rng(0)).labels()) == set(PHENOTYPES)


def test_the_four_valve_grades_are_grades_and_everything_else_is_a_number():
    assert {n for n, p in PHENOTYPES.items() if p.kind == "grade"} == {"as_grade", "ar_grade", "mr_grade", "tr_grade"}
    assert {p.kind for p in PHENOTYPES.values()} == {"number", "grade"}


@pytest.mark.parametrize(
    ("grade", "word"), [(0, "none"), (1.3, "mild"), (1.6, "moderate"), (3.0, "severe"), (-0.4, "none"), (3.9, "severe")]
)
def test_a_grade_is_a_word_and_never_a_decimal(grade, word):
    assert grade_word(grade) == word and word in GRADES
