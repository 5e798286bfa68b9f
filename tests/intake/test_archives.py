"""The import jobs: folder and zip come in alike, what is refused is listed, an unsafe zip is refused whole, uploads do
not stay."""

import io
import json
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
import wfdb

from echo2ecg_core.errors import Echo2ECGError, ReadError, StoreError
from echo2ecg_core.intake import archives as archive
from echo2ecg_core.intake.ingest import Options
from echo2ecg_core.intake.preview import preview
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.worker import work
from tests.small_workspace import register_model

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@pytest.fixture
def folder(tmp_path):
    """Two ECGs, one of them broken, and one study without clips."""
    folder = tmp_path / "ward-archive"
    (folder / "ecg").mkdir(parents=True)
    t = np.arange(5000) / 500
    signal = np.outer(np.exp(-0.5 * ((t % 0.9 - 0.4) / 0.012) ** 2), np.linspace(0.5, 1.5, 12))
    wfdb.wrsamp(
        "good",
        fs=500,
        units=["mV"] * 12,
        sig_name=LEADS,
        p_signal=signal,
        fmt=["16"] * 12,
        write_dir=str(folder / "ecg"),
    )
    (folder / "ecg" / "bad.hea").write_text("this is no header")
    pd.DataFrame({"ecg_id": ["E1", "E2"], "patient_id": ["A", "B"], "path": ["ecg/good.hea", "ecg/bad.hea"]}).to_csv(
        folder / "ecgs.csv", index=False
    )
    pd.DataFrame({"patient_id": ["A"], "study_id": ["S1"], "lvef": [55.0]}).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "w")


def zipped(folder, prefix="", extra=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, prefix + str(path.relative_to(folder)))
        for name, content in extra:
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_folder_is_counted_before_it_is_read(folder, place, tmp_path):
    found = preview(folder, place, Options(cohort="Ward"))
    assert [found[k] for k in ("patients", "studies", "ecgs", "clips", "synthetic")] == [2, 1, 2, 0, False]
    with pytest.raises(StoreError, match="no folder 'nowhere' on this server"):
        preview(tmp_path / "nowhere", place, Options())
    (folder / "ecgs.csv").write_text("ecg_id,patient_id\nE1,A\n")
    problems = preview(folder, place, Options())["problems"]
    assert [p["sentence"] for p in problems] == ["ecgs.csv lacks the column path; found ecg_id, patient_id."]
    assert not place.exists()


def test_an_import_job_brings_a_folder_in_and_lists_what_it_refused(folder, place):
    place.folder.mkdir()
    register_model(place)
    number = jobs.queue(place, "import", {"folder": str(folder), "cohort": "Ward", "prepare": True})
    archive.import_archive(place, jobs.job(place, number).parameters | {"job_id": number}, lambda share, message: None)
    report = archive.import_report(place, number)
    assert report["added"] == {"patients": 2, "studies": 1, "clips": 0, "ecgs": 1} and report["cohort"] == "Ward"
    assert [row["file"] for row in report["refused"]] == ["file 1"] and report["refused"][0]["reason"]
    assert "bad.hea" not in json.dumps(report)  # names of files may be names of people
    assert [job.kind for job in jobs.jobs(place, open_only=True)] == ["prepare", "import"]


@pytest.mark.parametrize("prefix", ["", "packed/"])
def test_a_zip_comes_in_like_its_folder_and_does_not_stay(folder, place, prefix):
    kept = archive.keep_upload(place, "../ward archive.zip", zipped(folder, prefix))
    number = jobs.queue(place, "import", {"upload": kept, "cohort": "Ward", "prepare": False})
    assert work(place) == 1
    job = jobs.job(place, number)
    assert job.message == (
        "Added 1 ECG, 1 study and 0 clips of 2 new patients. 1 file was passed over; the Import page lists each "
        "with its reason."
    )
    assert Catalog(place).counts()["ecgs"] == 1 and not list((place.folder / "uploads").iterdir())
    log = jobs.log_path(place, number).read_text()
    assert "done: Added 1 ECG," in log and "bad.hea" not in log and "E1" not in log


@pytest.mark.parametrize(("name", "content"), [("../../outside.txt", b"x"), ("/etc/outside.txt", b"x")])
def test_a_zip_that_points_outside_is_refused_whole(folder, place, name, content):
    kept = archive.keep_upload(place, "a.zip", zipped(folder, extra=[(name, content)]))
    with pytest.raises(ReadError, match="points outside the archive"):
        archive.unpack(place.folder / "uploads" / kept, place.folder / "uploads" / "x")
    assert not (place.folder / "uploads" / "x").exists()


def test_a_zip_with_a_link_or_larger_than_the_disk_is_refused(folder, place, monkeypatch):
    link = zipfile.ZipInfo("ecg/link")
    link.external_attr = 0o120777 << 16
    kept = archive.keep_upload(place, "a.zip", zipped(folder, extra=[(link, "/etc/passwd")]))
    with pytest.raises(ReadError, match="points outside"):
        archive.unpack(place.folder / "uploads" / kept, place.folder / "uploads" / "x")
    kept = archive.keep_upload(place, "b.zip", zipped(folder))
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: type("U", (), {"free": 1000})())
    with pytest.raises(ReadError, match="Free some space"):
        archive.unpack(place.folder / "uploads" / kept, place.folder / "uploads" / "x")


def damaged_member(how: int) -> bytes:
    """A zip whose only member is packed in this way and broken in its middle; its checksum is not reached."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as packed:
        packed.writestr("labels.csv", bytes(range(256)) * 400)
    content = bytearray(buffer.getvalue())
    content[60:120] = bytes(60)
    return bytes(content)


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in names:
            packed.writestr(name, "x")
    return buffer.getvalue()


def without_a_name(content: bytes) -> bytes:
    """A zip of one member with one letter for a name; the letter becomes a field beside an empty name."""
    changed, central = bytearray(content), content.index(b"PK\x01\x02")
    for name_length in (26, central + 28):
        changed[name_length : name_length + 4] = (0).to_bytes(2, "little") + (1).to_bytes(2, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    "content",
    [
        damaged_member(zipfile.ZIP_DEFLATED),
        damaged_member(zipfile.ZIP_BZIP2),
        damaged_member(zipfile.ZIP_LZMA),
        zip_of("a" * 300 + ".csv"),
        zip_of("ecg", "ecg/A.hea"),
        zip_of("ecg/A.hea", "ecg"),
        without_a_name(zip_of("q")),
        zip_of("//"),
        zip_of("a\0b"),
    ],
    ids=["deflate", "bzip2", "lzma", "long name", "file then folder", "folder then file", "no name", "slashes", "zero"],
)
def test_a_zip_that_breaks_while_it_is_unpacked_is_refused_in_a_sentence_and_leaves_nothing(place, content):
    kept, target = archive.keep_upload(place, "a.zip", content), place.folder / "uploads" / "x"
    with pytest.raises(Echo2ECGError) as refused:
        archive.unpack(place.folder / "uploads" / kept, target)
    assert len(str(refused.value)) < 300 and not target.exists()


def test_a_full_disk_while_unpacking_is_no_fault_of_the_zip(folder, place, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    kept = archive.keep_upload(place, "a.zip", zipped(folder))
    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        archive.unpack(place.folder / "uploads" / kept, place.folder / "uploads" / "x")
    assert (place.folder / "uploads" / kept).is_file()


def test_what_is_no_zip_or_holds_no_tables_is_said_in_words(folder, place):
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.doc").write_text("x")
    kept = archive.keep_upload(place, "a.zip", b"this is no zip")
    with pytest.raises(ReadError, match="no zip, encrypted or damaged"):
        archive.unpack(place.folder / "uploads" / kept, place.folder / "uploads" / "x")
    kept = archive.keep_upload(place, "a.zip", zipped(folder / "empty"))
    with pytest.raises(StoreError, match="no folder with labels.csv, ecgs.csv or the files of a data set"):
        archive.unpack(place.folder / "uploads" / kept, place.folder / "uploads" / "x")
    with pytest.raises(StoreError, match="no longer there"):
        archive.unpack(place.folder / "uploads" / "gone.zip", place.folder / "uploads" / "x")


def test_a_refused_upload_leaves_no_file(folder, place):
    (folder / "labels.csv").write_text("patient_id,study_id,lvef\nA,S1,high\n")
    kept = archive.keep_upload(place, "a.zip", zipped(folder))
    number = jobs.queue(place, "import", {"upload": kept, "cohort": "Ward"})
    work(place)
    assert jobs.job(place, number).state == "failed" and "row 2, column lvef" in jobs.job(place, number).message
    assert not list((place.folder / "uploads").iterdir()) and Catalog(place).counts()["patients"] == 0


def test_a_refusal_names_neither_a_table_behind_a_link_nor_one_beside_the_folder(folder, place, tmp_path):
    elsewhere = tmp_path / "another disk"
    elsewhere.mkdir()
    (elsewhere / "Schuhmacher_Erna.csv").write_text("patient_id,study_id,lvef\nA,S1,high\n")
    (folder / "tables").symlink_to(elsewhere, target_is_directory=True)
    beside = tmp_path / "Zimmermann_Kurt.csv"
    beside.write_text("patient_id,study_id,lvef\nA,S2,low\n")
    options = {"folder": str(folder), "cohort": "Ward", "layout": "hospital", "labels": str(beside)}
    number = jobs.queue(place, "import", options)
    work(place)
    message = jobs.job(place, number).message
    assert jobs.job(place, number).state == "failed" and message.count("row 2, column lvef") == 2
    assert "Schuhmacher" not in message and "Zimmermann" not in message


def test_uploads_that_nobody_waits_for_go_after_a_day(place):
    names = [archive.keep_upload(place, f"{n}.zip", bytes([n])) for n in range(3)]
    (place.folder / "uploads" / f"{names[0][:-4]}-files").mkdir()
    jobs.queue(place, "import", {"upload": names[1], "cohort": "Ward"})
    for path in (place.folder / "uploads").iterdir():
        if not path.name.startswith(names[2][:-4]):
            os.utime(path, (0, 0))
    archive.tidy_uploads(place)
    assert sorted(p.name for p in (place.folder / "uploads").iterdir()) == sorted(names[1:])
    jobs.cancel(place, jobs.jobs(place)[0].job_id)  # nobody waits for it now; Resume asks for it again
    archive.tidy_uploads(place)
    assert [p.name for p in (place.folder / "uploads").iterdir()] == [names[2]]


def test_uploaded_weights_that_are_none_fail_in_words_and_register_nothing(place):
    kept = archive.keep_upload(place, "weights.ckpt", b"<!doctype html><title>404</title>")
    number = jobs.queue(place, "model_import", {"uploads": [kept], "kind": "auto"})
    work(place)
    assert jobs.job(place, number).state == "failed" and "web page" in jobs.job(place, number).message
    assert archive.import_report(place, number) is None and not place.models.exists()


def test_uploaded_weights_become_an_inactive_model_with_its_notes(place, goldens):
    import torch

    keys = json.loads((goldens / "clip_keys.json").read_text())["multi_view"]
    parts = {"ecg_encoder": {}, "token_aggregator": {}}
    for key, shape, _ in keys:
        part, _, rest = key.partition(".")
        if part in parts:
            parts[part][rest] = torch.full(shape, 0.01)
    buffer = io.BytesIO()
    torch.save({"cfg": {}, **parts}, buffer)
    kept = archive.keep_upload(place, "weights.bin", buffer.getvalue())
    number = jobs.queue(place, "model_import", {"uploads": [kept], "kind": "auto", "sampling_rate_hz": None})
    work(place)
    report = archive.import_report(place, number)
    assert jobs.job(place, number).state == "done" and report["kind"] == "echo2ecg" and report["notes"]
    assert not list((place.folder / "uploads").iterdir())
