"""Which model may answer: nothing half-prepared, nothing whose vectors were made from other inputs; rolling back is
promoting."""

import json
import shutil
import sys

import numpy as np
import pytest

from echo2ecg_core.answers import loaded_model, map_drawing
from echo2ecg_core.answers.embed import embed_job
from echo2ecg_core.answers.loaded_model import load_readouts
from echo2ecg_core.answers.readiness import abilities, readiness
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.models import checkpoint
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.training import readouts
from echo2ecg_core.training.prepare import prepare_model
from echo2ecg_core.training.promote import promote
from tests.untrained_model import untrained_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return untrained_model(tmp_path_factory.mktemp("model") / "untrained")


@pytest.fixture
def other_folder(model_folder, tmp_path):
    """The same networks under another name and hash: a second model without a second training."""
    return changed(model_folder, tmp_path / "other", lambda manifest: manifest["spec"].update(temperature=0.2))


def changed(folder, target, change):
    shutil.copytree(folder, target)
    manifest = json.loads((target / "manifest.json").read_text())
    change(manifest)
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def add_ecgs(place, count, *, seconds=6.0, first=0, splits=("test",)):
    catalog = Catalog(place)
    t = np.arange(int(500 * seconds)) / 500
    for i in range(first, first + count):
        beat = np.exp(-0.5 * ((t % (0.7 + i / 200) - 0.3) / 0.012) ** 2)
        noise = np.random.default_rng(i).normal(0, 0.02, (12, len(t)))
        record = EcgRecord(
            (np.linspace(0.4, 1.5, 12)[:, None] * beat + noise).astype(np.float32), 500.0, "CSV", f"E{i:03d}"
        )
        catalog.add_patient(f"P{i:03d}", split=splits[i % len(splits)], cohort="c", synthetic=True)
        catalog.add_study(
            f"S{i:03d}",
            f"P{i:03d}",
            study_date="2030-01-01",
            phenotypes={"lvef": 40 + i % 30, "rvsp": 30.0 if i < 3 else np.nan},
        )
        catalog.add_ecg(f"E{i:03d}", f"P{i:03d}", record, ecg_time="2030-01-01")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workspace of twelve ECGs; UMAP, which compiles for half a minute, is replaced by two coordinates."""
    monkeypatch.setattr(
        map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions].astype(np.float32)
    )
    place = Workspace(tmp_path / "w")
    add_ecgs(place, 12)
    return place


def test_in_an_empty_workspace_a_model_with_readouts_may_answer_at_once(model_folder, tmp_path):
    place = Workspace(tmp_path / "empty")
    card = ModelRegistry(place).register(model_folder)
    assert readiness(place, card).is_ready and promote(place, card.model_id).active
    assert abilities(card) == "Phenotypes, similar studies, map"


def test_a_model_is_promoted_only_when_vectors_map_and_readouts_are_there(model_folder, place):
    card = ModelRegistry(place).register(model_folder)
    with pytest.raises(ModelError, match="it has no vectors of 12 of 12 ECGs, no map. Prepare it first"):
        promote(place, card.model_id)
    assert not ModelRegistry(place).get(card.model_id).active
    assert (
        embed_job(place, card.model_id, lambda share, message: None) == "Vectors of 12 ECGs and 12 studies are there."
    )
    with pytest.raises(ModelError, match="it has no map"):
        promote(place, card.model_id)
    told = []
    assert "may be promoted" in prepare_model(place, card.model_id, lambda share, message: told.append(share))
    assert told == sorted(told) and promote(place, card.model_id).active


def test_rolling_back_is_promoting_the_older_model(model_folder, other_folder, place, tmp_path):
    registry = ModelRegistry(place)
    old = registry.register(model_folder)
    manifest = json.loads((other_folder / "manifest.json").read_text())
    assert manifest["sha256"] == old.sha256
    prepare_model(place, old.model_id)
    promote(place, old.model_id)
    new = registry.register(retrained(other_folder))
    prepare_model(place, new.model_id)
    promote(place, new.model_id)
    assert [m.model_id for m in registry.models() if m.active] == [new.model_id]
    assert promote(place, old.model_id).active and not registry.get(new.model_id).active


def retrained(folder):
    """Changes one weight, so that the folder is another model."""
    from safetensors.torch import load_file

    from echo2ecg_core.models.checkpoint import load_checkpoint, save_checkpoint

    found = load_checkpoint(folder)
    weights = next(folder.glob("echo2ecg-*"))
    state = load_file(weights)
    key = next(iter(state))
    found.echo2ecg.load_state_dict({**state, key: state[key] + 0.01})
    save_checkpoint(
        folder,
        {"echo2ecg": found.echo2ecg, "clip_encoder": found.clip_encoder},
        found.spec,
        {"name": "retrained", "synthetic": True},
    )
    return folder


def test_an_ecg_that_cannot_be_embedded_does_not_hold_a_model_back(model_folder, place):
    add_ecgs(place, 1, first=20, seconds=0.5)
    card = ModelRegistry(place).register(model_folder)
    assert "1 ECG could not be embedded; the first: " in prepare_model(place, card.model_id)
    assert promote(place, card.model_id).active
    add_ecgs(place, 1, first=21)
    assert readiness(place, card).missing == ("no vectors of 1 of 14 ECGs",)


def test_vectors_of_an_earlier_cleaning_are_told_to_be_outdated(model_folder, place, monkeypatch):
    card = ModelRegistry(place).register(model_folder)
    prepare_model(place, card.model_id)
    assert readiness(place, card).vectors
    monkeypatch.setattr(loaded_model, "CLEANING", loaded_model.CLEANING + 1)
    (told,) = readiness(place, card).missing
    assert "all windows, cleaning 2) than now (400 Hz, cleaned before resampling, all windows, cleaning 3)" in told


def test_a_model_that_reads_ecgs_otherwise_than_its_vectors_were_made_is_refused(model_folder, place, tmp_path):
    registry = ModelRegistry(place)
    card = registry.register(model_folder)
    prepare_model(place, card.model_id)
    before = load_vectors(place.vectors, "ecg", card.model_id)

    def other_rate(manifest):
        manifest["spec"]["ecg_input"]["sampling_rate_hz"] = 500.0

    faster = changed(model_folder, tmp_path / "faster", other_rate)
    assert registry.register(faster).model_id == card.model_id  # the same weights, told another rate
    with pytest.raises(
        ModelError,
        match=(
            r"prepared otherwise \(400 Hz, cleaned before resampling, all windows, cleaning 2\) than now "
            r"\(500 Hz"
        ),
    ):
        promote(place, card.model_id)
    prepare_model(place, card.model_id)
    after = load_vectors(place.vectors, "ecg", card.model_id)
    assert after.ids == before.ids and not np.allclose(after.matrix, before.matrix, atol=1e-4)
    assert promote(place, card.model_id).active
    with pytest.raises(ModelError, match="is active; with these settings it would read ECGs otherwise"):
        registry.register(model_folder)


def test_readouts_are_fitted_calibrated_and_tested_where_a_model_has_none(model_folder, place, tmp_path, monkeypatch):
    monkeypatch.setattr(readouts, "LEAST", {"train": 12, "validation": 1, "test": 10})
    bare = changed(model_folder, tmp_path / "bare", lambda manifest: manifest.update(name="bare"))
    (bare / READOUTS_FILE).unlink()
    card = ModelRegistry(place).register(bare)
    with pytest.raises(ModelError, match="it has no readouts yet"):
        promote(place, card.model_id)
    with pytest.raises(
        StoreError,
        match="needed are 12 train ECGs, 1 validation ECGs, 10 test ECGs; there are 0 train ECGs, 0 validation ECGs",
    ):
        prepare_model(place, card.model_id)
    add_ecgs(place, 39, first=30, splits=("train", "validation", "test"))
    prepare_model(place, card.model_id)
    manifest = promote(place, card.model_id).manifest()
    assert manifest["readouts"]["labelled_ecgs"] == 13 == manifest["readouts"]["calibration_ecgs"]
    assert set(manifest["test"]["phenotypes"]) == {"lvef"}  # RVSP was measured three times only
    assert manifest["test"]["phenotypes"]["lvef"]["r2"] < 0.5
    assert load_readouts(card.folder).heads["lvef"].predictive is None  # 13 ECGs calibrate no interval


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["spec"].update(parts=["study"]),
        lambda manifest: manifest["weights"].pop("echo2ecg"),
    ],
)
def test_an_echo_side_alone_cannot_become_active(model_folder, place, tmp_path, change):
    def echo_only(manifest):
        change(manifest)
        manifest["sha256"] = checkpoint._hash_over(manifest["weights"])

    card = ModelRegistry(place).register(changed(model_folder, tmp_path / "echo", echo_only))
    assert abilities(card) == "Echo side only: embeds clips"
    for attempt in (promote, prepare_model):
        with pytest.raises(ModelError, match="its weights hold no ECG encoder. Promote a model with an ECG encoder"):
            attempt(place, card.model_id)


def test_the_terminal_prepares_and_promotes_in_one_go(model_folder, place, monkeypatch, capsys):
    from echo2ecg_core.cli import main

    card = ModelRegistry(place).register(model_folder)
    for arguments, status in ((["promote", card.model_id], 2), (["promote", card.model_id, "--prepare"], 0)):
        monkeypatch.setattr(sys, "argv", ["echo2ecg_core", *arguments, "--workspace", str(place.folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == status
    out, problems = capsys.readouterr()
    assert "`promote MODEL --prepare`" in problems and f"untrained {card.model_id} is active." in out
