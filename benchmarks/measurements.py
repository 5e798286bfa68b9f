"""How far measured intervals lie from cardiologists' marks, and which limb swaps and pacing are told: LUDB, with bands.

Run: python -m benchmarks.measurements --ludb FOLDER [--half set|held] [--stress]. FOLDER holds wfdb records of LUDB
with marks in .ii and .v5. Their headers give every lead a gain of its own; the counts are microvolts, and are read as
that here. A manual interval is the median over beats from the earliest onset to the latest end in II and V5. Limits in
the code were set on records 1, 5, 9, ...; `--half held` are the others. Prints one JSON line a row, each number with
its 95 % band from 2,000 resamples of records: bias, median and 90th percentile of the absolute error, share of errors
over 25 ms (2 beats a minute for the rate), the same share among those with a confidence above 0.5; how many of the far
ones lie where the marks of II and V5 are as far from each other; P waves; QRS >= 120 ms; swaps of limb electrodes, made
from the same records by algebra; pacing; chest leads shuffled and recordings turned over; sampling rates doubted as
recorded and told half or twice. A swap of left arm and left leg is not named; a row tells how often its only sign, a P
wave that begins downwards in III and is larger in I than in II, is there with and without it. `--stress` prints instead
one line a damage (rate, noise, hum, wander, gain, clipping, gaps, lost leads, drawn with a fixed seed) and measurement:
how many are measured and sure, the median error, and how many are far from the marks though sure.
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
from echo2ecg_core.ecg.measure import EcgMeasurements, distances_s, doubts_of_sampling_rate, measure_signal
from echo2ecg_core.ecg.quality import judge_signal

RATE_HZ, MICROVOLTS = 500.0, 1000.0
FAR = {"pr_ms": 25.0, "qrs_ms": 25.0, "qt_ms": 25.0, "heart_rate_bpm": 2.0}
WIDE_MS, SURE, LIMITING, RESAMPLES = 120.0, 0.5, 0.5, 2000
SWAPS = {
    "right arm and left arm": ("left arm and right arm", lambda one, two: (-one, two - one)),
    "right arm and left leg": ("right arm and left leg", lambda one, two: (one - two, -two)),
    "left arm and left leg": ("", lambda one, two: (two, one)),  # cannot be told from one recording
}
P_BEGINS_DOWN = -0.45  # mean of the first half of P in III, over the size of P in I, II and III


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

    PR is NaN where fewer than half of the beats have a marked P wave. `apart_ms` tells how far the marks of the two
    leads usually lie from each other where the interval ends.
    """
    beats = marked_beats(record, "ii")
    spans = {"pr_ms": [], "qrs_ms": [], "qt_ms": []}
    chest_beats = marked_beats(record, "v5")
    apart = {"qrs_ms": [], "qt_ms": []}
    for beat in beats:
        both = [beat, *(other for other in chest_beats if abs(other["r"] - beat["r"]) < 0.1 * rate_hz)]
        marks = {
            name: [b[name] for b in both if b[name] is not None] for name in ("qrs_on", "qrs_off", "p_on", "t_off")
        }
        if not marks["qrs_on"]:
            continue
        for name, end in (("qrs_ms", "qrs_off"), ("qt_ms", "t_off")):
            apart[name] += [1000 * np.ptp(marks[end]) / rate_hz] if len(marks[end]) > 1 else []
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
    apart_ms = {name: float(np.median(values)) if values else math.nan for name, values in apart.items()}
    return manual | {
        "r_times_s": r_times_s, "heart_rate_bpm": 60 / np.diff(r_times_s).mean(), "apart_ms": apart_ms,
    }  # fmt: skip


def within(manual: dict, duration_s: float) -> dict:
    """The manual measurements with the rate of the beats marked in the first so many seconds."""
    times_s = manual["r_times_s"][manual["r_times_s"] < duration_s - 0.2]
    return manual | {"r_times_s": times_s, "heart_rate_bpm": 60 / np.diff(times_s).mean()}


def measured_rate(
    manual: dict, measured: EcgMeasurements, signal: np.ndarray | None = None, rate_hz: float = RATE_HZ
) -> float | None:
    """Mean rate of the beats found between the first and the last marked one; the marks leave out the outer beats. Of
    a signal with gaps without the distances across them, as the package does it."""
    first_s, last_s = manual["r_times_s"][[0, -1]]
    inside = np.array([time_s for time_s in measured.r_times_s if first_s - 0.12 < time_s < last_s + 0.12])
    if len(inside) < 2:
        return None
    return 60 / float((np.diff(inside) if signal is None else distances_s(inside, signal, rate_hz)).mean())


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


def apart_row(name: str, pairs: list[tuple[dict, EcgMeasurements]]) -> dict:
    """How many errors are far where the marks of II and V5 themselves lie as far apart, and where they agree."""
    far = {True: [], False: []}
    for manual, measured in pairs:
        value, apart_ms = getattr(measured, name), manual["apart_ms"][name]
        if value is not None and math.isfinite(manual[name]) and math.isfinite(apart_ms):
            far[apart_ms > FAR[name]].append(bool(abs(value - manual[name]) > FAR[name]))
    return {
        "row": f"{name}, by whether the marks agree", "marks_apart": len(far[True]), "far_there": sum(far[True]),
        "marks_agree": len(far[False]), "far_though_marks_agree": sum(far[False]),
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


def left_leg_sign(signal: np.ndarray) -> bool | None:
    """Whether P begins downwards in III and is larger in I than in II; None without a P wave."""
    working, _ = at_working_rate(signal, RATE_HZ)
    beats = find_beats(working)
    waves = beats and delineate(beats.windows, float(np.median(np.diff(beats.r_peaks))) / samples(1000))
    if not waves or waves.p_onset is None:
        return None
    p_wave = beats.median[:3, waves.p_onset : waves.qrs_onset - samples(8)]
    ramp = np.linspace(0, 1, p_wave.shape[1])
    p_wave = p_wave - p_wave[:, :1] * (1 - ramp) - p_wave[:, -1:] * ramp
    size = np.sqrt((p_wave**2).mean()) + 1e-9
    begins = p_wave[2, : p_wave.shape[1] // 2].mean() / size
    return bool(begins < P_BEGINS_DOWN and p_wave[0].mean() > p_wave[1].mean())


def left_leg_row(signals: list[np.ndarray]) -> dict:
    """How often the sign of a swap of left arm and left leg is there, as recorded and after the swap."""
    plain = [left_leg_sign(signal) for signal in signals]
    swapped = [left_leg_sign(twelve_leads(signal[1], signal[0], signal[6:])) for signal in signals]
    return {"row": "sign of left arm and left leg"} | {
        name: banded(np.array([sign for sign in signs if sign is not None], float), np.mean)
        for name, signs in (("as_recorded", plain), ("swapped", swapped))
    }


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


def sampling_rate_row(signals: list[np.ndarray]) -> dict:
    """How many recordings are doubted for their sampling rate, as recorded and told half or twice of it."""
    rates = {"as_recorded": RATE_HZ, "told_half": RATE_HZ / 2, "told_twice": 2 * RATE_HZ}
    return {"row": "sampling rate doubted"} | {
        name: sum(bool(doubts_of_sampling_rate(measure_signal(signal, rate_hz), None)) for signal in signals)
        for name, rate_hz in rates.items()
    }


def muscle(rng: np.random.Generator, shape: tuple[int, int], rms_mv: float) -> np.ndarray:
    """Noise from 20 to 150 Hz in bursts of half a second."""
    from scipy.signal import butter, sosfiltfilt

    noise = sosfiltfilt(butter(2, (20, 150), "bandpass", fs=RATE_HZ, output="sos"), rng.standard_normal(shape))
    bursts = np.repeat(rng.uniform(0, 2, (shape[0], -(-shape[1] // 250))), 250, axis=1)[:, : shape[1]]
    return rms_mv * bursts * noise / noise.std()


def wander(rng: np.random.Generator, shape: tuple[int, int], height_mv: float) -> np.ndarray:
    """Slow waves of breathing and loose electrodes, 0.1 to 0.5 Hz, every lead its own."""
    time_s = np.arange(shape[1]) / RATE_HZ
    waves = np.zeros(shape)
    for _ in range(3):
        frequency_hz, phase = rng.uniform(0.1, 0.5, (shape[0], 1)), rng.uniform(0, 2 * np.pi, (shape[0], 1))
        waves += height_mv / 3 * np.sin(2 * np.pi * frequency_hz * time_s + phase)
    return waves


def hum(rng: np.random.Generator, shape: tuple[int, int], mains_hz: float, height_mv: float) -> np.ndarray:
    """A sine of the mains with its third harmonic, every lead its own height."""
    phase = 2 * np.pi * mains_hz * np.arange(shape[1]) / RATE_HZ
    return height_mv * rng.uniform(0.3, 1, (shape[0], 1)) * (np.sin(phase) + 0.2 * np.sin(3 * phase + 1))


def without(signal: np.ndarray, *rows: int) -> np.ndarray:
    """The signal with these leads flat."""
    flat = signal.copy()
    flat[list(rows)] = 0.0
    return flat


def clipped(signal: np.ndarray, height_mv: float) -> np.ndarray:
    """The signal with each lead held at this height above and below where it rests."""
    centred = signal - np.median(signal, axis=1, keepdims=True)
    return np.clip(centred, -height_mv, height_mv)


def with_gaps(signal: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The signal with two seconds missing in each lead, from its own sample on; one sample is that of all."""
    places = np.arange(signal.shape[1]) - np.broadcast_to(begins, len(signal))[:, None]
    return np.where((places >= 0) & (places < 2 * RATE_HZ), np.nan, signal)


def resampled(signal: np.ndarray, rate_hz: float) -> np.ndarray:
    from scipy.signal import resample_poly

    return resample_poly(signal, int(rate_hz), int(RATE_HZ), axis=1, padtype="line")


def damages() -> dict[str, Callable]:
    """Damage -> function of signal and generator that gives the damaged signal and its rate."""

    def everything(signal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        worse = signal + wander(rng, signal.shape, 0.5) + hum(rng, signal.shape, 60.0, 0.05)
        worse = 0.5 * (worse + muscle(rng, signal.shape, 0.03))
        return resampled(without(worse, rng.integers(12)), 250.0), 250.0

    def at(rate_hz: float) -> Callable:
        return lambda signal, _: (resampled(signal, rate_hz), rate_hz)

    def plus(noise: Callable, *given: float) -> Callable:
        return lambda signal, rng: (signal + noise(rng, signal.shape, *given), RATE_HZ)

    def changed(change: Callable) -> Callable:
        return lambda signal, rng: (change(signal, rng), RATE_HZ)

    white = plus(lambda rng, shape, rms_mv: rms_mv * rng.standard_normal(shape), 0.03)
    return {
        "none": changed(lambda signal, _: signal),
        **{f"{rate_hz} Hz": at(rate_hz) for rate_hz in (125, 250, 360, 1000, 2000)},
        "white noise 30 uV": white,
        "muscle 30 uV": plus(muscle, 0.03),
        "muscle 80 uV": plus(muscle, 0.08),
        "50 Hz hum 0.1 mV": plus(hum, 50.0, 0.1),
        "60 Hz hum 0.1 mV": plus(hum, 60.0, 0.1),
        "60 Hz hum 0.3 mV": plus(hum, 60.0, 0.3),
        "wander 1 mV": plus(wander, 1.0),
        "wander 3 mV": plus(wander, 3.0),
        "gain 0.5": changed(lambda signal, _: 0.5 * signal),
        "gain 0.2": changed(lambda signal, _: 0.2 * signal),
        "gain 3": changed(lambda signal, _: 3.0 * signal),
        "one lead flat": changed(lambda signal, rng: without(signal, rng.integers(12))),
        "II and V5 flat": changed(lambda signal, _: without(signal, 1, 10)),
        "limb leads only": changed(lambda signal, _: without(signal, *range(6, 12))),
        "I, II, V1, V5 only": changed(lambda signal, _: without(signal, 2, 3, 4, 5, 7, 8, 9, 11)),
        "clipped at 0.5 mV": changed(lambda signal, _: clipped(signal, 0.5)),
        "2 s missing in each lead": changed(lambda signal, rng: with_gaps(signal, rng.integers(0, 4000, 12))),
        "2 s missing in all leads": changed(lambda signal, rng: with_gaps(signal, rng.integers(1000, 3000))),
        "5 s": changed(lambda signal, _: signal[:, : int(5 * RATE_HZ)]),
        "all at once, 250 Hz": everything,
    }


def stress_rows(signals: list[np.ndarray], manuals: list[dict], damage: str, change: Callable) -> list[dict]:
    """Errors of the intervals after one damage, and rates that are off by two beats though sure."""
    rng = np.random.default_rng([7, len(damage), ord(damage[0])])
    damaged = [change(signal, rng) for signal in signals]
    measured = [measure_signal(signal, rate_hz) for signal, rate_hz in damaged]
    manuals = [within(manual, one.shape[1] / rate_hz) for manual, (one, rate_hz) in zip(manuals, damaged, strict=True)]
    rates = [measured_rate(manual, found, *one) for manual, found, one in zip(manuals, measured, damaged, strict=True)]
    rows = []
    for name, limit in FAR.items():
        triples = [
            (rate if name == "heart_rate_bpm" else getattr(found, name), manual[name], found)
            for manual, found, rate in zip(manuals, measured, rates, strict=True)
            if math.isfinite(manual[name])
        ]
        errors = np.array([value - marked for value, marked, _ in triples if value is not None])
        sure = np.array([found.confidence[name] > SURE for value, _, found in triples if value is not None], bool)
        rows.append(
            {
                "damage": damage, "row": name, "marked": len(triples), "measured": len(errors), "sure": int(sure.sum()),
                "median_error": round(float(np.median(np.abs(errors))), 2) if len(errors) else None,
                "far": int((np.abs(errors) > limit).sum()),
                "far_though_sure": int((np.abs(errors[sure]) > limit).sum()),
            }
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ludb", type=Path, required=True)
    parser.add_argument("--half", choices=("all", "set", "held"), default="all")
    parser.add_argument("--stress", action="store_true")
    options = parser.parse_args()
    records = sorted((path.with_suffix("") for path in options.ludb.glob("*.hea")), key=lambda path: int(path.name))
    if options.half != "all":
        records = [record for record in records if (int(record.name) % 4 == 1) == (options.half == "set")]
    signals, words = zip(*(read_signal(record) for record in records), strict=True)
    if options.stress:
        manuals = [manual_measurements(record) for record in records]
        for damage, change in damages().items():
            for row in stress_rows(list(signals), manuals, damage, change):
                print(json.dumps({"half": options.half, "records": len(records)} | row), flush=True)
        return
    pairs = [
        (manual_measurements(record), measure_signal(signal, RATE_HZ))
        for record, signal in zip(records, signals, strict=True)
    ]
    paced = np.array(["ventricular pacing" in text.lower() for text in words])
    rows = [interval_row(name, pairs) for name in FAR] + found_rows(pairs)
    rows += [apart_row(name, pairs) for name in ("qrs_ms", "qt_ms")] + [sampling_rate_row(list(signals))]
    for row in (
        rows + electrode_rows(list(signals), paced) + [left_leg_row(list(signals))] + placement_rows(list(signals))
    ):
        print(json.dumps({"half": options.half, "records": len(records)} | row))


if __name__ == "__main__":
    main()
