"""Tables as spreadsheets and systems of many countries save them: encodings, scripts, quotation marks, numbers that
were rounded, dates that were turned. Each is read right, asked or refused in words; none loses a row or takes another
unit."""

import unicodedata
from pathlib import Path

import openpyxl
import pytest
from openpyxl.utils.datetime import MAC_EPOCH

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.field_names import field_of, plain_name
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.mapping import Column, columns_of
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.intake.tables import read_header_row, read_table

TEXT = "patient_id;study_id;lvef;Größe\nP1;S1;55,5;x\nP2;S2;44;ß\n"
LVEF = {"S1": 55.5, "S2": 44.0}


def plan(folder: Path, content: str | bytes, told: dict[str, Column] | None = None) -> Plan:
    (folder / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return plan_of(folder, told=told or {})


def values(made: Plan, name: str = "lvef") -> dict[str, float | None]:
    assert made.problems.found == []
    return {i: study.phenotypes.get(name) for i, study in made.studies.items()}


def sentence(made: Plan) -> str:
    return " ".join(problem.sentence for problem in made.problems.found)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (TEXT.encode(), False),
        (TEXT.encode("utf-8-sig"), False),
        (TEXT.encode("utf-16"), False),
        (TEXT.encode("utf-16-le"), False),
        (TEXT.encode("utf-16-be"), False),
        (TEXT.encode("utf-32"), False),
        (TEXT.encode("cp1252"), True),
        (TEXT.replace("\n", "\r").encode(), False),
        (TEXT.replace("\n", "\r\n").encode(), False),
        (b"sep=;\n" + TEXT.encode(), False),
    ],
)
def test_a_text_is_read_in_its_encoding_and_a_guess_is_told(tmp_path, content, told):
    made = plan(tmp_path, content)
    assert values(made) == LVEF and "Größe" in read_table(tmp_path / "t.csv").columns
    assert any("not UTF-8; its letters were read as those of Windows-1252" in note for note in made.notes) == told
    assert "Größe" in read_header_row(tmp_path / "t.csv").columns


def test_a_header_is_read_whole_where_a_letter_lies_at_the_end_of_what_is_looked_at(tmp_path):
    for shift in range(2):
        text = "x" * shift + TEXT + f"P3;S3;50;{'ü' * 2**15}\n"
        (tmp_path / "t.csv").write_text(text)
        assert "Größe" in read_header_row(tmp_path / "t.csv").columns


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a damaged workbook or one under a password"),
        (TEXT.encode("cp1252") + b"\x81\x8d", "neither UTF-8 nor UTF-16 nor those of Windows-1252"),
        (TEXT.encode() + bytes(9) + b"abcd" * 9, "it is binary"),
        (b"\0\1", "it is binary"),
        (b"\0\1\0\2" * 99, "it is binary"),
    ],
)
def test_what_is_no_text_is_refused_in_words_with_what_to_do(tmp_path, content, why):
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(StoreError) as refused:
        read_table(tmp_path / "t.xlsx")
    assert why in refused.value.message and "CSV (UTF-8)" in str(refused.value)


@pytest.mark.parametrize("second", ['P2,S2,"y",44', "P2,S2,y,44", 'P2,S2,"y, ""z""",44'])
def test_a_quotation_mark_that_does_not_close_takes_no_rows_with_it(tmp_path, second):
    made = plan(tmp_path, f'patient_id,study_id,note,lvef\nP1,S1,"x,55\n{second}\nP3,S3,z,33\n')
    (told,) = [reason for what, reason in made.ignored if what == "t.csv"]
    assert "its quotation marks do not fit together from row 2 on" in told and made.studies == {}


def test_quotation_marks_that_fit_are_read_as_they_were(tmp_path):
    text = 'patient_id,study_id,note,lvef\nP1,S1,"two\nlines, ""one"" cell",55.5\nP2,S2,"a"b,44\n'
    assert values(plan(tmp_path, text)) == LVEF


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_an_id_with_accents_is_one_however_it_was_typed(tmp_path, form):
    rows = "patient_id,study_id,lvef\nMüller-1,S1,55.5\n" + unicodedata.normalize(form, "Müller-1,S2,44\n")
    made = plan(tmp_path, rows)
    assert values(made) == LVEF and list(made.patients) == ["Müller-1"]


NAMES = [
    ("Пациент", "Исследование", "Дата", "ФВ ЛЖ (%)"),
    ("患者番号", "検査番号", "検査日", "左室駆出率"),
    ("المريض", "الدراسة", "التاريخ", "الكسر القذفي"),
    ("रोगी", "जाँच", "दिनांक", "इजेक्शन"),
    ("🫀", "📄", "📅", "💪"),
]


@pytest.mark.parametrize("names", NAMES)
def test_columns_of_every_script_can_be_mapped(tmp_path, names):
    fields = ("patient_id", "study_id", "study_date", "lvef")
    told = {name: Column(field) for name, field in zip(names, fields, strict=True)}
    assert len({plain_name(name) for name in names}) == 4
    made = plan(tmp_path, ";".join(names) + "\nP1;S1;2024-01-05;55,5\nP2;S2;2024年2月6日;44\n", told)
    assert values(made) == LVEF
    assert [(s.patient_id, s.study_date) for s in made.studies.values()] == [("P1", "2024-01-05"), ("P2", "2024-02-06")]


@pytest.mark.parametrize("which", ["EF", "EF%"])
def test_of_two_columns_that_differ_in_signs_alone_the_mapped_one_is_taken(tmp_path, which):
    text = "patient_id,study_id,EF,EF%\nP1,S1,55.5,20\nP2,S2,44,30\n"
    assert (values(plan(tmp_path, text, {which: Column("lvef")})) == LVEF) == (which == "EF")


@pytest.mark.parametrize(
    "header",
    ["LVEDV (ml/m2)", "LVEDV [mL/m²]", "IVSd (cm/m^2)", "LAVI (mL)", "RVSP (m/s)", "IVSd (z)", "LV Mass Index (g)",
     "Age (months)", "TAPSE (%)"],
)  # fmt: skip
def test_a_header_in_a_unit_that_its_field_cannot_have_is_another_measurement(tmp_path, header):
    assert field_of(header) == (None, None)
    made = plan(tmp_path, f"patient_id,study_id,lvef,{header}\nP1,S1,55.5,60\nP2,S2,44,61\n")
    assert values(made) == LVEF and all(set(s.phenotypes) == {"lvef"} for s in made.studies.values())
    assert any(f"{header} in t.csv is in a unit that" in note for note in made.notes)
    assert all(s.age_years is None for s in made.studies.values())


@pytest.mark.parametrize("header", ["EF (biplane)", "LVEF (4CH)", "EF (%)", "EF [Percent]"])
def test_a_word_in_brackets_that_is_no_unit_says_nothing(header):
    assert field_of(header)[0] == "lvef"


@pytest.mark.parametrize("cell", ["#N/A", "#REF!", "#NV", "-", "?", "n/a"])
def test_an_id_that_a_spreadsheet_did_not_find_is_no_patient(tmp_path, cell):
    made = plan(tmp_path, f"patient_id,study_id,lvef\n{cell},S1,55\n{cell},S2,44\n")
    assert "no id in row 2" in sentence(made) and "no id in row 3" in sentence(made)


@pytest.mark.parametrize(
    ("ids", "rounded"),
    [
        (("1234567890123450000", "1234567890123460000"), True),
        (("1234567890123456789", "1234567890123460000"), False),
        (("123456789012340", "123456789012350"), False),
    ],
)
def test_ids_whose_last_digits_a_spreadsheet_made_zeros_are_refused(tmp_path, ids, rounded):
    made = plan(tmp_path, f"patient_id,study_id,lvef\n{ids[0]},S1,55\n{ids[1]},S2,44\n")
    assert ("a spreadsheet has rounded" in sentence(made)) == rounded


TURNED = ("13/05/2024", "2024-06-05", "2024-01-12")


@pytest.mark.parametrize(
    ("cells", "asked"),
    [
        (TURNED, True),
        (("05/13/2024", *TURNED[1:]), True),
        (("13/05/2024", "2024-06-15"), False),  # a day that is no month was never turned
        (("13/05/2024", "05/06/2024", "2024-01-12"), False),  # a text with a day up to 12 was not either
    ],
)
def test_dates_that_a_spreadsheet_turned_are_asked(tmp_path, cells, asked):
    rows = "".join(f"P{i},S{i},{cell},50\n" for i, cell in enumerate(cells))
    made = plan(tmp_path, f"patient_id,study_id,study_date,lvef\n{rows}")
    assert ("a spreadsheet seems to have turned day and month" in sentence(made)) == asked
    told = {"study_date": Column("study_date", dates="day first")}
    if cells is TURNED:
        days = [
            s.study_date for s in plan(tmp_path, f"patient_id,study_id,study_date,lvef\n{rows}", told).studies.values()
        ]
        assert days == ["2024-05-13", "2024-06-05", "2024-01-12"]


@pytest.mark.parametrize(
    "day", ["2024年1月5日", "2024년 1월 5일", "2024. 1. 5.", "2024. 01. 05", "٢٠٢٤/٠١/٠٥", "45296,0"]
)
def test_dates_as_other_countries_write_them(tmp_path, day):
    made = plan(tmp_path, f"patient_id;study_id;study_date;lvef\nP1;S1;{day};50\n")
    assert [s.study_date for s in made.studies.values()] == ["2024-01-05"] and not made.problems.found


def cover(book, sheet):
    """Remarks on the first sheet, nothing on the second, the table on the third."""
    for row in sheet.iter_rows(min_row=1, max_row=3):
        for cell in row:
            cell.value = None
    sheet["A1"], sheet["A2"] = "Read me", "Labels are on the last sheet"
    book.create_sheet()
    for row in ROWS:
        book.create_sheet("x") if len(book.worksheets) < 3 else None
        book.worksheets[2].append(row)


def since_1904(book, sheet):
    book.epoch = MAC_EPOCH
    for row in (2, 3):
        sheet.cell(row, 3).value -= 1462


def percent_as_text(book, sheet):
    sheet["D2"].number_format, sheet["D3"].number_format = '0.0"%"', "0\\%"


def rounded(book, sheet):
    sheet["B2"] = 1.23456789012346e18


ROWS = [["Patient", "Accession", "Date", "EF"], ["P1", "S1", 45296, 55.5], ["P2", "S2", 45297.5, 44]]


@pytest.mark.parametrize("change", [cover, since_1904, percent_as_text, rounded])
def test_workbooks_as_people_save_them(tmp_path, change):
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    change(book, book.active)
    book.save(tmp_path / "t.xlsx")
    made = plan_of(tmp_path)
    if change is rounded:
        assert "ids in the column Accession that a spreadsheet has rounded (from row 2)" in sentence(made)
        return
    assert values(made) == LVEF
    assert [s.study_date for s in made.studies.values()] == ["2024-01-05", "2024-01-06T12:00:00"]
    assert list(made.maps) == ["t.xlsx, sheet 3" if change is cover else "t.xlsx"]


TWO_ROWS = [
    ("PatientID,Accession,LVEF,TAPSE", ",,%,mm"),  # units
    ("PatientID,Accession,Echo,", ",,LVEF,TAPSE (mm)"),  # merged cells
    ("Patient,Patient,Echo,Echo", "PatientID,Accession,LVEF,TAPSE"),  # merged cells as pandas writes them
    ("PatientID,Accession,Echo,Echo", "PatientID,Accession,LVEF,TAPSE"),
]


@pytest.mark.parametrize("header", TWO_ROWS)
def test_a_header_of_two_rows_is_one_and_told(tmp_path, header):
    made = plan(tmp_path, "\n".join((*header, "P1,S1,55.5,22", "P2,S2,44,18")) + "\n")
    assert values(made) == LVEF and values(made, "tapse") == {"S1": 2.2, "S2": 1.8}
    assert "t.csv has a header of two rows." in made.notes


@pytest.mark.parametrize(
    ("header", "first", "found"),
    [
        ("patient_id,study_id,lvef,", "A,B,55.5,", {"lvef": 55.5}),
        ("patient_id,study_id,mr_grade,note,", "A,B,mild,good,x", {"mr_grade": 1}),
        ("patient_id,study_id,mr_grade,mr_grade", "A,B,mild,none", {"mr_grade": 1}),
        ("patient_id,study_id,mr_grade,unit", "g,s,mild,mm", {"mr_grade": 1}),
    ],
)
def test_a_first_row_of_words_is_no_header(tmp_path, header, first, found):
    made = plan(tmp_path, f"{header}\n{first}\n")
    assert [study.phenotypes for study in made.studies.values()] == [found]


@pytest.mark.parametrize("name", ["t.xls", "t.tab", "t.XLS"])
@pytest.mark.parametrize("content", ["text", "xlsx", "old"])
def test_a_table_is_told_by_its_content_and_not_by_its_suffix(tmp_path, name, content):
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    book.save(tmp_path / name)
    if content != "xlsx":
        text = "\n".join("\t".join(map(str, row)) for row in ROWS)
        (tmp_path / name).write_bytes(text.encode() if content == "text" else b"\xd0\xcf\x11\xe0" + bytes(9))
    made = plan_of(tmp_path)
    assert values(made) == ({} if content == "old" else LVEF)
    assert any("save it as .xlsx or CSV" in reason for _, reason in made.ignored) == (content == "old")


def test_a_table_that_nobody_knows_is_shown_to_be_mapped_and_a_column_that_no_table_has_is_told(tmp_path):
    text = "Wer;Was;Pumpe\nP1;S1;55,5\nP2;S2;44\n"
    assert columns_of(plan(tmp_path, text).maps["t.csv"]) == dict.fromkeys(("Wer", "Was", "Pumpe"), Column("ignored"))
    told = {"Wer": Column("patient_id"), "was": Column("study_id"), "Pumpe": Column("lvef")}
    made = plan(tmp_path, text, told | {"Pmupe": Column("tapse"), "Raum": Column("ignored")})
    assert values(made) == LVEF and "Columns of the mapping that no table has: Pmupe." in made.notes


@pytest.mark.parametrize("cell", ['="007"', '"=""007"""', "007\0", "\x00" + "007"])
def test_an_id_that_a_system_protected_or_padded_is_the_id(tmp_path, cell):
    rows = "P1,S1,55.5\n" * 700  # more than is looked at for a sign of a binary file
    made = plan(tmp_path, f"patient_id,study_id,lvef\n{rows}{cell},S2,44\n")
    assert values(made) == LVEF and list(made.patients) == ["P1", "007"]


def test_a_formula_that_is_no_text_stays_what_it_is(tmp_path):
    made = plan(tmp_path, "patient_id,study_id,lvef\nP1,S1,=A1+1\n")
    assert "cannot be in row 2, column lvef" in sentence(made)


def test_a_table_without_rows_is_told(tmp_path):
    assert "t.csv has a header and no rows." in plan(tmp_path, "patient_id,study_id,lvef\n").notes
