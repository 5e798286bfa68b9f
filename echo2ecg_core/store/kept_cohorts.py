"""Cohorts that a person chose on the map and kept under a name: lists of ECGs and studies, beside those that came in.

A choice of ECGs alone takes the studies they are labelled by along, one of studies alone the ECGs that they label, so
that a kept cohort can filter studies as well as ECGs; it is a plain list from then on. Names are shared with the
cohorts that came in: whoever asks for one by name need not know which kind it is (`Members`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store import audit
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import snapshot

LONGEST_NAME = 60


@dataclass(frozen=True)
class Members:
    """The ids of the ECGs and studies of some cohorts."""

    ecgs: frozenset[str]
    studies: frozenset[str]


def names(workspace: Workspace) -> list[str]:
    """All cohorts by name: those that came in, then those that were kept."""
    if not workspace.exists():
        return []
    with workspace.connect() as db:
        return [
            row[0]
            for sql in ("SELECT DISTINCT cohort FROM patients ORDER BY 1", "SELECT name FROM kept_cohorts ORDER BY 1")
            for row in db.execute(sql)
        ]


def kept_names(workspace: Workspace) -> list[str]:
    """Names of the kept cohorts alone."""
    if not workspace.exists():
        return []
    with workspace.connect() as db:
        return [row[0] for row in db.execute("SELECT name FROM kept_cohorts ORDER BY 1")]


def is_kept(workspace: Workspace, name: str) -> bool:
    """True for a cohort that was kept under this name."""
    with workspace.connect() as db:
        return db.execute("SELECT 1 FROM kept_cohorts WHERE name = ?", (name,)).fetchone() is not None


def keep(
    workspace: Workspace, name: str, ecgs: Iterable[str], studies: Iterable[str], *, who: str, made_from: str
) -> Members:
    """Keep ECGs and studies under a name.

    Args:
        ecgs, studies: Ids. Where one of the two is empty, the other's labels fill it.
        who: Name of the login. made_from: What they were chosen from, in words.

    Raises:
        StoreError: the name is empty, too long or taken, or nothing is chosen.
    """
    name, chosen = " ".join(name.split()), completed(workspace, ecgs, studies)
    if not 0 < len(name) <= LONGEST_NAME:
        raise StoreError(f"A cohort's name has 1 to {LONGEST_NAME} letters; this has {len(name)}.", "Shorten it.")
    if not chosen.ecgs and not chosen.studies:
        raise StoreError("Nothing is chosen, so there is nothing to keep.", "Draw round some points first.")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [(name, kind, id) for kind, ids in (("ecg", chosen.ecgs), ("study", chosen.studies)) for id in sorted(ids)]
    with workspace.write() as db:
        if name in names(workspace):
            raise StoreError(f"There is a cohort called {name!r} already.", "Choose another name.")
        audit.record(workspace, "keep a cohort", cohort=name, ecgs=len(chosen.ecgs), studies=len(chosen.studies))
        db.execute("INSERT INTO kept_cohorts VALUES (?, ?, ?, ?)", (name, made_from, who, now))
        db.executemany("INSERT INTO kept_members VALUES (?, ?, ?)", rows)
    return chosen


def completed(workspace: Workspace, ecgs: Iterable[str], studies: Iterable[str]) -> Members:
    """What is chosen, with the studies that label its ECGs where none is, or the ECGs that its studies label."""
    known = snapshot(workspace)
    ecg_ids, study_ids = known.ecgs.ecg_id.to_numpy(object), known.studies.study_id.to_numpy(object)
    in_ecgs, in_studies = np.isin(ecg_ids, list(ecgs)), np.isin(study_ids, list(studies))
    if not in_studies.any():
        own = known.own_study[in_ecgs]
        in_studies[own[own >= 0]] = True
    elif not in_ecgs.any():
        in_ecgs = (known.own_study >= 0) & in_studies[known.own_study]
    return Members(frozenset(ecg_ids[in_ecgs]), frozenset(study_ids[in_studies]))


def forget(workspace: Workspace, name: str) -> None:
    """Forget a kept cohort; its ECGs and studies stay.

    Raises:
        StoreError: none is kept under this name.
    """
    with workspace.write() as db:
        if not db.execute("DELETE FROM kept_cohorts WHERE name = ?", (name,)).rowcount:
            raise StoreError(f"No cohort is kept as {name!r}.", "The Cohorts page lists them.")
        audit.record(workspace, "forget a cohort", cohort=name)


def members(workspace: Workspace, cohorts: Sequence[str]) -> Members:
    """The ECGs and studies of these cohorts together, kept ones or such that came in.

    Raises:
        StoreError: there is no cohort of a name.
    """
    known = names(workspace)
    found: dict[str, set[str]] = {"ecg": set(), "study": set()}
    if unknown := [name for name in cohorts if name not in known]:
        raise StoreError(
            f"There is no cohort {', '.join(map(repr, unknown))} in this workspace; known: "
            f"{', '.join(known) or 'none'}.",
            "Name one of these.",
        )
    with workspace.connect() as db:
        for name in cohorts:
            for kind, table in (("ecg", "ecgs"), ("study", "studies")):
                rows = db.execute(
                    f"SELECT id FROM kept_members WHERE name = ?1 AND kind = ?2 UNION ALL"
                    f" SELECT {kind}_id FROM patients JOIN {table} USING (patient_id) WHERE cohort = ?1",
                    (name, kind),
                )
                found[kind].update(row[0] for row in rows)
    return Members(frozenset(found["ecg"]), frozenset(found["study"]))


def table(workspace: Workspace, name: str) -> pd.DataFrame:
    """A cohort as a table, to export: kind ("ECG", "study"), id, patient_id, cohort, sex, split, synthetic.

    Raises:
        StoreError: there is no cohort of this name.
    """
    ids = members(workspace, [name])
    known = snapshot(workspace)
    columns = ["id", "patient_id", "cohort", "sex", "split", "synthetic"]
    ecgs = known.ecgs[known.ecgs.ecg_id.isin(ids.ecgs)].rename(columns={"ecg_id": "id"})[columns]
    studies = known.studies[known.studies.study_id.isin(ids.studies)].rename(columns={"study_id": "id"})[columns]
    return pd.concat([ecgs.assign(kind="ECG"), studies.assign(kind="study")], ignore_index=True)[["kind", *columns]]
