"""The Import page: what a folder holds before it is read, the job while it runs, every file that was passed over."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.waiting_clips import list_put_aside, put_aside, waiting
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from pages.ui import admin_gate, resources
from tests.echo.test_deidentify import screen_with_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Workspace(tmp_path / "w")
    with place.connect():
        pass
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    return place


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "archive"
    (folder / "echo" / "A" / "S1").mkdir(parents=True)
    (folder / "echo" / "A" / "S1" / "a4c.dcm").write_bytes(b"x")
    for name in ("a.hea", "b.hea"):
        (folder / name).write_text("x")
    (folder / "ecgs.csv").write_text("ecg_id,patient_id,path\nE1,A,a.hea\nE2,B,b.hea\n")
    (folder / "labels.csv").write_text("patient_id,study_id,lvef\nA,S1,55\n")
    return folder


@pytest.fixture
def page():
    return AppTest.from_file(ROOT / "pages" / "archive.py", default_timeout=30)


def words(page: AppTest) -> str:
    parts = [e.value for kind in (page.markdown, page.caption, page.error, page.info, page.warning) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))]).replace("\\", "")


def import_button(page: AppTest):
    return next(b for b in page.button if b.label == "Import")


def test_an_empty_workspace_shows_the_layout_and_waits_for_a_place(page, place):
    page.run()
    assert (
        not page.exception
        and "labels.csv    patient_id, study_id" in words(page)
        and "No archive has been imported yet." in words(page)
    )
    for label in ("Patients", "ECGs", "Echo studies", "Clips"):
        assert f"<dt>{label}</dt><dd>0</dd>" in words(page)
    assert import_button(page).disabled


def test_a_folder_is_counted_before_it_is_imported(page, place, folder):
    page.run()
    page.text_input(key="archive_path").set_value(str(folder)).run()
    assert (
        "<b>2 ECGs</b>, <b>1 study</b> with 1 clip of 2 patients<br>Real patients: clips will be de-identified"
        in words(page)
    )
    page.text_input(key="archive_cohort").set_value("Ward 7").run()
    import_button(page).click().run()
    assert jobs.jobs(place)[0].parameters == {"folder": str(folder), "cohort": "Ward 7", "prepare": True}
    assert "Waiting for the work before it." in words(page)
    assert jobs.claim(place, "worker") is not None
    page.run()
    assert page.get("progress")[0].proto.text.endswith("Starting")  # the worker has told nothing yet


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: (f / "labels.csv").write_bytes(b"\0\1"), "labels.csv cannot be read"),
        (lambda f: (f / "ecgs.csv").write_text("a,b\n1,2\n"), "1 problem to settle before anything comes in"),
    ],
)
def test_a_folder_that_is_no_archive_is_said_at_once(page, place, folder, change, expected):
    change(folder)
    page.run()
    page.text_input(key="archive_path").set_value(str(folder)).run()
    assert expected in words(page) and import_button(page).disabled


def test_the_preview_shows_labels_what_is_not_used_and_every_problem_at_once(page, place, folder):
    (folder / "labels.csv").write_text(
        "patient_id,study_id,study_date,IVS,note\nA,S1,05/06/2024,11,x\nB,S2,01/02/2024,12,y\nC,S3,01/03/2024,low,z\n"
    )
    page.run()
    page.text_input(key="archive_path").set_value(str(folder)).run()
    tables = {d.value.columns[0]: d.value for d in page.dataframe}
    assert not page.exception and import_button(page).disabled
    assert tables["Phenotype"].to_dict("records")[0] | {"Distribution": 0} == {
        "Phenotype": "IVSd", "Values": 2, "Lowest": 1.1, "Highest": 1.2, "Unit": "cm", "Distribution": 0,
    }  # fmt: skip
    assert "column note of labels.csv" in list(tables["What"].What)
    told = words(page)
    assert "<td class='num'>2</td><td>study_date</td>" in told and "<td class='num'>4</td><td>IVS</td>" in told
    assert "2 problems to settle before anything comes in." in told and "expected: a number" in told
    assert "IVSd in the column IVS is in mm; it was converted to cm." in words(page)


def test_a_column_corrected_on_the_page_settles_the_problem_and_goes_to_the_job(page, place, folder, monkeypatch):
    (folder / "labels.csv").write_text("patient_id,study_id,study_date,lvef\nA,S1,05/06/2024,55\nA,S2,01/02/2024,60\n")
    page.run()
    page.text_input(key="archive_path").set_value(str(folder)).run()
    assert import_button(page).disabled
    told = {"study_date": Column("study_date", None, "day first")}
    page.session_state["import_told"] = (str(folder), told)
    page.run()
    assert not page.exception and not import_button(page).disabled
    import_button(page).click().run()
    parameters = jobs.jobs(place)[0].parameters
    assert parameters["map"]["study_date"] == {"field": "study_date", "unit": None, "dates": "day first"}
    from echo2ecg_core.worker import work

    (folder / "echo" / "A" / "S1" / "a4c.dcm").unlink()
    assert work(place) >= 1

    assert sorted(Catalog(place).studies().lvef) == [55, 60]


def test_a_slip_in_the_columns_is_told_and_can_be_taken_back(page, place, folder):
    """A table that cannot be used as it was corrected keeps what was told of its other columns."""
    (folder / "ecgs.csv").unlink()
    (folder / "labels.csv").unlink()
    (folder / "values.csv").write_text("Pat-Nr,study_id,Messwert,Wert\nA,S1,LVEF,55.4\nA,S1,LVIDd,4.62\n")
    told = {
        "Pat-Nr": Column("patient_id"), "study_id": Column("study_id"),
        "Messwert": Column("measurement"), "Wert": Column("ignored"),
    }  # fmt: skip
    page.run()
    page.text_input(key="archive_path").set_value(str(folder)).run()
    tables = {d.value.columns[0]: d.value for d in page.dataframe}
    assert list(zip(tables["Phenotype"].Lowest, tables["Phenotype"].Unit, strict=True)) == [(55, "%"), (4.6, "cm")]
    page.session_state["import_told"] = (str(folder), told)
    page.run()
    assert not page.exception and "Nothing of values.csv comes in: a table without ids and labels" in words(page)
    shown = next(d.value for d in page.dataframe if "Means" in d.value)
    assert list(shown.Means) == ["patient_id", "study_id", "measurement", "ignored"]
    page.session_state["import_told"] = (str(folder), told | {"Wert": Column("value")})
    page.run()
    assert "Nothing of values.csv" not in words(page) and "Phenotype" in {d.value.columns[0] for d in page.dataframe}


def test_keeping_ids_is_said_in_the_preview_and_told_to_the_job(page, place, folder):
    page.run()
    page.text_input(key="archive_path").set_value(str(folder)).run()
    assert "Ids and dates will be replaced" in words(page)
    assert "archive_keep_ids" not in [box.key for box in page.checkbox]  # drawn for who unfolds it
    page.session_state["archive_more"] = True
    page.run()
    page.checkbox(key="archive_keep_ids").check().run()
    page.session_state["archive_more"] = False  # folded up it still counts
    page.run()
    assert "Ids, dates and ages stay as they are" in words(page)
    page.text_input(key="archive_vectors_of").set_value("echoprime").run()
    import_button(page).click().run()
    assert page.text_input(key="archive_path1").value == "" and import_button(page).disabled  # no second import of it
    parameters = jobs.jobs(place)[0].parameters
    assert parameters["keep_ids"] is True and parameters["vectors_of"] == "echoprime"


def zipped(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"doe/{path.relative_to(folder)}")
    return buffer.getvalue()


def test_a_zip_is_looked_into_and_waits_under_its_hash_for_its_job(page, place, folder):
    page.run()
    page.button_group(key="archive_source").set_value("Upload a zip").run()
    assert import_button(page).disabled
    page.file_uploader(key="archive_zip").upload("doe.zip", zipped(folder), "application/zip").run()
    assert "<b>2 ECGs</b>, <b>1 study</b> with 1 clip of 2 patients" in words(page)
    import_button(page).click().run()
    name = jobs.jobs(place)[0].parameters["upload"]
    assert name.endswith(".zip") and "doe" not in name and (place.folder / "uploads" / name).is_file()


def test_an_upload_that_is_replaced_leaves_no_file_and_a_queued_one_empties_the_uploader(page, place, folder):
    page.run()
    page.button_group(key="archive_source").set_value("Upload a zip").run()
    page.file_uploader(key="archive_zip").upload("first.zip", zipped(folder), "application/zip").run()
    first = {p.name for p in (place.folder / "uploads").iterdir()}
    (folder / "ecgs.csv").write_text("ecg_id,patient_id,path\nE1,A,a.hea\n")
    page.file_uploader(key="archive_zip").upload("second.zip", zipped(folder), "application/zip").run()
    second = {p.name for p in (place.folder / "uploads").iterdir()}
    assert len(first) == len(second) == 2 and not first & second and "<b>1 ECG</b>" in words(page)
    import_button(page).click().run()
    assert not page.exception and import_button(page).disabled
    assert {p.name for p in (place.folder / "uploads").iterdir()} == second  # they wait for their job
    assert page.file_uploader(key="archive_zip1").value is None


def test_a_zip_that_cannot_be_opened_is_said_at_once_and_does_not_stay(page, place):
    page.run()
    page.button_group(key="archive_source").set_value("Upload a zip").run()
    page.file_uploader(key="archive_zip").upload("doe.zip", b"PK", "application/zip").run()
    assert "no zip, encrypted or damaged" in words(page) and import_button(page).disabled
    assert not list((place.folder / "uploads").iterdir())


def test_a_running_import_tells_how_far_it_is_and_can_be_stopped_and_resumed(page, place):
    number = jobs.queue(place, "import", {"folder": "x", "cohort": "Ward"})
    jobs.claim(place, "elsewhere:1")
    jobs.report(place, number, 0.4, "Reading echo studies: 4 of 10")
    page.run()
    assert "40\u202f%" in page.get("progress")[0].proto.text and "4 of 10" in page.get("progress")[0].proto.text
    next(b for b in page.button if b.label == "Stop").click().run()
    assert "Stopped by a person." in words(page)
    jobs.finish(place, number, "cancelled", "")
    next(b for b in page.button if b.label == "Resume").click().run()
    assert jobs.job(place, number).state == "queued"


def test_every_file_that_was_passed_over_is_listed_with_its_reason(page, place):
    number = jobs.queue(place, "import", {"folder": "x", "cohort": "Ward"})
    jobs.finish(place, number, "done", "Added 1 ECG. 2 files were passed over.")
    (place.folder / "imports").mkdir()
    refused = [{"file": "ecg/bad.hea", "reason": "No header."}, {"file": "echo/A/S1/b.mp4", "reason": "Not a video."}]
    (place.folder / "imports" / f"import-{number:04d}.json").write_text(
        json.dumps({"cohort": "Ward", "added": {}, "refused": refused})
    )
    page.run()
    assert not page.exception and "Added 1 ECG." in words(page)
    assert page.dataframe[0].value.to_dict("list") == {
        "File": ["ecg/bad.hea", "echo/A/S1/b.mp4"],
        "Why it was passed over": ["No header.", "Not a video."],
    }


def test_what_a_corrected_table_changed_is_shown(page, place):
    number = jobs.queue(place, "import", {"folder": "x", "cohort": "Ward"})
    jobs.finish(place, number, "done", "Added nothing.")
    (place.folder / "imports").mkdir()
    change = {"kind": "study", "id": "S-1", "name": "lvef", "was": 60.0, "now": 35.0}
    report = {
        "cohort": "Ward",
        "added": {},
        "refused": [],
        "changed": [change],
        "notes": ["TAPSE was in mm."],
        "ignored": [],
    }
    (place.folder / "imports" / f"import-{number:04d}.json").write_text(json.dumps(report))
    page.run()
    assert not page.exception and "TAPSE was in mm." in words(page)
    assert page.dataframe[0].value.to_dict("records") == [
        {"What": "study", "Id": "S-1", "Column": "lvef", "Was": "60.0", "Is now": "35.0"}
    ]


def test_what_a_correction_kept_from_the_table_is_shown(page, place):
    number = jobs.queue(place, "import", {"folder": "x", "cohort": "Ward"})
    jobs.finish(place, number, "done", "Added nothing.")
    (place.folder / "imports").mkdir()
    kept = {"kind": "study", "id": "S-1", "name": "lvef", "was": 35.0, "now": 60.0, "kept": "by ada on 2026-01-02"}
    report = {"cohort": "Ward", "added": {}, "refused": [], "changed": [], "kept": [kept], "notes": [], "ignored": []}
    (place.folder / "imports" / f"import-{number:04d}.json").write_text(json.dumps(report))
    page.run()
    assert not page.exception and page.dataframe[0].value.to_dict("records") == [
        {"What": "study", "Id": "S-1", "Column": "lvef", "Stays": "35.0", "The table says": "60.0",
         "Corrected": "by ada on 2026-01-02"},
    ]  # fmt: skip


def test_a_failed_import_states_its_cause(page, place):
    number = jobs.queue(place, "import", {"upload": "x.zip", "cohort": "Ward"})
    jobs.finish(place, number, "failed", "The disk is full. Free some space.")
    page.run()
    assert "The disk is full. Free some space." in words(page)


@pytest.fixture
def a_clip_waits(place):
    catalog = Catalog(place)
    catalog.add_patient("P-1", split="test", cohort="ward", synthetic=False)
    catalog.add_study("S-1", "P-1", phenotypes={"lvef": 50.0})
    frames, _ = screen_with_name(1)
    clip = EchoClip(frames, 30.0, "DICOM", "x")
    list_put_aside(place, [put_aside(place, Path("x"), "S-1", "hash", clip, "Nothing moves in it.")])
    return waiting(place)[0].waiting_id


def test_a_clip_that_waits_is_asked_about_letters_accepted_and_told(page, place, a_clip_waits):
    page.run()
    assert not page.exception and "1 clip to look at" in words(page) and "Nothing moves in it." in words(page)
    page.session_state["waiting_outlines"] = (a_clip_waits, [[[0, 0], [320, 0], [320, 240], [0, 240]]])
    accept = next(b for b in page.button if b.label == "Accept")
    accept.click().run()
    assert "Letters seem to stand inside" in words(page) and Catalog(place).counts()["clips"] == 0
    assert next(b for b in page.button if b.label == "Accept").disabled
    page.checkbox(key=f"looked_{a_clip_waits}").check().run()
    next(b for b in page.button if b.label == "Accept").click().run()
    assert not page.exception and Catalog(place).counts()["clips"] == 1
    assert "The clip is in study S-1. Nothing waits any longer." in page.success[0].value.replace("\\", "")
    assert page.dataframe[0].value.iloc[0].to_dict() | {"When (UTC)": "", "Clip": ""} == {
        "When (UTC)": "", "Who": "on the server", "Decision": "accepted", "Study": "S-1", "Cohort": "ward", "Clip": "",
        "Why it was set aside": "Nothing moves in it.",
    }  # fmt: skip


def test_whoever_is_no_longer_admin_settles_nothing(page, place, a_clip_waits, monkeypatch):
    page.run()
    monkeypatch.setattr(admin_gate, "allows", lambda action: False)
    next(b for b in page.button if b.label == "Discard").click().run()
    assert len(waiting(place)) == 1


def test_what_a_browser_says_was_drawn_may_be_anything(page, place, a_clip_waits):
    page.run()
    for given in ([["x"]], [[[1, 2], [3, 4]]], [None], [[[1e300, 1], [2, 2], [3, float("inf")]]]):
        page.session_state["waiting_outlines"] = (a_clip_waits, given)
        next(b for b in page.button if b.label == "Accept").click().run()
        assert not page.exception and len(waiting(place)) == 1 and page.error
