"""Vectors on disk: one whole file, and beside it a folder of segments appended since, ids and rows of each in one file.

A save costs what is new; merging makes one file of all. Every file is written in one step, so a process that is killed
loses what it had not appended yet and nothing else. The whole file names the segments that went into it: those that a
crash left behind count no more. Rows are mapped, not read. Files of earlier versions are whole files with their ids in
the header.
"""

import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.database import write_atomically

SUFFIX = ".safetensors"
STALE_S = 3600.0
_DTYPES = {"F32": np.float32, "F16": np.float16, "U8": np.uint8}
_count = itertools.count()


@dataclass(frozen=True, eq=False)
class Part:
    """What one file holds: ids (n,), matrix (n, d) mapped from it, and how the inputs were prepared."""

    ids: tuple[str, ...]
    matrix: np.ndarray
    input: str


def segments_of(whole: Path) -> list[Path]:
    """The segments beside a whole file, oldest first, also those that went into it already."""
    return sorted(segments_folder(whole).glob(f"*{SUFFIX}"))


def segments_folder(whole: Path) -> Path:
    """Where the segments of a whole file lie."""
    return whole.parent / "segments" / whole.stem


def files_of(whole: Path) -> list[Path]:
    """The files that make up a set: the whole one where there is one, then the segments that are not in it.

    Raises:
        StoreError: The whole file is damaged.
    """
    appended = segments_of(whole)
    if not whole.exists():
        return appended
    merged = set(json.loads(_about(whole).get("merged", "[]"))) if appended else set()
    return [whole, *(path for path in appended if path.name not in merged)]


def state_of(path: Path) -> tuple[str, int, int, int]:
    """Changes whenever the file is another one.

    Raises:
        FileNotFoundError: It has gone.
    """
    found = path.stat()
    return path.name, found.st_ino, found.st_mtime_ns, found.st_size


def append_segment(whole: Path, kind: str, model_id: str, part: Part) -> Path:
    """Store one segment under a name of its own, behind all that are there: several processes may append at once, and
    the clock may have been set back."""
    earlier = max((int(path.name.partition("-")[0]) for path in segments_of(whole)), default=0)
    name = f"{max(time.time_ns(), earlier + 1):020d}-{os.getpid()}-{next(_count)}{SUFFIX}"
    return _write(segments_folder(whole) / name, kind, model_id, part, ())


def write_whole(whole: Path, kind: str, model_id: str, part: Part, merged: Sequence[Path]) -> Path:
    """Replace the whole file by `part`, which holds all that counts of the segments `merged`; these are deleted."""
    _write(whole, kind, model_id, part, merged)
    for path in merged:
        path.unlink(missing_ok=True)
    for left in segments_folder(whole).glob(".writing-*"):  # of a process that was killed, unless it is young
        try:
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink()
        except FileNotFoundError:  # written just now
            pass
    return whole


@contextmanager
def alone(whole: Path) -> Iterator[None]:
    """Nobody else replaces the whole file meanwhile; a lock of the system's, which a killed process does not keep."""
    import fcntl

    folder = segments_folder(whole)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_part(path: Path, kind: str, model_id: str) -> Part:
    """What a file holds, its rows mapped.

    Raises:
        StoreError: It is damaged, or holds vectors of another kind or model.
        FileNotFoundError: It has gone.
    """
    with open(
        path, "rb"
    ) as file:  # once: header and rows are of one file, also where another takes its place meanwhile
        about, tensors, begin = _header(file, path)
        try:
            matrix = _mapped(file, tensors["matrix"], begin)
            text = about["ids"] if "ids" in about else _mapped(file, tensors["ids"], begin).tobytes().decode()
            part = Part(tuple(json.loads(text)), matrix, about.get("input", ""))
            if matrix.ndim != 2 or len(part.ids) != len(matrix) or len(set(part.ids)) != len(matrix):
                raise ValueError("ids and rows disagree")
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise _damaged(path) from error
    if (about.get("kind"), about.get("model_id")) != (kind, model_id):
        raise StoreError(
            f"Expected {kind} vectors of model {model_id}, found {about.get('kind')} vectors of model "
            f"{about.get('model_id')}.",
            "Put the file back under its own name, or run the embedding job.",
        )
    return part


def _write(path: Path, kind: str, model_id: str, part: Part, merged: Sequence[Path]) -> Path:
    """Write one file in one step."""
    from safetensors.numpy import save

    about = {"kind": kind, "model_id": model_id, "input": part.input, "merged": json.dumps([p.name for p in merged])}
    ids = np.frombuffer(json.dumps(part.ids).encode(), np.uint8)
    try:
        write_atomically(path, save({"matrix": np.ascontiguousarray(part.matrix), "ids": ids}, metadata=about))
    except OSError as error:
        raise StoreError(
            f"The {kind} vectors cannot be written: {error.strerror}.", "Free some space or check the folder's rights."
        ) from error
    return path


def _about(path: Path) -> dict:
    """The metadata of a file."""
    with _opened(path) as file:
        return _header(file, path)[0]


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _damaged(path) from error


def _header(file: BinaryIO, path: Path) -> tuple[dict, dict, int]:
    """Metadata, tensors by name and where their bytes begin, of a safetensors file whose length fits them."""
    try:
        begin = 8 + int.from_bytes(file.read(8), "little")
        size = os.fstat(file.fileno()).st_size
        if not 8 < begin <= size:
            raise ValueError("the header is cut off")
        tensors = json.loads(file.read(begin - 8))
        about = tensors.pop("__metadata__", {})
        if begin + max(tensor["data_offsets"][1] for tensor in tensors.values()) != size:
            raise ValueError("the data are cut off")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    return about, tensors, begin


def _mapped(file: BinaryIO, tensor: dict, begin: int) -> np.ndarray:
    """One tensor of an open file, mapped (an empty one cannot be)."""
    shape, dtype = tuple(tensor["shape"]), _DTYPES[tensor["dtype"]]
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(file, dtype, "r", begin + tensor["data_offsets"][0], shape)


def _damaged(path: Path) -> StoreError:
    name = path.stem if "--" in path.stem else path.parent.name  # of the whole file, of a segment's folder
    kind, _, model_id = name.partition("--")
    size = path.stat().st_size if path.exists() else 0
    return StoreError(
        f"The file of the {kind} vectors of model {model_id} is damaged ({size} bytes).",
        "Run the embedding job: it sets the file aside and makes these vectors again.",
    )
