"""How far measured intervals lie from cardiologists' marks, and which limb swaps and pacing are told: LUDB, with bands.

Run: python -m benchmarks.measurements --ludb FOLDER [--half set|held]. FOLDER holds wfdb records of LUDB with marks in
.ii and .v5. Their headers give every lead a gain of its own; the counts are microvolts, and are read as that here. A
manual interval is the median over beats from the earliest onset to the latest end in II and V5. Limits in the code were
set on records 1, 5, 9, ...; `--half held` are the others. Prints one JSON line a row, each number with its 95 % band
from 2,000 resamples of records: bias, median and 90th percentile of the absolute error, share of errors over 25 ms
(2 beats a minute for the rate), the same share among those with a confidence above 0.5; P waves; QRS >= 120 ms; swaps
of limb electrodes, made from the same records by algebra; pacing; chest leads shuffled and recordings turned over.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from echo2ecg_core.ecg.beats import at_working_rate, find_beats, samples
from echo2ecg_core.ecg.delineate import delineate
from echo2ecg_core.ecg.electrodes import misplaced_leads, paced_beats
from echo2ecg_core.ecg.measure import EcgMeasurements, measure_signal
from echo2ecg_core.ecg.quality import judge_signal

RATE_HZ, MICROVOLTS = 500.0, 1000.0
FAR = {"pr_ms": 25.0, "qrs_ms": 25.0, "qt_ms": 25.0, "heart_rate_bpm": 2.0}
WIDE_MS, SURE, LIMITING, RESAMPLES = 120.0, 0.5, 0.5, 2000
SWAPS = {
    "right arm and left arm": ("left arm and right arm", lambda one, two: (-one, two - one)),
    "right arm and left leg": ("right arm and left leg", lambda one, two: (one - two, -two)),
    "left arm and left leg": ("", lambda one, two: (two, one)),  # cannot be told from one recording
}


def twelve_leads(one: np.ndarray, two: np.ndarray, chest: np.ndarray) -> np.ndarray:
    """(12, n) from leads I and II, (n,), and the chest leads, (6, n)."""
    return np.vstack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, chest])


def read_signal(record: Path) -> tuple[np.ndarray, str]:
    """(12, n) millivolts and the words of the header."""
    import wfdb

    found = wfdb.rdrecord(str(record), physical=False)
    return found.d_signal.T / MICROVOLTS, " ".join(found.comments)


def marked_beats(record: Path, lead: str) -> list[dict]:
    """The marked beats of one lead: sample numbers of r, qrs_on, qrs_off, p_on, t_off; None where not marked."""
    import wfdb

    marks = wfdb.rdann(str(record), lead)
    waves = []
    for i, symbol in enumerate(marks.symbol):
        if symbol in "pNt":
            before = marks.sample[i - 1] if i and marks.symbol[i - 1] == "(" else None
            after = marks.sample[i + 1] if i + 1 < len(marks.symbol) and marks.symbol[i + 1] == ")" else None
            waves.append((symbol, before, marks.sample[i], after))
    beats = []
    for i, (symbol, before, place, after) in enumerate(waves):
        if symbol == "N":
            beat = {"r": place, "qrs_on": before, "qrs_off": after, "p_on": None, "t_off": None}
            if i and waves[i - 1][0] == "p":
                beat["p_on"] = waves[i - 1][1]
            if i + 1 < len(waves) and waves[i + 1][0] == "t":
                beat["t_off"] = waves[i + 1][3]
            beats.append(beat)
    return beats


def manual_measurements(record: Path, rate_hz: float = RATE_HZ) -> dict:
    """Medians over the marked beats: earliest onset to latest end of II and V5; the rate and times of the marks in II.

    PR is NaN where fewer than half of the beats have a marked P wave.
    """
    beats = marked_beats(record, "ii")
    spans = {"pr_ms": [], "qrs_ms": [], "qt_ms": []}
    chest_beats = marked_beats(record, "v5")
    for beat in beats:
        both = [beat, *(other for other in chest_beats if abs(other["r"] - beat["r"]) < 0.1 * rate_hz)]
        marks = {
            name: [b[name] for b in both if b[name] is not None] for name in ("qrs_on", "qrs_off", "p_on", "t_off")
        }
        if not marks["qrs_on"]:
            continue
        onset = min(marks["qrs_on"])
        if marks["qrs_off"]:
            spans["qrs_ms"].append(max(marks["qrs_off"]) - onset)
        if marks["t_off"]:
            spans["qt_ms"].append(max(marks["t_off"]) - onset)
        if marks["p_on"]:
            spans["pr_ms"].append(onset - min(marks["p_on"]))
    r_times_s = np.array([beat["r"] for beat in beats]) / rate_hz
    if len(spans["pr_ms"]) < len(beats) / 2:
        spans["pr_ms"] = []
    manual = {name: 1000 * np.median(values) / rate_hz if values else math.nan for name, values in spans.items()}
    return manual | {"r_times_s": r_times_s, "heart_rate_bpm": 60 / np.diff(r_times_s).mean()}


def measured_rate(manual: dict, measured: EcgMeasurements) -> float | None:
    """Mean rate of the beats found between the first and the last marked one; the marks leave out the outer beats."""
    first_s, last_s = manual["r_times_s"][[0, -1]]
    inside = [time_s for time_s in measured.r_times_s if first_s - 0.12 < time_s < last_s + 0.12]
    return 60 / float(np.diff(inside).mean()) if len(inside) > 1 else None


def banded(values: np.ndarray, statistic: Callable) -> list[float] | None:
    """A statistic of the records and its 95 % band from resampled records; None without records."""
    if not len(values):
        return None
    draws = values[np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))]
    band = np.quantile([statistic(draw) for draw in draws], [0.025, 0.975])
    return [round(float(number), 3) for number in (statistic(values), *band)]


def interval_row(name: str, pairs: list[tuple[dict, EcgMeasurements]]) -> dict:
    """Errors of one measurement over the records where it is marked."""
    errors, sure, marked = [], [], 0
    for manual, measured in pairs:
        value = measured_rate(manual, measured) if name == "heart_rate_bpm" else getattr(measured, name)
        marked += math.isfinite(manual[name])
        if value is not None and math.isfinite(manual[name]):
            errors.append(value - manual[name])
            sure.append(measured.confidence[name] > SURE)
    errors, sure = np.array(errors), np.array(sure)
    far = (np.abs(errors) > FAR[name]).astype(float)
    return {
        "row": name, "marked": int(marked), "measured": len(errors), "sure": int(sure.sum()),
        "bias": banded(errors, np.mean), "median_error": banded(np.abs(errors), np.median),
        "p90_error": banded(np.abs(errors), lambda e: np.quantile(e, 0.9)),
        "far": banded(far, np.mean), "far_though_sure": int(far[sure].sum()),
    }  # fmt: skip


def found_rows(pairs: list[tuple[dict, EcgMeasurements]]) -> list[dict]:
    """P waves and wide complexes: how many of the marked ones are found, and found where none are marked."""
    with_p = [measured for manual, measured in pairs if math.isfinite(manual["pr_ms"])]
    without_p = [measured for manual, measured in pairs if not math.isfinite(manual["pr_ms"])]
    wide = [measured.qrs_ms or 0 for manual, measured in pairs if manual["qrs_ms"] >= WIDE_MS]
    narrow = [measured.qrs_ms or 0 for manual, measured in pairs if manual["qrs_ms"] < WIDE_MS]
    surely_absent = [m for m in with_p if m.p_present is False and m.confidence["p_present"] > SURE]
    return [
        {
            "row": "P waves", "marked": len(with_p), "present": sum(m.p_present is True for m in with_p),
            "pr_found": banded(np.array([m.pr_ms is not None for m in with_p], float), np.mean),
            "surely_absent": len(surely_absent), "not_marked": len(without_p),
            "present_though_not_marked": sum(m.p_present is True for m in without_p),
        },
        {
            "row": "QRS >= 120 ms", "marked": len(wide), "found": banded((np.array(wide) >= WIDE_MS) * 1.0, np.mean),
            "narrow": len(narrow), "called_wide": int((np.array(narrow) >= WIDE_MS).sum()),
        },
    ]  # fmt: skip


def electrode_rows(signals: list[np.ndarray], paced: np.ndarray) -> list[dict]:
    """Swaps named in recordings as they are and after each swap; pacing noted."""
    plain = [" ".join(judge_signal(signal, RATE_HZ).notes) for signal in signals]
    rows = [
        {"row": "no swap", "records": len(signals), "named": sum("swapped" in notes for notes in plain)},
        {
            "row": "pacing", "paced": int(paced.sum()),
            "noted": sum("Pacing" in notes for notes, is_paced in zip(plain, paced, strict=True) if is_paced),
            "noted_though_not_paced": sum(
                "Pacing" in notes for notes, is_paced in zip(plain, paced, strict=True) if not is_paced
            ),
        },
    ]  # fmt: skip
    for swap, (words, change) in SWAPS.items():
        named = []
        for signal in signals:
            swapped = twelve_leads(*change(signal[0], signal[1]), signal[6:])
            sentence = f"electrodes of {words} were swapped" if words else "swapped"
            named.append(sentence in " ".join(judge_signal(swapped, RATE_HZ).notes))
        rows.append({"row": f"swap of {swap}", "named": banded(np.array(named, float), np.mean)})
    return rows


def misplaced(signal: np.ndarray) -> tuple[float, str | None]:
    """`misplaced_leads` of a signal; 0 and None where some lead shows no complexes."""
    working, _ = at_working_rate(signal, RATE_HZ)
    beats = find_beats(working)
    if beats is None or not beats.leads.all():
        return 0.0, None
    waves = delineate(beats.windows, float(np.median(np.diff(beats.r_peaks))) / samples(1000))
    return (0.0, None) if waves is None else misplaced_leads(beats.median, waves, paced=paced_beats(beats))


def placement_rows(signals: list[np.ndarray]) -> list[dict]:
    """How many recordings are called misplaced as they are, with shuffled or reversed chest leads, and upside down."""
    rng = np.random.default_rng(0)
    kinds = {
        "leads in place": lambda signal: signal,
        "chest leads shuffled": lambda signal: np.vstack([signal[:6], signal[6 + rng.permutation(6)]]),
        "chest leads reversed": lambda signal: np.vstack([signal[:6], signal[:5:-1]]),
        "upside down": lambda signal: -signal,
    }
    return [
        {
            "row": kind,
            "called_misplaced": banded(
                np.array([misplaced(change(signal))[0] >= LIMITING for signal in signals], float), np.mean
            ),
        }
        for kind, change in kinds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ludb", type=Path, required=True)
    parser.add_argument("--half", choices=("all", "set", "held"), default="all")
    options = parser.parse_args()
    records = sorted((path.with_suffix("") for path in options.ludb.glob("*.hea")), key=lambda path: int(path.name))
    if options.half != "all":
        records = [record for record in records if (int(record.name) % 4 == 1) == (options.half == "set")]
    signals, words = zip(*(read_signal(record) for record in records), strict=True)
    pairs = [
        (manual_measurements(record), measure_signal(signal, RATE_HZ))
        for record, signal in zip(records, signals, strict=True)
    ]
    paced = np.array(["ventricular pacing" in text.lower() for text in words])
    rows = [interval_row(name, pairs) for name in FAR] + found_rows(pairs)
    for row in rows + electrode_rows(list(signals), paced) + placement_rows(list(signals)):
        print(json.dumps({"half": options.half, "records": len(records)} | row))


if __name__ == "__main__":
    main()
