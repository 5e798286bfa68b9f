"""Is this workspace whole? Files against their names, weights against their checksum, vectors against fresh ones."""

import hashlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from echo2ecg_core.answers.embed import clip_encoder_id, prepared_clip
from echo2ecg_core.answers.loaded_model import LoadedModel, load_active_model
from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.intake.repair import damaged_files, named
from echo2ecg_core.store import audit
from echo2ecg_core.store.blobs import MEND
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.vectors import load_vectors

SAMPLE = 12
LOWEST_COSINE = 0.9999


def check_workspace(workspace: Workspace) -> list[dict]:
    """Rows of name, ok and found, one a check; reading only.

    Raises:
        StoreError: there is no workspace here.
    """
    if not workspace.exists():
        raise StoreError(
            f"There is no workspace at {workspace.folder.name}.", "Run `demo`, or name another with --workspace."
        )
    rows = [_row("catalog", _catalog, workspace), _row("blobs", _blobs, workspace)]
    try:
        model = load_active_model(workspace)
    except Echo2ECGError as error:
        return [*rows, {"name": "active model", "ok": False, "found": str(error)}]
    rows.append(
        {
            "name": "active model",
            "ok": True,
            "found": f"{model.card.name} {model.card.model_id}, weights match their checksum",
        }
    )
    return rows + [
        _row("ECG vectors", _ecg_vectors, workspace, model),
        _row("clip vectors", _clip_vectors, workspace, model),
    ]


def _row(name: str, function, *arguments) -> dict:
    try:
        ok, found = function(*arguments)
    except Echo2ECGError as error:
        ok, found = False, str(error)
    return {"name": name, "ok": bool(ok), "found": found}


def _catalog(workspace: Workspace) -> tuple[bool, str]:
    with workspace.connect() as db:
        verdict = db.execute("PRAGMA integrity_check").fetchone()[0]
    counts = Catalog(workspace).counts()
    held = ", ".join(f"{n} {what}" for what, n in counts.items())
    if (broken := audit.first_broken(workspace)) is not None:
        return False, f"{held}; the audit log was changed by other means: line {broken} does not follow"
    return verdict == "ok", held


def _blobs(workspace: Workspace) -> tuple[bool, str]:
    damaged, n = damaged_files(workspace), len(Catalog(workspace).files().blob.unique())
    whole = f"{n - len(damaged)} of {n} files match their content hash"
    if not damaged:
        return True, whole
    return False, f"{whole}; damaged or missing: {named(sorted(damaged.values()))}. {MEND}"


def _ecg_vectors(workspace: Workspace, model: LoadedModel) -> tuple[bool, str]:
    catalog, vectors = Catalog(workspace), load_vectors(workspace.vectors, "ecg", model.card.model_id)
    sample = _sample(vectors.ids, lambda i: model.prepare(catalog.ecg_record(i)))
    return _compare(vectors, list(sample), [model.embed_ecgs(one[None]).embedding[0] for one in sample.values()])


def _clip_vectors(workspace: Workspace, model: LoadedModel) -> tuple[bool, str]:
    catalog, vectors = Catalog(workspace), load_vectors(workspace.vectors, "clip", clip_encoder_id(model))

    def again(clip_id: str) -> np.ndarray:
        if not catalog.clip(clip_id).has_picture:
            return catalog.clip_vector(clip_id)
        return model.embed_clips(prepared_clip(catalog, clip_id, model)[None])[0][0]

    sample = _sample(vectors.ids, again)
    return _compare(vectors, list(sample), list(sample.values()))


def _sample(ids: tuple[str, ...], prepare: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    """What is made of a few ids that every call chooses alike; those with damaged files stand with the blobs."""
    chosen = {}
    for one in sorted(ids, key=lambda i: hashlib.sha256(i.encode()).hexdigest()):
        with suppress(StoreError):
            chosen[one] = prepare(one)
        if len(chosen) == SAMPLE:
            break
    return chosen


def _compare(vectors, sample: list[str], fresh: list[np.ndarray]) -> tuple[bool, str]:
    if not sample:
        return True, "none stored yet"
    stored, made = vectors.rows(sample), np.stack(fresh)
    cosine = (stored * made).sum(1) / np.linalg.norm(stored, axis=1) / np.linalg.norm(made, axis=1)
    return (
        cosine.min() >= LOWEST_COSINE,
        f"{len(sample)} of {len(vectors)} embedded again, lowest cosine {cosine.min():.6f}",
    )
