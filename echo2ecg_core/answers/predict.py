"""Journey 1: an ECG in, phenotypes with intervals out, with the quality verdict and the distance to the training ECGs.

The page and the terminal show `Prediction.as_json()`, so their numbers are the same by construction.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.answers.loaded_model import EcgVectors, LoadedModel
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.models.predictive import LEVEL, SMALLEST_CALIBRATION
from echo2ecg_core.models.readouts import Estimate, Readouts
from echo2ecg_core.phenotypes import GRADES, LVEF_CLASSES, MODERATE, PHENOTYPES, Phenotype
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.store.vectors import load_vectors

N_NEIGHBOURS = 10
WEAKEST_R2 = 0.05
LVEF_LIMITS = (40.5, 49.5)
OUTSIDE_WORDS = {
    "signal": "The signal of this ECG (how its power spreads over frequencies and leads) is unlike the training ECGs",
    "embedding": "What the network sees in this ECG (shapes, and how leads go together) is unlike the training ECGs",
    "both": "Both the signal of this ECG and what the network sees in it are unlike the training ECGs",
}
OUTSIDE = "Outside the training data."
DEMONSTRATION = (
    "The demo model has seen simulated hearts only: read the numbers as a demonstration, not as an estimate for this "
    "person."
)
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
    from echo2ecg_core.ecg.measure import doubts_of_sampling_rate, measure_ecg
    from echo2ecg_core.ecg.quality import judge_quality

    card = model.card
    identity = {"id": card.model_id, "name": card.name, "sha256": card.sha256, "synthetic": card.synthetic}
    reports: list[dict] = []
    windows: dict[int, np.ndarray] = {}
    for row, record in enumerate(records):
        quality = judge_quality(record)
        measured = measure_ecg(record, quality)
        facts = ecg_facts(record)
        facts["doubts"] += doubts_of_sampling_rate(measured, record.age_years)
        reports.append(
            {
                "ecg": facts,
                "measurements": measured.as_dict(),
                "quality": quality.as_dict(),
                "model": identity,
                "phenotypes": [],
                "neighbours": [],
                "out_of_distribution": None,
            }
        )
        if quality.verdict != "unusable" or insist:
            windows[row] = model.prepare(record, quality)  # (w, 12, n)
    vectors = _embedded(windows, model)
    labelled = _Labelled(model, workspace) if workspace and vectors else None
    predictions = []
    for row, (record, report) in enumerate(zip(records, reports, strict=True)):
        found = vectors.get(row)
        if found is not None:
            report["neighbours"] = labelled.nearest(found.embedding, record) if labelled else []
            report["phenotypes"] = _phenotypes(found.embedding, record.sex, model, len(report["neighbours"]))
            report["out_of_distribution"] = _outside(found, model, report["ecg"]["synthetic"])
        embedding, aligned = (None, None) if found is None else (found.embedding, found.aligned)
        predictions.append(Prediction(report, embedding, aligned, card.model_id))
    return predictions


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
        "synthetic": record.is_simulated,
    }


def _phenotypes(embedding: np.ndarray, sex: str | None, model: LoadedModel, n_neighbours: int) -> list[dict]:
    tested = model.manifest.get("test", {}).get("phenotypes", {})
    fitted = model.manifest.get("readouts", {})
    readouts, rows = _readouts(model), []
    told = {name: tested.get(name, {}) for name in PHENOTYPES if name in readouts.heads}
    reasons = {name: why_not_shown(PHENOTYPES[name], found) for name, found in told.items()}
    estimates = readouts.estimates([name for name, reason in reasons.items() if reason is None], embedding)
    for name, found in told.items():
        phenotype = PHENOTYPES[name]
        row = {
            "name": name,
            "label": phenotype.label,
            "short": phenotype.short,
            "unit": phenotype.unit,
            "kind": phenotype.kind,
            "value": None,
            "interval": None,
            "interval_level": LEVEL,
            "interval_reason": None,
            "cover": held(found),
            "chance_outside": None,
            "reference": {who: list(limits) for who, limits in phenotype.reference.items()},
            "reference_source": phenotype.source,
            "test_r2": found.get("r2") if phenotype.kind == "number" else None,
            "reason": reasons[name],
            "source": {
                "model": model.card.model_id,
                "method": "kernel ridge readout of the ECG embedding, conformal interval",
                "labelled_ecgs": fitted.get("labelled_ecgs"),
                "calibration_ecgs": fitted.get("calibration_ecgs"),
                "labelled_neighbours": n_neighbours,
            },
        }
        if name in estimates:
            row |= _estimated(estimates[name], phenotype, sex)
        rows.append(row)
    return rows


def _readouts(model: LoadedModel) -> Readouts:
    assert model.readouts is not None, "who predicts loads a model with its readouts"
    return model.readouts


def why_not_shown(phenotype: Phenotype, found: dict) -> str | None:
    """Why a model's estimate of a phenotype is worth nothing, in one sentence; None when it is worth showing.

    A number has to explain at least `WEAKEST_R2` of the variance of test patients and surely more than none of it; a
    grade has to tell moderate or worse surely better than chance. Surely: the 95 % interval over test patients.

    Args:
        found: What the manifest tells of the phenotype on test patients (`held_out.test_report`).
    """
    graded = phenotype.kind == "grade"
    score, limits = (
        (found.get("auroc_moderate"), found.get("auroc_moderate_interval"))
        if graded
        else (found.get("r2"), found.get("r2_interval"))
    )
    if score is None:
        return f"No estimate: too few test patients to tell whether this model predicts {phenotype.short}."
    weak = score < WEAKEST_R2 if not graded else False
    if weak or (limits is not None and limits[0] <= (0.5 if graded else 0.0)):
        return (
            f"No estimate: on test patients this model predicts {phenotype.short} no better than the average patient."
        )
    return None


def held(found: dict) -> dict | None:
    """How often the interval held on test patients: overall, and for the diseased, where they were enough to tell."""
    if found.get("coverage") is None:
        return None
    return {
        "overall": found["coverage"],
        "overall_interval": found.get("coverage_interval"),
        "disease": found.get("disease"),
        "disease_ecgs": found.get("disease_ecgs"),
        "of_disease": found.get("coverage_disease"),
        "of_disease_interval": found.get("coverage_disease_interval"),
    }


def _estimated(estimate: Estimate, phenotype: Phenotype, sex: str | None) -> dict:
    """What a row tells of one estimate; without calibration no interval and no chances, and why."""
    if estimate.interval is not None:
        if phenotype.kind == "grade":
            return _graded(estimate, estimate.interval)
        return _numbered(estimate, estimate.interval, phenotype, sex)
    why = (
        f"No interval: the readout was calibrated on fewer than {SMALLEST_CALIBRATION} ECGs, too few for "
        f"{100 * LEVEL:.0f} %."
    )
    if phenotype.kind == "grade":  # its value is a chance
        return {"reason": why.replace("No interval", "No estimate"), "interval_reason": why}
    return {"value": round(_possible(estimate.value, phenotype), 3), "interval_reason": why}


def _numbered(estimate: Estimate, ends: tuple[float, float], phenotype: Phenotype, sex: str | None) -> dict:
    """Value, interval and chances of a measured number; neither value nor interval leaves what can be."""
    found = {
        "value": round(_possible(estimate.value, phenotype), 3),
        "interval": [round(_possible(end, phenotype), 3) for end in ends],
        "chance_outside": _chance_outside(estimate, phenotype, sex),
    }
    return found | ({"classes": _classes(estimate, LVEF_LIMITS, LVEF_CLASSES)} if phenotype.name == "lvef" else {})


def _possible(value: float, phenotype: Phenotype) -> float:
    """The nearest value that there can be."""
    return min(max(value, phenotype.lowest), phenotype.highest)


def _graded(estimate: Estimate, ends: tuple[float, float]) -> dict:
    """The chance of moderate or worse as the value, the grades inside the interval, the chance of each grade."""
    return {
        "value": round(1 - estimate.chance_at_most(GRADE_LIMITS[MODERATE - 1]), 4),
        "interval": [round(end) for end in ends],
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
        self.vectors, self.known = load_vectors(workspace.vectors, "ecg", model.card.model_id), snapshot(workspace)
        self.ecgs = self.known.rows_of("ecgs", self.vectors.ids)  # (n,)
        self.is_labelled = (self.ecgs >= 0) & (self.known.own_study[self.ecgs] >= 0) if len(self.vectors) else None

    def nearest(self, embedding: np.ndarray, record: EcgRecord) -> list[dict]:
        """The N_NEIGHBOURS nearest by Euclidean distance in the embedding (the paper's kNN), nearest first.

        One ECG a patient, and none of the patient whose recording this is: their echo would answer for itself.
        """
        if self.is_labelled is None:
            return []
        patients, among = self.known.patients, self.is_labelled
        own = self.known.ecg_of_recording(record.content_hash)
        if own >= 0:
            among = among & (patients[self.ecgs] != patients[own])
        k = 8 * N_NEIGHBOURS
        while True:  # more where a few patients have them all
            rows, distance = self.vectors.by_distance(embedding, among, k)
            _, first = np.unique(patients[self.ecgs[rows]], return_index=True)
            if len(first) >= N_NEIGHBOURS or len(rows) < k:
                nearest = np.sort(first)[:N_NEIGHBOURS]
                return self._told(self.ecgs[rows[nearest]], distance[nearest])
            k *= 8

    def _told(self, ecgs: np.ndarray, distances: np.ndarray) -> list[dict]:
        """What is told of ECGs (n,), rows of the snapshot, at these distances (n,)."""
        studies, known = self.known.studies.iloc[self.known.own_study[ecgs]], self.known.ecgs
        measured = [name for name in PHENOTYPES if name in studies]
        return [
            {
                "ecg_id": ecg_id,
                "study_id": study_id,
                "distance": round(float(distance), 4),
                "days_apart": round(float(days_apart), 1) if np.isfinite(days_apart) else None,
                "synthetic": bool(synthetic),
                "phenotypes": {
                    name: round(value, 3) for name, value in zip(measured, values, strict=True) if np.isfinite(value)
                },
            }
            for ecg_id, study_id, distance, days_apart, synthetic, values in zip(
                known.ecg_id.iloc[ecgs].tolist(),  # a column: of two pandas would copy all rows
                studies.study_id.tolist(),
                distances,
                self.known.days_apart[ecgs],
                known.synthetic.iloc[ecgs].tolist(),
                studies[measured].to_numpy(float).tolist(),
                strict=True,
            )
        ]


def _outside(found: EcgVectors, model: LoadedModel, is_simulated: bool) -> dict:
    """Whether this ECG is unlike those the model was trained on: in which of two ways, how far, in words. To a model of
    simulated hearts every ECG of a person is outside, also one that looks like theirs."""
    from echo2ecg_core.models.outside import LIMIT_PERCENTILE

    percentiles = _readouts(model).outside.percentiles(found.outside[None], found.embedding[None])
    measures = {
        name: {"flag": bool(value[0] > LIMIT_PERCENTILE), "percentile": round(float(value[0]), 1)}
        for name, value in percentiles.items()
    }
    unlike = [name for name, measure in measures.items() if measure["flag"]]
    farthest = max(measure["percentile"] for measure in measures.values())
    because = [*unlike, "person"] if model.card.synthetic and not is_simulated else unlike
    return {
        "flag": bool(because),
        "because": because,
        "percentile": farthest,
        "limit_percentile": LIMIT_PERCENTILE,
        "measures": measures,
        "message": _outside_words(unlike, farthest, model.card.synthetic) if because else "",
    }


def _outside_words(unlike: list[str], farthest: float, is_demonstration: bool) -> str:
    """In what an ECG outside the training data differs from it, if in anything that is measured, and what that means
    for the numbers."""
    farther = f"farther from them than {min(99, int(farthest))} % of the ECGs kept aside to set "
    if not unlike:
        return f"{OUTSIDE} {DEMONSTRATION} Its signal and shapes are like theirs: it lies {farther}the limit."
    where = OUTSIDE_WORDS[unlike[0] if len(unlike) == 1 else "both"]
    words = f"{OUTSIDE} {where}: it lies {farther}this limit. Its intervals may be too narrow."
    return f"{words} {DEMONSTRATION}" if is_demonstration else words
