"""Tables with a row an ECG, and the files they name.

A path may be written with backslashes, in another case, or without the suffix of a WFDB header; links inside the
folder are followed, because archives are put together from several disks, but no path may climb out of the folder by
its text. Labels in a row (LVEF beside an ECG) become a study of that ECG's own, so that no other ECG can take them.
"""

import os
from pathlib import Path

from echo2ecg_core.intake.labels import Labels, study_from
from echo2ecg_core.intake.mapping import FINDINGS
from echo2ecg_core.intake.plan import Plan, PlannedEcg
from echo2ecg_core.phenotypes import PHENOTYPES

OUTSIDE = "It names a file outside the archive. Use paths relative to the folder of the table."
ABSENT = "There is no such file in the archive."


def plan_ecgs(labels: Labels, plan: Plan, folder: Path) -> None:
    """The ECGs of a table, with the patients and labels in its rows."""
    carries = [name for name in (*PHENOTYPES, *FINDINGS) if name in labels.rows]
    seen: dict[Path, dict[str, Path]] = {}
    for number, row in labels.rows.to_dict("index").items():
        patient_id, ecg_id = row.get("patient_id"), row.get("ecg_id")
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


def find_file(folder: Path, text: str, seen: dict[Path, dict[str, Path]]) -> tuple[Path | None, str]:
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
        if candidate.is_file():
            return candidate, ""
    found = _in_another_case(folder, path, seen)
    return (found, "") if found else (None, ABSENT)


def _in_another_case(folder: Path, path: Path, seen: dict[Path, dict[str, Path]]) -> Path | None:
    """The file whose path differs in upper and lower case only."""
    base = folder if path.is_relative_to(folder) else folder.resolve()
    here = base
    for part in path.relative_to(base).parts:
        if here not in seen:
            seen[here] = {p.name.lower(): p for p in here.iterdir()} if here.is_dir() else {}
        names = seen[here]
        here = names.get(part.lower()) or names.get(f"{part.lower()}.hea")
        if here is None:
            return None
    return here if here.is_file() else None
