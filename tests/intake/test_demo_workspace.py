"""The demo workspace: enough of everything, all of it synthetic, made through the readers, never twice."""

import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
from typer.testing import CliRunner

from echo2ecg_core.answers.embed import clip_encoder_id, embed_ecgs
from echo2ecg_core.answers.loaded_model import active_model_card, load_active_model
from echo2ecg_core.cli import app
from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.intake import demo
from echo2ecg_core.phantom.cohort import write_cohort
from echo2ecg_core.reports.contents import contents
from echo2ecg_core.reports.folder import load_report
from echo2ecg_core.reports.headlines import headlines
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import read_manifest
from echo2ecg_core.store.paths import READOUTS_FILE, report_path
from echo2ecg_core.store.vectors import load_vectors


def test_the_whole_demo_has_two_hundred_studies_four_hundred_ecgs_and_four_views_each():
    cohort = demo.shipped_cohort()
    people = cohort.people()
    patients = [people.patient(i) for i in demo.demo_patients(cohort)]
    assert sum(len(p.studies) for p in patients) >= 200 and sum(len(p.ecgs) for p in patients) >= 400
    studies = [study for p in patients for study in p.studies]
    views = [len(study.views) for study in studies]
    assert min(views) >= 3 and np.mean(np.array(views) >= 4) > 0.98  # a poor window may cost a study of phantom 2 one
    assert sum(len(study.clips) for study in studies) <= 2200  # as many as the first start has time for
    assert {p.split for p in patients} == {"train", "validation", "test"}


def test_opening_an_empty_workspace_takes_the_shipped_model(tmp_path):
    place = Workspace(tmp_path)
    card = demo.open_workspace(place)
    assert card.active and card.synthetic and card == active_model_card(place) == demo.open_workspace(place)


def test_a_new_workspace_has_the_report_of_the_shipped_model_on_the_test_patients_of_its_cohort(tmp_path):
    place = Workspace(tmp_path)
    card = demo.open_workspace(place)
    report = load_report(place, card.model_id)
    tested = card.manifest()["test"]
    assert report.model["sha256"] == card.sha256 and report.data["counts"]["patients"] == tested["patients"]
    assert report.data["contents"]["readouts"] == contents(place, card.model_id)["readouts"] != ""
    (shown,) = [row for row in report.data["intervals"] if row["phenotype"] == "lvef"]
    for of_report, of_manifest in (("mae", "mae"), ("coverage", "coverage"), ("disease_coverage", "coverage_disease")):
        assert shown[of_report] == pytest.approx(tested["phenotypes"]["lvef"][of_manifest], abs=0.02)
    assert [shown["disease_low"], shown["disease_high"]] == pytest.approx(
        tested["phenotypes"]["lvef"]["coverage_disease_interval"], abs=0.02
    )
    headline = headlines(report, "lvef_le_40", "probe")[3]
    assert headline.value == f"{tested['phenotypes']['lvef']['mae']:.1f}"  # as README and About say it
    low, high = tested["phenotypes"]["lvef"]["auroc_reduced_interval"]
    probe = next(row for row in report.data["rows"] if row["key"] == "model.probe")
    assert low < probe["results"]["lvef_le_40"]["auroc"][0] < high  # another readout of the same embedding
    assert report_path(place, card.model_id).with_name("predictions.npz").is_file()


@pytest.mark.parametrize("fitted_here", [False, True])
def test_readouts_that_an_earlier_version_brought_are_renewed_and_those_fitted_in_the_workspace_kept(
    tmp_path, fitted_here
):
    place = Workspace(tmp_path)
    card = demo.open_workspace(place)
    new, old = card.manifest(), card.manifest()
    old["test"]["phenotypes"]["lvef"]["mae"] = 9.9
    old["readouts"] |= {"fitted_in": "here"} if fitted_here else {}
    (card.folder / "manifest.json").write_text(json.dumps(old))
    (card.folder / READOUTS_FILE).write_bytes(b"old")
    card = demo.open_workspace(place)
    assert card.manifest() == (old if fitted_here else new)
    shipped = (demo.SHIPPED_MODEL / READOUTS_FILE).read_bytes()
    assert (card.folder / READOUTS_FILE).read_bytes() == (b"old" if fitted_here else shipped)


@pytest.fixture
def later_version(tmp_path, monkeypatch):
    """What a later version ships: another model, shown on phantom 2; the present one is an earlier version's."""
    from tests.untrained_model import untrained_model

    monkeypatch.setattr(demo, "EARLIER", {read_manifest(demo.SHIPPED_MODEL)["sha256"]: demo.shipped_cohort()})

    def ship():
        model = untrained_model(tmp_path / "shipped")
        manifest = json.loads((model / "manifest.json").read_text())
        of_model = {"n_patients": 40, "seed": 7, "version": 2, "clips": 2}
        (model / "manifest.json").write_text(json.dumps(manifest | {"name": "demo-multiview", "demo": of_model}))
        monkeypatch.setattr(demo, "SHIPPED_MODEL", model)

    return ship


@pytest.mark.slow
def test_a_workspace_with_an_earlier_demo_keeps_its_model_and_patients_and_says_how_to_get_the_present_one(
    tmp_path, later_version
):
    old, new = Workspace(tmp_path / "old"), Workspace(tmp_path / "new")
    card, cohort = demo.open_workspace(old), demo.shipped_cohort()
    examples = [e.path.read_bytes() for e in demo.example_ecgs(old)]
    before = {p.name: p.read_bytes() for p in card.folder.iterdir()}
    assert demo.earlier_demo(old) == ""
    jobs.finish(old, jobs.queue(old, "demo"), "done", "")
    later_version()
    assert demo.open_workspace(old) == card and {p.name: p.read_bytes() for p in card.folder.iterdir()} == before
    assert demo.cohort_of(old) == cohort != demo.cohort_of(new) == demo.shipped_cohort()
    assert [e.path.read_bytes() for e in demo.example_ecgs(old)] == examples
    words = demo.earlier_demo(old)
    assert card.model_id in words and "echo2ecg demo --workspace NEW" in words
    told = CliRunner().invoke(app, ["demo", "--workspace", str(old.folder)], catch_exceptions=False)
    fresh = demo.open_workspace(new)
    assert fresh.model_id != card.model_id and demo.earlier_demo(new) == ""
    assert told.exit_code == 0 and " ".join(words.split()) in " ".join(told.output.split())


@pytest.mark.slow
def test_a_demo_that_an_earlier_version_began_goes_on_with_its_own_patients(tmp_path, later_version):
    place = Workspace(tmp_path / "w")
    demo.open_workspace(place)
    cohort = replace(demo.shipped_cohort(), n_patients=3)
    archive = place.folder / demo.ARCHIVE
    write_cohort(archive, **asdict(cohort), observer_noise=True, ecg_only=True, patients=[0])
    later_version()
    assert demo.cohort_of(place) == cohort
    write_cohort(archive, **asdict(demo.cohort_of(place)), observer_noise=True, ecg_only=True, patients=[0, 1])
    with pytest.raises(Echo2ECGError, match="holds another cohort"):
        write_cohort(archive, **asdict(demo.shipped_cohort()), observer_noise=True, ecg_only=True, patients=[0])


def test_a_report_that_somebody_made_is_kept(tmp_path):
    place = Workspace(tmp_path)
    card = demo.open_workspace(place)
    path = report_path(place, card.model_id)
    path.write_text("mine")
    with place.connect() as db:
        db.execute("UPDATE models SET active = 0")
    demo.open_workspace(place)
    assert path.read_text() == "mine"


def test_without_a_shipped_model_the_missing_model_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SHIPPED_MODEL", tmp_path / "nothing")
    with pytest.raises(ModelError, match="No model is active"):
        demo.open_workspace(Workspace(tmp_path / "w"))


def test_the_first_start_queues_one_demo_job_and_starts_a_worker(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(jobs, "start_worker", started.append)
    place = Workspace(tmp_path)
    for _ in range(3):
        demo.ensure_demo(place)
    assert [j.kind for j in jobs.jobs(place)] == ["demo"] and started


def test_three_examples_are_written_once_and_hold_no_label(tmp_path):
    place = Workspace(tmp_path)
    examples = demo.example_ecgs(place)
    stamps = [e.path.stat().st_mtime_ns for e in examples]
    assert len(examples) == 3 and [e.path.stat().st_mtime_ns for e in demo.example_ecgs(place)] == stamps
    for example in examples:
        assert example.path.with_suffix(".dat").is_file()
        assert "lvef" not in example.path.read_text().lower() and "synthetic" in example.path.read_text().lower()


@pytest.mark.slow
def test_a_finished_demo_is_whole_synthetic_and_embedded(demo_workspace):
    catalog = Catalog(demo_workspace)
    studies, ecgs, clips = catalog.studies(), catalog.ecgs(), catalog.clips()
    card = active_model_card(demo_workspace)
    assert studies.synthetic.all() and ecgs.synthetic.all() and demo.is_complete(demo_workspace)
    assert studies[["lvef", "lvedv", "lvesv", "lvsv", "ivsd"]].notna().all().all()
    assert set(load_vectors(demo_workspace.vectors, "ecg", card.model_id).ids) == set(ecgs.ecg_id)
    assert set(load_vectors(demo_workspace.vectors, "study_aligned", card.model_id).ids) == set(studies.study_id)
    assert clips.view.notna().all() and (clips.view_confidence > 0).all() and set(clips.format) == {"MP4"}
    studies = demo.cohort_of(demo_workspace).people()
    assert clips.groupby("study_id").size().to_dict() == {
        study.study_id: len(study.clips)
        for patient_id in catalog.studies().patient_id.unique()
        for study in studies.patient(int(patient_id[1:]) - 1).studies
    }


@pytest.mark.slow
def test_the_view_classifier_names_most_phantom_views_right(demo_workspace):
    people, catalog = demo.cohort_of(demo_workspace).people(), Catalog(demo_workspace)
    right, clips = 0, 0
    for study_id in catalog.studies().study_id:
        study = next(s for s in people.patient(int(study_id[1:6]) - 1).studies if s.study_id == study_id)
        shown = Counter(clip.view for clip in study.clips)
        right += (shown & Counter(clip.view for clip in catalog.clips_of(study_id))).total()
        clips += shown.total()
    assert right / clips > 0.85


@pytest.mark.slow
def test_embedding_again_does_nothing_and_a_lost_file_is_made_again(demo_workspace):
    model = load_active_model(demo_workspace)
    path = next(demo_workspace.vectors.glob("ecg--*"))
    before = path.read_bytes()
    told = []
    embed_ecgs(demo_workspace, model, lambda share, message: told.append(message))
    assert path.read_bytes() == before and not told
    path.write_bytes(before[: len(before) // 2])
    embed_ecgs(demo_workspace, model)
    again = load_vectors(demo_workspace.vectors, "ecg", model.card.model_id)
    assert len(again) == Catalog(demo_workspace).counts()["ecgs"]
    assert clip_encoder_id(model) != model.card.model_id
