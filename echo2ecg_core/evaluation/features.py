"""What an electrocardiographer would measure, as numbers for gradient boosting: the row that any encoder has to beat.

Rhythm and intervals come from ecg/measure.py, amplitudes and times of every lead from the median beat, against the
level just before the QRS complex. What cannot be measured is NaN. Age and sex are no features: encoders do not see them
either.
"""

from collections.abc import Iterable

import numpy as np

from echo2ecg_core.ecg.beats import BEFORE, LOWEST_RATE_HZ, Beats, at_working_rate, find_beats, samples
from echo2ecg_core.ecg.delineate import Waves
from echo2ecg_core.ecg.measure import measure_median, usual_change_ms
from echo2ecg_core.ecg.record import LEADS

RHYTHM = (
    "heart_rate_bpm",
    "rr_sd_ms",
    "rr_change_ms",
    "pr_ms",
    "qrs_ms",
    "qt_ms",
    "qtc_bazett_ms",
    "p_present",
    "axis_sin",
    "axis_cos",
)
VOLTAGES = ("sokolow_lyon_mv", "cornell_mv")
OF_LEAD = ("r_mv", "s_mv", "t_mv", "st_mv", "j_mv", "p_highest_mv", "p_lowest_mv", "turns", "r_time_ms", "t_time_ms")
FEATURES = RHYTHM + VOLTAGES + tuple(f"{name}_{lead}" for name in OF_LEAD for lead in LEADS)
P_WAVE_MS, ST_MS, T_BEGIN_MS, T_LIMIT_MS = 220, 40, 70, 480


def feature_matrix(signals: Iterable[tuple[np.ndarray, float]]) -> np.ndarray:
    """`ecg_features` of several signals with their rates, (n, features)."""
    return np.stack([ecg_features(signal_mv, rate_hz) for signal_mv, rate_hz in signals])


def ecg_features(signal_mv: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """The numbers named in `FEATURES`, (features,) float64, NaN where they cannot be measured.

    Args:
        signal_mv: (12, n) millivolts, as recorded: cleaning for a network would take the amplitudes away.
        sampling_rate_hz: Its rate.
    """
    found = dict.fromkeys(FEATURES, np.nan)
    beats = None
    if sampling_rate_hz >= LOWEST_RATE_HZ:
        signal, rate_hz = at_working_rate(signal_mv, sampling_rate_hz)
        beats = find_beats(signal)
    if beats is None:
        return np.array(list(found.values()))
    rr_s = np.diff(beats.r_peaks) / rate_hz
    measured, waves = measure_median(beats, float(np.median(rr_s)), usual_change_ms(rr_s))
    found |= _rhythm(rr_s, measured)
    if waves is not None:
        by_lead = _of_leads(beats, waves)
        found |= {
            f"{name}_{lead}": value
            for name, values in by_lead.items()
            for lead, value in zip(LEADS, values, strict=True)
        }
        r, s = (dict(zip(LEADS, by_lead[name], strict=True)) for name in ("r_mv", "s_mv"))
        found |= {"sokolow_lyon_mv": max(r["V5"], r["V6"]) - s["V1"], "cornell_mv": r["aVL"] - s["V3"]}
    return np.array([found[name] for name in FEATURES], dtype=float)


def _rhythm(rr_s: np.ndarray, measured: dict) -> dict[str, float]:
    value = {name: np.nan if v is None else float(v) for name, v in measured.items()}
    axis = np.radians(value.pop("axis_deg"))
    return value | {
        "heart_rate_bpm": 60 / rr_s.mean(), "rr_sd_ms": 1000 * rr_s.std(),
        "qtc_bazett_ms": value["qt_ms"] / np.sqrt(rr_s.mean()),
        "rr_change_ms": usual_change_ms(rr_s) if len(rr_s) > 1 else np.nan,
        "axis_sin": np.sin(axis), "axis_cos": np.cos(axis),
    }  # fmt: skip


def _of_leads(beats: Beats, waves: Waves) -> dict[str, np.ndarray]:
    """Each of `OF_LEAD` for the twelve leads of the median beat."""
    first, last, beat = waves.qrs_onset, waves.qrs_offset, beats.median
    beat = beat - beat[:, first - samples(20) : first - samples(4)].mean(axis=1, keepdims=True)
    qrs, p_wave = beat[:, first : last + 1], beat[:, max(0, first - samples(P_WAVE_MS)) : first - samples(10)]
    begin = last + samples(T_BEGIN_MS)
    t_wave = beat[:, begin : max(begin + samples(100), BEFORE + samples(T_LIMIT_MS))]
    t_at = np.abs(t_wave).argmax(axis=1)
    step_ms = 1000 / samples(1000)
    return {
        "r_mv": qrs.max(axis=1), "s_mv": qrs.min(axis=1), "t_mv": t_wave[np.arange(12), t_at], "st_mv": beat[:,
        last + samples(ST_MS)],
        "j_mv": beat[:, last], "p_highest_mv": p_wave.max(axis=1), "p_lowest_mv": p_wave.min(axis=1),
        "turns": (np.diff(np.sign(np.diff(qrs, axis=1)), axis=1) != 0).sum(axis=1),
        "r_time_ms": step_ms * qrs.argmax(axis=1), "t_time_ms": step_ms * (t_at + begin - first),
    }  # fmt: skip
