"""A small made-up workspace for tests of search, map and pages: real catalog, real vectors files, no networks.

Patients lie on a half circle by their LVEF, so which studies are near which ECG is known without any model.
"""

import json
from pathlib import Path

import numpy as np

from echo2ecg_core.answers.predict import Prediction
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.new_rows import NewClip, NewEcg, NewPatient, NewStudy
from echo2ecg_core.store.vectors import VectorSet

DIM = 16
SHA256 = "5ma11" + "0" * 59
MODEL_ID = SHA256[:8]
VIEWS = ("A4C", "A2C", "Parasternal_Long")


def lvef_of(patient: int, n_patients: int) -> float:
    return 20 + 50 * patient / (n_patients - 1)


def direction(lvef: float, modality: str, rng: np.random.Generator) -> np.ndarray:
    """A vector whose angle tells the LVEF; the modalities lie a constant apart, as contrastive training leaves them."""
    angle = np.pi * (lvef - 20) / 50
    vector = np.concatenate([[np.cos(angle), np.sin(angle)], rng.normal(0, 0.02, DIM - 2)])
    vector[2] += 0.5 if modality == "ecg" else -0.5
    return vector.astype(np.float32)


def record_of(patient: int) -> EcgRecord:
    seconds = np.arange(1000) / 100
    signal = np.sin(2 * np.pi * (1 + patient / 100) * seconds)[None] * np.linspace(0.5, 1, 12)[:, None]
    return EcgRecord(signal, 100.0, "phantom", f"E-{patient:04d}", sex="male", age_years=60.0)


def small_workspace(folder: Path, n_patients: int = 40, mp4: bytes = b"not a film") -> Workspace:
    """One study and one ECG a patient; every third study has three views, the others one."""
    workspace = Workspace(folder)
    catalog, rng = Catalog(workspace), np.random.default_rng(5)
    patients, measured, clips, recorded, ecgs, studies = [], [], [], [], {}, {}
    for i in range(n_patients):
        patient_id, study_id, ecg_id, lvef = f"P-{i:04d}", f"S-{i:04d}", f"E-{i:04d}", lvef_of(i, n_patients)
        patients.append(NewPatient(patient_id, "test", "small", True, "female" if i % 2 else "male"))
        labels = {"lvef": lvef, "lvedv": 200 - lvef, "ivsd": 0.9, "tr_grade": 2.0}
        measured.append(NewStudy(study_id, patient_id, "2026-01-05", 40 + i, labels))
        clips += [
            NewClip(study_id, mp4 + view.encode(), 50, 32, "phantom", view, 0.97, r_wave_times_s=(0.1,))
            for view in VIEWS[: 3 if i % 3 == 0 else 1]
        ]
        recorded.append(NewEcg(ecg_id, patient_id, record_of(i), "2026-01-05"))
        ecgs[ecg_id], studies[study_id] = direction(lvef, "ecg", rng), direction(lvef, "study", rng)
    catalog.add_patients(patients)
    catalog.add_studies(measured)
    catalog.add_clips(clips)
    catalog.add_ecgs(recorded)
    register_model(workspace)
    for kind, vectors in (("ecg_aligned", ecgs), ("study_aligned", studies)):
        VectorSet(kind, MODEL_ID, tuple(vectors), np.stack(list(vectors.values()))).save(workspace.vectors)
    return workspace


def register_model(workspace: Workspace) -> None:
    """An active model that is only a manifest: cards and ids work, networks cannot be loaded."""
    folder = workspace.folder / "made_model"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"name": "small", "sha256": SHA256, "synthetic": True}))
    registry = ModelRegistry(workspace)
    registry.promote(registry.register(folder).model_id)


def prediction(lvef: float, model_id: str = MODEL_ID) -> Prediction:
    """What a model would say of an ECG with this LVEF."""
    aligned = direction(lvef, "ecg", np.random.default_rng(1))
    rows = [
        {
            "name": "lvef",
            "label": "LV ejection fraction",
            "short": "LVEF",
            "unit": "%",
            "value": lvef,
            "interval": [lvef - 10, lvef + 10],
            "interval_level": 0.9,
            "reason": None,
        },
        {
            "name": "lvedv",
            "label": "LV end-diastolic volume",
            "short": "LVEDV",
            "unit": "mL",
            "value": 200 - lvef,
            "interval": [170 - lvef, 230 - lvef],
            "interval_level": 0.9,
            "reason": None,
        },
        {
            "name": "ivsd",
            "label": "Septal thickness",
            "short": "IVSd",
            "unit": "cm",
            "value": None,
            "interval": None,
            "interval_level": 0.9,
            "reason": "No estimate: on test patients this model predicts IVSd no better than the average patient.",
        },
    ]
    report = {
        "ecg": {"source": "made.hea", "sampling_rate_hz": 100.0},
        "measurements": {},
        "quality": {"verdict": "good", "reason": ""},
        "model": {"id": model_id, "name": "small", "sha256": SHA256, "synthetic": True},
        "phenotypes": rows,
        "neighbours": [],
        "out_of_distribution": {"flag": False, "percentile": 50.0, "limit_percentile": 95, "message": ""},
    }
    return Prediction(report, aligned, aligned, model_id)


def mapped_workspace(folder: Path) -> Workspace:
    """A small workspace of twelve patients with its map, laid out by the first coordinates of the vectors."""
    import pytest

    from echo2ecg_core.answers import map_drawing

    made = small_workspace(folder, n_patients=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions])
        map_drawing.build_map(made, MODEL_ID)
    return made
