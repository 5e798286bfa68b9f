"""Checkpoints: what was saved comes back bit for bit, and every damage is named in a sentence."""

import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models import checkpoint
from echo2ecg_core.models.checkpoint import load_checkpoint, read_manifest, save_checkpoint
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.echo_encoder import PhantomVideoNet
from echo2ecg_core.models.specs import PRESETS, EcgEncoderSpec, ModelSpec, StudySpec

SPEC = replace(
    PRESETS["demo"], ecg_encoder=EcgEncoderSpec(width=24, depth=2, heads=3, patch=48), study=StudySpec(width=32)
)
FACTS = {"name": "small", "synthetic": True}


def perturbed(network):
    """Every weight moved away from its initial value, so that equality means something."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return network


@pytest.fixture()
def networks():
    return {"echo2ecg": perturbed(Echo2ECG(SPEC)), "clip_encoder": perturbed(PhantomVideoNet())}


@pytest.fixture()
def folder(tmp_path, networks):
    save_checkpoint(tmp_path / "model", networks, SPEC, FACTS)
    return tmp_path / "model"


def weight_file(folder, name="echo2ecg"):
    return folder / read_manifest(folder)["weights"][name]["file"]


def edit_manifest(folder, change):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def rewrite_weights(folder, change):
    """Changes the tensors of echo2ecg and keeps the manifest truthful about the file, as another program would."""
    path = weight_file(folder)
    state = load_file(path)
    change(state)
    save_file(state, path)
    describe_truthfully(folder, path)


def describe_truthfully(folder, path):
    def change(manifest):
        manifest["weights"]["echo2ecg"].update(bytes=path.stat().st_size, sha256=checkpoint._sha256(path))
        manifest["sha256"] = checkpoint._hash_over(manifest["weights"])

    edit_manifest(folder, change)


def test_saved_networks_come_back_bit_for_bit(folder, networks):
    loaded = load_checkpoint(folder)
    assert loaded.spec == SPEC and loaded.manifest["name"] == "small" and loaded.manifest["synthetic"] is True
    for name, network in networks.items():
        restored = getattr(loaded, name)
        assert not restored.training
        for key, tensor in network.state_dict().items():
            assert torch.equal(restored.state_dict()[key], tensor), key


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path, folder, networks):
    save_checkpoint(tmp_path / "half", networks, SPEC, FACTS, precision="float16")
    assert weight_file(tmp_path / "half").stat().st_size < 0.55 * weight_file(folder).stat().st_size
    restored = load_checkpoint(tmp_path / "half").clip_encoder.state_dict()
    for key, tensor in networks["clip_encoder"].state_dict().items():
        assert restored[key].dtype == torch.float32
        assert torch.equal(restored[key], tensor.half().float()), key


def test_the_demo_clip_encoder_fits_into_four_megabytes(folder, tmp_path):
    save_checkpoint(tmp_path / "half", {"clip_encoder": PhantomVideoNet()}, SPEC, {}, precision="float16")
    assert weight_file(tmp_path / "half", "clip_encoder").stat().st_size <= 4e6
    assert load_checkpoint(tmp_path / "half").echo2ecg is None


def test_the_hash_follows_the_weights_and_nothing_else(tmp_path, networks):
    first = save_checkpoint(tmp_path / "a", networks, SPEC, FACTS)
    assert save_checkpoint(tmp_path / "b", networks, SPEC, {"name": "other"}) == first
    assert load_checkpoint(tmp_path / "b").sha256 == read_manifest(tmp_path / "b")["sha256"] == first
    with torch.no_grad():
        networks["clip_encoder"].head.bias[0] += 1
    changed = save_checkpoint(tmp_path / "c", networks, SPEC, FACTS)
    assert changed != first
    before, after = load_checkpoint(tmp_path / "a").network_sha256, load_checkpoint(tmp_path / "c").network_sha256
    assert before["echo2ecg"] == after["echo2ecg"] and before["clip_encoder"] != after["clip_encoder"]


def test_a_checkpoint_is_replaced_without_leftovers(folder, networks):
    with torch.no_grad():
        networks["echo2ecg"].ecg_encoder.cls_token += 1
    save_checkpoint(folder, networks, SPEC, FACTS)
    assert len(os.listdir(folder)) == 3
    assert torch.equal(
        load_checkpoint(folder).echo2ecg.ecg_encoder.cls_token, networks["echo2ecg"].ecg_encoder.cls_token
    )


def test_other_files_of_the_folder_stay(folder, networks):
    (folder / "readouts.safetensors").write_bytes(b"not ours")
    with torch.no_grad():
        networks["echo2ecg"].ecg_encoder.cls_token += 1
    save_checkpoint(folder, networks, SPEC, FACTS)
    assert (folder / "readouts.safetensors").read_bytes() == b"not ours"


def test_a_failed_write_leaves_the_old_checkpoint_whole(folder, networks, monkeypatch):
    before = load_checkpoint(folder).sha256
    with torch.no_grad():
        networks["echo2ecg"].ecg_encoder.cls_token += 1

    def disk_refuses(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_sync", disk_refuses)
    with pytest.raises(ModelError, match="could not be written: No space left on device"):
        save_checkpoint(folder, networks, SPEC, FACTS)
    assert load_checkpoint(folder).sha256 == before
    assert not list(folder.glob("*.part"))


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, networks, monkeypatch):
    full = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: full)
    with pytest.raises(ModelError, match=r"The model needs \d+\.\d MB, but only 1\.0 MB are free"):
        save_checkpoint(tmp_path / "m", networks, SPEC, FACTS)
    assert os.listdir(tmp_path / "m") == []


def test_diverged_weights_are_not_saved(tmp_path, networks):
    with torch.no_grad():
        networks["echo2ecg"].ecg_encoder.cls_token[0, 0, 0] = float("nan")
    with pytest.raises(ModelError, match="echo2ecg cannot be saved: ecg_encoder.cls_token holds values"):
        save_checkpoint(tmp_path / "m", networks, SPEC, FACTS)


def test_weights_too_large_for_half_precision_are_not_saved(tmp_path, networks):
    with torch.no_grad():
        networks["echo2ecg"].ecg_encoder.cls_token[0, 0, 0] = 1e6
    with pytest.raises(ModelError, match="not finite numbers as torch.float16"):
        save_checkpoint(tmp_path / "m", networks, SPEC, FACTS, precision="float16")


def test_a_model_with_the_ecg_part_only_refuses_retrieval_in_words(tmp_path):
    spec = replace(SPEC, parts=("ecg",))
    save_checkpoint(tmp_path / "m", {"echo2ecg": Echo2ECG(spec)}, spec, {})
    network = load_checkpoint(tmp_path / "m").echo2ecg
    embedding = network.embed_ecg(torch.zeros(1, 12, 1008))
    with pytest.raises(ModelError, match="cannot compare an ECG with echo studies: its weights hold only ecg"):
        network.align_ecg(embedding)
    with pytest.raises(ModelError, match="cannot turn an echo study into a vector"):
        network.embed_study(torch.zeros(1, 2, 512))


def cut_short(folder):
    path = weight_file(folder)
    path.write_bytes(path.read_bytes()[:-100])


def save_a_web_page(folder):
    weight_file(folder).write_bytes(b"<!DOCTYPE html><html>Sign in</html>")


def flip_a_bit(folder):
    content = bytearray(weight_file(folder).read_bytes())
    content[-1] ^= 1
    weight_file(folder).write_bytes(content)


def write_nan(folder):
    rewrite_weights(folder, lambda state: state["ecg_encoder.cls_token"].fill_(float("nan")))


def write_another_shape(folder):
    rewrite_weights(folder, lambda state: state.update({"ecg_encoder.cls_token": torch.zeros(1, 1, 48)}))


def drop_a_key(folder):
    rewrite_weights(folder, lambda state: state.pop("ecg_encoder.cls_token"))


def add_a_key(folder):
    rewrite_weights(folder, lambda state: state.update({"extra": torch.zeros(1)}))


def not_safetensors(folder):
    path = weight_file(folder)
    path.write_bytes(b"\xff" * 200)
    describe_truthfully(folder, path)


FAULTS = [
    (cut_short, r"is damaged: expected \d+ bytes, found \d+"),
    (save_a_web_page, "is a web page, not a weight file"),
    (flip_a_bit, "was changed since it was written"),
    (write_nan, "ecg_encoder.cls_token holds values that are not finite"),
    (write_another_shape, r"cls_token has the shape \(1, 1, 48\), the spec asks for \(1, 1, 24\)"),
    (drop_a_key, r"echo2ecg lack ecg_encoder.cls_token \(1 key\)"),
    (add_a_key, "echo2ecg also hold extra"),
    (not_safetensors, "is not a safetensors file"),
    (lambda f: weight_file(f).unlink(), "lacks its weight file"),
    (lambda f: (f / "manifest.json").unlink(), "no model in the folder 'model': it has no manifest.json"),
    (lambda f: (f / "manifest.json").write_text("{half"), "cannot be read as JSON"),
    (lambda f: (f / "manifest.json").write_text("[" * 100_000), "cannot be read as JSON"),
    (lambda f: (f / "manifest.json").write_text("[]"), "not one of this program's models"),
    (lambda f: edit_manifest(f, lambda m: m.pop("spec")), "lacks 'spec'"),
    (lambda f: edit_manifest(f, lambda m: m.update(sha256="0")), "its sha256 is not that of its weights"),
    (lambda f: edit_manifest(f, lambda m: m.update(version=2)), "format version 2, this program reads 1"),
    (
        lambda f: edit_manifest(f, lambda m: m["weights"]["echo2ecg"].pop("bytes")),
        "lacks 'bytes' for the network echo2ecg",
    ),
    (lambda f: edit_manifest(f, lambda m: m["weights"]["echo2ecg"].update(file="../x")), "points outside its folder"),
    (lambda f: edit_manifest(f, lambda m: m.update(weights={"x": {}})), "has to list weights of echo2ecg"),
    (lambda f: edit_manifest(f, lambda m: m["spec"].update(colour=1)), "does not know the field 'colour'"),
]


@pytest.mark.parametrize("damage, words", FAULTS, ids=[words[:30] for _, words in FAULTS])
def test_every_damage_is_named_in_a_sentence(folder, damage, words):
    damage(folder)
    with pytest.raises(ModelError, match=words):
        load_checkpoint(folder)


def test_parts_of_a_spec_survive_the_manifest(tmp_path):
    spec = ModelSpec.from_dict(json.loads(json.dumps(replace(SPEC, parts=("ecg", "study")).to_dict())))
    assert spec.parts == ("ecg", "study")
    with pytest.raises(ModelError, match="has to name some of ecg, ecg_alignment, study"):
        ModelSpec(parts=("heart",))
