"""One form of every time, and one rule which study an ECG is labelled by."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.settings import Settings
from echo2ecg_core.store import times
from echo2ecg_core.store.times import moment, moments, nearest_in_time, pairs_in_time

SAME = datetime(2030, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-02T03:04:05",
        "2030-01-02 03:04:05",
        "20300102T030405",
        "2030-01-02T03:04:05Z",
        "2030-01-02T04:04:05+01:00",
        "2030-01-02T04:04:05+01",
        "2030-01-02 04:04:05 +0100",
        "2030-01-01T21:34:05-05:30",
        "2030-002T03:04:05",
        "2030-W01-3T03:04:05",
        " 2030-01-02T03:04:05.000000000Z ",
        datetime(2030, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1))),
        pd.Timestamp("2030-01-02T03:04:05", tz="UTC"),
        np.datetime64("2030-01-02T03:04:05"),
    ],
)
def test_every_way_to_write_a_moment_is_the_same_moment_without_a_zone(text):
    assert moment(text) == SAME and moment(text).tzinfo is None


def test_less_precise_times_and_times_at_the_edge_are_read_as_iso_says():
    assert moment("2030-01-02") == moment(date(2030, 1, 2)) == datetime(2030, 1, 2)
    assert moment("2030-01-02T03:04") == datetime(2030, 1, 2, 3, 4)
    assert moment("2030-01-02T24:00") == datetime(2030, 1, 3)
    assert moment("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59)
    assert moment("1666-01-02") == datetime(1666, 1, 2) and moment("2999-01-02") == datetime(2999, 1, 2)


@pytest.mark.parametrize(
    "text", [None, "", "  ", float("nan"), pd.NaT, "2030", "2030-01", "2030-13-01", "2030-400", "yesterday", "03/04/05"]
)
def test_what_names_no_day_is_no_moment(text):
    assert moment(text) is None


def test_the_first_and_last_moment_of_the_calendar_do_not_overflow():
    assert moment("0001-01-01T00:00+14:00") is None and moment("9999-12-31T23:00-05:00") is None


def test_a_column_of_mixed_forms_keeps_its_index_and_can_be_subtracted():
    column = pd.Series(
        ["2030-01-02T03:04:05+00:00", "2030-01-01", None, "never", datetime(2030, 1, 3, tzinfo=UTC)], [9, 7, 5, 3, 1]
    )
    found = moments(column)
    assert found.index.tolist() == [9, 7, 5, 3, 1] and found.dtype == "datetime64[us]"
    days = (found - found[7]).dt.total_seconds() / 86400
    assert days[1] == 2 and days[7] == 0 and found.isna().tolist() == [False, False, True, True, False]


def test_an_empty_column_is_an_empty_column_of_moments():
    assert moments(pd.Series([], dtype=object)).dtype == "datetime64[us]" and moments([]).empty


def visits():
    ecgs = pd.DataFrame(
        {
            "ecg_id": ["E1", "E2", "E3", "E4"],
            "patient_id": ["A", "A", "A", "B"],
            "ecg_time": ["2009-05-01T08:00:00Z", "2020-03-01", None, "2020-03-01T12:00:00+02:00"],
        }
    )
    studies = pd.DataFrame(
        {
            "study_id": ["S1", "S2", "S3", "S4"],
            "patient_id": ["A", "A", "A", "B"],
            "split": ["train"] * 4,
            "study_date": ["2020-03-03T00:00:00-05:00", "2020-02-28", None, "2020-03-08T10:00:00"],
        }
    )
    return ecgs, studies


def test_an_ecg_belongs_to_the_nearest_study_within_the_window_and_to_none_beyond_it():
    found = nearest_in_time(*visits(), within_days=7).set_index("ecg_id")
    assert found.index.tolist() == ["E2", "E4"]  # not the ECG of 2009 with the echo of 2020, nor one without a day
    assert found.study_id.to_dict() == {"E2": "S2", "E4": "S4"}
    assert found.days_apart.to_dict() == {"E2": 2.0, "E4": 7.0}
    assert nearest_in_time(*visits(), within_days=6.9).ecg_id.tolist() == ["E2"]
    assert nearest_in_time(*visits(), within_days=5000).study_id.tolist() == ["S2", "S2", "S4"]


def test_an_ecg_belongs_to_the_study_that_its_data_set_names_and_days_are_told_only_where_both_have_one():
    ecgs, studies = visits()
    ecgs["own_study_id"] = ["S2", "S3", "S1", "S4"]
    found = nearest_in_time(ecgs, studies, within_days=7).set_index("ecg_id")
    assert found.study_id.to_dict() == {"E1": "S2", "E2": "S3", "E3": "S1", "E4": "S4"}
    assert found.days_apart["E1"] > 3900 and found.days_apart["E4"] == 7
    assert found.days_apart[["E2", "E3"]].isna().all()  # S3 has no day, E3 neither: "0 days" would be made up
    everyone = pairs_in_time(ecgs, studies, 7)
    assert sorted(everyone.ecg_id + everyone.study_id) == ["E1S2", "E2S1", "E2S2", "E2S3", "E3S1", "E4S4"]


def test_all_pairs_within_the_window_are_those_of_a_slow_loop():
    rng = np.random.default_rng(0)
    day = lambda: (datetime(2020, 1, 1) + timedelta(hours=int(rng.integers(0, 24 * 90)))).isoformat()  # noqa: E731
    ecgs = pd.DataFrame([{"ecg_id": f"E{i}", "patient_id": f"P{i % 7}", "ecg_time": day()} for i in range(60)])
    studies = pd.DataFrame(
        [{"study_id": f"S{i}", "patient_id": f"P{i % 9}", "study_date": day(), "split": "test"} for i in range(40)]
    )
    slow = {
        (e.ecg_id, s.study_id)
        for e in ecgs.itertuples()
        for s in studies.itertuples()
        if e.patient_id == s.patient_id
        and abs(datetime.fromisoformat(e.ecg_time) - datetime.fromisoformat(s.study_date)) <= timedelta(days=11.5)
    }
    found = pairs_in_time(ecgs, studies, 11.5)
    assert len(slow) > 20 and set(zip(found.ecg_id, found.study_id, strict=True)) == slow == {
        (a, b) for a, b in zip(found.ecg_id, found.study_id, strict=True)
    }


def test_the_window_is_that_of_the_machine_where_nothing_is_said(monkeypatch):
    monkeypatch.setattr(times, "settings", lambda: Settings(within_days=1.5))
    assert nearest_in_time(*visits()).empty
    monkeypatch.setattr(times, "settings", lambda: Settings(within_days=2))
    assert nearest_in_time(*visits()).ecg_id.tolist() == ["E2"]
