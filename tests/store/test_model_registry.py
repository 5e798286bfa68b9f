"""The model registry: same weights are one model, exactly one is active, faults are said in words."""

import json
import multiprocessing
import os

import pytest

from echo2ecg_core.errors import ModelError
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry

SPAWN = multiprocessing.get_context("spawn")


def model_folder(parent, name, sha256):
    folder = parent / name
    folder.mkdir()
    (folder / "manifest.json").write_text(
        json.dumps({"name": name, "sha256": sha256, "synthetic": True, "weights": {}})
    )
    return folder


def test_the_same_weights_registered_twice_are_one_model(tmp_path):
    registry = ModelRegistry(Workspace(tmp_path / "w"))
    first = registry.register(model_folder(tmp_path, "a", "ab" * 32))
    assert registry.register(tmp_path / "a") == first and len(registry.models()) == 1
    assert first.model_id == "abababab" and not first.active and first.manifest()["name"] == "a"


def test_promoting_changes_the_active_model_and_leaves_one(tmp_path):
    registry = ModelRegistry(Workspace(tmp_path / "w"))
    with pytest.raises(ModelError, match="No model is active"):
        registry.active()
    for name, digit in (("a", "a"), ("b", "b")):
        registry.register(model_folder(tmp_path, name, digit * 64))
    registry.promote("aaaa")
    registry.promote("bbbbbbbb")
    assert [m.name for m in registry.models() if m.active] == ["b"] == [registry.active().name]


def test_an_id_that_fits_none_or_several_names_what_there_is(tmp_path):
    registry = ModelRegistry(Workspace(tmp_path / "w"))
    for name, sha256 in (("a", "ab" * 32), ("b", "ac" * 32)):
        registry.register(model_folder(tmp_path, name, sha256))
    for asked in ("a", "zz", ""):
        with pytest.raises(ModelError, match="abababab|acacacac"):
            registry.get(asked)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no readable manifest"):
        ModelRegistry(Workspace(tmp_path / "w")).register(tmp_path / "empty")


def test_what_a_killed_copy_has_left_goes_with_a_later_one_unless_it_is_young(tmp_path):
    place = Workspace(tmp_path / "w")
    old, young = place.models / ".copying-old", place.models / ".copying-young"
    for left in (old, young):
        (left / "new").mkdir(parents=True)
    os.utime(old, (0, 0))
    ModelRegistry(place).register(model_folder(tmp_path, "a", "ab" * 32))
    assert not old.exists() and young.exists() and (place.models / "abababab").is_dir()


@pytest.mark.slow
def test_processes_that_register_the_same_model_at_once_leave_one_whole_folder(tmp_path):
    """Two servers that start on one empty folder: both take the shipped model."""
    go, place = SPAWN.Event(), tmp_path / "w"
    model_folder(tmp_path, "a", "ab" * 32)
    for number in range(40):
        (tmp_path / "a" / f"weights-{number}").write_bytes(bytes(20_000))
    processes = [SPAWN.Process(target=register_when_told, args=(place, tmp_path / "a", go)) for _ in range(4)]
    for process in processes:
        process.start()
    go.set()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    names = {path.name for path in (tmp_path / "a").iterdir()}
    (folder,) = (place / "models").iterdir()  # and nothing half-copied beside it
    assert folder.name == "abababab" and {path.name for path in folder.iterdir()} == names
    assert [card.active for card in ModelRegistry(Workspace(place)).models()] == [True]


def register_when_told(place, folder, go):
    go.wait()
    registry = ModelRegistry(Workspace(place))
    registry.promote(registry.register(folder).model_id)
