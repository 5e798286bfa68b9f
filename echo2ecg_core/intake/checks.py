"""Whether a plan can come in: it must contradict neither itself nor what the workspace holds of its cohort."""

from dataclasses import replace

from echo2ecg_core.intake.clip_vectors import settle_encoder
from echo2ecg_core.intake.known_visits import meet, tell_twins
from echo2ecg_core.intake.options import Names, Options
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.store.corrections import came_in_as
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.kept_cohorts import is_kept

# what tells whether an id means the same person and visit as before
_IDENTITY = (("patient", "patients", "sex"), ("study", "studies", "study_date"), ("ecg", "ecgs", "ecg_time"))
_GIVEN = "SELECT given_id, id FROM given_ids WHERE cohort = ?"


def check(plan: Plan, workspace: Workspace, options: Options) -> None:
    """Whether a plan can come in: it does not contradict itself nor the catalog.

    Raises:
        ImportRefused: it cannot; holds every reason.
    """
    options = replace(options, cohort=options.cohort or plan.cohort)
    settle_encoder(plan, workspace, options.vectors_of)
    if workspace.exists():
        if is_kept(workspace, options.cohort):
            plan.problems.add(f"A selection of the map is kept as the cohort {options.cohort!r}: give another name.")
        names = Names(plan, workspace, options, looks_only=True)
        with workspace.connect() as db:
            split = {r["patient_id"]: r["split"] for r in db.execute("SELECT patient_id, split FROM patients")}
            known = {
                kind: dict(tuple(r) for r in db.execute(f"SELECT {kind}_id, patient_id FROM {table}"))
                for kind, table in (("study", "studies"), ("ecg", "ecgs"))
            }
            given = {
                kind: dict(tuple(r) for r in db.execute(f"{_GIVEN} AND kind = ?", (options.cohort, kind)))
                for kind in ("patient", "study", "ecg")
            }
            facts = {
                kind: dict(tuple(r) for r in db.execute(f"SELECT {kind}_id, {fact} FROM {table} WHERE {fact} NOT NULL"))
                for kind, table, fact in _IDENTITY
            }
        for kind, _, fact in _IDENTITY:  # a correction of many dates makes no other data set
            facts[kind] |= came_in_as(workspace, fact)
        _against_catalog(plan, names, split, known, given)
        _same_data_set(plan, names, facts, given)
        if not plan.synthetic:
            _named_alike(plan, workspace, options, given)
        with workspace.connect() as db:
            meet(plan, names, db, options.cohort, given)
            tell_twins(plan, names, db, options.cohort, given)
    else:
        as_given = Names(plan, workspace, replace(options, keep_ids=True))
        tell_twins(plan, as_given, None, options.cohort, {kind: {} for kind in ("patient", "study", "ecg")})
    plan.problems.raise_if_any()


def _against_catalog(plan: Plan, names: Names, split: dict, known: dict, given: dict) -> None:
    for patient in plan.patients.values():
        was = split.get(given["patient"].get(names.of("patient", patient.patient_id)))
        if was and patient.split and was != patient.split:
            plan.problems.add(
                f"A patient would be in two splits ({was} in the workspace, and another one in the table)."
            )
    for kind, rows, words in (("study", plan.studies, "An echo study"), ("ecg", plan.ecgs, "An ECG")):
        for id, row in rows.items():
            owner = known[kind].get(given[kind].get(names.of(kind, id)))
            mine = given["patient"].get(names.of("patient", row.patient_id))
            if owner is not None and owner != mine:
                plan.problems.add(f"{words} of this cohort belongs to another patient in the workspace.")


def _named_alike(plan: Plan, workspace: Workspace, options: Options, given: dict) -> None:
    """People who are here under pseudonyms would come in a second time under their own ids, or the other way round."""
    other = Names(plan, workspace, replace(options, keep_ids=not options.keep_ids), looks_only=True)
    if not (twice := sum(other.of("patient", id) in given["patient"] for id in plan.patients)):
        return
    here, hint = (
        ("under pseudonyms", "Leave --keep-ids out")
        if options.keep_ids
        else ("with their own ids", "Keep the ids in this import, too (--keep-ids)")
    )
    plan.problems.add(
        f"Patients of this import who are in the cohort {options.cohort!r} {here} already: {twice}. They would come in "
        f"a second time. {hint}, or give another cohort name."
    )


def _same_data_set(plan: Plan, names: Names, facts: dict, given: dict) -> None:
    """Another data set under the name of one that is here would pass for corrections of it, and lose its ECGs."""
    told = {
        "patient": {p.patient_id: p.sex for p in plan.patients.values()},
        "study": {s.study_id: names.moment(s.study_date, s.patient_id) for s in plan.studies.values()},
        "ecg": {e.ecg_id: names.moment(e.ecg_time, e.patient_id) for e in plan.ecgs.values()},
    }
    same = differ = 0
    for kind, values in told.items():
        for id, now in values.items():
            was = facts[kind].get(given[kind].get(names.of(kind, id)))
            if was is not None and now is not None:
                same, differ = same + (was[:10] == now[:10]), differ + (was[:10] != now[:10])
    if differ > max(1, same):
        plan.problems.add(
            f"Of what this cohort has in the workspace already, {differ} of {same + differ} sexes and days are others "
            "here: it seems to be another data set. Give it a cohort name of its own."
        )
