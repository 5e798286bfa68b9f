"""Journey 3, second half: vectors for everything in the catalog that has none, so that stopping and starting repeats
nothing.

Clip vectors belong to the clip encoder, ECG and study vectors to the model. Each set is saved as it grows.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.vectors import VectorSet, recover_vectors
from echo2ecg_core.workflows.active_model import LoadedModel

Progress = Callable[[float, str], None]
BATCH = 16
SAVE_EVERY = 160


def embed_ecgs(
    workspace: Workspace, model: LoadedModel, progress: Progress = lambda share, message: None
) -> list[dict]:
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


def refused_path(workspace: Workspace, model_id: str) -> Path:
    """The list of ECGs that this model could not embed, with reasons: what is no longer waited for."""
    return workspace.vectors / f"ecg-refused--{model_id}.json"


def _prepared_alike(vectors: VectorSet, model: LoadedModel) -> VectorSet:
    """The set if its ECGs were prepared as the model's spec says, else an empty one to be filled."""
    wanted = input_text(model.spec)
    if vectors.input == wanted:
        return vectors
    return replace(vectors, ids=(), matrix=np.empty((0, 0), np.float32), input=wanted)


def input_text(spec) -> str:
    """How a model wants its ECGs, as the text that is kept with their vectors."""
    return json.dumps(spec.ecg_input.to_dict(), sort_keys=True)


def embed_clips(workspace: Workspace, model: LoadedModel, progress: Progress = lambda share, message: None) -> None:
    """Embed every clip without a vector, and name the view of those that came without one."""
    catalog = Catalog(workspace)
    clips = catalog.clips().set_index("clip_id")
    vectors = recover_vectors(workspace.vectors, "clip", clip_encoder_id(model))
    waiting = vectors.missing(clips.index)
    for done, ids in enumerate(_batches(waiting, SAVE_EVERY)):
        rows = []
        for batch in _batches(ids, BATCH):
            progress(
                (done * SAVE_EVERY + len(rows)) / len(waiting),
                f"Embedding clips: {done * SAVE_EVERY + len(rows)} of {len(waiting)}",
            )
            made, views = model.embed_clips(np.stack([prepared_clip(catalog, i, model) for i in batch]))
            rows += list(made)
            if views is None:
                continue
            unnamed = {
                i: (list(VIEWS)[p.argmax()], float(p.max()))
                for i, p in zip(batch, views, strict=True)
                if clips.view[i] is None
            }
            catalog.set_views(unnamed)
        vectors = _grown(vectors, ids, np.stack(rows))
        vectors.save(workspace.vectors)


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

    return prepare_frames(read_clip(catalog.clip_path(clip_id)).frames, padding=model.spec.clip_encoder.padding)


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
