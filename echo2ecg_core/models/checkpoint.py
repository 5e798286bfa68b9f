"""Our own checkpoints: a folder with manifest.json and one safetensors file per network.

Weight files carry their hash in the name and the manifest, which points to them, is replaced last in one step: whoever
reads sees the old checkpoint or the new one, never half of either. The manifest holds the spec (so the networks can be
rebuilt) and whatever the caller adds (name, synthetic, training facts).
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from echo2ecg_core.counts import counted
from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.echo_encoder import MViT, PhantomVideoNet, clip_encoder_of
from echo2ecg_core.models.ready_heads import READY, ReadyHead
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.models.view_classifier import ViewClassifier

FORMAT = "echo2ecg-checkpoint"
VERSION = 1
RESERVED = ("format", "version", "spec", "weights", "sha256")
COPY_AGAIN = "Copy the whole model folder again."
PRECISIONS = {"float32": torch.float32, "float16": torch.float16}


def _builder(head: ReadyHead) -> Callable[[ModelSpec], nn.Module]:
    """A model of others has its sizes from its authors, not from a spec."""
    return lambda spec: head.network()


BUILDERS: dict[str, Callable[[ModelSpec], nn.Module]] = {
    "echo2ecg": Echo2ECG,
    "clip_encoder": lambda spec: clip_encoder_of(spec.clip_encoder),
    "view_classifier": lambda spec: ViewClassifier(),
    **{kind: _builder(head) for kind, head in READY.items()},
}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model: networks in eval mode and float32.

    Attributes:
        echo2ecg, clip_encoder, view_classifier: The networks the checkpoint holds, None for the others.
        ready: A published model of others (`ready_heads.READY`), None for models of ours.
        spec: How they are built and fed.
        manifest: All of manifest.json.
        sha256: One hash over the weights of all networks; names the model.
        network_sha256: Hash of each network's weight file; names the vectors made with that network alone.
    """

    echo2ecg: Echo2ECG | None
    clip_encoder: MViT | PhantomVideoNet | None
    view_classifier: ViewClassifier | None
    ready: nn.Module | None
    spec: ModelSpec
    manifest: dict[str, Any]
    sha256: str
    network_sha256: dict[str, str]


def save_checkpoint(
    folder: str | Path,
    networks: Mapping[str, nn.Module],
    spec: ModelSpec,
    manifest: Mapping[str, Any],
    precision: str = "float32",
) -> str:
    """Writes the networks with their manifest into `folder` and returns the hash over all weights.

    Args:
        folder: Created where needed; an older checkpoint in it is replaced in one step.
        networks: Any of "echo2ecg", "clip_encoder", "view_classifier", or one of `READY`.
        spec: Spec the networks were built from.
        manifest: Facts to keep, JSON values; `RESERVED` keys are set here.
        precision: "float32", or "float16" for half the size (loaded as float32 again).

    Raises:
        ModelError: If a weight is not a finite number in this precision, **or** the disk is too full, **or** it
            refuses.
    """
    folder = Path(folder)
    assert networks and not set(networks) - set(BUILDERS), f"unknown networks: {sorted(networks)}"
    assert not set(manifest) & set(RESERVED), f"reserved manifest keys: {sorted(set(manifest) & set(RESERVED))}"
    states = {name: _stored_weights(name, network, PRECISIONS[precision]) for name, network in networks.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_free_space(folder, sum(t.nbytes for state in states.values() for t in state.values()))
        weights = {name: _write_weights(folder, name, state) for name, state in states.items()}
        sha256 = _hash_over(weights)
        content = {"format": FORMAT, "version": VERSION, **manifest, "sha256": sha256}
        content |= {"spec": spec.to_dict(), "weights": weights}
        _replace(folder / "manifest.json", json.dumps(content, indent=1))
    except OSError as error:
        raise ModelError(
            f"The model could not be written: {error.strerror}.", "Check free space and permissions."
        ) from error
    _remove_older(folder, {entry["file"] for entry in weights.values()})
    return sha256


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """The model stored in `folder`; every byte of its weights is checked.

    Raises:
        ModelError: If the manifest is missing, damaged or incomplete, **or** a weight file is missing, cut short,
            changed, no safetensors file, made for other sizes, or holds values that are not finite.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    spec = ModelSpec.from_dict(manifest["spec"])
    networks: dict[str, nn.Module] = {}
    for name, entry in manifest["weights"].items():
        state = _read_weights(folder / entry["file"], entry)
        networks[name] = _filled(name, BUILDERS[name](spec), state)
    echo2ecg, clip_encoder = networks.get("echo2ecg"), networks.get("clip_encoder")
    view_classifier = networks.get("view_classifier")
    assert isinstance(echo2ecg, Echo2ECG | None)
    assert isinstance(clip_encoder, MViT | PhantomVideoNet | None)
    assert isinstance(view_classifier, ViewClassifier | None)
    return Checkpoint(
        echo2ecg=echo2ecg,
        clip_encoder=clip_encoder,
        view_classifier=view_classifier,
        ready=next((networks[kind] for kind in READY if kind in networks), None),
        spec=spec,
        manifest=manifest,
        sha256=manifest["sha256"],
        network_sha256={name: entry["sha256"] for name, entry in manifest["weights"].items()},
    )


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """manifest.json of a checkpoint folder, checked for the keys that loading needs.

    Raises:
        ModelError: If it is missing, no JSON, lacks a key, or is of another format or a newer version.
    """
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"There is no model in the folder {path.parent.name!r}: it has no manifest.json.") from None
    except (OSError, ValueError, RecursionError):
        raise ModelError("The model's manifest.json cannot be read as JSON.", COPY_AGAIN) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"The manifest.json is not one of this program's models (its format is not {FORMAT!r}).")
    missing = [key for key in RESERVED if key not in manifest]
    if missing:
        raise ModelError(f"The model's manifest.json lacks {missing[0]!r}.", COPY_AGAIN)
    if manifest["version"] != VERSION:
        raise ModelError(
            f"The model has format version {manifest['version']}, this program reads {VERSION}.", "Update this program."
        )
    _check_weight_entries(manifest["weights"])
    if manifest["sha256"] != _hash_over(manifest["weights"]):
        raise ModelError("The model's manifest.json was changed: its sha256 is not that of its weights.", COPY_AGAIN)
    return manifest


def _check_weight_entries(weights: Any) -> None:
    if not isinstance(weights, dict) or not weights or set(weights) - set(BUILDERS):
        raise ModelError(
            f"The model's manifest.json has to list weights of {', '.join(BUILDERS)}; found {str(weights)[:80]}."
        )
    for name, entry in weights.items():
        for key in ("file", "sha256", "bytes"):
            if not isinstance(entry, dict) or key not in entry:
                raise ModelError(f"The model's manifest.json lacks {key!r} for the network {name}.")
        if Path(entry["file"]).name != entry["file"]:
            raise ModelError(f"The model's manifest.json points outside its folder for the network {name}.")


def _stored_weights(name: str, network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    state = {}
    for key, tensor in network.state_dict().items():
        stored = tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype)
        if stored.is_floating_point() and not bool(stored.isfinite().all()):
            raise ModelError(
                f"The network {name} cannot be saved: {key} holds values that are not finite numbers as {dtype}.",
                "The training has probably diverged; go back to an earlier checkpoint.",
            )
        state[key] = stored.contiguous().clone()
    return state


def _check_free_space(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    needed = n_bytes + 2**20  # the headers and the manifest
    if free < needed:
        raise ModelError(
            f"The model needs {needed / 2**20:.1f} MB, but only {free / 2**20:.1f} MB are free on this disk.",
            "Free some space or choose another workspace folder.",
        )


def _write_weights(folder: Path, name: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    handle, part = tempfile.mkstemp(dir=folder, prefix=f".{name}-", suffix=".part")
    os.close(handle)
    try:
        save_file(dict(state), part)
        sha256 = _sha256(Path(part))
        n_bytes = os.path.getsize(part)
        file = f"{name}-{sha256[:12]}.safetensors"
        _sync(part)
        os.chmod(part, 0o644)
        os.replace(part, folder / file)
    except SafetensorError as error:
        raise ModelError("The model could not be written.", "Check free space and permissions.") from error
    finally:
        Path(part).unlink(missing_ok=True)
    return {"file": file, "sha256": sha256, "bytes": n_bytes}


def _remove_older(folder: Path, current: set[str]) -> None:
    for name in BUILDERS:  # other files of the folder are not ours
        for old in folder.glob(f"{name}-{'?' * 12}.safetensors"):
            if old.name not in current:
                old.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        _sync(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _sync(path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_over(weights: Mapping[str, Mapping[str, Any]]) -> str:
    lines = "".join(f"{name} {weights[name]['sha256']}\n" for name in sorted(weights))
    return hashlib.sha256(lines.encode()).hexdigest()


def _read_weights(path: Path, entry: Mapping[str, Any]) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"The model lacks its weight file {path.name}.", COPY_AGAIN)
    with open(path, "rb") as file:
        if file.read(64).lstrip()[:1] == b"<":
            raise ModelError(
                f"{path.name} is a web page, not a weight file.", "Download the file itself, not its page."
            )
    n_bytes = path.stat().st_size
    if n_bytes != entry["bytes"]:
        raise ModelError(f"{path.name} is damaged: expected {entry['bytes']} bytes, found {n_bytes}.", COPY_AGAIN)
    if _sha256(path) != entry["sha256"]:
        raise ModelError(
            f"{path.name} was changed since it was written: its SHA-256 differs from the manifest.", COPY_AGAIN
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path.name} is not a safetensors file.", COPY_AGAIN) from error


def _filled(name: str, network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    wanted = network.state_dict()
    for keys, word in ((wanted.keys() - state.keys(), "lack"), (state.keys() - wanted.keys(), "also hold")):
        if keys:
            raise ModelError(
                f"The weights of {name} {word} {min(keys)} ({counted(len(keys), 'key')}).",
                "Spec and weights do not belong together.",
            )
    for key, tensor in state.items():
        if tensor.shape != wanted[key].shape:
            raise ModelError(
                f"The weights of {name} do not fit: {key} has the shape {tuple(tensor.shape)}, "
                f"the spec asks for {tuple(wanted[key].shape)}.",
                "Spec and weights do not belong together.",
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelError(f"The weights of {name} are damaged: {key} holds values that are not finite numbers.")
    network.load_state_dict({key: tensor.to(wanted[key].dtype) for key, tensor in state.items()})
    return network.eval()
