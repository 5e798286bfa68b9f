"""Imports other people's weights: Echo2ECG, OTiS, EchoPrime, whole or in parts, and the ready models.

Files are recognised by the keys and shapes inside, never by their names. Nothing stays random silently: a part that
is not in the files is left out of the model, a part that is there incompletely is refused unless the caller allows
it, and every missing and unexpected key is reported.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.echo_encoder import MViT
from echo2ecg_core.models.published import (
    echo2ecg_from,
    echo_encoder_from,
    published_echo2ecg,
    published_echo_encoder,
    view_classifier_from,
    without_other_domains,
)
from echo2ecg_core.models.published_keys import HEADS, IGNORED, component, echo2ecg_shapes, echo2ecg_spec
from echo2ecg_core.models.ready_heads import CLIP, READY, kind_of
from echo2ecg_core.models.specs import PARTS, ClipEncoderSpec, ModelSpec, StudySpec
from echo2ecg_core.models.view_classifier import ViewClassifier
from echo2ecg_core.models.weight_file import read_weight_file

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
TOWERS = (
    "ecg_encoder", "token_aggregator", "ecg_alignment_global_token",
    "echo_projection_for_agg", "echo_view_aggregator", "echo_alignment_global_token",
)  # fmt: skip
KNOWN_WEIGHTS = (
    "It reads weights of Echo2ECG, OTiS, EchoPrime, EchoNext-Mini, ECGFounder and PanEcho; keys decide, not file names."
)
VIDEO, VIEWS, LINEAR = "echo_encoder", "view_classifier", "linear map"
TELLING_KEYS = {  # one key that only this component has
    "patch_embed.proj.weight": "ecg_encoder",
    "ecg_layernorm_global.weight": "token_aggregator",
    "aggregator.mha.in_proj_weight": "echo_view_aggregator",
    "conv_proj.weight": VIDEO,
    "features.0.0.weight": VIEWS,
}

Components = dict[str, dict[str, Any]]  # component -> its state dict


@dataclass(frozen=True)
class ImportedWeights:
    """Networks made from foreign files, ready for `save_checkpoint`.

    Attributes:
        kind: "echo2ecg", "otis", "echoprime" (both networks), "echoprime_video_encoder", "echoprime_view_classifier",
            or one of `READY`.
        networks: Any of "echo2ecg", "clip_encoder", "view_classifier", or one of `READY`.
        spec: Spec of the model; its `parts` say what the towers hold.
        source_sha256: Hash of the file, or over the hashes of all files.
        missing: Published keys that were expected and are random now (only with `allow_partial`).
        unexpected: Keys of the files that were not used.
        placeholders: Configuration classes in the files that were not read.
        notes: Sentences for a person: what these weights can and cannot do, what was assumed.
    """

    kind: str
    networks: dict[str, nn.Module]
    spec: ModelSpec
    source_sha256: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    placeholders: tuple[str, ...]
    notes: tuple[str, ...]


def import_weights(
    paths: str | Path | Iterable[str | Path],
    allow_partial: bool = False,
    n_samples: int | None = None,
    heads: int | None = None,
) -> ImportedWeights:
    """Networks from weight files.

    Args:
        paths: A file, a folder of files, or several of them that belong together.
        allow_partial: Accept incomplete components; what they lack starts random and unknown keys are left out.
        n_samples: ECG window; None = the window the weights were made for.
        heads: Attention heads of an ECG encoder of unpublished width.

    Raises:
        ModelError: If a file cannot be read safely, holds nothing known, repeats a component, is incomplete, or holds a
            weight of another shape or with values that are not finite.
    """
    files = _files_of([paths] if isinstance(paths, str | Path) else paths)
    contents = _read_all(files)
    components, spec = contents.components, ModelSpec()
    networks: dict[str, nn.Module] = {}
    missing: list[str] = []
    unexpected = list(contents.unexpected)
    if any(kind in components for kind in READY):
        return _ready(contents, files)
    if tower := {f"{name}.{key}": value for name in TOWERS for key, value in components.get(name, {}).items()}:
        echo2ecg, missing, extra = _towers(tower, allow_partial, n_samples, heads)
        networks["echo2ecg"], spec, unexpected = echo2ecg, echo2ecg.spec, unexpected + extra
    for component_name, name in ((VIDEO, "clip_encoder"), (VIEWS, "view_classifier")):
        if component_name in components:
            networks[name], lacking, extra = _video_network(component_name, components[component_name], allow_partial)
            missing, unexpected = missing + lacking, unexpected + extra
    spec = _with_clip_encoder(spec, networks)
    return ImportedWeights(
        kind=_kind(networks, contents.is_otis),
        networks=networks,
        spec=spec,
        source_sha256=_hash_of(files),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        placeholders=tuple(sorted(contents.placeholders)),
        notes=_notes(networks, spec, missing, contents.placeholders),
    )


def _ready(contents: "_Contents", files: list[Path]) -> ImportedWeights:
    """A ready model; whole or not at all, because a second reader with random weights would answer nonsense."""
    if len(contents.components) > 1:
        raise ModelError(
            f"The files hold several models: {', '.join(contents.components)}.", "Give one model at a time."
        )
    ((kind, state),) = contents.components.items()
    head, unexpected = READY[kind], list(contents.unexpected)
    if head.lets_extra_pass:
        known = head.network().state_dict().keys() | set(head.optional)
        unexpected += sorted(state.keys() - known)
        state = {key: value for key, value in state.items() if key in known}
    answer = "its values are marked as machine-read" if head.reads == CLIP else "its answers stand beside ours"
    sha256, n_bytes = _hash_of(files), sum(path.stat().st_size for path in files)
    notes = [
        f"{head.can}; {answer}.",
        f"Licence: {head.licence}",
        f"Where it comes from: {head.source} ({head.size}).",
        f"This file: {n_bytes / 1e6:.1f} MB, SHA-256 {sha256}.",
    ]
    if head.source_sha256:
        notes.append(
            "The file is the one that third parties describe (same SHA-256)."
            if sha256 == head.source_sha256
            else "The file is not the one that third parties describe (another SHA-256); its keys and shapes fit."
        )
    return ImportedWeights(
        kind=kind,
        networks={kind: head.from_state(state)},
        spec=ModelSpec(),
        source_sha256=sha256,
        missing=(),
        unexpected=tuple(unexpected),
        placeholders=tuple(sorted(contents.placeholders)),
        notes=tuple(notes),
    )


@dataclass
class _Contents:
    """What all files together hold."""

    components: Components = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    placeholders: set[str] = field(default_factory=set)
    is_otis: bool = False

    def add(self, name: str, state: dict[str, Any]) -> None:
        if name in self.components:
            raise ModelError(f"Two of the files hold the {name}.", "Give one set of weights at a time.")
        self.components[name] = state


def _read_all(files: list[Path]) -> _Contents:
    contents, linear_maps = _Contents(), []
    for path in files:
        payload, replaced = read_weight_file(path)
        found, left = _components_of(payload, path)
        contents.placeholders.update(replaced)
        contents.unexpected += left
        contents.is_otis |= "domain_offsets" in payload
        for name, state in found.items():
            if name == LINEAR:
                linear_maps.append(state)
            else:
                contents.add(name, state)
    for state in linear_maps:
        contents.add(_name_of_linear_map(state, contents.components), state)
    return contents


def _files_of(paths: Iterable[str | Path]) -> list[Path]:
    files = []
    for path in map(Path, paths):
        inside = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise ModelError(f"The folder {path.name} holds no weight file ({', '.join(SUFFIXES)}).")
        files += inside
    return files


def _components_of(payload: Any, path: Path) -> tuple[Components, list[str]]:
    """Components of one file, recognised by keys, and the keys that belong to none."""
    unknown = ModelError(f"{path.name} holds no weights this program knows.", KNOWN_WEIGHTS)
    if not isinstance(payload, Mapping):
        raise unknown
    if "domain_offsets" in payload:
        left = [key for key in payload.get("model", {}) if key.startswith(IGNORED)]
        return {"ecg_encoder": without_other_domains(payload)}, left
    if parts := {name: dict(part) for name in TOWERS if isinstance(part := payload.get(name), Mapping) and part}:
        return parts, []  # the released single file
    state = next(
        (payload[key] for key in ("state_dict", "model", "weights") if isinstance(payload.get(key), Mapping)), payload
    )
    state = _unwrapped({key: value for key, value in state.items() if isinstance(key, str)})
    if kind := kind_of(state):
        return {kind: state}, []
    for key, name in TELLING_KEYS.items():
        if key in state:
            return {name: state}, []
    if "weight" in state and set(state) <= {"weight", "bias"}:
        return {LINEAR: state}, []
    parts = {name: component(state, f"{name}.") for name in (*TOWERS, VIDEO)}
    parts = {name: part for name, part in parts.items() if part}
    if not parts:
        raise unknown
    return parts, [key for key in state if key.split(".")[0] not in parts]


def _unwrapped(state: Mapping[str, Any]) -> dict[str, Any]:
    """Without the prefix that distributed training or a surrounding module puts before every key."""
    for prefix in ("module.", "model."):
        if state and all(key.startswith(prefix) for key in state):
            state = component(state, prefix)
    return dict(state)


def _name_of_linear_map(state: Mapping[str, Any], components: Components) -> str:
    """Component of a lone {"weight"}: with a bias the view projection, else the head whose input it fits."""
    if "bias" in state:
        return "echo_projection_for_agg"
    token, weight = components.get("ecg_encoder", {}).get("cls_token"), state["weight"]
    widths = {token.shape[-1]} if isinstance(token, Tensor) else set(HEADS)
    is_ecg = isinstance(weight, Tensor) and weight.ndim == 2 and weight.shape[1] in widths
    return "ecg_alignment_global_token" if is_ecg else "echo_alignment_global_token"


def _towers(
    state: dict[str, Any], allow_partial: bool, n_samples: int | None, heads: int | None
) -> tuple[Echo2ECG, list[str], list[str]]:
    inherited = [key for key in state if key.startswith(tuple(f"ecg_encoder.{name}" for name in IGNORED))]
    state = {key: value for key, value in state.items() if key not in inherited}
    spec = echo2ecg_spec(state, n_samples, heads)
    expected = echo2ecg_shapes(spec)
    missing, unexpected = _compared(state, expected, allow_partial)
    if missing:
        state = published_echo2ecg(Echo2ECG(spec)) | state
    used = {key: value for key, value in state.items() if key in expected}
    return echo2ecg_from(used, spec.ecg_encoder.n_samples, heads), missing, inherited + unexpected


def _video_network(name: str, state: dict[str, Any], allow_partial: bool) -> tuple[nn.Module, list[str], list[str]]:
    if name == VIDEO:
        head = state.get("head.1.weight")
        dim = head.shape[0] if isinstance(head, Tensor) else 512
        build: Callable[[Mapping[str, Tensor]], nn.Module] = echo_encoder_from
        fresh: Mapping[str, Tensor] = published_echo_encoder(MViT(dim))
    else:
        build, fresh = view_classifier_from, ViewClassifier().state_dict()
    missing, unexpected = _compared(state, fresh, allow_partial)
    return build({key: state.get(key, value) for key, value in fresh.items()}), missing, unexpected


def _compared(state: Mapping, expected: Mapping, allow_partial: bool) -> tuple[list[str], list[str]]:
    """Missing and unexpected keys, sorted; refuses either unless allowed."""
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if allow_partial or not missing + unexpected:
        return missing, unexpected
    sentences = []
    if missing:
        share = f"{len(missing)} of {len(expected)}"
        sentences.append(f"{share} weights are missing and would stay random: {', '.join(missing)}.")
    if unexpected:
        sentences.append(f"{len(unexpected)} weights are unknown and would not be used: {', '.join(unexpected)}.")
    raise ModelError(" ".join(sentences), "Allow a partial import only as the start of a training.")


def _with_clip_encoder(spec: ModelSpec, networks: Mapping[str, nn.Module]) -> ModelSpec:
    """The spec with the imported clip encoder; EchoPrime alone pads after normalising, Echo2ECG before."""
    clip_encoder = networks.get("clip_encoder")
    if clip_encoder is None:
        return spec
    assert isinstance(clip_encoder, MViT)
    dim = clip_encoder.head.out_features
    if "echo2ecg" in networks and "study" in spec.parts:
        return replace(spec, clip_encoder=ClipEncoderSpec(dim=dim))
    padding = "before_normalising" if "echo2ecg" in networks else "after_normalising"
    return replace(spec, clip_encoder=ClipEncoderSpec(dim=dim, padding=padding), study=StudySpec(clip_dim=dim))


def _kind(networks: Mapping[str, nn.Module], is_otis: bool) -> str:
    if "echo2ecg" in networks:
        return "otis" if is_otis else "echo2ecg"
    if len(networks) == 2:
        return "echoprime"
    return "echoprime_video_encoder" if "clip_encoder" in networks else "echoprime_view_classifier"


def _notes(
    networks: Mapping[str, nn.Module], spec: ModelSpec, missing: list[str], placeholders: set[str]
) -> tuple[str, ...]:
    notes, parts = [], spec.parts if "echo2ecg" in networks else ()
    if "ecg" in parts:
        rate, n = spec.ecg_input.sampling_rate_hz, spec.ecg_input.n_samples
        notes.append("Can turn ECGs into vectors, and so predict phenotypes once readouts are fitted on labelled ECGs.")
        notes.append(
            f"The weights do not say their sampling rate; {rate:g} Hz, a window of {n / rate:.2f} s, is assumed."
        )
    if "study" in parts:
        notes.append("Can turn echo studies into vectors, given clip vectors of the video encoder it was trained with.")
    if parts and set(parts) != set(PARTS):
        absent = ", ".join(part for part in PARTS if part not in parts)
        notes.append(f"Cannot search echo studies from an ECG: the weights of {absent} are not in the files.")
    if "clip_encoder" in networks:
        notes.append("Can turn echo clips into vectors.")
    if "view_classifier" in networks:
        notes.append("Can tell the view of an echo clip.")
    if missing:
        notes.append(f"{len(missing)} weights were not in the files and start random: train before use.")
    if placeholders:
        notes.append("Configuration objects in the files were not read; sizes come from the weights themselves.")
    return tuple(notes)


def _hash_of(files: list[Path]) -> str:
    hashes = []
    for path in files:
        with open(path, "rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()
