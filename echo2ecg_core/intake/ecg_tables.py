"""Tables with a row an ECG: where it lies, or labels of one that is among the data.

Labels in a row (LVEF beside an ECG) become a study of that ECG's own, so that no other ECG can take them; where the row
tells the day of the echo they are those of an echo study, which is paired by time like any other.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PureWindowsPath

from echo2ecg_core.intake.field_names import FINDINGS
from echo2ecg_core.intake.folders import unique_stem
from echo2ecg_core.intake.ids import by_plain_id, with_known_ids
from echo2ecg_core.intake.labels import Labels, plan_studies, study_from
from echo2ecg_core.intake.plan import Plan, PlannedEcg
from echo2ecg_core.intake.tables import numbered_rows
from echo2ecg_core.intake.written_paths import NamedFiles
from echo2ecg_core.phenotypes import PHENOTYPES

_SUFFIX = re.compile(r"\.(hea|dat|mat|xml|dcm|dicom|scp|edf|csv|npy|pt|json|txt)$", re.IGNORECASE)


def plan_ecgs(labels: Labels, plan: Plan, folder: Path) -> None:
    """The ECGs of a table, with the patients and labels in its rows."""
    carries = [name for name in (*PHENOTYPES, *FINDINGS) if name in labels.rows]
    files, there = NamedFiles(plan.root), {e.path: e for e in plan.ecgs.values() if e.read is None}
    labels = with_known_ids(labels, "patient_id", plan.patients, plan, numbers_only=True)
    dated = _with_echo(labels, carries)
    for number, row in numbered_rows(labels.rows):
        patient_id, ecg_id = row.get("patient_id"), row.get("ecg_id") or _name_of(row.get("path"))
        if patient_id is None or ecg_id is None:
            continue
        plan.patient(patient_id, row.get("sex"), row.get("split"), file=labels.file, row=number)
        own = plan.alias.get(row.get("study_id") or "", row.get("study_id"))
        if number not in dated.rows.index and any(row[name] is not None for name in carries):
            own = own or ecg_id
            day = None if own in plan.studies else row.get("ecg_time")  # of a study that is there, as it says itself
            study = study_from(row | {"study_date": day}, own, patient_id, labels, plan, number)
            plan.study(study, file=labels.file, row=number)
        path, reason = files.find(str(row.get("path") or ""), folder)
        if path is None:
            plan.passed_over.append((str(row.get("path") or ""), reason))
            continue
        ecg = PlannedEcg(
            ecg_id,
            patient_id,
            path,
            row.get("ecg_time"),
            row.get("sampling_rate_hz"),
            row.get("unit"),
            row.get("lead_order"),
            row.get("age_years"),
            None if number in dated.rows.index else own,
        )
        known = there.get(path)
        if known is not None and known.patient_id == patient_id:
            _tell_more(known, ecg)
            plan.ecg_names[ecg_id] = known.ecg_id
        else:
            plan.ecg(ecg, file=labels.file, row=number)
    if not dated.rows.empty:
        plan_studies(dated, plan)
    files.tell(labels.file, plan)


def _with_echo(labels: Labels, carries: list[str]) -> Labels:
    """The rows that hold labels and the day of their echo."""
    rows = labels.rows
    if "study_date" not in rows or not carries:
        return replace(labels, rows=rows.iloc[:0])
    return replace(labels, rows=rows[rows.study_date.notna() & rows[carries].notna().any(axis=1)])


def _tell_more(known: PlannedEcg, ecg: PlannedEcg) -> None:
    """What a table says of an ECG whose file told whose it is."""
    for name in ("ecg_time", "sampling_rate_hz", "unit", "lead_order", "age_years", "own_study_id"):
        if (told := getattr(ecg, name)) is not None:
            setattr(known, name, told)


def _name_of(path: str | None) -> str | None:
    """The id of an ECG in a table without ids: its path without suffix."""
    return path.replace("\\", "/").rsplit(".", 1)[0] if path else None


def names_ecgs(ecg_ids: Iterable[str], plan: Plan) -> bool:
    """Whether any cell of a column is the name of an ECG of the plan."""
    plain = by_plain_id(_by_name(plan))
    return any(name in plain for i in ecg_ids for name in by_plain_id((i, _file_named(i))))


def _file_named(text: str) -> str:
    """The name of a file without its folder and the suffix of a recording."""
    return _SUFFIX.sub("", PureWindowsPath(text).name)


def label_ecgs(labels: Labels, plan: Plan, *, of_a_part: bool = False) -> None:
    """The labels of a table with a row an ECG, for ECGs that the plan holds already: by their names (ids of tables and
    files), or by patient and time.

    Args:
        of_a_part: Rows may name ECGs that are not among the data; they are counted.
    """
    by_name, by_time = _by_name(plan), _by_time(plan)
    if "ecg_id" in labels.rows:
        named = labels.rows.ecg_id.map(lambda i: i if i is None or i in by_name else _file_named(i))
        labels = replace(labels, rows=labels.rows.assign(ecg_id=named))
    labels = with_known_ids(labels, "ecg_id", by_name, plan, numbers_only=True)
    labels = with_known_ids(labels, "patient_id", plan.patients, plan)
    is_named, absent = "ecg_id" in labels.rows, 0
    for number, row in numbered_rows(labels.rows):
        patient_id, moment = row.get("patient_id") or "", row.get("ecg_time") or ""
        if is_named:
            ecgs = [by_name[row["ecg_id"]]] if row["ecg_id"] in by_name else []
        else:
            ecgs = by_time.get((patient_id, moment)) or by_time.get((patient_id, moment[:10])) or []
        if not ecgs and not of_a_part:
            plan.problems.add(
                f"{labels.file} names an ECG in row {number} that is not among the data.",
                labels.file, number, labels.column("ecg_id"),
            )  # fmt: skip
        absent += not ecgs
        for ecg in ecgs:
            if patient_id not in ("", ecg.patient_id):
                plan.problems.add(
                    f"{labels.file} gives an ECG to another patient in row {number} than its file does.",
                    labels.file, number, labels.column("patient_id"),
                )  # fmt: skip
                continue
            plan.patient(ecg.patient_id, row.get("sex"), row.get("split"), file=labels.file, row=number)
            if is_named:
                ecg.ecg_time = row.get("ecg_time") or ecg.ecg_time
            ecg.age_years = row.get("age_years") if row.get("age_years") is not None else ecg.age_years
            is_planned = ecg.own_study_id in plan.studies
            own = ecg.own_study_id = ecg.own_study_id if ecg.own_study_id and is_planned else ecg.ecg_id
            told = row | {"study_date": None if is_planned else ecg.ecg_time}
            plan.study(study_from(told, own, ecg.patient_id, labels, plan, number), file=labels.file, row=number)
    if absent and of_a_part:
        plan.note(f"Rows of {labels.file} whose ECG is not among the data: {absent}; their labels were left out.")


def _by_name(plan: Plan) -> dict[str, PlannedEcg]:
    """ECGs by their ids, by those that tables give them, and by the names of their files where one ECG has it."""
    stems: dict[str, list[PlannedEcg]] = {}
    for ecg in plan.ecgs.values():
        if ecg.read is None:
            stems.setdefault(unique_stem(ecg.path), []).append(ecg)
    named = {stem: ecgs[0] for stem, ecgs in stems.items() if len(ecgs) == 1}
    return named | {name: plan.ecgs[id] for name, id in plan.ecg_names.items()} | plan.ecgs


def _by_time(plan: Plan) -> dict[tuple[str, str], list[PlannedEcg]]:
    """ECGs by their patient and time, and by their patient and day."""
    found: dict[tuple[str, str], list[PlannedEcg]] = {}
    for ecg in plan.ecgs.values():
        for moment in {ecg.ecg_time or "", (ecg.ecg_time or "")[:10]} - {""}:
            found.setdefault((ecg.patient_id, moment), []).append(ecg)
    return found
