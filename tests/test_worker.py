"""The worker as a process: two share the work, a killed one loses nothing, a stopped one stops; how a job's end is
worded."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from echo2ecg_core import worker
from echo2ecg_core.errors import Echo2ECGError, WorkspaceBusy
from echo2ecg_core.failures import without_places
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.database import Workspace

ROOT = Path(__file__).resolve().parents[1]
COUNTING = """
import sys, time
from pathlib import Path
from echo2ecg_core import worker
from echo2ecg_core.store.database import Workspace

def count(workspace, parameters, progress):
    # Counts to `steps` in a file that it keeps: what every real job does with its checkpoints and vectors.
    kept = workspace.folder / parameters["file"]
    done = len(kept.read_text().split()) if kept.exists() else 0
    kept.touch()
    while len(list(workspace.folder.glob("count*"))) < parameters.get("together", 1):
        time.sleep(0.02)  # until the other worker has its job too
    for step in range(done, parameters["steps"]):
        with open(kept, "a") as file:
            file.write(f"{step}\\n")
        progress((step + 1) / parameters["steps"], f"step {step}")
        time.sleep(0.05)
    return f"counted from {done}"

worker.WORKFLOWS["map"] = count
print(worker.work(Workspace(sys.argv[1])))
"""


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "w")


@pytest.fixture
def start(place):
    """Starts worker processes; kills what is left at the end."""
    started = []

    def start():
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", COUNTING, str(place.folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_two_workers_do_two_jobs_once_each(place, start):
    numbers = [jobs.queue(place, "map", {"file": f"count-{n}", "steps": 20, "together": 2}) for n in range(2)]
    workers = [start(), start()]
    assert [p.wait(30) for p in workers] == [0, 0]
    assert [int(p.stdout.read()) for p in workers] == [1, 1]
    for n, number in enumerate(numbers):
        assert (place.folder / f"count-{n}").read_text().split() == [str(step) for step in range(20)]
        assert jobs.job(place, number).message == "counted from 0" and jobs.job(place, number).state == "done"


@pytest.mark.slow
def test_a_worker_that_finds_another_at_work_says_so(place):
    jobs.queue(place, "map")
    jobs.claim(place, f"{os.uname().nodename}:{os.getpid()}")
    told = subprocess.run(
        [sys.executable, "-m", "echo2ecg_core", "worker", "--workspace", place.folder],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stderr.endswith("0 jobs done. Another worker is at work: job 1 (map).\n")


SHARING = """
import subprocess, sys, time
from pathlib import Path
from echo2ecg_core import worker
from echo2ecg_core.intake import archives, ingest  # loaded before all begin
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.database import Workspace

place, role = Workspace(sys.argv[1]), sys.argv[2]
Path(f"{sys.argv[4]}/ready-{role}").touch()
while not Path(f"{sys.argv[4]}/go").exists():
    time.sleep(0.005)
if role.startswith("server"):
    real = subprocess.Popen
    jobs.subprocess.Popen = lambda command, **options: print(command[3]) or real(["true"])
    jobs.queue(place, "import", {"folder": sys.argv[3], "cohort": "c", "prepare": False})
    jobs.tend(place)
else:
    while not (place.exists() and jobs.jobs(place)):
        time.sleep(0.005)
    print(worker.work(place))
"""


@pytest.mark.slow
def test_two_servers_and_three_workers_do_one_import_once(tmp_path, place):
    from echo2ecg_core.phantom.cohort import write_cohort

    archive, roles = write_cohort(tmp_path / "a", 2, 3, ecg_only=True), ("server-1", "server-2", "w-1", "w-2", "w-3")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARING, str(place.folder), role, str(archive), str(tmp_path)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for role in roles
    ]  # fmt: skip
    wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 5, 120)
    (tmp_path / "go").touch()
    told = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 5, told
    started, done = "".join(out for out, _ in told[:2]), sorted(int(out) for out, _ in told[2:])
    assert done == [0, 0, 1] and started.split() in (["worker"], [])
    (job,) = jobs.jobs(place)
    assert job.state == "done" and jobs.log_path(place, 1).read_text().count("import begins") == 1
    with place.connect() as db:
        rows = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("patients", "ecgs")]
    assert rows[0] == 2 and rows[1] == len(list(archive.rglob("*.hea"))) > 0


@pytest.mark.slow
def test_the_job_of_a_killed_worker_goes_on_where_it_was(place, start):
    number = jobs.queue(place, "map", {"file": "count", "steps": 80})
    first = start()
    wait_until(lambda: jobs.job(place, number).progress > 0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept = len((place.folder / "count").read_text().split())
    assert jobs.job(place, number).state == "running"  # nobody has noticed yet
    jobs.requeue_lost(place)
    assert jobs.job(place, number).state == "queued"
    assert start().wait(30) == 0
    assert jobs.job(place, number).state == "done" and jobs.job(place, number).message == f"counted from {kept}"
    assert (place.folder / "count").read_text().split() == [str(step) for step in range(80)]


@pytest.mark.slow
def test_a_running_job_stops_when_it_is_cancelled_and_resumes(place, start):
    number = jobs.queue(place, "map", {"file": "count", "steps": 120})
    process = start()
    wait_until(lambda: jobs.job(place, number).progress > 0.05)
    jobs.cancel(place, number)
    assert process.wait(10) == 0
    stopped = jobs.job(place, number)
    kept = len((place.folder / "count").read_text().split())
    assert stopped.state == "cancelled" and not stopped.is_stopping and kept < 120
    jobs.resume(place, number)
    assert start().wait(30) == 0
    assert (
        jobs.job(place, number).message == f"counted from {kept}"
        and (place.folder / "count").read_text().split()[-1] == "119"
    )


@pytest.mark.slow
def test_a_worker_started_by_a_page_is_a_process_of_its_own_and_empties_the_queue(place):
    jobs.queue(place, "dance")
    pid = jobs.start_worker(place)
    assert (
        os.getsid(pid) == pid != os.getsid(0)
    )  # its own session: closing the terminal or the server does not reach it
    wait_until(lambda: jobs.job(place, 1).state == "failed", 60)
    assert "no job of the kind 'dance'" in jobs.job(place, 1).message
    assert "failed: There is no job" in jobs.log_path(place, 1).read_text()


@pytest.mark.skipif(os.name != "posix", reason="only these systems know nice")
@pytest.mark.parametrize("of_its_own", [True, False], ids=["a session of its own", "the session of others"])
def test_a_worker_leaves_the_cores_to_pages_also_where_they_are_shared_between_sessions(of_its_own):
    group = Path("/proc/self/autogroup")  # not on every system, and empty for processes that are in no group
    code = "import os\nfrom pathlib import Path\nfrom echo2ecg_core.processes import let_others_first as step_back\n"
    code += f"step_back()\ngroup = Path('{group}')\n"
    code += "print(os.nice(0), *(group.read_text().split()[-1:] if group.exists() else []))"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, start_new_session=of_its_own, capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(told[0]) == os.nice(0) + 10
    ours = group.read_text().split()[-1:] if group.exists() else []
    if ours and told[1:]:
        assert int(told[1]) == (10 if of_its_own else int(ours[0]))


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


def wrapped(cause):
    error = ValueError("could not be written")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full. Free some space"),
        (wrapped(OSError(errno.ENOSPC, "x")), "The disk is full"),
        (
            OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "GPU memory is full at a batch of 4,096 pairs. Start again with a batch of 2,048",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            "ran out of memory. Start again with a batch of 2,048",
        ),
        (MemoryError(), "The machine ran out of memory"),
        (KeyError("Doe, John"), "unexpected KeyError; its log tells where (logs/job-0001.log)"),
    ],
)
def test_an_unexpected_end_is_a_sentence_with_a_remedy_and_a_place_in_the_log(place, monkeypatch, raised, words):
    def fails(workspace, parameters, progress):
        raise raised

    monkeypatch.setitem(worker.WORKFLOWS, "train", fails)
    number = jobs.queue(place, "train", {"set": {"batch_size": 4096}})
    worker.work(place)
    job, log = jobs.job(place, number), jobs.log_path(place, number).read_text()
    assert job.state == "failed" and words in job.message
    assert type(raised).__name__ in log and "raise raised" in log and "Doe" not in log + job.message


def test_what_a_job_does_is_the_workers_in_the_audit_log_and_nobodys_at_a_terminal(place, monkeypatch):
    def goes_on(workspace, parameters, progress):
        jobs.queue(workspace, "prepare", {"model": "a"})

    monkeypatch.setitem(worker.WORKFLOWS, "map", goes_on)
    with audit.acting_as("chief", "admin"):
        jobs.queue(place, "map", {})
    worker.run_job(place, jobs.claim(place, "one"))
    assert [(entry.who, entry.action) for entry in reversed(audit.entries(place))] == [
        ("chief", "queue map"), ("worker", "queue prepare"), ("worker", "end map"),
    ]  # fmt: skip


def test_an_error_in_words_is_the_jobs_message_without_a_traceback(place, monkeypatch):
    def fails(workspace, parameters, progress):
        raise Echo2ECGError("There are no pairs.", "Import studies first.")

    monkeypatch.setitem(worker.WORKFLOWS, "map", fails)
    number = jobs.queue(place, "map")
    worker.work(place)
    assert jobs.job(place, number).message == "There are no pairs. Import studies first."
    assert (
        "Traceback" not in jobs.log_path(place, number).read_text()
        and "line" not in jobs.log_path(place, number).read_text()
    )


def test_causes_that_name_each_other_in_a_circle_end_the_log(place, monkeypatch):
    def fails(workspace, parameters, progress):
        one, other = KeyError("Doe"), ValueError("Roe")
        one.__cause__, other.__cause__ = other, one
        raise one

    monkeypatch.setitem(worker.WORKFLOWS, "map", fails)
    number = jobs.queue(place, "map")
    worker.work(place)
    log = jobs.log_path(place, number).read_text()
    assert jobs.job(place, number).state == "failed"
    assert log.count("KeyError\n") == log.count("ValueError") == 1


def test_every_kind_of_job_is_known_by_name_to_the_worker():
    assert {"demo", "map", "import", "embed", "prepare", "train", "model_import"} <= set(worker.WORKFLOWS)


POOLING = """
import sys, time
from pathlib import Path
from multiprocessing import forkserver
from echo2ecg_core.processes import pool

if __name__ == "__main__":
    with pool(2, forked=sys.argv[3] == "forked") as helpers:
        futures = [helpers.submit(time.sleep, 300) for _ in range(2)]
        time.sleep(float(sys.argv[2]))
        others = [forkserver._forkserver._forkserver_pid] if sys.argv[3] == "forked" else []
        Path(sys.argv[1]).write_text(" ".join(str(pid) for pid in [*helpers._processes, *others]))
        [future.result() for future in futures]
"""


@pytest.mark.slow
@pytest.mark.parametrize(("how", "n"), [("spawned", 2), ("forked", 3)])
def test_the_helpers_of_a_killed_worker_end_with_it(tmp_path, how, n):
    """A pool of the standard library waits for ever: its processes hold the other end of their own pipe."""
    script, told = tmp_path / "pooling.py", tmp_path / "pids"
    script.write_text(POOLING)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(told), "3", how], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_until(lambda: told.exists() and len(told.read_text().split()) == n, 60)
    pids = [int(pid) for pid in told.read_text().split()]
    assert all(is_alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 20)


def is_alive(pid: int) -> bool:
    """True for a process that runs, also one whose parent has not asked yet how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_no_pool_of_the_program_is_made_without_this():
    makers = ("ProcessPoolExecutor(", "multiprocessing.Pool(", ".Process(")
    found = [
        path.name
        for path in (ROOT / "echo2ecg_core").rglob("*.py")
        if any(maker in path.read_text() for maker in makers) and "end_with_parent" not in path.read_text()
    ]
    assert not found


def test_a_worker_is_started_although_its_log_comes_from_the_future(place, monkeypatch):
    """The clock was set back: for as long as that, no job was ever begun."""
    started = []
    monkeypatch.setattr(
        jobs.subprocess,
        "Popen",
        lambda command, **options: started.append(command) or type("P", (), {"pid": 1, "wait": lambda self: 0})(),
    )
    jobs.queue(place, "map")
    place.logs.mkdir(parents=True)
    log = place.logs / "worker.log"
    log.touch()
    os.utime(log, (time.time() + 86400,) * 2)
    jobs.tend(place)
    assert len(started) == 1
    jobs.tend(place)
    assert len(started) == 1  # begun a moment ago


def test_progress_that_cannot_be_told_does_not_end_the_work_and_its_end_is_written_later(place, monkeypatch):
    refuse, told = [True], []
    report, finish = jobs.report, jobs.finish

    def busy(function):
        def call(*arguments, **options):
            told.append(function.__name__)
            if refuse[0]:
                refuse[0] = function is not finish  # the end is refused once
                raise WorkspaceBusy("The workspace is busy.", "Try again.")
            return function(*arguments, **options)

        return call

    def counts(workspace, parameters, progress):
        for step in range(3):
            progress(step / 3, f"step {step}")
        return "counted"

    monkeypatch.setattr(jobs, "report", busy(report))
    monkeypatch.setattr(jobs, "finish", busy(finish))
    monkeypatch.setattr(worker, "CLOSE_AGAIN_S", 0.01)
    monkeypatch.setattr(worker, "WRITE_EVERY_S", 0.0)
    monkeypatch.setitem(worker.WORKFLOWS, "map", counts)
    number = jobs.queue(place, "map")
    worker.work(place)
    assert told == ["report"] * 3 + ["finish"] * 2
    assert (jobs.job(place, number).state, jobs.job(place, number).message) == ("done", "counted")


@pytest.mark.parametrize(
    ("text", "parameters", "told"),
    [
        ("There is no folder 'echoes' here.", {"folder": "/data/echoes"}, "There is no folder '…' here."),
        ("/srv/ward 7/w is full; see /srv/ward 7.", {}, "… is full; see …."),
        ("Read /tmp/x/y.csv (row 3/4), then go on.", {}, "Read … (row 3/4), then go on."),
        ("weights.pt in St Mary is damaged.", {"files": ["/a/St Mary/weights.pt"]}, "… in … is damaged."),
        ("The disk is full. Free some space and/or Resume.", {"cohort": "full"}, None),
    ],
)
def test_a_message_for_visitors_names_no_place_of_the_server(text, parameters, told):
    assert without_places(text, parameters, Path("/srv/ward 7/w")) == (told or text)
