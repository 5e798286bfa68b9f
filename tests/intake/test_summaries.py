"""Rows of a table that sum others up, remarks and units are no patients; patients whose ids look alike stay."""

import re

import pytest

from echo2ecg_core.intake.layouts.recognise import plan_of

ROWS = "P1;2024-01-05;m;55;2,1\nP2;2024-01-06;f;44;1,8\n"
HEADER = "patient_id;study_date;sex;lvef;tapse\n"


def plan(folder, text):
    (folder / "t.csv").write_text(text)
    return plan_of(folder)


SUMMARIES = [
    "Mean;;;49,5;1,95", "mean ± SD;;;49,5 ± 7,8;", "Mean (SD);;;49.5 (7.8);1.95 (0.2)", "SD;;;7,8;0,2",
    "Median [IQR];;;49,5;", "Total;2;1/1;;", "n = 2;2;2;2;2", "N=2;;;;", "Total: 2;;;;", "n;2;2;2;2",
    "Max;;;55;2,1", "95% CI;;;40-60;", "Q1;;;44;1,8", ";;Mean;49,5;1,95", "Mittelwert;;;49,5;",
    "Standardabweichung;;;7,8;", "Anzahl;2;2;2;2", "Écart-type;;;7,8;", "Médiane;;;49;", "Promedio;;;49,5;",
    "平均值;;;49.5;", "標準偏差;;;7.8;", "합계;2;;;", "Среднее;;;49,5;", "Standard deviation;;;7.8;",
    "Missing;0;0 (0%);0;0", "Subtotal;;;99;", "* measured twice;;;;", "Source: the hospital's registry;;;;",
    "Values of the year were read by two people;;;;",
]  # fmt: skip


@pytest.mark.parametrize("row", SUMMARIES)
def test_a_row_that_sums_others_up_is_told_and_no_patient(tmp_path, row):
    made = plan(tmp_path, HEADER + ROWS + row + "\n")
    assert made.problems.found == [] and list(made.patients) == ["P1", "P2"]
    assert [s.phenotypes for s in made.studies.values()] == [{"lvef": 55, "tapse": 2.1}, {"lvef": 44, "tapse": 1.8}]
    assert any("t.csv that are no patient" in note and "were left out: 1 (row 4)." in note for note in made.notes)


def test_summaries_between_groups_and_several_at_the_end_are_left_out(tmp_path):
    text = (
        HEADER
        + "P1;2024-01-05;m;55;2,1\nMean;;;55;2,1\nP2;2024-01-06;f;44;1,8\n;;;;\nMean;;;49,5;\nSD;;;7,8;\nn=2;;;;\n"
    )
    made = plan(tmp_path, text)
    assert list(made.patients) == ["P1", "P2"] and made.problems.found == []
    assert any("left out: 4 (row 3, 6, 7, 8)." in note for note in made.notes)


@pytest.mark.parametrize("with_study", [False, True])
def test_with_a_column_of_studies_they_are_left_out_too(tmp_path, with_study):
    text = "patient_id;study_id;lvef\nP1;S1;55\nP2;S2;44\nMean;;49,5\n"
    made = plan(tmp_path, text if with_study else re.sub(r"(?m)^([^;]*);[^;]*;", r"\1;", text))
    assert list(made.patients) == ["P1", "P2"] and made.problems.found == []


@pytest.mark.parametrize(
    "id", ["MIN-001", "N-12", "N12", "Total-7", "SD3", "Mean-1", "Max Mustermann 3", "S=2", "Mediane1", "12", "Sumsum9"]
)
def test_an_id_that_holds_such_a_word_is_a_patient(tmp_path, id):
    made = plan(tmp_path, HEADER + ROWS + f"{id};;;50;\n")
    assert list(made.patients) == ["P1", "P2", id] and not any("no patient" in note for note in made.notes)


@pytest.mark.parametrize("id", ["Max", "SD", "N", "Min", "Std"])
def test_where_ids_are_words_a_short_word_is_a_patient(tmp_path, id):
    made = plan(tmp_path, f"patient_id;lvef\nAnna;55\nBert;44\n{id};50\n")
    assert list(made.patients) == ["Anna", "Bert", id]


@pytest.mark.parametrize(
    "row", ["SD;2024-01-07;f;50;2", "Total;;male;50;2", "Max;07.01.2024;;50;", "Mean;20240107;;50;2"]
)
def test_a_row_that_tells_a_visit_is_a_patient(tmp_path, row):
    made = plan(tmp_path, HEADER + ROWS + row + "\n")
    assert len(made.patients) == 3 and made.problems.found == []


def test_a_patient_without_values_at_the_end_stays(tmp_path):
    made = plan(tmp_path, HEADER + ROWS + "P3;;;;\nP4 b;;;;\n")
    assert list(made.patients) == ["P1", "P2", "P3", "P4 b"]


@pytest.mark.parametrize(
    "units", ["-;-;-;%;mm", "unit;;;[%];[mm]", ";dd/mm/yyyy;m/f;%;mm", "[-];yyyy-mm-dd;M/F;(%);(mm)", "Units;;;%;mm"]
)
def test_a_row_of_units_under_the_header_is_one_with_it(tmp_path, units):
    made = plan(tmp_path, HEADER + units + "\nP1;2024-01-05;m;55;21\nP2;2024-01-06;f;44;18\n")
    assert [s.phenotypes for s in made.studies.values()] == [{"lvef": 55, "tapse": 2.1}, {"lvef": 44, "tapse": 1.8}]
    assert list(made.patients) == ["P1", "P2"] and "t.csv has a header of two rows." in made.notes
