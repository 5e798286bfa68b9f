"""A prediction report as the workflow writes it, with invented numbers: pages are tested without networks."""

import json
from dataclasses import dataclass
from pathlib import Path

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.model_registry import ModelCard

SHA = "7c1e9a4f" + "0" * 56
VALUES = {
    "lvef": (61.2, (49.1, 71.3)),
    "lvedv": (98.4, (68.2, 128.0)),
    "lvesv": (38.0, (22.0, 58.1)),
    "lvsv": (60.1, (44.0, 77.2)),
    "ivsd": (0.82, (0.61, 1.08)),
    "tr_grade": (0.12, (0, 1)),
}
LVEFS = (54, 57, 58, 60, 61, 61, 63, 64, 66, 69)


@dataclass(frozen=True)
class FakePrediction:
    """Stands in for workflows.predict.Prediction."""

    report: dict
    embedding: None = None

    def as_json(self) -> dict:
        return self.report


def model_card(folder: Path) -> ModelCard:
    """A registered model in a folder that holds nothing but its manifest."""
    spec = {
        "ecg_input": {"sampling_rate_hz": 400.0, "n_samples": 1008, "order": "clean_then_resample", "windows": "first"}
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(
        json.dumps({"name": "demo-multiview", "sha256": SHA, "synthetic": True, "spec": spec})
    )
    return ModelCard("7c1e9a4f", "demo-multiview", SHA, True, "2026-11-01T00:00:00", True, folder)


def report_of(record: EcgRecord, *, outside: bool = True, unusable: bool = False, weak: tuple[str, ...] = ()) -> dict:
    """A report for a record, in the shape of `Prediction.as_json()`."""
    message = (
        (
            "Outside the training data. This ECG lies farther from the training ECGs than 99 % of the ECGs kept aside "
            "to set this limit. Its intervals may be too narrow. The demo model has seen simulated hearts only: read "
            "the numbers as a "
            "demonstration, not as an estimate for this person."
        )
        if outside
        else ""
    )
    return {
        "ecg": {
            "source": record.source,
            "format": record.format,
            "sex": record.sex,
            "age_years": record.age_years,
            "notes": list(record.notes),
            "derived_leads": list(record.derived_leads),
        },
        "measurements": {
            "heart_rate_bpm": 61.0,
            "pr_ms": 161.0,
            "qrs_ms": 75.0,
            "qt_ms": 368.0,
            "qtc_bazett_ms": 371.0,
            "qtc_fridericia_ms": 370.0,
            "axis_deg": 52.0,
            "p_present": True,
            "confidence": {"pr_ms": 0.9},
        },
        "quality": {
            "verdict": "unusable" if unusable else "good",
            "reason": "No estimate. Lead V3 is flat and V5 is noise for 6 of 10 s." if unusable else "",
            "leads": {lead: {"verdict": "good", "reasons": []} for lead in LEADS},
        },
        "model": {"id": "7c1e9a4f", "name": "demo-multiview", "sha256": SHA, "synthetic": True},
        "phenotypes": [] if unusable else [_row(name, record.sex, name in weak) for name in VALUES],
        "neighbours": []
        if unusable
        else [
            {
                "ecg_id": f"E{i:04d}",
                "study_id": f"S{i:04d}",
                "distance": 1 + i / 10,
                "phenotypes": {"lvef": float(v), "lvedv": 100.0 + i},
            }
            for i, v in enumerate(LVEFS)
        ],
        "out_of_distribution": None
        if unusable
        else {"flag": outside, "percentile": 99.6 if outside else 42.0, "limit_percentile": 95.0, "message": message},
    }


def _row(name: str, sex: str | None, weak: bool) -> dict:
    phenotype, (value, ends) = PHENOTYPES[name], VALUES[name]
    row = {
        "name": name,
        "label": phenotype.label,
        "short": phenotype.short,
        "unit": phenotype.unit,
        "kind": phenotype.kind,
        "value": value,
        "interval": list(ends),
        "interval_level": 0.9,
        "reference": {s: list(r) for s, r in phenotype.reference.items()},
        "reference_source": phenotype.source,
        "test_r2": 0.58,
        "reason": None,
        "chance_outside": {"below": 0.02, "above": 0.33} if sex and phenotype.reference else None,
        "source": {
            "model": "7c1e9a4f",
            "method": "linear readout",
            "labelled_ecgs": 300,
            "calibration_ecgs": 90,
            "labelled_neighbours": 10,
        },
    }
    if weak:
        row |= {
            "value": None,
            "interval": None,
            "reason": f"No estimate: on test patients this model predicts {phenotype.short} no better than the average "
            "patient.",
        }
    if name == "tr_grade":
        row["classes"] = {"none": 0.61, "mild": 0.27, "moderate": 0.1, "severe": 0.02}
    if name == "lvef":
        row["classes"] = {"reduced": 0.03, "mildly_reduced": 0.09, "preserved": 0.88}
    return row
