"""Registering others' weights: one model a file, nothing on a fault, never active without readouts."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from echo2ecg_core.answers.loaded_model import why_no_studies
from echo2ecg_core.errors import ModelError
from echo2ecg_core.intake.weights import import_model
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.training.promote import promote


@pytest.fixture
def release(tmp_path, goldens):
    """The published single file, filled by formula."""
    keys = json.loads((goldens / "clip_keys.json").read_text())["multi_view"]
    rng = np.random.default_rng(0)
    parts = {"ecg_encoder": {}, "token_aggregator": {}}
    for key, shape, _ in keys:
        part, _, rest = key.partition(".")
        if part in parts:
            parts[part][rest] = torch.from_numpy(rng.normal(0, 0.02, shape).astype(np.float32))
    path = tmp_path / "weights.bin"
    torch.save({"cfg": {"a": 1}, **parts}, path)
    return path


@pytest.mark.slow
def test_the_same_file_twice_is_one_inactive_model(release, tmp_path):
    place = Workspace(tmp_path / "w")
    first, second = (import_model([release], place) for _ in range(2))
    assert first.card.model_id == second.card.model_id and len(ModelRegistry(place).models()) == 1
    manifest = first.card.manifest()
    assert not first.card.active and manifest["kind"] == first.kind == "echo2ecg"
    assert manifest["ecg_input"] == {"sampling_rate_hz": 400.0, "order": "clean_then_resample", "confirmed": []}
    assert (
        len(manifest["source_sha256"]) == 64 and "licence" in manifest and any("search" in note for note in first.notes)
    )


def test_released_weights_that_hold_the_ecg_side_only_have_to_be_prepared_and_say_what_they_cannot_do(
    release, tmp_path
):
    place = Workspace(tmp_path / "w")
    card = import_model([release], place).card
    with pytest.raises(ModelError, match=r"cannot become active yet: it has no readouts yet\. Prepare it first"):
        promote(place, card.model_id)
    assert f"train --preset paper --set start_from={card.model_id}" in why_no_studies(card)


def test_the_rate_a_person_knows_is_kept_as_confirmed(release, tmp_path):
    card = import_model([release], Workspace(tmp_path / "w"), sampling_rate_hz=500.0).card
    assert card.manifest()["ecg_input"] == {
        "sampling_rate_hz": 500.0,
        "order": "clean_then_resample",
        "confirmed": ["sampling_rate_hz"],
    }
    assert card.manifest()["spec"]["ecg_input"]["sampling_rate_hz"] == 500.0


class FullDisk(NamedTuple):
    """What shutil.disk_usage says of a disk with so many bytes free."""

    free: int


def test_a_file_larger_than_the_free_disk_is_refused_before_it_is_read_and_the_registry_stays(
    release, tmp_path, monkeypatch
):
    place = Workspace(tmp_path / "w")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: FullDisk(release.stat().st_size - 1))
    monkeypatch.setattr(torch, "load", lambda *given, **named: pytest.fail("the file was read"))
    with pytest.raises(
        ModelError,
        match=(
            r"^weights.bin needs \d+\.\d MB, but only \d+\.\d MB are free on the disk of the workspace\. Free some "
            r"space"
        ),
    ):
        import_model([release], place)
    assert not place.exists()


@pytest.mark.slow
def test_the_import_needs_room_for_the_copy_that_the_registry_keeps(release, tmp_path, monkeypatch):
    place = Workspace(tmp_path / "w")
    known = import_model([release], place).card
    torch.save(
        {"cfg": {}, **{k: {n: w.half() for n, w in v.items()} for k, v in torch.load(release).items() if k != "cfg"}},
        tmp_path / "half.pt",
    )
    little = FullDisk(
        (tmp_path / "half.pt").stat().st_size + 2**16
    )  # room for the file, not for its weights in float32
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: little if place.folder == Path(folder) else real(folder))
    with pytest.raises(
        ModelError, match="The copy of the model needs .* MB, but only .* MB are free on the disk of the workspace"
    ):
        import_model([tmp_path / "half.pt"], place)
    assert [card.model_id for card in ModelRegistry(place).models()] == [known.model_id]
    assert [path.name for path in place.models.iterdir()] == [known.model_id]


def test_another_kind_than_asked_for_is_refused_by_name(release, tmp_path):
    with pytest.raises(ModelError, match="given as otis, but their keys are those of echo2ecg"):
        import_model([release], Workspace(tmp_path / "w"), kind="otis")


def test_a_file_with_the_right_names_and_nothing_inside_is_refused(tmp_path):
    torch.save({"cfg": {}, "ecg_encoder": {}, "token_aggregator": {}}, tmp_path / "hollow.ckpt")
    with pytest.raises(ModelError, match="holds no weights"):
        import_model([tmp_path / "hollow.ckpt"], Workspace(tmp_path / "w"))


@pytest.mark.parametrize("content", [b"<!doctype html><title>404</title>", b"PK\x03\x04 cut", b""])
def test_a_fault_leaves_the_registry_untouched(tmp_path, content):
    (tmp_path / "x.ckpt").write_bytes(content)
    place = Workspace(tmp_path / "w")
    with pytest.raises(ModelError):
        import_model([tmp_path / "x.ckpt"], place)
    assert not place.exists()
