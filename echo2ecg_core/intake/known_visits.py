"""What an import meets in its cohort: visits that are here, by patient and day or under another id, and labels that the
workspace holds and the tables leave empty.

A row that tells a patient and a day alone is of the one study of that day, whether a file of the same import shows it
or an earlier one. Anything else is told and not settled: two ids may be two visits of a day.
"""

from collections import Counter
from collections.abc import Mapping
from sqlite3 import Connection

from echo2ecg_core.intake.options import Names
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.phenotypes import PHENOTYPES

Given = Mapping[str, Mapping[str, str]]  # kind -> id of the cohort -> id in the workspace


def meet(plan: Plan, names: Names, db: Connection, cohort: str, given: Given) -> None:
    """Join and tell what a plan and the catalog have of the same visits."""
    rows = db.execute(
        "SELECT study_id, patient_id, study_date FROM studies JOIN patients USING (patient_id) WHERE cohort = ?",
        (cohort,),
    )
    here: dict[str, dict[str, str]] = {}
    for study_id, patient_id, day in rows:
        here.setdefault(patient_id, {})[study_id] = (day or "")[:10]
    doubled, of_ecgs = 0, {ecg.own_study_id for ecg in plan.ecgs.values()}
    for study in plan.studies.values():
        patient = given["patient"].get(names.of("patient", study.patient_id))
        if patient is None or names.of("study", study.study_id) in given["study"]:
            continue
        day = (names.moment(study.study_date, study.patient_id) or "")[:10]
        same = [study_id for study_id, its_day in here.get(patient, {}).items() if day in ("", its_day)]
        if study.study_id in plan.by_day and len(same) == 1:
            plan.joined[study.study_id] = same[0]
        doubled += bool(day and same) and study.study_id not in plan.joined.keys() | of_ecgs
    if plan.joined:
        plan.note(f"Rows that tell a patient and a day alone are of studies that are here already: {len(plan.joined)}.")
    if doubled:
        plan.note(
            f"Studies on a day on which their patient has another one here, under another id: {doubled}. Where both "
            "are one visit, take one out on the Cohorts page."
        )
    _tell_emptied(plan, names, db, given)


def _tell_emptied(plan: Plan, names: Names, db: Connection, given: Given) -> None:
    """A note on labels that stay because an import takes none away."""
    told = Counter(name for study in plan.studies.values() for name in study.phenotypes)
    stay: Counter[str] = Counter()
    for study in plan.studies.values():
        id = given["study"].get(names.of("study", study.study_id))
        if id is None or not study.phenotypes:
            continue
        held = {name for (name,) in db.execute("SELECT name FROM phenotypes WHERE study_id = ?", (id,))}
        stay.update((held & told.keys()) - study.phenotypes.keys())
    if stay:
        which = ", ".join(f"{PHENOTYPES[name].short} {n}" for name, n in stay.items())
        plan.note(
            f"Labels that are here and that the tables leave empty: {which}. They stay; the Cohorts page takes one out."
        )


def tell_twins(plan: Plan, names: Names, db: Connection | None, cohort: str, given: Given) -> None:
    """A note on ECGs of one patient and second: one recording may lie in two files or under two ids."""
    seen: dict[tuple[str, str], set[str]] = {}
    if db is not None:
        rows = db.execute(
            "SELECT ecg_id, patient_id, ecg_time FROM ecgs JOIN patients USING (patient_id) WHERE cohort = ?", (cohort,)
        )
        for ecg_id, patient_id, moment in rows:
            seen.setdefault((patient_id, moment or ""), set()).add(ecg_id)
    twins = 0
    for ecg in plan.ecgs.values():
        if "T" not in (ecg.ecg_time or ""):
            continue
        name, patient = names.of("ecg", ecg.ecg_id), names.of("patient", ecg.patient_id)
        id, owner = given["ecg"].get(name, name), given["patient"].get(patient, patient)
        of_that_second = seen.setdefault((owner, names.moment(ecg.ecg_time, ecg.patient_id) or ""), set())
        twins += bool(of_that_second - {id}) and name not in given["ecg"]
        of_that_second.add(id)
    if twins:
        plan.note(
            f"ECGs of the patient and second of another one: {twins}. They may be one recording in two files; each "
            "counts."
        )
