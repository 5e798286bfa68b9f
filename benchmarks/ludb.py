"""LUDB, real 12-lead ECGs without echo: what their headers name, told from frozen embeddings, leave one out.

The readers put the amplitudes of its records right (limb-lead equations). Intervals are 95 % bootstraps over records,
one a patient, the same ones for every encoder, so that differences are paired.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echo2ecg_core.evaluation.phenotypes import bootstrap, interval, weighted_auroc
from echo2ecg_core.models.specs import ModelSpec

FINDINGS = {  # of LUDB's headers: what their words contain
    "atrial fibrillation": ("atrial fibrillation",),
    "bundle branch block, any": ("bundle branch block",),
    "LV hypertrophy": ("left ventricular hypertrophy",),
    "LA enlargement": ("left atrial hypertrophy", "left atrial overload"),
    "infarct or ischaemia": ("stemi", "ischemia", "scar"),
}
N_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Measured:
    """One number of one arm: its value and its bootstrap draws, (resamples,)."""

    value: float
    draws: np.ndarray

    def minus(self, other: "Measured") -> "Measured":
        return Measured(self.value - other.value, self.draws - other.draws)

    def as_json(self) -> list[float]:
        return [round(float(v), 4) for v in (self.value, *interval(self.draws))]


def ludb_windows(folder: Path, spec: ModelSpec) -> np.ndarray:
    """Prepared LUDB records (n, 12, t), in the order of `ludb_records`."""
    from echo2ecg_core.ecg.preprocess import clean_whole
    from echo2ecg_core.ecg.readers import read_ecg

    records = [read_ecg(path) for path in ludb_records(folder)]
    return np.stack(
        [
            clean_whole(
                r.signal_mv, r.sampling_rate_hz, target_hz=spec.ecg_input.sampling_rate_hz, order=spec.ecg_input.order
            )[:, :4000]
            for r in records
        ]
    )


def ludb_records(folder: Path) -> list[Path]:
    """Headers of the LUDB records, by number."""
    return sorted(folder.rglob("*.hea"), key=lambda path: int(path.stem))


def ludb_findings(headers: list[Path]) -> dict[str, np.ndarray]:
    """Finding -> (n,) bool, from the comment lines of the records' headers."""
    texts = [
        " ".join(line for line in path.read_text().lower().splitlines() if line.startswith("#")) for path in headers
    ]
    return {
        finding: np.array([any(word in text for word in words) for text in texts])
        for finding, words in FINDINGS.items()
    }


def ludb_scores(x: np.ndarray, positive: np.ndarray) -> dict[str, np.ndarray]:
    """Leave-one-out scores (n,) of a kNN (k = 5) on the vectors and of a logistic probe (C = 0.1) on standardised ones.

    Classes weigh the same in each fit: else leaving a positive out lowers its own intercept, and chance falls below
    0.5.
    """
    from sklearn.linear_model import LogisticRegression

    n = len(x)
    distance = ((x[:, None] - x[None]) ** 2).sum(2)
    np.fill_diagonal(distance, np.inf)
    knn = positive[np.argsort(distance, 1, kind="stable")[:, :5]].mean(1)
    probe = np.empty(n)
    for i in range(n):
        rest = np.arange(n) != i
        mean, scale = x[rest].mean(0), x[rest].std(0) + 1e-9
        probe[i] = (
            LogisticRegression(C=0.1, max_iter=300, class_weight="balanced")
            .fit((x[rest] - mean) / scale, positive[rest])
            .decision_function([(x[i] - mean) / scale])[0]
        )
    return {"knn": knn, "probe": probe}


def ludb_of(x: np.ndarray, findings: dict[str, np.ndarray]) -> dict[tuple[str, str], Measured]:
    """(readout, finding) -> AUROC over the real ECGs; records are resampled (one a patient)."""
    found = {}
    for finding, positive in findings.items():
        for readout, scores in ludb_scores(x, positive).items():
            draws = bootstrap(
                lambda w, s=scores, p=positive: {"auroc": weighted_auroc(s, p, w)}, np.arange(len(x)), N_RESAMPLES, 0
            )["auroc"]
            found[readout, finding] = Measured(float(weighted_auroc(scores, positive, np.ones((1, len(x))))[0]), draws)
    return found
