"""A disk that is really full (a small tmpfs): a sentence, nothing lost, and with room the work goes on."""

import shutil
import subprocess
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from echo2ecg_core import worker
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import DiskFull, StoreError
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

SIZE_MB = 4
N = 60  # ECGs of 24 kB need a third of it


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", place], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(disk, leave=0):
    """Take the room that is left, but for so many bytes."""
    with open(disk / "ballast", "ab", buffering=0) as file:
        try:
            while (free := shutil.disk_usage(disk).free - leave) > 0:
                file.write(bytes(min(free, 65536)))
        except OSError:
            return


def import_some(workspace, parameters, progress):
    """What an import does: reads on from what is there, an ECG after the other."""
    catalog = Catalog(workspace)
    catalog.add_patient("P", split="test", cohort="c", synthetic=True)
    for number in range(len(catalog.ecgs()), N):
        signal = np.random.default_rng(number).normal(size=(12, 500)).astype(np.float32)
        catalog.add_ecg(f"E{number:02d}", "P", EcgRecord(signal, 100.0, "test", "x"))
        progress(number / N, f"{number} of {N}")
    return "All are there."


@pytest.fixture
def place(disk, monkeypatch):
    monkeypatch.setitem(worker.WORKFLOWS, "import", import_some)
    monkeypatch.setattr(worker, "CLOSE_AGAIN_S", 0.05)
    monkeypatch.setattr(worker, "WRITE_EVERY_S", 0.0)
    return Workspace(disk / "w")


def works_until_the_disk_is_full(place):
    with suppress(DiskFull):  # the command `worker` ends with this sentence
        worker.work(place)


@pytest.mark.slow
@pytest.mark.parametrize("leave", [1_000_000, 700_000, 400_000, 200_000, 60_000, 5_000])
def test_a_job_on_a_full_disk_ends_in_a_sentence_and_resumes_once_there_is_room(place, disk, leave):
    number = jobs.queue(place, "import", {"folder": "x", "cohort": "c"})
    fill(disk, leave)
    working = threading.Thread(target=works_until_the_disk_is_full, args=(place,))
    working.start()
    for _ in range(600):
        if not working.is_alive() or shutil.disk_usage(disk).free == 0:
            break
        time.sleep(0.05)
    time.sleep(1.0)  # the job has met the full disk; it may wait now for room to write its end
    (disk / "ballast").unlink()
    working.join(60)
    assert not working.is_alive()
    job = jobs.job(place, number)
    if job.state == "queued":  # the worker could not even read what to do, and said so
        assert worker.work(place) == 1
    elif job.state != "done":
        assert job.state == "failed" and "disk" in job.message and "full" in job.message, job.message
        assert "Free some space" in job.message and "Resume" in job.message and "copy" not in job.message
        jobs.resume(place, number)
        assert worker.work(place) == 1
    assert jobs.job(place, number).state == "done" and jobs.job(place, number).message == "All are there."
    catalog = Catalog(place)
    assert len(catalog.ecgs()) == N and all(
        catalog.ecg_record(e).signal_mv.shape == (12, 500) for e in catalog.ecgs().ecg_id
    )


def test_the_catalogs_own_writes_on_a_full_disk_are_a_sentence_and_lose_nothing(place, disk):
    catalog = Catalog(place)
    catalog.add_patient("P", split="test", cohort="c", synthetic=True)
    fill(disk)
    with pytest.raises(DiskFull, match="The disk of the workspace is full. Free some space"):
        for number in range(500):
            catalog.add_study(f"S{number:03d}", "P", phenotypes={"lvef": 50.0, "lvedv": 100.0})
    (disk / "ballast").unlink()
    kept = catalog.counts()["studies"]
    catalog.add_study("S-after", "P")
    assert catalog.counts()["studies"] == kept + 1
    with place.connect() as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_workspace_on_a_read_only_disk_is_read_and_a_write_to_it_is_refused_in_words(place, disk):
    catalog = Catalog(place)
    catalog.add_patient("P", split="test", cohort="c", synthetic=True)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert catalog.counts()["patients"] == 1 and place.version() > 0 and jobs.jobs(place) == []
    with pytest.raises(StoreError, match="cannot be opened for writing.*Check that"):
        catalog.add_study("S", "P")
    with pytest.raises(StoreError, match="cannot be opened for writing"):
        jobs.queue(place, "map")
