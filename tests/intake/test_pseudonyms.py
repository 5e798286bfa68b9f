"""Real people: ids replaced, dates moved with their intervals, the oldest in one group, no name anywhere that stays."""

import csv
import json
import sqlite3
from datetime import datetime

import numpy as np
import pytest
import wfdb

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.preview import preview
from echo2ecg_core.intake.pseudonyms import SECRET_FILE, Pseudonyms, grouped_age, is_plain_statement, known_maker
from echo2ecg_core.phantom.cohort import PhantomCohort, write_cohort
from echo2ecg_core.phantom.dicom import FAMILY_NAMES, GIVEN_NAMES, FictitiousPatient, encode_dicom
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
PLANTED = ("Kowalczyk", "Brunhilde", "4711-0815")


@pytest.fixture
def archive(tmp_path):
    """One patient with two ECGs and two studies, whose name stands in ids, names of files, headers and columns."""
    folder = tmp_path / "Kowalczyk"
    (folder / "ecg").mkdir(parents=True)
    t = np.arange(5000) / 500
    signal = np.outer(np.exp(-0.5 * ((t % 0.9 - 0.4) / 0.012) ** 2) + 0.02 * np.sin(9 * t), np.linspace(0.5, 1.5, 12))
    for n in (1, 2):
        wfdb.wrsamp(
            f"Kowalczyk_{n}", fs=500, units=["mV"] * 12, sig_name=LEADS, p_signal=signal * n, fmt=["16"] * 12,
            write_dir=str(folder / "ecg"), comments=["Age: 93", "Sex: F", "Name: Kowalczyk, Brunhilde"],
        )  # fmt: skip
    (folder / "ecg" / "Brunhilde.hea").write_text("this is no header")
    (folder / "ecgs.csv").write_text(
        "ecg_id,patient_id,ecg_time,path\n"
        "Kowalczyk_1,4711-0815,2024-02-28T23:30:00,ecg/Kowalczyk_1.hea\n"
        "Kowalczyk_2,4711-0815,2024-03-01T08:15:00,ecg/Kowalczyk_2.hea\n"
        "Kowalczyk_3,4711-0815,2024-03-01T08:15:00,ecg/Brunhilde.hea\n"
    )
    (folder / "labels.csv").write_text(
        "patient_id,study_id,study_date,age_years,lvef,physician\n"
        "4711-0815,Kowalczyk-A,2024-02-28,93,60,Brunhilde\n4711-0815,Kowalczyk-B,2024-03-02,93,30,Brunhilde\n"
    )
    return folder


def everything_in(place: Workspace) -> str:
    """All text of the workspace: rows of every table, names and contents of every file."""
    rows = []
    with sqlite3.connect(place.database) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows += db.execute(f"SELECT * FROM {table}").fetchall()
    files = [f"{p.name} {p.read_bytes().decode('latin-1')}" for p in place.folder.rglob("*") if p.is_file()]
    return "\n".join([*map(str, rows), *files])


def test_nothing_of_the_person_stays_in_workspace_and_report(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    report = ingest(archive, place, cohort="ward")
    assert report.ecgs == 2 and report.pseudonyms and [r["file"] for r in report.refused] == ["file 1"]
    text = everything_in(place) + json.dumps(report.as_json())
    assert [name for name in PLANTED if name in text] == []


def test_a_hospitals_headers_leave_no_name_and_no_number_behind(tmp_path):
    """The phantom's export without its manifest is one of real patients for all that the program knows."""
    export = write_cohort(tmp_path / "export", 2, 7, format="hospital", ecg_only=True)
    (export / "manifest.json").unlink()
    patients = [PhantomCohort(2, 7).patient(i) for i in range(2)]
    study = patients[0].studies[0]
    person = FictitiousPatient.of(study.patient_id, study.heart.sex, study.heart.age_years, study.date)
    (export / "IM1").write_bytes(encode_dicom(study.render("A4C"), person, study.study_id, study.date))
    place = Workspace(tmp_path / "w")
    report = ingest(export, place, cohort="ward")
    assert report.pseudonyms and report.ecgs == sum(len(p.ecgs) for p in patients) and report.clips == 1
    assert "blacked out" in " ".join(Catalog(place).clips().notes)
    text = everything_in(place) + json.dumps(report.as_json())
    given = {i for p in patients for i in (p.patient_id, *(s.study_id for s in p.studies), *(e.ecg_id for e in p.ecgs))}
    assert [
        name for name in {*FAMILY_NAMES, *GIVEN_NAMES, *given, "Fictitious Heart"} if len(name) > 3 and name in text
    ] == []
    days = {s.date.isoformat() for p in patients for s in p.studies} | {
        e.time.date().isoformat() for p in patients for e in p.ecgs
    }
    assert [day for day in days if day in text] == []


def test_intervals_and_hours_stay_and_days_do_not(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    ingest(archive, place, cohort="ward")
    times = sorted(datetime.fromisoformat(t) for t in Catalog(place).ecgs().ecg_time)
    assert times[1] - times[0] == datetime(2024, 3, 1, 8, 15) - datetime(2024, 2, 28, 23, 30)
    assert (times[0].hour, times[0].minute) == (23, 30)
    moved = (datetime(2024, 2, 28, 23, 30) - times[0]).days
    assert 366 <= moved <= 3652
    days = sorted(datetime.fromisoformat(d) for d in Catalog(place).studies().study_date)
    assert (datetime(2024, 2, 28) - days[0]).days == moved and (days[1] - days[0]).days == 3
    record = Catalog(place).ecg_record(Catalog(place).ecgs().ecg_id[0])
    assert record.age_years == 90 and (Catalog(place).studies().age_years == 90).all()


def test_the_same_person_keeps_the_name_in_a_cohort_and_gets_another_elsewhere(archive, tmp_path):
    place, other = Workspace(tmp_path / "w"), Workspace(tmp_path / "v")
    ingest(archive, place, cohort="ward")
    again = ingest(archive, place, cohort="ward")
    assert (again.patients, again.studies, again.ecgs) == (0, 0, 0)
    first = Catalog(place).ecgs().patient_id[0]
    ingest(archive, place, cohort="clinic")
    ingest(archive, other, cohort="ward")
    assert len(set(Catalog(place).ecgs().patient_id)) == 2 and first not in set(Catalog(other).ecgs().patient_id)


def test_a_preview_and_a_refusal_make_no_secret(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    with place.connect():
        pass
    preview(archive, place, Options(cohort="ward"))
    (archive / "labels.csv").write_text("patient_id,study_id,lvef\nA,S1,high\n")
    with pytest.raises(StoreError):
        ingest(archive, place, cohort="ward")
    assert not (place.folder / SECRET_FILE).exists()


def test_the_key_leads_back_and_lies_outside_the_workspace(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    with pytest.raises(StoreError, match="inside the workspace"):
        ingest(archive, place, cohort="ward", options=Options(key=place.folder / "key.csv"))
    assert Catalog(place).counts()["patients"] == 0
    ingest(archive, place, cohort="ward", options=Options(key=tmp_path / "key.csv"))
    rows = list(csv.DictReader((tmp_path / "key.csv").open()))
    given = {row["id"]: row["given_id"] for row in rows}
    assert {given[i] for i in Catalog(place).studies().study_id} == {"Kowalczyk-A", "Kowalczyk-B"}
    assert {given[i] for i in Catalog(place).ecgs().patient_id} == {"4711-0815"}
    assert (tmp_path / "key.csv").stat().st_mode & 0o077 == 0


def test_ids_dates_and_ages_stay_where_a_person_asks_for_it(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    report = ingest(archive, place, cohort="ward", keep_ids=True)
    assert not report.pseudonyms and set(Catalog(place).studies().study_id) == {"Kowalczyk-A", "Kowalczyk-B"}
    assert Catalog(place).study("Kowalczyk-A").age_years == 93
    assert [r["file"] for r in report.refused] == ["ecg/Brunhilde.hea"]


@pytest.mark.parametrize(("age", "group"), [(89, 89), (89.5, 90), (90, 90), (104, 90), (None, None), (0.2, 0.2)])
def test_ages_over_89_are_one_group(age, group):
    assert grouped_age(age) == group


@pytest.mark.parametrize(
    ("statement", "plain"),
    [
        ("Sinus rhythm", True),
        ("Left bundle branch block", True),
        ("Abnormal ECG", True),
        ("Prolonged QT interval, consider ischemia", True),
        ("Electronically signed by Jane Doe", False),
        ("Doe, Jane: sinus rhythm", False),
        ("Sinus rhythm JD", False),
        ("", False),
    ],
)
def test_a_statement_of_the_device_stays_only_if_it_speaks_of_nothing_else(statement, plain):
    assert is_plain_statement(statement) == plain


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        ("Mortara Instrument, Inc. ELI250", "Mortara"), ("GE MAC5500 Ward of Dr. Doe", "GE"),
        ("St. Mary's, bed 7", None), ("philips PageWriter TC70", "Philips"), ("George", None), ("", None),
    ],
)  # fmt: skip
def test_of_a_device_its_maker_stays_and_nothing_that_a_ward_writes(text, maker):
    assert known_maker(text) == maker


def test_names_of_two_secrets_and_kinds_have_nothing_in_common():
    names = {
        Pseudonyms(secret, cohort).id(kind, "1")
        for secret in (b"a" * 32, b"b" * 32)
        for cohort in ("x", "y")
        for kind in ("patient", "study", "ecg")
    }
    assert len({name[2:] for name in names}) == 12
