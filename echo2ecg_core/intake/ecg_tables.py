"""Tables with a row an ECG, and the files they name.

A path may be written with backslashes, in another case or normal form, or without the suffix of a WFDB header; links
inside the folder are followed, because archives are put together from several disks, but no path may climb out of the
folder by its text. Labels in a row (LVEF beside an ECG) become a study of that ECG's own, so that no other ECG can take
them.
"""

import os
from pathlib import Path, PureWindowsPath

from echo2ecg_core.intake.folders import Listings, in_another_form
from echo2ecg_core.intake.ids import with_known_ids
from echo2ecg_core.intake.labels import Labels, study_from
from echo2ecg_core.intake.mapping import FINDINGS
from echo2ecg_core.intake.plan import Plan, PlannedEcg
from echo2ecg_core.intake.tables import numbered_rows
from echo2ecg_core.phenotypes import PHENOTYPES

OUTSIDE = "It names a file outside the archive. Use paths relative to the folder of the table."
ABSENT = "There is no such file in the archive."


def plan_ecgs(labels: Labels, plan: Plan, folder: Path) -> None:
    """The ECGs of a table, with the patients and labels in its rows."""
    carries = [name for name in (*PHENOTYPES, *FINDINGS) if name in labels.rows]
    seen: Listings = {}
    labels = with_known_ids(labels, "patient_id", plan.patients, plan, numbers_only=True)
    for number, row in numbered_rows(labels.rows):
        patient_id, ecg_id = row.get("patient_id"), row.get("ecg_id") or _name_of(row.get("path"))
        if patient_id is None or ecg_id is None:
            continue
        plan.patient(patient_id, row.get("sex"), row.get("split"), file=labels.file, row=number)
        own = None
        if any(row[name] is not None for name in carries):
            own = row.get("study_id") or ecg_id
            plan.study(
                study_from(row | {"study_date": row.get("ecg_time")}, own, patient_id, labels, plan, number),
                file=labels.file,
                row=number,
            )
        path, reason = find_file(folder, str(row.get("path") or ""), seen)
        if path is None:
            plan.passed_over.append((str(row.get("path") or ""), reason))
            continue
        plan.ecg(
            PlannedEcg(
                ecg_id,
                patient_id,
                path,
                row.get("ecg_time"),
                row.get("sampling_rate_hz"),
                row.get("unit"),
                row.get("lead_order"),
                row.get("age_years"),
                own or row.get("study_id"),
            ),
            file=labels.file,
            row=number,
        )


def _name_of(path: str | None) -> str | None:
    """The id of an ECG in a table without ids: its path without suffix."""
    return path.replace("\\", "/").rsplit(".", 1)[0] if path else None


def label_ecgs(labels: Labels, plan: Plan) -> None:
    """The labels of a table with a row an ECG, for ECGs that the plan holds already."""
    labels = with_known_ids(labels, "ecg_id", plan.ecgs, plan, numbers_only=True)
    for number, row in numbered_rows(labels.rows):
        ecg = plan.ecgs.get(row.get("ecg_id") or "")
        if ecg is None:
            plan.problems.add(
                f"{labels.file} names an ECG in row {number} that is not among the data.",
                labels.file, number, labels.column("ecg_id"),
            )  # fmt: skip
            continue
        plan.patient(ecg.patient_id, row.get("sex"), row.get("split"), file=labels.file, row=number)
        ecg.ecg_time = row.get("ecg_time") or ecg.ecg_time
        ecg.age_years = row.get("age_years") if row.get("age_years") is not None else ecg.age_years
        ecg.own_study_id = ecg.ecg_id
        study = study_from(row | {"study_date": ecg.ecg_time}, ecg.ecg_id, ecg.patient_id, labels, plan, number)
        plan.study(study, file=labels.file, row=number)


def find_file(folder: Path, text: str, seen: Listings) -> tuple[Path | None, str]:
    """The file that a table names, and why there is none.

    Args:
        folder: Which the path is relative to.
        text: As the table writes it.
        seen: Listings of folders made so far; kept by the caller.
    """
    if not text.strip():
        return None, "The table names no file for this ECG."
    path = Path(os.path.normpath(folder / text.replace("\\", "/")))
    if not (path.is_relative_to(folder) or path.is_relative_to(folder.resolve())):
        return None, OUTSIDE
    for candidate in (path, path.with_name(f"{path.name}.hea")):
        if os.path.isfile(candidate):  # pathlib raises for names that no system could have
            return candidate, ""
    base = folder if path.is_relative_to(folder) else folder.resolve()
    found = in_another_form(base, path, seen, any_case=True)
    return (found, "") if found and found.is_file() else (None, ABSENT)


def find_written(folder: Path, text: str, seen: Listings) -> tuple[Path | None, str]:
    """`find_file` of a path that another machine may have written whole: as much of its end counts as leads to a file
    in the folder."""
    found = find_file(folder, text, seen)
    parts = PureWindowsPath(text).parts
    if found[0] is not None or not PureWindowsPath(text).root or ".." in parts:
        return found
    ends = (find_file(folder, "/".join(parts[start:]), seen)[0] for start in range(1, len(parts)))
    end = next((path for path in ends if path is not None), None)
    return (end, "") if end else (None, ABSENT)
