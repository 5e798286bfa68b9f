"""The snapshot against the catalogue's own tables, after every kind of write."""

import shutil
import threading

import numpy as np
import pytest

from echo2ecg_core.findings import Findings
from echo2ecg_core.intake import removal
from echo2ecg_core.settings import Settings
from echo2ecg_core.store import columns, times
from echo2ecg_core.store import snapshot as module
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import KEPT_WORKSPACES, Snapshot, snapshot
from echo2ecg_core.store.vectors import VectorSet
from tests.small_workspace import record_of, small_workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = small_workspace(tmp_path_factory.mktemp("made") / "w", n_patients=12)
    catalog = Catalog(place)
    catalog.add_ecg("E-late", "P-0003", record_of(50), ecg_time="2027-01-05")  # beyond the window of days
    catalog.add_ecg("E-4", "P-0003", record_of(51), ecg_time="2026-01-08T12:00")
    return place


@pytest.fixture
def workspace(tmp_path, made):
    return Workspace(shutil.copytree(made.folder, tmp_path / "w"))


def assert_is_the_catalogue(workspace) -> None:
    known, catalog = snapshot(workspace), Catalog(workspace)
    ecgs, studies = catalog.ecgs(), catalog.studies()
    assert known.ecgs.equals(ecgs[known.ecgs.columns])
    assert known.studies.equals(studies.astype({"age_years": float, "first_degree_block": float}))
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


@pytest.mark.parametrize("rows", [1, 7, 100_000])
def test_read_in_blocks_it_is_the_catalogue_too(workspace, monkeypatch, rows):
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", rows)
    assert_is_the_catalogue(workspace)
    assert snapshot(workspace).digests(["lvef"]) == Snapshot(workspace, snapshot(workspace).state).digests(["lvef"])
    assert {type(one) for one in snapshot(workspace).ecgs.split} == {str}


def test_of_an_empty_workspace_it_is_empty(tmp_path):
    place = Workspace(tmp_path / "w")
    with place.write():
        pass
    assert len(snapshot(place).ecgs) == len(snapshot(place).studies) == len(snapshot(place).own_study) == 0


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


def one_of(ids, i):
    return ids.iloc[i % len(ids)]


ANY_WRITES = (
    lambda c, i: c.add_patient(f"P-{i:02d}", split="test", cohort=f"C{i % 3}", synthetic=bool(i % 2), sex="male"),
    lambda c, i: c.add_study(
        f"S-{97 * i % 100:02d}", c.ecgs().patient_id[0], study_date=f"2026-01-{1 + i % 9:02d}", phenotypes={"rvsp": i}
    ),
    lambda c, i: c.add_study(*one_of(c.studies(), i)[:2], findings=Findings(None, "sinus", None, bool(i % 2))),
    lambda c, i: c.add_ecg(f"E-{i}-{len(c.ecgs())}", c.studies().patient_id[0], record_of(i), ecg_time="2026-01-04T08"),
    lambda c, i: c.add_clip(one_of(c.studies().study_id, i), b"x%d" % i, fps=50, n_frames=2, format="x", view="PLAX"),
    lambda c, i: c.set_views({one_of(c.clips().clip_id, i): ("A3C", 0.8)}),
    lambda c, i: c.set_ecg_times({one_of(c.ecgs().ecg_id, i): f"2026-01-{1 + i % 9:02d}"}),
    lambda c, i: removal.remove(c.workspace, patient=one_of(c.ecgs().patient_id, i)) if len(c.ecgs()) > 5 else None,
    lambda c, i: removal.remove(c.workspace, study=one_of(c.studies().study_id, i)) if len(c.studies()) > 5 else None,
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_brought_up_to_date_it_is_what_a_new_one_would_be(workspace, seed):
    rng, catalog = np.random.default_rng(seed), Catalog(workspace)
    ids = ("gone", *catalog.ecgs().ecg_id, *(f"E-{i}-{n}" for i in range(100) for n in range(5, 22)))
    for _ in range(12):
        known = snapshot(workspace)
        assert len(known.own_study) and len(known.has_view("A4C")) and len(known.rows_of("ecgs", ids))  # are carried on
        assert known.digests(["lvef"])["ecgs"] == len(known.ecgs)
        with workspace.write():
            for i in rng.integers(0, 100, 4):
                ANY_WRITES[rng.integers(len(ANY_WRITES))](catalog, int(i))
        rows = snapshot(workspace).rows_of("ecgs", ids)
        known = snapshot(workspace)
        assert known._of_ids and {"ecgs", "people"} <= known._parts.keys(), "carried on, not read anew"
        assert known.digests(["lvef"]) == Snapshot(workspace, known.state).digests(["lvef"])
        people = {*catalog.ecgs().patient_id, *catalog.studies().patient_id}
        assert known.digests(["lvef"])["patients"] == len(people)
        stored = catalog.ecgs().ecg_id.tolist()
        assert rows.tolist() == [stored.index(i) if i in stored else -1 for i in ids]
        assert_is_the_catalogue(workspace)


def test_after_a_write_only_that_patient_is_read(workspace, monkeypatch):
    read, real = [], module.read_ecgs
    _ = snapshot(workspace).own_study
    monkeypatch.setattr(module, "read_ecgs", lambda db, of=None: read.append(real(db, of)[0]) or real(db, of))
    Catalog(workspace).add_ecg("E-new", "P-0003", record_of(5), ecg_time="2026-01-05")
    assert_is_the_catalogue(workspace)
    assert [set(table.patient_id) for table in read] == [{"P-0003"}]


def test_a_copy_put_in_the_place_of_the_catalogue_is_read_whole(workspace, tmp_path):
    with workspace.connect() as db:
        db.execute("SELECT 1")
    copied = shutil.copytree(workspace.folder, tmp_path / "copy")
    Catalog(workspace).add_ecg("E-new", "P-0003", record_of(5))
    assert len(snapshot(workspace).ecgs) == 15
    for file in workspace.folder.glob("catalog.sqlite*"):
        file.unlink()
    for file in copied.glob("catalog.sqlite*"):
        shutil.copy(file, workspace.folder)
    Catalog(workspace).add_patient("P-other", split="test", cohort="c", synthetic=True)  # a version beyond
    assert len(snapshot(workspace).ecgs) == 14
    assert_is_the_catalogue(workspace)


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
    rows = known.rows_of("ecgs", vectors.ids)
    assert rows[1] == -1 and known.ecgs.ecg_id[rows[[0, 2]]].tolist() == ["E-late", "E-0000"]
    assert known.rows_of("ecgs", vectors.ids) is rows


def test_two_pages_at_once_read_once(workspace, monkeypatch):
    read, real, begin, found = [], module.read_all_ecgs, threading.Barrier(6), []
    monkeypatch.setattr(module, "read_all_ecgs", lambda db: read.append(1) or real(db))

    def page():
        begin.wait()
        found.append(snapshot(workspace).own_study)

    pages = [threading.Thread(target=page) for _ in range(6)]
    for one in pages:
        one.start()
    for one in pages:
        one.join()
    assert len(read) == 1 and all(one is found[0] for one in found)


@pytest.mark.slow
def test_of_many_workspaces_a_few_are_kept(tmp_path):
    for number in range(KEPT_WORKSPACES + 3):
        place = small_workspace(tmp_path / str(number), n_patients=2)
        assert len(snapshot(place).ecgs) == 2
    assert len(module._kept) == KEPT_WORKSPACES
