"""Weights of others become a registered, inactive model: read safely, checked, written as safetensors with a manifest.

The manifest says what the files held, what they can do and what is assumed: no source confirms the sampling rate or the
order of cleaning and resampling of the published weights, so the defaults are marked as unconfirmed.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from echo2ecg_core.errors import ModelError
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry, check_room

if TYPE_CHECKING:
    from echo2ecg_core.models.import_weights import ImportedWeights
    from echo2ecg_core.models.specs import ModelSpec

KINDS = (
    "auto", "echo2ecg", "otis", "echoprime", "echoprime_video_encoder", "echoprime_view_classifier",
    "echonext", "ecgfounder", "panecho",
)  # fmt: skip
LICENCE_NOTE = "The weights keep the licence of their authors; read it before you use or share them."


@dataclass(frozen=True)
class ImportedModel:
    """A registered model and what the import has to say of it."""

    card: ModelCard
    kind: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    placeholders: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def state(self) -> str:
        """What the model does from now on, in words: "inactive", or "a second reader, switched on"."""
        return "a second reader, switched on" if "ready" in self.card.manifest() else "inactive"

    def as_json(self) -> dict:
        """The import as plain JSON types."""
        return {
            "model": {"id": self.card.model_id, "name": self.card.name, "sha256": self.card.sha256, "synthetic": False},
            "kind": self.kind,
            "state": self.state,
            "licence": self.card.manifest()["licence"],
            "source_sha256": self.card.manifest()["source_sha256"],
            "ready": self.card.manifest().get("ready"),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "placeholders": list(self.placeholders),
            "notes": list(self.notes),
        }


def import_model(
    files: Sequence[Path],
    workspace: Workspace,
    *,
    kind: str = "auto",
    allow_partial: bool = False,
    sampling_rate_hz: float | None = None,
    order: str | None = None,
) -> ImportedModel:
    """Register the model in weight files; nothing is registered when anything is wrong.

    Args:
        files: A file, a folder, or several files of one model.
        workspace: Where it is registered, inactive. The same weights twice are one model.
        kind: What the files must hold; "auto" takes what their keys say.
        allow_partial: Accept what is incomplete; what is missing stays random and is listed.
        sampling_rate_hz, order: Of the ECG input, when the person knows them.

    Raises:
        ModelError: the files cannot be read safely, are incomplete or damaged, hold another kind, or are larger than
            the room for a copy of them.
    """
    from echo2ecg_core.models.checkpoint import save_checkpoint
    from echo2ecg_core.models.import_weights import import_weights
    from echo2ecg_core.models.specs import EcgInputSpec

    if kind not in KINDS:
        raise ModelError(f"There is no kind of weights {kind!r}; known: {', '.join(KINDS)}.", "Use auto.")
    _check_room_for(files, workspace)
    found = import_weights(files, allow_partial=allow_partial)
    if kind not in ("auto", found.kind):
        raise ModelError(
            f"The files were given as {kind}, but their keys are those of {found.kind}.",
            "Use --kind auto, or give other files.",
        )
    told = {"sampling_rate_hz": sampling_rate_hz, "order": order}
    told = {key: value for key, value in told.items() if value is not None}
    spec = replace(found.spec, ecg_input=EcgInputSpec.from_dict(found.spec.ecg_input.to_dict() | told))
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(folder, found.networks, spec, _manifest(found, spec, list(told), _files_in(files)))
        card = ModelRegistry(workspace).register(Path(folder))
    return ImportedModel(card, found.kind, found.missing, found.unexpected, found.placeholders, found.notes)


def _manifest(found: "ImportedWeights", spec: "ModelSpec", told: list[str], files: list[Path]) -> dict:
    """What the registry keeps of weights beside them; `told`: facts of the ECG input that the person confirmed."""
    from echo2ecg_core.models.ready_heads import READY

    head = READY.get(found.kind)
    manifest = {
        "name": head.name if head else found.kind.replace("_", "-"),
        "synthetic": False,
        "kind": found.kind,
        "source_sha256": found.source_sha256,
        "ecg_input": {
            "sampling_rate_hz": spec.ecg_input.sampling_rate_hz,
            "order": spec.ecg_input.order,
            "confirmed": told,
        },
        "missing": list(found.missing),
        "unexpected": list(found.unexpected),
        "placeholders": list(found.placeholders),
        "notes": list(found.notes),
        "licence": head.licence if head else LICENCE_NOTE,
    }
    if head is not None:
        del manifest["ecg_input"]
        manifest["ready"] = _about(head, files)
    return manifest


def _about(head, files: list[Path]) -> dict:
    """What pages and terminal say of a ready model."""
    return {
        "kind": head.kind,
        "reads": head.reads,
        "can": head.can,
        "source": head.source,
        "source_bytes": sum(path.stat().st_size for path in files),
        "trained_on": head.trained_on,
        "left_out": head.left_out,
    }


def _files_in(files: Sequence[Path]) -> list[Path]:
    return [
        path
        for given in map(Path, files)
        for path in (given.iterdir() if given.is_dir() else [given])
        if path.is_file()
    ]


def _check_room_for(files: Sequence[Path], workspace: Workspace) -> None:
    """Before anything is read: the copy that the registry keeps is about as large as the files."""
    if found := _files_in(files):
        names = found[0].name if len(found) == 1 else f"A copy of the {len(found)} files"
        check_room(workspace, sum(path.stat().st_size for path in found), names)
