"""Network inputs of stored ECGs and clips: read, decoded and cleaned in processes beside the device that embeds them.

Little work stays in this process, where no other one has to start first.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from echo2ecg_core.answers.loaded_model import prepared_ecg
from echo2ecg_core.cluster import Workers
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.models.threads import cores
from echo2ecg_core.processes import Helpers, in_order
from echo2ecg_core.settings import settings
from echo2ecg_core.store.blobs import read_blob
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

Stored = TypeVar("Stored")
Found = tuple[str, np.ndarray | None, str]  # id, input or None, why there is none


def ecg_inputs(folder: Path, spec: ModelSpec, ids: Sequence[str]) -> list[Found]:
    """Windows (w, 12, n) of stored ECGs."""
    catalog = Catalog(Workspace(folder))
    return [_tried(i, lambda i: prepared_ecg(spec, catalog.ecg_record(i))) for i in ids]


def clip_inputs(folder: Path, spec: ModelSpec, clips: Sequence[tuple[str, str]]) -> list[Found]:
    """Clips (3, 16, 224, 224) of stored clips: ids, and names of blobs, because another machine that does this must not
    open the catalog."""
    workspace, blobs = Workspace(folder), dict(clips)
    return [_tried(i, lambda i: prepared_clip(spec, read_blob(workspace, blobs[i], f"clip {i!r}"))) for i in blobs]


def prepared_clip(spec: ModelSpec, mp4: bytes) -> np.ndarray:
    """A playable clip as network input (3, 16, 224, 224)."""
    from echo2ecg_core.echo.preprocess import N_FRAMES, STRIDE, prepare_frames
    from echo2ecg_core.echo.video import decode_video

    frames = decode_video(mp4, STRIDE * N_FRAMES, every=STRIDE)[0]
    return prepare_frames(frames, spec.clip_encoder.padding, stride=1)


def inputs(
    read: Callable[[Path, ModelSpec, Sequence[Stored]], list[Found]],
    workspace: Workspace,
    spec: ModelSpec,
    stored: Sequence[Stored],
    piece: int,
) -> Iterator[Found]:
    """What `read` finds for everything stored, in the order given, made ahead of who takes it.

    Clips are read by the workers of a cluster where the settings name one, one at a time: a clip is 10 MB on its way.

    Args:
        read: `ecg_inputs` of ids, or `clip_inputs` of ids and blobs.
        piece: How many one process reads at a time.

    Raises:
        StoreError: a process died, or the cluster is not there.
    """
    told, work = settings(), partial(read, workspace.folder, spec)
    is_far = bool(told.cluster) and read is clip_inputs
    piece = 1 if is_far else piece
    pieces = [stored[start : start + piece] for start in range(0, len(stored), piece)]
    with Workers(told.cluster) if is_far else Helpers(max(1, (told.threads or cores()) - 1)) as helpers:
        if isinstance(helpers, Workers):
            helpers.have_to_see(workspace.folder)
        for found in in_order(work, pieces, helpers, "ECHO2ECG_THREADS"):
            yield from found


def _tried(id: str, prepare: Callable[[str], np.ndarray]) -> Found:
    try:
        return id, prepare(id), ""
    except Echo2ECGError as error:
        return id, None, str(error)
