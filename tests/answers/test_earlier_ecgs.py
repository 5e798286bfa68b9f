"""The other ECGs of the patient whose recording is open."""

import numpy as np

from echo2ecg_core.answers.earlier_ecgs import other_ecgs
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace


def record(seed: int) -> EcgRecord:
    return EcgRecord(np.random.default_rng(seed).normal(size=(12, 5000)), 500.0, "NPY", f"{seed}.npy")


def test_the_latest_earlier_ecg_comes_first_later_and_undated_ones_last_and_no_other_patient(tmp_path):
    catalog = Catalog(Workspace(tmp_path / "workspace"))
    for patient in ("A", "B"):
        catalog.add_patient(patient, split="test", cohort="c", synthetic=True)
    times = {"now": "2030-03-01", "old": "2028-01-01T10:00:00+02:00", "last": "2030-02-27", "later": "2031-01-01"}
    for i, (ecg_id, time) in enumerate([*times.items(), ("undated", None)]):
        catalog.add_ecg(ecg_id, "A", record(i), ecg_time=time)
    catalog.add_ecg("stranger", "B", record(99), ecg_time="2030-02-28")
    found = other_ecgs(record(0), catalog.workspace)
    assert [e.ecg_id for e in found] == ["last", "old", "later", "undated"]
    assert found[0].days_earlier == 2 and found[2].days_earlier < 0 and found[3].days_earlier is None


def test_of_a_recording_that_is_not_in_the_workspace_no_patient_is_known(tmp_path):
    catalog = Catalog(Workspace(tmp_path / "workspace"))
    catalog.add_patient("A", split="test", cohort="c", synthetic=True)
    catalog.add_ecg("E", "A", record(1), ecg_time="2030-01-01")
    assert other_ecgs(record(2), catalog.workspace) == []
