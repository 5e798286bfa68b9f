"""Measures cleaning one 12 x 5000 ECG against the sparse LU way, and cleaning many ECGs on all cores.

Run: `python -m benchmarks.clean [--repeats 30]` from the project folder. Both ways run in this process on the same
synthetic ECG (median of the repeats, fewer for the slow way); compile and import time are left out. The sparse way
builds the system with scipy.sparse and solves it with `spsolve`, as the published implementation does.
Prints one JSON line; `ratio` is sparse over compiled time.
"""

import argparse
import json
import os
import statistics
import time

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import spsolve

from echo2ecg_core.ecg.preprocess import clean, clean_many, warm_up


def synthetic_ecg(n=5000, sampling_rate_hz=500.0):
    """Returns (12, n) float32 millivolts: beats, wander and noise."""
    time_s = np.arange(n) / sampling_rate_hz
    beats = 1.2 * np.exp(-0.5 * ((time_s % 0.8 - 0.4) / 0.012) ** 2)
    gains = np.cos(0.5 * np.arange(12))[:, None]
    wander = 0.3 * np.sin(2 * np.pi * 0.23 * time_s + np.arange(12)[:, None])
    return (gains * beats + wander + 0.02 * np.random.default_rng(0).standard_normal((12, n))).astype(np.float32)


def clean_by_sparse_lu(signal):
    """Returns what `clean` returns, with a general sparse LU solver for every baseline."""
    signal = np.nan_to_num(signal)
    signal = np.clip(signal, -4 * signal.std(), 4 * signal.std())
    n = signal.shape[1]
    differences = scipy.sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(n - 2, n))
    penalty = (1e7 * differences.T @ differences).tocsc()
    flattened = np.empty_like(signal)
    for row, lead in enumerate(signal):
        weights = np.ones(n)
        for _ in range(5):
            baseline = spsolve(scipy.sparse.diags(weights, format="csc") + penalty, weights * lead)
            weights = 0.3 * (lead > baseline) + 0.7 * (lead < baseline)
        flattened[row] = lead - baseline
    for leads in (slice(0, 3), slice(3, 6), slice(6, 12)):
        group = flattened[leads]
        flattened[leads] = (group - group.mean()) / np.sqrt(group.var() + 1e-12)
    return flattened


def median_ms(work, repeats):
    """Returns the median wall-clock time of `work()` in milliseconds."""
    times_s = []
    for _ in range(repeats):
        start_s = time.perf_counter()
        work()
        times_s.append(time.perf_counter() - start_s)
    return 1000 * statistics.median(times_s)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    warm_up()
    ecg = synthetic_ecg()
    difference = float(np.abs(clean(ecg) - clean_by_sparse_lu(ecg)).max())
    clean_ms = median_ms(lambda: clean(ecg), repeats)
    sparse_ms = median_ms(lambda: clean_by_sparse_lu(ecg), max(3, repeats // 5))
    batch = [ecg] * 200
    many_ms = {threads: median_ms(lambda threads=threads: clean_many(batch, threads), 3) for threads in (1, 2)}
    print(
        json.dumps(
            {
                "benchmark": "clean",
                "shape": list(ecg.shape),
                "cores": os.cpu_count(),
                "clean_ms": round(clean_ms, 3),
                "sparse_lu_ms": round(sparse_ms, 1),
                "ratio": round(sparse_ms / clean_ms, 1),
                "max_difference": difference,
                "many_ecgs_per_s_1_thread": round(200e3 / many_ms[1]),
                "many_ecgs_per_s_2_threads": round(200e3 / many_ms[2]),
            }
        )
    )


if __name__ == "__main__":
    main()
