"""Cells of tables as laboratories fill them: words for no value, remarks behind numbers, dates of several programs,
hours beside days, sexes in abbreviations. Each is read and told, or refused with its row."""

from pathlib import Path

import pytest

from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.plan import Plan
from tests import small_trees
from tests.echo.test_long_film import film
from tests.echo.test_readers import dicom

FRAMES = film(6, 96)


def plan(folder: Path, text: str) -> Plan:
    small_trees.table(folder / "t.csv", text)
    return plan_of(folder)


def wide(folder: Path, header: str, *cells: str) -> Plan:
    """The plan of a table with a patient a cell."""
    return plan(folder, f"MRN;Accession;{header}\n" + "\n".join(f"P{n};A{n};{cell}" for n, cell in enumerate(cells)))


@pytest.mark.parametrize(
    "cell",
    ["not measured", "Not assessable", "nicht messbar", "k.A.", "K. A.", "n.b.", "ND", "unknown", "#N/A", "#DIV/0!",
     "#NV", "poor window", "unable to assess", "non mesurée", "keine Angabe", "?"],
)  # fmt: skip
def test_words_for_no_value_count_as_empty_and_are_counted(tmp_path, cell):
    made = wide(tmp_path, "LVEF;TAPSE", f"{cell};22", f"{cell};20", "55;21")
    assert made.problems.found == [] and [s.phenotypes.get("lvef") for s in made.studies.values()] == [None, None, 55]
    assert any("2 cells of the column LVEF of t.csv say that there is no value" in note for note in made.notes)


@pytest.mark.parametrize(
    "cell", ["55 (biplane)", "55 % (visuell)", "55 [geschätzt]", "55*", "55 †", "55% (poor window)", "55 pct (seen)"]
)
def test_a_remark_behind_a_number_is_left_off_and_counted(tmp_path, cell):
    made = wide(tmp_path, "LVEF", cell, "40")
    assert made.problems.found == [] and [s.phenotypes["lvef"] for s in made.studies.values()] == [55, 40]
    assert any("1 remarks or marks behind numbers" in note for note in made.notes)


@pytest.mark.parametrize(
    "cell", ["55 (RV)", "55 (prior 40)", "55 / 40", "55 (indexed)", "see report", "about the same"]
)
def test_a_cell_that_says_another_thing_or_two_is_refused_with_its_row(tmp_path, cell):
    (problem,) = wide(tmp_path, "LVEF", "40", "41", cell).problems.found
    assert (problem.row, problem.column) == (4, "LVEF") and "expected: a number from 0 to 100" in problem.sentence


def test_a_unit_in_brackets_is_a_unit_and_no_remark(tmp_path):
    made = wide(tmp_path, "TAPSE", "22 (mm)", "1.8 (cm)")
    assert [s.phenotypes["tapse"] for s in made.studies.values()] == [2.2, 1.8]


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("05-JAN-24", "2024-01-05"), ("5-Jan-2024", "2024-01-05"), ("05JAN2024", "2024-01-05"),
        ("05JAN2024:10:15:00", "2024-01-05T10:15:00"), ("5/Jan/2024 10:15", "2024-01-05T10:15:00"),
        ("Fr, 05.01.2024", "2024-01-05"), ("Fri, 5 January 2024 10:15 PM", "2024-01-05T22:15:00"),
        ("05.01.2024 10:15 Uhr", "2024-01-05T10:15:00"), ("05.01.2024 10.15", "2024-01-05T10:15:00"),
        ("Jan 5, 2024", "2024-01-05"), ("05-JAN-99", "1999-01-05"), ("31-FEB-24", None), ("05-XYZ-24", None),
        ("Januar 2024", None), ("05JAN2024:25:15:00", None),
    ],
)  # fmt: skip
def test_dates_of_other_programs_are_read_or_refused_with_their_row(tmp_path, cell, day):
    made = wide(tmp_path, "Exam date;LVEF", f"{cell};55")
    assert [s.study_date for s in made.studies.values()] == [day]
    assert [(p.row, p.column) for p in made.problems.found] == ([] if day else [(2, "Exam date")])
    two_digits = len(cell) == 9 and cell[-3] == "-" and day is not None
    assert any("have two digits" in note for note in made.notes) == two_digits


@pytest.mark.parametrize(
    ("header", "day"),
    [("ecg_date,ecg_time", "05.01.2024"), ("ECG date,Time", "2024-01-05"), ("EKG-Datum,Uhrzeit", "2024-01-05 00:00:00"),
     ("recording date,recording time", "5-Jan-2024")],
)  # fmt: skip
def test_hours_in_a_column_of_their_own_are_joined_to_their_days(tmp_path, header, day):
    small_trees.write_record(tmp_path / "e/a")
    made = plan(tmp_path, f"patient_id,{header},path\nP1,{day},10:15,e/a")
    (ecg,) = made.ecgs.values()
    assert ecg.ecg_time == "2024-01-05T10:15:00" and made.problems.found == []
    assert any("were joined to the days in" in note for note in made.notes)


def test_hours_of_another_thing_are_not_joined(tmp_path):
    small_trees.write_record(tmp_path / "e/a")
    made = plan(tmp_path, "patient_id,ecg_date,echo time,path\nP1,2024-01-05,10:15,e/a")
    assert [ecg.ecg_time for ecg in made.ecgs.values()] == ["2024-01-05"]


@pytest.mark.parametrize(
    ("cells", "sexes"),
    [("männl. weibl.", "male female"), ("H M", "male female"), ("H F", "male female"), ("V M", "female male"),
     ("K E", "female male"), ("Masculino Femenino", "male female"), ("Uomo Donna", "male female")],
)  # fmt: skip
def test_abbreviations_of_sexes_are_read_and_letters_by_their_neighbours(tmp_path, cells, sexes):
    rows = "\n".join(f"P{n},{cell},55" for n, cell in enumerate(cells.split()))
    made = plan(tmp_path, f"MRN,Sex,EF\n{rows}")
    assert [p.sex for p in made.patients.values()] == sexes.split() and made.problems.found == []
    assert any("Letters in the column Sex" in n for n in made.notes) == (len(cells) == 3)


@pytest.mark.parametrize("cells", ["H", "V", "K", "F N", "H V"])
def test_letters_that_nothing_settles_are_refused(tmp_path, cells):
    rows = "\n".join(f"P{n},{cell},55" for n, cell in enumerate(cells.split()))
    assert "column Sex; expected: male, female" in plan(tmp_path, f"MRN,Sex,EF\n{rows}").problems.found[0].sentence


def test_rows_of_studies_that_no_file_shows_are_counted_where_others_are_here(tmp_path):
    (tmp_path / "IM0").write_bytes(dicom(FRAMES, PatientID="P1", AccessionNumber="A1", StudyDate="20240105"))
    made = plan(tmp_path, "Accession,LVEF\nA1,55\nA2,40\nA3,44")
    assert {i: s.phenotypes for i, s in made.studies.items()} == {"A1": {"lvef": 55}} and made.problems.found == []
    assert any("whose study no file shows, so that its patient is not known: 2" in note for note in made.notes)
    made = plan(tmp_path, "Accession,LVEF\nA2,40\nA3,44")
    assert len(made.problems.found) == 2 and "row 2: no file shows the study" in made.problems.found[0].sentence


@pytest.mark.parametrize("cell", ["55 percent", "55 pct", "55 Prozent", "55pct."])
def test_per_cent_in_words_is_per_cent(tmp_path, cell):
    made = wide(tmp_path, "LVEF", cell)
    assert made.problems.found == [] and [s.phenotypes["lvef"] for s in made.studies.values()] == [55]
