"""The models of a workspace: folders of weights and manifest, registered in the catalog, at most one of them active.

A model's id is the start of the sha256 of its weights, so the same weights registered twice are one model.
"""

import errno
import json
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from echo2ecg_core.errors import ModelError
from echo2ecg_core.store import audit
from echo2ecg_core.store.blobs import OLDEST_HALF_S
from echo2ecg_core.store.database import Workspace

COPYING = ".copying-"  # begins the names of folders that are not whole yet


@dataclass(frozen=True)
class ModelCard:
    """What pages and JSON say of a model. `synthetic` is True when it has seen simulated hearts only."""

    model_id: str
    name: str
    sha256: str
    synthetic: bool
    registered_at: str
    active: bool
    folder: Path

    def manifest(self) -> dict:
        """The manifest that lies beside the weights."""
        return read_manifest(self.folder)


def read_manifest(folder: Path) -> dict:
    """The manifest.json of a model folder.

    Raises:
        ModelError: it is missing or not a manifest.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        if not {"name", "sha256", "synthetic"} <= set(manifest):
            raise ValueError("name, sha256 or synthetic is missing")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"The model folder {folder.name} has no readable manifest.json ({error}).",
            "Use a folder written by `train` or `models import`.",
        ) from error
    return manifest


def clip_vectors_id(manifest: dict) -> str:
    """Whose clip vectors a model reads: the id of its clip encoder's weights, or the name of an encoder that is not
    here and whose vectors came in. Clip vectors are made once an encoder and shared by the models trained on it."""
    encoder = manifest.get("weights", {}).get("clip_encoder")
    if encoder is None and manifest.get("clip_vectors"):
        return manifest["clip_vectors"]
    return (encoder or manifest)["sha256"][:8]


def check_room(workspace: Workspace, n_bytes: int, what: str) -> None:
    """Nothing, where the workspace's disk has room for so many bytes.

    Raises:
        ModelError: it has not; `what` begins the sentence.
    """
    place = next(folder for folder in (workspace.folder, *workspace.folder.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if n_bytes > free:
        raise ModelError(
            f"{what} needs {n_bytes / 2**20:.1f} MB, but only {free / 2**20:.1f} MB are free on the disk of the "
            "workspace.",
            "Free some space or choose another workspace folder.",
        )


class ModelRegistry:
    """Registers, lists and activates the models of one workspace."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    def register(self, folder: Path) -> ModelCard:
        """Copy a model folder into the workspace and list it, inactive; the same weights twice are one model.

        The same weights with another spec (somebody learnt their sampling rate) replace the folder: readouts fitted on
        other inputs go with it, and vectors made from them no longer count.

        Raises:
            ModelError: the folder holds no model, the disk has no room for a copy, or the model is active and would
                read ECGs otherwise.
        """
        manifest = read_manifest(folder)
        model_id = manifest["sha256"][:8]
        target = self.workspace.models / model_id
        if not target.exists():
            self._copy(folder, target)
        elif read_manifest(target).get("spec") != manifest.get("spec"):
            if any(card.active and card.model_id == model_id for card in self.models()):
                raise ModelError(
                    f"The model {model_id} is active; with these settings it would read ECGs otherwise than its "
                    "vectors were made.",
                    "Promote another model first, then import it again.",
                )
            self._copy(folder, target)
        with self.workspace.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO models VALUES (?, ?, ?, ?, ?, 0)",
                (
                    model_id,
                    manifest["name"],
                    manifest["sha256"],
                    int(manifest["synthetic"]),
                    datetime.now(UTC).isoformat(timespec="seconds"),
                ),
            )
        return self.get(model_id)

    def _copy(self, folder: Path, target: Path) -> None:
        """Put a copy of a folder at `target` in one step; of two processes that do it at once the first one stays."""
        check_room(
            self.workspace, sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()), "The copy of the model"
        )
        replaces = target.exists()
        self.workspace.models.mkdir(parents=True, exist_ok=True)
        for left in self.workspace.models.glob(f"{COPYING}*"):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > OLDEST_HALF_S:  # of a process that was killed
                    shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self.workspace.models, prefix=COPYING) as temporary:
            made = Path(temporary) / "new"
            shutil.copytree(folder, made)
            if replaces:
                with suppress(FileNotFoundError):  # the other one has just taken it away
                    target.rename(Path(temporary) / "old")
            try:
                made.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise  # else the other one was first, with the same weights

    def models(self) -> list[ModelCard]:
        """All registered models, newest first."""
        with self.workspace.connect() as db:
            rows = db.execute("SELECT * FROM models ORDER BY registered_at DESC, model_id").fetchall()
        return [self._card(row) for row in rows]

    def get(self, model_id: str) -> ModelCard:
        """The model with this id, or with this beginning of its id.

        Raises:
            ModelError: none or several fit.
        """
        found = [card for card in self.models() if card.model_id.startswith(model_id)] if model_id else []
        if len(found) != 1:
            known = ", ".join(card.model_id for card in self.models()) or "none"
            raise ModelError(
                f"No single model has the id {model_id!r}; registered: {known}.", "`models list` shows them."
            )
        return found[0]

    def active(self) -> ModelCard:
        """The active model.

        Raises:
            ModelError: no model is active.
        """
        found = [card for card in self.models() if card.active]
        if not found:
            raise ModelError(
                "No model is active in this workspace.", "Run `demo` for the shipped model, or `promote MODEL`."
            )
        return found[0]

    def promote(self, model_id: str) -> ModelCard:
        """Make a model the active one, in one transaction."""
        card = self.get(model_id)
        with self.workspace.write() as db:
            db.execute("UPDATE models SET active = 0 WHERE active = 1")
            db.execute("UPDATE models SET active = 1 WHERE model_id = ?", (card.model_id,))
            audit.record(self.workspace, "promote", model=card.model_id)
        return self.get(card.model_id)

    def _card(self, row) -> ModelCard:
        return ModelCard(
            row["model_id"],
            row["name"],
            row["sha256"],
            bool(row["synthetic"]),
            row["registered_at"],
            bool(row["active"]),
            self.workspace.models / row["model_id"],
        )
