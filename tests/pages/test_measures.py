"""The strip of measurements: limits by sex, doubt marked, a missing value with its reason; and the marks of an ECG."""

import numpy as np
import pytest

from echo2ecg_core.ecg.record import EcgRecord
from pages.ui.measures import measures_strip
from pages.ui.panels import is_synthetic
from tests.pages.prediction_fixture import report_of


@pytest.fixture
def report() -> dict:
    return report_of(EcgRecord(np.zeros((12, 500), np.float32), 500.0, "NPY", "a.npy", sex="male"))


def test_qtc_has_the_limit_of_the_sex_and_both_while_it_is_unknown(report):
    assert "≤\u202f450 M" in measures_strip(report) and "460" not in measures_strip(report)
    report["ecg"]["sex"] = None
    assert "≤\u202f450 M · ≤\u202f460 F" in measures_strip(report)


def test_a_missing_pr_interval_says_that_there_is_no_p_wave(report):
    report["measurements"] |= {"pr_ms": None, "p_present": False}
    assert "<b>\u2013</b><small>no P wave found</small>" in measures_strip(report)


def test_a_doubtful_measurement_carries_a_question_mark(report):
    report["measurements"]["confidence"] = {"qt_ms": 0.2}
    assert measures_strip(report).count(" ?</i>") == 1


def test_poor_leads_are_named_with_what_is_wrong(report):
    report["quality"]["leads"]["V3"] = {"verdict": "unusable", "reasons": ["flat"]}
    strip = measures_strip(report)
    assert "11 of 12 leads good" in strip and "V3: flat" in strip


@pytest.mark.parametrize(
    ("note", "synthetic"), [("Synthetic phantom, no real patient.", True), ("µV read as mV.", False)]
)
def test_an_ecg_is_synthetic_when_its_file_says_so(note, synthetic):
    record = EcgRecord(np.zeros((12, 500), np.float32), 500.0, "WFDB", "a.hea", notes=(note,))
    assert is_synthetic(record) is synthetic
