"""How long retrieval metrics take, and how much memory: 2,000 x 2,000 with 557 positives a query, 20,000 x 20,000 from
vectors.

Run: python -m benchmarks.retrieval [--large 20000]. Prints one JSON line: seconds for the small case (target: under 1.5
s; the published loops took 43 s), seconds and peak memory for the large one (target: under 2 GB; a whole similarity
matrix of float32 is 1.6 GB, its positives 0.4 GB, a stable ranking 3.2 GB).
"""

import argparse
import json
import resource
import time

import numpy as np


def main() -> None:
    from echo2ecg_core.evaluation.retrieval import retrieval_metrics, retrieval_metrics_of_vectors

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", type=int, default=20_000)
    n, rng = parser.parse_args().large, np.random.default_rng(0)
    similarity = rng.normal(size=(2000, 2000)).astype(np.float32)
    positives = np.zeros((2000, 2000), bool)
    for row in positives:
        row[rng.permutation(2000)[:557]] = True
    start = time.perf_counter()
    retrieval_metrics(similarity, positives)
    result = {"benchmark": "retrieval", "small_s": round(time.perf_counter() - start, 2), "small_target_s": 1.5}
    value = rng.normal(55, 12, n).astype(np.float32)
    queries, targets = (rng.normal(size=(n, 512)).astype(np.float32) for _ in range(2))
    start = time.perf_counter()
    retrieval_metrics_of_vectors(
        queries, targets, lambda first, stop: np.abs(value[first:stop, None] - value[None]) <= 6
    )
    result |= {
        "large": n,
        "large_s": round(time.perf_counter() - start, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "peak_target_gb": 2,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
