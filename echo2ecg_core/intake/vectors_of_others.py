"""Encoders of others in an evaluation: a matrix of vectors with its ids beside it, and what its maker states of it.

FILE.npy (a row an ECG) comes with FILE.ids.txt or FILE.ids.csv, and where its size is to be compared with FILE.json:
{"parameters": 95000000, "label": "My encoder"}. Vectors do not tell how large a network made them, so it has to be
said. What was once imported is kept whole in workspace/encoders/NAME.npz, so that its row stands in every later report
too: one file, since vectors and ids that do not belong together would pass for results.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation.rows import Encoder
from echo2ecg_core.store.database import Workspace, write_atomically

RESERVED = ("model", "random", "features")
FOLDER = "encoders"
STATED = ("parameters", "label")


@dataclass(frozen=True)
class ImportedVectors:
    """What was imported under one name.

    Attributes:
        source: Name of the file.
        matrix: Vectors (m, d).
        ids: m ids of ECGs, in the order of the rows.
        stated: What its maker states of it: `parameters`, `label`, or neither.
    """

    source: str
    matrix: np.ndarray
    ids: tuple[str, ...]
    stated: Mapping

    def __post_init__(self):
        if len(set(self.ids)) != len(self.ids):
            raise StoreError(
                f"{self.source} has {len(self.ids)} ids, of which only {len(set(self.ids))} differ.",
                "Give every ECG one row.",
            )
        fits = (
            self.matrix.ndim == 2
            and self.matrix.shape[1] > 0
            and len(self.matrix) == len(self.ids)
            and self.matrix.dtype.kind in "fiu"
        )
        if not fits:
            raise StoreError(
                f"Expected one row of real numbers for each of {len(self.ids)} ids in {self.source}, found "
                f"{self.matrix.dtype} {self.matrix.shape}.",
                "Rows of the .npy file and lines of the ids file have to match.",
            )

    def rows(self, ecg_ids: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32 of the ECGs `ecg_ids`, in their order.

        Raises:
            StoreError: it lacks one of them, or holds a number that is not finite. The message goes into reports, so
                only the hint holds an id.
        """
        row_of = {ecg_id: row for row, ecg_id in enumerate(self.ids)}
        absent = [ecg_id for ecg_id in ecg_ids if ecg_id not in row_of]
        if absent:
            raise StoreError(
                f"{self.source} lacks {len(absent)} of the {len(ecg_ids)} ECGs that are evaluated.",
                f"The first is {absent[0]}. Embed every labelled ECG of the workspace; ids are those of `ecgs.csv`.",
            )
        with np.errstate(over="ignore"):
            vectors = self.matrix[[row_of[ecg_id] for ecg_id in ecg_ids]].astype(np.float32)
        if not np.isfinite(vectors).all():
            raise StoreError(f"{self.source} holds numbers that are not finite.", "Embed these ECGs again.")
        return vectors


def named_files(arguments: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE arguments as name -> file.

    Raises:
        StoreError: one has no name or no file, or a name comes twice.
    """
    found = {}
    for argument in arguments:
        name, equals, file = argument.partition("=")
        if not name or not equals or not file or name in found:
            raise StoreError(
                f"Expected NAME=FILE.npy with a name of its own, found {argument!r}.",
                "For example --vectors my_encoder=vectors.npy.",
            )
        found[name] = Path(file)
    return found


def all_imported(
    workspace: Workspace, vectors: Mapping[str, Path], ecg_ids: Sequence[str]
) -> tuple[list[Encoder], list[str]]:
    """Encoders imported now, which are kept, and those kept from earlier evaluations; and notes on kept ones that do
    not fit any more.

    Args:
        workspace: Where they are kept.
        vectors: Name -> .npy file, imported now; a kept one of the same name is replaced.
        ecg_ids: The ECGs that are evaluated.

    Raises:
        StoreError: one that is imported now does not fit, or cannot be kept.
    """
    imported, notes = {name: read_vectors(path) for name, path in vectors.items()}, []
    encoders = [_encoder(name, of, ecg_ids) for name, of in imported.items()]
    try:
        for name, of in imported.items():
            keep(workspace, name, of)
    except OSError as error:
        raise StoreError(
            f"The vectors of {name} cannot be kept in the workspace ({error.strerror}).",
            "Free some space or check the folder's rights.",
        ) from error
    for path in sorted((workspace.folder / FOLDER).glob("*.npz")):
        if path.stem not in vectors:
            try:
                encoders.append(_encoder(path.stem, read_kept(path), ecg_ids))
            except StoreError as error:
                notes.append(f"The imported encoder {path.stem} is left out: {error.message}")
    return encoders, notes


def _encoder(name: str, of: ImportedVectors, ecg_ids: Sequence[str]) -> Encoder:
    """The encoder of a row, its vectors in the order of `ecg_ids`.

    Raises:
        StoreError: the name is taken, or the vectors do not fit.
    """
    if not re.fullmatch(r"[\w-]+", name) or name in RESERVED:
        raise StoreError(
            f"An encoder cannot be called {name!r}.",
            "Choose letters, digits, _ and -, and not model, random or features.",
        )
    return Encoder(
        name,
        of.stated.get("label", f"Imported: {name}"),
        "imported",
        of.stated.get("parameters"),
        ("probe", "knn"),
        of.rows(ecg_ids),
    )


def keep(workspace: Workspace, name: str, of: ImportedVectors) -> None:
    """Keep vectors under a name: from now on every report has their row."""
    content = io.BytesIO()
    np.savez(content, vectors=of.matrix, ids=np.array(of.ids, dtype=str), stated=np.array(json.dumps(dict(of.stated))))
    write_atomically(workspace.folder / FOLDER / f"{name}.npz", content.getvalue())


def read_kept(path: Path) -> ImportedVectors:
    """What `all_imported` kept of an earlier evaluation.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            matrix, ids, stated = (
                kept["vectors"],
                tuple(kept["ids"].tolist()),
                _checked_statement(json.loads(str(kept["stated"])), path.name),
            )
    except StoreError:
        raise
    except Exception as error:  # whatever a damaged zip makes numpy raise: the evaluation goes on without it
        raise StoreError(
            f"{path.name} is damaged ({type(error).__name__}).", "Import the vectors again, or delete the file."
        ) from error
    return ImportedVectors(path.name, matrix, ids, stated)


def read_vectors(path: Path) -> ImportedVectors:
    """Vectors with their ids and what is stated beside them.

    Args:
        path: A .npy file (m, d); ids, one a line, in FILE.ids.txt or the first column of FILE.ids.csv.

    Raises:
        StoreError: a file is missing or unreadable, or shapes and ids do not fit.
    """
    if not path.is_file():
        raise StoreError(f"There is no file {path.name or path}.", "Give the .npy file that holds the vectors.")
    ids, stated = _ids_beside(path), stated_beside(path)
    try:
        matrix = np.load(path, allow_pickle=False)
    except Exception as error:  # a truncated or foreign file makes numpy raise nearly anything
        raise StoreError(
            f"The vectors cannot be read from {path.name} ({type(error).__name__}).",
            "Save them with numpy.save as one array of floats.",
        ) from error
    if not isinstance(matrix, np.ndarray):
        matrix.close()
        raise StoreError(
            f"{path.name} is an archive of arrays; expected one array.",
            "Save the vectors with numpy.save as one array of floats.",
        )
    return ImportedVectors(path.name, matrix, ids, stated)


def stated_beside(path: Path) -> dict:
    """What FILE.json beside a vectors file states: `parameters` (int), `label` (str), or neither.

    Raises:
        StoreError: it is no such statement.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        return _checked_statement(json.loads(beside.read_bytes()), beside.name)
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{_expected(beside.name)}, found no JSON ({type(error).__name__}).", "Mend the file or remove it."
        ) from error


def _expected(source: str) -> str:
    return f'Expected {{"parameters": 95000000, "label": "My encoder"}} or one of the two in {source}'


def _checked_statement(stated: object, source: str) -> dict:
    expected = _expected(source)
    if not isinstance(stated, dict) or set(stated) - set(STATED):
        found = ", ".join(sorted(set(stated) - set(STATED))) if isinstance(stated, dict) else type(stated).__name__
        raise StoreError(f"{expected}, found {found}.", "Mend the file or remove it.")
    n, label = stated.get("parameters", 1), stated.get("label", "-")
    if type(n) is not int or n < 1:
        raise StoreError(
            f"{expected}, found {n!r} parameters.",
            "Give a whole number of at least 1, or leave it out where it is not known.",
        )
    if not isinstance(label, str) or not label.strip():
        raise StoreError(f"{expected}, found the label {label!r}.", "Give a name in words, or leave it out.")
    return stated


def _ids_beside(path: Path) -> tuple[str, ...]:
    for beside in (path.with_suffix(".ids.txt"), path.with_suffix(".ids.csv")):
        if beside.is_file():
            try:
                text = beside.read_text(errors="replace")
            except OSError as error:
                raise StoreError(
                    f"The ids cannot be read from {beside.name} ({error.strerror}).", "Check the rights of the file."
                ) from error
            lines = [line.split(",")[0].strip().strip('"') for line in text.splitlines() if line.strip()]
            return tuple(lines[1:] if beside.suffix == ".csv" and lines[:1] == ["ecg_id"] else lines)
    raise StoreError(
        f"There are no ids beside {path.name}.",
        f"Write {path.stem}.ids.txt with one ecg_id a line, in the order of the rows.",
    )
