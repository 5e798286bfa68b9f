"""Differences between two ECGs in words, against sums done by hand."""

import numpy as np
import pytest

from echo2ecg_core.ecg.record import EcgRecord
from pages.ui import resources, session
from pages.ui.ecg.earlier import _apart, difference_words, lvef_words
from pages.ui.ecg.measures import STRIP_ROWS
from tests.pages.test_ecg_page import opened, page, words  # noqa: F401 (a fixture)

ROWS = {row.field: row for row in STRIP_ROWS}


@pytest.mark.parametrize(
    ("field", "now", "then", "sex", "expected"),
    [
        ("qrs_ms", 128, 100, None, "28\u202fms longer, now above the limit of 110"),
        ("qrs_ms", 100, 128, None, "28\u202fms shorter, now within the limit of 110"),
        ("pr_ms", 160, 160.3, None, "unchanged"),
        ("heart_rate_bpm", 75.6, 68.4, None, "8\u202fbpm faster"),  # written as 76 and 68
        ("qrs_ms", 110.3, 100, None, "10\u202fms longer"),  # written as 110, which is not above 110
        ("heart_rate_bpm", 55, 72, None, "17\u202fbpm slower, now below the limit of 60"),
        ("qtc_fridericia_ms", 455, 440, "male", "15\u202fms longer, now above the limit of 450"),
        ("qtc_fridericia_ms", 450, 449, "male", "1\u202fms longer, now above the limit of 450"),  # from 450 on
        ("qtc_fridericia_ms", 450, 449, "female", "1\u202fms longer"),
        ("qrs_ms", 110, 109, "male", "1\u202fms longer"),
        ("qtc_fridericia_ms", 455, 440, "female", "15\u202fms longer"),
        ("qtc_fridericia_ms", 455, 440, None, "15\u202fms longer"),
        ("axis_deg", -170, 170, None, "20° further right, now below the limit of −30, now within the limit of 90"),
        ("axis_deg", 20, 50, None, "30° further left"),
        ("pr_ms", None, 150, None, "–"),
    ],
)
def test_a_difference_in_words_tells_its_direction_and_the_limit_it_crosses(field, now, then, sex, expected):
    if field == "axis_deg" and now == -170:
        assert difference_words(ROWS[field], now, then, sex).startswith("20° further right")
    else:
        assert difference_words(ROWS[field], now, then, sex) == expected


def test_two_estimates_differ_only_where_their_intervals_leave_no_room():
    low, high, near = ({"value": v, "interval": (v - 5, v + 5)} for v in (30, 60, 63))
    assert lvef_words(high, low) == "30 points higher; the intervals do not overlap"
    assert lvef_words(high, near) == "3 points lower; the intervals overlap, so no change can be told from this"
    assert lvef_words(low, low) == "unchanged"
    until, since = {"value": 55.0, "interval": (49.0, 60.6)}, {"value": 66.0, "interval": (61.4, 70.0)}
    assert "the intervals overlap" in lvef_words(until, since), "they are written as 49–61 and 61–70"
    assert lvef_words({"value": None}, low) == "no estimate of one of the two"


def test_an_earlier_ecg_of_the_patient_stands_in_its_tab(page, monkeypatch):  # noqa: F811
    from echo2ecg_core.answers.earlier_ecgs import OtherEcg

    before = EcgRecord(np.random.default_rng(0).normal(0, 0.2, (12, 2500)), 250.0, "NPY", "E-0")
    monkeypatch.setattr(resources, "other_ecgs", lambda record: [OtherEcg("E-0", None, 41.0)])
    monkeypatch.setattr(resources, "stored_ecg", lambda ecg_id: before)
    page.session_state[session.TAB_KEY] = "Earlier ECG"
    text = words(opened(page))
    assert not page.exception and page.selectbox[0].options == ["E-0, 41 days earlier"]
    assert "<td>unchanged</td>" in text and "LVEF, estimated" in text


def test_what_stands_in_a_closed_tab_and_takes_time_waits_for_who_looks(page, monkeypatch):  # noqa: F811
    from echo2ecg_core.answers.earlier_ecgs import OtherEcg

    asked = []
    monkeypatch.setattr(resources, "other_ecgs", lambda record: [OtherEcg("E-0", None, 41.0)])
    monkeypatch.setattr(resources, "stored_ecg", lambda ecg_id: asked.append(ecg_id))
    monkeypatch.setattr(resources, "median_beat", lambda record: asked.append("beat"))
    text = words(opened(page))
    assert not page.exception and page.selectbox[0].options == ["E-0, 41 days earlier"]
    assert not asked and "LV ejection fraction" in text
    page.session_state[session.TAB_KEY] = "Median beats"
    assert "No repeating beat was found" in words(page.run()) and asked == ["beat"]


def test_without_a_known_patient_the_tab_says_how_one_becomes_known(page):  # noqa: F811
    assert "drop both recordings together" in words(opened(page))


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (0.4, "less than a day earlier"),
        (-0.9, "less than a day later"),
        (1.4, "1 day earlier"),
        (41.0, "41 days earlier"),
    ],
)
def test_a_night_between_two_ecgs_does_not_make_them_of_one_day(days, told):
    assert _apart(days) == told
