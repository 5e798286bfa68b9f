"""Network inputs of stored ECGs and clips: read, decoded and cleaned in processes beside the device that embeds them.

Little work stays in this process, where no other one has to start first.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from echo2ecg_core.answers.loaded_model import prepared_ecg
from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.processes import pool
from echo2ecg_core.settings import settings
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

WORTH_PROCESSES = 16  # pieces of work; with fewer the processes start longer than they help
AHEAD = 3  # pieces a process that may wait for the device

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
    from echo2ecg_core.echo.preprocess import prepare_frames
    from echo2ecg_core.echo.readers import read_clip

    return prepare_frames(read_clip(mp4).frames, padding=spec.clip_encoder.padding)


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
    if len(pieces) < WORTH_PROCESSES:
        for own in pieces:
            yield from read(workspace.folder, spec, own)
        return
    processes = max(1, settings().threads - 1)
    readers = pool(processes)
    waiting: deque[Future] = deque()
    try:
        for own in pieces:
            waiting.append(readers.submit(read, workspace.folder, spec, own))
            if len(waiting) > AHEAD * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
        readers.shutdown()
    except BrokenProcessPool as error:
        raise StoreError(
            "A process that reads ECGs and clips was ended by the system, most often for want of memory.",
            "Start again: what is embedded stays. Fewer processes need less memory (ECHO2ECG_THREADS).",
        ) from error
    finally:
        readers.shutdown(wait=False, cancel_futures=True)


def _tried(id: str, prepare: Callable[[str], np.ndarray]) -> Found:
    try:
        return id, prepare(id), ""
    except Echo2ECGError as error:
        return id, None, str(error)
