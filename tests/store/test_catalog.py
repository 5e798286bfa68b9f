"""The catalog: what goes in comes out, twice is once, and what is missing is said in words."""

from datetime import datetime

import numpy as np
import pytest

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace


@pytest.fixture
def catalog(tmp_path):
    catalog = Catalog(Workspace(tmp_path))
    catalog.add_patient("P1", split="test", cohort="c", synthetic=True, sex="female")
    catalog.add_study(
        "S1", "P1", study_date="2030-01-01", age_years=61.0, phenotypes={"lvef": 35.0, "lvedv": float("nan")}
    )
    catalog.add_study("S2", "P1", study_date="2030-03-01", phenotypes={"lvef": 45.0})
    return catalog


def record(seed=0):
    signal = np.random.default_rng(seed).normal(size=(12, 5000)).astype(np.float32)
    return EcgRecord(
        signal_mv=signal,
        sampling_rate_hz=500.0,
        format="WFDB",
        source="x.hea",
        notes=("Lead aVF derived.",),
        derived_leads=("aVF",),
        sex="female",
        age_years=61.0,
        recorded_at=datetime(2030, 1, 2, 3, 4),
    )


def test_an_ecg_comes_back_as_it_was_stored(catalog):
    catalog.add_ecg("E1", "P1", record(), ecg_time="2030-01-02T03:04:00")
    again = catalog.ecg_record("E1")
    assert np.array_equal(again.signal_mv, record().signal_mv) and again.source == "E1"
    assert (again.notes, again.derived_leads, again.sex, again.recorded_at) == (
        ("Lead aVF derived.",),
        ("aVF",),
        "female",
        datetime(2030, 1, 2, 3, 4),
    )
    assert again.content_hash == record().content_hash


def test_adding_the_same_thing_twice_changes_nothing(catalog):
    for _ in range(2):
        catalog.add_ecg("E1", "P1", record())
        clip_id = catalog.add_clip("S1", b"mp4 bytes", fps=50.0, n_frames=32, format="MP4", r_wave_times_s=(0.1, 0.9))
    assert catalog.counts() == {"patients": 1, "studies": 2, "clips": 1, "ecgs": 1}
    (clip,) = catalog.clips_of("S1")
    assert clip.clip_id == clip_id and clip.r_wave_times_s == (0.1, 0.9) and clip.synthetic
    assert catalog.clip_path(clip_id).read_bytes() == b"mp4 bytes"


def test_an_ecg_takes_the_labels_of_the_study_nearest_in_time(catalog):
    catalog.add_ecg("E1", "P1", record(1), ecg_time="2030-01-03T00:00:00")
    catalog.add_ecg("E2", "P1", record(2), ecg_time="2030-02-25T00:00:00")
    labelled = catalog.labelled_ecgs().set_index("ecg_id")
    assert labelled.study_id.to_dict() == {"E1": "S1", "E2": "S2"}
    assert labelled.lvef.to_dict() == {"E1": 35.0, "E2": 45.0} and labelled.days_apart["E1"] == 2


def test_phenotypes_that_were_not_measured_are_absent_not_zero(catalog):
    assert catalog.study("S1").phenotypes == {"lvef": 35.0}


def test_findings_come_back_as_they_were_stored_and_those_given_later_join(catalog):
    scores = (1,) * 13 + (2, 3, None, 4)
    catalog.add_study("S1", "P1", findings=Findings(scores, "af"))
    catalog.add_study("S1", "P1", findings=Findings(conduction="lbbb", first_degree_block=False))
    catalog.add_study("S1", "P1")
    assert catalog.study("S1").findings == Findings(scores, "af", "lbbb", False) and catalog.study("S1").age_years == 61
    assert catalog.study("S2").findings == Findings()


def test_a_patient_cannot_be_in_two_splits(catalog):
    with pytest.raises(StoreError, match="two splits"):
        catalog.add_patient("P1", split="train", cohort="c", synthetic=True)


def test_views_are_set_by_clip(catalog):
    clip_id = catalog.add_clip("S1", b"a", fps=30, n_frames=16, format="DICOM")
    catalog.set_views({clip_id: ("A4C", 0.97)})
    assert (catalog.clip(clip_id).view, catalog.clip(clip_id).view_confidence) == ("A4C", 0.97)


@pytest.mark.parametrize(
    "ask", [lambda c: c.study("S9"), lambda c: c.clip("C9"), lambda c: c.clip_path("C9"), lambda c: c.ecg_record("E9")]
)
def test_what_is_not_there_is_said_in_words(catalog, ask):
    with pytest.raises(StoreError, match="in this workspace"):
        ask(catalog)


def test_a_lost_file_is_said_in_words(catalog):
    clip_id = catalog.add_clip("S1", b"a", fps=30, n_frames=16, format="DICOM")
    catalog.clip_path(clip_id).unlink()
    with pytest.raises(StoreError, match="is missing"):
        catalog.clip_path(clip_id)


def test_an_ecg_years_from_its_patients_echo_has_no_label_unless_the_window_is_that_wide(tmp_path):
    catalog = Catalog(Workspace(tmp_path))
    catalog.add_patient("P1", split="train", cohort="c", synthetic=False)
    catalog.add_study("S1", "P1", study_date="2020-06-01T10:00:00+02:00", phenotypes={"lvef": 35.0})
    catalog.add_ecg("E1", "P1", record(1), ecg_time="2009-06-01")
    catalog.add_ecg("E2", "P1", record(2), ecg_time="2020-06-03T08:00:00Z")
    catalog.add_ecg("E3", "P1", record(3))
    labelled = catalog.labelled_ecgs()
    assert labelled.ecg_id.tolist() == ["E2"] and labelled.days_apart.tolist() == [2.0] and labelled.lvef.item() == 35
    assert catalog.labelled_ecgs(within_days=1).empty and "lvef" in catalog.labelled_ecgs(within_days=1)
    assert catalog.labelled_ecgs(within_days=5000).ecg_id.tolist() == ["E1", "E2"]
