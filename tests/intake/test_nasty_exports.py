"""Hospitals' exports as they come: titles above headers, several sheets, other spellings of ids, numbers for dates,
packed files, links, folders that cannot be opened. Each is read right or told, never left out without a word."""

import gzip
import os
import shutil
import tracemalloc
from pathlib import Path

import openpyxl
import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.folders import files_below
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.tables import read_header_row, read_table, read_tables
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests import small_trees
from tests.echo.test_long_film import film
from tests.echo.test_readers import dicom

FRAMES = film(20, 96)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two echo studies of two patients, in a folder with blanks and umlauts."""
    place = tmp_path / "Übergabe für Dr. Weiß"
    place.mkdir()
    for number, (patient, study, day) in enumerate((("P001", "2024/0017", "20240105"), ("P002", "S-b", "20240206"))):
        tags = {"PatientID": patient, "AccessionNumber": study, "StudyDate": day, "StudyTime": "101500"}
        (place / f"IM{number}").write_bytes(dicom(FRAMES, **tags, SOPInstanceUID=f"1.2.{number}"))
    return place


def values(folder: Path, *notes: str, labels: Path | None = None) -> dict:
    """Study -> LVEF of the plan of a folder, whose notes tell these words."""
    plan = plan_of(folder, labels=labels)
    assert plan.problems.found == []
    for note in notes:
        assert any(note in told for told in plan.notes), (note, plan.notes)
    return {i: s.phenotypes.get("lvef") for i, s in plan.studies.items()}


def workbook(path: Path, *sheets: list[list]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)


HEADER = ["Pat-ID", "Accession", "EF (%)", "TAPSE", "Arzt", "Raum"]


def test_titles_and_names_of_groups_above_the_header_are_left_out_and_told(folder):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Echo-Auswertung Station 3"])
    sheet.append([])
    sheet.append(["Patient", None, "Messwerte"])
    sheet.append(HEADER)
    sheet.append(["P001", "2024/0017", 55.5, 22, "x", "1"])
    sheet.append(["P002", "S-b", 40, 18, "x", "1"])
    sheet.merge_cells("A1:F1")
    sheet.merge_cells("A3:B3")
    for _ in range(3):
        sheet.append([None] * 6)
    book.save(folder / "werte.xlsx")
    assert read_table(folder / "werte.xlsx").rows.index.tolist() == [5, 6]
    told = "werte.xlsx has 2 rows above its header; they were left out."
    assert values(folder, told) == {"2024/0017": 55.5, "S-b": 40}


@pytest.mark.parametrize(
    "text",
    [
        "Export vom 01.02.2024, 10:30 Uhr\n\nPat-ID;Accession;EF (%);Wanddicke\nP001;2024/0017;55,5;0,9\n"
        "P002;S-b;40,0;1,0\n;;;\n;;;\n",
        "Pat-ID;EF (%);Accession\nP001;55,5;2024/0017\nP002;40,0;S-b\n",
        "\ufeffPat-ID\tAccession\tEF (%)\nP001\t2024/0017\t55,5\nP002\tS-b\t40\n",
        '"Pat-ID","Accession","EF (%)"\n"P001","2024/0017","55,5"\n"P002","S-b","40,0"\n',
        "Pat-ID|Accession|EF (%)\nP001|2024/0017|55.5\nP002|S-b|40\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_separator_is_told_by_all_first_lines_and_not_by_decimal_commas(folder, text, encoding):
    (folder / "Größe.csv").write_bytes(text.lstrip("\ufeff" if encoding == "cp1252" else "").encode(encoding))
    assert values(folder) == {"2024/0017": 55.5, "S-b": 40}
    assert "Accession" in read_header_row(folder / "Größe.csv").columns


REMARKS = [["Report", "Echo"], ["Printed", "2024-03-01"], ["By", "Kurt Zahn"]]
FIRST, SECOND = ["Accession", "LVEF"], ["S-b", 40]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([FIRST, ["2024/0017", 55], FIRST, SECOND], "repeats its header in 1 rows"),
        ([FIRST, ["2024/0017", 55], [], ["Accession", "EF (%)", "Arzt"], [*SECOND, "x"]], ""),
        (
            [HEADER, ["P001", "2024/0017", 55], ["Heart 2"], ["Pat-ID", "Accession", "EF"], ["P002", *SECOND]],
            "1 rows above",
        ),
        ([*REMARKS, HEADER, ["P001", "2024/0017", 55], ["P002", *SECOND]], "3 rows above its header"),
        ([*REMARKS, [], HEADER, ["P001", "2024/0017", 55], ["P002", *SECOND]], "3 rows above its header"),
    ],
)
def test_headers_that_come_again_and_remarks_of_two_cells_take_no_value_to_another_column(folder, rows, told):
    width = max(map(len, rows))
    (folder / "werte.csv").write_text("".join(";".join(map(str, r + [""] * (width - len(r)))) + "\n" for r in rows))
    assert values(folder, *([told] if told else [])) == {"2024/0017": 55, "S-b": 40}


def test_a_second_table_below_the_first_is_named_by_its_row_and_not_lost(folder):
    (folder / "werte.csv").write_text("Accession,LVEF\n2024/0017,55\nAccession,TAPSE (mm)\nS-b,18\n")
    plan = plan_of(folder)
    assert plan.problems.found == [] and [s.phenotypes for s in plan.studies.values()] == [{"lvef": 55}, {"tapse": 1.8}]
    assert list(plan.maps) == ["werte.csv", "werte.csv, from row 3"]
    with pytest.raises(StoreError, match="werte.csv, from row 3, another table begins; here a file may hold one"):
        read_table(folder / "werte.csv")


@pytest.mark.parametrize(
    "text", ["<html><body><table><tr><th>Accession", '<?xml version="1.0"?><Workbook>', "\ufeff<TABLE>"]
)
def test_a_web_page_by_the_name_of_a_workbook_is_refused_with_what_to_do(folder, text):
    (folder / "werte.xls").write_text(text)
    assert (
        "web page or XML by the name of a table. Open it in a spreadsheet" in dict(plan_of(folder).ignored)["werte.xls"]
    )


def test_every_sheet_of_a_workbook_is_a_table(folder, tmp_path):
    first = [["Accession", "LVEF"], ["2024/0017", 55]]
    second = [["Accession", "LVEF"], ["S-b", 40]]
    rooms = [["Room", "Phone"], ["3", "17"]]
    workbook(folder / "werte.xlsx", first, second, rooms, [["only a remark"]])
    assert [t.file for t in read_tables(folder / "werte.xlsx")] == [
        "werte.xlsx",
        *(f"werte.xlsx, sheet {n}" for n in (2, 3)),
    ]
    assert values(folder) == {"2024/0017": 55, "S-b": 40}
    assert dict(plan_of(folder).ignored) == {"werte.xlsx, sheet 3": "a table without ids and labels that are known"}
    (folder / "werte.xlsx").rename(tmp_path / "beside.xlsx")
    assert values(folder, labels=tmp_path / "beside.xlsx") == {"2024/0017": 55, "S-b": 40}


def test_a_second_sheet_that_contradicts_the_first_is_refused_with_its_row(folder, tmp_path):
    workbook(folder / "Erna Schuh.xlsx", [["Accession", "LVEF"], ["S-b", 40]], [["Accession", "LVEF"], ["S-b", 41]])
    with pytest.raises(StoreError, match=r"different values of lvef \(Erna Schuh.xlsx, sheet 2, row 2\)"):
        ingest(folder, Workspace(tmp_path / "w"))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (("p001", "p002"), "2 ids of werte.csv (patient_id) differ"),
        (("\u200bP001", "'P002'"), "2 ids of werte.csv (patient_id) differ"),
        (("Ｐ００１", "P002\ufeff"), "2 ids of werte.csv (patient_id) differ"),
        (("1.0", "2.0"), ""),
        (("P001", "P002"), ""),
    ],
)
def test_ids_that_a_spreadsheet_wrote_otherwise_find_their_patient(folder, written, told):
    lines = [f"{p},{d},{v}" for p, d, v in zip(written, ("2024-01-05", "2024-02-06"), (55, 40), strict=True)]
    (folder / "werte.csv").write_text("\n".join(["MRN,Exam date,LVEF", *lines]) + "\n")
    found = values(folder, *([told] if told else []))
    if written[0] == "1.0":  # another id: two studies of the table alone, and that is told
        assert len(found) == 4
        values(folder, "Of 4 echo studies 0 have clips and labels, 2 clips alone, 2 labels alone.")
    else:
        assert found == {"2024/0017": 55, "S-b": 40}


@pytest.mark.parametrize("cell", ["1.23457E+12", "1,2e+05"])
def test_ids_that_a_spreadsheet_has_rounded_are_refused(folder, cell):
    (folder / "t.csv").write_text(f"patient_id;study_id;lvef\n{cell};2024/0017;50\n")
    found = plan_of(folder).problems.found
    assert "rounded (from row 2)" in found[0].sentence and cell not in found[0].sentence


@pytest.mark.parametrize("cell", ["nan", "None", "<NA>", "NULL"])
def test_an_id_that_a_program_wrote_for_none_is_no_patient(folder, cell):
    (folder / "t.csv").write_text(f"patient_id,study_id,lvef\n{cell},2024/0017,50\n")
    assert "no id in row 2, column patient_id" in plan_of(folder).problems.found[0].sentence


def test_one_ecg_file_under_two_patients_is_refused(tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "one.csv").write_text("I,II\n")
    rows = "E1,P1,e/one.csv\nE2,P1,e/one.csv\nE3,P2,e/one.csv\n"
    (tmp_path / "ecgs.csv").write_text(f"ecg_id,patient_id,path\n{rows}")
    sentences = [problem.sentence for problem in plan_of(tmp_path).problems.found]
    assert sentences == ["An ECG file would belong to two patients (ecgs.csv, row 4)."]


def test_patients_of_our_own_tables_whose_ids_do_not_meet_are_told(folder):
    (folder / "ecg").mkdir()
    for name in ("a", "b"):
        small_trees.write_record(folder / f"ecg/{name}")
    (folder / "ecgs.csv").write_text("ecg_id,patient_id,path\nE1,p001,ecg/a\nE2,P002,ecg/b\n")
    (folder / "labels.csv").write_text("patient_id,study_id,lvef\nP001,S1,50\nP002,S2,60\n")
    told = "Of 3 patients 1 have ECGs and echo studies, 1 ECGs alone, 1 echo studies alone."
    values(folder, told, "2 ids of patients differ from another one")


@pytest.mark.parametrize("written", [("001", "002"), ("1.0", "2.0"), ("1", "02.0")])
def test_numbers_that_a_spreadsheet_changed_in_one_of_our_own_tables_find_their_patient(tmp_path, written):
    (tmp_path / "ecg").mkdir()
    for name in ("a", "b"):
        small_trees.write_record(tmp_path / f"ecg/{name}")
    (tmp_path / "ecgs.csv").write_text(f"ecg_id,patient_id,path\nE1,{written[0]},ecg/a\nE2,{written[1]},ecg/b\n")
    (tmp_path / "labels.csv").write_text("patient_id,study_id,lvef\n1,S1,50\n2,S2,60\n")
    changed = sum(id not in ("1", "2") for id in written)
    assert values(tmp_path, f"{changed} ids of ecgs.csv (patient_id) differ") == {"S1": 50, "S2": 60}
    assert [ecg.patient_id for ecg in plan_of(tmp_path).ecgs.values()] == ["1", "2"]


def test_numbers_lose_their_leading_zeros_in_a_spreadsheet_and_still_find_their_patient(tmp_path):
    for number, patient in enumerate(("00123", "00045", "7", "007")):
        tags = {"PatientID": patient, "AccessionNumber": f"S{number}", "StudyDate": "20240105"}
        (tmp_path / f"IM{number}").write_bytes(dicom(FRAMES, **tags, SOPInstanceUID=f"1.2.{number}"))
    workbook(tmp_path / "werte.xlsx", [["MRN", "LVEF"], [123, 55], [45.0, 40], [7, 61]])
    found = values(tmp_path, "2 ids of werte.xlsx (patient_id) differ", "2 ids of patients differ from another one")
    assert found == {"S0": 55, "S1": 40, "S2": 61, "S3": None}


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (("45296", "45328"), ("2024-01-05", "2024-02-06")),
        (("45296.427083", "45328.427083"), ("2024-01-05T10:15:00", "2024-02-06T10:15:00")),
    ],
)
def test_dates_that_a_spreadsheet_numbers_are_read_and_told(folder, cells, days):
    (folder / "werte.csv").write_text(f"MRN,Exam date,LVEF\nP001,{cells[0]},55\nP002,{cells[1]},40\n")
    assert values(folder, "numbers of days as Excel counts them") == {"2024/0017": 55, "S-b": 40}
    (folder / "IM0").unlink()
    (folder / "IM1").unlink()
    assert [s.study_date for s in plan_of(folder).studies.values()] == list(days)


@pytest.mark.parametrize("cells", [("45296", "2024-02-06"), ("45296", "12"), ("145296", "145328"), ("45296", "99999")])
def test_a_column_that_mixes_them_with_other_numbers_is_refused_with_its_row(folder, cells):
    (folder / "werte.csv").write_text(f"MRN,Exam date,LVEF\nP001,{cells[0]},55\nP002,{cells[1]},40\n")
    assert "expected: a date such as" in plan_of(folder).problems.found[0].sentence


def test_what_is_packed_or_of_another_program_is_named_with_what_to_do(folder):
    (folder / "more.zip").write_bytes(b"PK\x03\x04")
    (folder / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "werte.csv.gz").write_bytes(gzip.compress(b"Accession,LVEF\nS-b,40\n"))
    assert values(folder) == {"2024/0017": None, "S-b": 40}
    reasons = dict(plan_of(folder).ignored)
    assert "unpack it" in reasons["more.zip"] and "save it as .xlsx" in reasons["old.xls"]


def test_linked_folders_come_in_once_and_a_link_to_nothing_is_named(folder, tmp_path):
    (tmp_path / "other disk").mkdir()
    (folder / "IM1").rename(tmp_path / "other disk" / "IM1")
    (folder / "a").symlink_to(tmp_path / "other disk")
    (folder / "b").symlink_to(tmp_path / "other disk")
    (folder / "circle").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    plan = plan_of(folder)
    assert sorted(c.study_id for c in plan.clips) == ["2024/0017", "S-b"]
    assert "cannot be opened" in dict(plan.ignored)["gone"]


def test_a_folder_that_cannot_be_opened_is_no_empty_one(tmp_path):
    """Deeper than a path may be long: the kernel refuses it, whoever asks."""
    root, here = tmp_path / "deep", os.getcwd()
    root.mkdir()
    try:
        os.chdir(root)
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    finally:
        os.chdir(here)
    with pytest.raises(StoreError, match="A folder of the archive cannot be opened: File name too long"):
        list(files_below(root))
    assert list(files_below(root, on_error=str)) == []
    shutil.rmtree(root)


def test_an_export_with_slashes_in_its_ids_comes_in_whole_and_names_nobody(folder, tmp_path):
    workbook(
        folder / "Erna Schuh.xlsx", [["Erna Schuh, Station 3"], HEADER, ["P001", "2024/0017", 55, 22, "Kurt Zahn", "1"]]
    )
    place = Workspace(tmp_path / "w")
    report = ingest(folder, place, options=Options("ward", keep_ids=True))
    assert report.clips == 2 and Catalog(place).study("2024/0017").phenotypes == {"lvef": 55, "tapse": 2.2}
    told = str(ingest(folder, Workspace(tmp_path / "v"), options=Options("ward")).as_json())
    assert not any(name in told for name in ("Erna", "Schuh", "Zahn", "P001", "0017"))


@pytest.mark.slow
def test_no_row_of_a_large_table_is_held_twice(tmp_path):
    n = 20_000
    days = (
        f"P{i // 8:05d};P{i // 8:05d}-S1;{1 + i // 8 % 28:02d}.08.2024;TAPSE;{i % 97 / 10:.1f};mm" for i in range(n)
    )
    (tmp_path / "t.csv").write_text("\n".join(["Pat-ID;Accession;Datum;Messwert;Wert;Einheit", *days]))
    tracemalloc.start()
    try:
        table = read_table(tmp_path / "t.csv")
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table.rows) == n and held / n < 150 and most / n < 550  # bytes a row; 800 where the parsed rows wait
