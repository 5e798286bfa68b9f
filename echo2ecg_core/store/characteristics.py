"""What the first table of a paper tells of a cohort: one value a patient, that of the first study that has one.

Summed up by SQLite; no row is loaded. Of a grade and of LVEF it is also told how many patients are diseased.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.phenotypes import MODERATE, PHENOTYPES, disease_limit
from echo2ecg_core.store.cohorts import rows_of
from echo2ecg_core.store.database import Workspace

REDUCED = "lvef_reduced"


@dataclass(frozen=True)
class Numbers:
    """A measured quantity of n patients; `sd` with n - 1, NaN of fewer than two."""

    n: int
    mean: float
    sd: float


@dataclass(frozen=True)
class Share:
    """So many of the n patients of whom it is known."""

    count: int
    n: int


def characteristics(workspace: Workspace, cohort: str) -> dict[str, Numbers | Share]:
    """Of a cohort, as far as anything is known.

    Returns:
        female; age_years; af, lbbb, rbbb; `REDUCED` (LVEF of at most 40 %); every phenotype by its name, grades as the
        share of moderate or worse.
    """
    found: dict[str, Numbers | Share] = {}
    with workspace.connect() as db:
        rows, asked = rows_of(db, cohort), {"cohort": cohort}
        sexes = db.execute(f"SELECT total(sex = 'female'), count(sex) FROM ({rows['patients']})", asked).fetchone()
        ages = db.execute(_SUMS.format(values=_FIRST.format(value="age_years", **rows)), asked).fetchone()
        words = {
            name: dict(tuple(r) for r in db.execute(_COUNTS.format(_FIRST.format(value=name, **rows)), asked))
            for name in ("rhythm", "conduction")
        }
        labels = db.execute(_LABELS.format(**rows), asked).fetchall()
    found["female"] = Share(int(sexes[0]), sexes[1])
    found["age_years"] = _numbers(*ages)
    for name, value in (("rhythm", "af"), ("conduction", "lbbb"), ("conduction", "rbbb")):
        found[value] = Share(words[name].get(value, 0), sum(words[name].values()))
    of_label = {row["name"]: row for row in labels}
    for name, phenotype in PHENOTYPES.items():
        if (row := of_label.get(name)) is None:
            continue
        if phenotype.kind == "grade":
            found[name] = Share(int(row["diseased"]), row["n"])
            continue
        if name == "lvef":
            found[REDUCED] = Share(int(row["diseased"]), row["n"])
        found[name] = _numbers(row["n"], row["total"], row["squares"])
    return {name: told for name, told in found.items() if told.n}


def shared_patients(workspace: Workspace, first: str, second: str) -> int:
    """How many patients are in both cohorts."""
    with workspace.connect() as db:
        one, other = (rows_of(db, name)["patients"].replace(":cohort", f":{key}") for key, name in
                      (("first", first), ("second", second)))  # fmt: skip
        sql = f"SELECT count(*) FROM ({one}) JOIN ({other}) USING (patient_id)"
        return db.execute(sql, {"first": first, "second": second}).fetchone()[0]


def _numbers(n: int, total: float, squares: float) -> Numbers:
    if not n:
        return Numbers(0, float("nan"), float("nan"))
    spread = np.sqrt(max(0.0, squares - total * total / n) / (n - 1)) if n > 1 else float("nan")
    return Numbers(n, total / n, float(spread))


_REDUCED_BELOW = (disease_limit("lvef") or ("", 0.0))[1]
# of several studies the first in time counts, then the first by id; one without a date comes last
_EARLIEST = "min(coalesce(s.study_date, '~') || ' ' || s.study_id)"
_FIRST = (
    f"SELECT s.{{value}} AS value, {_EARLIEST} FROM ({{studies}}) s WHERE s.{{value}} NOT NULL GROUP BY s.patient_id"
)
_SUMS = "SELECT count(*), total(value), total(value * value) FROM ({values})"
_COUNTS = "SELECT value, count(*) FROM ({}) GROUP BY value"
_LABELS = f"""
    SELECT name, count(*) AS n, total(value) AS total, total(value * value) AS squares,
        total(CASE name WHEN 'lvef' THEN value < {_REDUCED_BELOW} ELSE value > {MODERATE - 0.5} END) AS diseased
    FROM (SELECT l.name, l.value, {_EARLIEST} FROM ({{studies}}) s JOIN phenotypes l USING (study_id)
        GROUP BY s.patient_id, l.name)
    GROUP BY name
"""
