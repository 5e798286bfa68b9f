"""Hand-made features against an ECG drawn with known waves, and against the measurements the pages show."""

import numpy as np
import pytest

from echo2ecg_core.ecg.measure import measure_signal
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.evaluation.features import FEATURES, ecg_features, feature_matrix

RATE_HZ = 500.0
R_MV = {lead: 0.3 + 0.15 * i for i, lead in enumerate(LEADS)}


def drawn_ecg(rr_s=0.8):
    """Every 0.8 s: P 160 ms before R, R as high as `R_MV`, S 35 ms after it and half as deep, T 300 ms after it."""
    t = np.arange(5000) / RATE_HZ
    since_r = (t - 0.4 + rr_s / 2) % rr_s - rr_s / 2
    wave = lambda at, width: np.exp(-0.5 * ((since_r - at) / width) ** 2)  # noqa: E731
    shape = np.stack([wave(-0.16, 0.02) * 0.12, wave(0, 0.009), -0.5 * wave(0.035, 0.009), 0.3 * wave(0.3, 0.04)])
    height = np.array([R_MV[lead] for lead in LEADS])[:, None]
    return height * shape.sum(0) + np.random.default_rng(0).normal(0, 0.003, (12, 5000))


def named(signal):
    return dict(zip(FEATURES, ecg_features(signal, RATE_HZ), strict=True))


def test_amplitudes_and_times_are_those_that_were_drawn():
    found = named(drawn_ecg())
    for lead in LEADS:
        assert found[f"r_mv_{lead}"] == pytest.approx(R_MV[lead], rel=0.12)
        assert found[f"s_mv_{lead}"] == pytest.approx(-0.5 * R_MV[lead], rel=0.2)
        assert found[f"t_mv_{lead}"] == pytest.approx(0.3 * R_MV[lead], rel=0.2)
        assert found[f"p_highest_mv_{lead}"] == pytest.approx(0.12 * R_MV[lead], rel=0.3)
        assert found[f"t_time_ms_{lead}"] - found[f"r_time_ms_{lead}"] == pytest.approx(300, abs=12)
    assert found["sokolow_lyon_mv"] == pytest.approx(R_MV["V6"] + 0.5 * R_MV["V1"], rel=0.12)
    assert found["cornell_mv"] == pytest.approx(R_MV["aVL"] + 0.5 * R_MV["V3"], rel=0.12)


def test_rhythm_and_intervals_are_those_of_the_pages():
    signal = drawn_ecg()
    found, shown = named(signal), measure_signal(signal, RATE_HZ)
    assert (
        found["heart_rate_bpm"] == pytest.approx(75, abs=0.5)
        and found["rr_sd_ms"] < 5
        and found["pr_ms"] == pytest.approx(185, abs=25)
    )
    for name in ("heart_rate_bpm", "qrs_ms", "qt_ms", "qtc_bazett_ms"):
        assert found[name] == pytest.approx(getattr(shown, name)), name
    assert np.degrees(np.arctan2(found["axis_sin"], found["axis_cos"])) == pytest.approx(shown.axis_deg)


def test_a_larger_signal_has_larger_amplitudes_and_the_same_times():
    one, two = named(drawn_ecg()), named(2 * drawn_ecg())
    for name in FEATURES:
        factor = 2 if "_mv" in name else 1
        assert two[name] == pytest.approx(factor * one[name], abs=1e-6), name


def test_what_cannot_be_measured_is_not_a_number():
    matrix = feature_matrix(
        [(np.zeros((12, 5000)), RATE_HZ), (drawn_ecg()[:, ::10], RATE_HZ / 10), (drawn_ecg(), RATE_HZ)]
    )
    assert matrix.shape == (3, len(FEATURES)) and np.isnan(matrix[:2]).all() and np.isfinite(matrix[2]).all()
