"""A short form of `benchmarks/kills.py`: killed at random moments and begun again, the work ends as if unbroken."""

import importlib.util
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from echo2ecg_core.intake import removal
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from tests.evaluation_workspace import evaluation_workspace
from tests.small_workspace import small_workspace

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "kills.py"


@pytest.fixture(scope="module")
def kills():
    spec = importlib.util.spec_from_file_location("kills", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("kills") / "w", n_patients=12)


@pytest.mark.slow
def test_an_import_that_is_killed_again_and_again_brings_in_the_same(kills, disk_path):
    from echo2ecg_core.phantom.cohort import write_cohort

    archive = write_cohort(disk_path / "archive", 8, 5, ecg_only=True)
    act = kills.job("import", lambda place: {"folder": str(archive), "cohort": "imported", "prepare": False})
    unbroken = Workspace(disk_path / "unbroken")
    assert kills.in_a_process(act, unbroken)
    line = kills.killed("import", act, disk_path / "nothing", kills.state(unbroken), 1.5, 4, 1, disk_path, False)
    assert line["kills"] >= 4 and line["different"] == 0, line


@pytest.mark.slow
def test_a_removal_that_is_killed_leaves_all_or_what_the_next_one_takes(kills, whole, disk_path):
    unbroken = Workspace(shutil.copytree(whole.folder, disk_path / "unbroken"))
    remove(unbroken, cohort="small")
    wanted, seen = kills.state(unbroken), set()
    for number in range(6):
        place = Workspace(shutil.copytree(whole.folder, disk_path / f"killed-{number}"))
        kills.in_a_process(lambda where: remove(where, cohort="small"), place, 0.01 * number)
        with sqlite3.connect(place.database) as db:
            seen.add(db.execute("SELECT count(*) FROM patients").fetchone()[0])
        kills.remove_again(place, "small")
        found, _ = kills.differences(wanted, kills.state(place))
        assert not found, (number, found)
    assert seen <= {0, 12}


@pytest.mark.parametrize("at", ["write", "_drop_vectors", "_drop_maps", "forget", "rmtree"])
def test_a_removal_that_is_killed_at_any_step_is_finished_by_the_next(kills, whole, tmp_path, monkeypatch, at):
    wanted = Workspace(shutil.copytree(whole.folder, tmp_path / "unbroken"))
    remove(wanted, patient="P-0001")
    remove(wanted, patient="P-0002")
    place = Workspace(shutil.copytree(whole.folder, tmp_path / "killed"))

    def die(*args, **more):
        os.kill(os.getpid(), signal.SIGKILL)

    def killed_there(where):
        if at == "write":
            removal.audit.record = die  # in the middle of the transaction
        else:
            setattr(removal.shutil if at == "rmtree" else removal, at, die)
        remove(where, patient="P-0001")

    pid = os.fork()
    if pid == 0:
        killed_there(place)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    if at == "write":
        removal.finish_removals(place)  # the rows are still there: nothing of theirs may go
        assert kills.differences(kills.state(whole), kills.state(place)) == ([], 0.0)
        remove(place, patient="P-0001")
    remove(place, patient="P-0002")
    found, _ = kills.differences(kills.state(wanted), kills.state(place))
    assert not found and not list(place.folder.glob(".removing-*"))


@pytest.mark.slow
def test_a_first_start_that_is_killed_ends_with_one_model_one_report_and_one_demo(kills, tmp_path):
    unbroken = Workspace(tmp_path / "unbroken")
    assert kills.in_a_process(kills.first_start, unbroken)
    after = kills.state(unbroken)
    assert kills.not_whole(unbroken) == [] and [kind for kind, _, _ in after["jobs"]] == ["demo"] and after["reports"]
    line = kills.killed("start", kills.first_start, tmp_path / "nothing", after, 0.3, 3, 1, tmp_path)
    assert line["kills"] == 3 and line["different"] == 0, line


@pytest.fixture(scope="module")
def evaluated(kills, tmp_path_factory):
    """A workspace of a few patients in which nothing was evaluated yet, and what an unbroken evaluation leaves."""
    folder = tmp_path_factory.mktemp("evaluated")
    before = evaluation_workspace(folder / "before", {"train": 8, "validation": 4, "test": 6}).folder
    unbroken = Workspace(shutil.copytree(before, folder / "unbroken"))
    assert begun(unbroken).wait() == 0
    after = kills.state(unbroken)
    assert after["reports"] != kills.state(Workspace(before))["reports"]  # the one that the model comes with
    return before, after


def begun(place: Workspace) -> subprocess.Popen:
    """An evaluation that has begun in a fresh process: a fork of this one, where networks ran in threads, would stand
    still."""
    program = (
        "import sys; from benchmarks.kills import evaluate; from echo2ecg_core.store.database import Workspace; "
        "evaluate(Workspace(sys.argv[1]))"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(place.folder)], cwd=SCRIPT.parents[1])


def until_at_work(place: Workspace) -> int:
    """The id of the process that works on the evaluation, once there is one."""
    for _ in range(3000):
        if workers := [one.worker for one in jobs.jobs(place) if one.kind == "evaluate" and one.state == "running"]:
            return int(workers[0].rpartition(":")[2])
        time.sleep(0.02)
    raise AssertionError("nobody began with the evaluation")


@pytest.mark.slow
def test_an_evaluation_that_is_killed_at_work_ends_with_the_same_report(kills, evaluated, tmp_path):
    before, after = evaluated
    place = Workspace(shutil.copytree(before, tmp_path / "w"))
    first = begun(place)
    assert until_at_work(place) == first.pid
    time.sleep(0.5)  # it loads the model, embeds, fits
    first.kill()
    first.wait()
    assert kills.state(place)["reports"] == kills.state(Workspace(before))["reports"]
    assert begun(place).wait() == 0
    assert kills.differences(after, kills.state(place)) == ([], 0.0)


@pytest.mark.slow
def test_a_server_that_is_killed_with_its_worker_ends_the_evaluation_at_its_next_start(kills, evaluated, tmp_path):
    before, after = evaluated
    place = Workspace(shutil.copytree(before, tmp_path / "w"))
    jobs.queue(place, "evaluate", {"model": kills._active(place)})
    with kills.served(place) as (server, _):
        worker = until_at_work(place)
        server.kill()
        os.kill(worker, signal.SIGKILL)
    assert kills.state(place)["reports"] == kills.state(Workspace(before))["reports"]
    assert kills.serve_until_evaluated(place)
    assert kills.differences(after, kills.state(place)) == ([], 0.0)


def test_a_series_that_was_ended_goes_on_where_it_was(kills, tmp_path):
    def never(place):
        raise AssertionError("the step was done once more")

    after = kills.state(small_workspace(tmp_path / "w", n_patients=3))
    shutil.copytree(tmp_path / "w", tmp_path / "before")
    first = kills.killed("map", lambda place: time.sleep(0.2), tmp_path / "before", after, 0.1, 2, 1, tmp_path, False)
    again = kills.killed("map", never, tmp_path / "before", after, 0.1, 2, 1, tmp_path, False)
    assert again == first and first["kills"] == 2


def test_the_comparison_finds_a_lost_vector_a_lost_file_and_a_changed_row(kills, whole, tmp_path):
    before = kills.state(whole)
    assert kills.differences(before, kills.state(whole)) == ([], 0.0)
    place = Workspace(shutil.copytree(whole.folder, tmp_path / "changed"))
    next(p for p in place.blobs.rglob("*") if p.is_file()).unlink()
    with place.write() as db:
        db.execute("UPDATE phenotypes SET value = value + 1 WHERE name = 'lvef'")
    next(place.vectors.glob("*.safetensors")).unlink()
    found, _ = kills.differences(before, kills.state(place))
    assert {"rows of phenotypes", "files"} <= set(found) and any(one.startswith("which vectors") for one in found)


@pytest.mark.slow
def test_a_killed_process_is_killed_and_its_job_goes_back_to_the_queue(kills, tmp_path):
    place = Workspace(tmp_path / "w")
    number = jobs.queue(place, "map")

    def claim_and_wait(where):
        jobs.claim(where, jobs.this_worker())
        signal.pause()

    assert not kills.in_a_process(claim_and_wait, place, 1.0)
    assert jobs.job(place, number).state == "running" and not os.path.exists(f"/proc/{jobs.job(place, number).worker}")
    jobs.requeue_lost(place)
    assert jobs.job(place, number).state == "queued"
