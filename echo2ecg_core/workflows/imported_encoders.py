"""Encoders of others in an evaluation: a matrix of vectors with its ids beside it, and what its maker states of it.

FILE.npy (a row an ECG) comes with FILE.ids.txt or FILE.ids.csv, and where its size is to be compared with FILE.json:
{"parameters": 95000000, "label": "My encoder"}. Vectors do not tell how large a network made them, so it has to be said.
What was once imported is kept in workspace/encoders/, so that its row stands in every later report too.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.workflows.evaluation_data import Encoder

RESERVED = ("model", "random", "features")
FOLDER = "encoders"
STATED = ("parameters", "label")


def named_files(arguments: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE arguments as name -> file.

    Raises:
        StoreError: one has no name or no file, or a name comes twice.
    """
    found = {}
    for argument in arguments:
        name, equals, file = argument.partition("=")
        if not name or not equals or not file or name in found:
            raise StoreError(f"Expected NAME=FILE.npy with a name of its own, found {argument!r}.", "For example --vectors my_encoder=vectors.npy.")
        found[name] = Path(file)
    return found


def all_imported(workspace: Workspace, vectors: Mapping[str, Path], ecg_ids: Sequence[str]) -> tuple[list[Encoder], list[str]]:
    """Encoders imported now, which are kept, and those kept from earlier evaluations; and notes on kept ones that do not fit any more.

    Args:
        workspace: Where they are kept.
        vectors: Name -> .npy file, imported now; a kept one of the same name is replaced.
        ecg_ids: The ECGs that are evaluated.

    Raises:
        StoreError: one that is imported now does not fit, or cannot be kept.
    """
    encoders, notes = imported_encoders(vectors, ecg_ids), []
    try:
        for name, path in vectors.items():
            _keep(workspace.folder / FOLDER, name, path)
    except OSError as error:
        raise StoreError(f"The vectors of {name} cannot be kept in the workspace ({error.strerror}).", "Free some space or check the folder's rights.") from error
    for path in sorted((workspace.folder / FOLDER).glob("*.npy")):
        if path.stem not in vectors:
            try:
                encoders += imported_encoders({path.stem: path}, ecg_ids)
            except StoreError as error:
                notes.append(f"The imported encoder {path.stem} is left out: {error.message}")
    return encoders, notes


def _keep(folder: Path, name: str, path: Path) -> None:
    kept = folder / f"{name}.npy"
    if kept.exists() and kept.samefile(path):
        return
    write_atomically(kept, path.read_bytes())
    kept.with_suffix(".ids.csv").unlink(missing_ok=True)
    write_atomically(kept.with_suffix(".ids.txt"), "\n".join(_ids_beside(path)).encode())
    write_atomically(kept.with_suffix(".json"), json.dumps(stated_beside(path), ensure_ascii=False).encode())


def imported_encoders(vectors: Mapping[str, Path], ecg_ids: Sequence[str]) -> list[Encoder]:
    """One encoder a file, its vectors in the order of `ecg_ids`.

    Args:
        vectors: Name -> .npy file.
        ecg_ids: The ECGs that are evaluated.

    Raises:
        StoreError: a name is taken, or a file does not fit.
    """
    taken = [name for name in vectors if not re.fullmatch(r"[\w-]+", name) or name in RESERVED]
    if taken:
        raise StoreError(f"An encoder cannot be called {taken[0]!r}.", "Choose letters, digits, _ and -, and not model, random or features.")
    stated = {name: stated_beside(path) for name, path in vectors.items()}
    return [Encoder(name, stated[name].get("label", f"Imported: {name}"), "imported", stated[name].get("parameters"), ("probe", "knn"),
                    imported_vectors(name, path, ecg_ids)) for name, path in vectors.items()]


def stated_beside(path: Path) -> dict:
    """What FILE.json beside a vectors file states: `parameters` (int), `label` (str), or neither.

    Raises:
        StoreError: it is no such statement.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    expected = f'Expected {{"parameters": 95000000, "label": "My encoder"}} or one of the two in {beside.name}'
    try:
        stated = json.loads(beside.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{expected}, found no JSON ({type(error).__name__}).", "Mend the file or remove it.") from error
    if not isinstance(stated, dict) or set(stated) - set(STATED):
        found = ", ".join(sorted(set(stated) - set(STATED))) if isinstance(stated, dict) else type(stated).__name__
        raise StoreError(f"{expected}, found {found}.", "Mend the file or remove it.")
    n, label = stated.get("parameters", 1), stated.get("label", "-")
    if type(n) is not int or n < 1:
        raise StoreError(f"{expected}, found {n!r} parameters.", "Give a whole number of at least 1, or leave it out where it is not known.")
    if not isinstance(label, str) or not label.strip():
        raise StoreError(f"{expected}, found the label {label!r}.", "Give a name in words, or leave it out.")
    return stated


def imported_vectors(name: str, path: Path, ecg_ids: Sequence[str]) -> np.ndarray:
    """Vectors (n, d) of the ECGs `ecg_ids` from a .npy file with its ids beside it.

    Args:
        name: What the person calls the encoder.
        path: A .npy file (m, d); ids, one a line, in FILE.ids.txt or the first column of FILE.ids.csv.
        ecg_ids: The ECGs that are needed.

    Raises:
        StoreError: a file is missing or unreadable, or shapes and ids do not fit.
    """
    ids = _ids_beside(path)
    try:
        matrix = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StoreError(f"The vectors of {name} cannot be read from {path.name} ({type(error).__name__}).",
                         "Save them with numpy.save as one array of floats.") from error
    if matrix.ndim != 2 or len(matrix) != len(ids) or not np.issubdtype(matrix.dtype, np.number):
        raise StoreError(f"Expected one row of numbers for each of {len(ids)} ids in {path.name}, found {matrix.dtype} {matrix.shape}.",
                         "Rows of the .npy file and lines of the ids file have to match.")
    row_of = {ecg_id: row for row, ecg_id in enumerate(ids)}
    absent = [ecg_id for ecg_id in ecg_ids if ecg_id not in row_of]
    if absent:
        raise StoreError(f"{path.name} lacks {len(absent)} of the {len(ecg_ids)} ECGs that are evaluated (first: {absent[0]}).",
                         "Embed every labelled ECG of the workspace; ids are those of `ecgs.csv`.")
    vectors = matrix[[row_of[ecg_id] for ecg_id in ecg_ids]].astype(np.float32)
    if not np.isfinite(vectors).all():
        raise StoreError(f"{path.name} holds numbers that are not finite.", "Embed these ECGs again.")
    return vectors


def _ids_beside(path: Path) -> list[str]:
    for beside in (path.with_suffix(".ids.txt"), path.with_suffix(".ids.csv")):
        if beside.is_file():
            lines = [line.split(",")[0].strip().strip('"') for line in beside.read_text(errors="replace").splitlines() if line.strip()]
            ids = lines[1:] if beside.suffix == ".csv" and lines[:1] == ["ecg_id"] else lines
            if len(set(ids)) != len(ids):
                raise StoreError(f"{beside.name} holds {len(ids)} ids, of which only {len(set(ids))} differ.", "Give every ECG one row.")
            return ids
    raise StoreError(f"There are no ids beside {path.name}.", f"Write {path.stem}.ids.txt with one ecg_id a line, in the order of the rows.")
