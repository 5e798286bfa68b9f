"""Vectors of one kind made by one model, with the ids they belong to, and the nearest of them to a query.

They lie in one file and the segments appended to it (segments.py), so that a save costs what is new. Work is "ids that
have no vector" (`missing`), therefore a damaged file is set aside and its vectors are simply made again. Search is
exact (faiss, flat, half precision): approximate indexes pay above two million.
"""

import mmap
import os
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.store.segments import (
    SUFFIX,
    Part,
    alone,
    append_segment,
    files_of,
    read_part,
    segments_folder,
    segments_of,
    state_of,
    write_whole,
)

KINDS = ("clip", "study", "study_aligned", "ecg", "ecg_aligned")
ROWS_AT_ONCE = 65_536
MEASURED_ANEW = 4  # times as many as are asked for
FEW = 0.2  # of all rows: fewer candidates are searched as a bitmap
ROUNDED, LARGEST, TINY = 2**-10, 60_000, 1e-30  # twice the rounding of half precision; what it holds
KEPT_FILES = 6  # what the pages ask of one model; of each file the newest version alone

_kept: dict[Path, tuple[tuple, "VectorSet"]] = {}
_reading = threading.Lock()


@dataclass(frozen=True, eq=False)
class VectorSet:
    """An immutable matrix of vectors with one id a row.

    Attributes:
        kind: What the rows are, one of `KINDS`.
        model_id: The model (for "clip": the clip encoder) that made them.
        ids: (n,) str, unique.
        matrix: (n, d) float32 or float16, finite; of stored vectors mapped from their file, not to be written to.
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
        index.train(_normalised(self.matrix[:1]))  # half precision has nothing to learn
        for begin in range(0, len(self), ROWS_AT_ONCE):  # a copy of all would be twice the index
            index.add(_normalised(self.matrix[begin : begin + ROWS_AT_ONCE]))
            _let_go(self.matrix)
        return index

    def nearest(
        self, query: np.ndarray, k: int, *, model_id: str, among: Iterable[str] | np.ndarray | None = None
    ) -> tuple[list[str], np.ndarray]:
        """The k ids whose vectors have the highest cosine with the query, best first.

        Args:
            query: (d,) vector made by `model_id`, any length above zero.
            k: How many; fewer come back when fewer exist.
            model_id: The model that made the query.
            among: Which are candidates: rows as (n,) bool, or ids, of which those without a vector are passed over;
                None: all.

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
        candidates = self._candidates(among)
        k = min(k, len(self) if candidates is None else int(candidates.sum()))
        if k <= 0:
            return [], np.empty(0, np.float32)
        return self._search(_normalised(query), k, candidates)

    def _candidates(self, among: Iterable[str] | np.ndarray | None) -> np.ndarray | None:
        """The rows that may be found, (n,) bool."""
        if among is None or (isinstance(among, np.ndarray) and among.dtype == bool):
            return among
        candidates = np.zeros(len(self), bool)
        candidates[[self.row_of[i] for i in among if i in self.row_of]] = True
        return candidates

    def _search(self, query: np.ndarray, k: int, candidates: np.ndarray | None) -> tuple[list[str], np.ndarray]:
        """Ids and cosines of the k best rows for a normalised (1, d) query."""
        chosen = None if candidates is None else _only(candidates)
        cosines, rows = self._index.search(query, k, params=chosen)
        return [self.ids[row] for row in rows[0]], np.clip(cosines[0], -1, 1)

    @cached_property
    def _by_distance(self):
        """faiss flat index by Euclidean distance in half precision, and what a vector is moved and scaled by to fit
        into it: (d,) and a number."""
        import faiss

        some = self.matrix[:ROWS_AT_ONCE].astype(np.float32)
        centre, scale = some.mean(axis=0), 1 / max(float(some.std()), TINY)
        index = faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
        index.train(some[:1])  # half precision has nothing to learn
        for begin in range(0, len(self), ROWS_AT_ONCE):
            index.add(_halved(self.matrix[begin : begin + ROWS_AT_ONCE], centre, scale))
            _let_go(self.matrix)
        return index, centre, scale

    def by_distance(self, query: np.ndarray, among: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and Euclidean distances of the k rows nearest to a query, nearest first.

        More are found in half precision (a quarter of the time of a product in single precision: memory bounds both)
        and measured anew, until none that was not found can be nearer.

        Args:
            query: (d,).
            among: (n,) bool, the candidates.
            k: How many; fewer come back when fewer exist.
        """
        query, candidates, wanted = np.asarray(query, np.float32), int(among.sum()), MEASURED_ANEW * k
        while wanted < candidates:
            rows, at_least = self._near(query, among, wanted)
            rows, distance = self._measured(query, rows, k)
            if len(rows) == k and distance[-1] <= at_least:
                return rows, distance
            wanted *= MEASURED_ANEW
        return self._measured(query, np.flatnonzero(among), k)

    def _near(self, query: np.ndarray, among: np.ndarray, wanted: int) -> tuple[np.ndarray, float]:
        """About as many of these rows as are wanted, in order, and how far all others are at least.

        faiss looks at a bitmap row by row, at half its speed: where many rows are candidates it searches all. The
        distance in half precision is wrong by at most ROUNDED of the row's length, which is at most the query's length
        and the distance; what is cut off to fit lies no nearer than it seems.
        """
        index, centre, scale = self._by_distance
        moved, share = _halved(query[None], centre, scale), among.mean()
        if share < FEW:
            squared, found = index.search(moved, wanted, params=_only(among))
        else:
            squared, found = index.search(moved, min(len(self), int(wanted / share)))
        at_least = (np.sqrt(squared[0, -1]) - ROUNDED * np.linalg.norm(moved)) / (1 + ROUNDED) / scale
        return np.sort(found[0][among[found[0]]]), float(at_least)

    def _measured(self, query: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of these rows, and their distances."""
        parts = np.array_split(rows, len(rows) // ROWS_AT_ONCE + 1)
        distance = np.concatenate([np.linalg.norm(self.matrix[part] - query, axis=1) for part in parts])
        order = np.argsort(distance, kind="stable")[:k]
        return rows[order], distance[order]

    def save(self, folder: Path) -> Path:
        """Store exactly this set, in place of whatever is stored; a reader sees the old one or the new one.

        Raises:
            StoreError: The folder cannot be written, or a number is not finite.
        """
        path = vectors_path(folder, self.kind, self.model_id)
        _check(self.ids, self.matrix, None)
        part = Part(self.ids, self.matrix, self.input)
        return write_whole(path, self.kind, self.model_id, part, segments_of(path))


def vectors_path(folder: Path, kind: str, model_id: str) -> Path:
    """The whole file of one kind of vectors of one model; segments lie beside it (segments.py)."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, found {kind!r}")
    return Path(folder) / f"{kind}--{re.sub(r'[^A-Za-z0-9._-]', '_', model_id)}{SUFFIX}"


def vectors_state(folder: Path, kind: str, model_id: str) -> tuple:
    """A key that changes whenever `load_vectors` would give something else; () when nothing is stored.

    Raises:
        StoreError: The whole file is damaged.
    """
    while True:
        try:
            return tuple(state_of(path) for path in files_of(vectors_path(folder, kind, model_id)))
        except FileNotFoundError:  # merged just now
            continue


def stored_sets(folder: Path) -> list[tuple[str, str]]:
    """Kind and model id of every set that is stored."""
    places = [*Path(folder).glob(f"*--*{SUFFIX}"), *Path(folder).glob("segments/*--*")]
    names = {path.name.removesuffix(SUFFIX) for path in places}
    found = (name.partition("--") for name in sorted(names))
    return [(kind, model_id) for kind, _, model_id in found if kind in KINDS]


def append_vectors(
    folder: Path, kind: str, model_id: str, ids: Sequence[str], matrix: np.ndarray, input: str = ""
) -> None:
    """Store new vectors beside those that are there; costs what is new. A vector that is there is replaced.

    Args:
        ids: (m,) unique ids.
        matrix: (m, d) finite numbers, kept as float32.
        input: How the ECGs were prepared; vectors prepared otherwise than the newest count no more.

    Raises:
        StoreError: Counts disagree, ids repeat, a number is not finite, or the folder cannot be written.
    """
    new = np.asarray(matrix, np.float32)
    _check(ids, new, None)
    append_segment(vectors_path(folder, kind, model_id), kind, model_id, Part(tuple(map(str, ids)), new, input))


def merge_vectors(folder: Path, kind: str, model_id: str) -> None:
    """Make one file of all segments; what is appended meanwhile stays a segment.

    Raises:
        StoreError: A file is damaged, or the folder cannot be written.
    """
    path = vectors_path(folder, kind, model_id)
    if not segments_of(path):
        return
    with alone(path):
        merged, whole = segments_of(path), load_vectors(folder, kind, model_id)
        if merged:
            write_whole(path, kind, model_id, Part(whole.ids, whole.matrix, whole.input), merged)


def load_vectors(folder: Path, kind: str, model_id: str) -> VectorSet:
    """The stored set, or an empty one when nothing has been stored yet; read (and indexed) once a process and version.

    Raises:
        StoreError: A file is damaged or holds something else.
    """
    path = vectors_path(folder, kind, model_id)
    with _reading:  # two pages that ask at once read once
        known, vectors = _kept.pop(path, ((), None))
        while (state := vectors_state(folder, kind, model_id)) and (known != state or vectors is None):
            grown = bool(known) and state[: len(known)] == known
            vectors = vectors if grown else None  # let go of the old matrix before the new one is read
            try:
                parts = [read_part(_place(path, name), kind, model_id) for name, *_ in state[len(known) * grown :]]
            except FileNotFoundError:  # merged just now
                continue
            known, vectors = state, _joined(kind, model_id, vectors, parts)
        if not state:
            return VectorSet(kind, model_id, (), np.empty((0, 0), np.float32))
        assert vectors is not None, "read above"
        _kept[path] = known, vectors  # at the end: the last used
        while len(_kept) > KEPT_FILES:
            _kept.pop(next(iter(_kept)))
        return vectors


def recover_vectors(folder: Path, kind: str, model_id: str) -> VectorSet:
    """The stored set; a damaged file is renamed to `.damaged`, and what it held is missing, to be made again."""
    path = vectors_path(folder, kind, model_id)
    for file in [*([path] if path.exists() else ()), *segments_of(path)]:
        try:
            read_part(file, kind, model_id)
        except StoreError:
            with suppress(FileNotFoundError):  # another process did so
                os.replace(file, file.with_suffix(".damaged"))
        except FileNotFoundError:  # merged just now
            pass
    return load_vectors(folder, kind, model_id)


def _place(whole: Path, name: str) -> Path:
    """Where a file of a set lies, by its name."""
    return whole if name == whole.name else segments_folder(whole) / name


def _joined(kind: str, model_id: str, known: VectorSet | None, parts: list[Part]) -> VectorSet:
    """One set of what is known and what was appended: of an id the newest row, of other preparations nothing."""
    parts = ([] if known is None else [Part(known.ids, known.matrix, known.input)]) + parts
    prepared = parts[-1].input
    parts = [part for part in parts if part.input == prepared]
    filled = [part for part in parts if len(part.ids)]
    if len(filled) < 2:
        only = (filled or parts)[0]
        return VectorSet(kind, model_id, only.ids, only.matrix, prepared)
    if len({part.matrix.shape[1] for part in filled}) > 1:
        raise StoreError(
            f"The files of the {kind} vectors of model {model_id} hold vectors of different lengths.",
            "Take the folder of vectors away and run the embedding job: it makes them again.",
        )
    ids = [i for part in filled for i in part.ids]
    matrix = np.concatenate([part.matrix for part in filled])
    newest = {i: row for row, i in enumerate(ids)}
    if len(newest) < len(ids):
        rows = sorted(newest.values())
        ids, matrix = [ids[row] for row in rows], matrix[rows]
    return VectorSet(kind, model_id, tuple(ids), matrix, prepared)


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


def _let_go(matrix: np.ndarray) -> None:
    """The pages of a mapped file that were read so far no longer count as this process's memory."""
    if isinstance(matrix.base, mmap.mmap):
        matrix.base.madvise(mmap.MADV_DONTNEED)


def _only(candidates: np.ndarray):
    """faiss's parameters of a search among these rows, (n,) bool."""
    import faiss

    bits = np.packbits(candidates, bitorder="little")
    selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # replaced when faiss is imported
    return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # likewise


def _halved(matrix: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    """Rows moved and scaled, as float32 that half precision can hold."""
    return np.clip((matrix - centre) * np.float32(scale), -LARGEST, LARGEST, dtype=np.float32)


def _normalised(matrix: np.ndarray) -> np.ndarray:
    """Rows scaled to length one, float32; a row of zeros stays zero (its cosine with anything is 0)."""
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
