"""Journey 3, second half: vectors for everything in the catalog that has none, so that stopping and starting repeats
nothing.

Clip vectors belong to the clip encoder, ECG and study vectors to the model. Reading and cleaning happen in processes
beside the device (inputs.py); what has equally many windows is embedded together; every process of a launcher takes
its share and appends segments of its own, one every SEGMENT_S. What cannot be read (a damaged file, a signal that
cannot be used) is listed with its reason, and the work goes on.
"""

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from echo2ecg_core.answers import inputs
from echo2ecg_core.answers.loaded_model import LoadedModel, ecg_tensors, input_text, load_model, spec_of
from echo2ecg_core.answers.readiness import readiness
from echo2ecg_core.counts import counted
from echo2ecg_core.echo.clip import SURE, VIEWS
from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.models.devices import ThisProcess
from echo2ecg_core.models.threads import MOST, cores
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.settings import settings
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry, clip_vectors_id
from echo2ecg_core.store.paths import refused_path
from echo2ecg_core.store.vectors import VectorSet, append_vectors, merge_vectors, recover_vectors

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor

ECG_WINDOWS = {"cpu": 32, "cuda": 512}  # of one forward pass
CLIPS = {"cpu": 4, "cuda": 64}
ECGS_A_PIECE, CLIPS_A_PIECE = 32, 4  # read at a time by a process beside the device
SEGMENT_S = 10.0  # what a kill may cost
ROWS_A_SEGMENT = 16_384
NO_ENCODER = "This model reads stored vectors of {} and has no clip encoder: import one and train with it."


def embed_workspace(
    workspace: Workspace, card: ModelCard, progress: Progress = silent, fabric: "Fabric | ThisProcess | None" = None
) -> list[dict]:
    """Make every vector that is missing for a model (of studies where it shares a space with them); returns what
    could not be embedded: rows of ecg_id or clip_id, and reason.

    Args:
        workspace: Whose ECGs and clips.
        card: The model.
        progress: Told share and message, on the first process.
        fabric: Devices and processes (`models.devices`); None: one device for this process.

    Raises:
        ModelError: its weights lack a part that nothing can add.
    """
    lacks = readiness(workspace, card).lacks
    if lacks:
        raise ModelError(
            f"{card.name} {card.model_id} cannot be prepared: its weights hold {', '.join(lacks)}.",
            "Promote a model with an ECG encoder, or import one together with these weights.",
        )
    fabric = fabric or ThisProcess()
    progress = progress if fabric.is_global_zero else silent
    progress(0.0, "Loading the model")
    model = load_model(card, with_readouts=False)
    if not model.spec.shares_space:
        return embed_ecgs(workspace, model, progress, fabric)
    refused = embed_ecgs(workspace, model, part(progress, 0.0, 0.4), fabric)
    if Catalog(workspace).counts()["clips"]:
        refused = refused + embed_clips(workspace, model, part(progress, 0.4, 0.95), fabric)
        progress(0.95, "Aligning studies")
        if fabric.is_global_zero:
            embed_studies(workspace, model)
        fabric.barrier()
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
    studies = f" and {counted(counts['studies'], 'study', 'studies')}" if spec_of(card).shares_space else ""
    ecgs = counts["ecgs"] - sum("ecg_id" in row for row in refused)
    return f"Vectors of {counted(ecgs, 'ECG')}{studies} are there.{passed_over(refused)}"


def passed_over(refused: list[dict]) -> str:
    """How many ECGs and clips could not be embedded, and why the first of them, as a closing sentence; "" for none."""
    ecgs = sum("ecg_id" in row for row in refused)
    told = [counted(n, one) for n, one in ((ecgs, "ECG"), (len(refused) - ecgs, "clip")) if n]
    return f" {' and '.join(told)} could not be embedded; the first: {refused[0]['reason']}" if refused else ""


def embed_ecgs(
    workspace: Workspace, model: LoadedModel, progress: Progress = silent, fabric: "Fabric | ThisProcess | None" = None
) -> list[dict]:
    """Embed every ECG without a vector; returns the ones that could not be, with the reason.

    Vectors of ECGs that were prepared otherwise than the model's spec says, or cleaned by an earlier version, are made
    again.
    """
    fabric, model_id, wanted = fabric or ThisProcess(), model.card.model_id, input_text(model.spec)
    kinds = ("ecg", "ecg_aligned") if model.spec.shares_space else ("ecg",)
    waiting = _waiting(workspace, kinds, model_id, wanted)
    segment = _Segment(workspace, kinds, model_id, wanted)

    def embed(windows: "Tensor") -> "tuple[Tensor | None, ...]":
        return ecg_tensors(model.echo2ecg, windows)[: len(kinds)]

    if waiting:
        fabric.to_device(model.echo2ecg)
    work = _Work(workspace, model, fabric, waiting, progress, "ECG")
    for ids, vectors in work.embedded(inputs.ecg_inputs, ECGS_A_PIECE, embed, ECG_WINDOWS[fabric.device.type]):
        segment.add(ids, vectors)
    return work.finish(segment, refused_path(workspace, model_id))


def _waiting(workspace: Workspace, kinds: tuple[str, ...], model_id: str, wanted: str) -> list[str]:
    """ECGs that lack a vector of a kind, or have one of another preparation."""
    ids = list(Catalog(workspace).ecgs().ecg_id)
    missing: set[str] = set()
    for kind in kinds:
        stored = recover_vectors(workspace.vectors, kind, model_id)
        missing.update(stored.missing(ids) if stored.input == wanted else ids)
    return [i for i in ids if i in missing]


def embed_clips(
    workspace: Workspace, model: LoadedModel, progress: Progress = silent, fabric: "Fabric | ThisProcess | None" = None
) -> list[dict]:
    """Embed every clip without a vector, and name the view of those that came without one; returns the ones that could
    not be, with the reason.

    Raises:
        ModelError: there are such clips, and the model has no clip encoder.
    """
    fabric, catalog, encoder_id = fabric or ThisProcess(), Catalog(workspace), clip_encoder_id(model)
    clips = catalog.clips().set_index("clip_id")
    known, came_as_vectors = clips.view, clips.encoder[clips.encoder.notna()]
    if fabric.is_global_zero:
        keep_given_vectors(workspace, encoder_id)
    fabric.barrier()
    waiting = recover_vectors(workspace.vectors, "clip", encoder_id).missing(
        known.index.difference(came_as_vectors.index)
    )
    segment = _Segment(workspace, ("clip",), encoder_id)
    refused = [
        {
            "clip_id": i,
            "reason": f"Only its vector is here, made by the clip encoder {of}; this model reads {encoder_id}.",
        }
        for i, of in came_as_vectors.items()
        if of != encoder_id
    ]
    if waiting and model.clip_encoder is None and model.manifest.get("clip_vectors"):
        refused += [{"clip_id": i, "reason": NO_ENCODER.format(encoder_id)} for i in waiting]
        waiting = []
    if waiting:
        model.require_clip_encoder()
        for network in (model.clip_encoder, model.view_classifier):
            _ = network and fabric.to_device(network)
    stored = [(i, clips.blob[i]) for i in waiting]
    work = _Work(workspace, model, fabric, stored, progress, "clip")
    work.refused += refused if fabric.is_global_zero else []
    for ids, made in work.embedded(inputs.clip_inputs, CLIPS_A_PIECE, model.clip_tensors, CLIPS[fabric.device.type]):
        segment.add(ids, made[:1])
        if made[1] is not None and (views := _unnamed(known, ids, made[1])):
            catalog.set_views(views)
    return work.finish(segment, refused_path(workspace, encoder_id, "clip"))


def keep_given_vectors(workspace: Workspace, encoder: str) -> None:
    """Take the vectors that clips without pictures came in as into the stored ones of their encoder.

    Args:
        encoder: Id or name of the clip encoder.
    """
    catalog = Catalog(workspace)
    clips = catalog.clips()
    stored = recover_vectors(workspace.vectors, "clip", encoder)
    missing = stored.missing(clips.clip_id[clips.encoder == encoder])
    for start in range(0, len(missing), ROWS_A_SEGMENT):
        found = {}
        for clip_id in missing[start : start + ROWS_A_SEGMENT]:
            with suppress(StoreError):  # a damaged file: `check` names it
                found[clip_id] = catalog.clip_vector(clip_id)
        if found:
            append_vectors(workspace.vectors, "clip", encoder, list(found), np.stack(list(found.values())))
    if missing:
        merge_vectors(workspace.vectors, "clip", encoder)


class _Segment:
    """Vectors that are made and not stored yet; one of each kind for every id."""

    def __init__(self, workspace: Workspace, kinds: tuple[str, ...], model_id: str, input: str = ""):
        self.folder, self.kinds, self.model_id, self.input = workspace.vectors, kinds, model_id, input
        self.ids: list[str] = []
        self.rows: list[tuple[np.ndarray, ...]] = []
        self.begun = time.monotonic()

    def add(self, ids: list[str], vectors: tuple[np.ndarray, ...]) -> None:
        """Take vectors (m, d), one array a kind; stored when the segment is SEGMENT_S old."""
        self.ids += ids
        self.rows.append(vectors)
        if time.monotonic() - self.begun >= SEGMENT_S:
            self.store()

    def store(self) -> None:
        """Append what is there and begin anew."""
        for kind, rows in zip(self.kinds, zip(*self.rows, strict=True), strict=True) if self.rows else ():
            append_vectors(self.folder, kind, self.model_id, self.ids, np.concatenate(rows), self.input)
        self.ids, self.rows, self.begun = [], [], time.monotonic()

    def merge(self) -> None:
        """One file of all segments, also of other processes."""
        for kind in self.kinds:
            merge_vectors(self.folder, kind, self.model_id)


class _Work:
    """One process's share of what waits: read beside the device, embedded in batches, told of."""

    def __init__(
        self,
        workspace: Workspace,
        model: LoadedModel,
        fabric: "Fabric | ThisProcess",
        stored: list,
        progress: Progress,
        what: str,
    ):
        self.workspace, self.model, self.fabric, self.progress, self.what = workspace, model, fabric, progress, what
        self.stored, self.done = stored[fabric.global_rank :: fabric.world_size], 0
        self.refused: list[dict] = []

    def embedded(
        self, read: Callable, piece: int, embed: "Callable[[Tensor], tuple[Tensor | None, ...]]", size: int
    ) -> Iterator[tuple[list[str], tuple]]:
        """Ids and what `embed` makes of them, (m, d) arrays, a batch at a time.

        While a GPU works on one batch the next is put together, pinned and sent; then the first is fetched. On a CPU
        every core works on a batch of its own: the threads of one operation wait for each other by spinning, and with
        the reading processes beside them that took three times as long as a thread a batch.

        Args:
            read, piece: As for `inputs.inputs`.
            embed: From a batch on the device to tensors on the device.
            size: Windows, or clips, of one batch.
        """
        sent: deque[tuple[list[str], Callable[[], tuple]]] = deque()
        with _senders(self.fabric) as (at_once, start):
            for ids, batch in self._batches(read, piece, size):
                sent.append((ids, start(self._send, batch, embed)))
                if len(sent) > at_once:
                    yield self._fetch(*sent.popleft())
            while sent:
                yield self._fetch(*sent.popleft())

    def _batches(self, read: Callable, piece: int, size: int) -> Iterator[tuple[list[str], np.ndarray]]:
        """Inputs of one shape together; the windows of a batch are at most `size`, or those of one ECG."""
        alike: dict[tuple, list[tuple[str, np.ndarray]]] = defaultdict(list)
        for id, found, reason in inputs.inputs(read, self.workspace, self.model.spec, self.stored, piece):
            if found is None:
                self.refused.append({f"{self.what.lower()}_id": id, "reason": reason})
                self._tell(1)
                continue
            together = alike[found.shape]
            together.append((id, found))
            if len(together) >= max(1, size // (len(found) if self.what == "ECG" else 1)):
                yield _stacked(alike.pop(found.shape))
        yield from map(_stacked, alike.values())

    def _send(self, batch: np.ndarray, embed: Callable) -> tuple:
        import torch

        with torch.inference_mode(), self.fabric.autocast():
            x = torch.from_numpy(batch)
            x = x.pin_memory() if self.fabric.device.type == "cuda" else x
            return embed(x.to(self.fabric.device, non_blocking=True))

    def _fetch(self, ids: list[str], made: Callable[[], tuple]) -> tuple[list[str], tuple]:
        found = tuple(None if tensor is None else tensor.float().cpu().numpy() for tensor in made())
        self._tell(len(ids))
        return ids, found

    def _tell(self, more: int) -> None:
        self.done += more
        self.progress(self.done / len(self.stored), f"Embedding {self.what}s: {self.done} of {len(self.stored)}")

    def finish(self, segment: _Segment, path) -> list[dict]:
        """Store the last segment, merge those of all processes, and list what all of them refused."""
        segment.store()
        refused = self.refused
        if self.fabric.world_size > 1:
            import torch

            lists: list = [None] * self.fabric.world_size
            torch.distributed.all_gather_object(lists, refused)
            refused = sum(lists, [])
        if self.fabric.is_global_zero:  # every process has stored its last segment
            segment.merge()
            write_atomically(path, json.dumps(refused).encode())
        self.fabric.barrier()
        return refused


@contextmanager
def _senders(fabric: "Fabric | ThisProcess") -> Iterator[tuple[int, Callable]]:
    """How many batches are under way at once, and what starts one: gives what waits for its result."""
    import torch

    at_once = min(MOST, settings().threads or cores()) if fabric.device.type == "cpu" else 1
    if at_once == 1:
        yield 1, lambda send, *arguments: partial(_given, send(*arguments))
        return
    own = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(at_once, "embed", torch.set_num_threads, (1,)) as threads:
            yield at_once, lambda send, *arguments: threads.submit(send, *arguments).result
    finally:
        torch.set_num_threads(own)  # what threads yet to come begin with


def _given(made: tuple) -> tuple:
    return made


def _stacked(together: list[tuple[str, np.ndarray]]) -> tuple[list[str], np.ndarray]:
    return [id for id, _ in together], np.stack([found for _, found in together])


def _unnamed(known: pd.Series, ids: list[str], views: np.ndarray) -> dict[str, tuple[str | None, float]]:
    """View and confidence, from probabilities (b, 11), of those clips that came without a view; None where the
    likeliest one is not likely."""
    return {
        i: (list(VIEWS)[p.argmax()] if p.max() >= SURE else None, float(p.max()))
        for i, p in zip(ids, views, strict=True)
        if known[i] is None
    }


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
    return inputs.prepared_clip(model.spec, catalog.clip_content(clip_id))


def clip_encoder_id(model: LoadedModel) -> str:
    """Whose clip vectors a model reads."""
    return clip_vectors_id(model.manifest)


def _batches(items: Iterable, size: int) -> Iterator[list]:
    items = list(items)
    yield from (items[start : start + size] for start in range(0, len(items), size))
