"""Importing others' weights: recognised by keys, complete or refused, damage told, nothing in a file is run."""

import argparse
import hashlib
import os
import pathlib
import pickle
import sys
import types
from collections import defaultdict

import pytest
import torch

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.echo_encoder import MViT
from echo2ecg_core.models.import_weights import import_weights
from echo2ecg_core.models.published import published_echo2ecg, published_echo_encoder
from echo2ecg_core.models.published_keys import component
from echo2ecg_core.models.specs import EcgEncoderSpec, ModelSpec, StudySpec
from echo2ecg_core.models.view_classifier import ViewClassifier

SPEC = ModelSpec(ecg_encoder=EcgEncoderSpec(depth=2), study=StudySpec(width=64))
FILES = {  # component -> the file name that training gives it
    "ecg_encoder": "ecg_multimodal",
    "token_aggregator": "token_aggregator",
    "echo_projection_for_agg": "echo_projection_for_agg",
    "echo_view_aggregator": "echo_view_aggregator",
    "ecg_alignment_global_token": "ecg_alignment_global_token",
    "echo_alignment_global_token": "echo_alignment_global_token",
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(11)
    network = Echo2ECG(SPEC).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.fixture()
def state(network):
    return published_echo2ecg(network)


@pytest.fixture()
def ecg_tower_file(tmp_path, state):
    """The released single file: configuration, ECG encoder, token aggregator."""
    path = tmp_path / "anything.bin"
    towers = {name: component(state, f"{name}.") for name in ("ecg_encoder", "token_aggregator")}
    torch.save({"cfg": {"lr": 1e-4}, **towers}, path)
    return path


def assert_same_weights(found, expected, parts=("",)):
    ours = found.state_dict()
    for key, value in expected.state_dict().items():
        if key.startswith(parts):
            torch.testing.assert_close(ours[key], value, msg=key)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- the kinds of files ---


def test_the_released_file_gives_the_ecg_tower_and_says_what_it_cannot_do(ecg_tower_file, network):
    imported = import_weights(ecg_tower_file)
    assert imported.kind == "echo2ecg" and imported.spec.parts == ("ecg",)
    assert (imported.missing, imported.unexpected, imported.placeholders) == ((), (), ())
    assert imported.source_sha256 == sha256(ecg_tower_file)
    x = torch.randn(1, 12, 1008)
    torch.testing.assert_close(imported.networks["echo2ecg"].embed_ecg(x), network.embed_ecg(x))
    assert any(
        "Cannot search echo studies from an ECG: the weights of ecg_alignment, study" in n for n in imported.notes
    )
    assert any("400 Hz, a window of 2.52 s, is assumed" in n for n in imported.notes)


def save_components(folder, state, wrap):
    for name, file in FILES.items():
        torch.save(wrap(component(state, f"{name}.")), folder / f"{file}.ckpt")


@pytest.mark.parametrize("names", [lambda file: file, lambda file: sha256_of_name(file)], ids=["own", "meaningless"])
def test_a_folder_of_component_files_gives_the_whole_model_whatever_they_are_called(tmp_path, state, network, names):
    save_components(tmp_path, state, lambda part: {"model": part, "cfg": {}, "epoch": 3})
    for file in FILES.values():
        os.rename(tmp_path / f"{file}.ckpt", tmp_path / f"{names(file)}.ckpt")
    imported = import_weights(tmp_path)
    assert imported.spec.parts == ("ecg", "ecg_alignment", "study") and imported.spec.study.width == 64
    assert_same_weights(imported.networks["echo2ecg"], network)
    assert not any("Cannot" in note for note in imported.notes)


def sha256_of_name(file):
    return hashlib.sha256(file.encode()).hexdigest()[:8]


def test_a_training_checkpoint_gives_the_whole_model(tmp_path, state, network):
    torch.save(
        {"state_dict": state, "epoch": 1, "optimizer_states": [{}], "hyper_parameters": {"a": 1}},
        tmp_path / "last.ckpt",
    )
    assert_same_weights(import_weights(tmp_path / "last.ckpt").networks["echo2ecg"], network)


def test_prefixes_of_distributed_training_are_taken_off(tmp_path, state, network):
    torch.save({"state_dict": {f"module.model.{k}": v for k, v in state.items()}}, tmp_path / "ddp.ckpt")
    assert_same_weights(import_weights(tmp_path / "ddp.ckpt").networks["echo2ecg"], network)


def test_otis_weights_are_refused_as_a_model_and_accepted_as_a_start(tmp_path, state, network):
    encoder = component(state, "ecg_encoder.")
    encoder["pos_embed_y.weight"] = torch.cat(
        [torch.randn(5, 96), encoder["pos_embed_y.weight"][1:], torch.randn(9, 96)]
    )
    encoder |= {"decoder_embed.weight": torch.zeros(3, 3), "mask_token": torch.zeros(1, 1, 3)}
    path = tmp_path / "encoder.pth"
    torch.save({"model": encoder, "domain_offsets": {"eeg": 0, "ecg": 4}}, path)
    with pytest.raises(
        ModelError, match="2 of .* weights are missing and would stay random: token_aggregator.ecg_layernorm"
    ):
        import_weights(path)
    imported = import_weights(path, allow_partial=True)
    assert imported.kind == "otis" and len(imported.missing) == 2
    assert set(imported.unexpected) == {"decoder_embed.weight", "mask_token"}
    assert_same_weights(imported.networks["echo2ecg"], network, ("ecg_encoder.",))
    assert any("start random: train before use" in note for note in imported.notes)


@pytest.mark.slow
def test_echoprime_networks_are_recognised_and_pad_as_echoprime_does(tmp_path):
    video, views = MViT().eval(), ViewClassifier().eval()
    torch.save(published_echo_encoder(video), tmp_path / "a.pt")
    torch.save(views.state_dict(), tmp_path / "b.pt")
    imported = import_weights(tmp_path)
    assert imported.kind == "echoprime" and set(imported.networks) == {"clip_encoder", "view_classifier"}
    assert imported.spec.clip_encoder.padding == "after_normalising"
    assert_same_weights(imported.networks["clip_encoder"], video)
    assert_same_weights(imported.networks["view_classifier"], views)
    assert import_weights(tmp_path / "a.pt").kind == "echoprime_video_encoder"
    assert import_weights(tmp_path / "b.pt").kind == "echoprime_view_classifier"


@pytest.mark.slow
def test_a_video_encoder_beside_the_towers_joins_the_model(tmp_path, state):
    torch.save({"state_dict": state}, tmp_path / "towers.ckpt")
    torch.save(published_echo_encoder(MViT()), tmp_path / "video.pt")
    imported = import_weights([tmp_path / "towers.ckpt", tmp_path / "video.pt"])
    assert set(imported.networks) == {"echo2ecg", "clip_encoder"}
    assert imported.spec.clip_encoder.padding == "before_normalising"


@pytest.mark.slow
def test_the_video_encoder_as_training_writes_it_is_recognised_too(tmp_path):
    torch.save({"model": published_echo_encoder(MViT()), "cfg": {}, "epoch": 3}, tmp_path / "echo_multimodal.ckpt")
    imported = import_weights(tmp_path / "echo_multimodal.ckpt")
    assert (imported.kind, imported.missing, imported.unexpected) == ("echoprime_video_encoder", (), ())


def test_a_longer_window_can_be_asked_for(ecg_tower_file):
    imported = import_weights(ecg_tower_file, n_samples=1992)
    assert imported.spec.ecg_input.n_samples == 1992
    assert imported.networks["echo2ecg"].embed_ecg(torch.randn(1, 12, 1992)).shape == (1, 192)


# --- incomplete and unknown keys ---


def test_an_incomplete_component_is_refused_with_the_whole_list(tmp_path, state):
    for key in ("ecg_encoder.blocks.1.norm1.weight", "echo_projection_for_agg.bias"):
        state.pop(key)
    state["ecg_encoder.blocks.0.adapter.weight"] = torch.zeros(2, 2)
    state["criterion.margin"] = torch.zeros(1)
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    with pytest.raises(ModelError) as refusal:
        import_weights(tmp_path / "x.ckpt")
    assert (
        "2 of 49 weights are missing and would stay random: "
        "ecg_encoder.blocks.1.norm1.weight, echo_projection_for_agg.bias." in str(refusal.value)
    )
    assert "1 weights are unknown and would not be used: ecg_encoder.blocks.0.adapter.weight." in str(refusal.value)
    imported = import_weights(tmp_path / "x.ckpt", allow_partial=True)
    assert set(imported.missing) == {"ecg_encoder.blocks.1.norm1.weight", "echo_projection_for_agg.bias"}
    assert set(imported.unexpected) == {"ecg_encoder.blocks.0.adapter.weight", "criterion.margin"}


def test_two_files_with_the_same_component_are_refused(tmp_path, ecg_tower_file):
    (tmp_path / "copy.ckpt").write_bytes(ecg_tower_file.read_bytes())
    with pytest.raises(ModelError, match="Two of the files hold the ecg_encoder"):
        import_weights(tmp_path)


# --- damage ---


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncate_to_nothing(path):
    path.write_bytes(b"")


def web_page(path):
    path.write_bytes(b"\n<!DOCTYPE html>\n<title>Sign in</title>")


def lfs_pointer(path):
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def noise(path):
    path.write_bytes(bytes(range(256)) * 20)


def flipped_bit(path):
    """In the middle of the file lie weights."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def flipped_storage_name(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"data/3", b"data/x"))


def of_many_disks(path):
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x06\x07") + 16] = 2  # disks in all, by the zip64 locator
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage, words",
    [
        (cut, "is cut short: the end of the file is missing"),
        (truncate_to_nothing, "is empty"),
        (web_page, "is a web page, not a weight file"),
        (lfs_pointer, "is only a Git LFS pointer"),
        (noise, "is no PyTorch file of plain weights|is damaged"),
        (flipped_bit, r"is damaged: the check sum of its part \d+ is wrong"),
        (of_many_disks, "is damaged: its list of parts cannot be read"),
        (flipped_storage_name, "is damaged: its weights cannot be read"),
        (lambda path: path.unlink(), "cannot be opened: No such file or directory"),
    ],
)
def test_damaged_files_are_told_in_a_sentence(ecg_tower_file, damage, words):
    damage(ecg_tower_file)
    with pytest.raises(ModelError, match=words):
        import_weights(ecg_tower_file)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s["ecg_encoder.cls_token"].fill_(float("nan")), "cls_token holds values that are not finite"),
        (
            lambda s: s.update({"ecg_encoder.blocks.0.norm1.weight": torch.ones(5)}),
            r"norm1.weight has the shape \(5,\), expected \(192,\)",
        ),
        (
            lambda s: s.update({"ecg_encoder.cls_token": torch.zeros(1, 1, 200)}),
            "width is 200; published are 192, 384, 576",
        ),
        (lambda s: s.update({"ecg_encoder.cls_token": [1.0]}), "cls_token has to be a tensor, found list"),
        (
            lambda s: s.update({"ecg_alignment_global_token.weight": torch.zeros(7)}),
            r"ecg_alignment_global_token.weight has the shape \(7,\)",
        ),
        (
            lambda s: s.update({"echo_alignment_global_token.weight": torch.zeros(7)}),
            r"echo_alignment_global_token.weight has the shape \(7,\)",
        ),
        (
            lambda s: s.update({"echo_projection_for_agg.weight": 3}),
            "echo_projection_for_agg.weight has to be a tensor, found int",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, state, change, words):
    change(state)
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    with pytest.raises(ModelError, match=words):
        import_weights(tmp_path / "x.ckpt")


@pytest.mark.parametrize("payload", [3, [1, 2], {}, {"a": 1}, {"layer.weight": torch.zeros(2)}])
def test_files_with_nothing_known_are_refused(tmp_path, payload):
    torch.save(payload, tmp_path / "x.ckpt")
    with pytest.raises(ModelError, match="x.ckpt holds no weights this program knows"):
        import_weights(tmp_path / "x.ckpt")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds no weight file"):
        import_weights(tmp_path)


# --- safety ---


@pytest.fixture()
def omegaconf(monkeypatch):
    """Classes under OmegaConf's names, shaped like its pickles; gone again before the import."""
    names = {"omegaconf.dictconfig": "DictConfig", "omegaconf.base": "ContainerMetadata", "omegaconf.nodes": "AnyNode"}
    made = {}
    for module_name, name in names.items():
        module = types.ModuleType(module_name)
        made[name] = type(name, (), {"__module__": module_name})
        setattr(module, name, made[name])
        monkeypatch.setitem(sys.modules, module_name, module)
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    yield made
    monkeypatch.undo()


def config_like_omegaconf(classes):
    config, metadata, node = classes["DictConfig"](), classes["ContainerMetadata"](), classes["AnyNode"]()
    metadata.__dict__.update(object_type=dict, key_type=str, resolver_cache=defaultdict(dict, {"env": {"A": 1}}))
    node.__dict__.update(_val=192, _parent=config)
    config.__dict__.update(_content={"width": node}, _metadata=metadata)
    return config


def test_configuration_objects_become_inert_placeholders_and_are_reported(tmp_path, state, network, omegaconf):
    hyper = {
        "cfg": config_like_omegaconf(omegaconf),
        "path": pathlib.PurePosixPath("/a/b"),
        "args": argparse.Namespace(lr=1),
    }
    torch.save({"state_dict": state, "hyper_parameters": hyper}, tmp_path / "last.ckpt")
    for name in [name for name in sys.modules if name.startswith("omegaconf")]:
        del sys.modules[name]
    imported = import_weights(tmp_path / "last.ckpt")
    assert_same_weights(imported.networks["echo2ecg"], network)
    assert {"omegaconf.dictconfig.DictConfig", "omegaconf.base.ContainerMetadata", "omegaconf.nodes.AnyNode",
            "collections.defaultdict", "argparse.Namespace",
            "pathlib.PurePosixPath"} <= set(imported.placeholders)  # fmt: skip
    assert not any(name.startswith("omegaconf") for name in sys.modules)
    assert any("were not read" in note for note in imported.notes)
    assert not any(isinstance(entry, tuple) for entry in torch.serialization.get_safe_globals())


def touch(path):
    open(path, "w").close()


class Attack:
    """Calls `function(*args)` when unpickled by plain pickle."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


ATTACKS = [(os.system, "posix.system"), (eval, "eval"), (os.rename, "posix.rename"), (touch, "touch")]


@pytest.mark.parametrize("function, name", ATTACKS, ids=[name for _, name in ATTACKS])
def test_a_malicious_file_runs_nothing_and_its_global_is_named(tmp_path, state, function, name):
    trace = tmp_path / "trace"
    command = {
        "posix.system": f"touch {trace}",
        "eval": f"open({str(trace)!r}, 'w')",
        "posix.rename": __file__,
        "touch": str(trace),
    }[name]
    args = (command, str(trace)) if name == "posix.rename" else (command,)
    torch.save({"state_dict": state, "hyper_parameters": Attack(function, *args)}, tmp_path / "x.ckpt")
    with pytest.raises(
        ModelError, match=rf"wants to use \S*{name}, which is neither a weight nor a setting; nothing in it was run"
    ):
        import_weights(tmp_path / "x.ckpt")
    assert not trace.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_malicious_pickle_runs_nothing(tmp_path, protocol):
    trace = tmp_path / "trace"
    (tmp_path / "x.pt").write_bytes(pickle.dumps(Attack(os.system, f"touch {trace}"), protocol=protocol))
    with pytest.raises(ModelError):
        import_weights(tmp_path / "x.pt")
    assert not trace.exists()


def test_a_placeholder_cannot_be_turned_into_a_call(tmp_path, state):
    """A function of an allowed module is replaced as well: numpy's own loader is not called."""
    import numpy as np

    source = tmp_path / "trace.npy"
    np.save(source, np.zeros(3))
    torch.save({"state_dict": state, "x": Attack(np.load, str(source))}, tmp_path / "x.ckpt")
    imported = import_weights(tmp_path / "x.ckpt")
    assert any(name.startswith("numpy") for name in imported.placeholders)
