"""The demo workspace: enough of everything, all of it synthetic, made through the readers, never twice."""

import json

import numpy as np
import pytest

from echo2ecg_core.answers.embed import clip_encoder_id, embed_ecgs
from echo2ecg_core.answers.loaded_model import active_model_card, load_active_model
from echo2ecg_core.errors import ModelError
from echo2ecg_core.intake import demo
from echo2ecg_core.reports.contents import contents
from echo2ecg_core.reports.folder import load_report
from echo2ecg_core.reports.headlines import headlines
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.paths import READOUTS_FILE, report_path
from echo2ecg_core.store.vectors import load_vectors


def test_the_whole_demo_has_two_hundred_studies_four_hundred_ecgs_and_four_views_each():
    people = demo.cohort()
    patients = [people.patient(i) for i in demo.demo_patients()]
    assert sum(len(p.studies) for p in patients) >= 200 and sum(len(p.ecgs) for p in patients) >= 400
    assert min(len(s.views) for p in patients for s in p.studies) >= 4
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
    assert (clips.groupby("study_id").size() >= 4).all()


@pytest.mark.slow
def test_the_view_classifier_names_most_phantom_views_right(demo_workspace):
    people, catalog = demo.cohort(), Catalog(demo_workspace)
    right = []
    for study_id in catalog.studies().study_id:
        study = next(s for s in people.patient(int(study_id[1:6]) - 1).studies if s.study_id == study_id)
        right.append(sorted(study.views) == sorted(c.view for c in catalog.clips_of(study_id)))
    assert np.mean(right) > 0.7


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
