"""An import that reads in processes, is stopped or killed: the same catalogue at the end, honest counts."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import pytest
from typer.testing import CliRunner

from echo2ecg_core import processes
from echo2ecg_core.cli import app
from echo2ecg_core.intake import decoding, headers
from echo2ecg_core.intake import ingest as intake
from echo2ecg_core.intake.archives import import_report
from echo2ecg_core.intake.check import check_workspace
from echo2ecg_core.intake.decoding import ENDED
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.pseudonyms import SECRET_FILE
from echo2ecg_core.settings import Settings
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests import small_trees

ROOT = Path(__file__).resolve().parents[2]
ECGS, STUDIES, CLIPS = 16, 4, 2
TABLES = ("patients", "studies", "phenotypes", "clips", "clip_files", "ecgs", "given_ids")


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """16 ECGs and 4 studies of 2 clips, of real patients; one ECG and one clip cannot be read."""
    root = tmp_path_factory.mktemp("archive")
    rows = []
    for n in range(ECGS):
        small_trees.write_record(root / f"ecg/rec{n}", scale=0.5 + n / ECGS)
        rows.append(f"E{n},P{n % STUDIES},2024-01-{n + 1:02d} 08:00:00,ecg/rec{n}")
    (root / "ecg/rec5.hea").write_text("this is no header")
    small_trees.table(root / "ecgs.csv", "\n".join(["ecg_id,patient_id,ecg_time,path", *rows]))
    labels = [f"P{n},S{n},2024-01-{n + 1:02d},{40 + n}" for n in range(STUDIES)]
    small_trees.table(root / "labels.csv", "\n".join(["patient_id,study_id,study_date,lvef", *labels]))
    for n in range(STUDIES):
        for k in range(CLIPS):
            small_trees.avi(root / f"echo/P{n}/S{n}/{k}.avi", 10 * n + k)
    (root / "echo/P0/S0/broken.avi").write_bytes(b"RIFF0000AVI nothing")
    return root


def held(place: Workspace) -> dict:
    """Every row of the catalogue, and that all files are whole."""
    with place.connect() as db:
        rows = {table: sorted(map(repr, map(tuple, db.execute(f"SELECT * FROM {table}")))) for table in TABLES}
    whole = {row["name"]: row["ok"] for row in check_workspace(place)}
    return rows | {"whole": whole["catalog"] and whole["blobs"]}


def empty(folder: Path) -> Workspace:
    """A workspace whose pseudonyms are those of every other one made here."""
    folder.mkdir()
    (folder / SECRET_FILE).write_text("07" * 32)
    return Workspace(folder)


@pytest.fixture(scope="module")
def unbroken(archive, tmp_path_factory):
    """What an import in one process holds and reports."""
    place = empty(tmp_path_factory.mktemp("unbroken") / "w")
    report = ingest(archive, place, cohort="ward")
    assert (report.ecgs, report.clips, report.studies) == (ECGS - 1, STUDIES * CLIPS, STUDIES)
    assert len(report.refused) == 2
    return held(place), report


@pytest.mark.slow
def test_processes_bring_in_the_same_as_one(archive, unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "ECGS_A_PIECE", 1)
    monkeypatch.setattr(decoding, "WORTH", 4)
    started, real = [], processes.pool
    monkeypatch.setattr(processes, "pool", lambda n, **how: started.append(n) or real(n, **how))
    place = empty(tmp_path / "w")
    report = ingest(archive, place, cohort="ward")
    assert started == [2]  # the same for ECGs and clips, as many as the setting says where nobody set it
    assert held(place) == unbroken[0] and report.as_json() == unbroken[1].as_json()


@pytest.mark.slow
def test_the_headers_of_an_export_are_read_by_the_processes_that_read_its_files(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "FILES_A_PIECE", 4)
    monkeypatch.setattr(intake, "ECGS_A_PIECE", 4)
    monkeypatch.setattr(decoding, "WORTH", 4)
    started, real = [], processes.pool
    monkeypatch.setattr(processes, "pool", lambda n, **how: started.append(n) or real(n, **how))
    folder = Workspace(tmp_path / "w").folder
    options = ["import", str(archive), "--layout", "hospital", "--cohort", "ward", "--workspace", str(folder)]
    assert CliRunner().invoke(app, options).exit_code == 0
    assert started == [2] and Catalog(Workspace(folder)).counts()["ecgs"] == ECGS - 1


@pytest.mark.slow
def test_a_file_that_ends_its_process_is_refused_alone_and_the_others_come_in(archive, unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "ECGS_A_PIECE", 3)
    monkeypatch.setattr(decoding, "WORTH", 4)
    plan, place = plan_of(archive), empty(tmp_path / "w")
    plan.ecgs["E7"].read = partial(os._exit, 9)  # as a parser that breaks down, or a file that needs all memory
    report = ingest(archive, place, cohort="ward", plan=plan)
    assert report.ecgs == ECGS - 2 and report.clips == STUDIES * CLIPS
    assert [row["reason"] for row in report.refused].count(ENDED) == 1
    again = ingest(archive, place, cohort="ward")
    assert again.ecgs == 1 and held(place) == unbroken[0]


def test_how_many_processes_read_is_a_setting_of_the_machine(monkeypatch):
    monkeypatch.setenv("ECHO2ECG_IMPORT_PROCESSES", "5")
    assert Settings().import_processes == 5


@pytest.mark.slow
def test_a_stopped_import_goes_on_and_reports_what_all_attempts_added(archive, unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "ECGS_A_BATCH", 4)
    monkeypatch.setattr(intake, "ECGS_A_PIECE", 4)
    monkeypatch.setattr(intake, "CLIPS_A_BATCH", 1)
    place, begun = empty(tmp_path / "w"), tmp_path / "begun.json"

    class Stopped(Exception):
        pass

    def stop_at(share):
        def progress(now, message):
            if now > share:
                raise Stopped

        return progress

    for share in (0.0, 0.1, 0.5):
        with pytest.raises(Stopped):
            ingest(archive, place, options=Options("ward"), progress=stop_at(share), begun=begun)
    assert 0 < Catalog(place).counts()["clips"] < STUDIES * CLIPS
    report = ingest(archive, place, options=Options("ward"), begun=begun)
    assert held(place) == unbroken[0] and report.as_json() == unbroken[1].as_json()


def test_what_a_stopped_import_changed_is_told_by_the_attempt_that_ends(archive, tmp_path):
    place, begun = empty(tmp_path / "w"), tmp_path / "begun.json"
    changed = shutil.copytree(archive, tmp_path / "archive")
    ingest(archive, place, cohort="ward", keep_ids=True)
    labels = (changed / "labels.csv").read_text().replace("S2,2024-01-03,42", "S2,2024-01-03,61")
    (changed / "labels.csv").write_text(labels)
    (changed / "ecg/rec5.hea").write_text((changed / "ecg/rec6.hea").read_text().replace("rec6", "rec5"))

    def stop(share, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(changed, place, cohort="ward", keep_ids=True, progress=stop, begun=begun)
    report = ingest(changed, place, cohort="ward", keep_ids=True, begun=begun)
    assert report.changed == [{"kind": "study", "id": "S2", "name": "lvef", "was": 42.0, "now": 61.0}]
    assert (report.ecgs, report.clips, report.studies) == (1, 0, 0)


@pytest.mark.slow
def test_an_import_of_another_cohort_counts_only_its_own(archive, tmp_path):
    place = empty(tmp_path / "w")
    ingest(archive, place, cohort="ward")
    second = ingest(archive, place, cohort="another ward")
    assert (second.ecgs, second.patients, second.clips) == (ECGS - 1, STUDIES, STUDIES * CLIPS)
    third = ingest(archive, place, cohort="ward")
    assert (third.ecgs, third.patients, third.studies, third.clips) == (0, 0, 0, 0)


def test_copies_of_one_film_are_one_clip_and_are_not_read_again(archive, tmp_path, monkeypatch):
    root, place = shutil.copytree(archive, tmp_path / "archive"), empty(tmp_path / "w")
    film = root / "echo/P1/S1/0.avi"
    (root / "echo/P1/S1/copy.avi").write_bytes(film.read_bytes() + b"JUNK\0\0\0\0")  # sent twice, not the same bytes
    report = ingest(root, place, cohort="ward")
    assert report.clips == STUDIES * CLIPS
    monkeypatch.setattr(intake, "films", small_trees.read_here)
    monkeypatch.setattr("echo2ecg_core.echo.video.encode_mp4", lambda clip: pytest.fail("a clip was encoded again"))
    again = ingest(root, place, cohort="ward")
    assert again.clips == 0 and len(again.refused) == len(report.refused)
    with place.write() as db:  # what is taken out is read anew when it comes again
        db.execute("DELETE FROM clips")
        assert db.execute("SELECT count(*) FROM clip_files").fetchone()[0] == 0


def test_what_a_killed_import_left_half_written_is_tidied_by_a_later_one(archive, tmp_path):
    place = empty(tmp_path / "w")
    old, new = place.blobs / "ab" / ".writing-old", place.blobs / "ab" / ".writing-new"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"half")
    new.write_bytes(b"of one that is at work")
    os.utime(old, (0, 0))
    ingest(archive, place, cohort="ward")
    assert not old.exists() and new.exists()


WORKING = """
import sys
from echo2ecg_core import worker
from echo2ecg_core.intake import decoding, ingest
from echo2ecg_core.store.database import Workspace

decoding.WORTH, ingest.ECGS_A_PIECE, ingest.ECGS_A_BATCH, ingest.CLIPS_A_BATCH = 2, 2, 4, 3
worker.work(Workspace(sys.argv[1]))
"""


def killed_and_resumed(place: Workspace, number: int, most: int, seconds: float, moments: random.Random) -> int:
    """Work on a job whose workers are killed at random moments of it, `most` times, until it is done; returns how often
    one was."""
    command = [sys.executable, "-c", WORKING, str(place.folder)]
    for kills in range(most + 1):
        worker = subprocess.Popen(command, cwd=ROOT)
        while worker.poll() is None and jobs.job(place, number).state == "queued":
            time.sleep(0.02)
        try:
            worker.wait(moments.uniform(0, seconds) if kills < most else None)
        except subprocess.TimeoutExpired:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        jobs.requeue_lost(place)
        state = jobs.job(place, number).state
        if state == "done":
            return kills
        if state == "failed":  # lost too often: a person says that it should go on
            jobs.resume(place, number)
    raise AssertionError("the import never ended")


@pytest.mark.parametrize(
    "wanted", [pytest.param(3, marks=pytest.mark.slow), pytest.param(30, marks=pytest.mark.endurance)]
)
def test_an_import_killed_at_random_moments_ends_with_the_same_catalogue(archive, unbroken, tmp_path, wanted):
    moments, kills, seconds = random.Random(wanted), 0, 3.0
    for attempt in range(100):
        place = empty(tmp_path / f"w{attempt}")
        number = jobs.queue(place, "import", {"folder": str(archive), "cohort": "ward"})
        kills += killed_and_resumed(place, number, wanted - kills, seconds, moments)
        assert held(place) == unbroken[0]
        report = import_report(place, number)
        assert report["added"] == {k: getattr(unbroken[1], k) for k in ("patients", "studies", "clips", "ecgs")}
        assert len(report["refused"]) == 2 and not list((place.folder / "imports").glob("*.begun.json"))
        if kills >= wanted:
            return
        seconds *= 0.7  # it ended before it was killed often enough
    raise AssertionError("the import ends before it can be killed")


@pytest.mark.parametrize("clips", [True, False])
def test_what_films_need_is_begun_before_ecgs_are_read_where_there_are_films(archive, tmp_path, monkeypatch, clips):
    said, root = [], archive
    if not clips:
        root = tmp_path / "ecgs alone"
        shutil.copytree(archive, root, ignore=shutil.ignore_patterns("echo"))
    monkeypatch.setattr(decoding, "will_fork", lambda: said.append("begun"))
    refused = decoding.Refused(root, "not read in this test")
    monkeypatch.setattr(intake, "read_ecgs", lambda *_: said.append("ECGs") or [refused])
    monkeypatch.setattr(intake, "films", lambda work, pieces, tell, **_: (refused for _ in pieces))
    ingest(root, Workspace(tmp_path / "w"), options=Options(cohort="a", keep_ids=True))
    assert said[0] == ("begun" if clips else "ECGs") and said.count("begun") == clips


def test_forked_processes_come_from_the_one_that_was_begun_before(monkeypatch):
    preloaded = []
    monkeypatch.setattr(forkserver, "ensure_running", lambda: preloaded.extend(forkserver._forkserver._preload_modules))
    processes.will_fork()
    assert set(processes.PRELOADED) <= set(preloaded)
