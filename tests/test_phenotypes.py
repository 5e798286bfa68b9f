"""The phenotype table against the clinical conventions it quotes."""

import math

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.evaluation.held_out import is_diseased
from echo2ecg_core.evaluation.tasks import TASKS
from echo2ecg_core.phantom.heart import draw_heart
from echo2ecg_core.phenotypes import (
    GRADES,
    PHENOTYPES,
    REDUCED_AT_MOST,
    beyond_reference,
    grade_word,
    written_as,
)


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


@pytest.mark.parametrize("name", [name for name, p in PHENOTYPES.items() if p.reference])
def test_what_is_written_as_a_limit_lies_within_the_range_whatever_stands_behind_the_last_digit(name):
    p = PHENOTYPES[name]
    ends = [end for limits in p.reference.values() for end in limits if end is not None]
    values = [end + part * 10**-p.decimals for end in ends for part in np.arange(-2, 2.01, 0.25)]
    for value in [v for middle in values for v in (math.nextafter(middle, 0), middle, math.nextafter(middle, 999))]:
        written = float(f"{value:.{p.decimals}f}")
        for sex in ("male", "female", None):
            ranges = [p.reference[sex]] if sex else p.reference.values()
            above = all(high is not None and written > high for _, high in ranges)
            below = all(low is not None and written < low for low, _ in ranges)
            assert beyond_reference(p, value, sex) == ("above" if above else "below" if below else "")


@pytest.mark.parametrize("lvef", [39.5, 40.0, 40.49, 40.5, math.nextafter(40.5, 99), 40.51, 41.0, 41.5])
def test_a_reduced_lvef_is_one_that_is_written_as_at_most_40_wherever_it_is_counted(lvef):
    is_reduced, table = int(f"{lvef:.0f}") <= 40, pd.DataFrame({"lvef": [lvef], "sex": ["male"]})
    assert is_diseased("lvef", np.array([lvef]))[0] == is_reduced == (lvef <= REDUCED_AT_MOST)
    assert (
        TASKS["lvef_le_40"].target(table)[0] == is_reduced and (TASKS["lvef_class"].target(table)[0] == 0) == is_reduced
    )


def test_the_numbers_that_are_written_alike_are_told_by_their_ends():
    assert written_as(40, 0) == (39.5, 40.5) and written_as(54, 0) == (53.5, 54.5)
    for value, decimals in ((41, 0), (0.9, 1), (1.7, 1), (5.2, 1), (1.0, 2)):
        low, high = written_as(value, decimals)
        assert round(low, decimals) == value == round(high, decimals)
        assert round(math.nextafter(low, 0), decimals) < value < round(math.nextafter(high, 99), decimals)
