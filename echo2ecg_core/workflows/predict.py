"""Journey 1: an ECG in, phenotypes with intervals out, with the quality verdict and the distance to the training ECGs.

The page and the terminal show `Prediction.as_json()`, so their numbers are the same by construction.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.phenotypes import LVEF_CLASSES, PHENOTYPES
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.workflows.active_model import LoadedModel

N_NEIGHBOURS = 10
WEAKEST_R2 = 0.05


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is known of one ECG. `embedding` and `aligned` are None when nothing was predicted."""

    report: dict
    embedding: np.ndarray | None
    aligned: np.ndarray | None
    model_id: str

    def as_json(self) -> dict:
        """The report as plain JSON types (fields: README, "Terminal")."""
        return self.report


def predict(record: EcgRecord, model: LoadedModel, workspace: Workspace | None = None, insist: bool = False) -> Prediction:
    """Measurements, quality and phenotypes of one record.

    Args:
        record: The ECG.
        model: The active model, loaded.
        workspace: Where labelled neighbours are looked up; None leaves them out.
        insist: Predict although the quality verdict is "unusable".
    """
    from echo2ecg_core.ecg.measure import measure_ecg
    from echo2ecg_core.ecg.quality import judge_quality

    quality = judge_quality(record)
    report = {"ecg": ecg_facts(record), "measurements": measure_ecg(record).as_dict(), "quality": quality.as_dict(),
              "model": {"id": model.card.model_id, "name": model.card.name, "sha256": model.card.sha256,
                        "synthetic": model.card.synthetic},
              "phenotypes": [], "neighbours": [], "out_of_distribution": None}
    if quality.verdict == "unusable" and not insist:
        return Prediction(report, None, None, model.card.model_id)
    vectors = model.embed_ecgs(model.prepare(record)[None])
    report["neighbours"] = _neighbours(vectors.embedding[0], model, workspace) if workspace else []
    report["phenotypes"] = _phenotypes(vectors.embedding[0], record.sex, model, len(report["neighbours"]))
    report["out_of_distribution"] = _outside(vectors.outside, model)
    return Prediction(report, vectors.embedding[0], vectors.aligned[0], model.card.model_id)


def ecg_facts(record: EcgRecord) -> dict:
    """What is known of a record without predicting."""
    return {"source": record.source, "format": record.format, "sampling_rate_hz": round(float(record.sampling_rate_hz), 4),
            "duration_s": round(record.duration_s, 3), "leads": list(record.leads), "derived_leads": list(record.derived_leads),
            "notes": list(record.notes), "units": record.units, "age_years": record.age_years, "sex": record.sex, "device": record.device,
            "recorded_at": record.recorded_at.isoformat() if record.recorded_at else None, "statements": list(record.statements)}


def _phenotypes(embedding: np.ndarray, sex: str | None, model: LoadedModel, n_neighbours: int) -> list[dict]:
    tested = model.manifest.get("test", {}).get("phenotypes", {})
    fitted = model.manifest.get("readouts", {})
    rows = []
    for name, phenotype in PHENOTYPES.items():
        if name not in model.readouts.heads:
            continue
        r2 = tested.get(name, {}).get("r2")
        row = {"name": name, "label": phenotype.label, "short": phenotype.short, "unit": phenotype.unit,
               "value": None, "interval": None, "interval_level": 0.9,
               "reference": {who: list(limits) for who, limits in phenotype.reference.items()},
               "reference_source": phenotype.source, "test_r2": r2, "reason": None,
               "source": {"model": model.card.model_id, "method": "linear readout of the ECG embedding, conformal interval",
                          "labelled_ecgs": fitted.get("labelled_ecgs"), "calibration_ecgs": fitted.get("calibration_ecgs"),
                          "labelled_neighbours": n_neighbours}}
        if r2 is not None and r2 < WEAKEST_R2:
            row["reason"] = f"No estimate: on test patients this model predicts {phenotype.short} no better than the average patient."
            rows.append(row)
            continue
        estimate = model.readouts.estimate(name, embedding)
        row["value"] = round(estimate.value, 3)
        row["interval"] = [round(v, 3) for v in estimate.interval]
        row["chance_outside"] = _chance_outside(estimate, phenotype.reference, sex)
        if name == "lvef":
            reduced, below_preserved = estimate.chance_at_most(40.5), estimate.chance_at_most(49.5)
            row["classes"] = {c: round(p, 4) for c, p in zip(
                LVEF_CLASSES, (reduced, below_preserved - reduced, 1 - below_preserved), strict=True)}
        rows.append(row)
    return rows


def _chance_outside(estimate, reference: dict, sex: str | None) -> dict | None:
    """Chance below and above the reference range of this sex; None when sex is unknown and the ranges differ."""
    ranges = {tuple(v) for v in reference.values()} if sex is None else {tuple(reference[sex])} if sex in reference else set()
    if len(ranges) != 1:
        return None
    low, high = ranges.pop()
    return {"below": round(estimate.chance_at_most(low), 4) if low is not None else None,
            "above": round(1 - estimate.chance_at_most(high), 4) if high is not None else None}


def _neighbours(embedding: np.ndarray, model: LoadedModel, workspace: Workspace) -> list[dict]:
    """The nearest labelled ECGs of the workspace in the embedding, nearest first."""
    vectors = load_vectors(workspace.vectors, "ecg", model.card.model_id)
    if not len(vectors):
        return []
    labelled = Catalog(workspace).labelled_ecgs().set_index("ecg_id")
    ids = [i for i in vectors.ids if i in labelled.index]
    matrix = vectors.rows(ids)
    distance = np.linalg.norm(matrix - embedding, axis=1)
    names = [name for name in PHENOTYPES if name in labelled]
    return [{"ecg_id": ids[i], "study_id": labelled.study_id[ids[i]], "distance": round(float(distance[i]), 4),
             "phenotypes": {n: round(float(labelled[n][ids[i]]), 3) for n in names if np.isfinite(labelled[n][ids[i]])}}
            for i in np.argsort(distance)[:N_NEIGHBOURS]]


def _outside(features: np.ndarray, model: LoadedModel) -> dict:
    """Whether this ECG is unlike those the model was trained on, in a percentile and in words."""
    from echo2ecg_core.models.readouts import LIMIT_PERCENTILE

    percentile = float(model.readouts.outside.percentile(features)[0])
    flag = percentile > LIMIT_PERCENTILE
    message = ""
    if flag:
        shown = min(99, int(percentile))
        message = (f"Outside the training data. This ECG lies farther from the training ECGs than {shown} % of the ECGs kept "
                   "aside to set this limit. Its intervals may be too narrow.")
        if model.card.synthetic:
            message += (" The demo model has seen simulated hearts only: read the numbers as a demonstration, not as an "
                        "estimate for this person.")
    return {"flag": flag, "percentile": round(percentile, 1), "limit_percentile": LIMIT_PERCENTILE, "message": message}
