"""R, S and ST of every lead, on beats whose waves are known."""

import numpy as np
import pytest

from echo2ecg_core.ecg.lead_waves import lead_waves
from echo2ecg_core.ecg.record import LEADS, EcgRecord

RATE_HZ = 500.0


def recording(waves: dict[str, list[tuple[float, float]]], rate_hz: float = RATE_HZ, offset: float = 0.0) -> EcgRecord:
    """Ten seconds of a beat every 800 ms; of each lead its corners (ms from the onset of QRS, mV) joined by lines."""
    t_ms = 1000 * np.arange(round(10 * rate_hz)) / rate_hz % 800 - 250
    signal = np.full((12, len(t_ms)), np.nan)
    p_and_t = 0.1 * np.exp(-(((t_ms + 130) / 25) ** 2)) + 0.3 * np.exp(-(((t_ms - 330) / 40) ** 2))
    for lead, corners in waves.items():
        at, mv = zip(*corners, strict=True)
        signal[LEADS.index(lead)] = np.interp(t_ms, at, mv, left=0, right=0) + p_and_t + offset
    rng = np.random.default_rng(2)
    return EcgRecord((signal + rng.normal(0, 0.003, signal.shape)).astype(np.float32), rate_hz, "made", "made")


NORMAL = [(0, 0), (10, -0.1), (30, 1.0), (50, -0.5), (70, 0)]
RAISED = [(0, 0), (30, 0.8), (60, 0.2), (200, 0.2), (240, 0)]
QS = [(0, 0), (40, -1.2), (75, 0)]
LATE_R = [(0, 0), (20, 0.3), (40, -0.6), (70, 0.9), (95, 0)]
ALL = dict.fromkeys(LEADS, NORMAL) | {"II": RAISED, "V1": QS, "V2": LATE_R}


@pytest.mark.parametrize("rate_hz", [250.0, 500.0, 1000.0])
def test_waves_have_their_height_at_every_rate_and_over_any_level(rate_hz):
    found = {one.lead: one for one in lead_waves(recording(ALL, rate_hz, offset=0.4))}
    assert list(found) == list(LEADS)
    assert (found["I"].r, found["I"].s) == pytest.approx((1.0, -0.5), abs=0.06)
    assert found["I"].r_to_s == pytest.approx(2.0, abs=0.25) and found["I"].st_60 == pytest.approx(0, abs=0.03)
    assert found["II"].st_60 == pytest.approx(0.2, abs=0.03) and found["II"].r_to_s is None
    assert (found["V1"].r, found["V1"].s) == (0, pytest.approx(-1.2, abs=0.06)) and found["V1"].r_to_s == 0
    assert (found["V2"].r, found["V2"].s) == pytest.approx((0.9, -0.6), abs=0.06), "R' counts, and S before it"


def test_a_lead_that_was_not_recorded_has_no_row_and_a_recording_without_beats_none():
    without = {lead: corners for lead, corners in ALL.items() if lead != "V6"}
    assert "V6" not in {one.lead for one in lead_waves(recording(without))}
    noise = np.random.default_rng(1).normal(0, 0.01, (12, 5000)).astype(np.float32)
    assert lead_waves(EcgRecord(noise, RATE_HZ, "made", "noise")) == ()
    assert lead_waves(EcgRecord(noise[:, :500], 50.0, "made", "too slow")) == ()
