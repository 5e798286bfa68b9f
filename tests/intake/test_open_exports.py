"""Exports whose headers contradict each other or leave something out, and workbooks that hide something: settled the
same way whatever the order of the files, and told."""

import io
import itertools
import re
import unicodedata
import zipfile
from pathlib import Path

import openpyxl
import pytest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.intake.layouts.hospital import NOBODY
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.plan import Plan
from tests import small_trees
from tests.ecg import device_files
from tests.echo.test_long_film import film
from tests.echo.test_readers import dicom

FRAMES = film(20, 96)
A = {"PatientID": "A", "StudyDate": "20240105", "StudyTime": "101500"}
B = {"PatientID": "B", "StudyDate": "20240206", "StudyTime": "111500"}


def export(folder: Path, clips: list[dict], order=None) -> Plan:
    """The plan of a folder of clips with these tags; `order` gives the files' names."""
    folder.mkdir(exist_ok=True)
    for number, tags in enumerate(clips):
        content = dicom(FRAMES, **tags, SOPInstanceUID=f"1.2.{number}")
        (folder / f"IM{(order or range(9))[number]}").write_bytes(content)
    return plan_of(folder)


STUDIES = [  # patient and day, UID and accession number of two files, then their studies
    (A, A, ("1.5", ""), ("1.5", "N1"), ["N1", "N1"], ""),
    (A, A, ("1.5", "N2"), ("1.5", "N1"), ["N1", "N1"], "accession numbers for one UID, each counted as one study: 1"),
    (A, A, ("1.5", "N1"), ("1.6", "N1"), ["N1", "N1"], "UIDs of one patient and day, each counted as one study: 1"),
    (A, B, ("1.5", "0"), ("1.6", "0"), ["1.5", "1.6"], "which go by their UIDs: 1"),
    (A, B, ("1.5", "N1"), ("1.5", "N2"), ["N1", "N2"], "which go by their accession numbers: 1"),
]


@pytest.mark.parametrize(("one", "other", "first", "second", "studies", "note"), STUDIES)
def test_which_clips_are_one_study_hangs_on_their_headers_and_not_on_their_order(
    tmp_path, one, other, first, second, studies, note
):
    clips = [
        tags | {"StudyInstanceUID": uid, "AccessionNumber": number}
        for tags, (uid, number) in ((one, first), (other, second))
    ]
    for run, order in enumerate(itertools.permutations(range(2))):
        plan = export(tmp_path / str(run), clips, order)
        found = {clip.path.name: clip.study_id for clip in plan.clips}
        assert [found[f"IM{number}"] for number in order] == studies
        assert plan.problems.found == [] and set(plan.studies) == set(studies)
        assert len(plan.notes) == bool(note) and all(note in told for told in plan.notes)


def test_a_clip_of_a_copied_uid_without_a_number_is_a_study_of_its_own(tmp_path):
    clips = [
        tags | {"StudyInstanceUID": "1.5", "AccessionNumber": number}
        for tags, number in ((A, "N1"), (B, "N2"), (A, ""))
    ]
    plan = export(tmp_path / "a", clips)
    assert [clip.study_id for clip in plan.clips] == ["N1", "N2", "1.5"] and set(plan.studies) == {"N1", "N2", "1.5"}


def test_one_uid_under_two_patients_is_refused_where_nothing_tells_them_apart(tmp_path):
    plan = export(tmp_path / "a", [tags | {"StudyInstanceUID": "1.5", "AccessionNumber": ""} for tags in (A, B)])
    assert [p.sentence for p in plan.problems.found] == ["An echo study would belong to two patients."]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"PatientBirthDate": "19500101"}, {"PatientBirthDate": "19800101"}, True),
        ({"IssuerOfPatientID": "North"}, {"IssuerOfPatientID": "South"}, True),
        ({"PatientBirthDate": "19500101"}, {"PatientBirthDate": ""}, False),
        ({"PatientBirthDate": "19500101"}, {"PatientBirthDate": "", "IssuerOfPatientID": "South"}, False),
    ],
)
def test_a_patient_id_that_two_people_may_share_is_told(tmp_path, one, other, told):
    clips = [A | {"AccessionNumber": "N1"} | one, A | {"AccessionNumber": "N2"} | other]
    notes = export(tmp_path / "a", clips).notes
    assert any("dates of birth or issuers: 1" in note for note in notes) == told
    assert not any(word in " ".join(notes) for word in ("1950", "North", "South"))


@pytest.mark.parametrize(
    "id", ["ANONYMOUS", "Anon", "anonymized", "UNKNOWN", "N/A", "no id", "De-identified", "XXXX", "---"]
)
def test_an_id_that_stands_for_everybody_makes_no_patient_of_them(tmp_path, id):
    plan = export(tmp_path / "a", [tags | {"PatientID": id, "AccessionNumber": "N1"} for tags in (A, B)])
    assert plan.patients == {} and [reason for _, reason in plan.passed_over] == [NOBODY] * 2
    small_trees.table(tmp_path / "a" / "t.csv", "patient_id,study_id,path,lvef\nP1,S1,IM0,55\nP2,S2,IM1,40")
    plan = plan_of(tmp_path / "a")
    assert {s.patient_id: s.phenotypes["lvef"] for s in plan.studies.values()} == {"P1": 55, "P2": 40}
    assert [clip.study_id for clip in plan.clips] == ["S1", "S2"] and plan.passed_over == []


@pytest.mark.parametrize("id", ["0", "7", "Xavier-1", "TEST-1", "Nona"])
def test_an_id_that_only_looks_like_it_is_a_patient(tmp_path, id):
    assert list(export(tmp_path / "a", [A | {"PatientID": id, "AccessionNumber": "N"}]).patients) == [id]


@pytest.mark.parametrize(
    ("tags", "moment"),
    [
        ({"SeriesDate": "20240105", "SeriesTime": "101500"}, "2024-01-05T10:15:00"),
        ({"AcquisitionDateTime": "20240105101500.000+0100"}, "2024-01-05T10:15:00"),
        ({"AcquisitionDate": "20240105"}, "2024-01-05"),
        ({"ContentDate": "20240105", "ContentTime": "101500.5"}, "2024-01-05T10:15:00"),
        ({"StudyDate": "20240105", "AcquisitionDateTime": "20240106001500"}, "2024-01-05"),
    ],
)
def test_a_film_without_the_date_of_its_study_has_that_of_its_series_or_picture(tmp_path, tags, moment):
    (study,) = export(tmp_path / "a", [{"PatientID": "A", "AccessionNumber": "N1"} | tags]).studies.values()
    assert study.study_date == moment


@pytest.mark.parametrize(("age", "years"), [("061Y", 61), ("018M", 1.5), ("026W", 0.5), ("", None)])
def test_ages_of_children_are_years_too(tmp_path, age, years):
    (study,) = export(
        tmp_path / "a", [A | {"AccessionNumber": "N1", "PatientAge": age, "PatientBirthDate": ""}]
    ).studies.values()
    assert study.age_years == pytest.approx(years, abs=0.01)


def test_studies_without_a_date_are_counted(tmp_path):
    notes = export(tmp_path / "a", [A | {"AccessionNumber": "N1"}, {"PatientID": "B", "AccessionNumber": "N2"}]).notes
    assert notes == ["Studies without a date, with which no ECG is paired: 1 of 2."]


def test_buddhist_years_of_a_table_are_known_by_the_days_of_the_clips_and_those_of_clips_are_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t.csv").write_text("patient_id;study_date;lvef\nA;05/01/2567;55\nB;29/02/2567;44\n")
    made = export(tmp_path / "a", [A | {"AccessionNumber": "N1"}])
    days = [(s.study_id, s.study_date[:10], s.phenotypes["lvef"]) for s in made.studies.values()]
    assert days == [("N1", "2024-01-05", 55), ("B 2024-02-29", "2024-02-29", 44)] and not made.problems.found
    assert any("are Buddhist ones, as the days of the files show: 543 were taken off" in note for note in made.notes)
    notes = export(tmp_path / "b", [A | {"AccessionNumber": "N1", "StudyDate": "25670105"}]).notes
    assert notes == [
        "Files whose year lies from 2450 to 2600: 1. They keep it; a device that counts Buddhist years (2567 is 2024) "
        "pairs with no other."
    ]


ROWS = [["Patient", "Accession", "Date", "EF (%)"], ["1", "N1", "2024-01-02", 0.55], ["2", "N2", "2024-01-03", 60]]


def workbook(path: Path | io.BytesIO, change, rows=ROWS) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.active["D2"].number_format = "0.0%"
    change(book, book.active)
    book.save(path)


def formula(book, sheet):
    sheet["D3"] = "=50+10"


def column(book, sheet):
    sheet.column_dimensions["C"].hidden = True


def row(book, sheet):
    sheet.row_dimensions[3].hidden = True


def sheet_of_before(book, sheet):
    more = book.create_sheet("before")
    for cells in (ROWS[0], ["3", "N3", "2023-01-02", 44]):
        more.append(cells)
    more.sheet_state = "hidden"


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda book, sheet: None, ""),
        (formula, "t.xlsx: formulas without values, which count as empty: 1"),
        (column, "t.xlsx: hidden in the workbook and read all the same: columns"),
        (row, "t.xlsx: hidden in the workbook and read all the same: rows"),
        (sheet_of_before, "t.xlsx, sheet 2: hidden in the workbook and read all the same: the whole sheet"),
    ],
)
def test_what_a_workbook_hides_is_told_and_percent_signs_that_it_only_shows_are_read(tmp_path, change, note):
    workbook(tmp_path / "t.xlsx", change)
    plan = plan_of(tmp_path)
    assert plan.studies["N1"].phenotypes == {"lvef": 55.0} and plan.problems.found == []
    assert plan.studies["N2"].phenotypes == ({} if change is formula else {"lvef": 60.0})
    assert [told for told in plan.notes if "t.xlsx" in told and (not note or note not in told)] == []
    assert any(note in told for told in plan.notes) or not note


def test_a_formula_with_its_value_is_a_value(tmp_path):
    """openpyxl writes no values beside formulas, spreadsheet programs do."""
    buffer = io.BytesIO()
    workbook(buffer, formula)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb"(<f>50\+10</f>)<v ?(/>|></v>)", rb"\1<v>60</v>", old.read(name)))
    plan = plan_of(tmp_path)
    assert plan.studies["N2"].phenotypes == {"lvef": 60.0} and not any("formula" in note for note in plan.notes)


WRITINGS = {  # one id in the character sets that systems write it in; "" where the file tells none, or a wrong one
    "Müller-1": [("ISO_IR 100", "latin-1"), ("", "latin-1"), ("ISO_IR 192", "utf-8"), ("", "utf-8"),
                 ("ISO_IR 100", "utf-8"), ("ISO_IR 192", "latin-1"), ("NO SUCH SET", "latin-1"),
                 ("ISO 2022 IR 100", "latin-1")],
    "ソ表山-1": [("ISO_IR 192", "utf-8"), ("\\ISO 2022 IR 87", "iso2022_jp"), ("", "iso2022_jp"),
                 ("ISO_IR 13", "shift_jis")],
    "俓乗-1": [("ISO_IR 192", "utf-8"), ("GB18030", "gb18030"), ("GBK", "gbk"), ("ISO_IR 100", "utf-8")],
    "김희중-1": [("ISO_IR 192", "utf-8"), ("\\ISO 2022 IR 149", "euc_kr"), ("ISO 2022 IR 149", "euc_kr")],
    "Пётр-1": [("ISO_IR 192", "utf-8"), ("ISO_IR 144", "iso8859_5"), ("\\ISO 2022 IR 144", "iso8859_5")],
}  # fmt: skip
ESCAPES = {"\\ISO 2022 IR 149": b"\x1b$)C", "\\ISO 2022 IR 144": b"\x1b-L"}


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize("patient", WRITINGS)
def test_a_patient_whose_id_is_written_in_several_character_sets_is_one(tmp_path, patient):
    clips = []
    for number, (told, encoding) in enumerate(WRITINGS[patient]):
        form = "NFD" if number % 2 and encoding == "utf-8" else "NFC"
        raw = ESCAPES.get(told, b"") + unicodedata.normalize(form, patient).encode(encoding)
        charset = {"SpecificCharacterSet": told.split("\\")} if told else {}
        clips.append(A | charset | {"PatientID": raw, "AccessionNumber": f"N{number}"})
    plan = export(tmp_path / "a", clips)
    assert list(plan.patients) == [patient] and len(plan.studies) == len(clips)


def test_ids_that_cannot_be_decoded_stay_apart_and_are_told(tmp_path):
    raw = ["山田".encode("shift_jis"), "山本".encode("shift_jis")]
    plan = export(tmp_path / "a", [A | {"PatientID": id, "AccessionNumber": f"N{n}"} for n, id in enumerate(raw)])
    assert len(plan.patients) == 2
    assert any("whose character set no file tells: 2" in note for note in plan.notes)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(("day", "clock"), [("20240105", "101500"), ("2024.01.05", "10:15:00"), ("20240105", "1015")])
def test_days_and_hours_as_old_systems_write_them(tmp_path, day, clock):
    tags = {"PatientID": "A", "AccessionNumber": "N1", "StudyDate": day.encode(), "StudyTime": clock.encode()}
    assert export(tmp_path / "a", [tags]).studies["N1"].study_date == "2024-01-05T10:15:00"


def test_several_ids_in_one_tag_are_no_list_of_the_program(tmp_path):
    assert list(export(tmp_path / "a", [A | {"PatientID": b"P1\\P2", "AccessionNumber": "N1"}]).patients) == ["P1\\P2"]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(("header", "names"), [("StudyInstanceUID", ("1.5", "1.6")), ("Accession", ("N1", "N2"))])
def test_a_table_names_studies_by_uid_or_number_in_the_folder_and_beside_it(tmp_path, beside, header, names):
    clips = [tags | {"StudyInstanceUID": f"1.{n + 5}", "AccessionNumber": f"N{n + 1}"} for n, tags in enumerate((A, B))]
    export(tmp_path / "a", clips)
    table = tmp_path / ("l.csv" if beside else "a/l.csv")
    table.write_text(f"{header},LVEF\n{names[0]},55\n{names[1]},44\n")
    plan = plan_of(tmp_path / "a", labels=table if beside else None)
    assert {i: s.phenotypes for i, s in plan.studies.items()} == {"N1": {"lvef": 55}, "N2": {"lvef": 44}}
    assert plan.problems.found == []


XML = [  # what an export of an ECG declares, and the encoding it is in
    ("UTF-8", "utf-8"), ("", "utf-8-sig"), ("UTF-16", "utf-16"), ("UTF-16", "utf-16-le"), ("UTF-16", "utf-8"),
    ("ISO-8859-1", "latin-1"), ("UTF-8", "latin-1"), ("", "latin-1"), ("x-none", "utf-8"), ("undefined", "utf-8"),
    ("gb18030", "gb18030"), ("Shift_JIS", "shift_jis"), ("EUC-KR", "euc_kr"), ("windows-1251", "cp1251"),
]  # fmt: skip
PEOPLE = {"gb18030": "山田-1", "shift_jis": "ソ表-1", "euc_kr": "김희-1", "cp1251": "Пётр-1"}


@pytest.mark.parametrize("kind", ["muse", "aecg"])
@pytest.mark.parametrize(("declared", "encoding"), XML)
def test_an_xml_export_is_somebodys_in_whatever_encoding_it_is(tmp_path, declared, encoding, kind):
    patient = PEOPLE.get(encoding, "Müller-1")
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    person = f"<PatientDemographics><PatientID>{patient}</PatientID></PatientDemographics>"
    if kind == "muse":
        text = device_files.muse().decode().replace("<RestingECG>", f"<RestingECG>{person}")
    else:
        subject = f'<subject><trialSubject><id root="1" extension="{patient}"/></trialSubject></subject>'
        place = ("componentOf", "timepointEvent", "componentOf", "subjectAssignment")
        whose = "".join(f"<{tag}>" for tag in place) + subject + "".join(f"</{tag}>" for tag in reversed(place))
        text = device_files.aecg(whose, device_files.series()).decode()
    (tmp_path / "e.xml").write_bytes((head + text).encode(encoding))
    plan = plan_of(tmp_path)
    assert list(plan.patients) == [patient] and plan.passed_over == []
    assert read_ecg(tmp_path / "e.xml").signal_mv.shape[0] == 12
