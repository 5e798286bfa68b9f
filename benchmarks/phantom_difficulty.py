"""How much of the echo the phantom's ECG tells: gradient boosting on measured ECG features against the labels.

Run: python benchmarks/phantom_difficulty.py [--train 2000] [--test 700] [--seed 7] [--observer-noise] [--version 1].
Prints one JSON line: for two sets of features the LVEF mean absolute error and its ratio to the median predictor, other
phenotypes, AUROC of LVEF <= 40 and of LV hypertrophy; and the speed of the simulator. "printed" are the twelve numbers
that a cart prints (rate, its spread, PR, QRS, QT, axis, P wave, Sokolow-Lyon and Cornell voltage); "all" adds the
amplitudes and times of every lead. The phantom is meant to be as hard as life: from printed measurements LVEF error 6-9
points, AUROC 0.80-0.92; from all the ECG holds, what networks reach (Attia et al., Nat Med 2019: 0.93 with 45,000
patients and raw ECGs). All are measured on the signal by evaluation/features.py, so that no phantom latent leaks in.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor  # noqa: E402
from sklearn.metrics import r2_score, roc_auc_score  # noqa: E402

from echo2ecg_core.evaluation.features import RHYTHM, VOLTAGES, ecg_features  # noqa: E402
from echo2ecg_core.phantom.ecg import simulate_ecg  # noqa: E402
from echo2ecg_core.phantom.heart import draw_heart  # noqa: E402

RATE_HZ = 500.0


def cohort(count: int, seed: int, observer_noise: bool, version: int) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Features (n, f) and labels of `count` patients."""
    features, labels = [], []
    for index in range(count):
        heart = draw_heart(np.random.default_rng([seed, index]))
        signal = simulate_ecg(heart, np.random.default_rng([seed, index, 1]), version=version)
        features.append(ecg_features(signal, RATE_HZ))
        observer = np.random.default_rng([seed, index, 2]) if observer_noise else None
        labels.append(heart.labels(observer) | {"male": float(heart.sex == "male")})
    return np.array(features), labels


def told_by(x: np.ndarray, column: dict[str, np.ndarray], fit: slice, held: slice) -> dict[str, float]:
    """What boosting on features (n, f) makes of held-out patients."""
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
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=700)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--observer-noise", action="store_true", help="labels with inter-observer noise")
    parser.add_argument("--version", type=int, default=1, help="of the phantom's ECG")
    arguments = parser.parse_args()
    x, labels = cohort(arguments.train + arguments.test, arguments.seed, arguments.observer_noise, arguments.version)
    fit, held = slice(0, arguments.train), slice(arguments.train, None)
    column = {name: np.array([row[name] for row in labels]) for name in labels[0]}
    printed = x[:, : len(RHYTHM + VOLTAGES)]
    results = {name: told_by(part, column, fit, held) for name, part in {"printed": printed, "all": x}.items()}
    results["prevalence_lvef_le_40"] = round(float((np.round(column["lvef"]) <= 40).mean()), 3)
    heart = draw_heart(np.random.default_rng(0))
    start = time.perf_counter()
    for index in range(200):
        simulate_ecg(heart, np.random.default_rng(index), version=arguments.version)
    results["ecgs_per_second"] = round(200 / (time.perf_counter() - start))
    print(json.dumps(results | vars(arguments)))


if __name__ == "__main__":
    main()
