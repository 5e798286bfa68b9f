"""Network inputs of stored ECGs and clips: read, decoded and cleaned in processes beside the device that embeds them.

Little work stays in this process, where no other one has to start first.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from echo2ecg_core.answers.loaded_model import prepared_ecg
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.models.threads import cores
from echo2ecg_core.processes import in_order
from echo2ecg_core.settings import settings
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

Found = tuple[str, np.ndarray | None, str]  # id, input or None, why there is none


def ecg_inputs(folder: Path, spec: ModelSpec, ids: Sequence[str]) -> list[Found]:
    """Windows (w, 12, n) of stored ECGs."""
    catalog = Catalog(Workspace(folder))
    return [_tried(i, lambda i: prepared_ecg(spec, catalog.ecg_record(i))) for i in ids]


def clip_inputs(folder: Path, spec: ModelSpec, ids: Sequence[str]) -> list[Found]:
    """Clips (3, 16, 224, 224) of stored clips."""
    catalog = Catalog(Workspace(folder))
    return [_tried(i, lambda i: prepared_clip(spec, catalog.clip_content(i))) for i in ids]


def prepared_clip(spec: ModelSpec, mp4: bytes) -> np.ndarray:
    """A playable clip as network input (3, 16, 224, 224)."""
    from echo2ecg_core.echo.preprocess import N_FRAMES, STRIDE, prepare_frames
    from echo2ecg_core.echo.video import decode_video

    return prepare_frames(decode_video(mp4, STRIDE * N_FRAMES)[0], padding=spec.clip_encoder.padding)


def inputs(
    read: Callable[[Path, ModelSpec, Sequence[str]], list[Found]],
    workspace: Workspace,
    spec: ModelSpec,
    ids: Sequence[str],
    piece: int,
) -> Iterator[Found]:
    """What `read` finds for every id, in the order given, made ahead of who takes it.

    Args:
        read: `ecg_inputs` or `clip_inputs`.
        piece: Ids that one process reads at a time.

    Raises:
        StoreError: a process died.
    """
    pieces = [ids[start : start + piece] for start in range(0, len(ids), piece)]
    work = partial(read, workspace.folder, spec)
    for found in in_order(work, pieces, max(1, (settings().threads or cores()) - 1), "ECHO2ECG_THREADS"):
        yield from found


def _tried(id: str, prepare: Callable[[str], np.ndarray]) -> Found:
    try:
        return id, prepare(id), ""
    except Echo2ECGError as error:
        return id, None, str(error)
