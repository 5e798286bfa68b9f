"""A second import of a cohort: rows by patient and day find the study that is here, and what may stand twice or stays
although a table no longer holds it is told."""

import pytest

from echo2ecg_core.intake.ingest import IngestReport, Options, ingest
from echo2ecg_core.intake.preview import preview
from echo2ecg_core.intake.problems import ImportRefused
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests import small_trees

FIRST = """MRN,Accession,Exam date,LVEF,TAPSE (cm)
P1,A1,2024-01-05 10:15,55,2.0
P1,A2,2024-03-05,50,
P2,A3,2024-02-06,40,1.8"""


@pytest.fixture(params=[True, False])
def again(request, tmp_path):
    """Import a table into one cohort; gives what its report and its preview tell."""
    place = Workspace(tmp_path / "w")

    def come_in(text: str) -> tuple[IngestReport, Catalog]:
        small_trees.table(tmp_path / "a" / "t.csv", text)
        options = Options("c", keep_ids=request.param)
        shown = preview(tmp_path / "a", place, options)["notes"]
        report = ingest(tmp_path / "a", place, options=options)
        assert len(report.notes) == len(shown)  # without names of tables
        return report, Catalog(place)

    come_in(FIRST)
    return come_in


def lvef(catalog: Catalog) -> list[float]:
    return sorted(catalog.studies().lvef)


def test_a_row_of_a_patient_and_a_day_is_of_the_study_that_is_here(again):
    report, catalog = again("MRN,Exam date,LVEF\nP1,2024-01-05,58\nP2,2024-02-06,41\nP2,2024-06-06,30")
    assert lvef(catalog) == [30, 41, 50, 58] and report.studies == 1
    assert "Rows that tell a patient and a day alone are of studies that are here already: 2." in report.notes
    assert sum(day.endswith("T10:15:00") for day in catalog.studies().study_date) == 1  # the hour stays
    report, catalog = again("MRN,Exam date,LVEF\nP1,2024-01-05,59\nP2,2024-06-06,31")
    assert lvef(catalog) == [31, 41, 50, 59] and report.studies == 0


def test_a_row_of_a_patient_alone_is_of_the_only_study_and_else_of_none(again):
    _, catalog = again("MRN,LVEF\nP1,58\nP2,41")
    assert lvef(catalog) == [41, 50, 55, 58]


def test_a_visit_under_another_id_is_told(again):
    report, catalog = again("MRN,Accession,Exam date,LVEF\nP1,1.2.840.1,2024-01-05,55\nP2,1.2.840.2,2024-09-01,40")
    assert len(catalog.studies()) == 5
    assert any("another one here, under another id: 1. Where both are one visit" in note for note in report.notes)


def test_labels_that_a_table_no_longer_holds_stay_and_are_told(again):
    report, catalog = again("MRN,Accession,LVEF,TAPSE (cm)\nP1,A1,,2.1\nP1,A2,50,\nP2,A3,41,")
    told = "Labels that are here and that the tables leave empty: LVEF 1, TAPSE 1. They stay"
    assert any(note.startswith(told) for note in report.notes) and lvef(catalog) == [41, 50, 55]
    report, _ = again("MRN,Accession,LVEF\nP1,A1,55\nP2,A3,41")  # a table of less columns takes nothing away
    assert not any("leave empty" in note for note in report.notes)


def test_one_recording_in_two_files_is_told(tmp_path):
    folder = tmp_path / "a"
    for name in ("one", "two", "three"):
        small_trees.write_record(folder / "ecg" / name)
    rows = ("2024-01-05T10:15:00,ecg/one", "2024-01-05T10:15:00,ecg/two", "2024-01-05,ecg/three")
    text = "\n".join(f"E{n},P1,{row}" for n, row in enumerate(rows))
    small_trees.table(folder / "ecgs.csv", f"ecg_id,patient_id,ecg_time,path\n{text}")
    place, told = Workspace(tmp_path / "w"), "ECGs of the patient and second of another one: 1."
    first, second = (ingest(folder, place, cohort="c").notes for _ in range(2))
    assert any(told in note for note in first) and not any(told in note for note in second)
    assert not any("not read again" in note for note in first)  # a replaced file would pass unseen
    assert any("were here already and were not read again: 3." in note for note in second)
    small_trees.table(folder / "ecgs.csv", "ecg_id,patient_id,ecg_time,path\nX,P1,2024-01-05T10:15:00,ecg/one")
    assert any(told in note for note in preview(folder, place, Options("c"))["notes"])


@pytest.mark.parametrize(
    ("kept", "told"), [(True, "with their own ids already: 1"), (False, "under pseudonyms already: 1")]
)
def test_nobody_comes_in_a_second_time_under_the_other_kind_of_name(tmp_path, kept, told):
    place = Workspace(tmp_path / "w")
    small_trees.table(tmp_path / "a" / "t.csv", "MRN,Accession,LVEF\nP1,A1,55")
    ingest(tmp_path / "a", place, options=Options("c", keep_ids=kept))
    small_trees.table(tmp_path / "a" / "t.csv", "MRN,Accession,LVEF\nP1,A1,55\nP2,A2,40")
    problems = preview(tmp_path / "a", place, Options("c", keep_ids=not kept))["problems"]
    assert [told in problem["sentence"] for problem in problems] == [True]
    with pytest.raises(ImportRefused, match="would come in a second time"):
        ingest(tmp_path / "a", place, options=Options("c", keep_ids=not kept))
    assert len(Catalog(place).studies()) == 1
    assert ingest(tmp_path / "a", place, options=Options("other", keep_ids=not kept)).patients == 2
    assert ingest(tmp_path / "a", place, options=Options("c", keep_ids=kept)).patients == 1
