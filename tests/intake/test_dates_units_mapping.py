"""What a table leaves open is settled by all of its column, asked, or refused with row and column."""

import sys

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.intake.dates import settle_dates
from echo2ecg_core.intake.field_names import FIELDS, field_of
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.mapping import Column, column_from, guess, read_mapping, save_mapping
from echo2ecg_core.intake.preview import mapping_in, preview
from echo2ecg_core.intake.tables import read_table
from echo2ecg_core.intake.units import BANDS, factors, settle_unit
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace


def column(*cells, start=2):
    return pd.Series(cells, index=range(start, start + len(cells)))


@pytest.mark.parametrize(
    ("cells", "iso"),
    [
        (("13/05/2024", "05/06/2024"), ("2024-05-13", "2024-06-05")),  # 13 proves the day
        (("05/13/2024", "05/06/2024"), ("2024-05-13", "2024-05-06")),
        (("05.06.2024 08:30", "01.02.2024"), ("2024-06-05T08:30:00", "2024-02-01")),
        (("2024-06-05", "2024-06-05 08:30"), ("2024-06-05", "2024-06-05T08:30:00")),
        (("2024-06-05", "2024-06-05T08:30:01.25"), ("2024-06-05", "2024-06-05T08:30:01")),
        (("2180-02-29", "2300-12-31"), ("2180-02-29", "2300-12-31")),
        (("20240605", "20240605083000", "20240605 0830"), ("2024-06-05", "2024-06-05T08:30:00", "2024-06-05T08:30:00")),
        (("2024-06-05T23:30:00+02:00", "2024-06-05T23:30:00Z"), ("2024-06-05T23:30:00",) * 2),
        (("January 5th, 2024", "1 de mayo de 2024"), ("2024-01-05", "2024-05-01")),
        (("5 June 2024", "5-Mai-2024", "Dec 1, 2024"), ("2024-06-05", "2024-05-05", "2024-12-01")),
        (("31/12/2024 12:05 AM", "1/2/2024 1:00 pm"), ("2024-12-31T00:05:00", "2024-02-01T13:00:00")),
    ],
)  # fmt: skip
def test_dates_of_a_column_become_one_form(cells, iso):
    dates = settle_dates(column(*cells), "when")
    assert tuple(dates.iso.values()) == iso and not dates.bad and not dates.asked


@pytest.mark.parametrize(
    "cells", [("05/06/2024", "01/02/2024"), ("13/05/2024", "05/13/2024"), ("24-01-05", "24-02-01")]
)
def test_an_order_that_nothing_proves_or_that_contradicts_itself_is_asked(cells):
    dates = settle_dates(column(*cells), "when")
    assert dates.asked and dates.iso == {}
    if cells[0] == "05/06/2024":
        assert settle_dates(column(*cells), "when", "day first").iso[2] == "2024-06-05"
        assert settle_dates(column(*cells), "when", "month first").iso[2] == "2024-05-06"


@pytest.mark.parametrize(
    "cells", [("13/05/2024", "05/13/2024"), ("05.01.2024", "05/13/2024"), ("20.05.2024", "05-13-2024")]
)
def test_a_column_that_proves_both_orders_is_asked_and_said_to(cells):
    dates = settle_dates(column(*cells), "when")
    assert dates.asked and dates.mixed and dates.iso == {}


def test_dots_prove_nothing_for_slashes():
    dates = settle_dates(column("20.05.2024", "01/02/2024"), "when")
    assert dates.asked and not dates.mixed


@pytest.mark.parametrize(
    ("cell", "iso"),
    [("令和6年1月5日", "2024-01-05"), ("R6.1.5", "2024-01-05"), ("R06/01/05 08:30", "2024-01-05T08:30:00"),
     ("平成31年4月30日", "2019-04-30"), ("令和元年5月1日", "2019-05-01"), ("S63-12-31", "1988-12-31"),
     ("民國113年1月5日", "2024-01-05")],
)  # fmt: skip
def test_years_that_name_their_era_are_read(cell, iso):
    assert list(settle_dates(column(cell), "when", known_days=()).iso.values()) == [iso]


THAI = ("05/01/2567", "29/02/2567")


@pytest.mark.parametrize(
    ("cells", "known", "told", "iso"),
    [
        (THAI, {"2024-01-05"}, None, ["2024-01-05", "2024-02-29"]),  # a leap day of 2024 and not of 2567
        (("2567-01-05", "2567-02-29"), {"2024-02-29"}, None, ["2024-01-05", "2024-02-29"]),
        (THAI, (), "Buddhist", ["2024-01-05", "2024-02-29"]),
        (("2567-01-05",), {"2567-01-05"}, None, ["2567-01-05"]),  # files that were shifted alike
        (("2567-01-05",), (), "Gregorian", ["2567-01-05"]),
        (("2180-01-05", "2300-12-31"), {"2024-01-05"}, None, ["2180-01-05", "2300-12-31"]),  # MIMIC's
    ],
)
def test_buddhist_years_are_proved_by_days_of_files_or_told(cells, known, told, iso):
    dates = settle_dates(column(*cells), "when", told, known_days=known)
    assert list(dates.iso.values()) == iso and not dates.bad and not dates.asked
    assert ("543 were taken off" in " ".join(dates.notes)) == (iso[0] == "2024-01-05" and told is None)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (("2567-01-05", "2566-12-31"), "those of the Buddhist calendar (2567 is 2024) or were shifted"),
        (THAI, "dates: Buddhist, or dates: Gregorian to keep them"),
        (("2567-01-05", "2024-01-05"), "some of their years are Gregorian ones"),
        (("1402/10/15", "1403/01/31"), "Persian or the Islamic calendar; write them as Gregorian"),
        (("05/13/45", "01/02/67"), "can be read with the day or the month first"),
        (("13.05.67",), "would lie in the future"),
    ],
)
def test_years_of_another_calendar_that_nothing_proves_are_asked_or_refused_and_never_stored(tmp_path, cells, why):
    made = planned(tmp_path, "study_date", *cells)
    (found,) = made.problems.found
    assert why in found.sentence and found.column == "study_date"
    assert [study.study_date for study in made.studies.values()] == [None] * len(cells)


def test_a_mapping_tells_the_calendar(tmp_path):
    rows = "patient_id;study_id;study_date;lvef\nP1;S1;29/02/2567;50\n"
    told = {"patient_id": "patient_id", "study_id": "study_id", "lvef": "lvef"}
    columns = {name: column_from(name, field) for name, field in told.items()}
    columns["study_date"] = column_from("study_date", {"field": "study_date", "dates": "Buddhist"})
    made = plan_of(archive(tmp_path / "a", rows), told=columns)
    assert not made.problems.found and [s.study_date for s in made.studies.values()] == ["2024-02-29"]


@pytest.mark.parametrize(
    "empty",
    [
        "1900-01-01",
        "1970-01-01T00:00:00",
        "0000-00-00",
        "00/00/0000",
        "00.00.0000 00:00",
        "00000000",
        "9999-12-31",
        "31.12.9999",
    ],
)
def test_a_date_that_stands_for_none_is_left_out_and_told(empty):
    dates = settle_dates(column(empty, "2024-06-05"), "when")
    assert list(dates.iso.values()) == ["2024-06-05"] and "1 dates in when" in dates.notes[0]


def planned(tmp_path, column: str, *cells: str):
    """The plan of an archive with one column of labels, a study a cell."""
    rows = "".join(f"P{i};S{i};{cell}\n" for i, cell in enumerate(cells))
    return plan_of(archive(tmp_path / "a", f"patient_id;study_id;{column}\n{rows}"))


@pytest.mark.parametrize(
    ("name", "cells", "values"),
    [
        ("ivsd", ("1.1 cm", "11 mm", "0,9cm"), [1.1, 1.1, 0.9]),
        ("tapse", ("22 mm", "2.2"), [2.2, 2.2]),
        ("lvedv", ("120 mL", "0.15 L", "90"), [120, 150, 90]),
        ("rvsp", ("4 kPa", "30 mmHg"), [30.002464, 30]),
        ("mr_grade", ("leicht", "SEVERE", "keine", "modérée", "2"), [1, 3, 0, 2, 2]),
    ],
)
def test_cells_that_name_their_unit_and_grades_in_other_languages_are_read(tmp_path, name, cells, values):
    plan = planned(tmp_path, name, *cells)
    assert not plan.problems.found
    assert [study.phenotypes[name] for study in plan.studies.values()] == values
    graded = any("were read as 0 none, 1 mild, 2 moderate, 3 severe" in note for note in plan.notes)
    assert graded == (name == "mr_grade")


@pytest.mark.parametrize(
    ("name", "cell", "expected"),
    [
        ("lvef", "50>55", "without words, signs or a wide range"), ("lvef", "52-72", "without words, signs or a wide"),
        ("lvef", "60-55", "without words, signs or a wide range"), ("ivsd", "0.9-1.1", "words, signs or a wide"),
        ("lvef", "normal", "without words, signs or a wide range"), ("ivsd", "60 cm", "a number from 0.4 to 3.9 cm"),
        ("mr_grade", "4", "a number from 0 to 3, or none, mild, moderate, severe"),
        ("mr_grade", "at least moderate", "a number from 0 to 3, or none, mild, moderate, severe"),
        ("mr_grade", "mild to severe", "a number from 0 to 3, or none, mild, moderate, severe"),
        ("mr_grade", "severe to mild", "a number from 0 to 3, or none, mild, moderate, severe"),
        ("mr_grade", "mild AR", "a number from 0 to 3, or none, mild, moderate, severe"),
        ("mr_grade", "5+", "a number from 0 to 3, or none, mild, moderate, severe"),
        ("mr_grade", "1.3", "a number from 0 to 3, or none, mild, moderate, severe"),
        ("mr_grade", "III", "a third step is moderate to severe where there are four, and severe where"),
        ("tr_grade", "3+", "a third step is moderate to severe where there are four, and severe where"),
        ("as_grade", "grade 3", "a third step is moderate to severe where there are four, and severe where"),
    ],
)  # fmt: skip
def test_a_label_that_cannot_be_is_refused_with_what_was_expected_and_never_quoted(tmp_path, name, cell, expected):
    found = planned(tmp_path, name, cell, "1").problems.found
    assert (found[0].row, found[0].column) == (2, name)
    assert expected in found[0].sentence and cell not in found[0].sentence.split("expected")[0]


GRADED = {
    "words in any form": (
        "mr_grade", "None|NO MR|Mild|mild_MR|moderate regurgitation|VERY SEVERE|torrential", [0, 0, 1, 1, 2, 3, 3], ""
    ),
    "traces": ("tr_grade", "trace|Trivial TR|physiologic|minimal|mild", [0, 0, 0, 0, 1], "4 in the column tr_grade"),
    "between two": (
        "as_grade", "mild to moderate|mild-moderate|Moderate/Severe|mild-to-moderate AS|1.5|2-3", [1, 1, 2, 1, 1, 2],
        "6 in the column as_grade of labels.csv lie between two grades",
    ),
    "other languages": (
        "mr_grade", "leicht- bis mittelgradig|légère à modérée|leve a moderada|gering-mittel|mäßig|spur",
        [1, 1, 1, 1, 2, 0], "4 in the column",
    ),
    "four steps": ("mr_grade", "0|1+|2+|3+|4+|1-2+|3+ to 4+", [0, 1, 2, 2, 3, 1, 2], "3 moderate to severe, 4 severe"),
    "four Roman steps": ("ar_grade", "I|II|III|IV|Grad II-III", [1, 2, 2, 3, 2], "3 moderate to severe, 4 severe"),
    "told steps": ("ar_grade", "I/IV|3/4|grade 3|4+/4+|II / IV", [1, 2, 2, 3, 2], "3 moderate to severe, 4 severe"),
    "three steps": ("mr_grade", "I/III|III/III|III|grade 2", [1, 3, 3, 2], "2 moderate, 3 severe"),
    "five steps": ("tr_grade", "1+|2+|3+|4+|5+", [1, 2, 3, 3, 3], "2 moderate, 3 to 5 severe"),
    "words and numbers": ("mr_grade", "mild|2|none|severe|grade 1", [1, 2, 0, 3, 1], '1 in the column mr_grade of la'),
    "numbers and Python's None": ("mr_grade", "1|None|2", [1, None, 2], "were read as 0 none"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "cells", "values", "note"), GRADED.values(), ids=GRADED)
def test_severities_are_read_as_laboratories_write_them_and_what_was_taken_is_told(tmp_path, name, cells, values, note):
    plan = planned(tmp_path, name, *cells.split("|"))
    assert not plan.problems.found
    assert [study.phenotypes.get(name) for study in plan.studies.values()] == values
    assert any(note in told for told in plan.notes) or not note


def test_numbers_mean_no_grade_beside_steps_that_count_otherwise(tmp_path):
    found = planned(tmp_path, "mr_grade", "1+", "4+", "3", "2").problems.found
    assert [problem.row for problem in found] == [4] and "a third step" in found[0].sentence


def test_none_is_a_grade_in_a_table_of_measurements_too(tmp_path):
    rows = "P1;S1;MR grade;None\nP2;S2;MR grade;mild\nP1;S1;LVEF;None\nP2;S2;LVEF;55-60\n"
    plan = plan_of(archive(tmp_path / "a", f"patient_id;study_id;measurement;value\n{rows}"))
    assert not plan.problems.found
    assert [s.phenotypes for s in plan.studies.values()] == [{"mr_grade": 0}, {"mr_grade": 1, "lvef": 57.5}]


@pytest.mark.parametrize(
    ("name", "cells", "values", "note"),
    [
        ("lvef", "55-60|55 to 60 %|50–55%|30 bis 35|61", [57.5, 57.5, 52.5, 32.5, 61], "4 ranges such as 55-60 in the"),
        ("lvef", "0.55-0.60|0,60", [57.5, 60], "1 ranges"),
        ("lvef", "~55|ca. 60|about 40 %|50", [55, 60, 40, 50], "3 numbers in the column lvef of labels.csv"),
        ("lvef", ">60|< 20 %|≥55|50", [None, None, None, 50], "3 limits such as >60 in the column lvef of labels.csv"),
        ("rvsp", "<25 mmHg|~30 mmHg|31", [None, 30, 31], "1 limits"),
    ],
)
def test_ranges_of_lvef_are_their_middle_and_limits_no_values_and_both_are_counted(tmp_path, name, cells, values, note):
    plan = planned(tmp_path, name, *cells.split("|"))
    assert not plan.problems.found
    assert [study.phenotypes.get(name) for study in plan.studies.values()] == values
    assert any(told.startswith(note) for told in plan.notes)


@pytest.mark.parametrize(
    ("text", "years"), [("61Y", 61), ("61 years", 61), ("61 Jahre", 61), ("018M", 1.5), ("≥90", 90), ("90+", 90)]
)
def test_ages_as_dicom_and_people_write_them(tmp_path, text, years):
    assert [s.age_years for s in planned(tmp_path, "age_years", text).studies.values()] == [years]


@pytest.mark.parametrize("text, sex", [("Frau", "female"), ("homme", "male"), ("mujer", "female"), ("divers", None)])
def test_sex_in_words_of_other_languages(tmp_path, text, sex):
    plan = planned(tmp_path, "sex", text)
    assert not plan.problems.found and [p.sex for p in plan.patients.values()] == [sex]


@pytest.mark.parametrize("cell", ["unknown", "2024-13-01", "2023-02-29", "32.01.2024", "12", "2024", "3024-01-01"])
def test_what_is_no_day_is_bad_with_its_row(cell):
    assert settle_dates(column("2024-06-05", cell, start=7), "when").bad == (8,)


@pytest.mark.parametrize(
    ("name", "values", "unit", "factor"),
    [
        ("lvef", (0.6, 0.35), "fraction", 100),
        ("lvef", (60, 35), "%", 1),
        ("ivsd", (11, 9, 14), "mm", 0.1),
        ("ivsd", (1.1, 0.9), "cm", 1),
        ("tapse", (22, 17), "mm", 0.1),
        ("rv_basal_diameter", (3.8, 4.1), "cm", 10),
        ("lvedv", (0.12, 0.2), "L", 1000),
        ("lvsv", (70,), "mL", 1),
    ],
)
def test_the_unit_of_a_column_is_proved_by_its_values(name, values, unit, factor):
    found = settle_unit(column(*values), name, "x")
    assert (found.name, found.factor, found.odd) == (unit, factor, ())
    assert bool(found.note) == (unit != PHENOTYPES[name].unit)


def test_mixed_units_are_found_by_the_rows_of_the_smaller_part():
    found = settle_unit(column(11, 9, 1.2, 14), "ivsd", "IVS")
    assert found.odd == (4,) and "this one would be possible in cm" in found.expected
    assert settle_unit(column(60, 55, 0.5), "lvef", "EF").odd == (4,)


def test_a_unit_that_the_table_tells_is_believed_unless_every_value_contradicts_it():
    assert settle_unit(column(1.1, 0.9), "ivsd", "x", "mm").odd == (2, 3)
    assert settle_unit(column(11, 9), "ivsd", "x", "mm").factor == 0.1
    assert settle_unit(column(4.2), "rvsp", "x", "kPa").factor == pytest.approx(7.500616)


@pytest.mark.parametrize(
    ("name", "values", "told", "odd"),
    [("lvef", (55, 0.55), "%", (3,)), ("ivsd", (11, 1.1, 9), "mm", (3,)), ("ivsd", (60,), "cm", (2,))],
)
def test_a_value_that_cannot_be_in_the_unit_of_its_header_is_odd(name, values, told, odd):
    found = settle_unit(column(*values), name, "x", told)
    assert (found.name, found.odd) == (told, odd) and f"{told}, as the table says" in found.expected


def test_bands_of_confused_units_do_not_meet():
    """No value can be in both, or a column of one row could not be told."""
    for name, (low, high) in BANDS.items():
        for unit, factor in factors(PHENOTYPES[name]).items():
            if unit in ("mm", "cm", "fraction", "L") and factor != 1:
                assert high / factor < low or low / factor > high, (name, unit)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("LVEF", "lvef"), ("EF (%)", ("lvef", "%")), ("Ejection Fraction", "lvef"), ("IVSd [mm]", ("ivsd", "mm")),
        ("tapse_mm", ("tapse", "mm")), ("Patient ID", "patient_id"), ("Pat-Nr", "patient_id"), ("MRN", "patient_id"),
        ("Accession Number", "study_id"), ("Untersuchungsdatum", "study_date"), ("Geschlecht", "sex"),
        ("Age at Echo", "age_years"), ("LV Mass Index", "lv_mass_index"), ("comment", None), ("BMI", None),
    ],
)  # fmt: skip
def test_columns_are_known_by_the_names_that_people_give_them(header, field):
    assert field_of(header) == (field if isinstance(field, tuple) else (field, None))


def test_every_field_is_known_by_its_own_name():
    assert [f for f in FIELDS if field_of(f)[0] != f] == []


def test_two_columns_that_may_mean_one_thing_are_left_to_the_person(tmp_path):
    (tmp_path / "t.csv").write_text("Patient,EF biplane,LVEF,remarks\nA,55,60,none\n")
    means = guess(read_table(tmp_path / "t.csv"))
    assert means.columns["EF biplane"].field == "lvef" and means.ignored == ("LVEF", "remarks")
    assert means.notes == ("LVEF in t.csv may mean lvef too; EF biplane was taken.",)


def archive(folder, labels, ecgs="ecg_id,patient_id,path\n"):
    folder.mkdir(parents=True)
    (folder / "labels.csv").write_text(labels)
    (folder / "ecgs.csv").write_text(ecgs)
    return folder


def test_a_mapping_settles_what_was_asked_and_can_be_saved_and_given_again(tmp_path):
    folder = archive(tmp_path / "a", "Pat,Exam,Seen,Pump\nA,S1,05/06/2024,55\nB,S2,01/02/2024,60\n")
    with pytest.raises(StoreError, match="lacks the column patient_id, study_id|lacks the column study_id"):
        ingest(folder, Workspace(tmp_path / "w"), cohort="c", keep_ids=True)
    (tmp_path / "map.yaml").write_text(
        "columns:\n  Pat: patient_id\n  Exam: study_id\n  Seen: {field: study_date, dates: day first}\n"
        '  Pump: {field: lvef, unit: "%"}\n'
    )
    told = read_mapping(tmp_path / "map.yaml")
    ingest(folder, Workspace(tmp_path / "w"), cohort="c", options=Options(told=told, keep_ids=True))
    studies = Catalog(Workspace(tmp_path / "w")).studies()
    assert list(studies.study_date) == ["2024-06-05", "2024-02-01"] and list(studies.lvef) == [55, 60]
    found = preview(folder, Workspace(tmp_path / "v"), Options(told=told, keep_ids=True))
    save_mapping(tmp_path / "again.yaml", mapping_in(found))
    assert read_mapping(tmp_path / "again.yaml").items() >= told.items()


TEN_TO_THE_NINTH = (  # a list of lists of lists, each of ten
    "a0: &a0 [x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    + "columns: {EF: {field: *a9}}"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("columns: {EF: ejection}", "'ejection', which is no field"),
        ("columns: {EF: {field: lvef, unit: bpm}}", "LVEF has no unit 'bpm'"),
        ("columns: {D: {field: study_date, dates: weekday first}}", "cannot be 'weekday first'"),
        ("[1, 2]", "has no list `columns`"),
        ("columns: {EF: [", "cannot be read"),
        ("columns: " + "[" * 3000, "cannot be read"),
        ("columns: {EF: {field: lvef, unit: 5}}", "what is no word"),
        ("columns: {EF: {field: lvef, dates: {}}}", "what is no word"),
        (TEN_TO_THE_NINTH, "what is no word"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_in_words(tmp_path, text, expected):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(StoreError) as refused:
        read_mapping(tmp_path / "map.yaml")
    assert expected in refused.value.message


def test_a_table_comes_in_whatever_its_separator_encoding_and_container(tmp_path):
    import gzip

    import openpyxl

    rows = [["Patient", "Größe", "LVEF"], ["007", "Müller", "60,5"], ["NA", "x", "55"]]
    text = "\n".join(";".join(row) for row in rows) + "\n"
    (tmp_path / "latin.csv").write_bytes(text.encode("latin-1"))
    (tmp_path / "utf16.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "tabs.tsv").write_bytes(b"\xef\xbb\xbf" + text.replace(";", "\t").encode())
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    for name in ("latin.csv", "utf16.csv", "tabs.tsv", "packed.csv.gz", "book.xlsx"):
        table = read_table(tmp_path / name)
        assert table.columns == rows[0] and table.rows.to_numpy().tolist() == rows[1:], name
        assert list(table.rows.index) == [2, 3], name


def test_rows_that_are_longer_than_the_header_are_refused_with_their_row(tmp_path):
    (tmp_path / "t.csv").write_text("patient_id,study_id,lvef\nA,S1,60,5\n")
    with pytest.raises(StoreError, match=r"more cells in row 2 than in its header \(4, expected 3\)"):
        read_table(tmp_path / "t.csv")


def test_a_measurement_a_row_is_read_with_the_unit_of_its_row(tmp_path):
    folder = archive(
        tmp_path / "a",
        "patient_id,study_id,measurement,value,unit\nA,S1,TAPSE,22,mm\nA,S1,LVEF,60,%\nB,S2,TAPSE,1.9,cm\n"
        "B,S2,TAPSE,1.9,cm\nB,S2,Heart rate,70,bpm\n",
    )
    place = Workspace(tmp_path / "w")
    report = ingest(folder, place, cohort="c", keep_ids=True)
    assert Catalog(place).study("S1").phenotypes == {"tapse": 2.2, "lvef": 60}
    assert Catalog(place).study("S2").phenotypes == {"tapse": 1.9}
    assert [row["what"] for row in report.ignored] == ["measurement Heart rate of labels.csv (1 rows)"]
    with pytest.raises(StoreError, match="different values of tapse"):
        ingest(
            archive(tmp_path / "b", "patient_id,study_id,measurement,value\nA,S1,TAPSE,2.2\nA,S1,TAPSE,1.8\n"),
            Workspace(tmp_path / "v"), cohort="c",
        )  # fmt: skip


@pytest.fixture
def cases(shared, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(shared / "data" / "cases"))
    import import_cases

    yield import_cases.make(tmp_path / "cases")
    for name in ("import_cases", "base"):
        sys.modules.pop(name, None)


REFUSED = {"slash_dates_uk", "bad_date", "id_dup_study", "id_dup_ecg", "sex_codes"}
VALUES = {
    "lvef_fraction": ("lvef", [60, 35]), "wall_mm": ("ivsd", [1.1]), "tapse_mm": ("tapse", [2.2]),
    "header_LVEF": ("lvef", [60]), "header_case": ("lvef", [60]), "lvef_comma_quoted": ("lvef", [60.5]),
    "lvef_range": ("lvef", [57.5]),
}  # fmt: skip


@pytest.mark.slow
def test_what_people_report_is_read_right_or_refused_with_row_and_column(cases, tmp_path):
    for name, (folder, wanted) in cases.items():
        place = Workspace(tmp_path / "w" / name)
        try:
            ingest(folder, place, cohort="c", keep_ids=True)
        except Echo2ECGError as error:
            assert name in REFUSED and "row" in error.message and not place.exists(), name
            continue
        assert name not in REFUSED, name
        labelled = Catalog(place).labelled_ecgs(36500)
        found = dict(zip(labelled.ecg_id, labelled.study_id, strict=True))
        assert {k: found.get(k) for k in wanted or {}} == (wanted or {}), name
        if name in VALUES:
            field, values = VALUES[name]
            assert np.allclose(Catalog(place).studies()[field], values), name


def test_a_column_can_be_told_by_its_plain_name(tmp_path):
    folder = archive(tmp_path / "a", "patient_id,study_id,Pump Function\nA,S1,55\n")
    told = {"pump function": Column("lvef")}
    place = Workspace(tmp_path / "w")
    ingest(folder, place, cohort="c", options=Options(told=told, keep_ids=True))
    assert Catalog(place).study("S1").phenotypes == {"lvef": 55}
