"""Vectors of one kind made by one model, with the ids they belong to, and the nearest of them to a query.

Ids and numbers live in one safetensors file that is replaced in one step, so they can never disagree and a crash
leaves the previous file. Work is "ids that have no vector" (`missing`), therefore a damaged file is set aside and its
vectors are simply made again. Search is exact (faiss, flat, half precision): approximate indexes pay above two million.
"""

import json
import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.store.database import write_atomically

KINDS = ("clip", "study", "study_aligned", "ecg", "ecg_aligned")
SUFFIX = ".safetensors"
KEPT_FILES = 6  # what the pages ask of one model; of each file the newest version alone

_kept: dict[Path, tuple[tuple[int, int, int], "VectorSet"]] = {}
_reading = threading.Lock()


@dataclass(frozen=True, eq=False)
class VectorSet:
    """An immutable matrix of vectors with one id a row.

    Attributes:
        kind: What the rows are, one of `KINDS`.
        model_id: The model (for "clip": the clip encoder) that made them.
        ids: (n,) str, unique.
        matrix: (n, d) float32 or float16, finite.
        input: How the ECGs were prepared for the network (JSON of the input spec); "" for other kinds.
    """

    kind: str
    model_id: str
    ids: tuple[str, ...]
    matrix: np.ndarray
    input: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Length of one vector."""
        return int(self.matrix.shape[1])

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row number of every id."""
        return {vector_id: row for row, vector_id in enumerate(self.ids)}

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Those of `ids` that have no vector yet, in the order given and without repeats."""
        return [vector_id for vector_id in dict.fromkeys(ids) if vector_id not in self.row_of]

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Vectors of `ids` as (len(ids), d) float32.

        Raises:
            StoreError: An id has no vector.
        """
        absent = self.missing(ids)
        if absent:
            raise StoreError(
                f"{len(absent)} of {len(ids)} {self.kind} vectors of model {self.model_id} are missing (first: "
                f"{absent[0]}).",
                "Run the embedding job; it makes only the missing ones.",
            )
        return self.matrix[[self.row_of[vector_id] for vector_id in ids]].astype(np.float32)

    def add(self, ids: Sequence[str], matrix: np.ndarray) -> "VectorSet":
        """A new set that also holds `ids`; a vector whose id is already there is replaced.

        Args:
            ids: (m,) unique ids.
            matrix: (m, d) finite numbers, stored in the precision of this set.

        Raises:
            StoreError: Counts or lengths disagree, ids repeat, or a number is not finite.
        """
        new = np.asarray(matrix, dtype=self.matrix.dtype)
        _check(ids, new, self.dim if len(self) else None)
        replaced = set(ids)
        keep = [row for row, vector_id in enumerate(self.ids) if vector_id not in replaced]
        old = self.matrix[keep] if keep else np.empty((0, new.shape[1]), new.dtype)
        kept_ids = tuple(self.ids[row] for row in keep)
        return VectorSet(
            self.kind, self.model_id, kept_ids + tuple(map(str, ids)), np.concatenate([old, new]), self.input
        )

    @cached_property
    def _index(self):
        """faiss flat index over the normalised rows: inner product = cosine."""
        import faiss

        index = faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        rows = _normalised(self.matrix)
        index.train(rows)
        index.add(rows)
        return index

    def nearest(
        self, query: np.ndarray, k: int, *, model_id: str, among: Iterable[str] | None = None
    ) -> tuple[list[str], np.ndarray]:
        """The k ids whose vectors have the highest cosine with the query, best first.

        Args:
            query: (d,) vector made by `model_id`, any length above zero.
            k: How many; fewer come back when fewer exist.
            model_id: The model that made the query.
            among: Only these ids are candidates (None: all); ids without a vector are passed over.

        Returns:
            ids and their cosines, (<=k,) float32, -1 to 1.

        Raises:
            ModelError: The query comes from another model, or its length does not fit.
        """
        if model_id != self.model_id:
            raise ModelError(
                f"The {self.kind} vectors were made by model {self.model_id}, the query by {model_id}: "
                "distances between two models' vectors mean nothing.",
                f"Embed the archive with {model_id}, or predict the ECG again with {self.model_id}.",
            )
        query = np.asarray(query, dtype=np.float32).reshape(1, -1)
        if len(self) and query.shape[1] != self.dim:
            raise ModelError(
                f"The query has {query.shape[1]} numbers, the {self.kind} vectors of model {self.model_id} have "
                f"{self.dim}.",
                "Embed the archive again: its vectors belong to an earlier version of this model.",
            )
        candidates = None if among is None else [self.row_of[i] for i in dict.fromkeys(among) if i in self.row_of]
        k = min(k, len(self) if candidates is None else len(candidates))
        if k <= 0:
            return [], np.empty(0, np.float32)
        return self._search(_normalised(query), k, candidates)

    def _search(self, query: np.ndarray, k: int, candidates: list[int] | None) -> tuple[list[str], np.ndarray]:
        """Ids and cosines of the k best rows for a normalised (1, d) query."""
        import faiss

        chosen = None
        if candidates is not None:
            chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(np.asarray(candidates, np.int64)))
        cosines, rows = self._index.search(query, k, params=chosen)
        return [self.ids[row] for row in rows[0]], np.clip(cosines[0], -1, 1)

    def save(self, folder: Path) -> Path:
        """Write the set to its file in one step: a reader sees the old file or the new one, never a part.

        Raises:
            StoreError: The folder cannot be written.
        """
        from safetensors.numpy import save

        content = save(
            {"matrix": np.ascontiguousarray(self.matrix)},
            metadata={"kind": self.kind, "model_id": self.model_id, "ids": json.dumps(self.ids), "input": self.input},
        )
        target = vectors_path(folder, self.kind, self.model_id)
        try:
            write_atomically(target, content)
        except OSError as error:
            raise StoreError(
                f"The {self.kind} vectors cannot be written: {error.strerror}.",
                "Free some space or check the folder's rights.",
            ) from error
        return target


def vectors_path(folder: Path, kind: str, model_id: str) -> Path:
    """The file of one kind of vectors of one model."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, found {kind!r}")
    return Path(folder) / f"{kind}--{re.sub(r'[^A-Za-z0-9._-]', '_', model_id)}{SUFFIX}"


def load_vectors(folder: Path, kind: str, model_id: str) -> VectorSet:
    """The stored set, or an empty one when nothing has been stored yet; read (and indexed) once a process and version.

    Raises:
        StoreError: The file is damaged or holds something else.
    """
    path = vectors_path(folder, kind, model_id)
    try:
        found = path.stat()
    except FileNotFoundError:
        with _reading:
            _kept.pop(path, None)
        return VectorSet(kind, model_id, (), np.empty((0, 0), np.float32))
    version = found.st_ino, found.st_mtime_ns, found.st_size
    with _reading:  # two pages that ask at once read once
        known, vectors = _kept.pop(path, (None, None))
        if known != version:
            vectors = None  # let go of the old matrix before the new one is read
            vectors = _read(path, kind, model_id, version[2])
        _kept[path] = version, vectors  # at the end: the last used
        while len(_kept) > KEPT_FILES:
            _kept.pop(next(iter(_kept)))
        return vectors


def _read(path: Path, kind: str, model_id: str, size: int) -> VectorSet:
    """The set in a file of `size` bytes."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about, matrix = file.metadata() or {}, file.get_tensor("matrix")
        ids = tuple(json.loads(about["ids"]))
        _check(ids, matrix, None)
    except (SafetensorError, OSError, KeyError, ValueError, StoreError) as error:
        raise StoreError(
            f"The file of the {kind} vectors of model {model_id} is damaged ({size} bytes).",
            "Run the embedding job: it sets the file aside and makes these vectors again.",
        ) from error
    if (about.get("kind"), about.get("model_id")) != (kind, model_id):
        raise StoreError(
            f"Expected {kind} vectors of model {model_id}, found {about.get('kind')} vectors of model "
            f"{about.get('model_id')}.",
            "Put the file back under its own name, or run the embedding job.",
        )
    return VectorSet(kind, model_id, ids, matrix, about.get("input", ""))


def recover_vectors(folder: Path, kind: str, model_id: str) -> VectorSet:
    """The stored set; a damaged file is renamed to `.damaged` and an empty set comes back, to be filled again."""
    path = vectors_path(folder, kind, model_id)
    try:
        return load_vectors(folder, kind, model_id)
    except StoreError:
        os.replace(path, path.with_suffix(".damaged"))
        return load_vectors(folder, kind, model_id)


def _check(ids: Sequence[str], matrix: np.ndarray, dim: int | None) -> None:
    """Refuse what could never be searched: ids without a row, repeated ids, other lengths, numbers that are not
    finite."""
    if matrix.ndim != 2 or len(ids) != len(matrix):
        raise StoreError(f"Expected one vector for each of {len(ids)} ids, found an array of shape {matrix.shape}.")
    if len(set(ids)) != len(ids):
        raise StoreError(f"Ids repeat: {len(ids)} given, {len(set(ids))} different.")
    if dim is not None and matrix.shape[1] != dim:
        raise StoreError(f"Expected vectors of {dim} numbers, found {matrix.shape[1]}.")
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise StoreError(
            f"The vector of {ids[row]} holds numbers that are not finite.", "Check that input and that model."
        )


def _normalised(matrix: np.ndarray) -> np.ndarray:
    """Rows scaled to length one, float32; a row of zeros stays zero (its cosine with anything is 0)."""
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
