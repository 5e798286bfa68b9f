"""A hospital's export comes in as it lies there: whose and when from the headers, measurements by their local names."""

import shutil
from datetime import datetime, time, timedelta

import pytest

from echo2ecg_core.intake.headers import read_header
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.preview import preview
from echo2ecg_core.phantom.cohort import PhantomCohort, write_cohort
from echo2ecg_core.phantom.hospital import LOCAL, TABLE
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests import small_trees

PATIENTS, SEED = 4, 11


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """ECGs and measurements of four phantom patients, clips of the first study only (drawing them takes long)."""
    out = write_cohort(tmp_path_factory.mktemp("hospital") / "out", PATIENTS, SEED, format="hospital", ecg_only=True)
    from echo2ecg_core.phantom import hospital

    hospital.write_study(out, PhantomCohort(PATIENTS, SEED), 0, 0, "hospital")
    return out


def test_an_export_comes_in_with_the_patients_times_and_labels_of_its_cohort(export, tmp_path):
    place = Workspace(tmp_path / "w")
    report = ingest(export, place, cohort="phantoms")
    catalog, patients = Catalog(place), [PhantomCohort(PATIENTS, SEED).patient(i) for i in range(PATIENTS)]
    assert report.refused == [] and report.patients == PATIENTS
    times = {(e.patient_id, e.time.isoformat()) for p in patients for e in p.ecgs}
    assert set(zip(catalog.ecgs().patient_id, catalog.ecgs().ecg_time, strict=True)) == times
    for study in (s for p in patients for s in p.studies):
        stored = catalog.study(study.study_id)
        assert stored.patient_id == study.patient_id and stored.study_date[:10] == study.date.isoformat()
        wanted = {name: value for name, value in study.labels().items() if name in LOCAL}
        assert stored.phenotypes == pytest.approx(wanted, abs=0.002)
    first = patients[0].studies[0]
    assert len(catalog.clips_of(first.study_id)) == len(first.views) == report.clips
    assert catalog.ecgs().synthetic.all() and set(catalog.ecgs().sex) <= {"male", "female"}


@pytest.mark.slow
def test_a_second_import_adds_nothing_and_reads_no_clip_again(export, tmp_path, monkeypatch):
    place = Workspace(tmp_path / "w")
    ingest(export, place, cohort="phantoms")
    before = Catalog(place).counts()
    monkeypatch.setattr("echo2ecg_core.intake.ingest.films", small_trees.read_here)
    monkeypatch.setattr("echo2ecg_core.echo.readers.read_clip", lambda path: pytest.fail("a clip was read again"))
    report = ingest(export, place, cohort="phantoms")
    assert (report.ecgs, report.studies, report.clips, report.changed) == (0, 0, 0, [])
    assert Catalog(place).counts() == before


def test_moving_files_about_changes_nothing(export, tmp_path):
    place, moved = Workspace(tmp_path / "w"), tmp_path / "moved"
    ingest(export, place, cohort="phantoms")
    before = Catalog(place).counts()
    for number, path in enumerate(sorted(p for p in export.rglob("*") if p.is_file() and p.name != TABLE)):
        (moved / str(number % 3)).mkdir(parents=True, exist_ok=True)
        if path.name == "manifest.json":
            shutil.copy(path, moved / "manifest.json")
        else:
            shutil.copy(path, moved / str(number % 3) / f"{number:03d}")
    shutil.copy(export / TABLE, moved / "1" / "export.csv")
    assert ingest(moved, place, cohort="phantoms").refused == [] and Catalog(place).counts() == before


def test_the_preview_counts_what_comes_in_and_writes_nothing(export, tmp_path):
    place = Workspace(tmp_path / "w")
    found = preview(export, place, Options(cohort="phantoms"))
    assert not place.exists() and found["problems"] == [] and found["layout"] == "Hospital export"
    report = ingest(export, place, cohort="phantoms")
    assert [found[k] for k in ("patients", "ecgs", "studies", "clips")] == [
        report.patients,
        report.ecgs,
        report.studies,
        report.clips,
    ]
    lvef = next(row for row in found["labels"] if row["name"] == "lvef")
    stored = Catalog(place).studies().lvef
    assert (lvef["n"], lvef["unit"]) == (stored.notna().sum(), "%") and sum(lvef["counts"]) == lvef["n"]
    assert [lvef["low"], lvef["high"]] == pytest.approx([stored.min(), stored.max()])
    hours = {PhantomCohort(PATIENTS, SEED).patient(0).studies[0].study_id: time(12)}  # its DICOM files tell one
    gaps = [
        abs(ecg.time - datetime.combine(study.date, hours.get(study.study_id, time())))
        for p in (PhantomCohort(PATIENTS, SEED).patient(i) for i in range(PATIENTS))
        for ecg in p.ecgs
        for study in p.studies
    ]
    assert found["pairs"] == {days: sum(g <= timedelta(days=days) for g in gaps) for days in (1, 7, 30, 90, 365)}


def test_what_is_neither_ecg_nor_echo_nor_table_is_named_with_its_reason(tmp_path):
    from pydicom.data import get_testdata_file

    folder = tmp_path / "export"
    (folder / "disc").mkdir(parents=True)
    shutil.copy(get_testdata_file("CT_small.dcm"), folder / "disc" / "IM2")
    shutil.copy(get_testdata_file("DICOMDIR"), folder / "disc" / "DICOMDIR")
    shutil.copy(get_testdata_file("waveform_ecg.dcm"), folder / "disc" / "IM3")
    shutil.copy(get_testdata_file("waveform_ecg.dcm"), folder / "again")
    (folder / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (folder / "letter.docx").write_bytes(b"PK\x03\x04")
    (folder / "phones.csv").write_text("name,phone\nward,123\n")
    (folder / "broken.csv").write_bytes(b"\0\0")
    (folder / "nobody.hea").write_text("nobody 1 500 5000\nnobody.dat 16 200/mV 16 0 0 0 0 I\n")
    plan = plan_of(folder)
    reasons = dict(plan.ignored)
    assert "modality CT" in reasons["disc/IM2"] and "table of contents" in reasons["disc/DICOMDIR"]
    assert "A video does not say whose it is" in reasons["film.mp4"]
    assert reasons["letter.docx"] == "neither an ECG, an echo clip nor a table"
    assert reasons["phones.csv"] == "a table without ids and labels that are known"
    assert "cannot be read as a table" in reasons["broken.csv"]
    told = dict(plan.passed_over)
    assert "does not say whose it is" in told["nobody.hea"] and "Another file holds an ECG" in told["disc/IM3"]
    assert len(plan.ecgs) == 1 and set(reasons) | set(told) | {"again"} == {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
    }


def test_whose_and_when_stand_in_the_headers_of_every_format(samples):
    found = {
        "dicom/ecgtoolkit_Example.dcm": ("2002-11-22T09:10:00", "male", 49),
        "scp_ecg/ecgtoolkit_Example.scp": ("2002-11-22T09:10:00", "male", 49),
        "hl7_aecg_xml/hl7_Example_aECG.xml": ("2002-11-22T09:10:00", "male", 46),
        "philips_sierra_xml/ad4d3d80_v1.04.xml": ("2008-12-23T19:44:46", "female", 32),
        "ge_muse_xml/introecg_MUSE_example.xml": (None, "male", 50),  # its date is crossed out
    }
    for name, (moment, sex, age) in found.items():
        header = read_header(samples / "ecg" / name)
        assert (header.kind, header.moment, header.sex, header.age_years) == ("ecg", moment, sex, age), name
        assert header.patient_id and header.ids, name


def test_a_table_finds_its_study_by_accession_number_uid_or_patient_and_day(export, tmp_path):
    from pydicom import dcmread

    study = PhantomCohort(PATIENTS, SEED).patient(0).studies[0]
    file = next(p for p in export.rglob("IM0001"))
    uid, day = dcmread(file, stop_before_pixels=True).StudyInstanceUID, study.date.isoformat()
    for n, table in enumerate(
        (
            f"Accession,LVEF\n{study.study_id},31\n",
            f"Study ID,LVEF\n{uid},31\n",
            f"MRN,Exam date,EF\n{study.patient_id},{day},31\n",
        )
    ):
        folder = tmp_path / str(n)
        folder.mkdir()
        shutil.copy(file, folder / "clip")
        (folder / "values.csv").write_text(table)
        plan = plan_of(folder)
        assert {i: s.phenotypes for i, s in plan.studies.items()} == {study.study_id: {"lvef": 31}}, table
        assert plan.problems.found == []
