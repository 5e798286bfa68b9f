"""A training from settings to a registered model: settings, the plan, the run folder, stopping and going on,
refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echo2ecg_core.answers.loaded_model import why_no_studies
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.intake.demo import open_workspace
from echo2ecg_core.phantom.cohort import PhantomCohort
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.new_rows import NewClip, NewEcg, NewPatient, NewStudy
from echo2ecg_core.store.paths import run_folder
from echo2ecg_core.store.vectors import VectorSet
from echo2ecg_core.training.settings import KEYS, TRAINING_PRESETS, training_settings
from echo2ecg_core.training.train import plan_training, run_training, training_parameters

SMALL = {"patients": 0, "epochs": 2, "batch_size": 16, "precision": "32-true"}
N_PATIENTS = 170


@pytest.fixture(scope="module")
def labelled(built_once) -> Workspace:
    return built_once("train", labelled_workspace)


def labelled_workspace(folder: Path) -> Workspace:
    """Phantom ECGs and labels in a workspace, with made-up clip vectors that tell the LVEF; no clip is rendered."""
    workspace = Workspace(folder / "workspace")
    card = open_workspace(workspace)
    catalog, rng = Catalog(workspace), np.random.default_rng(3)
    directions = rng.normal(size=(2, 512))
    patients, studies, clips, ecgs, vectors = [], [], [], [], []
    for i in range(N_PATIENTS):
        patient = PhantomCohort(N_PATIENTS, 5).patient(i)
        patients.append(NewPatient(patient.patient_id, patient.split, "made", True, patient.heart.sex))
        for study in patient.studies:
            studies.append(NewStudy(study.study_id, patient.patient_id, str(study.date), phenotypes=study.labels()))
            for view in ("A4C", "A2C"):
                clips.append(NewClip(study.study_id, f"{study.study_id}{view}".encode(), 50, 32, "phantom", view))
                vectors.append(
                    directions[0] * study.heart.lvef / 10 + directions[1] * study.heart.lavi / 10 + rng.normal(size=512)
                )
        for ecg in patient.ecgs:
            record = EcgRecord(ecg.signal_mv(), 500.0, "phantom", ecg.ecg_id)
            ecgs.append(NewEcg(ecg.ecg_id, patient.patient_id, record, str(ecg.time)))
    catalog.add_patients(patients)
    catalog.add_studies(studies)
    catalog.add_ecgs(ecgs)
    encoder_id = card.manifest()["weights"]["clip_encoder"]["sha256"][:8]
    ids = tuple(catalog.add_clips(clips))
    VectorSet("clip", encoder_id, ids, np.stack(vectors).astype(np.float32)).save(workspace.vectors)
    return workspace


@pytest.fixture
def small_networks(monkeypatch):
    """The demo preset with one block a network."""
    demo = TRAINING_PRESETS["demo"]
    small = replace(demo.spec, ecg_encoder=replace(demo.spec.ecg_encoder, depth=1))
    monkeypatch.setitem(TRAINING_PRESETS, "demo", replace(demo, spec=small))


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
def test_a_run_leaves_settings_metrics_and_a_registered_inactive_model(labelled):
    active = ModelRegistry(labelled).active().model_id
    said = []
    closing = run_training(
        labelled,
        {"preset": "demo", "set": SMALL, "name": "tiny"},
        lambda share, message: said.append((share, message)),
        job_id=7,
    )
    folder = run_folder(labelled, 7)
    card = next(c for c in ModelRegistry(labelled).models() if c.name == "tiny")
    assert card.model_id in closing and card.synthetic and not card.active
    assert ModelRegistry(labelled).active().model_id == active
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["parameters"]["epochs"] == 2 and settings["pairs"] >= settings["patients"] > 70
    epochs = [m for m in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()) if m["kind"] == "epoch"]
    assert [m["epoch"] for m in epochs] == [1, 2] and epochs[-1]["eta_s"] == 0
    assert list((folder / "tensorboard").glob("events*"))
    manifest = card.manifest()
    assert manifest["test"]["phenotypes"]["lvef"]["mae"] > 0 and manifest["run"]["batch_size"] == 16
    assert [share for share, _ in said] == sorted(share for share, _ in said) and any(
        "Epoch 2 of 2" in message for _, message in said
    )


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
def test_a_cancelled_run_goes_on_to_the_same_weights(labelled):
    parameters = {"preset": "demo", "set": {**SMALL, "epochs": 3, "seed": 9}}
    run_training(labelled, parameters, job_id=20)

    def cancel(share, message):
        if "Epoch 2" in message:
            raise jobs.Cancelled("Stopped.", "Resume it.")

    with pytest.raises(jobs.Cancelled):
        run_training(labelled, parameters, cancel, job_id=21)
    kept = (run_folder(labelled, 21) / "state.pt").read_bytes()
    with pytest.raises(Echo2ECGError, match=r"run-0021 began with other settings \(lr=0.001, now 0.5\), and a run"):
        run_training(labelled, {"preset": "demo", "set": {**parameters["set"], "lr": 0.5}}, job_id=21)
    with pytest.raises(Echo2ECGError, match=r"\(bodies=0, now 1\)"):
        run_training(labelled, {"preset": "demo", "set": {**parameters["set"], "bodies": 1}}, job_id=21)
    assert (run_folder(labelled, 21) / "state.pt").read_bytes() == kept, "nothing that was learnt is lost"
    run_training(labelled, parameters, job_id=21)
    one, two = (
        json.loads((run_folder(labelled, n) / "model" / "manifest.json").read_text())["weights"]["echo2ecg"]["sha256"]
        for n in (20, 21)
    )
    assert one == two


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
def test_masked_pretraining_registers_an_ecg_encoder_only_and_others_start_from_it(labelled):
    run_training(
        labelled, {"preset": "demo", "set": {**SMALL, "objective": "masked", "epochs": 1}, "name": "masked"}, job_id=30
    )
    card = next(c for c in ModelRegistry(labelled).models() if c.name == "masked")
    assert card.manifest()["spec"]["parts"] == ["ecg"]
    assert f"`train --preset demo --set start_from={card.model_id}`" in why_no_studies(card)  # of the same size
    run_training(
        labelled,
        {"preset": "demo", "set": {**SMALL, "epochs": 1, "start_from": card.model_id}, "name": "on top"},
        job_id=31,
    )
    origin = next(c for c in ModelRegistry(labelled).models() if c.name == "on top").manifest()["started_from"]
    assert (
        origin["sha256"] == card.sha256
        and origin["run"]["objective"] == "masked"
        and "objective=masked" in origin["command"]
    )
    assert "started_from" not in card.manifest() and "started_from" not in origin
    with pytest.raises(Echo2ECGError, match="other sizes than the preset paper"):
        run_training(labelled, {"preset": "paper", "set": {"start_from": card.model_id, "batch_size": 8}}, job_id=32)


@pytest.mark.slow
def test_the_plan_counts_pairs_patients_and_steps(labelled):
    plan = plan_training(labelled, "demo", SMALL)
    assert plan.pairs >= plan.patients > 70 and plan.validation_patients > 10
    assert plan.steps == plan.patients // 16 * 2 and plan.seconds > 0 and plan.disk_bytes > 0
    assert plan_training(labelled, "demo", {**SMALL, "within_days": 90}).pairs > plan.pairs
    with pytest.raises(Echo2ECGError, match="fewer than one step needs"):
        plan_training(labelled, "demo", {**SMALL, "accumulate": 100})


def test_a_training_on_a_version_of_the_phantom_that_is_not_there_is_refused_in_words():
    assert training_settings("demo", {"phantom": "1"}).phantom == 1
    with pytest.raises(Echo2ECGError, match="phantom=4: there is no such version"):
        training_settings("demo", {"phantom": 4})


def test_an_empty_workspace_has_nothing_to_plan(tmp_path):
    with pytest.raises(Echo2ECGError, match="0 ECGs and 0 studies"):
        plan_training(Workspace(tmp_path), "paper")


@pytest.mark.slow
def test_without_clip_vectors_training_says_what_to_do(labelled, tmp_path):
    workspace = Workspace(tmp_path)
    open_workspace(workspace)
    with pytest.raises((StoreError, Echo2ECGError), match="vectors|ECGs"):
        run_training(workspace, {"preset": "demo", "set": SMALL}, job_id=1)


def test_the_paper_preset_is_the_published_recipe():
    paper = training_settings("paper")
    run, spec = paper.run, paper.spec
    assert (
        run.lr,
        run.layer_decay,
        run.epochs,
        run.warmup_epochs,
        run.min_lr_factor,
        run.weight_decay,
        run.batch_size,
    ) == (5e-4, 0.75, 50, 2, 0.1, 1e-7, 256)
    assert (
        run.same_patient_negatives
        and run.epoch_of == "pairs"
        and run.clip_norm is None
        and run.view_dropout == 0
        and not paper.patients
        and paper.within_days == 7
    )
    assert (spec.temperature, spec.learnable_temperature, spec.study.width, spec.study.pooling) == (
        0.5,
        False,
        1024,
        "attention",
    )
    assert (run.augmentation.gain_std, run.augmentation.jitter_strength, run.augmentation.sign_flip_probability) == (
        0.5,
        0.6,
        0.33,
    )


def test_everything_settable_can_be_set_as_text():
    values = {
        "objective": "masked",
        "epoch_of": "patients",
        "precision": "32-true",
        "same_patient_negatives": "false",
        "clip_norm": "1",
        "learnable_temperature": "on",
        "pooling": "mean",
        "windows": "all",
        "start_from": "abc",
        "clip_encoder": "new",
        "mask_ratio": "0.5",
        "min_lr_factor": "0.2",
        "view_dropout": "0.5",
        "phantom": "1",
    }
    for key in KEYS:
        others = {"objective": "masked", "patients": "40"} if key == "unlabelled" else {}  # which alone may have it
        chosen, without = others | {key: values.get(key, "3")}, training_settings("paper", others)
        assert training_settings("paper", chosen) != without, key


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["epochs"], "not of the form key=value"),
        (["colour=red"], "nothing called 'colour'"),
        (["epochs=many"], "epochs has to be a whole number"),
        (["learnable_temperature=maybe"], "true or false"),
        (["pooling=best"], "has to be one of attention"),
    ],
)
def test_wrong_words_are_refused_before_anything_starts(words, said):
    with pytest.raises(Echo2ECGError, match=said):
        training_parameters("demo", words)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(Echo2ECGError, match="paper, demo"):
        training_parameters("huge", [])
