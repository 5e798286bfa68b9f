"""How far the phantom's ECGs lie from real ones: medians of a cart's numbers, and whether boosting tells them apart.

Run: python -m benchmarks.phantom_realism --ludb FOLDER [--versions 1 2] [--per-record 4] [--seed 22] [--model DIR].
FOLDER holds wfdb records of LUDB; their counts are microvolts whatever the headers say. Everything is measured by the
package itself (ecg/measure.py, evaluation/features.py), on both sides alike.

Like is compared with like: LUDB records with pacing, flutter, complete AV block or no cart reading are left out, and
each other record is answered by `--per-record` phantom patients of its sex, rhythm (fibrillation or sinus), conduction
(left or right bundle branch block or neither) and nearest age and rate (ten years count as ten beats a minute), drawn
without replacement from a pool of 12,000; `--any-rate` leaves the rate out of it: who is recorded how fast is the
hearts' matter, not the ECG's. What else is wrong with a LUDB heart (56 of 100 are called hypertrophic from the ECG) is
not matched. Records whose age is not a number take the median age.

Prints one JSON line: per number the medians, LUDB's standard deviation (half the spread from the 16th to the 84th
percentile) and the distance of the medians in those; AUROC of gradient boosting that tells phantom from LUDB, mean over
`REPEATS` five-fold cross-validations with no patient on both sides, for "cart" (the twelve numbers a cart prints) and
"all" (amplitudes and times of every lead, band powers); with `--model` the share of LUDB records that lie outside the
phantom by the distances of models/outside.py, fitted on other phantom patients of the same version. LUDB was looked at
while version 2 was made, so it is no independent judge of it.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

import numpy as np

from benchmarks.measurements import RATE_HZ, read_signal
from echo2ecg_core.ecg.beats import at_working_rate, find_beats, samples
from echo2ecg_core.ecg.measure import measure_median, usual_change_ms
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.evaluation.features import FEATURES, RHYTHM, VOLTAGES, ecg_features
from echo2ecg_core.phantom.ecg import simulate_ecg
from echo2ecg_core.phantom.heart import Heart, draw_heart

CART = RHYTHM + VOLTAGES
BANDS_HZ = ((0.5, 1.5), (1.5, 5), (5, 15), (15, 30), (30, 75), (75, 150))
EXTRA = (
    *(f"q_mv_{lead}" for lead in LEADS),
    *(f"{wave}_axis_{part}" for wave in ("p", "t") for part in ("sin", "cos")),
    "p_ms",
    *(f"log10_power_{low}_{high}_hz" for low, high in BANDS_HZ),
)
ALL = FEATURES + EXTRA
POOL, REPEATS, FOLDS, NEAR_MV = 12_000, 4, 5, 0.02
LEFT_OUT = ("pacing", "flutter", "III degree")
INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]


def measured(signal_mv: np.ndarray) -> np.ndarray:
    """(len(ALL),) numbers of one ECG (12, n) at 500 Hz, NaN where they cannot be measured."""
    return np.concatenate([ecg_features(signal_mv, RATE_HZ), _waves(signal_mv), band_powers(signal_mv)])


def _waves(signal_mv: np.ndarray) -> np.ndarray:
    """Q of every lead, axes of P and T, and P duration; NaN where there are none."""
    beats = find_beats(at_working_rate(signal_mv, RATE_HZ)[0])
    found = np.full(len(LEADS) + 5, np.nan)
    if beats is None:
        return found
    rr_s = np.diff(beats.r_peaks) / RATE_HZ
    _, waves = measure_median(beats, float(np.median(rr_s)), usual_change_ms(rr_s))
    if waves is None:
        return found
    first, last = waves.qrs_onset, waves.qrs_offset
    beat = beats.median - beats.median[:, first - samples(20) : first - samples(4)].mean(axis=1, keepdims=True)
    qrs = beat[:, first : last + 1]
    found[:12] = [min(0.0, lead[: lead.argmax() + 1].min()) if lead.max() > NEAR_MV else 0.0 for lead in qrs]
    if waves.t_offset:
        found[14:16] = _direction(beat[:, last + samples(60) : waves.t_offset])
    if waves.p_onset is not None:
        p_wave = beat[:, waves.p_onset : first - samples(10)]
        if p_wave.shape[1] > samples(30):
            ramp = np.linspace(0, 1, p_wave.shape[1])
            p_wave = p_wave - p_wave[:, :1] * (1 - ramp) - p_wave[:, -1:] * ramp
            found[12:14] = _direction(p_wave)
            energy = np.cumsum((p_wave**2).sum(axis=0))
            inside = np.flatnonzero((energy > 0.02 * energy[-1]) & (energy < 0.98 * energy[-1]))
            found[16] = 1000 * len(inside) / RATE_HZ
    return found


def _direction(wave: np.ndarray) -> tuple[float, float]:
    """Sine and cosine of the frontal direction of the area of a wave (12, n), from I and aVF."""
    angle = math.atan2(wave[LEADS.index("aVF")].sum() * 2 / math.sqrt(3), wave[LEADS.index("I")].sum())
    return math.sin(angle), math.cos(angle)


def band_powers(signal_mv: np.ndarray) -> np.ndarray:
    """(bands,) log10 of the mean power density, mV^2 per Hz, in each of `BANDS_HZ`; median of the independent leads."""
    from scipy.signal import welch

    hertz, power = welch(signal_mv[INDEPENDENT], RATE_HZ, nperseg=2000)
    return np.array(
        [np.median(np.log10(power[:, (hertz >= low) & (hertz < high)].mean(axis=1) + 1e-12)) for low, high in BANDS_HZ]
    )


def kind_of(words: str) -> tuple[str, str, str, float | None]:
    """Sex, rhythm, conduction and age of a LUDB header; age None where it is not a number."""
    age = re.search(r"<age>: *(\d+)", words)
    conduction = "lbbb" if "Complete left bundle" in words else "rbbb" if "Complete right bundle" in words else "normal"
    return (
        "female" if re.search("<sex>: *F", words) else "male",
        "af" if "Atrial fibrillation" in words else "sinus",
        conduction,
        float(age[1]) if age else None,
    )


def comparable(folder: Path, half: str = "all") -> tuple[list[np.ndarray], list[tuple[str, str, str, float, float]]]:
    """Signals (12, n) of the LUDB records whose like the phantom holds; of each sex, rhythm, conduction, age, rate."""
    signals, kinds = [], []
    for path in sorted(folder.glob("*.hea"), key=lambda path: int(path.stem)):
        signal, words = read_signal(path.with_suffix(""))
        beats = find_beats(signal)
        if half != "all" and (int(path.stem) % 4 == 1) != (half == "set"):
            continue
        if not any(word in words for word in LEFT_OUT) and beats is not None:
            signals.append(signal)
            kinds.append((*kind_of(words), 60 * RATE_HZ / float(np.diff(beats.r_peaks).mean())))
    median_age = float(np.median([kind[3] for kind in kinds if kind[3] is not None]))
    return signals, [(*kind[:3], median_age if kind[3] is None else kind[3], kind[4]) for kind in kinds]


def answering(
    kinds: list[tuple[str, str, str, float, float]], per_record: int, seed: int, any_rate: bool = False
) -> list[tuple[int, Heart]]:
    """`per_record` phantom hearts for each kind, with their numbers in the pool: the rarest kinds choose first."""
    pool = [draw_heart(np.random.default_rng([seed, index])) for index in range(POOL)]
    by_kind: dict[tuple, list[int]] = {}
    for index, heart in enumerate(pool):
        by_kind.setdefault((heart.sex, heart.rhythm, heart.conduction), []).append(index)
    chosen = []
    rate_counts = 0.0 if any_rate else 1.0

    def distance(heart: Heart, age: float, rate: float) -> float:
        return abs(heart.age_years - age) + rate_counts * abs(heart.heart_rate_bpm - rate)

    for *kind, age, rate in sorted(kinds, key=lambda kind: len(by_kind.get(kind[:3], []))):
        free = by_kind[tuple(kind)]
        nearest = sorted(free, key=lambda index: distance(pool[index], age, rate))[:per_record]  # noqa: B023
        by_kind[tuple(kind)] = [index for index in free if index not in set(nearest)]
        chosen += [(index, pool[index]) for index in nearest]
    return chosen


def drawn(hearts: list[tuple[int, Heart]], version: int, seed: int) -> list[np.ndarray]:
    """One ECG (12, n) of each heart."""
    return [
        simulate_ecg(heart, np.random.default_rng([seed, index, 1]), version=version).astype(float)
        for index, heart in hearts
    ]


def telling(real: np.ndarray, phantom: np.ndarray, columns: list[int], seed: int) -> list[float]:
    """AUROC of each repeat of cross-validated boosting that tells phantom (m, f) from real ECGs (n, f).

    Every ECG is of another patient, so that folds over ECGs are folds over patients.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    x = np.vstack([real, phantom])[:, columns]
    y = np.repeat([1, 0], [len(real), len(phantom)])
    found = []
    for repeat in range(REPEATS):
        model = HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, min_samples_leaf=10, class_weight="balanced", random_state=repeat
        )
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed + repeat)
        found.append(float(roc_auc_score(y, cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1])))
    return found


def compared(real: np.ndarray, phantom: np.ndarray) -> dict[str, dict[str, float]]:
    """Per number its medians, LUDB's standard deviation and the distance of the medians in it, farthest first."""
    rows = {}
    for name, r, p in zip(ALL, real.T, phantom.T, strict=True):
        low, middle, high = np.nanpercentile(r, [16, 50, 84])
        sd = (high - low) / 2
        at = float(np.nanmedian(p))
        rows[name] = {
            "ludb": float(f"{middle:.4g}"), "sd": float(f"{sd:.4g}"), "phantom": float(f"{at:.4g}"),
            "distance": round(float((at - middle) / sd), 2) if sd > 1e-9 else 0.0,
        }  # fmt: skip
    return dict(sorted(rows.items(), key=lambda row: -abs(row[1]["distance"])))


def outside_share(model_folder: Path, real: list[np.ndarray], version: int, seed: int, count: int = 300) -> dict:
    """Share of real ECGs beyond the limit of the distances that are fitted on `count` phantom patients of a version."""
    from echo2ecg_core.answers.loaded_model import ecg_vectors, prepared_ecg
    from echo2ecg_core.ecg.record import EcgRecord
    from echo2ecg_core.models.checkpoint import load_checkpoint
    from echo2ecg_core.models.outside import LIMIT_PERCENTILE, Distance

    network = load_checkpoint(model_folder).echo2ecg

    def vectors(signals: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        rows = [
            ecg_vectors(network, prepared_ecg(network.spec, EcgRecord(s.astype(np.float32), RATE_HZ, "", ""))[None])
            for s in signals
        ]
        return np.vstack([row.outside for row in rows]), np.vstack([row.embedding for row in rows])

    hearts = [(index, draw_heart(np.random.default_rng([seed + 1, index]))) for index in range(count)]
    phantom, real_vectors = vectors(drawn(hearts, version, seed + 1)), vectors(real)
    shares = {}
    for name, ours, theirs in zip(("signal", "embedding"), phantom, real_vectors, strict=True):
        cut = 2 * count // 3
        distance = Distance.fit(ours[:cut], ours[cut:])
        shares[name] = round(float((distance.percentile(theirs) > LIMIT_PERCENTILE).mean()), 3)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ludb", type=Path, required=True)
    parser.add_argument("--versions", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--per-record", type=int, default=4)
    parser.add_argument("--any-rate", action="store_true")
    parser.add_argument("--half", choices=("all", "set", "held"), default="all")
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--model", type=Path, help="folder of a model whose embedding measures the distance")
    options = parser.parse_args()
    if not any(options.ludb.glob("*.hea")):
        print(
            f"Skipped: {options.ludb} holds no wfdb records (*.hea). Give the folder of LUDB's records.",
            file=sys.stderr,
        )
        return
    signals, kinds = comparable(options.ludb, options.half)
    real = np.array([measured(signal) for signal in signals])
    hearts = answering(kinds, options.per_record, options.seed, options.any_rate)
    cart = [ALL.index(name) for name in CART]
    result = {
        "ludb_records": len(signals),
        "phantom_ecgs": len(hearts),
        "seed": options.seed,
        "half": options.half,
        "any_rate": options.any_rate,
        "versions": {},
    }
    for version in options.versions:
        phantom = np.array([measured(signal) for signal in drawn(hearts, version, options.seed)])
        rows = compared(real, phantom)
        aurocs = {"cart": cart, "all": list(range(len(ALL)))}
        told = {name: telling(real, phantom, columns, options.seed) for name, columns in aurocs.items()}
        result["versions"][str(version)] = {
            "auroc": {name: round(float(np.mean(values)), 3) for name, values in told.items()},
            "auroc_repeats": {name: [round(value, 3) for value in values] for name, values in told.items()},
            "medians_within_half_sd": sum(abs(row["distance"]) <= 0.5 for row in rows.values()),
            "medians": len(rows),
            "outside": outside_share(options.model, signals, version, options.seed) if options.model else None,
            "rows": rows,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
