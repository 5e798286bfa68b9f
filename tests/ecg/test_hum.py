"""Mains hum taken off: against the signal to which it was added."""

import numpy as np
import pytest

from echo2ecg_core.ecg.hum import without_hum
from echo2ecg_core.ecg.measure import measure_signal
from tests.ecg.test_measure import drawn_ecg


def hum(mains_hz, height_mv, n, rate_hz=500.0):
    phase = 2 * np.pi * mains_hz * np.arange(n) / rate_hz + np.linspace(0, 3, 12)[:, None]
    return height_mv * np.linspace(0.2, 1, 12)[:, None] * (np.sin(phase) + 0.3 * np.sin(2 * phase))


@pytest.mark.parametrize("mains_hz", [49.9, 50.0, 60.0, 60.15])
def test_hum_and_its_overtone_are_taken_off_and_the_beats_stay(mains_hz):
    signal, _ = drawn_ecg()
    found = without_hum(signal + hum(mains_hz, 0.3, signal.shape[1]), 500.0)
    assert np.abs(found - signal)[:, 500:-500].max() < 0.03


@pytest.mark.parametrize("rr_s", [0.8, 1.0, 0.5])  # whose lines fall on 50 and 60 Hz
def test_beats_that_come_like_a_clock_are_no_hum(rr_s):
    spikes = np.zeros((12, 5000))
    spikes[:, :: round(rr_s * 500)] = 2.0
    assert without_hum(spikes, 500.0) is spikes
    signal, _ = drawn_ecg(rr_s=(rr_s,), qt_s=0.3, noise_mv=0.0)
    assert without_hum(signal, 500.0) is signal


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_intervals_under_hum_are_those_without_it_and_as_sure(mains_hz):
    signal, _ = drawn_ecg()
    plain, found = measure_signal(signal, 500), measure_signal(signal + hum(mains_hz, 0.3, signal.shape[1]), 500)
    for name in ("pr_ms", "qrs_ms", "qt_ms"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name), abs=4)
        assert found.confidence[name] > 0.5
