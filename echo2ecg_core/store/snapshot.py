"""What pages filter by and label with, as columns in memory: read once a process, then brought up to date.

Every write raises the catalogue's version and notes whose rows it wrote, so what is here is never older than the last
write, and after a write only those patients are read again. A page asks for a snapshot each time and keeps none;
parts are read when they are first asked for. Nobody changes its tables.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from echo2ecg_core.store.columns import (
    merged,
    read_all_ecgs,
    read_ecgs,
    read_people,
    read_studies,
    read_views,
    row_hashes,
    rows_in,
    written_since,
)
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.times import default_days, moments, nearest_in_time

KEPT_WORKSPACES = 2
KEPT_IDS = 12  # lists of ids that are matched to rows: vectors and maps of a model
_SHOWN = ["ecg_id", "patient_id", "split", "cohort", "synthetic", "sex"]

_kept: dict[str, "Snapshot"] = {}
_choosing = threading.Lock()


class _Studies(NamedTuple):
    """The studies, and the number of each one's patient."""

    table: pd.DataFrame
    patients: np.ndarray


class _Ecgs(NamedTuple):
    """What is known of the ECGs: a table, and columns to compute with; hashes are of recordings, of ids with them, and
    of ids with patients and times."""

    table: pd.DataFrame
    patients: np.ndarray
    own_study: np.ndarray
    days_apart: np.ndarray
    recordings: np.ndarray
    stored: np.ndarray
    visits: np.ndarray


class _People(NamedTuple):
    """The patients who have an ECG or a study: numbers, and hashes of ids with splits and cohorts, and with sexes."""

    patients: np.ndarray
    splits: np.ndarray
    sexes: np.ndarray


class _State(NamedTuple):
    """What a snapshot rests on; of another schema (VACUUM raises its number, too, and may number patients anew)
    nothing of the last one holds."""

    version: int
    within_days: float
    schema: int


class Snapshot:
    """The catalogue at one version. Row numbers are positions in `ecgs` and `studies`; -1 means none."""

    def __init__(self, workspace: Workspace, state: _State):
        self.state, self._workspace = state, workspace
        self._parts: dict[str, object] = {}
        self._of_ids: dict[tuple[str, int], tuple[tuple[str, ...], np.ndarray]] = {}
        self._reading = threading.RLock()  # two pages that ask at once read once

    def _once(self, name: str, read: Callable):
        with self._reading:
            if name not in self._parts:
                with self._workspace.connect() as db:
                    self._parts[name] = read(db)
            return self._parts[name]

    @property
    def studies(self) -> pd.DataFrame:
        """One row a study, as `Catalog.studies`; numbers are NaN where they are not known."""
        return self._studies.table

    @property
    def study_days(self) -> np.ndarray:
        """(studies,) datetime64[D] of every study, NaT where none is known."""
        return self._once("study_days", lambda _: moments(self.studies.study_date).to_numpy().astype("datetime64[D]"))

    @property
    def study_patients(self) -> np.ndarray:
        """(studies,) a number a patient, to compare by."""
        return self._studies.patients

    @property
    def ecgs(self) -> pd.DataFrame:
        """One row an ECG: ecg_id, patient_id, split, cohort, synthetic, sex."""
        return self._ecgs.table

    @property
    def own_study(self) -> np.ndarray:
        """(ECGs,) row of the study that an ECG is labelled by: its patient's nearest in time within the window."""
        return self._ecgs.own_study

    @property
    def days_apart(self) -> np.ndarray:
        """(ECGs,) days between an ECG and that study; NaN without one."""
        return self._ecgs.days_apart

    @property
    def patients(self) -> np.ndarray:
        """(ECGs,) a number a patient, to compare by."""
        return self._ecgs.patients

    @property
    def _studies(self) -> _Studies:
        return self._once("studies", lambda db: _Studies(*read_studies(db)))

    @property
    def _ecgs(self) -> _Ecgs:
        return self._once("ecgs", self._read_ecgs)

    def _read_ecgs(self, db: sqlite3.Connection) -> _Ecgs:
        """All of them, in blocks: texts that do not stay would otherwise leave holes as large as themselves."""
        blocks = [self._labelled(*block, self.studies) for block in read_all_ecgs(db)]
        tables, *columns = zip(*blocks, strict=True)
        return _Ecgs(pd.concat(tables, ignore_index=True), *map(np.concatenate, columns))

    def _labelled(self, ecgs: pd.DataFrame, patients: np.ndarray, studies: pd.DataFrame) -> _Ecgs:
        """ECGs with the rows, in `self.studies`, of those of these studies that they are labelled by."""
        pairs = nearest_in_time(ecgs, studies, self.state.within_days).set_index("ecg_id").reindex(ecgs.ecg_id)
        own = pairs.study_id.astype(object).where(pairs.study_id.notna(), None)
        return _Ecgs(
            ecgs[_SHOWN],
            patients,
            rows_in(self.studies.study_id.to_numpy(), own.to_numpy()),
            pairs.days_apart.to_numpy(float),
            row_hashes(ecgs[["content_hash"]]),
            row_hashes(ecgs[["ecg_id", "content_hash"]]),
            row_hashes(ecgs[["ecg_id", "patient_id", "ecg_time"]]),
        )

    def digests(self, labels: Sequence[str]) -> dict[str, int | str]:
        """How many ecgs, studies and patients with one of them there are, and what changes with their rows: of
        recordings, ecg_visits, study_visits (who, when), labels, splits (and cohorts) and sexes, 16 characters each.

        Sums of hashes of rows, kept a row: after a write those of the patients that were written are made anew.

        Args:
            labels: Columns of `studies`.
        """
        studies, people = self.studies, self._people
        sums = {
            "recordings": self._ecgs.stored,
            "ecg_visits": self._ecgs.visits,
            "study_visits": self._once(
                "study_visits", lambda _: row_hashes(studies[["study_id", "patient_id", "study_date"]])
            ),
            "labels": self._once("labels", lambda _: row_hashes(studies[["study_id", *labels]].round(4))),
            "splits": people.splits,
            "sexes": people.sexes,
        }
        counts = {"ecgs": len(self.ecgs), "studies": len(studies), "patients": len(people.patients)}
        return counts | {name: f"{int(rows.sum(dtype=np.uint64)):016x}" for name, rows in sums.items()}

    @property
    def _people(self) -> _People:
        return self._once("people", lambda db: _people(*read_people(db)))

    def ecg_of_recording(self, content_hash: str) -> int:
        """Row of the first ECG that is this very recording (`EcgRecord.content_hash`)."""
        sought = row_hashes(pd.DataFrame({"content_hash": [content_hash]}))
        found = np.flatnonzero(self._ecgs.recordings == sought)
        return int(found[0]) if len(found) else -1

    def patient_of_recording(self, content_hash: str) -> str | None:
        """The patient of whom this very recording is among the stored ECGs."""
        row = self.ecg_of_recording(content_hash)
        return None if row < 0 else self.ecgs.patient_id.iat[row]

    def has_view(self, view: str) -> np.ndarray:
        """(studies,) bool: has a clip of this view."""
        found = np.zeros(len(self.studies), bool)
        found[self._views.get(view, [])] = True
        return found

    def in_cohort(self, table: str, name: str) -> np.ndarray:
        """(rows of "ecgs" or "studies",) bool: belongs to a cohort that came in or was kept under this name."""
        own, kind = (self.ecgs, "ecg") if table == "ecgs" else (self.studies, "study")
        with self._workspace.connect() as db:
            rows = db.execute("SELECT id FROM kept_members WHERE name = ? AND kind = ?", (name, kind)).fetchall()
        return ((own.cohort == name) | own[f"{kind}_id"].isin([row[0] for row in rows])).to_numpy()

    @property
    def _views(self) -> dict[str, np.ndarray]:
        return self._once("views", lambda db: self._rows_of_views(read_views(db)))

    def _rows_of_views(self, views: dict[str, list[str]]) -> dict[str, np.ndarray]:
        ids = self.studies.study_id.to_numpy()
        found = {view: rows_in(ids, np.array(studies, object)) for view, studies in views.items()}
        return {view: rows[rows >= 0] for view, rows in found.items()}

    def rows_of(self, table: str, ids: tuple[str, ...]) -> np.ndarray:
        """Row of every id in a table ("ecgs", "studies"), (n,), -1 where it is not there; matched once a tuple of ids,
        of one that has grown what is new."""
        own = (self.ecgs.ecg_id if table == "ecgs" else self.studies.study_id).to_numpy()
        with self._reading:
            known = self._of_ids.pop((table, id(ids)), None)
            if known is None:
                begun = [k for (t, _), k in self._of_ids.items() if t == table and ids[: len(k[0])] == k[0]]
                start = max(begun, key=lambda k: len(k[0]), default=((), np.empty(0, int)))
                known = ids, np.concatenate([start[1], rows_in(own, np.array(ids[len(start[0]) :], object))])
            self._of_ids[table, id(ids)] = known  # at the end: the last used
            while len(self._of_ids) > KEPT_IDS:
                self._of_ids.pop(next(iter(self._of_ids)))
        return known[1]

    def after(self, state: _State) -> "Snapshot | None":
        """This snapshot with what was written since, of patients of whom something was; None where that cannot be told.

        Costs a copy of the columns; read and compared is what was written.
        """
        with self._workspace.connect() as db:
            written = written_since(db, self.state.version)
            if written is None:
                return None
            new = Snapshot(self._workspace, state)
            with self._reading:
                parts, of_ids = dict(self._parts), dict(self._of_ids)
            if not written:
                new._parts, new._of_ids = parts, of_ids
                return new
            moved = new._take(parts, db, written)
        for (table, _), (ids, rows) in of_ids.items():
            new._take_ids(table, ids, rows, moved[table])
        return new

    def _take(self, old: dict, db: sqlite3.Connection, written: list[int]) -> dict[str, np.ndarray]:
        """Hold the parts of an earlier snapshot with the rows of these patients as they are now; returns, for each
        table, where the old rows are now."""
        if "people" in old:
            was, now = old["people"], _people(*read_people(db, written))
            stays = ~np.isin(was.patients, written)
            self._parts["people"] = _People(*(np.concatenate([a[stays], b]) for a, b in zip(was, now, strict=True)))
        if "studies" not in old:  # what everything else is made from
            return {}
        studies, patients = read_studies(db, written)
        moved = {
            "studies": self._take_studies(
                old["studies"], (studies, patients), np.isin(old["studies"].patients, written)
            )
        }
        if "views" in old:
            self._take_views(old["views"], read_views(db, written), moved["studies"])
        if "ecgs" in old:
            found = self._labelled(*read_ecgs(db, written), studies)
            gone = np.isin(old["ecgs"].patients, written)
            moved["ecgs"] = self._take_ecgs(old["ecgs"], found, gone, moved["studies"])
        return moved

    def _take_studies(self, old: _Studies, found: tuple[pd.DataFrame, np.ndarray], is_gone: np.ndarray) -> np.ndarray:
        """Hold the old studies with those found in place of the gone ones; returns where the old ones are now."""
        table, order, moved = merged(old.table, is_gone, found[0], "study_id")
        facts = list(table.columns)[: table.columns.get_loc("synthetic") + 1]
        measured = sorted(name for name in table.columns[len(facts) :] if table[name].notna().any())
        self._parts["studies"] = _Studies(table[facts + measured], _joined(old.patients, is_gone, found[1], order))
        return moved

    def _take_ecgs(self, old: _Ecgs, found: _Ecgs, is_gone: np.ndarray, studies: np.ndarray) -> np.ndarray:
        """Likewise of ECGs; `studies` tells where the old studies are now."""
        table, order, moved = merged(old.table, is_gone, found.table, "ecg_id")
        old = old._replace(own_study=np.where(old.own_study >= 0, studies[old.own_study], -1))
        columns = zip(old[1:], found[1:], strict=True)
        self._parts["ecgs"] = _Ecgs(table, *(_joined(was, is_gone, now, order) for was, now in columns))
        return moved

    def _take_views(self, old: dict[str, np.ndarray], found: dict[str, list[str]], studies: np.ndarray) -> None:
        """Likewise of the views of studies."""
        rows = {view: studies[rows] for view, rows in old.items()}
        new, none = self._rows_of_views(found), np.empty(0, int)
        self._parts["views"] = {
            view: np.concatenate([kept[kept >= 0], new.get(view, none)])
            for view, kept in ((view, rows.get(view, none)) for view in rows.keys() | new.keys())
        }

    def _take_ids(self, table: str, ids: tuple[str, ...], rows: np.ndarray, moved: np.ndarray) -> None:
        """Likewise of a tuple of ids: looked up are those that were nowhere or whose patient was written."""
        rows = np.where(rows >= 0, moved[rows], -1) if len(moved) else np.full(len(rows), -1)
        own = (self.ecgs.ecg_id if table == "ecgs" else self.studies.study_id).to_numpy()
        lost = np.flatnonzero(rows < 0)
        rows[lost] = rows_in(own, np.array([ids[i] for i in lost], object))
        self._of_ids[table, id(ids)] = ids, rows


def snapshot(workspace: Workspace) -> Snapshot:
    """The catalogue as it is now; the same object until somebody writes (or the setting of days changes)."""
    state, place = _state(workspace), str(workspace.folder)
    with _choosing:
        known = _kept.pop(place, None)
        if known is not None and known.state != state:
            known = known.after(state) if known.state[1:] == state[1:] else None
        known = known or Snapshot(workspace, state)
        _kept[place] = known  # at the end: the last used
        while len(_kept) > KEPT_WORKSPACES:
            _kept.pop(next(iter(_kept)))
    return known


def _state(workspace: Workspace) -> _State:
    if not workspace.exists():
        return _State(0, default_days(), 0)
    with workspace.connect() as db:
        version = db.execute("SELECT version FROM catalogue").fetchone()[0]
        return _State(version, default_days(), db.execute("PRAGMA schema_version").fetchone()[0])


def _people(table: pd.DataFrame, patients: np.ndarray) -> _People:
    return _People(
        patients, row_hashes(table[["patient_id", "split", "cohort"]]), row_hashes(table[["patient_id", "sex"]])
    )


def _joined(was: np.ndarray, is_gone: np.ndarray, new: np.ndarray, order: np.ndarray) -> np.ndarray:
    """A column beside a table that `merged` made."""
    return np.concatenate([was[~is_gone], new])[order]
