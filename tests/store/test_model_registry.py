"""The model registry: same weights are one model, exactly one is active, faults are said in words."""

import json

import pytest

from echo2ecg_core.errors import ModelError
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry


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
