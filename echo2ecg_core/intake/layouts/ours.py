"""Our own layout, which the phantom command writes too.

`labels.csv` has a row a study (patient_id, study_id, study_date, sex, age_years, split, phenotypes, findings),
`ecgs.csv` a row an ECG (ecg_id, patient_id, ecg_time, path, sampling_rate_hz, unit, lead_order), clips lie under
`echo/PATIENT/STUDY/`. Either table may be missing: ECGs alone and echo studies alone are whole cohorts.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from echo2ecg_core.intake.ecg_tables import plan_ecgs
from echo2ecg_core.intake.field_names import FILE, FINDINGS, IDS, LONG, VISIT
from echo2ecg_core.intake.folders import Listings, files_below, in_another_form, shown_path, table_named
from echo2ecg_core.intake.labels import plan_studies, read_labels
from echo2ecg_core.intake.mapping import IGNORED, Column, TableMap, apply, guess, told_for, with_hours
from echo2ecg_core.intake.plan import Plan, PlannedClip
from echo2ecg_core.intake.tables import TABLE_SUFFIXES, Table, is_table, read_table
from echo2ecg_core.phenotypes import PHENOTYPES

NAME = "Echo2ECG archive"
LABELS, ECGS = "labels.csv", "ecgs.csv"
TABLES = {LABELS, ECGS, "latents.csv", "manifest.json"}
OTHER_TABLE = f"{LABELS} and {ECGS} are read; another table of labels counts where --labels or the page names it"
STUDY_FIELDS = ("patient_id", "study_id", "study_date", *VISIT, *FINDINGS, *PHENOTYPES)
LABEL_FIELDS = (*STUDY_FIELDS, *LONG)
ECG_FIELDS = (*IDS, "ecg_time", "study_date", *VISIT, *FINDINGS, *PHENOTYPES, *FILE)


def recognises(folder: Path) -> bool:
    """Whether the folder holds one of the two tables; labels alone are ours where clips lie below `echo/`."""
    return bool(_table(folder, ECGS) or (_table(folder, LABELS) and (folder / "echo").is_dir()))


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """What the archive holds.

    Args:
        folder: The archive.
        told: Columns that a person has mapped, by name.

    Raises:
        StoreError: a table cannot be read.
    """
    planned = Plan(NAME, folder, synthetic=is_phantom(folder))
    if path := _table(folder, LABELS):
        table = with_hours(read_table(path))
        means = map_of(table, told, LABEL_FIELDS)
        if has_all(planned, table, means, ("patient_id", "study_id")):
            plan_studies(read_labels(table, means, planned), planned)
    if path := _table(folder, ECGS):
        table = with_hours(read_table(path))
        means = map_of(table, told, ECG_FIELDS)
        if has_all(planned, table, means, ("ecg_id", "patient_id", "path")):
            plan_ecgs(read_labels(table, means, planned), planned, folder)
    seen: Listings = {}
    for study in planned.studies.values():
        place = folder / "echo" / study.patient_id / study.study_id
        if place.is_relative_to(folder) and ".." not in place.parts:
            place = place if os.path.isdir(place) else in_another_form(folder, place, seen) or place
            planned.clips += [PlannedClip(study.study_id, path) for path in clip_files(place)]
    _name_unused(planned, folder)
    return planned


def _table(folder: Path, name: str) -> Path | None:
    """One of the two tables, which may have been saved as a workbook or with another separator."""
    return table_named(folder, name, *(name.replace(".csv", suffix) for suffix in sorted(TABLE_SUFFIXES - {".txt"})))


def _name_unused(plan: Plan, folder: Path) -> None:
    """What lies in the folder and no table and no study names."""
    used = {e.path.with_suffix("") for e in plan.ecgs.values()} | {c.path for c in plan.clips}
    used |= {path for name in TABLES if (path := _table(folder, name))}
    for path in files_below(folder):
        if path not in used and path.with_suffix("") not in used:
            reason = OTHER_TABLE if is_table(path) else "neither table nor study names it"
            plan.ignored.append((shown_path(path, folder), reason))


def map_of(table: Table, told: Mapping[str, Column], fields: tuple[str, ...], plan: Plan | None = None) -> TableMap:
    """What the columns mean: as a person said, otherwise guessed. A column that a
    person has set aside (`ignored`) is not guessed.

    Args:
        plan: Whose ids tell which of several columns holds them.

    Raises:
        StoreError: two columns are said to mean the same.
    """
    mine = {name: means for name, means in told_for(table, told).items() if means.field in (*fields, IGNORED)}
    known: dict[str, Iterable[str]] = {}
    if plan is not None:
        known = {"patient_id": plan.patients, "study_id": (*plan.studies, *plan.alias)}
    means = guess(table, fields, known)
    if not mine:
        return means
    taken = {t.field for t in mine.values()}
    free = {c: m for c, m in means.columns.items() if c not in mine and m.field not in taken}
    return apply(table, free | {c: m for c, m in mine.items() if m.field != IGNORED})


def has_all(plan: Plan, table: Table, means: TableMap, needed: tuple[str, ...]) -> bool:
    """Whether the needed fields are in a table; a missing one is a problem of the plan."""
    missing = [field for field in needed if means.column_of(field) is None]
    if missing:
        plan.maps[table.file] = means
        plan.problems.add(
            f"{table.file} lacks the column {', '.join(missing)}; found {', '.join(table.columns)}.", table.file
        )
    return not missing


def clip_files(place: Path) -> list[Path]:
    """The files of a study's folder and of folders in it, in the order of their names; none that is hidden."""
    if not os.path.isdir(place):  # pathlib raises for ids that are no name of a folder
        return []
    return sorted(files_below(place))


def is_phantom(folder: Path) -> bool:
    """True for an archive that the phantom command wrote: it says so in its manifest.json."""
    return _manifest(folder).get("synthetic") is True


def phantom_cohort(folder: Path) -> str | None:
    """The name of a phantom cohort, by its seed; None for other data."""
    seed = _manifest(folder).get("seed")
    return f"Phantom {seed}" if is_phantom(folder) and isinstance(seed, int) else None


def _manifest(folder: Path) -> dict:
    try:
        found = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
