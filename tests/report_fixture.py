"""FIXTURE: a report as `evaluate` writes it, every number made up (no network was run), consistent in itself.

ROC curves are binormal with the AUROC that the row states; differences are differences of the stated scores.
"""

import json
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.paths import report_path

SHA = "f1c7" + "0" * 60
FINDINGS = {
    "lvef_reduced": ("LVEF ≤ 40", "binary", "lvef", 0.18),
    "lvef_classes": ("LVEF in three classes", "multiclass", "lvef", None),
    "structural": ("Structural heart disease", "binary", None, 0.35),
    "ivsd_thick": ("IVSd ≥ 1.3 cm", "binary", "ivsd", 0.12),
}
ERRORS = {"lvef": (6.4, 8.1, 0.62), "ivsd": (0.14, 0.2, 0.41), "rvsp": (6.9, 9.0, 0.06)}
ROWS = {  # key: encoder, kind, readout, parameters, AUROC of LVEF <= 40
    "model.probe": ("Multi-view, attention", "model", "probe", 320_000, 0.91),
    "model.knn": ("Multi-view, attention", "model", "knn", 320_000, 0.89),
    "features.boosting": ("Hand-made ECG features", "features", "boosting", None, 0.84),
    "random.probe": ("Random initialisation", "random", "probe", 320_000, 0.79),
    "random.knn": ("Random initialisation", "random", "knn", 320_000, 0.72),
    "imported_otis.probe": ("Imported: my_otis & co", "imported", "probe", 5_400_000, 0.86),
}
PATIENTS, ECGS = 1204, 1450
FALSE_POSITIVE = np.linspace(0, 1, 101)


def triple(value: float, half: float) -> list[float]:
    return [round(value, 4), round(value - half, 4), round(value + half, 4)]


def _results(auroc: float) -> dict:
    results = {}
    for place, (task, (_, kind, _, share)) in enumerate(FINDINGS.items()):
        value = auroc - 0.02 * place
        results[task] = {
            "auroc": triple(value, 0.012),
            "auprc": triple((share or 0.5) + 0.55 * (value - 0.4), 0.03),
            "accuracy": triple(value - 0.04, 0.015),
            "f1": triple(value - 0.2, 0.03),
        }
        if kind == "binary":
            separation = np.sqrt(2) * ndtri(value)
            results[task] |= {
                "sensitivity_at_90_specificity": triple(float(ndtr(separation + ndtri(0.1))), 0.03),
                "balanced_accuracy": triple(value - 0.08, 0.02),
                "precision": triple(value - 0.25, 0.03),
                "recall": triple(value - 0.15, 0.03),
                "calibration_error": triple(0.014 + 0.01 * place, 0.005),
                "calibration_slope": triple(0.97 - 0.01 * place, 0.08),
                "calibration_intercept": triple(-0.04, 0.1),
            }
    for name, (mae, rmse, r2) in ERRORS.items():
        worse = 1 + 2 * (0.91 - auroc)
        results[name] = {
            "mae": triple(mae * worse, 0.03 * mae),
            "rmse": triple(rmse * worse, 0.03 * rmse),
            "r2": triple(r2 - (worse - 1), 0.05),
        }
    return results


def _curve(auroc: float) -> dict:
    sensitivity = ndtr(np.sqrt(2) * ndtri(auroc) + ndtri(np.clip(FALSE_POSITIVE, 1e-9, 1 - 1e-9)))
    bins = np.linspace(0.03, 0.93, 10)
    observed = np.clip(bins + 0.03 * np.sin(9 * bins), 0.01, 0.99)
    return {
        "roc": {"false_positive_rate": FALSE_POSITIVE.tolist(), "sensitivity": sensitivity.tolist()},
        "calibration": {
            "predicted": bins.tolist(),
            "observed": observed.tolist(),
            "low": (observed - 0.05).tolist(),
            "high": (observed + 0.05).tolist(),
            "count": (700 * np.exp(-4 * bins)).astype(int).tolist(),
        },
    }


def _subgroups(metric: str, value: float, half: float) -> list[dict]:
    groups = [
        ("sex", "Female", 575, 0.0),
        ("sex", "Male", 629, 0.002),
        ("age", "Under 50 y", 260, 0.02),
        ("age", "50 to 69 y", 560, 0.0),
        ("age", "70 y and over", 384, -0.02),
        ("rhythm", "Sinus rhythm", 1010, 0.01),
        ("rhythm", "Atrial fibrillation", 130, -0.06),
        ("conduction", "QRS 120 ms and over", 151, -0.09),
        ("conduction", "QRS under 120 ms", 1053, 0.01),
        ("cohort", "FIXTURE cohort", 1204, 0.0),
    ]
    return [
        {
            "group": group,
            "level": level,
            "patients": n,
            "positives": round(0.18 * n) if metric == "auroc" else None,
            "metric": metric,
            "value": triple(value * (1 + shift), half * np.sqrt(PATIENTS / n)),
        }
        for group, level, n, shift in groups
    ]


def _retrieval(scale: float) -> dict:
    return {
        "recall@1": 0.11 * scale,
        "recall@3": 0.24 * scale,
        "recall@5": 0.33 * scale,
        "recall@10": 0.45 * scale,
        "precision@1": 0.11 * scale,
        "map": 0.2 * scale,
        "median_rank": 13,
        "mean_rank": 41.2,
        "alignment": 0.4,
    }


def made_up_report(
    model_id: str = SHA[:8],
    name: str = "FIXTURE model",
    *,
    auroc: float = 0.91,
    encoder: str = "Multi-view, attention",
    synthetic: bool = True,
) -> dict:
    """The document; `auroc` moves every score of the model."""
    rng = np.random.default_rng(4)
    measured = rng.normal(55, 12, 400).clip(12, 78)
    rows = [
        {
            "key": key,
            "encoder": encoder if kind == "model" else label,
            "model_id": model_id if kind == "model" else None,
            "kind": kind,
            "readout": readout,
            "parameters": parameters,
            "results": _results(value if kind != "model" else value + auroc - 0.91),
        }
        for key, (label, kind, readout, parameters, value) in ROWS.items()
    ]
    tasks = {
        task: {
            "label": label,
            "kind": kind,
            "unit": "",
            "definition": f"{label} on the study nearest in time",
            "source": "made up",
            "phenotype": phenotype,
            "n": ECGS,
            "patients": PATIENTS,
            "positives": share and round(share * PATIENTS),
        }
        for task, (label, kind, phenotype, share) in FINDINGS.items()
    }
    units = {"lvef": "%", "ivsd": "cm", "rvsp": "mmHg"}
    tasks |= {
        name_: {
            "label": {"lvef": "LVEF", "ivsd": "IVSd", "rvsp": "RVSP"}[name_],
            "kind": "regression",
            "unit": units[name_],
            "definition": f"{name_} as measured",
            "source": "made up",
            "phenotype": name_,
            "n": ECGS,
            "patients": PATIENTS,
            "positives": None,
        }
        for name_ in ERRORS
    }
    differences = {
        task: {
            row["key"]: {
                "metric": "auroc",
                "reference": "features.boosting",
                "value": triple(row["results"][task]["auroc"][0] - rows[2]["results"][task]["auroc"][0], 0.01),
            }
            for row in rows
        }
        for task in FINDINGS
    }
    return {
        "model": {"id": model_id, "name": name, "sha256": SHA, "synthetic": synthetic, "parameters": 320_000},
        "cohorts": ["FIXTURE cohort"],
        "split": "test",
        "created_at": "2026-11-20T08:30:00+00:00",
        "version": "0.1.0",
        "workspace": "abcdef123456",
        "counts": {"patients": PATIENTS, "ecgs": ECGS, "studies": 1204, "train_ecgs": 6000, "train_patients": 5000},
        "resamples": 1000,
        "level": 0.95,
        "synthetic": synthetic,
        "tasks": tasks,
        "rows": rows,
        "curves": {
            task: {row["key"]: _curve(row["results"][task]["auroc"][0]) for row in rows}
            for task, value in FINDINGS.items()
            if value[1] == "binary"
        },
        "scatter": {
            "lvef": {
                "measured": measured.tolist(),
                "predicted": (0.62 * measured + 21 + rng.normal(0, 7, 400)).tolist(),
            }
        },
        "subgroups": {task: _subgroups("auroc", rows[0]["results"][task]["auroc"][0], 0.012) for task in FINDINGS}
        | {name_: _subgroups("mae", mae, 0.03 * mae) for name_, (mae, _, _) in ERRORS.items()},
        "differences": differences,
        "retrieval": {
            "ecg_to_study": _retrieval(1),
            "study_to_ecg": _retrieval(0.9),
            "by_phenotype": {"lvef": {"ecg_to_study": _retrieval(1.6), "study_to_ecg": _retrieval(1.5)}},
            "intervals": {
                way: {metric: [0.9 * value, 1.1 * value] for metric, value in _retrieval(scale).items()}
                for way, scale in (("ecg_to_study", 1), ("study_to_ecg", 0.9))
            },
            "candidates": 1204,
            "top10_difference_ratio": {"lvef": 0.61},
        },
        "intervals": [
            {
                "phenotype": name_,
                "coverage": value,
                "low": value - 0.012,
                "high": value + 0.012,
                "n": ECGS,
                "level": 0.9,
                "median_width": 4 * ERRORS[name_][0],
            }
            for name_, value in (("lvef", 0.906), ("ivsd", 0.893), ("rvsp", 0.861))
        ],
        "outside": {"share": 0.012, "limit_percentile": 99},
        "leakage": [
            {"check": "No patient is in two splits", "ok": True, "found": "0 of 7,204 patients"},
            {"check": "No ECG of a test patient is in training by content", "ok": False, "found": "2 <equal> signals"},
        ],
    }


def write_report(workspace: Workspace, report: dict) -> Path:
    """Put a report where `evaluate` puts it."""
    path = report_path(workspace, report["model"]["id"], report["split"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report))
    return path
