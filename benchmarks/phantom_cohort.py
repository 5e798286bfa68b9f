"""Measures how fast a phantom cohort is made: ECGs and frames a second of one core, and the time of 1,000 patients.

Run: `python -m benchmarks.phantom_cohort [--patients 20] [--seed 3] [--format mp4]` from the project folder, with
OMP_NUM_THREADS=1. A sample of patients is written as files (ECGs, studies, tables) in one process into a folder that is
deleted again; compiling is left out. `minutes_for_1000_patients` is extrapolated from it by clip and by ECG, for one
study of eight clips a patient shared by two cores; it counts processor time, so that a busy machine changes little.
Prints one JSON line.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.phantom_echo import frames_per_second
from echo2ecg_core.phantom.cohort import write_cohort
from echo2ecg_core.phantom.ecg import simulate_ecg
from echo2ecg_core.phantom.heart import draw_heart

PATIENTS, CLIPS, CORES = 1000, 8, 2


def ecgs_per_second(count: int = 200) -> float:
    """Simulated ten-second ECGs of different hearts a second of processor time."""
    hearts = [draw_heart(np.random.default_rng([5, i])) for i in range(count)]
    simulate_ecg(hearts[0], np.random.default_rng(0))
    start = time.process_time()
    for i, heart in enumerate(hearts):
        simulate_ecg(heart, np.random.default_rng(i))
    return count / (time.process_time() - start)


def written(n_patients: int, seed: int, format: str, *, ecg_only: bool) -> tuple[float, int, int]:
    """Processor seconds to write these patients, and how many ECGs and clips there are."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        write_cohort(Path(folder), n_patients, seed, format, ecg_only=ecg_only)
        seconds = time.process_time() - start
        ecgs = len((Path(folder) / "ecgs.csv").read_text().splitlines()) - 1
        clips = sum(path.is_file() for path in (Path(folder) / "echo").rglob("*.*"))
    return seconds, ecgs, clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--format", default="mp4")
    chosen = parser.parse_args()
    frames = frames_per_second(every=1, repeats=1)  # compiles as well
    written(1, chosen.seed, chosen.format, ecg_only=True)
    ecg_seconds, ecgs, _ = written(chosen.patients, chosen.seed, chosen.format, ecg_only=True)
    seconds, _, clips = written(chosen.patients, chosen.seed, chosen.format, ecg_only=False)
    a_clip, an_ecg = (seconds - ecg_seconds) / clips, ecg_seconds / ecgs
    total = PATIENTS * (CLIPS * a_clip + ecgs / chosen.patients * an_ecg)
    print(json.dumps({
        "benchmark": "phantom_cohort", "patients": chosen.patients, "ecgs": ecgs, "clips": clips,
        "format": chosen.format,
        "frames_per_second_a_core": round(frames), "ecgs_per_second_a_core": round(ecgs_per_second()),
        "processor_seconds_a_clip": round(a_clip, 3), "processor_seconds_an_ecg_file": round(an_ecg, 4),
        "minutes_for_1000_patients": round(total / CORES / 60, 1), "extrapolated_from_patients": chosen.patients,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
