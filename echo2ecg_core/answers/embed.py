"""Journey 3, second half: vectors for everything in the catalog that has none, so that stopping and starting repeats
nothing.

Clip vectors belong to the clip encoder, ECG and study vectors to the model. Each set is saved as it grows. What cannot
be read (a damaged file, a signal that cannot be used) is listed with its reason, and the work goes on.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from echo2ecg_core.answers.loaded_model import LoadedModel, input_text, load_model, spec_of
from echo2ecg_core.answers.readiness import readiness
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import Echo2ECGError, ModelError, StoreError
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.paths import refused_path
from echo2ecg_core.store.vectors import VectorSet, recover_vectors

BATCH = 16
SAVE_EVERY = 160


def embed_workspace(workspace: Workspace, card: ModelCard, progress: Progress = silent) -> list[dict]:
    """Make every vector that is missing for a model (of studies where it shares a space with them); returns what
    could not be embedded: rows of ecg_id or clip_id, and reason.

    Raises:
        ModelError: its weights lack a part that nothing can add.
    """
    lacks = readiness(workspace, card).lacks
    if lacks:
        raise ModelError(
            f"{card.name} {card.model_id} cannot be prepared: its weights hold {', '.join(lacks)}.",
            "Promote a model with an ECG encoder, or import one together with these weights.",
        )
    progress(0.0, "Loading the model")
    model = load_model(card, with_readouts=False)
    if not model.spec.shares_space:
        return embed_ecgs(workspace, model, progress)
    refused = embed_ecgs(workspace, model, part(progress, 0.0, 0.4))
    if not Catalog(workspace).clips().empty:
        refused = refused + embed_clips(workspace, model, part(progress, 0.4, 0.95))
        progress(0.95, "Aligning studies")
        embed_studies(workspace, model)
    return refused


def embed_job(workspace: Workspace, model_id: str | None, progress: Progress) -> str:
    """The embed job: missing vectors of a model (None: the active one); returns a closing sentence.

    Raises:
        StoreError: the workspace holds nothing to embed.
    """
    registry = ModelRegistry(workspace)
    card = registry.get(model_id) if model_id else registry.active()
    counts = Catalog(workspace).counts()
    if not counts["ecgs"] + counts["clips"]:
        raise StoreError("The workspace holds no ECG and no clip to embed.", "Import an archive first.")
    refused = embed_workspace(workspace, card, progress)
    studies = f" and {counts['studies']} studies" if spec_of(card).shares_space else ""
    ecgs = counts["ecgs"] - sum("ecg_id" in row for row in refused)
    return f"Vectors of {ecgs} ECGs{studies} are there.{passed_over(refused)}"


def passed_over(refused: list[dict]) -> str:
    """How many ECGs and clips could not be embedded, and why the first of them, as a closing sentence; "" for none."""
    ecgs = sum("ecg_id" in row for row in refused)
    told = [f"{ecgs} ECGs"] * (ecgs > 0) + [f"{len(refused) - ecgs} clips"] * (len(refused) > ecgs)
    return f" {' and '.join(told)} could not be embedded; the first: {refused[0]['reason']}" if refused else ""


def embed_ecgs(workspace: Workspace, model: LoadedModel, progress: Progress = silent) -> list[dict]:
    """Embed every ECG without a vector; returns the ones that could not be, with the reason.

    Vectors of ECGs that were prepared otherwise than the model's spec says are made again.
    """
    catalog, model_id = Catalog(workspace), model.card.model_id
    kinds = {"ecg": "embedding"} | ({"ecg_aligned": "aligned"} if model.spec.shares_space else {})
    sets = {kind: _prepared_alike(recover_vectors(workspace.vectors, kind, model_id), model) for kind in kinds}
    waiting = [i for i in catalog.ecgs().ecg_id if any(stored.missing([i]) for stored in sets.values())]
    refused, done = [], 0
    for ids in _batches(waiting, SAVE_EVERY):
        made = {}
        for ecg_id in ids:
            try:
                made[ecg_id] = model.embed_ecgs(model.prepare(catalog.ecg_record(ecg_id))[None])
            except Echo2ECGError as error:
                refused.append({"ecg_id": ecg_id, "reason": str(error)})
            done += 1
            progress(done / len(waiting), f"Embedding ECGs: {done} of {len(waiting)}")
        for kind, name in kinds.items() if made else ():
            sets[kind] = _grown(
                sets[kind], list(made), np.stack([getattr(vectors, name)[0] for vectors in made.values()])
            )
            sets[kind].save(workspace.vectors)
    write_atomically(refused_path(workspace, model_id), json.dumps(refused).encode())
    return refused


def _prepared_alike(vectors: VectorSet, model: LoadedModel) -> VectorSet:
    """The set if its ECGs were prepared as the model's spec says, else an empty one to be filled."""
    wanted = input_text(model.spec)
    if vectors.input == wanted:
        return vectors
    return replace(vectors, ids=(), matrix=np.empty((0, 0), np.float32), input=wanted)


def embed_clips(workspace: Workspace, model: LoadedModel, progress: Progress = silent) -> list[dict]:
    """Embed every clip without a vector, and name the view of those that came without one; returns the ones that could
    not be, with the reason."""
    catalog, encoder_id = Catalog(workspace), clip_encoder_id(model)
    clips = catalog.clips().set_index("clip_id")
    vectors = recover_vectors(workspace.vectors, "clip", encoder_id)
    waiting, refused, done = vectors.missing(clips.index), [], 0
    for ids in _batches(waiting, SAVE_EVERY):
        made: dict[str, np.ndarray] = {}
        for batch in _batches(ids, BATCH):
            progress(done / len(waiting), f"Embedding clips: {done} of {len(waiting)}")
            done += len(batch)
            prepared = _prepared_clips(catalog, batch, model, refused)
            if not prepared:
                continue
            of_batch, views = model.embed_clips(np.stack(list(prepared.values())))
            made |= dict(zip(prepared, of_batch, strict=True))
            if views is not None:
                catalog.set_views(_unnamed(clips.view, list(prepared), views))
        if made:
            vectors = _grown(vectors, list(made), np.stack(list(made.values())))
            vectors.save(workspace.vectors)
    write_atomically(refused_path(workspace, encoder_id, "clip"), json.dumps(refused).encode())
    return refused


def _prepared_clips(catalog: Catalog, ids: list[str], model: LoadedModel, refused: list[dict]) -> dict[str, np.ndarray]:
    """Network inputs (3, 16, 224, 224) of the clips that can be read, by id; the others join `refused`."""
    prepared = {}
    for clip_id in ids:
        try:
            prepared[clip_id] = prepared_clip(catalog, clip_id, model)
        except Echo2ECGError as error:
            refused.append({"clip_id": clip_id, "reason": str(error)})
    return prepared


def _unnamed(known: pd.Series, ids: list[str], views: np.ndarray) -> dict[str, tuple[str, float]]:
    """View and confidence, from probabilities (b, 11), of those clips that came without a view."""
    return {i: (list(VIEWS)[p.argmax()], float(p.max())) for i, p in zip(ids, views, strict=True) if known[i] is None}


def embed_studies(workspace: Workspace, model: LoadedModel) -> None:
    """Align every study that has clip vectors; a study whose clips changed is aligned again because the set is
    rebuilt."""
    clips = Catalog(workspace).clips()
    vectors = recover_vectors(workspace.vectors, "clip", clip_encoder_id(model))
    clips = clips[clips.clip_id.isin(vectors.ids)]
    groups = list(clips.groupby("study_id").clip_id)
    if not groups:
        return
    most = model.spec.study.max_views
    aligned = np.concatenate(
        [model.align_studies([vectors.rows(list(ids)[:most]) for _, ids in batch]) for batch in _batches(groups, 256)]
    )
    VectorSet(
        "study_aligned", model.card.model_id, tuple(study_id for study_id, _ in groups), aligned.astype(np.float32)
    ).save(workspace.vectors)


def prepared_clip(catalog: Catalog, clip_id: str, model: LoadedModel) -> np.ndarray:
    """A stored clip as network input (3, 16, 224, 224)."""
    from echo2ecg_core.echo.preprocess import prepare_frames
    from echo2ecg_core.echo.readers import read_clip

    return prepare_frames(read_clip(catalog.clip_content(clip_id)).frames, padding=model.spec.clip_encoder.padding)


def clip_encoder_id(model: LoadedModel) -> str:
    """Id of the clip encoder's weights: clip vectors are made once an encoder and shared by the models trained on
    it."""
    return model.manifest["weights"].get("clip_encoder", {"sha256": model.card.sha256})["sha256"][:8]


def _grown(vectors: VectorSet, ids: list[str], matrix: np.ndarray) -> VectorSet:
    fresh = set(vectors.missing(ids))
    keep = [row for row, i in enumerate(ids) if i in fresh]
    return vectors.add([ids[row] for row in keep], matrix[keep].astype(np.float32)) if keep else vectors


def _batches(items: Iterable, size: int) -> Iterator[list]:
    items = list(items)
    yield from (items[start : start + size] for start in range(0, len(items), size))
