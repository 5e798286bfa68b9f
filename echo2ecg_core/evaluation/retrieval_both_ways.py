"""Retrieval of one model in both directions: by pairs, by phenotype, and how near the retrieved studies are in a
phenotype.

By pairs the own study of a query is what is looked for. By phenotype, and for the difference, everything of the own
patient is left out: finding oneself says nothing of finding the like.
"""

from collections.abc import Sequence

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation.retrieval import (
    GroundTruth,
    Rows,
    hits_by_pair,
    hits_by_phenotype,
    intervals_of_scores,
    query_scores_of_vectors,
    summary,
)

TOP = 10


def retrieval_report(
    ecgs: np.ndarray,
    studies: np.ndarray,
    ecg_ids: Sequence[str],
    study_ids: Sequence[str],
    study_of_ecg: Sequence[str],
    phenotypes: dict[str, np.ndarray],
    patient_of_study: Sequence[str],
    level: float | None = None,
) -> dict:
    """Both directions over all ECGs and the studies they belong to.

    Args:
        ecgs: (q, d) aligned vectors of the ECGs `ecg_ids`. studies: (t, d) of the studies `study_ids`.
        study_of_ecg: (q,) the study each ECG is paired with.
        phenotypes: Phenotype -> (t,) measured value of the studies, NaN where not measured.
        patient_of_study: (t,).
        level: Of the intervals over patients; None leaves them out.

    Returns:
        `ecg_to_study`, `study_to_ecg` (pairs), `by_phenotype` -> the same among other patients, `candidates` (studies),
        `ecgs`, `own_patient_left_out` (by phenotype),
        `top10_difference_ratio` by phenotype; `intervals` and `by_phenotype_intervals`: of each score [low, high].
    """
    of_pairs, owners = (np.asarray(ids, dtype=object) for ids in (ecg_ids, study_of_ecg))
    row_of_study = {study: row for row, study in enumerate(study_ids)}
    own = np.array([row_of_study[study] for study in study_of_ecg])
    rows = {"ecg": {ecg: row for row, ecg in enumerate(ecg_ids)}, "study": row_of_study}
    of_study = np.asarray(patient_of_study)
    patients = {"ecg": of_study[own], "study": of_study}
    report, intervals = _both_ways(hits_by_pair(of_pairs, owners), ecgs, studies, rows, patients, level)
    report |= {"intervals": intervals, "by_phenotype_intervals": {}} if level else {}
    report |= {"candidates": len(study_ids), "ecgs": len(ecg_ids), "by_phenotype": {}, "top10_difference_ratio": {}}
    report["own_patient_left_out"] = True
    for name, values in phenotypes.items():
        try:
            truth = hits_by_phenotype(of_pairs, owners, values[own])
        except StoreError:
            continue  # no study has a value
        found, ends = _both_ways(truth, ecgs, studies, rows, patients, level, own_left_out=True)
        report["by_phenotype"][name] = found
        if level:
            report["by_phenotype_intervals"][name] = ends
        report["top10_difference_ratio"][name] = difference_ratio(ecgs, studies, own, values, of_study)
    return report


def difference_ratio(
    ecgs: np.ndarray,
    studies: np.ndarray,
    own: np.ndarray,
    values: np.ndarray,
    patient_of_study: np.ndarray,
    top: int = TOP,
) -> float:
    """How much nearer the retrieved studies are in a phenotype than random ones: 1 = no nearer, 0 = equal to the query.

    For each ECG the mean difference between its own study's value and those of the `top` most similar studies of other
    patients; the mean of these over the mean for all studies of other patients.

    Args:
        ecgs, studies: (q, d), (t, d) aligned vectors. own: (q,) row of each ECG's study.
        values: (t,) of the studies, NaN where not measured. patient_of_study: (t,).
    """
    known = np.isfinite(values)
    unit = studies / np.maximum(np.linalg.norm(studies, axis=1, keepdims=True), 1e-12)
    nearest, anyone = [], []
    for vector, study in zip(ecgs, own, strict=True):
        others = np.flatnonzero(known & (patient_of_study != patient_of_study[study]))
        if not known[study] or not len(others):
            continue
        difference = np.abs(values[others] - values[study])
        order = np.argsort(-(unit[others] @ vector), kind="stable")[:top]
        nearest.append(difference[order].mean())
        anyone.append(difference.mean())
    return float(np.mean(nearest) / np.mean(anyone)) if anyone and np.mean(anyone) > 0 else float("nan")


def _both_ways(
    truth: GroundTruth,
    ecgs: np.ndarray,
    studies: np.ndarray,
    rows: dict[str, dict],
    patients: dict[str, np.ndarray],
    level: float | None,
    own_left_out: bool = False,
) -> tuple[dict, dict]:
    """Metrics of both directions and, at a level, their intervals over patients; all targets, or only those of other
    patients."""
    of_ecg, of_study = [rows["ecg"][i] for i in truth.ecg_ids], [rows["study"][i] for i in truth.study_ids]
    e, s = ecgs[of_ecg], studies[of_study]
    whose, whose_study = patients["ecg"][of_ecg], patients["study"][of_study]
    ways = {
        "ecg_to_study": (e, s, truth.ecg_hits, whose, whose_study),
        "study_to_ecg": (s, e, truth.study_hits, whose_study, whose),
    }
    found, intervals = {}, {}
    for way, (queries, targets, hits, asking, answering) in ways.items():
        leave = _same(asking, answering) if own_left_out else None
        scores = query_scores_of_vectors(queries, targets, hits, leave)
        found[way] = summary(scores)
        if level:
            intervals[way] = intervals_of_scores(scores, asking, level)
    return found, intervals


def _same(asking: np.ndarray, answering: np.ndarray) -> Rows:
    """Rows (b, t) of whether a query's patient is a target's."""
    return lambda start, stop: asking[start:stop, None] == answering[None]
