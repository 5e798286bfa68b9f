"""Journey 1: an ECG in, phenotypes with intervals out, with the quality verdict and the distance to the training ECGs.

The page and the terminal show `Prediction.as_json()`, so their numbers are the same by construction.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.answers.loaded_model import EcgVectors, LoadedModel
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.models.readouts import Estimate
from echo2ecg_core.phenotypes import GRADES, LVEF_CLASSES, MODERATE, PHENOTYPES, Phenotype
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.vectors import load_vectors

N_NEIGHBOURS = 10
WEAKEST_R2 = 0.05
LVEF_LIMITS = (40.5, 49.5)
GRADE_LIMITS = tuple(grade + 0.5 for grade in range(len(GRADES) - 1))


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is known of one ECG. `embedding` and `aligned` are None when nothing was predicted, `aligned` also with a
    model that shares no space with echo studies."""

    report: dict
    embedding: np.ndarray | None
    aligned: np.ndarray | None
    model_id: str

    def as_json(self) -> dict:
        """The report as plain JSON types (fields: docs/terminal.md)."""
        return self.report


def predict(
    record: EcgRecord, model: LoadedModel, workspace: Workspace | None = None, insist: bool = False
) -> Prediction:
    """Measurements, quality and phenotypes of one record.

    Args:
        record: The ECG.
        model: The active model, loaded.
        workspace: Where labelled neighbours are looked up; None leaves them out.
        insist: Predict although the quality verdict is "unusable".

    Raises:
        SignalError: the record is shorter than the model's window.
    """
    return predict_batch([record], model, workspace, insist)[0]


def predict_batch(
    records: list[EcgRecord], model: LoadedModel, workspace: Workspace | None = None, insist: bool = False
) -> list[Prediction]:
    """`predict` of several records, embedded together."""
    from echo2ecg_core.ecg.measure import measure_ecg
    from echo2ecg_core.ecg.quality import judge_quality

    card = model.card
    identity = {"id": card.model_id, "name": card.name, "sha256": card.sha256, "synthetic": card.synthetic}
    reports, windows = [], {}
    for row, record in enumerate(records):
        quality = judge_quality(record)
        reports.append(
            {
                "ecg": ecg_facts(record),
                "measurements": measure_ecg(record).as_dict(),
                "quality": quality.as_dict(),
                "model": identity,
                "phenotypes": [],
                "neighbours": [],
                "out_of_distribution": None,
            }
        )
        if quality.verdict != "unusable" or insist:
            windows[row] = _windows(record, quality, model)  # (w, 12, n)
    vectors = _embedded(windows, model)
    labelled = _Labelled(model, workspace) if workspace and vectors else None
    predictions = []
    for row, (record, report) in enumerate(zip(records, reports, strict=True)):
        found = vectors.get(row)
        if found is not None:
            report["neighbours"] = labelled.nearest(found.embedding) if labelled else []
            report["phenotypes"] = _phenotypes(found.embedding, record.sex, model, len(report["neighbours"]))
            report["out_of_distribution"] = _outside(found.outside[None], model)
        predictions.append(Prediction(report, found and found.embedding, found and found.aligned, card.model_id))
    return predictions


def _windows(record: EcgRecord, quality, model: LoadedModel) -> np.ndarray:
    """The windows (w, 12, n) that the model reads: of a long record those of its usable minutes only."""
    from echo2ecg_core.ecg.quality import usable_parts

    parts = usable_parts(record, quality)
    if model.spec.ecg_input.windows == "first":
        parts = parts[:1]
    return np.concatenate([model.prepare(part) for part in parts])


def _embedded(windows: dict[int, np.ndarray], model: LoadedModel) -> dict[int, EcgVectors]:
    """Vectors of each row, embedding together those with equally many windows."""
    found = {}
    for count in {len(w) for w in windows.values()}:
        rows = [row for row, w in windows.items() if len(w) == count]
        vectors = model.embed_ecgs(np.stack([windows[row] for row in rows]))
        for i, row in enumerate(rows):
            found[row] = EcgVectors(
                vectors.embedding[i], None if vectors.aligned is None else vectors.aligned[i], vectors.outside[i]
            )
    return found


def ecg_facts(record: EcgRecord) -> dict:
    """What is known of a record without predicting."""
    return {
        "source": record.source,
        "format": record.format,
        "sampling_rate_hz": round(float(record.sampling_rate_hz), 4),
        "duration_s": round(record.duration_s, 3),
        "leads": list(record.leads),
        "derived_leads": list(record.derived_leads),
        "notes": list(record.notes),
        "doubts": list(record.doubts),
        "units": record.units,
        "age_years": record.age_years,
        "sex": record.sex,
        "device": record.device,
        "recorded_at": record.recorded_at.isoformat() if record.recorded_at else None,
        "statements": list(record.statements),
        "synthetic": any("synthetic" in note.lower() for note in record.notes),
    }


def _phenotypes(embedding: np.ndarray, sex: str | None, model: LoadedModel, n_neighbours: int) -> list[dict]:
    tested = model.manifest.get("test", {}).get("phenotypes", {})
    fitted = model.manifest.get("readouts", {})
    rows = []
    for name, phenotype in PHENOTYPES.items():
        if name not in model.readouts.heads:
            continue
        found = tested.get(name, {})
        r2 = found.get("r2") if phenotype.kind == "number" else None
        row = {
            "name": name,
            "label": phenotype.label,
            "short": phenotype.short,
            "unit": phenotype.unit,
            "kind": phenotype.kind,
            "value": None,
            "interval": None,
            "interval_level": 0.9,
            "reference": {who: list(limits) for who, limits in phenotype.reference.items()},
            "reference_source": phenotype.source,
            "test_r2": r2,
            "reason": None,
            "source": {
                "model": model.card.model_id,
                "method": "kernel ridge readout of the ECG embedding, conformal interval",
                "labelled_ecgs": fitted.get("labelled_ecgs"),
                "calibration_ecgs": fitted.get("calibration_ecgs"),
                "labelled_neighbours": n_neighbours,
            },
        }
        if r2 is not None and r2 < WEAKEST_R2 or found.get("auroc_moderate_interval", [1.0])[0] <= 0.5:
            row["reason"] = (
                f"No estimate: on test patients this model predicts {phenotype.short} no better than the average "
                "patient."
            )
            rows.append(row)
            continue
        estimate = model.readouts.estimate(name, embedding)
        rows.append(row | (_graded(estimate) if phenotype.kind == "grade" else _numbered(estimate, phenotype, sex)))
    return rows


def _numbered(estimate: Estimate, phenotype: Phenotype, sex: str | None) -> dict:
    """Value, interval and chances of a measured number; neither value nor interval goes below what can be."""
    found = {
        "value": round(max(estimate.value, phenotype.lowest), 3),
        "interval": [round(max(end, phenotype.lowest), 3) for end in estimate.interval],
        "chance_outside": _chance_outside(estimate, phenotype, sex),
    }
    return found | ({"classes": _classes(estimate, LVEF_LIMITS, LVEF_CLASSES)} if phenotype.name == "lvef" else {})


def _graded(estimate: Estimate) -> dict:
    """The chance of moderate or worse as the value, the grades inside the interval, the chance of each grade."""
    return {
        "value": round(1 - estimate.chance_at_most(GRADE_LIMITS[MODERATE - 1]), 4),
        "interval": [min(max(round(end), 0), len(GRADES) - 1) for end in estimate.interval],
        "chance_outside": None,
        "classes": _classes(estimate, GRADE_LIMITS, GRADES),
    }


def _classes(estimate: Estimate, limits: tuple[float, ...], names: tuple[str, ...]) -> dict[str, float]:
    """Chance of each class; `limits` part one class from the next."""
    below = [0.0, *(estimate.chance_at_most(limit) for limit in limits), 1.0]
    return {name: round(high - low, 4) for name, low, high in zip(names, below[:-1], below[1:], strict=True)}


def _chance_outside(estimate: Estimate, phenotype: Phenotype, sex: str | None) -> dict | None:
    """Chance below and above the reference range of this sex; None when sex is unknown and the ranges differ.

    None too where the range ends at the smallest value there can be (wall motion score index 1.0): more than half of
    all hearts lie on it, and the distribution of residuals cannot tell on the limit from above (0.72 told, 0.42 true on
    phantoms).
    """
    reference = phenotype.reference
    ranges = (
        {tuple(v) for v in reference.values()}
        if sex is None
        else {tuple(reference[sex])}
        if sex in reference
        else set()
    )
    if len(ranges) != 1:
        return None
    low, high = ranges.pop()
    if high == phenotype.lowest:
        return None
    return {
        "below": round(estimate.chance_at_most(low), 4) if low is not None else None,
        "above": round(1 - estimate.chance_at_most(high), 4) if high is not None else None,
    }


class _Labelled:
    """The embedded ECGs of a workspace whose patients have an echo study."""

    def __init__(self, model: LoadedModel, workspace: Workspace):
        vectors = load_vectors(workspace.vectors, "ecg", model.card.model_id)
        table = Catalog(workspace).labelled_ecgs().set_index("ecg_id") if len(vectors) else None
        self.ids = [i for i in vectors.ids if i in table.index] if table is not None else []
        self.matrix = vectors.rows(self.ids) if self.ids else None  # (n, width)
        self.rows = table.loc[self.ids] if self.ids else None

    def nearest(self, embedding: np.ndarray) -> list[dict]:
        """The N_NEIGHBOURS nearest by Euclidean distance in the embedding (the paper's kNN), nearest first."""
        if not self.ids:
            return []
        distance = np.linalg.norm(self.matrix - embedding, axis=1)
        names = [name for name in PHENOTYPES if name in self.rows]
        values = self.rows[names].to_numpy(float)
        return [
            {
                "ecg_id": self.ids[i],
                "study_id": self.rows.study_id.iloc[i],
                "distance": round(float(distance[i]), 4),
                "synthetic": bool(self.rows.synthetic.iloc[i]),
                "phenotypes": {n: round(float(v), 3) for n, v in zip(names, values[i], strict=True) if np.isfinite(v)},
            }
            for i in np.argsort(distance)[:N_NEIGHBOURS]
        ]


def _outside(features: np.ndarray, model: LoadedModel) -> dict:
    """Whether this ECG is unlike those the model was trained on, in a percentile and in words."""
    from echo2ecg_core.models.readouts import LIMIT_PERCENTILE

    percentile = float(model.readouts.outside.percentile(features)[0])
    flag = percentile > LIMIT_PERCENTILE
    message = ""
    if flag:
        shown = min(99, int(percentile))
        message = (
            f"Outside the training data. This ECG lies farther from the training ECGs than {shown} % of the ECGs kept "
            "aside to set this limit. Its intervals may be too narrow."
        )
        if model.card.synthetic:
            message += (
                " The demo model has seen simulated hearts only: read the numbers as a demonstration, not as an "
                "estimate for this person."
            )
    return {"flag": flag, "percentile": round(percentile, 1), "limit_percentile": LIMIT_PERCENTILE, "message": message}
