"""Names of files, folders and columns in every form: other scripts, two normal forms, blanks in a row, signs nobody
sees, bytes that are no letters, endless ones. Files are found under them, and of real patients none is kept."""

import io
import os
import re
import unicodedata
import zipfile
from pathlib import Path

import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.archives import import_archive, import_parameters, keep_upload, unpacked_upload
from echo2ecg_core.intake.ingest import Options, ingest, summary_lines
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.preview import lines, preview
from echo2ecg_core.progress import silent
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from tests import small_trees
from tests.ecg import device_files
from tests.echo.test_long_film import film
from tests.echo.test_readers import dicom

SCHUH = [  # what a hospital may call the file of Mrs Schuh
    "Schuh, Erna", "Schuh,  Erna", "Schuh,\u00a0Erna", "Schuh\u200bErna", "Schuh\nErna", "Schuh \x1b[31mErna",
    os.fsdecode(b"Schuh Erna M\xfcller"), "Schuh Erna 🫀", "-Schuh", "Schuh Ärna " + "x" * 180,
    unicodedata.normalize("NFD", "Schuh Ärna"),
]  # fmt: skip
BROKEN = 'patient_id,study_id,lvef\n"P1,S1,55\nP2,S2,44\n'
WRONG = "patient_id,study_id,lvef\nP1,S1,155\n"


def without_schuh(told: str) -> bool:
    told.encode()  # it can be written anywhere
    return not any(word in told for word in ("Schuh", "Erna", "rna")) and told.isprintable()


def refusal(folder: Path, place: Path) -> str:
    """What a job keeps of an import that was refused."""
    with pytest.raises(StoreError) as refused:
        import_archive(Workspace(place), {"folder": str(folder), "cohort": "ward"}, silent)
    return f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("name", SCHUH)
def test_a_name_in_any_form_is_shown_before_an_import_and_not_kept_of_it(tmp_path, name):
    folder, place = tmp_path / "a", Workspace(tmp_path / "w")
    (folder / name).mkdir(parents=True)
    (folder / name / f"{name}.csv").write_text(BROKEN)
    (folder / name / f"{name}.pdf").write_text("x")
    (folder / "t.csv").write_text("patient_id,study_id,lvef\nP1,S1,55\n")
    found = preview(folder, place, Options("ward"))
    shown = lines(found)
    assert any("Schuh" in line for line in shown) and all(line.isprintable() for line in shown)
    assert str(found).isprintable()  # a page can show it
    kept = ingest(folder, place, options=Options("ward"))
    assert without_schuh(str(kept.as_json())) and without_schuh("".join(summary_lines(kept)))
    assert any("a table cannot be read" in row["reason"] for row in kept.ignored)


@pytest.mark.parametrize("name", SCHUH)
def test_a_name_in_any_form_is_not_in_the_refusal_that_a_job_keeps(tmp_path, name):
    folder = tmp_path / "a"
    (folder / name).mkdir(parents=True)
    (folder / name / f"{name}.csv").write_text(WRONG)
    told = refusal(folder, tmp_path / "w")
    assert without_schuh(told) and "a table holds a label that cannot be in row 2, column lvef" in told


def test_many_refusals_end_in_no_piece_of_a_name(tmp_path):
    for number in range(12):
        (tmp_path / f"{number} Schuh {'Erna ' * 30}.csv").write_text(WRONG.replace("P1,S1", f"P{number},S{number}"))
    assert without_schuh(refusal(tmp_path, tmp_path / "w"))


@pytest.mark.parametrize(
    ("header", "row", "kept"),
    [
        ("patient_id,study_id,EF (Schuh)", "P1,S1,155", "column not named here; expected"),
        ("patient_id,study_id,lvef (%)", "P1,S1,155", "column lvef (%); expected"),
        ("patient_id,Dr. Schuh. Erna,lvef", "P1,S1,55", "lacks the column study_id."),
    ],
)
def test_names_of_columns_are_kept_only_where_no_person_can_stand_in_them(tmp_path, header, row, kept):
    (tmp_path / "ecgs.csv").write_text("ecg_id,patient_id,path\n")
    (tmp_path / "labels.csv").write_text(f"{header}\n{row}\n")
    told = refusal(tmp_path, tmp_path / "w")
    assert without_schuh(told) and kept in told


def test_a_column_with_a_name_in_it_leaves_no_name_in_a_note(tmp_path):
    (tmp_path / "t.csv").write_text("patient_id,study_id,EF (Schuh),LVEF\nP1,S1,0.55,1\nP2,S2,0.4,2\n")
    kept = ingest(tmp_path, Workspace(tmp_path / "w"), options=Options("ward"))
    assert without_schuh(str(kept.as_json())) and any(
        "LVEF in the column a column is a fraction" in n for n in kept.notes
    )


@pytest.mark.slow
def test_tables_that_give_no_labels_leave_no_name_in_a_note_either(tmp_path):
    for number in range(12):
        (tmp_path / f"Schuh {number}.csv").write_bytes("Wer;Größe\nP1;ü\n".encode("cp1252"))
    (tmp_path / "Erna.csv").write_text("path,view\nIM1,A4C\n")
    (tmp_path / "IM1").write_bytes(dicom(film(20, 96), StudyInstanceUID="1.5"))
    kept = ingest(tmp_path, Workspace(tmp_path / "w"), options=Options("ward"))
    assert without_schuh(str(kept.as_json()))
    assert "1 views of clips are given by a table." in kept.notes
    assert any(note.startswith("a table: it is not UTF-8") for note in kept.notes)


def test_an_ecg_whose_name_has_bytes_that_are_no_letters_comes_in(tmp_path):
    """It is named by its file, having neither a time nor a number of its own."""
    (tmp_path / "a").mkdir()
    head = b"<RestingECG><PatientDemographics><PatientID>P1</PatientID></PatientDemographics>"
    for name in (b"Schuh M\xfcller.xml", b"Schuh M\xfdller.xml"):
        (tmp_path / "a" / os.fsdecode(name)).write_bytes(device_files.muse().replace(b"<RestingECG>", head))
    report = ingest(tmp_path / "a", Workspace(tmp_path / "w"), options=Options("ward"))
    assert report.ecgs == 2 and report.refused == [] and without_schuh(str(report.as_json()))
    assert ingest(tmp_path / "a", Workspace(tmp_path / "v"), keep_ids=True).ecgs == 2


@pytest.mark.parametrize(("of_table", "of_disk"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC"), ("NFD", "NFD")])
def test_a_name_is_found_in_either_normal_form(tmp_path, of_table, of_disk):
    def table(text: str) -> str:
        return unicodedata.normalize(of_table, text)

    def disk(text: str) -> str:
        return unicodedata.normalize(of_disk, text)

    place = tmp_path / "echo" / disk("Müller-é") / disk("Écho 1")
    place.mkdir(parents=True)
    (place / disk("ü4c.dcm")).write_bytes(dicom(film(20, 96)))
    small_trees.write_record(tmp_path / "ecg" / "x")
    for suffix in (".hea", ".dat"):
        (tmp_path / "ecg" / f"x{suffix}").rename(tmp_path / "ecg" / disk(f"Größe{suffix}"))
    (tmp_path / "labels.csv").write_text(table("patient_id,study_id,lvef\nMüller-é,Écho 1,55\n"))
    (tmp_path / "ecgs.csv").write_text(table("ecg_id,patient_id,path\nE1,Müller-é,ecg/Größe\n"))
    (tmp_path / "clips.csv").write_text(table("path,view\necho/Müller-é/Écho 1/ü4c.dcm,A4C\n"))
    plan = plan_of(tmp_path)
    assert list(plan.patients) == ["Müller-é"] and plan.passed_over == [] and plan.problems.found == []
    assert [(clip.study_id, clip.view) for clip in plan.clips] == [("Écho 1", "A4C")]
    assert [ecg.path.stem for ecg in plan.ecgs.values()] == [disk("Größe")]


def test_a_folder_of_another_case_is_not_the_patients(tmp_path):
    place = tmp_path / "echo" / "p1" / "S1"
    place.mkdir(parents=True)
    (place / "a.dcm").write_bytes(dicom(film(20, 96)))
    (tmp_path / "labels.csv").write_text("patient_id,study_id,lvef\nP1,S1,55\n")
    assert plan_of(tmp_path).clips == []


def test_a_zip_whose_names_are_utf_8_without_saying_so_is_read(tmp_path):
    buffer = io.BytesIO()
    small_trees.write_record(tmp_path / "x")
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("Ärzte/ecgs.csv", "ecg_id,patient_id,path\nE1,P1,ecg/Größe\n")
        for suffix in (".hea", ".dat"):
            packed.writestr(f"Ärzte/ecg/Größe{suffix}", (tmp_path / f"x{suffix}").read_bytes())
    content = buffer.getvalue()
    silent_about_it = bytearray(content)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(mark, content):
            silent_about_it[found.start() + flags + 1] &= ~0x08  # bit 11: names are UTF-8
    place = Workspace(tmp_path / "w")
    plan = plan_of(unpacked_upload(place, keep_upload(place, "a.zip", bytes(silent_about_it))))
    assert bytes(silent_about_it) != content and list(plan.ecgs) == ["E1"] and plan.passed_over == []


def test_a_zip_in_the_letters_of_dos_is_read_as_before(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("M_ller/labels.csv", "patient_id,study_id,lvef\nP1,S1,55\n")
    place = Workspace(tmp_path / "w")
    content = buffer.getvalue().replace(b"M_ller", "Müller".encode("cp437"))
    folder = unpacked_upload(place, keep_upload(place, "a.zip", content))
    assert [path.name for path in folder.rglob("*") if path.is_dir()] == ["Müller"] and len(
        plan_of(folder).studies
    ) == 1


@pytest.mark.parametrize(
    ("given", "cohort"), [(os.fsdecode(b"W\xfcrd"), "W?rd"), ("  Ward\n7 ", "Ward 7"), ("  ", "Imported")]
)
def test_a_cohort_is_called_by_letters(tmp_path, given, cohort):
    (tmp_path / "t.csv").write_text("patient_id,study_id,lvef\nP1,S1,55\n")
    place = Workspace(tmp_path / "w")
    assert ingest(tmp_path, place, options=Options(given)).cohort == cohort
    options = Options(given, labels=tmp_path / "t.csv")
    jobs.queue(place, "import", import_parameters(tmp_path, options))
    assert jobs.jobs(place)[0].parameters["cohort"] == (cohort if given.strip() else "")
