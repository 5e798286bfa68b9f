"""The strip of measurements: limits by sex, doubt marked, a missing value with its reason; and the marks of an ECG."""

import re
from dataclasses import replace

import numpy as np
import pytest

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from pages.ui.ecg.measures import measures_strip
from pages.ui.ecg.signal_tables import lead_table, measurement_table
from tests.pages.prediction_fixture import report_of


@pytest.fixture
def report() -> dict:
    return report_of(EcgRecord(np.zeros((12, 500), np.float32), 500.0, "NPY", "a.npy", sex="male"))


def test_qtc_has_the_limit_of_the_sex_and_both_while_it_is_unknown(report):
    assert "&lt;\u202f450 M" in measures_strip(report) and "460" not in measures_strip(report)
    report["ecg"]["sex"] = None
    assert "&lt;\u202f450 M · &lt;\u202f460 F" in measures_strip(report)


def test_a_missing_pr_interval_says_that_there_is_no_p_wave(report):
    report["measurements"] |= {"pr_ms": None, "p_present": False}
    assert "<b>\u2013</b><small>no P wave found</small>" in measures_strip(report)


def test_every_measurement_shows_its_confidence_beside_the_number_and_a_low_one_says_so(report):
    report["measurements"]["confidence"] = {"qt_ms": 0.2, "pr_ms": 0.9}
    strip = measures_strip(report)
    assert '<dt>QT <span class="e2e-sure" aria-hidden="true"><span style="width:20%"></span></span> low</dt>' in strip
    assert '<dt>PR <span class="e2e-sure" aria-hidden="true"><span style="width:90%"></span></span></dt>' in strip
    assert "> confidence</dt>" in strip and "QT 368\u202fms, confidence low (0.2 of 1)" in strip


@pytest.mark.parametrize(
    ("r2", "told"), [(0.496, "0.50 <span>good"), (0.494, "0.49 <span>fair"), (0.296, "0.30 <span>fair")]
)
def test_how_far_to_trust_an_estimate_follows_the_number_beside_it(r2, told):
    from pages.ui.ecg.phenotype_table import _trust

    assert _trust(r2).startswith(told)


def test_the_table_gives_every_measurement_its_value_confidence_in_words_and_normal_range(report):
    report["measurements"] |= {
        "pr_ms": None,
        "p_present": False,
        "confidence": {"qrs_ms": 0.95, "qt_ms": 0.6, "axis_deg": 0.3},
    }
    table = measurement_table(report)
    rows = {re.search(r'row">([^<]*)<', row).group(1): row for row in re.findall(r"<tr>.*?</tr>", table)[1:]}
    assert list(rows) == ["Rate", "PR", "QRS", "QT", "QTc Fridericia", "QTc Bazett", "QRS axis"]
    assert "75\u202fms" in rows["QRS"] and " high</td>" in rows["QRS"] and "≤\u202f110" in rows["QRS"]
    assert " fair</td>" in rows["QT"] and "judged as QTc" in rows["QT"] and " low</td>" in rows["QRS axis"]
    assert "no P wave found" in rows["PR"] and "&lt;\u202f450 M" in rows["QTc Bazett"]


def test_poor_leads_are_named_with_what_is_wrong(report):
    report["quality"]["leads"]["V3"] = {"verdict": "unusable", "reasons": ["flat"]}
    strip = measures_strip(report)
    assert "11 of 12 leads good · V3 flat" in strip and '<span class="unusable" title="V3: flat">V3</span>' in strip
    assert strip.count('<span class="good"') == 11


def test_every_lead_has_a_row_with_its_verdict_and_reasons(report):
    report["quality"]["leads"]["V3"] = {"verdict": "limited", "reasons": ["noise for 3 of 10 s", "flat for 1 of 10 s"]}
    report["ecg"]["derived_leads"] = ["aVR"]
    rows = re.findall(r"<tr>.*?</tr>", lead_table(report))[1:]
    assert [re.search(r'row">([A-Za-z0-9]+)', row).group(1) for row in rows] == list(LEADS)
    assert "</span> limited</td><td>noise for 3 of 10 s, flat for 1 of 10 s</td>" in rows[8] and "derived" in rows[3]
    assert all("</span> good</td><td><span class=muted>nothing found</span>" in row for row in rows[:8])


@pytest.mark.parametrize(
    ("note", "synthetic"), [("Synthetic phantom, no real patient.", True), ("µV read as mV.", False)]
)
def test_an_ecg_is_synthetic_when_its_file_says_so(note, synthetic):
    record = EcgRecord(np.zeros((12, 500), np.float32), 500.0, "WFDB", "a.hea", notes=(note,))
    assert record.is_simulated is synthetic
    person = replace(record, notes=(), device="Synthetic Inc.", statements=("Synthetic aortic graft.",))
    assert not person.is_simulated
