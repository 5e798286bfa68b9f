"""Cohorts: counts, patients in time, what is missing, corrections and removal by admins only, each with its record."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.store import jobs, kept_cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.corrections import correct, corrections, removals
from echo2ecg_core.store.database import Workspace
from pages.ui import admin_gate, resources
from pages.ui.cohorts import kept, removing
from tests.small_workspace import small_workspace

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "pages" / "cohorts.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = small_workspace(tmp_path_factory.mktemp("made") / "w", 15)
    catalog = Catalog(place)
    catalog.add_patient("N-1", split="train", cohort="north", synthetic=False)
    catalog.add_study("NS-1", "N-1", phenotypes={"lvef": 41.0})
    return place


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    place = Workspace(shutil.copytree(made.folder, tmp_path / "w"))
    monkeypatch.setattr(resources, "workspace", lambda: place)
    return place


@pytest.fixture
def admin(monkeypatch):
    monkeypatch.setattr(admin_gate, "is_admin", lambda: True)
    monkeypatch.setattr(admin_gate, "name", lambda: "ada@example.org")


def opened(**address) -> AppTest:
    page = AppTest.from_file(PAGE, default_timeout=30)
    for name, value in address.items():
        page.query_params[name] = value
    return page.run()


def words(page) -> str:
    parts = [e.value for kind in (page.markdown, page.caption, page.error, page.info, page.success) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))]).replace("\\", "")


def labels(page) -> list[str]:
    return [b.label for b in page.button]


def test_an_empty_workspace_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "workspace", lambda: Workspace(tmp_path / "nothing"))
    page = opened()
    assert not page.exception and "No patients yet" in words(page) and not Workspace(tmp_path / "nothing").exists()


def test_cohorts_and_patients_are_counted_and_the_first_patient_is_open(place):
    page = opened(cohort="small")
    cohorts, patients, items = (d.value for d in page.dataframe[:3])
    assert cohorts.to_dict("records") == [
        {"Cohort": "north", "Patients": "1", "Studies": "1", "ECGs": "0", "Clips": "0", "Labels": "1"},
        {"Cohort": "small", "Patients": "15", "Studies": "15", "ECGs": "15", "Clips": "25", "Labels": "60"},
    ]
    assert len(patients) == 12 and "1–12 of 15 patients" in words(page)
    assert list(items.What) == ["ECG", "Echo study"] and list(items.Id) == ["E-0000", "S-0000"]
    assert "<b>P-0000</b> male · test patient · small · simulated" in words(page)
    page.button(key="patients_next").click().run()
    assert list(page.dataframe[1].value.Patient) == ["P-0012", "P-0013", "P-0014"]


@pytest.mark.slow
def test_a_patient_is_found_by_the_id_of_a_study_and_what_is_missing_lists_whom_it_concerns(place):
    page = opened(cohort="small")
    page.text_input(key="cohort_sought").set_value("S-0013").run()
    assert list(page.dataframe[1].value.Patient) == ["P-0013"]
    page = opened(cohort="north", tab="Missing and passed over")
    assert "Patients without an ECG" in words(page) and "Studies without a date" in words(page)
    page.selectbox(key="cohort_lacking").set_value("study").run()
    assert "No patient of this cohort is like that." in words(page)


def test_distributions_stand_with_unit_reference_range_and_what_lies_outside(place):
    told = words(opened(cohort="small"))
    lvef = [20 + 50 * i / 14 for i in range(15)]
    outside = sum(not (54 <= v <= 74 if i % 2 else 52 <= v <= 72) for i, v in enumerate(lvef))
    assert "<b>LV ejection fraction</b> <span>%</span>" in told and "M 52–72 · F 54–74" in told
    assert (
        f"title='{outside} of 15'>{outside} ({100 * outside / 15:.0f}\u202f%)" in told
        and "<b>45</b> <small>(32–58)" in told
    )
    assert "<b>moderate</b> <small>(moderate)</small>" in told and "title='15 of 15'>15 (100\u202f%)" in told


def test_files_that_an_import_passed_over_stand_at_their_cohort(place):
    (place.folder / "imports").mkdir()
    for folder, files in (("x", 3), ("y", 2)):  # neither brought anything in
        number = jobs.queue(place, "import", {"folder": folder, "cohort": "north"})
        jobs.finish(place, number, "done", "")
        report = {"cohort": "north", "added": {}, "refused": [{"file": "file 1", "reason": "No header."}] * files}
        (place.folder / "imports" / f"import-{number:04d}.json").write_text(json.dumps(report))
        page = opened(cohort="north", tab="Missing and passed over")
        told = files if folder == "x" else 3 + files
        assert f"{told} files passed over at import" in words(page) and "imported last on" in words(page)
        assert page.dataframe[-1].value.to_dict("records") == [{"Why": "No header.", "Files": told}]


def test_a_visitor_reads_corrections_and_sees_no_way_to_make_one(place, monkeypatch):
    monkeypatch.setattr(admin_gate, "is_admin", lambda: False)
    correct(place, "study", "S-0000", "lvef", 33, who="ada@example.org", why="read again")
    page = opened(cohort="small", tab="Corrections")
    assert not {"Save the correction", "Take this cohort out", "Take this patient out"} & set(labels(page))
    row = page.dataframe[-1].value.iloc[0]
    assert (row.By, row.Of, row.What, row.Was, row.Is) == (
        "ada@example.org", "study S-0000", "LV ejection fraction, %", "20\u202f%", "33\u202f%",
    )  # fmt: skip


@pytest.mark.slow
def test_an_admin_corrects_a_value_and_it_is_marked_with_who_and_what_it_was(place, admin):
    page = opened(cohort="small", patient="P-0002")
    page.text_input(key="correct_ecg_E-0002_ecg_time").set_value("2026-01-07").run()
    page.button(key="correct_now").click().run()
    assert not page.exception and "Time of the ECG of E-0002 is 2026-01-07 now; it was 2026-01-05." in words(page)
    made = corrections(place).iloc[0]
    assert (made.id, made.who, made.now) == ("E-0002", "ada@example.org", "2026-01-07")
    assert list(page.dataframe[2].value.Id) == ["S-0002", "E-0002"], "the ECG is after its study now"
    page.selectbox(key="correct_what_study_S-0002").set_value(("study", "S-0002", "lvef")).run()
    page.text_input(key="correct_study_S-0002_lvef").set_value("150").run()
    page.button(key="correct_now").click().run()
    assert "lvef has to be a number, 0 to 100 in %; found 150." in words(page)
    page.text_input(key="correct_study_S-0002_lvef").set_value("61").run()
    page.button(key="correct_now").click().run()
    assert Catalog(place).study("S-0002").phenotypes["lvef"] == 61
    assert "title='was 27\u202f%, corrected by ada@example.org on 20" in words(page)


@pytest.mark.parametrize(("kind", "key", "left"), [("patient", "remove_patient", 15), ("cohort", "remove_cohort", 1)])
def test_what_goes_is_said_before_it_goes(place, admin, monkeypatch, kind, key, left):
    page = opened(cohort="small")
    page.button(key=key).click().run()
    goes = {
        "patient": "**1 patient**, **1 study**, **3 clips**, **1 ECG** will go",
        "cohort": "**15 patients**, **15 studies**, **25 clips**",
    }
    assert goes[kind] in words(page) and "This cannot be undone." in words(page)
    assert Catalog(place).counts()["patients"] == 16
    monkeypatch.setattr(removing.st, "rerun", lambda: None)  # AppTest closes a dialog at every run
    removing._remove(kind, {"patient": "P-0000", "cohort": "small"}[kind])
    assert Catalog(place).counts()["patients"] == left
    assert list(removals(place).who) == ["ada@example.org"]


def test_the_view_of_a_clip_is_corrected_where_its_study_is(place, admin):
    clip = Catalog(place).clips_of("S-0003")[0]
    correct(place, "ecg", "E-0003", "ecg_time", "2026-02-01", who="ada@example.org")  # the study is the first now
    page = opened(cohort="small", patient="P-0003")
    page.selectbox(key="correct_what_study_S-0003").set_value(("clip", clip.clip_id, "view")).run()
    page.selectbox(key=f"correct_clip_{clip.clip_id}_view").set_value("Subcostal").run()
    page.button(key="correct_now").click().run()
    assert not page.exception and Catalog(place).clip(clip.clip_id).view == "Subcostal"
    assert "title='was " in words(page) and "SUBC" in words(page)


def test_a_kept_cohort_is_told_apart_and_can_be_forgotten_without_losing_anything(place, admin):
    kept_cohorts.keep(place, "mine", ["E-0003"], [], who="ada@example.org", made_from="A selection on the map")
    page = opened(cohort="mine")
    assert page.dataframe[0].value.Cohort.iloc[-1] == "mine ✎" and "A selection on the map, kept by ada" in words(page)
    assert "Take this cohort out" not in labels(page)
    page.button(key="forget_cohort").click().run()
    assert kept_cohorts.names(place) == ["north", "small"] and Catalog(place).counts()["ecgs"] == 15


def test_two_cohorts_stand_side_by_side_with_effect_sizes_and_files(place, admin):
    page = opened(cohort="small", tab="Compare two")
    told = words(page)
    assert not page.exception and "small (n = 15)" in told and "north (n = 1)" in told
    assert "Left ventricular" not in told and "LV ejection fraction, %" in told and "Simulated hearts" in told
    assert "0 values above" not in told and "15 values above, 1 below" in told
    assert {"LaTeX", "XLSX", "CSV", "SVG", "PDF"} <= {b.proto.label for b in page.get("download_button")}


def test_a_cohort_is_evaluated_from_its_page_and_filters_the_other_pages(place, admin, monkeypatch):
    kept_cohorts.keep(place, "mine", ["E-0003"], [], who="ada@example.org", made_from="A selection on the map")
    opened_pages = []
    monkeypatch.setattr(kept.st, "switch_page", lambda page, **address: opened_pages.append((page, address)))
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    page = opened(cohort="mine")
    for key in ("filter_studies", "filter_map", "evaluate_cohort"):
        page.button(key=key).click().run()
    assert not page.exception and page.session_state["study_filters"].cohort == "mine"
    assert opened_pages == [
        ("pages/studies.py", {}), ("pages/map.py", {"query_params": {"cohort": "mine"}}), ("pages/report.py", {}),
    ]  # fmt: skip
    assert [(j.kind, j.parameters["cohorts"]) for j in jobs.jobs(place)] == [("evaluate", ["mine"])]
