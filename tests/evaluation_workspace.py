"""A workspace to evaluate in: simulated ECGs and labels of a few patients in three splits, and the shipped model.

Studies have no clips; their aligned vectors are drawn from their LVEF, so that retrieval has something to find.
"""

from datetime import datetime
from pathlib import Path

import numpy as np

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.intake.demo import open_workspace, shipped_cohort
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewEcg, NewPatient, NewStudy
from echo2ecg_core.store.vectors import VectorSet

PATIENTS = {"train": 40, "validation": 16, "test": 24}
SHORT_S = 5.1


def evaluation_workspace(folder: Path, count: dict[str, int] = PATIENTS) -> Workspace:
    """The first `count` patients of each split of the shipped model's cohort, with two cohorts by name."""
    workspace = Workspace(folder)
    card, people, wanted = open_workspace(workspace), shipped_cohort().people(), dict(count)
    patients, measured, recorded, studies = [], [], [], {}
    for i in range(len(people)):
        split = people.split_of(i)
        if wanted[split] == 0:
            continue
        wanted[split] -= 1
        patient = people.patient(i)
        sex, patient_id = patient.heart.sex, patient.patient_id
        patients.append(NewPatient(patient_id, split, "North" if i % 3 else "South", True, sex))
        for study in patient.studies:
            date, age_years = study.date.isoformat(), study.heart.age_years
            measured.append(NewStudy(study.study_id, patient_id, date, age_years, study.labels()))
            angle = np.pi * study.heart.lvef / 90
            studies[study.study_id] = np.r_[np.cos(angle), np.sin(angle), np.zeros(510)]
        for ecg in patient.ecgs[:2]:
            record = EcgRecord(
                ecg.signal_mv()[:, : int(500 * SHORT_S)],
                500.0,
                "phantom",
                ecg.ecg_id,
                sex=sex,
                recorded_at=datetime(2026, 1, 5),
                device="Cart B" if i % 2 else "Cart A",
            )  # A: odd numbers of patients
            recorded.append(NewEcg(ecg.ecg_id, patient_id, record, ecg.time.isoformat()))
    catalog = Catalog(workspace)
    catalog.add_patients(patients)
    catalog.add_studies(measured)
    catalog.add_ecgs(recorded)
    VectorSet("study_aligned", card.model_id, tuple(studies), np.stack(list(studies.values())).astype(np.float32)).save(
        workspace.vectors
    )
    return workspace
