"""Numbers, ranges and dates as SCREENS.md writes them, character by character."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.counts import counted, counted_days
from echo2ecg_core.figures.notation import (
    date,
    duration,
    grades_in_words,
    interval,
    length,
    measured,
    measured_range,
    measured_with_unit,
    number,
    observed,
    p_value,
    percent,
    predicted,
    with_unit,
)
from echo2ecg_core.figures.scores import score_value
from echo2ecg_core.phenotypes import PHENOTYPES


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (61.4, 0, "61"),
        (0.82, 1, "0.8"),
        (-30, 0, "\u221230"),
        (-0.2, 0, "0"),
        (None, 0, "\u2013"),
        (float("nan"), 1, "\u2013"),
    ],
)
def test_numbers_have_a_true_minus_and_missing_ones_a_dash(value, decimals, text):
    assert number(value, decimals) == text


def test_units_are_joined_by_a_narrow_space_that_does_not_break_and_degrees_by_none():
    assert with_unit(61, "%") == "61\u202f%"
    assert with_unit(4.62, "cm", 1) == "4.6\u202fcm"
    assert with_unit(52, "°") == "52°"
    assert with_unit(None, "mL") == "\u2013"


def test_intervals_have_an_en_dash_and_signed_ends_use_to():
    assert interval(49.2, 71.4) == "49\u201371"
    assert interval(-30, 90) == "\u221230 to 90"
    assert interval(1.7, None, 1) == "≥\u202f1.7"
    assert interval(None, 460) == "≤\u202f460"
    assert interval(None, None) == "\u2013"


def test_no_probability_is_written_as_nothing_or_everything():
    assert percent(0.0) == "<1\u202f%"
    assert percent(0.004) == "<1\u202f%"
    assert percent(1.0) == ">99\u202f%"
    assert percent(0.996) == ">99\u202f%"
    assert percent(0.88) == "88\u202f%"


def test_small_p_values_are_a_bound():
    assert p_value(0.0004) == "<0.001"
    assert p_value(0.0341) == "0.034"


def test_dates_are_english_on_every_machine_and_midnight_means_no_time_of_day():
    assert date(datetime(2013, 1, 25, 10, 59)) == "25 Jan 2013 10:59"
    assert date(datetime(2013, 1, 25)) == "25 Jan 2013"


def test_waiting_times_get_coarser_with_their_length():
    assert duration(7.6) == "8\u202fs"
    assert duration(150) == "2\u202fmin"
    assert duration(3900) == "1\u202fh 5\u202fmin"


def test_lengths_of_recordings_are_seconds_then_minutes_then_hours():
    assert length(10.0) == "10.0\u202fs" and length(119.9) == "119.9\u202fs"
    assert length(320.4) == "5\u202fmin 20\u202fs" and length(3599.6) == "1\u202fh"
    assert length(86_400 + 60) == "24\u202fh 1\u202fmin"


def test_a_phenotype_is_written_in_its_own_decimals_and_unit():
    lvef, ivsd = PHENOTYPES["lvef"], PHENOTYPES["ivsd"]
    assert [measured(lvef, 61.4), measured_with_unit(ivsd, 0.84), predicted(lvef, 61.4)] == ["61", "0.8\u202fcm", "61"]
    assert measured_range(ivsd, 0.61, 1.08) == "0.6–1.1"


def test_a_valve_grade_is_written_in_words_and_its_prediction_as_a_chance():
    tr = PHENOTYPES["tr_grade"]
    assert [measured(tr, 1.3), measured_with_unit(tr, 2), measured(tr, None), measured(tr, np.nan)] == [
        "mild",
        "moderate",
        "–",
        "–",
    ]
    assert [measured_range(tr, 0, 2), measured_range(tr, 1, 1)] == ["none–moderate", "mild"]
    assert [predicted(tr, 0.124), predicted(tr, 0.001), predicted(tr, None)] == [
        "12\u202f% ≥\u202fmoderate",
        "<1\u202f% ≥\u202fmoderate",
        "–",
    ]


def test_a_table_of_measured_values_carries_grades_in_words():
    table = grades_in_words(pd.DataFrame({"lvef": [61.4, 40.0], "tr_grade": [2.0, np.nan]}))
    assert table.lvef.tolist() == [61.4, 40.0] and table.tr_grade[0] == "moderate" and pd.isna(table.tr_grade[1])


def test_a_count_agrees_with_its_noun():
    assert [counted(n, "study", "studies") for n in (0, 1, 1204)] == ["0 studies", "1 study", "1,204 studies"]
    assert [counted(n, "clip") for n in (1, 2)] == ["1 clip", "2 clips"]
    assert [counted_days(days) for days in (0.5, 1.0, 7)] == ["0.5 days", "1 day", "7 days"]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0\u202f%"), (0.004, "<1\u202f%"), (0.5, "50\u202f%"), (0.996, ">99\u202f%"), (1, "100\u202f%")],
)
def test_a_counted_share_may_be_none_or_all_where_a_chance_may_not(share, words):
    assert observed(share) == words
    assert percent(share) == {"0\u202f%": "<1\u202f%", "100\u202f%": ">99\u202f%"}.get(words, words)


def test_a_median_between_two_ranks_is_written_as_such():
    assert [score_value(rank, "median_rank") for rank in (2.0, 2.5, 71.5, None)] == ["2", "2.5", "71.5", "–"]
