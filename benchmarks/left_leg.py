"""Whether one recording can tell a swap of left arm and left leg: I and II as the chest leads say they should be.

Run: python -m benchmarks.left_leg --ludb FOLDER [--others FOLDER]. Such a swap exchanges I and II. Both are computed
from V1 to V6, with weights fitted by least squares to the median beats of LUDB records 1, 5, 9, ..., apart for the P
wave and for QRS and T; each part is -1 where the recorded I and II fit better as they are, 1 where they fit better
exchanged, and their sum is the sign. (The idea is that of Kors and van Herpen, Am J Cardiol 2001.) One JSON line a set
of recordings without pacing: how many have a sign above each limit as they are, and after the swap, which is made by
algebra. The sets are the records that the weights were fitted to, the other LUDB records, and all other files.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.measurements import RATE_HZ, read_signal
from echo2ecg_core.ecg.beats import at_working_rate, find_beats, samples
from echo2ecg_core.ecg.delineate import delineate
from echo2ecg_core.ecg.electrodes import paced_beats
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.errors import Echo2ECGError

LIMITS = (0.0, 0.3, 0.5, 0.6, 0.8)
Parts = tuple[np.ndarray | None, np.ndarray]  # (12, n) of P wave, None without one, and of QRS and T


def parts_of(signal_mv: np.ndarray, rate_hz: float) -> Parts | None:
    """P wave and QRS with T of the median beat; None where a lead is empty or the rhythm is paced."""
    beats = find_beats(at_working_rate(signal_mv, rate_hz)[0])
    if beats is None or not beats.leads.all() or paced_beats(beats):
        return None
    waves, beat = delineate(beats.windows, float(np.median(np.diff(beats.r_peaks))) / RATE_HZ), beats.median
    if waves is None:
        return None
    level = beat[:, waves.qrs_onset - samples(20) : waves.qrs_onset - samples(4)].mean(axis=1, keepdims=True)
    ventricular = (beat - level)[:, waves.qrs_onset : waves.t_offset or waves.qrs_offset]
    if waves.p_onset is None:
        return None, ventricular
    p_wave = beat[:, waves.p_onset : waves.qrs_onset - samples(8)]
    ramp = np.linspace(0, 1, p_wave.shape[1])
    return p_wave - p_wave[:, :1] * (1 - ramp) - p_wave[:, -1:] * ramp, ventricular


def weights_of(parts: list[np.ndarray]) -> np.ndarray:
    """(2, 6) that give I and II from V1 to V6."""
    together = np.concatenate(parts, axis=1)
    return np.linalg.lstsq(together[6:].T, together[:2].T, rcond=None)[0].T


def sign(parts: Parts, weights: tuple[np.ndarray, np.ndarray]) -> float:
    """-2 to 2: how much better I and II fit the chest leads when they are exchanged."""
    total = 0.0
    for part, weight in zip(parts, weights, strict=True):
        if part is not None:
            said = weight @ part[6:]
            apart = np.linalg.norm(part[:2] - said) - np.linalg.norm(part[[1, 0]] - said)
            total += float(apart / (np.linalg.norm(part[0] - part[1]) * np.sqrt(2)))
    return total


def row(name: str, found: list[Parts], weights: tuple[np.ndarray, np.ndarray]) -> dict:
    """How many of these recordings have a sign above each limit; a swap turns the sign over."""
    signs = np.array([sign(parts, weights) for parts in found])
    counts = {str(limit): [int((signs > limit).sum()), int((-signs > limit).sum())] for limit in LIMITS}
    return {"row": name, "records": len(found), "as_recorded_and_swapped_above": counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ludb", type=Path, required=True)
    parser.add_argument("--others", type=Path, help="folder of other recordings")
    options = parser.parse_args()
    halves: dict[bool, list[Parts]] = {True: [], False: []}
    for header in sorted(options.ludb.glob("*.hea"), key=lambda path: int(path.stem)):
        parts = parts_of(read_signal(header.with_suffix(""))[0], RATE_HZ)
        halves[int(header.stem) % 4 == 1] += [parts] if parts else []
    fitted = halves[True]
    weights = weights_of([p for p, _ in fitted if p is not None]), weights_of([qrst for _, qrst in fitted])
    print(json.dumps(row("fitted", fitted, weights)))
    print(json.dumps(row("held out", halves[False], weights)))
    others: dict[bytes, Parts] = {}
    for path in sorted(options.others.rglob("*")) if options.others else ():
        if not path.is_file() or options.ludb in path.parents:
            continue
        try:
            record = read_ecg(path, sampling_rate_hz=RATE_HZ if path.suffix == ".txt" else None)
        except Echo2ECGError:
            continue
        parts = parts_of(record.signal_mv, record.sampling_rate_hz)
        others |= {np.round(record.signal_mv[0, :1000], 2).tobytes(): parts} if parts else {}  # a recording once
    if others:
        print(json.dumps(row("others", list(others.values()), weights)))


if __name__ == "__main__":
    main()
