"""The model that ships, assembled from a folder of the comparison: its weights, who it was made of, nobody twice."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import demo_from_claim, demo_readouts
from benchmarks.claim.ledger import LEDGER
from benchmarks.claim.plan import TRAINED, small_plan
from benchmarks.claim.training import _of_arm
from echo2ecg_core.answers.loaded_model import load_readouts
from echo2ecg_core.intake.demo import DemoCohort
from echo2ecg_core.models.checkpoint import load_checkpoint
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.echo_encoder import PhantomVideoNet
from echo2ecg_core.store.model_registry import read_manifest

BETTER = 7.5
ERRORS = {"attention": {0: 9.5}, "mean": {0: 9.25}}


@pytest.fixture(scope="module")
def claim(tmp_path_factory) -> Path:
    """What the comparison leaves in its folder, with untrained networks; the second recipe has the smaller errors."""
    from safetensors.torch import save_file

    folder, plan = tmp_path_factory.mktemp("claim"), small_plan(3)
    for name in ("patients", "ecgs", "recipe", "arms/attention-0"):
        (folder / name).mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan.to_dict(), indent=1))
    (folder / "patients/train.json").write_text(json.dumps([n for n in range(62) if n % 9]))
    (folder / "patients/validation.json").write_text("[0, 1, 4]")
    for part, count in (("train", 70), ("validation", 4)):
        np.savez(folder / f"ecgs/{part}-00000.npz", ecg_of=np.arange(count))
    for recipe in plan.grid:
        error = BETTER if recipe == plan.grid[1] else 9.0
        for arm in TRAINED:
            told = json.dumps({"lvef_error": error})
            (folder / f"recipe/{arm}-{_of_arm(arm, recipe).name}.json").write_text(told)
    lines = [("start", 60.0), ("attention-0", 90.0), ("attention-0", 30.0)]
    text = "".join(json.dumps({"stage": "arms", "task": task, "seconds": s}) + "\n" for task, s in lines)
    (folder / LEDGER).write_text(text)
    torch.manual_seed(5)
    save_file(PhantomVideoNet().state_dict(), folder / "clip-encoder.safetensors")
    save_file({"none": torch.zeros(1)}, folder / "start.safetensors")
    save_file(Echo2ECG(plan.spec("attention")).state_dict(), folder / "arms/attention-0/network.safetensors")
    return folder


def test_networks_are_taken_as_they_are_and_the_manifest_tells_how_they_came_about(claim, tmp_path):
    from safetensors.torch import load_file

    plan = demo_from_claim.plan_of(claim)
    sha256 = demo_from_claim.assemble(plan, claim, "attention", 0, ERRORS, tmp_path)
    made, manifest = load_checkpoint(tmp_path), read_manifest(tmp_path)
    for network, file in (
        (made.echo2ecg, "arms/attention-0/network.safetensors"),
        (made.clip_encoder, "clip-encoder.safetensors"),
    ):
        for name, weight in load_file(claim / file).items():
            assert torch.equal(network.state_dict()[name], weight.half().float()), name
    assert made.sha256 == sha256 and made.spec == plan.spec("attention") and manifest["synthetic"]
    assert manifest["cohort"]["patients"] == {"train": 55, "validation": 3} and manifest["pairs"]["train"] == 70
    assert manifest["run"]["lr"] == plan.grid[1].lr and manifest["arm"]["recipe"] == plan.grid[1].name
    assert manifest["arm"]["validation_lvef_error"] == {"attention": {"0": 9.5}, "mean": {"0": 9.25}}
    assert (manifest["training_minutes"], manifest["started_from"]["training_minutes"]) == (2.0, 1.0)


def test_arm_and_seed_are_chosen_on_validation_patients_and_test_patients_choose_nothing(claim, tmp_path, monkeypatch):
    rng, n = np.random.default_rng(3), 60
    lvef = rng.normal(55.0, 10.0, (2, n))
    part = {
        name: SimpleNamespace(labels=pd.DataFrame({"lvef": of_part}), ecg_of=np.arange(n))
        for name, of_part in zip(("train", "validation"), lvef, strict=True)
    }
    monkeypatch.setattr(demo_from_claim, "load_part", lambda folder, name: part[name])
    for arm, seed, noise in (("attention", 0, 2.0), ("attention", 1, 9.0), ("mean", 0, 4.0), ("mean", 1, 3.0)):
        noisy = {name: (of_part + rng.normal(0.0, noise, n))[:, None] for name, of_part in zip(part, lvef, strict=True)}
        own = tmp_path / "arms" / f"{arm}-{seed}"
        own.mkdir(parents=True)
        np.savez(own / "vectors.npz", **noisy, test=np.full((n, 1), np.nan))
    errors = demo_from_claim.validation_errors(tmp_path)
    assert sorted(errors) == ["attention", "mean"] and errors["attention"][1] > 5 > errors["attention"][0]
    assert demo_from_claim.choice(errors) == ("mean", 1), "by the mean over seeds, though one seed of the other is best"
    assert demo_from_claim.choice(errors, "attention") == ("attention", 0)
    shutil.rmtree(tmp_path / "arms" / "mean-0")
    shutil.rmtree(tmp_path / "arms" / "mean-1")
    with pytest.raises(SystemExit, match="^mean: not trained yet"):
        demo_from_claim.validation_errors(tmp_path)


def test_nobody_trains_calibrates_and_tests_at_once(claim):
    facts = demo_from_claim.patients_of(replace(demo_from_claim.plan_of(claim), version=2), claim)
    (train, calibration, test) = demo_readouts.choices(facts)
    assert len({train[1], calibration[1], test[1], facts["cohort"]["seeds"]["validation"]}) == 4
    assert list(train[2]) == list(range(62)) and len(test[2]) > 500
    assert demo_readouts.demo_cohort(facts) == DemoCohort(version=2, clips=demo_from_claim.CLIPS)
    old = {"cohort": {"seed": 2026, "simulated": 100}}  # trained on the cohort it is shown on: its splits part them
    (train, _, test) = demo_readouts.choices(old)
    assert train[1] == test[1] and not set(train[2]) & set(test[2]) and len(train[2]) > 50


@pytest.mark.slow
def test_readouts_are_fitted_and_measured_and_a_second_network_simulates_nothing(claim, tmp_path, monkeypatch):
    from echo2ecg_core.training import phantom_ecgs

    monkeypatch.setattr(demo_readouts, "CALIBRATION_PATIENTS", 40)
    model, cache = tmp_path / "model", tmp_path / "cache"
    demo_from_claim.assemble(demo_from_claim.plan_of(claim), claim, "attention", 0, ERRORS, model)
    manifest = read_manifest(model)
    manifest["demo"]["n_patients"] = 120
    (model / "manifest.json").write_text(json.dumps(manifest))
    demo_readouts.simulate(manifest, cache)
    monkeypatch.setattr(phantom_ecgs, "_prepared", lambda *arguments: pytest.fail("simulated again"))
    line = demo_readouts.fit(model, cache)
    told = read_manifest(model)
    assert line["mae"] == told["test"]["phenotypes"]["lvef"]["mae"] > 0 and "lvef" in load_readouts(model).heads
    assert told["readouts"]["calibration_seed"] == demo_readouts.CALIBRATION_SEED and told["labels"]
    assert told["readouts"]["labelled_patients"] <= 62 and told["cohort"] == manifest["cohort"]


def test_what_is_not_there_yet_is_said_in_words(claim, tmp_path):
    plan = demo_from_claim.plan_of(claim)
    with pytest.raises(SystemExit, match="mean-1.*is not there yet. `python -m benchmarks.claim"):
        demo_from_claim.assemble(plan, claim, "mean", 1, ERRORS, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(SystemExit, match="holds no comparison"):
        demo_from_claim.plan_of(tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(SystemExit, match="other sizes"):
        demo_from_claim.plan_of(tmp_path)


def test_a_file_too_large_to_ship_is_refused_by_name(tmp_path):
    (tmp_path / "small").write_bytes(b"0")
    demo_from_claim.check_sizes(tmp_path)
    with (tmp_path / "large.safetensors").open("wb") as file:
        file.truncate(demo_from_claim.MOST_BYTES + 1)
    with pytest.raises(SystemExit, match=r"20 MB a file at most\): large.safetensors"):
        demo_from_claim.check_sizes(tmp_path)
