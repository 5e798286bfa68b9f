"""What pages filter by and label with, as columns in memory: read once a process and version of the catalogue.

Every write raises the version (`Workspace.version`), so what is here is never older than the last write. A page asks
for a snapshot each time and keeps none; parts are read when they are first asked for. Nobody changes its tables.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.times import default_days, nearest_in_time
from echo2ecg_core.store.vectors import VectorSet

KEPT_WORKSPACES = 2
_REPEATED = ("sex", "split", "cohort", "rhythm", "conduction")

_kept: dict[str, "Snapshot"] = {}
_choosing = threading.Lock()


class _Ecgs(NamedTuple):
    """What is known of the ECGs: a table, and columns to compute with."""

    table: pd.DataFrame
    own_study: np.ndarray
    days_apart: np.ndarray
    patients: np.ndarray
    hashes: np.ndarray


class Snapshot:
    """The catalogue at one version. Row numbers are positions in `ecgs` and `studies`; -1 means none."""

    def __init__(self, workspace: Workspace, state: tuple[int, float]):
        self.state = state
        self._catalog, self._within_days = Catalog(workspace), state[1]
        self._parts: dict[str, object] = {}
        self._of_vectors: dict[str, tuple[VectorSet, np.ndarray]] = {}
        self._reading = threading.RLock()  # two pages that ask at once read once

    def _once(self, name: str, read: Callable):
        with self._reading:
            if name not in self._parts:
                self._parts[name] = read()
            return self._parts[name]

    @property
    def studies(self) -> pd.DataFrame:
        """One row a study, as `Catalog.studies`."""
        return self._once("studies", lambda: _lean(self._catalog.studies()))

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
    def _ecgs(self) -> _Ecgs:
        return self._once("ecgs", self._read_ecgs)

    def _read_ecgs(self) -> _Ecgs:
        whole = self._catalog.ecgs()
        table = _lean(whole[["ecg_id", "patient_id", "split", "cohort", "synthetic", "sex"]].copy())
        pairs = nearest_in_time(whole, self.studies, self._within_days).set_index("ecg_id").reindex(table.ecg_id)
        return _Ecgs(
            table,
            pd.Index(self.studies.study_id).get_indexer(pairs.study_id),
            pairs.days_apart.to_numpy(),
            pd.factorize(table.patient_id)[0],
            np.array([hash(one) for one in whole.content_hash], np.int64),
        )

    def ecg_of_recording(self, content_hash: str) -> int:
        """Row of the first ECG that is this very recording (`EcgRecord.content_hash`)."""
        found = np.flatnonzero(self._ecgs.hashes == hash(content_hash))
        return int(found[0]) if len(found) else -1

    def patient_of_recording(self, content_hash: str) -> str | None:
        """The patient of whom this very recording is among the stored ECGs."""
        row = self.ecg_of_recording(content_hash)
        return None if row < 0 else self.ecgs.patient_id.iat[row]

    def has_view(self, view: str) -> np.ndarray:
        """(studies,) bool: has a clip of this view."""
        found = np.zeros(len(self.studies), bool)
        found[self._once("views", self._read_views).get(view, [])] = True
        return found

    def _read_views(self) -> dict[str, np.ndarray]:
        known = self._catalog.views_of_studies()
        rows = pd.Index(self.studies.study_id).get_indexer(known.study_id)
        return {view: rows[known.view == view] for view in known.view.unique()}

    def rows_of(self, table: str, vectors: VectorSet) -> np.ndarray:
        """Row of every vector in a table ("ecgs", "studies"), (n,); matched once a set of vectors."""
        ids = self.ecgs.ecg_id if table == "ecgs" else self.studies.study_id
        with self._reading:
            known = self._of_vectors.get(vectors.kind)
            if known is None or known[0] is not vectors:
                known = vectors, pd.Index(ids).get_indexer(pd.Index(vectors.ids, dtype=object))
                self._of_vectors[vectors.kind] = known
        return known[1]


def snapshot(workspace: Workspace) -> Snapshot:
    """The catalogue as it is now; the same object until somebody writes (or the setting of days changes)."""
    state, place = (workspace.version(), default_days()), str(workspace.folder)
    with _choosing:
        known = _kept.pop(place, None)
        if known is None or known.state != state:
            known = Snapshot(workspace, state)
        _kept[place] = known  # at the end: the last used
        while len(_kept) > KEPT_WORKSPACES:
            _kept.pop(next(iter(_kept)))
    return known


def _lean(table: pd.DataFrame) -> pd.DataFrame:
    """The table with one text for all rows that say the same, where SQLite gives each row its own."""
    for name in set(_REPEATED) & set(table.columns):
        seen: dict = {}
        table[name] = pd.Series([seen.setdefault(one, one) for one in table[name]], table.index, dtype=object)
    return table
