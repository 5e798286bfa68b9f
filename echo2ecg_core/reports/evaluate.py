"""Journey 4's end: what a model tells of test patients, beside chance, hand-made features and other encoders.

Everything ends in workspace/reports/MODEL/ (of validation patients in its folder validation/): report.json, from which
page, terminal and paper read, and predictions.npz, with which two models can be compared on the same patients later.
Test patients judge; they fit and choose nothing. The model's own readouts were calibrated on validation patients, so
their report says so.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.answers.loaded_model import why_no_studies
from echo2ecg_core.counts import counted
from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.evaluation.curves import calibration_points, roc_points
from echo2ecg_core.evaluation.rows import (
    MAIN_METRIC,
    N_RESAMPLES,
    Encoder,
    Row,
    Split,
    evaluate_encoder,
    paired_differences,
    refuse_nothing,
    unanswerable,
)
from echo2ecg_core.evaluation.subgroups import cohort_results, patient_counts, subgroup_results
from echo2ecg_core.evaluation.tasks import TASKS
from echo2ecg_core.intake.vectors_of_others import all_imported
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.reports.contents import contents, fingerprint
from echo2ecg_core.reports.document import labels_words
from echo2ecg_core.reports.labelled_ecgs import labelled_table, measure_records, split_of
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.times import default_days
from echo2ecg_core.store.vectors import load_vectors

LEVEL = 0.95
MODEL_ROW, REFERENCE_ROW = "model.probe", "features.boosting"
MOST_POINTS = 2000  # of a scatter plot
ENCODER_WORDS = {
    "attention": "Multi-view, attention",
    "mean": "Multi-view, mean",
    "cls": "Multi-view, class token",
    "single_view": "Single view",
}


@dataclass(frozen=True)
class Scope:
    """Who is judged, and beside what.

    Args:
        cohorts: Names of cohorts whose patients are judged; None = all.
        split: "test" or "validation".
        within_days: Days that an ECG and the study it is labelled by may lie apart; None: the machine's setting.
        vectors: Name -> .npy file of another encoder's vectors of the same ECGs (ids, and what is known of it, beside
            it); those of earlier evaluations are kept in the workspace and need not be named again.
    """

    cohorts: Sequence[str] | None = None
    split: str = "test"
    within_days: float | None = None
    vectors: Mapping[str, Path] = field(default_factory=dict)


EVERYBODY = Scope()


def evaluate(workspace: Workspace, model_id: str, scope: Scope = EVERYBODY, progress: Progress = silent) -> dict:
    """Evaluate a registered model and write its report; returns the report as in report.json.

    Args:
        workspace: Where model, ECGs and studies are.
        model_id: Of a registered model, or the beginning of one id.
        scope: Who is judged, and beside what.
        progress: Told how far it is.

    Raises:
        ModelError: no such model, or it has no ECG encoder.
        StoreError: too few labelled ECGs, an unknown cohort, or imported vectors that do not fit.
    """
    card = ModelRegistry(workspace).get(model_id)
    model = _embedded(workspace, card, part(progress, 0.0, 0.3))
    stored = load_vectors(workspace.vectors, "ecg", card.model_id)
    split, within_days = scope.split, default_days() if scope.within_days is None else scope.within_days
    table, notes = labelled_table(workspace, stored.ids, scope.cohorts, split, within_days)
    imported, left_out = all_imported(workspace, scope.vectors, list(table.ecg_id))
    random, features, outside, groups = measure_records(
        table, Catalog(workspace), model, _random_network(model.spec), part(progress, 0.3, 0.7)
    )
    parameters = sum(p.numel() for p in model.echo2ecg.ecg_encoder.parameters())
    encoders = [
        Encoder("model", _words(model), "model", parameters, ("probe", "knn"), stored.rows(list(table.ecg_id))),
        Encoder("random", "Random initialisation", "random", parameters, ("probe", "knn"), random),
        Encoder("features", "Hand-made ECG features", "features", None, ("boosting",), features),
        *imported,
    ]
    parts = {role: split_of(table, role, encoders[0].vectors) for role in ("train", "validation", "test")}
    reasons = unanswerable(parts["train"], parts["validation"], parts["test"], judged=split)
    refuse_nothing(reasons)
    notes += [*left_out, *reasons.values()]
    notes += [f"Retrieval is left out: {why}"] if (why := why_no_studies(card)) else []
    rows = [
        row
        for done, encoder in enumerate(encoders)
        for row in _rows(encoder, table, part(progress, 0.7 + 0.2 * done / len(encoders), 0.9))
    ]
    progress(0.9, "Judging groups of patients, retrieval and intervals")
    is_test = (table.role == "test").to_numpy()
    report = _header(workspace, card, parameters, table, split, notes, within_days) | _results(
        encoders, rows, parts["test"], groups[is_test]
    )
    report |= {
        "chosen_cohorts": sorted(scope.cohorts or ()),
        "retrieval": _retrieval(workspace, card, model, table[is_test]),
        **_readouts(card, parts["test"], outside[is_test]),
        "leakage": _leakage(table, split),
    }
    return _write(workspace, card, plain(report), rows, parts["test"])


def summary_lines(report: dict) -> list[str]:
    """The main figures of a report as lines of a small table, then those of each cohort alone where there are
    several."""
    from echo2ecg_core.figures.scores import parameters

    asked = [name for name, task in report["tasks"].items() if task["kind"] != "regression" or name == "lvef"]
    model, counts = report["model"], report["counts"]
    patients = counted(counts["patients"], f"{report['split']} patient")
    lines = [
        f"{model['name']} {model['id']}: {counted(counts['ecgs'], 'ECG')} of {patients}"
        f"{', simulated' if report['synthetic'] else ''}.{labels_words(report)} AUROC, or mean absolute error where a "
        "unit stands."
    ]
    wide = 2 + max(len(report["tasks"][name]["label"]) + len(report["tasks"][name]["unit"]) + 3 for name in asked)
    lines.append(" " * wide + "".join(f"{row['key']:>26}" for row in report["rows"]))
    lines.append(f"{'Parameters':<{wide}}" + "".join(f"{parameters(row['parameters']):>26}" for row in report["rows"]))
    lines += _task_lines(report, asked, wide, {row["key"]: row["results"] for row in report["rows"]})
    for cohort in report["cohorts"] if len(report["cohorts"]) > 1 else ():
        found = {
            task: part["results"]
            for task in asked
            for part in report["cohort_results"][task]
            if part["cohort"] == cohort
        }
        lines.append(f"{cohort} alone{'' if found else ': too few labels for any of these'}")
        lines += _task_lines(
            report,
            list(found),
            wide,
            {row["key"]: {task: of_row[row["key"]] for task, of_row in found.items()} for row in report["rows"]},
        )
    return lines + [f"Note: {note}" for note in report["notes"]]


def _task_lines(report: dict, asked: list[str], wide: int, results: dict[str, dict]) -> list[str]:
    """One line a task; results: row key -> task -> metric -> value with its interval."""
    lines = []
    for name in asked:
        task, metric = report["tasks"][name], MAIN_METRIC[report["tasks"][name]["kind"]]
        unit = f" ({task['unit']})" if task["unit"] else ""
        lines.append(
            f"{task['label'] + unit:<{wide}}"
            + "".join(f"{_cell(of_row.get(name, {}).get(metric)):>26}" for of_row in results.values())
        )
    return lines


def _cell(value: list | None) -> str:
    if not value or value[0] is None:
        return "–"
    ends = "" if None in value else f" ({value[1]:.3g}–{value[2]:.3g})"
    return f"{value[0]:.3g}{ends}"


def _embedded(workspace: Workspace, card: ModelCard, progress: Progress):
    """The loaded model, after every ECG (and study, where the model has an echo side) has its vectors."""
    from echo2ecg_core.answers.embed import embed_workspace
    from echo2ecg_core.answers.loaded_model import load_model

    model = load_model(card, with_readouts=False)
    if "ecg" not in model.spec.parts:
        raise ModelError(
            f"{card.name} {card.model_id} has no ECG encoder, so there is nothing to evaluate.", "Choose another model."
        )
    embed_workspace(workspace, card, progress)
    return model


def _random_network(spec):
    """An Echo2ECG as it is before training, always the same."""
    import torch

    from echo2ecg_core.models.echo2ecg import Echo2ECG

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Echo2ECG(spec).eval()


def _words(model) -> str:
    """What the encoder learnt from, in words."""
    objective = (model.manifest.get("run") or {}).get("objective", "contrastive")
    if objective == "masked":
        return "ECG only, masked patches"
    return ENCODER_WORDS[model.spec.study.pooling] if "study" in model.spec.parts else "ECG encoder only"


def _rows(encoder: Encoder, table: pd.DataFrame, progress: Progress) -> list[Row]:
    progress(0.0, f"Reading out: {encoder.label}")
    train, validation, test = (split_of(table, role, encoder.vectors) for role in ("train", "validation", "test"))
    rows = evaluate_encoder(encoder.key, train, validation, test, encoder.readouts, level=LEVEL)
    return [replace(row, encoder=encoder.label) for row in rows]


def _header(
    workspace: Workspace,
    card: ModelCard,
    parameters: int,
    table: pd.DataFrame,
    split: str,
    notes: list[str],
    within_days: float,
) -> dict:
    from echo2ecg_core.version import program_version

    test, train = table[table.role == "test"], table[table.role == "train"]
    return {
        "model": {
            "id": card.model_id,
            "name": card.name,
            "sha256": card.sha256,
            "synthetic": card.synthetic,
            "parameters": parameters,
        },
        "cohorts": sorted(set(test.cohort)),
        "split": split,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": program_version(),
        "workspace": fingerprint(workspace),
        "contents": contents(workspace, card.model_id),
        "within_days": within_days,
        "days_apart": {
            "median": float(test.days_apart.median()),
            "most": float(test.days_apart.max()),
            "not_known": int(test.days_apart.isna().sum()),  # the data set pairs them, and tells no days
        },
        "resamples": N_RESAMPLES,
        "level": LEVEL,
        "synthetic": bool(test.synthetic.any() or card.synthetic),
        "notes": notes,
        "counts": {
            "patients": test.patient_id.nunique(),
            "ecgs": len(test),
            "studies": test.study_id.nunique(),
            "train_ecgs": len(train),
            "train_patients": train.patient_id.nunique(),
            "validation_patients": table[table.role == "validation"].patient_id.nunique(),
        },
    }


def _results(encoders: list[Encoder], rows: list[Row], test: Split, groups: pd.DataFrame) -> dict:
    of_key, model = {encoder.key: encoder for encoder in encoders}, next(row for row in rows if row.key == MODEL_ROW)
    asked, scatter = list(model.results), {}
    for task in (name for name in asked if TASKS[name].kind == "regression"):
        known = np.flatnonzero(np.isfinite(test.targets[task]))
        known = known[np.random.default_rng(0).permutation(len(known))[:MOST_POINTS]]
        scatter[task] = {
            "measured": test.targets[task][known].tolist(),
            "predicted": model.predictions[task][known].tolist(),
        }
    return {
        "tasks": {name: _task(name, test) for name in asked},
        "rows": [
            {
                "key": row.key,
                "encoder": row.encoder,
                "kind": of_key[row.key.rpartition(".")[0]].kind,
                "readout": row.readout,
                "parameters": of_key[row.key.rpartition(".")[0]].parameters,
                "results": row.results,
            }
            for row in rows
        ],
        "curves": {
            task: {
                row.key: _curves(row.predictions[task], test.targets[task], test.patients)
                for row in rows
                if task in row.results
            }
            for task in asked
            if TASKS[task].kind == "binary"
        },
        "scatter": scatter,
        "subgroups": subgroup_results(model, test, groups, level=LEVEL),
        "cohort_results": cohort_results(rows, test, groups.cohort.to_numpy(object), level=LEVEL),
        "differences": paired_differences(rows, REFERENCE_ROW, LEVEL),
    }


def _task(name: str, test: Split) -> dict:
    task, target = TASKS[name], test.targets[name]
    return {
        "label": task.label,
        "kind": task.kind,
        "unit": task.unit,
        "definition": task.definition,
        "source": task.source,
        "phenotype": task.phenotype,
        "classes": list(task.classes),
        "n": int(np.isfinite(target).sum()),
        **patient_counts(name, target, test.patients),
    }


def _curves(scores: np.ndarray, target: np.ndarray, patients: np.ndarray) -> dict:
    known = np.isfinite(target)
    scores, positive = scores[known], target[known] == 1
    return {
        "roc": roc_points(scores, positive),
        "calibration": calibration_points(scores, positive, np.asarray(patients)[known], LEVEL),
    }


def _retrieval(workspace: Workspace, card: ModelCard, model, table: pd.DataFrame) -> dict | None:
    """Both directions among the test ECGs and their studies; None for a model without an echo side or without study
    vectors."""
    from echo2ecg_core.evaluation.retrieval_both_ways import retrieval_report

    ecgs, studies = (load_vectors(workspace.vectors, kind, card.model_id) for kind in ("ecg_aligned", "study_aligned"))
    table = table[table.study_id.isin(studies.ids) & table.ecg_id.isin(ecgs.ids)]
    if not model.spec.shares_space or table.study_id.nunique() < 2:
        return None
    seen = table.drop_duplicates("study_id")
    values = {name: seen[name].to_numpy(float) for name, p in PHENOTYPES.items() if p.kind == "number" and name in seen}
    return retrieval_report(
        ecgs.rows(list(table.ecg_id)),
        studies.rows(list(seen.study_id)),
        list(table.ecg_id),
        list(seen.study_id),
        list(table.study_id),
        values,
        list(seen.patient_id),
        LEVEL,
    )


def _readouts(card: ModelCard, test: Split, outside: np.ndarray) -> dict:
    """Error of the estimates that pages show, coverage of their intervals, and the share of ECGs they would flag; empty
    for a model without readouts."""
    from echo2ecg_core.answers.loaded_model import load_readouts
    from echo2ecg_core.evaluation.held_out import error_of, interval_coverage
    from echo2ecg_core.models.outside import LIMIT_PERCENTILE

    try:
        readouts = load_readouts(card.folder)
    except ModelError:
        return {"intervals": [], "outside": None}
    rows = []
    for name in readouts.heads:
        known = (
            np.isfinite(test.labels[name].to_numpy(float)) if name in test.labels else np.zeros(len(test.vectors), bool)
        )
        if known.any():
            measured = test.labels[name].to_numpy(float)[known]
            found = interval_coverage(readouts, name, test.vectors[known], measured, test.patients[known])
            rows += (
                []
                if found is None
                else [found | error_of(readouts, name, test.vectors[known], measured, test.patients[known])]
            )
    shares = readouts.outside.shares(outside, test.vectors)
    return {"intervals": rows, "outside": shares | {"limit_percentile": LIMIT_PERCENTILE}}


def _leakage(table: pd.DataFrame, split: str) -> list[dict]:
    """Checks that what is judged was not learnt from."""
    roles, fitted = table.groupby("patient_id").role.nunique(), table[table.role != "test"]
    signals = table.groupby("content_hash").role.nunique()
    shared = table[
        (table.role == "test")
        & (table.patient_id.isin(fitted.patient_id) | table.content_hash.isin(fitted.content_hash))
    ]
    calibrated = {
        "check": "The intervals and chances that pages show were not calibrated on these patients.",
        "ok": False,
        "found": "A model's own readouts are calibrated on validation patients; expect coverage that is too good.",
    }
    return [
        {
            "check": "No patient is in two splits.",
            "ok": bool((roles == 1).all()),
            "found": f"{(roles > 1).sum():,} of {len(roles):,} patients are.",
        },
        {
            "check": "No recording is in two splits.",
            "ok": bool((signals == 1).all()),
            "found": f"{(signals > 1).sum():,} of {len(signals):,} different signals are.",
        },
        {
            "check": f"No ECG of a {split} patient is among those that the rows' readouts were fitted on or chosen by.",
            "ok": shared.empty,
            "found": f"{len(shared):,} of {(table.role == 'test').sum():,} {split} ECGs are.",
        },
        *([calibrated] if split == "validation" else []),
    ]


def plain(value):
    """Numbers as JSON holds them: six digits, null for what is not a number."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _write(workspace: Workspace, card: ModelCard, report: dict, rows: list[Row], test: Split) -> dict:
    from echo2ecg_core.store.paths import report_path

    for row in report["rows"]:
        row["model_id"] = card.model_id if row["kind"] == "model" else None
    path, buffer = report_path(workspace, card.model_id, report["split"]), io.BytesIO()
    arrays = {"ecg_ids": test.labels.ecg_id.to_numpy(str), "patients": np.unique(test.patients, return_inverse=True)[1]}
    arrays |= {f"target/{task}": test.targets[task] for task in report["tasks"]}
    arrays |= {
        f"{row.key}/{task}": predicted.astype(np.float32) for row in rows for task, predicted in row.predictions.items()
    }
    np.savez_compressed(buffer, **arrays)
    try:
        write_atomically(path.with_name("predictions.npz"), buffer.getvalue())
        write_atomically(path, json.dumps(report, ensure_ascii=False, allow_nan=False).encode())
    except OSError as error:
        raise Echo2ECGError(
            f"The report cannot be written ({error.strerror}).", "Free some space or check the folder's rights."
        ) from error
    return report
