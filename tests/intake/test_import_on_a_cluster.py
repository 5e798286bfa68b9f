"""An import whose files are read by the workers of a Dask scheduler: the same catalogue, and every loss in words."""

import os
import time
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import psutil
import pytest

from echo2ecg_core import cluster, processes
from echo2ecg_core.answers import inputs
from echo2ecg_core.cluster import Workers
from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake import decoding
from echo2ecg_core.intake import ingest as intake
from echo2ecg_core.intake.ingest import ingest
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.settings import Settings, settings
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests.intake.test_hostile_films import archive as films
from tests.intake.test_hostile_films import came_in
from tests.intake.test_import_in_processes import archive, empty, held, unbroken

__all__ = ["archive", "films", "unbroken"]


@pytest.fixture(scope="module")
def scheduler():
    """The address of a scheduler with two workers; a piece at which one of them dies is not tried on the other."""
    import dask  # here: it takes a second, and every test process reads this file
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
    ):
        yield two.scheduler_address


@pytest.fixture
def on_cluster(scheduler, monkeypatch):
    """The settings name that scheduler, and everything is worth its workers."""
    monkeypatch.setenv("ECHO2ECG_CLUSTER", scheduler)
    settings.cache_clear()
    monkeypatch.setattr(intake, "ECGS_A_PIECE", 1)
    monkeypatch.setattr(decoding, "WORTH", 2)
    yield
    monkeypatch.undo()
    settings.cache_clear()


def no_process(*_):
    pytest.fail("a process was started here")


@pytest.mark.slow
def test_a_cluster_brings_in_the_same_as_one_process(archive, unbroken, on_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "pool", no_process)
    place = empty(tmp_path / "w")
    report = ingest(archive, place, cohort="ward")
    assert held(place) == unbroken[0] and report.as_json() == unbroken[1].as_json()


@pytest.mark.slow
def test_stored_clips_are_prepared_by_the_workers_and_the_same(archive, on_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "in_order", partial(processes.in_order, worth=1))
    place = empty(tmp_path / "w")
    ingest(archive, place, cohort="ward")
    stored = list(Catalog(place).clips()[["clip_id", "blob"]].itertuples(index=False, name=None))[:3]
    stored.append(("gone", "00/gone.mp4"))
    there = list(inputs.inputs(inputs.clip_inputs, place, ModelSpec(), stored, 4))
    here = inputs.clip_inputs(place.folder, ModelSpec(), stored)
    assert [found[::2] for found in there] == [found[::2] for found in here] and "missing" in there[-1][2]
    for far, near in zip(there[:-1], here[:-1], strict=True):
        assert far[1].tobytes() == near[1].tobytes() and far[1].shape == (3, 16, 224, 224)


def told(number: int) -> int:
    if number == 6:  # as a parser that breaks down, or a file that needs all memory
        os._exit(9)
    return number


def on(scheduler: str, **places: Path) -> list[int]:
    with Workers(scheduler) as workers:
        workers.have_to_see(**places)
        return list(processes.in_order(told, range(4), workers, "", worth=1))


@pytest.mark.slow
def test_a_film_that_takes_too_much_is_refused_and_its_worker_reads_on(
    films, on_cluster, scheduler, tmp_path, monkeypatch
):
    from distributed import Client

    with Client(scheduler) as client:
        before = set(client.scheduler_info()["workers"])
        with monkeypatch.context() as less:
            less.setattr(decoding, "MEMORY_BYTES", 150 * 2**20)
            refused = decoding.TOO_MUCH_MEMORY.format(150 * 2**20 / 1e9)
            assert came_in(films, Workspace(tmp_path / "memory")) == (2, {"b.mp4": refused})
        monkeypatch.setattr(decoding, "SECONDS", 0.7)
        monkeypatch.setattr(decoding, "SECONDS_A_MB", 0.0)
        assert came_in(films, Workspace(tmp_path / "time")) == (2, {"b.mp4": decoding.ENDED})
        assert set(client.scheduler_info()["workers"]) == before


def read_for_ever(begun: Path) -> None:  # as a film that hangs its decoder
    begun.write_text(str(os.getpid()))
    time.sleep(600)


@pytest.mark.slow
def test_stop_ends_the_reading_of_films_by_workers(scheduler, tmp_path):
    begun = [tmp_path / "1", tmp_path / "2"]

    class Stopped(Exception):
        pass

    def stop_once_both_are_read():
        if all(path.exists() and path.read_text() for path in begun):
            raise Stopped

    with pytest.raises(Stopped), Workers(scheduler) as workers:
        work = partial(decoding.guarded, read_for_ever)
        list(processes.in_order(work, begun, workers, "", worth=1, meanwhile=stop_once_both_are_read))
    with Workers(scheduler) as workers:  # both workers are free for others
        assert workers.processes == 2
        assert [workers.submit(told, n).result(60) for n in range(4)] == [0, 1, 2, 3]
    assert not any(psutil.pid_exists(int(path.read_text())) for path in begun)


@pytest.mark.slow
def test_what_ends_its_worker_is_made_again_here_and_the_others_by_workers(scheduler):
    with Workers(scheduler) as workers:
        found = list(processes.in_order(told, range(5, 15), workers, "", lambda n: -n, 1))
    assert list(map(abs, found)) == list(range(5, 15))
    assert -6 in found and sum(n < 0 for n in found) <= 3  # what waited on the same worker may be made here too
    with Workers(scheduler) as workers, pytest.raises(processes.ProcessEnded):
        list(processes.in_order(told, [6], workers, "", None, 1))


@pytest.mark.slow
def test_a_worker_that_does_not_see_the_files_says_so(scheduler, tmp_path, monkeypatch):
    (tmp_path / "w").mkdir()
    assert on(scheduler, workspace=tmp_path / "w") == [0, 1, 2, 3]
    marks = list((tmp_path / "w").iterdir())
    assert on(scheduler, workspace=tmp_path / "w", files=marks[0]) == [0, 1, 2, 3]
    assert list((tmp_path / "w").iterdir()) == marks  # one for all imports
    submit = Workers.submit

    def another_machine(self, work, *arguments):  # where these paths lead elsewhere
        self._seen = {what: path.with_name("elsewhere") for what, path in self._seen.items()}
        return submit(self, work, *arguments)

    monkeypatch.setattr(Workers, "submit", another_machine)
    with pytest.raises(StoreError, match="does not see the workspace where"):
        on(scheduler, workspace=tmp_path / "w")
    with pytest.raises(StoreError, match="does not see the files to be read where"):
        on(scheduler, files=marks[0])


@pytest.mark.slow
def test_workers_of_another_version_are_refused(scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "program_version", lambda: "9.9.9")
    with pytest.raises(StoreError, match="Version 9.9.9 of this program asked a worker of version"):
        on(scheduler)


@pytest.mark.slow
def test_a_scheduler_without_workers_or_gone_is_told(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(cluster, "ASK_S", 0.1)
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with LocalCluster(n_workers=0, dashboard_address=None, processes=True) as none:
        monkeypatch.setattr(cluster, "WORKERS_WITHIN_S", 0.0)
        with pytest.raises(StoreError, match="has had no worker"):
            on(none.scheduler_address)
        monkeypatch.setattr(cluster, "WORKERS_WITHIN_S", 60.0)
        waiting = Workers(none.scheduler_address)
        assert waiting.processes == 0
        answer = waiting.submit(told, 1)
    with waiting, pytest.raises(StoreError, match="scheduler that ECHO2ECG_CLUSTER names is gone"):
        answer.result()
    with pytest.raises(StoreError, match="No Dask scheduler answers"):
        on("tcp://127.0.0.1:1")


def test_what_is_no_address_and_a_missing_package_are_told(monkeypatch):
    with pytest.raises(StoreError, match="like tcp://host:8786"):
        on("host")
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(StoreError, match=r"echo2ecg-explorer\[cluster\]"):
        on("tcp://host:8786")


def test_a_scheduler_without_this_program_is_told_and_an_error_of_the_work_stays_its_own():
    asked, workers = Future(), Workers("tcp://host:8786")
    asked.set_exception(RuntimeError("Error during deserialization of the task graph. This frequently occurs if …"))
    with pytest.raises(StoreError, match="The scheduler of the cluster cannot load this program"):
        cluster._Answer(workers, asked).result()
    own = Future()
    own.set_exception(RuntimeError("of the work"))
    with pytest.raises(RuntimeError, match="of the work"):
        cluster._Answer(workers, own).result()


@pytest.mark.slow
def test_the_cluster_is_a_setting_of_the_machine_and_none_by_default(monkeypatch):
    assert Settings().cluster == ""
    monkeypatch.setenv("ECHO2ECG_CLUSTER", "tcp://host:8786")
    assert Settings().cluster == "tcp://host:8786"
