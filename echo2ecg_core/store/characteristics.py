"""What the first table of a paper tells of a cohort: one value a patient, that of the first study that has one.

Of the columns that a process holds (`snapshot.py`). Of a grade and of LVEF it is also told how many patients are
diseased.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.phenotypes import MODERATE, PHENOTYPES, REDUCED_AT_MOST
from echo2ecg_core.store.cohorts import rows_of
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import snapshot

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
    with workspace.connect() as db:
        sexes = f"SELECT total(sex = 'female'), count(sex) FROM ({rows_of(db, cohort)['patients']})"
        women, of_sex = db.execute(sexes, {"cohort": cohort}).fetchone()
    first = _first_of_patients(workspace, cohort)
    found: dict[str, Numbers | Share] = {"female": Share(int(women), of_sex), "age_years": _numbers(first["age_years"])}
    for name, value in (("rhythm", "af"), ("conduction", "lbbb"), ("conduction", "rbbb")):
        found[value] = _share(first[name] == value)
    for name, phenotype in PHENOTYPES.items():
        if (values := first.get(name)) is None:
            continue
        if phenotype.kind == "grade":
            found[name] = _share(values > MODERATE - 0.5)
            continue
        if name == "lvef":
            found[REDUCED] = _share(values <= REDUCED_AT_MOST)
        found[name] = _numbers(values)
    return {name: told for name, told in found.items() if told.n}


def _first_of_patients(workspace: Workspace, cohort: str) -> dict[str, np.ndarray]:
    """The values of each column of the studies of a cohort, one of each patient who has one: of the first study in
    time that has one, then the first by id; one without a date comes last."""
    known = snapshot(workspace)
    own = np.flatnonzero(known.in_cohort("studies", cohort))
    order = known.studies.study_date.iloc[own].fillna("~").argsort(kind="stable").to_numpy()  # they lie in order of ids
    studies, patients = known.studies.iloc[own[order]], pd.Series(known.study_patients[own[order]])
    found = {}
    for name in ("age_years", "rhythm", "conduction", *(name for name in PHENOTYPES if name in studies)):
        is_known = studies[name].notna().to_numpy()
        found[name] = studies[name].to_numpy()[is_known][~patients[is_known].duplicated().to_numpy()]
    return found


def shared_patients(workspace: Workspace, first: str, second: str) -> int:
    """How many patients are in both cohorts."""
    with workspace.connect() as db:
        one, other = (rows_of(db, name)["patients"].replace(":cohort", f":{key}") for key, name in
                      (("first", first), ("second", second)))  # fmt: skip
        sql = f"SELECT count(*) FROM ({one}) JOIN ({other}) USING (patient_id)"
        return db.execute(sql, {"first": first, "second": second}).fetchone()[0]


def _numbers(values: np.ndarray) -> Numbers:
    n = len(values)
    mean, sd = float(values.mean()) if n else float("nan"), float(values.std(ddof=1)) if n > 1 else float("nan")
    return Numbers(n, mean, 0.0 if n > 1 and np.ptp(values) == 0 else sd)  # rounding gives equal values a spread


def _share(is_so: np.ndarray) -> Share:
    return Share(int(is_so.sum()), len(is_so))
