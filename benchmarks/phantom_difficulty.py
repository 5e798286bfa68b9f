"""How much of the echo the phantom's ECG tells: gradient boosting on measured ECG features against the labels.

Run: python benchmarks/phantom_difficulty.py [--train 2000] [--test 700] [--seed 7] [--observer-noise]. Prints one JSON
line: LVEF mean absolute error and its ratio to the median predictor, LVEDV and IVSd R2, AUROC of LVEF <= 40 and of LV
hypertrophy, and the speed of the simulator. The phantom is meant to be as hard as life: LVEF error 6-9 points, AUROC
0.80-0.92 (Attia et al., Nat Med 2019: 0.93 with 45,000 patients and raw ECGs). Features are measured here on the mean
beat, so that no phantom latent leaks in.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scipy.signal import butter, find_peaks, sosfiltfilt  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor  # noqa: E402
from sklearn.metrics import r2_score, roc_auc_score  # noqa: E402

from echo2ecg_core.phantom.ecg import simulate_ecg  # noqa: E402
from echo2ecg_core.phantom.heart import draw_heart  # noqa: E402

FS = 500
BAND = butter(3, (0.7, 45), "bandpass", fs=FS, output="sos")


def r_peaks(signal_mv: np.ndarray) -> np.ndarray:
    """Samples of the R peaks of (12, n) in the summed slope of all leads."""
    slope = np.abs(np.gradient(signal_mv, axis=1)).sum(0)
    slope = np.convolve(slope, np.ones(40) / 40, "same")
    return find_peaks(slope, distance=130, height=0.35 * np.percentile(slope, 99.5))[0]


def mean_beat(signal_mv: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """(12, 400) median beat from 300 ms before to 500 ms after the peaks, zero before the QRS."""
    inside = peaks[(peaks > 160) & (peaks < signal_mv.shape[1] - 260)]
    beats = np.stack([signal_mv[:, peak - 150 : peak + 250] for peak in inside])
    beat = np.median(beats, axis=0)
    return beat - beat[:, 80:100].mean(1, keepdims=True)


def ecg_features(signal_mv: np.ndarray) -> np.ndarray:
    """Rate, variability, widths, and per lead the P, Q, R, S, ST and T of the mean beat."""
    clean = sosfiltfilt(BAND, signal_mv, axis=1)
    peaks = r_peaks(clean)
    rr_s = np.diff(peaks) / FS
    if len(rr_s) < 3:
        return np.full(128, np.nan)
    beat = mean_beat(clean, peaks)
    speed = np.sqrt((np.gradient(beat, axis=1) ** 2).sum(0))
    active = np.flatnonzero(speed[90:260] > 0.10 * speed[90:260].max()) + 90
    first, last = active[0], active[active < 240].max()
    qrs, st, t_wave, p_wave = (
        beat[:, first : last + 1],
        beat[:, last + 20],
        beat[:, last + 35 : 385],
        beat[:, 40 : first - 5],
    )
    t_at = np.abs(t_wave).argmax(1)
    t_peak = t_wave[np.arange(12), t_at]
    turns = (np.diff(np.sign(np.diff(qrs, axis=1)), axis=1) != 0).sum(1)
    axis = np.arctan2(beat[5, first:last].sum() * 2 / np.sqrt(3), beat[0, first:last].sum())
    return np.concatenate([
        [60 / np.mean(rr_s), np.std(rr_s), np.median(np.abs(np.diff(rr_s))), (last - first) * 2, np.sin(axis), np.cos(axis),
         2 * t_at[7:].mean(), turns.mean()],
        qrs.max(1), qrs.min(1), t_peak, st, p_wave.max(1), p_wave.min(1), beat[:, last], turns,
        2.0 * qrs.argmax(1), 2.0 * t_at,
    ])  # fmt: skip


def cohort(count: int, seed: int, observer_noise: bool) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Features (n, f) and labels of `count` patients."""
    features, labels = [], []
    for index in range(count):
        heart = draw_heart(np.random.default_rng([seed, index]))
        features.append(ecg_features(simulate_ecg(heart, np.random.default_rng([seed, index, 1]))))
        observer = np.random.default_rng([seed, index, 2]) if observer_noise else None
        labels.append(heart.labels(observer) | {"male": float(heart.sex == "male")})
    return np.array(features), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=700)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--observer-noise", action="store_true", help="labels with inter-observer noise")
    arguments = parser.parse_args()
    x, labels = cohort(arguments.train + arguments.test, arguments.seed, arguments.observer_noise)
    fit, held = slice(0, arguments.train), slice(arguments.train, None)
    column = {name: np.array([row[name] for row in labels]) for name in labels[0]}
    results = {}
    for name in ("lvef", "lvedv", "ivsd", "lavi", "rvsp"):
        y = column[name]
        model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=250, learning_rate=0.05, random_state=0)
        guess = model.fit(x[fit], y[fit]).predict(x[held])
        error = np.abs(guess - y[held]).mean()
        results[f"{name}_mae"] = round(float(error), 2)
        results[f"{name}_mae_ratio"] = round(float(error / np.abs(np.median(y[fit]) - y[held]).mean()), 3)
        results[f"{name}_r2"] = round(float(r2_score(y[held], guess)), 3)
    limit = np.where(column["male"] > 0, 115, 95)
    for name, y in {"lvef_le_40": np.round(column["lvef"]) <= 40, "lvh": column["lv_mass_index"] > limit}.items():
        model = HistGradientBoostingClassifier(max_iter=200, learning_rate=0.05, random_state=0).fit(x[fit], y[fit])
        results[f"auroc_{name}"] = round(float(roc_auc_score(y[held], model.predict_proba(x[held])[:, 1])), 3)
        results[f"prevalence_{name}"] = round(float(y.mean()), 3)
    heart = draw_heart(np.random.default_rng(0))
    start = time.perf_counter()
    for index in range(200):
        simulate_ecg(heart, np.random.default_rng(index))
    results["ecgs_per_second"] = round(200 / (time.perf_counter() - start))
    print(json.dumps(results | vars(arguments)))


if __name__ == "__main__":
    main()
