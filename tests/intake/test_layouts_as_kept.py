"""Public data sets as people keep them: names in another case, videos beside the table, downloads in part, dates that
a spreadsheet wrote anew. What is there comes in; what cannot be told is asked or counted."""

import re
from pathlib import Path

import openpyxl
import pytest

from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.mapping import Column
from tests import small_trees
from tests.intake.test_layouts import TREES


def renamed(folder: Path, name) -> Path:
    """The folder with every name in it changed."""
    for path in sorted(folder.rglob("*"), key=lambda p: -len(p.parts)):
        path.rename(path.with_name(name(path.name)))
    return folder


def counts(folder: Path) -> tuple:
    """What a plan of the folder holds."""
    plan = plan_of(folder)
    assert plan.problems.found == []
    return plan.layout, len(plan.patients), len(plan.studies), len(plan.ecgs), len(plan.clips)


def saved_anew(folder: Path, *names: str, dates: str) -> Path:
    """The folder whose tables have dates as a spreadsheet writes them."""
    for name in names:
        text = (folder / name).read_text()
        form = lambda m: dates.format(y=m[1], m=int(m[2]), d=int(m[3]), t=m[4])  # noqa: E731
        (folder / name).write_text(re.sub(r"(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d):\d\d", form, text))
    return folder


@pytest.mark.parametrize("tree", sorted(set(TREES) - {"reference_splits"}))
def test_names_in_another_case_are_the_same_data_set(tree, tmp_path):
    folder = getattr(small_trees, tree)(tmp_path / "A")
    as_they_are = counts(folder)
    assert counts(renamed(folder, str.upper)) == as_they_are == counts(renamed(folder, str.lower))
    assert sum(as_they_are[1:]) > 0


@pytest.mark.parametrize(("tree", "place"), [("echonet_dynamic", "Videos"), ("echonet_lvh", "Batch1")])
def test_videos_beside_their_table_are_found_and_shadows_of_macos_are_none(tree, place, tmp_path):
    folder = getattr(small_trees, tree)(tmp_path / "a")
    before = counts(folder)
    for path in (folder / place).iterdir():
        path.rename(folder / path.name)
        (folder / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (folder / place).rmdir()
    assert counts(folder) == before and not any("videos" in what for what, _ in plan_of(folder).ignored)


def test_records_of_ptbxl_that_are_not_here_in_500_hz_come_in_100_hz(tmp_path):
    folder = small_trees.ptbxl(tmp_path / "a")
    for number in (2, 3):
        small_trees.write_record(folder / f"records100/00000/{number}_lr", rate_hz=100)
        for path in (folder / "records500/00000").glob(f"0000{number}*"):
            path.unlink()
    plan = plan_of(folder)
    assert [ecg.path.stem for ecg in plan.ecgs.values()] == ["00001_hr", "2_lr", "3_lr"]
    assert any("taken in 100 Hz: 2 of 3" in note for note in plan.notes) and plan.passed_over == []


TABLES = {
    "ptbxl": ["ptbxl_database.csv"],
    "mimic_ecg": ["record_list.csv"],
    "mimic_echo": ["echo-study-list.csv", "echo-record-list.csv", "structured-measurement.csv"],
}


@pytest.mark.parametrize("tree", TABLES)
def test_dates_that_may_be_read_in_two_ways_are_asked_and_the_answer_counts(tree, tmp_path):
    folder = getattr(small_trees, tree)(tmp_path / "a")
    dates = {e.ecg_id: e.ecg_time for e in plan_of(folder).ecgs.values()}
    dates |= {s.study_id: s.study_date for s in plan_of(folder).studies.values()}
    early = {i: re.sub(r"-(1[3-9]|2\d)T", "-04T", day) for i, day in dates.items()}
    for name in TABLES[tree]:
        (folder / name).write_text(re.sub(r"-(1[3-9]|2\d) ", "-04 ", (folder / name).read_text()))
    saved_anew(folder, *TABLES[tree], dates="{d}/{m}/{y} {t}")
    asked = plan_of(folder).problems.found
    assert len(asked) == len(TABLES[tree]) and all("say which with a mapping" in p.sentence for p in asked)
    answers = {p.column: Column("study_date", dates="day first") for p in asked}
    plan = plan_of(folder, told=answers)
    found = {e.ecg_id: e.ecg_time for e in plan.ecgs.values()} | {
        s.study_id: s.study_date for s in plan.studies.values()
    }
    assert plan.problems.found == [] and {i: d[:16] for i, d in found.items()} == {i: d[:16] for i, d in early.items()}


def test_dates_of_a_public_table_that_are_none_are_counted(tmp_path):
    folder = small_trees.mimic_echo(tmp_path / "a")
    table = folder / "echo-study-list.csv"
    table.write_text(table.read_text().replace("2180-07-24 10:00:00", "########"))
    assert ("1 dates of study_datetime in echo-study-list.csv", "no dates") in plan_of(folder).ignored


@pytest.mark.parametrize("name", ["labels.xlsx", "Labels.TSV", "labels.csv"])
def test_the_tables_of_our_own_layout_may_be_workbooks(name, tmp_path):
    small_trees.write_record(tmp_path / "ecg/a")
    small_trees.table(tmp_path / "ecgs.csv", "ecg_id,patient_id,path\nE1,P1,ecg/a")
    rows = [["patient_id", "study_id", "lvef"], ["P1", "S1", 55]]
    if name.endswith("xlsx"):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(tmp_path / name)
    else:
        mark = "\t" if name.endswith("TSV") else ","
        small_trees.table(tmp_path / name, "\n".join(mark.join(map(str, row)) for row in rows))
    small_trees.table(tmp_path / "labels_2.csv", "patient_id,study_id,tapse\nP1,S1,2.0")
    plan = plan_of(tmp_path)
    assert [s.phenotypes for s in plan.studies.values()] == [{"lvef": 55}]
    assert "another table of labels counts where --labels" in dict(plan.ignored)["labels_2.csv"]


def test_files_that_systems_write_are_no_data_and_not_told(tmp_path):
    small_trees.table(tmp_path / "labels.csv", "patient_id,study_id,lvef\nP1,S1,55")
    small_trees.avi(tmp_path / "echo/P1/S1/a.avi")
    for name in ("Thumbs.db", "desktop.ini", "~$labels.xlsx", ".DS_Store", "._a.avi"):
        (tmp_path / "echo/P1/S1" / name).write_bytes(b"\xd0\xcf\x11\xe0")
        (tmp_path / name).write_bytes(b"Dr. Erna Schuh")
    plan = plan_of(tmp_path)
    assert [clip.path.name for clip in plan.clips] == ["a.avi"] and plan.ignored == []
