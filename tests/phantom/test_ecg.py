"""The phantom ECG against physiology: what a cardiologist would measure, found again by simple independent means."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import find_peaks

from echo2ecg_core.findings import SEGMENTS
from echo2ecg_core.phantom.ecg import simulate_ecg
from echo2ecg_core.phantom.heart import complete_heart, draw_heart

FS = 500
LEAD_I, II, III, AVR, AVL, AVF, V1, V2, V3, V4, V5, V6 = range(12)


def healthy(seed: int, **changes):
    """A healthy man of 50 in sinus rhythm with normal conduction, with some fields changed."""
    heart = complete_heart(np.random.default_rng([50, seed]), "male", 50.0, 1.9, ("healthy",))
    plain = {
        "rhythm": "sinus",
        "conduction": "normal",
        "qrs_ms": 92.0,
        "heart_rate_bpm": 68.0,
        "pr_ms": 160.0,
        "fibrosis": 0.05,
    }
    return replace(heart, **(plain | changes))


def r_peaks(signal_mv: np.ndarray) -> np.ndarray:
    energy = np.convolve((np.diff(signal_mv, axis=1) ** 2).sum(0), np.ones(30), "same")
    return find_peaks(energy, distance=int(0.28 * FS), height=0.25 * np.percentile(energy, 99))[0]


def mean_beat(heart, recordings: int = 3) -> np.ndarray:
    """(12, 450) median beat, 200 ms before to 700 ms after the steepest point, baseline taken before the QRS."""
    beats = []
    for index in range(recordings):
        signal = simulate_ecg(heart, np.random.default_rng([9, index]))
        peaks = [p for p in r_peaks(signal) if 100 <= p < signal.shape[1] - 350]
        beats += [signal[:, p - 100 : p + 350] for p in peaks]
    beat = np.median(beats, axis=0)
    return beat - beat[:, 55:65].mean(1, keepdims=True)


def qrs_ms(heart) -> float:
    speed = np.sqrt((np.gradient(mean_beat(heart), axis=1) ** 2).sum(0))[50:175]
    active = np.flatnonzero(speed > 0.13 * speed.max())
    gaps = np.flatnonzero(np.diff(active) > 8)  # the QRS ends at the first 16 quiet milliseconds
    return (active[gaps[0] if len(gaps) else -1] - active[0]) * 1000 / FS


def median_beats(count: int = 8, **changes) -> np.ndarray:
    """(count, 12, 450) mean beats of different bodies with the same disease."""
    return np.array([mean_beat(healthy(seed, **changes), 1) for seed in range(count)])


def test_twelve_leads_obey_einthoven_and_goldberger():
    signal = simulate_ecg(healthy(0), np.random.default_rng(0)).astype(float)
    assert signal.shape == (12, 5000)
    np.testing.assert_allclose(signal[LEAD_I] + signal[III], signal[II], atol=1e-5)
    np.testing.assert_allclose(signal[AVR] + signal[AVL] + signal[AVF], 0, atol=1e-5)
    np.testing.assert_allclose(signal[AVL], (signal[LEAD_I] - signal[III]) / 2, atol=1e-5)


def test_recordings_are_float32_finite_and_reproducible_at_any_rate_and_length():
    heart = draw_heart(np.random.default_rng(3))
    first = simulate_ecg(heart, np.random.default_rng(1), duration_s=8.0, sampling_rate_hz=400.0)
    again = simulate_ecg(heart, np.random.default_rng(1), duration_s=8.0, sampling_rate_hz=400.0)
    assert first.dtype == np.float32 and first.shape == (12, 3200) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, simulate_ecg(heart, np.random.default_rng(2), 8.0, 400.0))


@pytest.mark.parametrize("rate", [50.0, 75.0, 110.0])
def test_a_peak_count_recovers_the_rate(rate):
    found = []
    for seed in range(6):
        peaks = r_peaks(
            simulate_ecg(healthy(seed, heart_rate_bpm=rate, lvesv=40.0, lvedv=105.0), np.random.default_rng(seed))
        )
        found.append(60 * FS * (len(peaks) - 1) / (peaks[-1] - peaks[0]))
    assert np.median(found) == pytest.approx(rate, abs=1.5)


def test_normal_voltages_and_r_progression():
    beats = median_beats(16)
    r_wave, s_wave = beats[:, :, 70:140].max(2), beats[:, :, 70:140].min(2)
    t_wave = beats[:, :, 180:300].max(2)
    assert 0.5 < np.median(r_wave[:, II]) < 1.6 and 0.8 < np.median(r_wave[:, V5]) < 2.5
    assert -1.6 < np.median(s_wave[:, V1]) < -0.4 and np.median(r_wave[:, V1]) < 0.5
    assert np.median(r_wave[:, V1]) < np.median(r_wave[:, V2]) < np.median(r_wave[:, V4])
    assert 0.1 < np.median(t_wave[:, II]) < 0.7 and 0.1 < np.median(t_wave[:, V5]) < 0.9


def test_bundle_branch_blocks_are_wide_and_look_their_part():
    normal, left, right = (
        healthy(1),
        healthy(1, conduction="lbbb", qrs_ms=150.0),
        healthy(1, conduction="rbbb", qrs_ms=138.0),
    )
    assert qrs_ms(left) > qrs_ms(normal) + 35 and qrs_ms(right) > qrs_ms(normal) + 30
    left, right = median_beats(conduction="lbbb", qrs_ms=150.0), median_beats(conduction="rbbb", qrs_ms=138.0)
    assert np.median(left[:, V1, 60:180].sum(1)) < 0 < np.median(left[:, V6, 60:180].sum(1))  # all to the left
    t_v6 = left[:, V6, 190:330].min(1)
    assert np.median(t_v6) < -0.05  # T against the QRS
    assert (
        np.median(right[:, V1, 110:150].max(1)) > 0.2 and np.median(right[:, V6, 110:150].min(1)) < -0.15
    )  # R' and wide S


@pytest.mark.parametrize(
    ("conduction", "width"), [("normal", 90.0), ("normal", 110.0), ("lbbb", 155.0), ("rbbb", 140.0)]
)
def test_simulated_qrs_width_is_the_hearts(conduction, width):
    found = [qrs_ms(healthy(seed, conduction=conduction, qrs_ms=width)) for seed in range(6)]
    assert np.median(found) == pytest.approx(width, abs=15)


def test_fibrillation_scatters_the_beats_and_drops_the_p_wave():
    def scatter(heart):
        spreads = []
        for seed in range(8):
            rr = np.diff(r_peaks(simulate_ecg(heart, np.random.default_rng(seed)))) / FS
            spreads.append(rr.std() / rr.mean())
        return np.median(spreads)

    assert scatter(healthy(2, rhythm="af")) > 0.12 > 0.08 > scatter(healthy(2))
    p_sinus, p_af = (np.ptp(np.median(median_beats(6, **change), 0)[II, 10:50]) for change in ({}, {"rhythm": "af"}))
    assert p_sinus > 0.05 and p_af < 0.5 * p_sinus


def test_an_anterior_infarct_takes_the_r_waves_of_v2_to_v4():
    scar = ("mid_anterior", "mid_anteroseptal", "apical_anterior", "apical_septal", "apex")
    motion = tuple(
        0.02 if name in scar else 0.3 if "anteroseptal" in name or name == "basal_anterior" else 1.0
        for name in SEGMENTS
    )
    sound = median_beats()[:, :, 70:140].max(2)
    infarct = median_beats(infarct_territory="anterior", infarct_extent=0.9, wall_motion=motion)[:, :, 70:140]
    for lead in (V2, V3, V4):
        assert np.median(infarct[:, lead].max(1)) < 0.5 * np.median(sound[:, lead])
    assert np.median(infarct[:, V3].min(1)) < -0.4  # QS


def test_thick_walls_raise_voltage_and_turn_the_lateral_t_wave():
    sound, thick = median_beats(10), median_beats(10, ivsd=1.5, lvpwd=1.45, conditions=("hypertensive_lvh",))

    def sokolow(beats):
        return np.median(beats[:, V5, 70:140].max(1) - beats[:, V1, 70:140].min(1))

    assert sokolow(thick) > 1.35 * sokolow(sound) and sokolow(thick) > 3.0
    assert np.median(thick[:, V6, 190:300].mean(1)) < np.median(sound[:, V6, 190:300].mean(1)) - 0.1


def test_amyloid_lowers_the_voltage_of_thick_walls():
    thick = {"ivsd": 1.5, "lvpwd": 1.45}
    amyloid, hypertensive = median_beats(6, conditions=("amyloid",), **thick), median_beats(6, **thick)
    assert np.median(np.ptp(amyloid[:, II], axis=1)) < 0.6 * np.median(np.ptp(hypertensive[:, II], axis=1))


def test_right_ventricular_overload_turns_the_axis_right_and_raises_r_in_v1():
    def axis_deg(beats):
        return np.median(
            np.rad2deg(np.arctan2(beats[:, AVF, 70:140].sum(1) * 2 / np.sqrt(3), beats[:, LEAD_I, 70:140].sum(1)))
        )

    sound, loaded = median_beats(8), median_beats(8, rvsp=90.0, rv_basal_diameter=48.0)
    assert axis_deg(loaded) > axis_deg(sound) + 25
    assert np.median(loaded[:, V1, 70:140].max(1)) > 1.3 * np.median(sound[:, V1, 70:140].max(1))


def test_two_recordings_of_one_person_resemble_each_other_more_than_two_persons():
    first, again = mean_beat(healthy(4), 1), mean_beat(healthy(4), 3)
    other = mean_beat(healthy(5), 1)
    assert np.corrcoef(first.ravel(), again.ravel())[0, 1] > np.corrcoef(first.ravel(), other.ravel())[0, 1]
