"""The snapshot against the catalogue's own tables, after every kind of write."""

import threading

import numpy as np
import pytest

from echo2ecg_core.settings import Settings
from echo2ecg_core.store import snapshot as module
from echo2ecg_core.store import times
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.snapshot import KEPT_WORKSPACES, snapshot
from echo2ecg_core.store.vectors import VectorSet
from tests.small_workspace import record_of, small_workspace


@pytest.fixture
def workspace(tmp_path):
    place = small_workspace(tmp_path / "w", n_patients=12)
    catalog = Catalog(place)
    catalog.add_ecg("E-late", "P-0003", record_of(50), ecg_time="2027-01-05")  # beyond the window of days
    catalog.add_ecg("E-4", "P-0003", record_of(51), ecg_time="2026-01-08T12:00")
    return place


def assert_is_the_catalogue(workspace) -> None:
    known, catalog = snapshot(workspace), Catalog(workspace)
    ecgs, studies = catalog.ecgs(), catalog.studies()
    assert known.ecgs.equals(ecgs[known.ecgs.columns])
    assert known.studies.equals(studies)
    labelled = catalog.labelled_ecgs().set_index("ecg_id")
    for row, ecg_id in enumerate(ecgs.ecg_id):
        own = known.own_study[row]
        assert (own >= 0) == (ecg_id in labelled.index)
        if own >= 0:
            assert studies.study_id[own] == labelled.study_id[ecg_id]
            assert known.days_apart[row] == labelled.days_apart[ecg_id]
        assert (known.patients == known.patients[row]).tolist() == (ecgs.patient_id == ecgs.patient_id[row]).tolist()
    clips = catalog.clips()
    for view in [*clips.view.dropna().unique(), "A5C"]:
        assert known.has_view(view).tolist() == studies.study_id.isin(clips.study_id[clips.view == view]).tolist()


WRITES = {
    "a patient": lambda c: c.add_patient("P-new", split="train", cohort="other", synthetic=False),
    "a study": lambda c: c.add_study("S-new", "P-0001", study_date="2026-01-05T01:00", phenotypes={"lvedd": 4.0}),
    "an ECG": lambda c: c.add_ecg("E-new", "P-0002", record_of(77), ecg_time="2026-01-06"),
    "a view": lambda c: c.set_views({c.clips().clip_id[0]: ("A5C", 0.9)}),
    "the time of an ECG": lambda c: c.set_ecg_times({"E-late": "2026-01-05"}),
    "a sex": lambda c: c.set_sex_if_unknown({"P-0001": "male"}),
    "a damaged file": lambda c: c.set_aside([c.ecgs().blob[0], c.clips().blob[0]]),
}


def test_it_is_the_catalogue(workspace):
    assert_is_the_catalogue(workspace)


@pytest.mark.parametrize("write", WRITES)
def test_after_every_write_it_is_the_catalogue_as_it_is_now(workspace, write):
    before = snapshot(workspace)
    assert before.ecgs is snapshot(workspace).ecgs  # held, not read again
    WRITES[write](Catalog(workspace))
    assert_is_the_catalogue(workspace)
    assert write == "a sex" or snapshot(workspace) is not before  # whose sex was known already: nothing was written


def test_another_window_of_days_is_another_snapshot(workspace, monkeypatch):
    assert (snapshot(workspace).own_study >= 0).sum() == 13
    monkeypatch.setattr(times, "settings", lambda: Settings(within_days=1))
    assert_is_the_catalogue(workspace)
    assert (snapshot(workspace).own_study >= 0).sum() == 12


def test_a_recording_is_known_by_its_content(workspace):
    known, catalog = snapshot(workspace), Catalog(workspace)
    record = catalog.ecg_record("E-0007")
    assert known.patient_of_recording(record.content_hash) == "P-0007"
    assert known.ecgs.ecg_id[known.ecg_of_recording(record.content_hash)] == "E-0007"
    assert known.patient_of_recording("f" * 64) is None and known.ecg_of_recording("f" * 64) == -1


def test_vectors_are_matched_to_rows_and_those_of_nobody_to_none(workspace):
    known = snapshot(workspace)
    vectors = VectorSet("ecg", "m", ("E-late", "gone", "E-0000"), np.ones((3, 2), np.float32))
    rows = known.rows_of("ecgs", vectors)
    assert rows[1] == -1 and known.ecgs.ecg_id[rows[[0, 2]]].tolist() == ["E-late", "E-0000"]
    assert known.rows_of("ecgs", vectors) is rows


def test_two_pages_at_once_read_once(workspace, monkeypatch):
    read, real, begin, found = [], Catalog.ecgs, threading.Barrier(6), []
    monkeypatch.setattr(Catalog, "ecgs", lambda self: read.append(1) or real(self))

    def page():
        begin.wait()
        found.append(snapshot(workspace).own_study)

    pages = [threading.Thread(target=page) for _ in range(6)]
    for one in pages:
        one.start()
    for one in pages:
        one.join()
    assert len(read) == 1 and all(one is found[0] for one in found)


def test_of_many_workspaces_a_few_are_kept(tmp_path):
    for number in range(KEPT_WORKSPACES + 3):
        place = small_workspace(tmp_path / str(number), n_patients=2)
        assert len(snapshot(place).ecgs) == 2
    assert len(module._kept) == KEPT_WORKSPACES
