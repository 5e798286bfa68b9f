"""One row of a comparison: what an encoder's vectors tell of each task, read out in one way, on test patients.

Arrays in, results out: no workspace, no networks. All readouts see the same patients, and equal patients give equal
bootstrap resamples, so rows can be compared pair by pair. The regularisation of a probe is chosen on validation
patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from echo2ecg_core.counts import counted
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.evaluation.phenotypes import (
    Metrics,
    bootstrap,
    interval,
    weighted_binary,
    weighted_classification,
    weighted_regression,
)
from echo2ecg_core.evaluation.probes import READOUTS
from echo2ecg_core.evaluation.tasks import TASKS

MAIN_METRIC = {"binary": "auroc", "multiclass": "auroc", "regression": "mae"}
N_RESAMPLES = 1000
CHOOSING = "held-out training"  # who chooses the regularisation where validation patients are judged
FEWEST = 5  # ECGs with a value, or of each class, to learn from, and as many patients to be judged on
Result = dict[str, tuple[float, float, float]]  # metric -> value, low, high


@dataclass(frozen=True, eq=False)
class Split:
    """ECGs of one split.

    Attributes:
        vectors: (n, d) float; NaN only for the boosting readout.
        labels: n rows: phenotype columns by field name, and `sex`; NaN where not measured.
        patients: (n,) whose ECG it is.
    """

    vectors: np.ndarray
    labels: pd.DataFrame
    patients: np.ndarray

    def __post_init__(self):
        if not len(self.vectors) == len(self.labels) == len(self.patients):
            raise Echo2ECGError(
                f"Expected as many vectors as labels and patients, found {len(self.vectors)}, "
                f"{len(self.labels)} and {len(self.patients)}."
            )

    @cached_property
    def targets(self) -> dict[str, np.ndarray]:
        """Task -> (n,) float, NaN where not known."""
        return {name: task.target(self.labels) for name, task in TASKS.items()}


@dataclass(frozen=True, eq=False)
class Encoder:
    """Vectors of one encoder, a row an ECG of the table.

    Attributes:
        key: "model", "random", "features", or the name an import gave.
        label: In words. kind: "model", "random", "features" or "imported".
        parameters: Of the ECG encoder; None where that is not known.
        readouts: How its vectors are read out.
        vectors: (n, d).
    """

    key: str
    label: str
    kind: str
    parameters: int | None
    readouts: tuple[str, ...]
    vectors: np.ndarray


@dataclass(frozen=True, eq=False)
class Row:
    """What one encoder tells through one readout.

    Attributes:
        key: Encoder and readout, e.g. "model.probe".
        encoder, readout: Its parts.
        results: Task -> metric -> value with its interval.
        predictions: Task -> predictions for every test ECG: (m,) probability of a binary task, (m, c) probabilities of
            classes, (m,) values; also for ECGs whose label is not known.
        resampled: Task -> (resamples,) its `MAIN_METRIC` in every bootstrap resample of the test patients.
    """

    key: str
    encoder: str
    readout: str
    results: dict[str, Result]
    predictions: dict[str, np.ndarray]
    resampled: dict[str, np.ndarray]


def evaluate_encoder(
    name: str,
    train: Split,
    validation: Split,
    test: Split,
    readouts: Sequence[str] = ("probe", "knn"),
    tasks: Sequence[str] | None = None,
    *,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> list[Row]:
    """One row a readout.

    Args:
        name: Of the encoder.
        train, validation, test: Its vectors; no patient may be in two of them.
        readouts: From `probes.READOUTS`: "probe", "knn", "boosting".
        tasks: Names from `tasks.TASKS`; None = all. Tasks that `unanswerable` names are left out of the rows.
        n_resamples, level, seed: Of the patient bootstrap.

    Raises:
        Echo2ECGError: a patient is in two splits, or vectors of different length, or not finite.
    """
    _check(train, validation, test, readouts)
    left_out = unanswerable(train, validation, test, tasks)
    asked = [task for task in (TASKS if tasks is None else tasks) if task not in left_out]
    rows = []
    for readout in readouts:
        predictions = {task: _predicted(readout, task, train, validation, test) for task in asked}
        rows.append(row_of(name, readout, predictions, test, n_resamples=n_resamples, level=level, seed=seed))
    return rows


def row_of(
    name: str,
    readout: str,
    predictions: dict[str, np.ndarray],
    test: Split,
    *,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Row:
    """The row of predictions made anywhere: task -> predictions for every test ECG, as in `Row`."""
    results, resampled = {}, {}
    for task, predicted in predictions.items():
        known = np.isfinite(test.targets[task])
        metrics_of = _metrics(task, predicted[known], test.targets[task][known])
        value = metrics_of(np.ones((1, known.sum())))
        draws = bootstrap(metrics_of, np.asarray(test.patients)[known], n_resamples, seed)
        results[task] = {m: (float(v[0]), *interval(draws[m], level, float(v[0]))) for m, v in value.items()}
        resampled[task] = draws[MAIN_METRIC[TASKS[task].kind]]
    return Row(f"{name}.{readout}", name, readout, results, predictions, resampled)


def patients_told(task: str, target: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Patients with a value, (1,), or with an ECG of each class, (classes,), among targets (n,) and patients (n,): an
    interval rests on them, however many ECGs they have."""
    if TASKS[task].kind == "regression":
        return np.array([len(np.unique(patients[np.isfinite(target)]))])
    classes = range(max(2, len(TASKS[task].classes)))
    return np.array([len(np.unique(patients[target == each])) for each in classes])


def unanswerable(
    train: Split, validation: Split, test: Split, tasks: Sequence[str] | None = None, judged: str = "test"
) -> dict[str, str]:
    """Tasks that these patients cannot answer, each with the reason in words; `judged` is the split that `test`
    holds."""
    reasons, choosing = {}, "validation" if judged == "test" else CHOOSING
    for name in TASKS if tasks is None else tasks:
        task = TASKS[name]
        for words, split, fewest in (("training", train, FEWEST), (choosing, validation, 1)):
            known = split.targets[name][np.isfinite(split.targets[name])]
            if task.kind == "regression":
                enough, found = len(known) >= fewest, f"{len(known)} {words} ECGs have a value"
            else:
                counts = np.bincount(known.astype(int), minlength=max(2, len(task.classes)))
                enough = counts.min() >= fewest if split is not validation else len(known) > 0
                found = f"{words} ECGs by class: {', '.join(map(str, counts))}"
            if not enough:
                reasons[name] = f"{task.label}: too few labels ({found})."
                break
        else:
            told = patients_told(name, test.targets[name], np.asarray(test.patients))
            if told.min() < FEWEST:
                by = "with a value" if task.kind == "regression" else "by class"
                reasons[name] = f"{task.label}: too few labels ({judged} patients {by}: {', '.join(map(str, told))})."
    return reasons


def refuse_nothing(reasons: dict[str, str]) -> None:
    """Raises:
    Echo2ECGError: no task is left that these patients can answer (`unanswerable`).
    """
    if len(reasons) == len(TASKS):
        raise Echo2ECGError(
            f"These patients cannot judge anything: {reasons['lvef']}", "Label the ECGs of more patients in each split."
        )


def paired_differences(rows: Sequence[Row], reference_key: str, level: float = 0.95) -> dict[str, dict[str, dict]]:
    """How much better or worse than a reference row the others are on the same patients, resample by resample.

    Args:
        rows: Rows on the same test ECGs with the same number of resamples and seed, the reference among them.
        reference_key: Key of the row the others are compared with.
        level: Of the interval.

    Returns:
        {task: {row key: {"metric": main metric, "value": [row minus reference, low, high], "reference": reference
        key}}}.
    """
    reference = next(row for row in rows if row.key == reference_key)
    differences = {}
    for task, result in reference.results.items():
        metric, found = MAIN_METRIC[TASKS[task].kind], {}
        for row in rows:
            if row.key != reference_key and task in row.results:
                value = row.results[task][metric][0] - result[metric][0]
                drawn = interval(row.resampled[task] - reference.resampled[task], level, value)
                found[row.key] = {"metric": metric, "value": [value, *drawn], "reference": reference_key}
        differences[task] = found
    return differences


def difference_of_predictions(
    task: str,
    ours: np.ndarray,
    theirs: np.ndarray,
    target: np.ndarray,
    patients: np.ndarray,
    *,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[str, tuple[float, float, float]]:
    """How much better or worse one set of predictions is than another on the same ECGs, resample by resample.

    Args:
        task: Name from `tasks.TASKS`.
        ours, theirs: Predictions as in `Row.predictions`.
        target: (m,) as `Split.targets`, NaN where not known.
        patients: (m,).

    Returns:
        The task's main metric, and ours minus theirs with its interval.
    """
    metric, known = MAIN_METRIC[TASKS[task].kind], np.isfinite(target)
    values, draws = [], []
    for predicted in (ours, theirs):
        metrics_of = _metrics(task, predicted[known], target[known])
        values.append(float(metrics_of(np.ones((1, known.sum())))[metric][0]))
        draws.append(bootstrap(metrics_of, np.asarray(patients)[known], n_resamples, seed)[metric])
    difference = values[0] - values[1]
    return metric, (difference, *interval(draws[0] - draws[1], level, difference))


def _predicted(readout: str, task: str, train: Split, validation: Split, test: Split) -> np.ndarray:
    known, known_validation = (np.isfinite(split.targets[task]) for split in (train, validation))
    return READOUTS[readout](
        TASKS[task].kind,
        train.vectors[known],
        train.targets[task][known],
        validation.vectors[known_validation],
        validation.targets[task][known_validation],
        test.vectors,
    )


def _metrics(task: str, predictions: np.ndarray, measured: np.ndarray):
    """Weights (w, n) of the test ECGs -> every metric of a task, {name: (w,)}."""

    def metrics_of(weights: np.ndarray) -> Metrics:
        kind = TASKS[task].kind
        if kind == "regression":
            return weighted_regression(predictions, measured, weights)
        if kind == "multiclass":
            return weighted_classification(predictions, measured.astype(int), weights)
        return weighted_binary(predictions, measured == 1, weights)

    return metrics_of


def _check(train: Split, validation: Split, test: Split, readouts: Sequence[str]) -> None:
    splits = {"training": train, "validation": validation, "test": test}
    for words, split in splits.items():
        if split.vectors.ndim != 2 or split.vectors.shape[1] != train.vectors.shape[1] or not len(split.vectors):
            raise Echo2ECGError(
                f"Expected {words} vectors (n, {train.vectors.shape[-1]}), found {split.vectors.shape}.",
                "Every split needs at least one ECG, embedded by the same encoder.",
            )
        if not np.isfinite(split.vectors).all() and set(readouts) != {"boosting"}:
            raise Echo2ECGError(f"The {words} vectors hold numbers that are not finite.", "Embed these ECGs again.")
    for one, other in (("training", "validation"), ("training", "test"), ("validation", "test")):
        shared = len(set(splits[one].patients) & set(splits[other].patients))
        if shared:
            raise Echo2ECGError(
                f"{counted(shared, 'patient is', 'patients are')} both in {one} and in {other}.",
                "Give every patient one split.",
            )
