"""Cohorts in numbers, a page of their patients, one patient in time: asked of SQLite, which counts without loading;
distributions of the columns in memory.

A cohort is one that came in under its name, or a kept one: ECGs and studies that a person chose on the map
(`kept_cohorts.py`). Both go by the same names here. Whatever is asked costs what is shown, but for the counts, which
go over an index or the labels of one cohort once a version of the catalogue.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.phenotypes import GRADES, MODERATE, PHENOTYPES, Phenotype, within_as_written
from echo2ecg_core.roles import by_whom
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.store.times import moments

SEXES = ("male", "female")
BINS = 24  # of a histogram over the phenotype's axis; what lies beyond counts to the ends
_SET_ASIDE = "x.blob IN (SELECT blob FROM damaged_blobs)"
# what may be missing: words, table, and which of its rows (x) lack it
LACKS: Mapping[str, tuple[str, str, str]] = {
    "study": ("patients without an echo study", "patients", "x.patient_id NOT IN (SELECT patient_id FROM studies)"),
    "ecg": ("patients without an ECG", "patients", "x.patient_id NOT IN (SELECT patient_id FROM ecgs)"),
    "sex": ("patients of unknown sex", "patients", "x.sex IS NULL"),
    "label": (
        "studies without any label",
        "studies",
        "NOT EXISTS (SELECT 1 FROM phenotypes l WHERE l.study_id = x.study_id)",
    ),
    "clip": ("studies without a clip", "studies", "NOT EXISTS (SELECT 1 FROM clips c WHERE c.study_id = x.study_id)"),
    "study_date": ("studies without a date", "studies", "x.study_date IS NULL"),
    "age": ("studies without an age", "studies", "x.age_years IS NULL"),
    "ecg_time": ("ECGs without a time", "ecgs", "x.ecg_time IS NULL"),
    "view": ("clips of unknown view", "clips", "x.view IS NULL"),
    "outline": ("clips set aside, they wait for a person who draws their sector", "waiting", "true"),
    "whole_ecg": ("ECGs set aside, their file is damaged", "ecgs", _SET_ASIDE),
    "whole_clip": ("clips set aside, their file is damaged", "clips", _SET_ASIDE),
}


@dataclass(frozen=True)
class Cohort:
    """One cohort in numbers.

    Attributes:
        is_kept: True for one that a person chose on the map; `told` then says from what, by whom and when.
        labels: Measured values of phenotypes.
        set_aside: ECGs and clips whose files are damaged, and clips that wait for a person.
        synthetic: True where any patient is simulated.
    """

    name: str
    is_kept: bool
    patients: int
    studies: int
    ecgs: int
    clips: int
    labels: int
    set_aside: int
    synthetic: bool
    told: str = ""


@dataclass(frozen=True)
class Distribution:
    """The measured values of one phenotype in one cohort, a value a study.

    Attributes:
        counts: (BINS,) over the phenotype's axis; of a grade one number a grade.
        low, q1, median, q3, high, mean, sd: In the phenotype's unit; sd NaN of a single value.
        judged, outside: How many are of a known sex and have a reference range, and how many of these lie outside as
            they are written; of a grade: all, and moderate or worse.
    """

    name: str
    n: int
    counts: tuple[int, ...]
    low: float
    q1: float
    median: float
    q3: float
    high: float
    mean: float
    sd: float
    judged: int
    outside: int


@dataclass(frozen=True, eq=False)
class PatientRow:
    """One patient with all studies and ECGs in time order, those without a time last.

    Attributes:
        studies: study_id, study_date, age_years, rhythm, conduction, clips and one column a measured phenotype.
        ecgs: ecg_id, ecg_time, duration_s, sampling_rate_hz, format, is_set_aside.
        clips: clip_id, study_id, view, view_confidence.
    """

    patient_id: str
    sex: str | None
    split: str
    cohort: str
    synthetic: bool
    studies: pd.DataFrame
    ecgs: pd.DataFrame
    clips: pd.DataFrame


def cohorts(workspace: Workspace) -> list[Cohort]:
    """Every cohort that came in, then those that were kept, by name."""
    with workspace.connect() as db:
        came_in = [
            _counted(db, row["cohort"], bool(row["synthetic"]))
            for row in db.execute("SELECT cohort, max(synthetic) AS synthetic FROM patients GROUP BY cohort")
        ]
        kept = [
            _counted(db, row["name"], None, f"{row['made_from']}, kept {by_whom(row['who'])} on {row['made_at'][:10]}")
            for row in db.execute("SELECT * FROM kept_cohorts ORDER BY name")
        ]
    return came_in + kept


def missing(workspace: Workspace, cohort: str) -> dict[str, int]:
    """How many patients, studies, ECGs or clips of a cohort lack what: key of `LACKS` -> count."""
    with workspace.connect() as db:
        rows, set_aside = rows_of(db, cohort), _set_aside(db)
        found: dict[str, float] = {}
        for table in dict.fromkeys(table for _, table, _ in LACKS.values()):
            lacks = {
                key: set_aside if lacking == _SET_ASIDE else lacking
                for key, (_, own, lacking) in LACKS.items()
                if own == table
            }
            counts = ", ".join(f"total({lacking})" for lacking in lacks.values())
            found |= zip(lacks, _row(db, f"SELECT {counts} FROM ({rows[table]}) x", cohort), strict=True)
    return {key: int(found[key]) for key in LACKS}


def patients(
    workspace: Workspace, cohort: str, *, lacking: str = "", sought: str = "", first: int = 0, most: int = 25
) -> tuple[pd.DataFrame, int]:
    """A page of the patients of a cohort, by id.

    Args:
        cohort: Its name.
        lacking: Key of `LACKS`: only patients that, or of whom something, lacks it.
        sought: Only patients whose id holds this, or with a study or ECG of this id.
        first, most: From which on, and how many.

    Returns:
        Table patient_id, sex, split, studies, ecgs, lvef (the last measured), those of the cohort; and how many there
        are in all.
    """
    with workspace.connect() as db:
        rows = rows_of(db, cohort)
        where, values = ["true"], {"cohort": cohort, "sought": sought, "first": first, "most": most}
        if lacking:
            _, table, lacks = LACKS[lacking]
            where.append(f"patient_id IN (SELECT x.patient_id FROM ({rows[table]}) x WHERE {lacks})")
        if sought:
            where.append(
                "(instr(lower(patient_id), lower(:sought)) OR patient_id IN (SELECT patient_id FROM studies WHERE"
                " study_id = :sought UNION SELECT patient_id FROM ecgs WHERE ecg_id = :sought))"
            )
        is_kept = db.execute("SELECT 1 FROM kept_cohorts WHERE name = :cohort", values).fetchone()
        of_list = " AND {0}_id IN (SELECT id FROM kept_members WHERE name = :cohort AND kind = '{0}')" * bool(is_kept)
        these = f"SELECT patient_id, sex, split FROM ({rows['patients']}) WHERE {' AND '.join(where)}"
        total = db.execute(f"SELECT count(*) FROM ({these})", values).fetchone()[0]
        cursor = db.execute(
            "SELECT patient_id, sex, split,"
            f" (SELECT count(*) FROM studies s WHERE s.patient_id = p.patient_id{of_list.format('study')}) AS studies,"
            f" (SELECT count(*) FROM ecgs e WHERE e.patient_id = p.patient_id{of_list.format('ecg')}) AS ecgs,"
            " (SELECT value FROM studies s JOIN phenotypes l USING (study_id) WHERE s.patient_id = p.patient_id"
            f"  AND l.name = 'lvef'{of_list.format('study')} ORDER BY study_date DESC, study_id DESC LIMIT 1) AS lvef"
            f" FROM ({these} ORDER BY patient_id LIMIT :most OFFSET :first) p",
            values,
        )
        return pd.DataFrame([tuple(r) for r in cursor], columns=[c[0] for c in cursor.description]), total


def patient(workspace: Workspace, patient_id: str) -> PatientRow:
    """One patient in time.

    Raises:
        StoreError: there is none with this id.
    """
    with workspace.connect() as db:
        row = db.execute("SELECT * FROM patients WHERE patient_id = ?", (patient_id,)).fetchone()
        if row is None:
            raise StoreError(f"There is no patient {patient_id!r} in this workspace.", "Choose one from the list.")
        studies = _table(
            db,
            "SELECT study_id, study_date, age_years, rhythm, conduction, (SELECT count(*) FROM clips c"
            " WHERE c.study_id = s.study_id) AS clips FROM studies s WHERE patient_id = ?",
            patient_id,
        )
        values = _table(
            db, "SELECT study_id, name, value FROM studies JOIN phenotypes USING (study_id) WHERE patient_id = ?",
            patient_id,
        )  # fmt: skip
        ecgs = _table(
            db,
            "SELECT ecg_id, ecg_time, duration_s, sampling_rate_hz, format, blob IN (SELECT blob FROM damaged_blobs)"
            " AS is_set_aside FROM ecgs WHERE patient_id = ?",
            patient_id,
        )
        clips = _table(
            db, "SELECT clip_id, study_id, view, view_confidence FROM studies JOIN clips USING (study_id)"
            " WHERE patient_id = ? ORDER BY clip_id", patient_id,
        )  # fmt: skip
    wide = studies.join(values.pivot(index="study_id", columns="name", values="value"), on="study_id")
    return PatientRow(
        patient_id,
        row["sex"],
        row["split"],
        row["cohort"],
        bool(row["synthetic"]),
        _in_time(wide, "study_date", "study_id"),
        _in_time(ecgs.assign(is_set_aside=ecgs.is_set_aside.astype(bool)), "ecg_time", "ecg_id"),
        clips,
    )


def distributions(workspace: Workspace, cohort: str) -> list[Distribution]:
    """The distribution of every phenotype that was measured in a cohort, in the order of the phenotype table; of the
    columns that a process holds (`snapshot.py`)."""
    known = snapshot(workspace)
    own = known.studies.loc[known.in_cohort("studies", cohort), ["sex", *PHENOTYPES.keys() & set(known.studies)]]
    return [
        _distribution(PHENOTYPES[name], own.loc[is_known, name].to_numpy(float), own.sex[is_known].to_numpy())
        for name in PHENOTYPES
        if name in own and (is_known := own[name].notna()).any()
    ]


def rows_of(db: sqlite3.Connection, cohort: str) -> dict[str, str]:
    """Queries for the patients, studies, ECGs and clips (with their patient_id) of a cohort named by :cohort."""
    if db.execute("SELECT 1 FROM kept_cohorts WHERE name = ?", (cohort,)).fetchone():
        member = (
            "SELECT t.* FROM kept_members m JOIN {0} t ON t.{1}_id = m.id WHERE m.name = :cohort AND m.kind = '{1}'"
        )
        studies, ecgs = member.format("studies", "study"), member.format("ecgs", "ecg")
        people = f"SELECT patient_id FROM ({studies}) UNION SELECT patient_id FROM ({ecgs})"
        patients = f"SELECT * FROM patients WHERE patient_id IN ({people})"
    else:
        patients = "SELECT * FROM patients WHERE cohort = :cohort"
        own = "SELECT t.* FROM patients p JOIN {} t USING (patient_id) WHERE p.cohort = :cohort"
        studies, ecgs = own.format("studies"), own.format("ecgs")
    clips = f"SELECT c.*, s.patient_id FROM ({studies}) s JOIN clips c USING (study_id)"
    waiting = (
        "SELECT w.*, s.patient_id FROM waiting_clips w"  # few: these first, then their studies
        f" CROSS JOIN ({studies}) s USING (study_id) WHERE w.decision IS NULL"
    )
    return {
        "patients": patients,
        "studies": studies,
        "ecgs": ecgs,
        "clips": clips,
        "waiting": waiting,
    }


def _counted(db: sqlite3.Connection, name: str, synthetic: bool | None, told: str = "") -> Cohort:
    rows = rows_of(db, name)
    aside = f"total({_set_aside(db)})"
    tables = {"patients": "0", "studies": "0", "ecgs": aside, "clips": aside, "waiting": "count(*)"}
    found = {
        table: _row(db, f"SELECT count(*), {is_aside} FROM ({rows[table]}) x", name)
        for table, is_aside in tables.items()
    }
    numbers = {table: count for table, (count, _) in found.items() if table != "waiting"}
    numbers["labels"] = _row(db, f"SELECT count(*) FROM ({rows['studies']}) JOIN phenotypes USING (study_id)", name)[0]
    numbers["set_aside"] = int(sum(count for _, count in found.values()))
    if synthetic is None:
        synthetic = bool(_row(db, f"SELECT max(synthetic) FROM ({rows['patients']})", name)[0])
    return Cohort(name, bool(told), **numbers, synthetic=synthetic, told=told)


def _set_aside(db: sqlite3.Connection) -> str:
    """Which ECGs or clips (x) are set aside; where nothing is, indices are enough to count and no row is read."""
    is_any = db.execute("SELECT EXISTS (SELECT 1 FROM damaged_blobs)").fetchone()[0]
    return _SET_ASIDE if is_any else "false"


def _row(db: sqlite3.Connection, sql: str, cohort: str) -> tuple:
    return tuple(db.execute(sql, {"cohort": cohort}).fetchone())


def _table(db: sqlite3.Connection, sql: str, value: str) -> pd.DataFrame:
    cursor = db.execute(sql, (value,))
    return pd.DataFrame([tuple(r) for r in cursor.fetchall()], columns=[c[0] for c in cursor.description])


def _in_time(table: pd.DataFrame, time: str, id: str) -> pd.DataFrame:
    order = pd.DataFrame({"when": moments(table[time]), "id": table[id]}).sort_values(["when", "id"]).index
    return table.loc[order].reset_index(drop=True)


def _distribution(p: Phenotype, values: np.ndarray, sexes: np.ndarray) -> Distribution:
    """Of values (n,) with the sex of each one's patient."""
    n = len(values)
    is_grade = p.kind == "grade"
    edges = np.arange(len(GRADES) + 1) - 0.5 if is_grade else np.linspace(*p.axis, BINS + 1)
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    judged = n if is_grade else 0
    outside = (values >= MODERATE - 0.5).sum() if is_grade else 0
    for sex in SEXES:
        if sex in p.reference:
            low, high = within_as_written(p, sex)
            own = values[sexes == sex]
            judged += len(own)
            outside += (own < (-np.inf if low is None else low)).sum() + (
                own > (np.inf if high is None else high)
            ).sum()
    counts = tuple(int(count) for count in np.bincount(places, minlength=len(edges) - 1))
    low, q1, median, q3, high = (float(end) for end in np.percentile(values, [0, 25, 50, 75, 100]))
    sd = float(values.std(ddof=1)) if n > 1 else float("nan")
    return Distribution(
        p.name, n, counts, low, q1, median, q3, high, float(values.mean()), sd, int(judged), int(outside)
    )
