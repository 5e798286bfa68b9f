"""How long patient-bootstrap intervals take: 1,000 resamples of 10,000 patients, every metric of one binary task.

Run: python -m benchmarks.bootstrap [--patients 10000] [--resamples 1000]. Prints one JSON line: seconds for a binary
task, for LVEF in three classes and for a value, each with all metrics of a report, and for comparison the extrapolated
seconds of a loop over resamples with scikit-learn's roc_auc_score alone. Target: under 10 s.
"""

import argparse
import json
import time

import numpy as np


def main() -> None:
    from sklearn.metrics import roc_auc_score

    from echo2ecg_core.evaluation.phenotypes import (
        bootstrap,
        weighted_binary,
        weighted_classification,
        weighted_regression,
    )

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    n, rng = options.patients, np.random.default_rng(0)
    patients, scores, values = np.arange(n), rng.random(n), rng.normal(55, 12, n)
    positive, classes = rng.random(n) < scores, rng.integers(0, 3, n)
    shares = rng.dirichlet(np.ones(3), n)
    tasks = {
        "binary_s": lambda w: weighted_binary(scores, positive, w),
        "three_classes_s": lambda w: weighted_classification(shares, classes, w),
        "value_s": lambda w: weighted_regression(values + 3, values, w),
    }
    result = {"benchmark": "bootstrap", "patients": n, "resamples": options.resamples, "target_s": 10}
    for name, metrics_of in tasks.items():
        start = time.perf_counter()
        bootstrap(metrics_of, patients, options.resamples)
        result[name] = round(time.perf_counter() - start, 2)
    start = time.perf_counter()
    for _ in range(20):
        rows = rng.integers(0, n, n)
        roc_auc_score(positive[rows], scores[rows])
    result["loop_auroc_only_s"] = round((time.perf_counter() - start) / 20 * options.resamples, 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
