"""Whose clip encoder a training takes: chosen once, kept when the run goes on, damaged models passed over. No clip is
embedded."""

import json

import pytest

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.intake.demo import open_workspace
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.training.frozen_clip_encoder import chosen_clip_encoder, clip_encoder_card
from echo2ecg_core.training.settings import training_settings
from tests.untrained_model import untrained_model


def registered(workspace: Workspace, first: str, weights: dict, registered_at: str) -> ModelCard:
    """A model that is only a manifest, whose id begins with `first`."""
    folder = workspace.folder / f"made-{first}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(
        json.dumps({"name": first, "sha256": (first * 64)[:64], "synthetic": True, "weights": weights})
    )
    card = ModelRegistry(workspace).register(folder)
    with workspace.connect() as db:
        db.execute("UPDATE models SET registered_at = ? WHERE model_id = ?", (registered_at, card.model_id))
    return card


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "w")


def test_the_active_model_comes_first_then_the_newest_with_a_clip_encoder_and_damaged_ones_are_passed_over(place):
    old, new, ecg_only = (
        registered(place, name, weights, at)
        for name, weights, at in (
            ("a", {"clip_encoder": {}}, "2030-01-01"),
            ("b", {"clip_encoder": {}}, "2030-01-02"),
            ("c", {"echo2ecg": {}}, "2030-01-03"),
        )
    )
    settings, registry = training_settings("paper"), ModelRegistry(place)
    registry.promote(old.model_id)
    assert clip_encoder_card(place, settings).model_id == old.model_id
    registry.promote(ecg_only.model_id)
    assert clip_encoder_card(place, settings).model_id == new.model_id
    (new.folder / "manifest.json").write_text("{half")
    assert clip_encoder_card(place, settings).model_id == old.model_id
    with pytest.raises(Echo2ECGError, match="no readable manifest.json"):
        clip_encoder_card(place, training_settings("paper", {"clip_encoder": new.model_id}))
    (old.folder / "manifest.json").unlink()
    with pytest.raises(Echo2ECGError, match="The models of this workspace have no clip encoder"):
        clip_encoder_card(place, settings)


@pytest.mark.slow
def test_a_resumed_run_keeps_the_clip_encoder_it_began_with_and_refuses_when_that_is_gone(place, tmp_path):
    demo = open_workspace(place)
    settings, run = training_settings("demo"), place.folder / "runs" / "run-0001"
    _, begun = chosen_clip_encoder(place, settings, run)
    newer = ModelRegistry(place).promote(ModelRegistry(place).register(untrained_model(tmp_path / "newer")).model_id)
    _, resumed = chosen_clip_encoder(place, settings, run)
    _, another = chosen_clip_encoder(place, settings, place.folder / "runs" / "run-0002")
    assert begun.clip_encoder == resumed.clip_encoder == demo.model_id and another.clip_encoder == newer.model_id
    with place.connect() as db:
        db.execute("DELETE FROM models WHERE model_id = ?", (demo.model_id,))
    with pytest.raises(
        Echo2ECGError,
        match=f"run-0001 began with the clip encoder of the model {demo.model_id}, which cannot be used any more",
    ):
        chosen_clip_encoder(place, settings, run)


def test_a_disk_that_fills_up_while_a_new_clip_encoder_is_kept_leaves_no_half_of_it(tmp_path, monkeypatch):
    """Whatever lies under its name is loaded at the next start, so it lies there whole or not at all."""
    import os

    import pandas as pd
    import torch

    from echo2ecg_core.models.echo_encoder import PhantomVideoNet
    from echo2ecg_core.training import clip_encoder, frozen_clip_encoder, phantom_data
    from echo2ecg_core.training.data import TrainingData

    clips = pd.DataFrame({"study_id": ["S1"], "view": [0]})
    studies = pd.DataFrame({"study_id": ["S1"], "split": ["train"]})
    made = TrainingData(pd.DataFrame(), None, studies, clips, torch.zeros(1, 16, 56, 56).numpy())
    monkeypatch.setattr(phantom_data, "prepare_cohort", lambda *args, **told: made)
    monkeypatch.setattr(clip_encoder, "train_clip_encoder", lambda *args, **told: PhantomVideoNet().eval())

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            frozen_clip_encoder.new_clip_encoder(training_settings("demo"), tmp_path)
    assert not list(tmp_path.rglob("*clip_encoder*")) and not list(tmp_path.rglob(".writing-*"))
    kept = frozen_clip_encoder.new_clip_encoder(training_settings("demo"), tmp_path)
    again = frozen_clip_encoder.new_clip_encoder(training_settings("demo"), tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), again.parameters(), strict=True))
