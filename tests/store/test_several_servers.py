"""Several servers of the dashboard on one workspace while a worker writes: each sees whole states, and the last one."""

import multiprocessing
import time

import numpy as np
import pytest

from echo2ecg_core.answers.maps import load_map, undrawn
from echo2ecg_core.answers.search import Filters, candidates, nearest_ecgs, search
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.store.vectors import append_vectors, load_vectors, merge_vectors
from tests.small_workspace import MODEL_ID, direction, mapped_workspace, prediction, record_of

SPAWN = multiprocessing.get_context("spawn")
ADDED = 30


@pytest.fixture
def workspace(tmp_path):
    return mapped_workspace(tmp_path / "w")


def work(folder, begin) -> None:
    """What a worker does: patients with a study, an ECG and their vectors, a batch at a time; merged now and then."""
    place, rng = Workspace(folder), np.random.default_rng(0)
    catalog = Catalog(place)
    begin.wait()
    for i in range(ADDED):
        patient, study, ecg = f"Q-{i:03d}", f"T-{i:03d}", f"F-{i:03d}"
        with place.write():
            catalog.add_patient(patient, split="test", cohort="added", synthetic=True)
            catalog.add_study(study, patient, study_date="2026-01-05", phenotypes={"lvef": 40.0 + i})
            catalog.add_ecg(ecg, patient, record_of(200 + i), ecg_time="2026-01-05")
        append_vectors(place.vectors, "study_aligned", MODEL_ID, [study], direction(40.0, "study", rng)[None])
        append_vectors(place.vectors, "ecg_aligned", MODEL_ID, [ecg], direction(40.0, "ecg", rng)[None])
        if i % 10 == 9:
            for kind in ("study_aligned", "ecg_aligned"):
                merge_vectors(place.vectors, kind, MODEL_ID)


def serve(folder, begin, told) -> None:
    """What a server does at every rerun, until all that is written has been seen; tells how many states it saw."""
    place, seen = Workspace(folder), set()
    begin.wait()
    until = time.monotonic() + 120
    while time.monotonic() < until:
        known = snapshot(place)
        own = known.own_study
        patients = known.studies.patient_id.to_numpy()[own[own >= 0]]
        assert (patients == known.ecgs.patient_id.to_numpy()[own >= 0]).all()
        added = known.studies[known.studies.cohort == "added"]
        assert (added.lvef == 40.0 + np.arange(len(added))).all(), "a study is seen with what was measured on it"
        ids = {hit.study_id for hit in search(prediction(40.0), place, 5)}
        assert ids <= set(snapshot(place).studies.study_id) and len(ids) == 5
        assert nearest_ecgs("S-0003", place, 3)[0].study_id is not None
        assert len(load_map(place, MODEL_ID)) == 24 and undrawn(place, MODEL_ID) >= 0
        assert len(candidates(place, Filters()).study_ids) >= len(known.studies)
        seen.add(len(known.studies))
        if len(load_vectors(place.vectors, "ecg_aligned", MODEL_ID)) == 12 + ADDED and max(seen) == 12 + ADDED:
            break
    told.put((len(seen), len(snapshot(place).studies), undrawn(place, MODEL_ID), sorted(ids)))


@pytest.mark.slow
def test_three_servers_see_whole_states_while_a_worker_writes_and_all_of_them_the_last(workspace):
    begin, told = SPAWN.Barrier(4), SPAWN.Queue()
    servers = [SPAWN.Process(target=serve, args=(workspace.folder, begin, told)) for _ in range(3)]
    worker = SPAWN.Process(target=work, args=(workspace.folder, begin))
    for process in (*servers, worker):
        process.start()
    answers = [told.get(timeout=240) for _ in servers]
    for process in (*servers, worker):
        process.join(60)
    assert [process.exitcode for process in (*servers, worker)] == [0, 0, 0, 0]
    assert min(states for states, *_ in answers) > 1, "no server waited for the worker's end"
    assert {(studies, new) for _, studies, new, _ in answers} == {(12 + ADDED, 2 * ADDED)}
    assert len({tuple(ids) for *_, ids in answers}) == 1
