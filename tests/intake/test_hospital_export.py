"""A hospital's export comes in as it lies there: whose and when from the headers, measurements by their local names."""

import shutil
from datetime import datetime, time, timedelta

import pytest

from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.preview import preview
from echo2ecg_core.phantom.cohort import PhantomCohort, write_cohort
from echo2ecg_core.phantom.hospital import LOCAL, TABLE
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

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


def test_a_second_import_adds_nothing_and_reads_no_clip_again(export, tmp_path, monkeypatch):
    place = Workspace(tmp_path / "w")
    ingest(export, place, cohort="phantoms")
    before = Catalog(place).counts()
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
