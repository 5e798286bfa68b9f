"""A correction by a person: what it was is kept, every reader sees the new value, nothing that cannot be gets in."""

import csv
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from echo2ecg_core.answers import maps
from echo2ecg_core.answers.readiness import older_readouts
from echo2ecg_core.answers.search import Filters, candidates
from echo2ecg_core.cli import app
from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.reports.contents import changes, contents, fingerprint
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.corrections import FIELDS, correct, corrections, made_older_by, removals
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.new_rows import NewPatient, NewStudy
from echo2ecg_core.store.paths import READOUTS_FILE
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.training import prepare, readouts
from pages.ui import resources
from tests.small_workspace import MODEL_ID, small_workspace

WHO = "ada@example.org"
ABOUT = Path(__file__).resolve().parents[2] / "pages" / "about.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("made") / "w", 12)


@pytest.fixture
def place(made, tmp_path):
    return Workspace(shutil.copytree(made.folder, tmp_path / "w"))


def test_the_new_value_stands_and_the_old_one_is_kept_with_who_when_and_why(place):
    made = correct(place, "study", "S-0003", "lvef", "35", who=WHO, why="biplane")
    catalog = Catalog(place)
    assert catalog.study("S-0003").phenotypes["lvef"] == 35 and made.was == pytest.approx(20 + 50 * 3 / 11)
    row = corrections(place).iloc[0]
    assert (row.kind, row.id, row["name"], row.now, row.who, row.why) == (
        "study", "S-0003", "lvef", 35.0, WHO, "biplane",
    )  # fmt: skip
    assert row.patient_id == "P-0003" and row.cohort == "small" and row.synthetic and row.made_at[:2] == "20"


@pytest.mark.parametrize(
    ("kind", "id", "name", "given", "read"),
    [
        ("patient", "P-0000", "sex", "female", lambda c: c.study("S-0000").sex),
        ("study", "S-0000", "study_date", "2026-02-03", lambda c: c.study("S-0000").study_date),
        ("study", "S-0000", "age_years", "71.5", lambda c: c.study("S-0000").age_years),
        ("study", "S-0000", "tr_grade", "severe", lambda c: c.study("S-0000").phenotypes["tr_grade"]),
        ("study", "S-0000", "rhythm", "af", lambda c: c.study("S-0000").findings.rhythm),
        ("ecg", "E-0000", "ecg_time", "2026-02-03 04:05", lambda c: c.ecgs().set_index("ecg_id").ecg_time["E-0000"]),
    ],
)
def test_every_kind_of_fact_can_be_corrected_and_taken_back(place, kind, id, name, given, read):
    catalog = Catalog(place)
    was, version = read(catalog), place.version()
    made = correct(place, kind, id, name, given, who=WHO)
    assert read(catalog) == made.now != was and place.version() > version
    correct(place, kind, id, name, was, who=WHO)
    assert read(catalog) == was and list(corrections(place)["now"]) == [was, made.now]


def test_what_pages_filter_by_follows_a_correction_at_once(place):
    assert candidates(place, Filters(sex="female", phenotypes={"lvef": (34, 36)})).study_ids == ()
    correct(place, "study", "S-0000", "lvef", 35, who=WHO)
    correct(place, "patient", "P-0000", "sex", "female", who=WHO)
    correct(place, "clip", Catalog(place).clips_of("S-0000")[0].clip_id, "view", "Subcostal", who=WHO)
    strict = Filters(sex="female", phenotypes={"lvef": (34, 36)}, views=("Subcostal",))
    assert candidates(place, strict).study_ids == ("S-0000",)
    row = snapshot(place).studies.set_index("study_id").loc["S-0000"]
    assert (row.lvef, row.sex) == (35.0, "female")


def test_a_corrected_view_has_no_confidence_and_no_classifier_takes_it_back(place):
    catalog = Catalog(place)
    clip = catalog.clips_of("S-0000")[0].clip_id
    correct(place, "clip", clip, "view", "Subcostal", who=WHO)
    catalog.set_views({clip: ("A4C", 0.4)})
    assert (catalog.clip(clip).view, catalog.clip(clip).view_confidence) == ("Subcostal", None)


def test_a_corrected_sex_reaches_the_opened_ecg_and_no_file_sets_it_again(place):
    catalog = Catalog(place)
    assert catalog.ecg_record("E-0000").sex == "male"
    correct(place, "patient", "P-0000", "sex", "female", who=WHO)
    assert catalog.ecg_record("E-0000").sex == "female"
    correct(place, "patient", "P-0000", "sex", None, who=WHO)
    catalog.set_sex_if_unknown({"P-0000": "male"})
    assert catalog.ecg_record("E-0000").sex is None and catalog.study("S-0000").sex is None


@pytest.mark.parametrize(
    ("kind", "id", "name", "value", "words"),
    [
        ("study", "S-0000", "lvef", "130", "lvef has to be a number, 0 to 100 in %; found 130"),
        ("study", "S-0000", "lvef", "nan", "found nan"),
        ("study", "S-0000", "lvef", "thirty", "found 'thirty'"),
        ("study", "S-0000", "mr_grade", "1.5", "a grade, 0 to 3"),
        ("study", "S-0000", "age_years", "-1", "age_years has to be a number, 0 to 120"),
        ("study", "S-0000", "study_date", "31.13.2020", "is no date"),
        ("patient", "P-0000", "sex", "f", "is no sex. Known: male, female"),
        ("study", "S-9999", "lvef", "50", "There is no study 'S-9999'"),
        ("study", "S-0000", "split", "train", "there is no 'split' to correct"),
        ("patients; --", "x", "sex", "male", "to correct"),
        ("ecg", "E-0000", "ecg_time", "2026-01-05", "is 2026-01-05 already"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence_and_leaves_nothing(place, kind, id, name, value, words):
    before = fingerprint(place)
    with pytest.raises(StoreError, match=words):
        correct(place, kind, id, name, value, who=WHO)
    assert fingerprint(place) == before and corrections(place).empty


def test_every_phenotype_can_be_corrected():
    assert set(PHENOTYPES) < set(FIELDS["study"])


def test_a_second_import_keeps_the_correction_and_says_so_until_it_is_taken_back(place):
    catalog, old = Catalog(place), NewStudy("S-0003", "P-0003", "2026-01-05", 43.0, {"lvef": 60.0, "lvedv": 120.0})
    catalog.add_studies([old])
    correct(place, "study", "S-0003", "lvef", 35, who=WHO)
    correct(place, "study", "S-0003", "lvedv", None, who=WHO)
    correct(place, "patient", "P-0003", "sex", "male", who=WHO)
    told = catalog.add_studies([old]) + catalog.add_patients([NewPatient("P-0003", "test", "small", True, "female")])
    assert {(c.name, c.was, c.now) for c in told} == {
        ("lvef", 35.0, 60.0), ("lvedv", None, 120.0), ("sex", "male", "female"),
    }  # fmt: skip
    assert all(c.kept.startswith(f"by {WHO} on 20") for c in told)
    assert catalog.study("S-0003").phenotypes["lvef"] == 35 and "lvedv" not in catalog.study("S-0003").phenotypes
    correct(place, "study", "S-0003", "lvef", 60, who=WHO)
    changed = catalog.add_studies([NewStudy("S-0003", "P-0003", phenotypes={"lvef": 58.0})])
    assert [(c.now, c.kept) for c in changed] == [(58.0, "")] and catalog.study("S-0003").phenotypes["lvef"] == 58


def test_reports_and_readouts_say_that_they_are_older_and_vectors_do_not(place):
    card = ModelRegistry(place).get(MODEL_ID)
    manifest = card.manifest() | {"readouts": {"labels_as_of": "2026-01-01T00:00:00+00:00"}}
    (card.folder / "manifest.json").write_text(json.dumps(manifest))
    vectors = {p.name: p.stat().st_mtime_ns for p in place.vectors.rglob("*") if p.is_file()}
    assert older_readouts(place, card) == ""
    then = contents(place, MODEL_ID)
    correct(place, "patient", "P-0000", "sex", "female", who=WHO)
    assert changes(then, contents(place, MODEL_ID)) == "Since it was made, sexes of patients changed."
    assert older_readouts(place, card) == "", "no readout is fitted on a sex"
    correct(place, "study", "S-0000", "lvef", 33, who=WHO)
    assert "labels changed" in changes(then, contents(place, MODEL_ID))
    assert older_readouts(place, card).startswith("Since they were fitted, 1 label was corrected.")
    assert {p.name: p.stat().st_mtime_ns for p in place.vectors.rglob("*") if p.is_file()} == vectors
    remove(place, ecg="E-0001", who=WHO)
    assert "1 label was corrected and 1 ECG was taken out" in older_readouts(place, card)
    assert made_older_by(place, "2999-01-01") == ""


def test_the_card_of_the_model_says_that_its_readouts_are_older_and_preparing_fits_them_again(place, monkeypatch):
    card = ModelRegistry(place).get(MODEL_ID)
    manifest = card.manifest() | {"readouts": {"labels_as_of": "2026-01-01T00:00:00+00:00"}}
    (card.folder / "manifest.json").write_text(json.dumps(manifest))
    (card.folder / READOUTS_FILE).write_bytes(b"there")
    fitted = []
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(prepare, "embed_workspace", lambda *_: [])
    monkeypatch.setattr(prepare, "readiness", lambda *_: SimpleNamespace(readouts=True))
    monkeypatch.setattr(maps, "map_is_due", lambda *_: False)
    monkeypatch.setattr(readouts, "fit_readouts", lambda *_: fitted.append(MODEL_ID))
    about = lambda: AppTest.from_file(ABOUT, default_timeout=30).run()  # noqa: E731
    assert not about().warning
    prepare.prepare_model(place, MODEL_ID)
    assert not fitted, "nothing changed"
    correct(place, "study", "S-0000", "lvef", 33, who=WHO)
    assert "Older readouts" in about().warning[0].value and "1 label was corrected" in about().warning[0].value
    prepare.prepare_model(place, MODEL_ID)
    assert fitted == [MODEL_ID]


def test_what_is_taken_out_takes_its_corrections_along_and_leaves_a_count_without_ids(place):
    clip = Catalog(place).clips_of("S-0002")[0].clip_id
    for kind, id, name, value in (
        ("patient", "P-0002", "sex", "female"),
        ("study", "S-0002", "lvef", 40),
        ("ecg", "E-0002", "ecg_time", "2026-03-03"),
        ("clip", clip, "view", "A3C"),
        ("study", "S-0003", "lvef", 40),
    ):
        correct(place, kind, id, name, value, who=WHO)
    assert len(corrections(place, patient="P-0002")) == 4
    remove(place, patient="P-0002", who=WHO)
    assert list(corrections(place).id) == ["S-0003"]
    kept = removals(place)
    assert kept.drop(columns="removed_at").to_dict("records") == [
        {"who": WHO, "kind": "patient", "cohort": "small", "patients": 1, "studies": 1, "clips": 1, "ecgs": 1}
    ]
    with place.connect() as db:
        assert "0002" not in "".join(line for line in db.iterdump() if "INSERT INTO" in line and "blobs" not in line)


def test_the_terminal_corrects_and_lists_as_a_table_that_no_spreadsheet_runs(place):
    run = lambda *words: CliRunner().invoke(app, [*words, "--workspace", str(place.folder)])  # noqa: E731
    done = run("correct", "--study", "S-0003", "lvef=35", "--why", "=HYPERLINK()", "--who", WHO, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["now"] == 35
    assert "lvef of study S-0003 was 35, is 36 now." in run("correct", "--study", "S-0003", "lvef=36").stdout
    rows = list(csv.DictReader(io.StringIO(run("corrections", "--csv").stdout)))
    assert [(r["who"], r["was"], r["now"], r["why"]) for r in rows] == [
        ("local admin", "35.0", "36.0", ""), (WHO, rows[1]["was"], "35.0", "'=HYPERLINK()"),
    ]  # fmt: skip
    assert "ada@example.org: lvef of study S-0003" in run("corrections").stdout
    assert len(json.loads(run("corrections", "--json").stdout)) == 2
    for words in (["lvef=3"], ["--study", "S-0003", "lvef"], ["--study", "S-0003", "--ecg", "E-0001", "lvef=3"]):
        assert isinstance(run("correct", *words).exception, Echo2ECGError)
