"""The median beat on paper: bounds agree with the measured intervals, marks stand where the bounds are."""

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from echo2ecg_core.ecg.measure import measure_ecg
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.beats import median_beat, plan_beats


@pytest.fixture(scope="module")
def record() -> EcgRecord:
    return read_ecg(get_testdata_file("waveform_ecg.dcm"))


def test_the_bounds_are_those_of_the_measured_intervals(record):
    bounds, measured = median_beat(record).bounds_s, measure_ecg(record)
    assert 1000 * (bounds["QRS"] - bounds["P"]) == pytest.approx(measured.pr_ms, abs=1)
    assert 1000 * (bounds["J"] - bounds["QRS"]) == pytest.approx(measured.qrs_ms, abs=1)
    assert 1000 * (bounds["T end"] - bounds["QRS"]) == pytest.approx(measured.qt_ms, abs=1)


def test_every_lead_has_its_place_and_every_column_its_marks(record):
    beat = median_beat(record)
    paper = plan_beats(beat)
    assert [s.lead for s in paper.strips] == list(LEADS)
    assert len(paper.marks) == 4 * len(beat.bounds_s)
    column = next(s for s in paper.strips if s.lead == "V1")
    marks = [m for m in paper.marks if 0 <= m.x_mm - column.x_mm <= 60]
    assert [m.label for m in marks] == list(beat.bounds_s)
    assert [(m.x_mm - column.x_mm) / 50 for m in marks] == pytest.approx(list(beat.bounds_s.values()))


def test_a_tracing_without_beats_has_no_median_beat():
    flat = EcgRecord(np.zeros((12, 5000), np.float32), 500.0, "NPY", "flat.npy")
    assert median_beat(flat) is None
