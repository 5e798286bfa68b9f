"""A hospital's export: ECG files and DICOM studies in any folders, measurements in any table.

Patient, study and time come from the headers; folders and names of files mean nothing. A study goes by its accession
number, or its UID where it has none, and a table may use either; an ECG by its UID, or by patient and time, so that
moving files changes nothing. A table with a patient or a study and at least one
phenotype, or with measurements and values, is one of labels; one that names files is one of ECGs. Every other file is
named with the reason why it is not used.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.ecg_tables import plan_ecgs
from echo2ecg_core.intake.folders import files_below
from echo2ecg_core.intake.headers import Header, read_header, read_headers
from echo2ecg_core.intake.labels import Labels, plan_studies, read_labels
from echo2ecg_core.intake.layouts.ours import ECG_FIELDS, LABEL_FIELDS, is_phantom, map_of
from echo2ecg_core.intake.mapping import Column, guess, told_for
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.tables import Table, is_table, read_tables
from echo2ecg_core.phenotypes import PHENOTYPES

NAME = "Hospital export"
NOBODY = "The file does not say whose it is. Give a table with its path and patient_id."
TWICE = "Another file holds an ECG of this patient and time, or of this name."
VIDEO = "A video does not say whose it is. Put it below echo/PATIENT/STUDY/, or give the DICOM file."
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".wmv", ".gif"}
COMPANIONS = {".dat", ".atr", ".xyz"}
NO_LABELS = "a table without ids and labels that are known"
NOT_READ = {
    **dict.fromkeys(VIDEOS, VIDEO),
    **dict.fromkeys((".zip", ".7z", ".rar", ".tar", ".tgz", ".gz"), "packed: unpack it beside the other files"),
    **dict.fromkeys((".xls", ".xlsb", ".ods", ".numbers"), "a workbook of another kind: save it as .xlsx or CSV"),
}


def recognises(folder: Path) -> bool:
    """Whether anything in it can be read."""
    return any(_has_header(path) or is_table(path) for path in files_below(folder))


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
            if is_table(path):
                tables.append(path)
            elif path.suffix.lower() not in COMPANIONS and path.name != "manifest.json":
                reason = NOT_READ.get(path.suffix.lower(), "neither an ECG, an echo clip nor a table")
                planned.ignored.append((shown, reason))
        elif header.kind == "":
            planned.ignored.append((shown, header.reason))
        elif not header.patient_id or not header.ids:
            planned.passed_over.append((shown, header.reason or NOBODY))
        else:
            _add(planned, path, header, alias)
    for path in tables:
        _add_tables(planned, path, told, alias)
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


def _add_tables(plan: Plan, path: Path, told: Mapping[str, Column], alias: Mapping[str, str]) -> None:
    shown = path.relative_to(plan.root).as_posix()
    try:
        tables = read_tables(path)
    except StoreError as error:
        plan.ignored.append((shown, error.message))
        return
    for table in tables:
        _add_table(plan, table, shown + table.file.removeprefix(path.name), path.parent, told, alias)


def _add_table(
    plan: Plan, table: Table, shown: str, folder: Path, told: Mapping[str, Column], alias: Mapping[str, str]
) -> None:
    fields = guess(table).fields() | {means.field for means in told_for(table, told).values()}
    if {"path", "patient_id"} <= fields:
        plan_ecgs(read_labels(table, map_of(table, told, ECG_FIELDS), plan), plan, folder)
    elif fields & {"patient_id", "study_id"} and (fields & set(PHENOTYPES) or {"measurement", "value"} <= fields):
        add_labels(plan, table, told, alias)
    else:
        plan.ignored.append((shown, NO_LABELS))


def add_labels(plan: Plan, table: Table, told: Mapping[str, Column], alias: Mapping[str, str]) -> None:
    """Studies and labels of a table; `alias` gives the plan's id of a study for each of its names."""
    labels = read_labels(table, map_of(table, told, LABEL_FIELDS), plan)
    for field, known in (("patient_id", plan.patients), ("study_id", {**plan.studies, **alias})):
        if field in labels.rows:
            as_files = _as_files_write(labels.rows[field], known)
            if as_files:
                plan.note(
                    f"{len(as_files)} ids of {table.file} ({field}) differ from those of the files in case, leading "
                    "zeros or a spreadsheet's .0 alone; they were taken for the same."
                )
            ids = labels.rows[field].map(lambda i, same=as_files: same.get(i, i))
            ids = ids.map(lambda i: alias.get(i, i)) if field == "study_id" else ids
            labels = Labels(labels.file, labels.rows.assign(**{field: ids}), labels.map)
    plan_studies(labels, plan)


def _as_files_write(ids: pd.Series, known: Mapping[str, object]) -> dict[str, str]:
    """Ids of a table -> the one id of the files that means the same; none where two could be meant, on either side."""
    there, given = _by_plain_id(known), _by_plain_id(set(ids.dropna()))
    return {
        mine[0]: there[plain][0]
        for plain, mine in given.items()
        if len(mine) == len(there.get(plain, ())) == 1 and mine != there[plain]
    }


def _by_plain_id(ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by what is left of them without case, leading zeros, the .0 of a spreadsheet, quotation marks and signs that
    nobody sees; letters and digits in one form."""
    found: dict[str, list[str]] = {}
    for id in ids:
        seen = re.sub(r"[\u00ad\u200b-\u200f\u2060\ufeff]", "", unicodedata.normalize("NFKC", id)).strip("'\" ")
        plain = re.sub(r"^0+(?=\d)", "", re.sub(r"(?<=\d)\.0$", "", seen.casefold()))
        found.setdefault(plain, []).append(id)
    return found


def joins(plan: Plan) -> list[str]:
    """What of a plan hangs together and what does not, in sentences: ids that were written otherwise in another
    system show here."""
    told = []
    clips, labels = {c.study_id for c in plan.clips}, {i for i, s in plan.studies.items() if s.phenotypes}
    ecgs, studies = {e.patient_id for e in plan.ecgs.values()}, {s.patient_id for s in plan.studies.values()}
    for what, a, b, one, other in (
        ("echo studies", clips, labels, "clips", "labels"),
        ("patients", ecgs, studies, "ECGs", "echo studies"),
    ):
        if a and b and a != b:
            told.append(
                f"Of {len(a | b)} {what} {len(a & b)} have {one} and {other}, {len(a - b)} {one} alone, "
                f"{len(b - a)} {other} alone."
            )
    alike = [ids for ids in _by_plain_id(plan.patients).values() if len(ids) > 1]
    if alike:
        told.append(
            f"{sum(map(len, alike))} ids of patients differ from another one in case, leading zeros or a spreadsheet's "
            ".0 alone; each counts as a patient of its own."
        )
    return told
