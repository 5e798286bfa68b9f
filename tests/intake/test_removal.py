"""What is taken out is gone: rows, files, vectors, maps; what others still need stays."""

import numpy as np
import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.intake.vectors_of_others import ImportedVectors, keep, read_kept
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.vectors import VectorSet, load_vectors
from tests.small_workspace import record_of

KINDS = {"ecg": "ecg", "ecg_aligned": "ecg", "study": "study", "clip": "clip"}


@pytest.fixture
def place(tmp_path):
    """Two cohorts of two patients with an ECG and a study of one clip each; two ECGs are the same recording."""
    place = Workspace(tmp_path / "w")
    catalog = Catalog(place)
    for i in range(4):
        catalog.add_patient(f"P{i}", split="test", cohort="north" if i < 2 else "south", synthetic=True)
        catalog.add_study(f"S{i}", f"P{i}", study_date="2030-01-01", phenotypes={"lvef": 50.0 + i})
        catalog.add_ecg(f"E{i}", f"P{i}", record_of(max(i, 1)), ecg_time="2030-01-01")  # E0 and E1 are alike
        catalog.add_clip(f"S{i}", f"clip {i}".encode(), fps=30, n_frames=16, format="MP4")
    held = {"ecg": catalog.ecgs().ecg_id, "study": catalog.studies().study_id, "clip": catalog.clips().clip_id}
    for kind, of in KINDS.items():
        ids = tuple(held[of])
        VectorSet(kind, "m", ids, np.arange(4 * len(ids), dtype=np.float32).reshape(len(ids), 4) + 1).save(
            place.vectors
        )
    place.maps.mkdir()
    np.savez(place.maps / "m.npz", together_ids=np.array(["ecg:E0", "study:S3"]))
    np.savez(place.maps / "other.npz", together_ids=np.array(["ecg:E9"]))
    return place


def test_vectors_of_imported_encoders_go_too(place):
    matrix, ids = np.ones((4, 3), np.float32), ("E0", "E1", "E2", "E3")
    keep(place, "theirs", ImportedVectors("theirs.npy", matrix, ids, {"label": "Theirs"}))
    remove(place, cohort="north")
    assert read_kept(place.folder / "encoders" / "theirs.npz").ids == ("E2", "E3")


def ids_in(place):
    catalog = Catalog(place)
    return set(catalog.ecgs().ecg_id) | set(catalog.studies().study_id) | set(catalog.ecgs().patient_id)


def blobs(place):
    return {p.name for p in place.blobs.rglob("*") if p.is_file()}


def test_a_cohort_goes_with_files_vectors_and_map_and_the_other_stays(place):
    other = [load_vectors(place.vectors, "ecg", "m").rows(["E2", "E3"]).tolist(), Catalog(place).study("S2")]
    removed = remove(place, cohort="north")
    assert (removed.patients, removed.studies, removed.ecgs, removed.clips) == (2, 2, 2, 2)
    assert ids_in(place) == {"E2", "E3", "S2", "S3", "P2", "P3"} and Catalog(place).cohorts() == ["south"]
    assert load_vectors(place.vectors, "ecg", "m").ids == ("E2", "E3") and removed.vectors == 8
    assert [load_vectors(place.vectors, "ecg", "m").rows(["E2", "E3"]).tolist(), Catalog(place).study("S2")] == other
    assert len(blobs(place)) == 4 and [p.name for p in place.maps.iterdir()] == ["other.npz"]
    with place.connect() as db:
        assert {r[0] for r in db.execute("SELECT cohort FROM given_ids")} == {"south"}
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_file_that_another_ecg_needs_stays(place):
    before = blobs(place)
    assert remove(place, ecg="E0").files == 0 and blobs(place) == before
    assert np.isfinite(Catalog(place).ecg_record("E1").signal_mv).all()
    assert remove(place, ecg="E1").files == 1 and len(blobs(place)) == len(before) - 1


def test_a_patient_goes_with_the_last_of_what_is_there(place):
    assert remove(place, study="S2").patients == 0 and "P2" in ids_in(place)
    assert remove(place, ecg="E2").patients == 1 and "P2" not in ids_in(place)
    assert remove(place, patient="P3").ecgs == 1 and Catalog(place).counts()["patients"] == 2


def test_what_went_can_come_in_anew(place):
    remove(place, patient="P0")
    catalog = Catalog(place)
    assert catalog.take_ids("elsewhere", "patient", ["P0"]) == {"P0": "P0"}


def test_what_is_not_there_and_what_is_not_named_are_refused(place):
    for named, words in (
        ({"ecg": "E9"}, "no ecg 'E9'"),
        ({}, "has to be named"),
        ({"ecg": "E1", "study": "S1"}, "has to be"),
    ):
        with pytest.raises(StoreError, match=words):
            remove(place, **named)
    jobs.queue(place, "embed", {})
    jobs.claim(place, "elsewhere:1")
    with pytest.raises(StoreError, match="A job is running"):
        remove(place, ecg="E1")
    assert Catalog(place).counts()["ecgs"] == 4
