"""A hospital's export: ECG files and DICOM studies in any folders, measurements in any table.

Patient, study and time come from the headers; folders and names of files mean nothing. A study goes by its accession
number, or its UID where it has none, and a table may use either; an ECG by its UID, or by patient and time, so that
moving files changes nothing. A table with a patient or a study and at least one
phenotype, or with measurements and values, is one of labels; one that names files is one of ECGs. Every other file is
named with the reason why it is not used.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.ecg_tables import plan_ecgs
from echo2ecg_core.intake.folders import files_below
from echo2ecg_core.intake.headers import Header, read_header, read_headers
from echo2ecg_core.intake.labels import Labels, plan_studies, read_labels
from echo2ecg_core.intake.layouts.ours import ECG_FIELDS, LABEL_FIELDS, is_phantom, map_of
from echo2ecg_core.intake.mapping import Column, guess, told_for
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.tables import TABLE_SUFFIXES, Table, read_table
from echo2ecg_core.phenotypes import PHENOTYPES

NAME = "Hospital export"
NOBODY = "The file does not say whose it is. Give a table with its path and patient_id."
TWICE = "Another file holds an ECG of this patient and time, or of this name."
VIDEO = "A video does not say whose it is. Put it below echo/PATIENT/STUDY/, or give the DICOM file."
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".wmv", ".gif"}
COMPANIONS = {".dat", ".atr", ".xyz"}


def recognises(folder: Path) -> bool:
    """Whether anything in it can be read."""
    return any(_has_header(path) or path.suffix.lower() in TABLE_SUFFIXES for path in files_below(folder))


def _has_header(path: Path) -> bool:
    header = read_header(path)
    return header is not None and header.kind != ""


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """Everything below the folder."""
    planned, tables = Plan(NAME, folder, synthetic=is_phantom(folder)), []
    alias: dict[str, str] = {}
    for path, header in read_headers(list(files_below(folder))):
        shown = path.relative_to(folder).as_posix()
        if header is None:
            if path.suffix.lower() in TABLE_SUFFIXES:
                tables.append(path)
            elif path.suffix.lower() not in COMPANIONS and path.name != "manifest.json":
                reason = VIDEO if path.suffix.lower() in VIDEOS else "neither an ECG, an echo clip nor a table"
                planned.ignored.append((shown, reason))
        elif header.kind == "":
            planned.ignored.append((shown, header.reason))
        elif not header.patient_id or not header.ids:
            planned.passed_over.append((shown, header.reason or NOBODY))
        else:
            _add(planned, path, header, alias)
    for path in tables:
        _add_table(planned, path, told, alias)
    return planned


def _add(plan: Plan, path: Path, header: Header, alias: dict[str, str]) -> None:
    plan.patient(header.patient_id, header.sex)
    if header.kind == "clip":
        study_id = header.ids[0]
        alias.update(dict.fromkeys(header.ids, study_id))
        plan.study(PlannedStudy(study_id, header.patient_id, header.moment, header.age_years))
        plan.clips.append(PlannedClip(study_id, path))
        return
    ecg_id = header.ids[0] if header.is_unique or not header.moment else f"{header.patient_id} {header.moment}"
    if ecg_id in plan.ecgs:
        plan.passed_over.append((path.relative_to(plan.root).as_posix(), TWICE))
        return
    plan.ecg(PlannedEcg(ecg_id, header.patient_id, path, header.moment, age_years=header.age_years))


def _add_table(plan: Plan, path: Path, told: Mapping[str, Column], alias: Mapping[str, str]) -> None:
    shown = path.relative_to(plan.root).as_posix()
    try:
        table = read_table(path)
    except StoreError as error:
        plan.ignored.append((shown, error.message))
        return
    fields = guess(table).fields() | {means.field for means in told_for(table, told).values()}
    if {"path", "patient_id"} <= fields:
        plan_ecgs(read_labels(table, map_of(table, told, ECG_FIELDS), plan), plan, path.parent)
    elif fields & {"patient_id", "study_id"} and (fields & set(PHENOTYPES) or {"measurement", "value"} <= fields):
        add_labels(plan, table, told, alias)
    else:
        plan.ignored.append((shown, "a table without ids and labels that are known"))


def add_labels(plan: Plan, table: Table, told: Mapping[str, Column], alias: Mapping[str, str]) -> None:
    """Studies and labels of a table; `alias` gives the plan's id of a study for each of its names."""
    labels = read_labels(table, map_of(table, told, LABEL_FIELDS), plan)
    if "study_id" in labels.rows:
        rows = labels.rows.assign(study_id=labels.rows.study_id.map(lambda i: alias.get(i, i)))
        labels = Labels(labels.file, rows, labels.map)
    plan_studies(labels, plan)
