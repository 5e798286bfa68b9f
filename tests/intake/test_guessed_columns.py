"""What columns and sheets are taken for by names and values: what only looks like a field is left out and told."""

import openpyxl
import pytest

from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan
from tests import small_trees
from tests.echo.test_long_film import film
from tests.echo.test_readers import dicom

FRAMES = film(6, 96)


def plan(folder, text: str) -> Plan:
    small_trees.table(folder / "table.csv", text)
    return plan_of(folder)


def values(plan: Plan) -> list[dict]:
    assert plan.problems.found == []
    return [study.phenotypes for study in plan.studies.values()]


@pytest.mark.parametrize(
    "header",
    ["EF (RV)", "SV (RV)", "LVEF (change)", "LVEF (SD)", "TAPSE (z-score)", "AS grade (text)", "LVESV (indexed)",
     "LVESV (BSA)", "RVSP (TR max PG)", "LVEF (MRI)", "LVEF (stress)"],
)  # fmt: skip
def test_a_header_that_names_another_thing_in_brackets_is_not_its_field(tmp_path, header):
    made = plan(tmp_path, f"MRN,Accession,{header},LVEDV\nP1,A1,20,120")
    assert values(made) == [{"lvedv": 120}]
    assert (f"column {header} of table.csv", "a note says why") in made.ignored


@pytest.mark.parametrize(
    "header", ["EF Teichholz,LVEF biplane", "LVEF (visual),LVEF (Simpson biplan)", "LVEF M-mode,EF 3D", "EF_teich,LVEF"]
)
def test_of_several_methods_the_best_is_proposed_and_a_person_may_take_the_others_too(tmp_path, header):
    other, best = header.split(",")
    made = plan(tmp_path, f"MRN,Accession,{header}\nP1,A1,60,55\nP2,A2,44,")
    assert (
        values(made) == [{"lvef": 55}, {}]
        and f"{other} in table.csv may mean lvef too; {best} was taken." in made.notes
    )
    made = plan_of(tmp_path, told={other: Column("lvef"), best: Column("lvef")})
    assert (
        values(made) == [{"lvef": 55}, {"lvef": 44}]
        and f"1 rows of table.csv without {best} took {other}." in made.notes
    )


def test_of_several_methods_in_rows_each_visit_has_its_best(tmp_path):
    rows = "A1,EF Teichholz,60\nA1,LVEF (biplane),55\nA1,LVEF visual,50\nA2,EF Teichholz,44"
    text = "\n".join(f"P{row[1]},{row}" for row in rows.splitlines())
    made = plan(tmp_path, f"MRN,Accession,Measurement,Value\n{text}")
    assert values(made) == [{"lvef": 55}, {"lvef": 44}]
    assert any("their visits have one by a better method" in note for note in made.notes)


@pytest.mark.parametrize(
    ("cells", "grades"),
    [("mild severe", [1, 3]), ("1+ 2+", [1, 2]), ("0 1", []), ("old acute", []), ("none none", [])],
)
def test_two_letters_are_a_valve_where_severities_stand_below(tmp_path, cells, grades):
    rows = "\n".join(f"P{n},A{n},{cell},55" for n, cell in enumerate(cells.split()))
    made = plan(tmp_path, f"MRN,Accession,MR,EF\n{rows}")
    assert [study["mr_grade"] for study in values(made) if "mr_grade" in study] == grades
    rows = "\n".join(f"P{n},A{n},MR,{cell}" for n, cell in enumerate(cells.split()))
    made = plan(tmp_path, f"MRN,Accession,Measurement,Value\n{rows}")
    assert [study["mr_grade"] for study in values(made) if "mr_grade" in study] == grades


@pytest.mark.parametrize(
    "header", ["AS (grade)", "Aortic stenosis (grade)", "Aortic stenosis severity", "AS (severity)"]
)
def test_a_grade_in_brackets_is_the_grade(tmp_path, header):
    assert values(plan(tmp_path, f"MRN,Accession,{header}\nP1,A1,mild\nP2,A2,none")) == [
        {"as_grade": 1},
        {"as_grade": 0},
    ]


@pytest.mark.parametrize("header", ["TAPSE/mm", "TAPSE, mm", "TAPSE in mm", "TAPSE_mm"])
def test_a_unit_behind_a_name_is_read_however_it_is_parted(tmp_path, header):
    text = f"MRN;Accession;{header}\nP1;A1;22" if "," in header else f"MRN,Accession,{header}\nP1,A1,22"
    assert values(plan(tmp_path, text)) == [{"tapse": 2.2}]


@pytest.mark.parametrize("column", ["Rhythm,Sinus rhythm", "Fold,3", "Set,A", "Conduction,incomplete RBBB"])
def test_a_column_of_other_words_than_its_field_can_hold_is_left_out_and_told(tmp_path, column):
    name, cell = column.split(",")
    made = plan(tmp_path, f"MRN,Accession,{name},EF\nP1,A1,{cell},55")
    assert values(made) == [{"lvef": 55}] and any(f"{name} in table.csv holds mostly what" in n for n in made.notes)


def test_splits_of_authors_are_known_by_their_words(tmp_path):
    made = plan(tmp_path, "MRN,Split,EF\nP1,Training,55\nP2,valid,50\nP3,testing,45\nP4,held-out,44")
    assert [p.split for p in made.patients.values()] == ["train", "validation", "test", "test"]


@pytest.mark.parametrize(
    ("cells", "sexes"), [("1 2 2", ["male", "female", "female"]), ("1.0 2.0 9.0", ["male", "female", None])]
)
def test_sexes_in_the_numbers_of_the_standard_are_read_and_told(tmp_path, cells, sexes):
    rows = "\n".join(f"P{n},{cell},55" for n, cell in enumerate(cells.split()))
    made = plan(tmp_path, f"MRN,Sex,EF\n{rows}")
    assert [p.sex for p in made.patients.values()] == sexes and any("ISO/IEC 5218" in note for note in made.notes)


@pytest.mark.parametrize("cells", ["0 1", "1 1", "1 3"])
def test_sexes_in_numbers_that_nothing_names_are_refused(tmp_path, cells):
    rows = "\n".join(f"P{n},{cell},55" for n, cell in enumerate(cells.split()))
    assert "column Sex; expected: male, female" in plan(tmp_path, f"MRN,Sex,EF\n{rows}").problems.found[0].sentence


def test_an_id_comes_before_a_bare_name_of_whom_or_what_it_is_of(tmp_path):
    made = plan(tmp_path, "Patient,MRN,Study,Accession,EF\nJane,P1,TTE,A1,55\nJohn,P2,TTE,A2,44")
    assert set(made.patients) == {"P1", "P2"} and set(made.studies) == {"A1", "A2"}


def test_a_sheet_or_a_file_for_each_measurement_says_by_its_name_what_was_measured(tmp_path):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, value in (("LVEF (%)", 55), ("Pulse", 70)):
        sheet = book.create_sheet(name)
        for row in (["Patient ID", "Date", "Value"], ["P1", "2024-01-05", value]):
            sheet.append(row)
    book.save(tmp_path / "labels.xlsx")
    small_trees.table(tmp_path / "TAPSE.csv", "Patient ID,Date,Value,Unit\nP1,2024-01-05,22,mm")
    made = plan_of(tmp_path)
    assert values(made) == [{"tapse": 2.2, "lvef": 55}]
    assert ("labels.xlsx, sheet 2", "a table without ids and labels that are known") in made.ignored


def test_a_person_in_the_name_of_a_measurement_is_in_no_note(tmp_path):
    made = plan(tmp_path, "MRN;Parameter;Messwert\nP1;LVEF (QZMuster);0,55\nP2;LVEF (QZMuster);0,4")
    assert values(made) == [{"lvef": 55}, {"lvef": 40}] and "QZMuster" not in str(made.notes)


@pytest.mark.parametrize("header", ["Subject ID,MRN", "MRN,Subject ID", "Patient No,Patient ID"])
def test_of_two_ids_the_one_that_the_files_have_is_taken(tmp_path, header):
    mine = header.split(",").index("MRN") if "MRN" in header else 0
    for n, (patient, accession) in enumerate((("H0007", "A1"), ("H8", "A2"))):
        tags = {
            "PatientID": patient,
            "AccessionNumber": accession,
            "StudyDate": "20240105",
            "SOPInstanceUID": f"1.2.{n}",
        }
        (tmp_path / f"IM{n}").write_bytes(dicom(FRAMES, **tags))
    rows = "\n".join(",".join((m, t) if mine == 0 else (t, m)) for m, t in (("H0007", "T1"), ("H8", "T2")))
    rows = "\n".join(f"{row},E{n},A{n},{50 + n}" for n, row in enumerate(rows.splitlines(), 1))
    made = plan(tmp_path, f"{header},Study ID,Accession,LVEF\n{rows}")
    assert {s.study_id: s.phenotypes["lvef"] for s in made.studies.values()} == {"A1": 51, "A2": 52}
    assert set(made.patients) == {"H0007", "H8"}


@pytest.mark.parametrize("header", ["ID,Fall", "Aufnahme,Vorgang", "Nr,Name"])
def test_a_column_of_any_name_that_holds_ids_of_the_files_is_of_these(tmp_path, header):
    for n in (1, 2):
        tags = {"PatientID": f"H000{n}", "AccessionNumber": f"7000{n}", "StudyDate": f"2024010{n}"}
        (tmp_path / f"IM{n}").write_bytes(dicom(FRAMES, **tags, SOPInstanceUID=f"1.2.{n}"))
    made = plan(tmp_path, f"{header},LVEF\nH0001,70001,55\nH0002,70002,40")
    assert {s.study_id: (s.patient_id, s.phenotypes["lvef"]) for s in made.studies.values()} == {
        "70001": ("H0001", 55), "70002": ("H0002", 40)
    }  # fmt: skip
    told = [f"{name} in table.csv holds ids of the files" for name in header.split(",")]
    assert all(any(note.startswith(words) for note in made.notes) for words in told)


@pytest.mark.parametrize("name", ["Visit", "Room", "Pulse"])
def test_small_numbers_below_any_name_are_no_ids(tmp_path, name):
    for n in (1, 2):
        tags = {"PatientID": f"{n}", "AccessionNumber": f"A{n}", "StudyDate": f"2024010{n}"}
        (tmp_path / f"IM{n}").write_bytes(dicom(FRAMES, **tags, SOPInstanceUID=f"1.2.{n}"))
    made = plan(tmp_path, f"{name},LVEF\n2,55\n1,40")
    assert values(made) == [{}, {}] and ("table.csv", "a table without ids and labels that are known") in made.ignored
    made = plan(tmp_path, "ID,LVEF\n2,55\n1,40")
    assert values(made) == [{"lvef": 40}, {"lvef": 55}]


def test_of_a_result_in_words_and_its_value_the_number_is_taken(tmp_path):
    made = plan(tmp_path, "MRN,Accession,Measurement,Result,Value\nP1,A1,LVEF,normal,55\nP2,A2,LVEF,reduced,40")
    assert values(made) == [{"lvef": 55}, {"lvef": 40}]
