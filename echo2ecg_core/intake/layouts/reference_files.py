"""The files that the published Echo2ECG code prepares: tables of pairs, ECGs as `.pt`, a table of phenotypes by video,
stored clip vectors.

A table of pairs has a row an ECG and echo video (ecg_study_id, echo_study_id, ecg_filepath, and echo_filepath or
echo_embed_idx); several are one data set, in the split that their names tell. `metadata.csv` has filename, lvedv,
lvesv, lvsv, lvef. No file names patients: whatever is paired, directly or through others, is of one patient here, so
that no split can part it. A study whose videos differ takes their mean. An ECG carries the labels of the first study
that it is paired with, since there are no times. Paths are those of the machine that wrote the table: as much of their
end counts as leads to a file in the folder.

`NAME_echo_embeddings_unnorm.pt` holds a vector a clip, made by the clip encoder NAME, `NAME_echo_filepaths.pt` the
names of the clips; a video without a file comes in as its vector. A table that numbers the vectors otherwise than that
list is refused.
"""

import gzip
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd

from echo2ecg_core.errors import ReadError, StoreError
from echo2ecg_core.intake.array_rows import ASSUMED_PT_HZ, load_tensors
from echo2ecg_core.intake.clip_vectors import load_clip_vectors
from echo2ecg_core.intake.column_names import SPLITS
from echo2ecg_core.intake.folders import named_below, table_named
from echo2ecg_core.intake.layouts.shared_steps import ignore_others, labels_told, mapped, number
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.split_names import split_named
from echo2ecg_core.intake.tables import Table, is_table, numbered_rows, read_header_row, read_table
from echo2ecg_core.intake.views import view_named
from echo2ecg_core.intake.written_paths import find_written

NAME = "Echo2ECG's own files"
METADATA = "metadata.csv"
PAIRED = ("ecg_study_id", "echo_study_id", "ecg_filepath")
CLIP = ("echo_filepath", "echo_embed_idx")
VALUES = ("lvedv", "lvesv", "lvsv", "lvef")
VECTORS, FILES_OF_VECTORS = "_echo_embeddings*.pt", "_echo_filepaths.pt"
FIRST_BYTES = 4096
NO_VECTOR = "Neither its video is here nor a clip vector of it."


def recognises(folder: Path) -> bool:
    """Whether a table of pairs is there."""
    return bool(_pairs_files(folder))


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs and studies by the tables of pairs.

    Raises:
        StoreError: a table lacks a column, or a file of vectors is damaged or holds other things.
    """
    return _Pairs(folder).planned


class _Pairs:
    """The plan of a folder while its tables are read."""

    def __init__(self, folder: Path):
        self.folder, self.planned = folder, Plan(NAME, folder)
        tables = [read_table(path) for path in _pairs_files(folder)]
        self.vectors = _Vectors(folder, self.planned)
        self.patient_of, self.values = _patients(tables), _values(folder, self.planned)
        self.found: dict[str, dict[str, set[float]]] = {}
        self.seen: dict[Path, dict[str, Path]] = {}
        self.done: set[tuple] = set()
        self.without: set[str] = set()
        for table in tables:
            mapped(table, dict.fromkeys(PAIRED, "path"))
            self.planned.tables.add(table.file)
            self.planned.note(*table.notes)
            split = split_named(Path(table.file).stem)
            nobody = (table.rows[list(PAIRED[:2])] == "").any(axis=1)
            if nobody.any():
                self.planned.ignored.append((f"{nobody.sum()} rows of {table.file}", "no pair: an id is missing"))
            for row, cells in numbered_rows(table.rows[~nobody]):
                self._add(table.file, row, cells, SPLITS.get(cells.get("split", "").lower(), split))
        self._set_values()
        planned = self.planned
        planned.passed_over += [(name, NO_VECTOR) for name in sorted(self.without)]
        planned.note("The table of pairs names no patients: what is paired counts as one patient.")
        ignore_others(planned, folder, {METADATA, *(table.file for table in tables)})

    def _add(self, file: str, row: Any, cells: dict[str, str], split: str | None) -> None:
        """One pair of an ECG and a clip."""
        ecg_id, study_id = cells["ecg_study_id"], cells["echo_study_id"]
        patient_id = self.patient_of[study_id]
        self.planned.patient(patient_id, None, split, file=file, row=row)
        self.planned.study(PlannedStudy(study_id, patient_id), file=file, row=row)
        video = cells.get("echo_filename") or _base(cells.get("echo_filepath", ""))
        for name, value in self.values.get(video, {}).items():
            self.found.setdefault(study_id, {}).setdefault(name, set()).add(value)
        if self._is_new("ecg", ecg_id, cells["ecg_filepath"]):
            self._add_ecg(file, row, cells, PlannedEcg(ecg_id, patient_id, self.folder, own_study_id=study_id))
        if self._is_new("clip", study_id, video, cells.get("echo_embed_idx", "")):
            self._add_clip(file, row, cells, study_id, video)

    def _is_new(self, *what: str) -> bool:
        is_new = what not in self.done
        self.done.add(what)
        return is_new

    def _add_ecg(self, file: str, row: Any, cells: dict[str, str], ecg: PlannedEcg) -> None:
        place, reason = find_written(self.folder, cells["ecg_filepath"], self.seen)
        if place is None:
            self.planned.passed_over.append((cells["ecg_filepath"], reason))
            return
        ecg.path, ecg.sampling_rate_hz = place, number(cells.get("sampling_rate_hz", ""))
        if ecg.sampling_rate_hz is None and place.suffix == ".pt":
            ecg.sampling_rate_hz = ASSUMED_PT_HZ
            self.planned.note(
                f"The tables tell no sampling rate (sampling_rate_hz): {ASSUMED_PT_HZ:g} Hz, the default of the code "
                "that writes these files, was taken."
            )
        self.planned.ecg(ecg, file=file, row=row)

    def _add_clip(self, file: str, row: Any, cells: dict[str, str], study_id: str, video: str) -> None:
        """A clip by its video, or where that is not here by its vector."""
        view = view_named(cells.get("echo_view", ""))
        written = cells.get("echo_filepath") or ""
        place, reason = find_written(self.folder, written, self.seen) if written else (None, "")
        vector = self.vectors.row_of(file, row, cells, video)
        if place is not None:
            self.planned.clips.append(PlannedClip(study_id, place, view))
        elif vector is not None:
            assert self.vectors.path is not None, "a row has a file"
            self.planned.clips.append(PlannedClip(study_id, self.vectors.path, view, vector))
        elif written and self.vectors.path is None:
            self.planned.passed_over.append((written, reason))
        else:
            self.without.add(video or f"{file}, row {row}")

    def _set_values(self) -> None:
        for study_id, by_name in self.found.items():
            self.planned.studies[study_id].phenotypes = {name: sum(v) / len(v) for name, v in by_name.items()}
            if any(len(v) > 1 for v in by_name.values()):
                self.planned.note("Videos of one study have different values in metadata.csv: their mean was taken.")


class _Vectors:
    """The stored clip vectors of a folder, if any, and the rows that a table names."""

    def __init__(self, folder: Path, plan: Plan):
        self.plan, self.path = plan, None
        self.files: list[str] = []
        found = sorted(folder.glob(f"*{VECTORS}"), key=lambda p: ("unnorm" not in p.name, p.name))
        if not found:
            return
        named = [_encoder_named(path) for path in found]
        if len(set(named)) > 1:
            plan.problems.add(
                f"Clip vectors of {len(set(named))} encoders lie here ({', '.join(p.name for p in found)}): leave one."
            )
            return
        plan.ignored += [(path.name, "vectors of the same clips, scaled") for path in found[1:]]
        try:
            listed = folder / f"{found[0].name.partition('_echo_embeddings')[0]}{FILES_OF_VECTORS}"
            self.files = [_base(str(name)) for name in load_tensors(listed)] if listed.is_file() else []
            tensor = load_clip_vectors(found[0])
        except ReadError as error:
            raise StoreError(f"{found[0].name}: {error.message}", error.hint) from error
        self.path, self.rows = found[0], len(tensor)
        plan.vectors_of = named[0], int(tensor.shape[1])
        if self.files and len(self.files) != self.rows:
            plan.problems.add(
                f"{found[0].name} holds {self.rows} vectors and the list beside it {len(self.files)} files: they do "
                "not belong together."
            )
            self.files = []
        self.of_file = {name: row for row, name in enumerate(self.files)}

    def row_of(self, file: str, row: Any, cells: dict[str, str], video: str) -> int | None:
        """The row of a clip's vector: its echo_embed_idx, or its place in the list of files."""
        if self.path is None:
            return None
        text = cells.get("echo_embed_idx", "")
        if not text:
            return self.of_file.get(video)
        told = number(text)
        if told is None or not told.is_integer() or not 0 <= told < self.rows:
            self.plan.problems.add(
                f"{file} names a clip vector in row {row} that {self.path.name} does not have; expected: a whole "
                f"number from 0 to {self.rows - 1}.",
                file,
                row,
                "echo_embed_idx",
            )
            return None
        if self.files and video and self.files[int(told)] != video:
            self.plan.problems.add(
                f"{file} numbers the clip vectors otherwise than the list beside them (row {row}): the vector of "
                "another video would be taken.",
                file,
                row,
                "echo_embed_idx",
            )
            return None
        return int(told)


def _encoder_named(path: Path) -> str:
    """The name of an encoder as ids are written."""
    return re.sub(r"[^a-z0-9]+", "-", path.name.partition("_echo_embeddings")[0].lower()).strip("-") or "encoder"


def _base(path: str) -> str:
    """The name of a file, whatever system wrote its path."""
    return PureWindowsPath(path).name


def _pairs_files(folder: Path) -> list[Path]:
    found = []
    for path in (p for p in named_below(folder, "*.csv*") if p.is_file() and is_table(p)):
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file, suppress(OSError):
            if PAIRED[0].encode() not in file.read(FIRST_BYTES).replace(b"\0", b""):
                continue  # a folder may hold thousands of tables
        with suppress(StoreError):
            header = read_header_row(path).columns
            if set(PAIRED) <= set(header) and set(CLIP) & set(header):
                found.append(path)
    return found


def _values(folder: Path, plan: Plan) -> dict[str, dict[str, float]]:
    """Phenotypes by name of the video."""
    path = table_named(folder, METADATA)
    if path is None:
        return {}
    table = read_table(path)
    mapped(table, {"filename": "clip_path"})
    rows = [row | {"filename": _base(row["filename"])} for row in table.rows.to_dict("records")]
    named = [name for name in VALUES if name in table.columns]
    return {row["filename"]: labels_told(plan, {name: row[name] for name in named}) for row in rows}


def _patients(tables: list[Table]) -> dict[str, str]:
    """The patient of every study: the first study that it hangs together with through ECGs."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node] = parent[parent[node]]
        return node

    pairs = pd.concat([table.rows[list(PAIRED[:2])] for table in tables])
    pairs = pairs[(pairs != "").all(axis=1)]  # two rows without an id are not of one patient
    for ecg_id, study_id in zip(pairs.ecg_study_id, pairs.echo_study_id, strict=True):
        first, second = root(f"study {study_id}"), root(f"ecg {ecg_id}")
        parent[second] = first
    return {study_id: root(f"study {study_id}") for study_id in pairs.echo_study_id}
