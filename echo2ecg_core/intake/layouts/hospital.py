"""A hospital's export: ECG files and DICOM studies in any folders, measurements in any table.

Patient, study and time come from the headers; folders and names of files mean nothing. A study goes by its accession
number, or its UID where it has none, and a table may use either; an ECG by its UID, or by patient and time, so that
moving files changes nothing. A table with a patient or a study and at least one
phenotype, or with measurements and values, is one of labels; one that names files is one of ECGs. Every other file is
named with the reason why it is not used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from echo2ecg_core.errors import StoreError, printable
from echo2ecg_core.intake.dates import BUDDHIST_YEARS
from echo2ecg_core.intake.ecg_tables import label_ecgs, names_ecgs, plan_ecgs
from echo2ecg_core.intake.field_names import FIELDS, FILE, FINDINGS, IDS, VISIT
from echo2ecg_core.intake.film_tables import is_film, plan_films, rows_of_films
from echo2ecg_core.intake.folders import files_below, shown_path
from echo2ecg_core.intake.headers import Header, read_header, read_headers
from echo2ecg_core.intake.ids import by_plain_id, with_known_ids
from echo2ecg_core.intake.labels import plan_studies, read_labels
from echo2ecg_core.intake.layouts.ours import ECG_FIELDS, LABEL_FIELDS, is_phantom, map_of
from echo2ecg_core.intake.mapping import Column, TableMap, with_hours, with_title
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.split_names import split_named, take_hints
from echo2ecg_core.intake.tables import Table, is_table, numbered_rows, read_tables
from echo2ecg_core.intake.written_paths import NO_HEADER, SIGNALS
from echo2ecg_core.phenotypes import PHENOTYPES

NAME = "Hospital export"
NOBODY = "The file does not say whose it is. Give a table with its path and patient_id."
TWICE = "Another file holds an ECG of this patient and time, or of this name."
VIDEO = "A video does not say whose it is. Give a table with its path and patient_id, or the DICOM file."
OTHER_TABLE = "a table of another program, if it is one: save it as CSV or .xlsx"
FILM_FIELDS = (*LABEL_FIELDS, "clip_path", "path", "view")
PAIRED_FIELDS = (*IDS, "ecg_time", *VISIT, *FILE)
MAPS_SHOWN = 8  # tables whose columns nobody knows are shown to be mapped up to so many
NO_LABELS = "a table without ids and labels that are known"
NOT_READ = {
    **dict.fromkeys(SIGNALS, NO_HEADER),
    **dict.fromkeys((".zip", ".7z", ".rar", ".tar", ".tgz", ".gz"), "packed: unpack it beside the other files"),
    **dict.fromkeys((".parquet", ".feather", ".json", ".sav", ".dta", ".sas7bdat", ".rds", ".rdata"), OTHER_TABLE),
    **dict.fromkeys((".xlsb", ".numbers"), "a workbook of another kind: save it as .xlsx or CSV"),
}


def recognises(folder: Path) -> bool:
    """Whether anything in it can be read."""
    return any(_has_header(path) or is_table(path) or is_film(path.name) for path in files_below(folder))


def _has_header(path: Path) -> bool:
    header = read_header(path)
    return header is not None and header.kind != ""


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """Everything below the folder."""
    planned, tables = Plan(NAME, folder, synthetic=is_phantom(folder)), []
    visits: dict[Visit, list[PlannedClip]] = {}
    people: dict[str, set[tuple[str, str]]] = {}
    for path, header in read_headers(list(files_below(folder))):
        shown = shown_path(path, folder)
        if header is None:
            if is_table(path):
                tables.append(path)
            elif path.name != "manifest.json" and not _has_its_header(path):
                reason = NOT_READ.get(path.suffix.lower(), "neither an ECG, an echo clip nor a table")
                planned.ignored.append((shown, VIDEO if is_film(path.name) else reason))
        elif header.kind == "":
            planned.ignored.append((shown, header.reason))
        elif not header.patient_id or not header.ids:
            if header.kind == "clip":
                planned.unowned[path] = header.moment
            planned.passed_over.append((shown, header.reason or NOBODY))
        else:
            facts = {("born", header.born), ("issuer", header.issuer), ("letters", "guessed" * header.guessed_letters)}
            people.setdefault(header.patient_id, set()).update(facts)
            _add(planned, path, header, visits)
    _add_studies(planned, visits)
    waiting = [one for path in tables for one in _add_tables(planned, path, told)]
    for table, shown, place in waiting:
        add_table(planned, table, shown, place, told)
    forget_what_came_in(planned)
    take_hints(planned, planned.split_hints)
    _tell_what_is_open(planned, people)
    return planned


def _has_its_header(path: Path) -> bool:
    return path.suffix.lower() in SIGNALS and any(path.with_suffix(s).exists() for s in (".hea", ".HEA"))


def forget_what_came_in(plan: Plan) -> None:
    """Take back that a file says nothing of its patient, or is no table of labels, where a table names it."""
    ecgs = [ecg.path for ecg in plan.ecgs.values()]
    used = {str(path) for path in ecgs} | {str(clip.path) for clip in plan.clips}
    used |= {str(path.with_suffix(".hea")) for path in ecgs if path.suffix.lower() in SIGNALS}
    plan.passed_over = [row for row in plan.passed_over if f"{plan.root}/{row[0]}" not in used]
    plan.ignored = [row for row in plan.ignored if f"{plan.root}/{row[0]}" not in used]
    for name in {path.name for path in ecgs if is_table(path)}:
        plan.maps.pop(printable(name), None)


class Visit(NamedTuple):
    """What the header of a clip tells of its study."""

    accession: str
    uid: str
    patient_id: str
    moment: str | None
    age_years: float | None

    @property
    def day(self) -> tuple[str, str]:
        """Whose and when."""
        return self.patient_id, (self.moment or "")[:10]


def _add(plan: Plan, path: Path, header: Header, visits: dict[Visit, list[PlannedClip]]) -> None:
    plan.patient(header.patient_id, header.sex)
    if header.kind == "clip":
        clip = PlannedClip("", path)  # its study is named when all headers are read
        visit = Visit(header.accession, header.uid, header.patient_id, header.moment, header.age_years)
        visits.setdefault(visit, []).append(clip)
        plan.clips.append(clip)
        return
    ecg_id = header.ids[0] if header.is_unique or not header.moment else f"{header.patient_id} {header.moment}"
    if ecg_id in plan.ecgs:
        plan.passed_over.append((shown_path(path, plan.root), TWICE))
        return
    plan.ecg(PlannedEcg(ecg_id, header.patient_id, path, header.moment, age_years=header.age_years))


def _add_studies(plan: Plan, visits: Mapping[Visit, list[PlannedClip]]) -> None:
    """The studies of all clips, and by which accession numbers and UIDs tables may name them."""
    plan.alias = alias = names_of_studies(visits, plan)
    for visit, clips in visits.items():
        study_id = alias.get(visit.uid) or alias.get(visit.accession) or visit.accession or visit.uid
        if visit.uid and visit.uid not in alias:  # one that stands in several studies
            study_id = visit.accession or visit.uid
        plan.study(PlannedStudy(study_id, visit.patient_id, visit.moment, visit.age_years))
        for clip in clips:
            clip.study_id = study_id


def names_of_studies(visits: Iterable[Visit], plan: Plan) -> dict[str, str]:
    """Accession numbers and UIDs -> the study's id, whatever the order of the files.

    A study goes by its accession number where any file of its UID tells one. Of two that differ, that one names no
    study which stands beside several of the other kind in studies of different patients or days.
    """
    of_uid: dict[str, list[Visit]] = {}
    of_accession: dict[str, list[Visit]] = {}
    for visit in visits:
        of_uid.setdefault(visit.uid, []).append(visit)
        of_accession.setdefault(visit.accession, []).append(visit)
    two_uids = {a for a, held in of_accession.items() if a and len({v.uid for v in held} - {""}) > 1}
    two_numbers = {u for u, held in of_uid.items() if u and len({v.accession for v in held} - {""}) > 1}
    shared = {a for a in two_uids if len({v.day for v in of_accession[a]}) > 1}
    copied = {u for u in two_numbers if len({v.day for v in of_uid[u]}) > 1} - {
        v.uid for a in shared for v in of_accession[a]
    }
    alias = {a: a for a in of_accession if a and a not in shared}
    for uid in sorted(set(of_uid) - copied - {""}):
        numbers = sorted({v.accession for v in of_uid[uid]} - shared - {""})
        alias |= dict.fromkeys([uid, *numbers], numbers[0] if numbers else uid)
    for found, words in (
        (two_numbers - copied, "Studies with several accession numbers for one UID, each counted as one study"),
        (copied, "UIDs in studies of different patients or days, which go by their accession numbers"),
        (shared, "Accession numbers in studies of different patients or days, which go by their UIDs"),
        (two_uids - shared, "Accession numbers with several UIDs of one patient and day, each counted as one study"),
    ):
        plan.note(f"{words}: {len(found)}." if found else "")
    return alias


def tell_undated(plan: Plan) -> None:
    """A note on studies without a date that are not the labels of an ECG."""
    own = {ecg.own_study_id for ecg in plan.ecgs.values()}
    undated = sum(study.study_date is None and id not in own for id, study in plan.studies.items())
    if undated:
        plan.note(f"Studies without a date, with which no ECG is paired: {undated} of {len(plan.studies)}.")


def _tell_what_is_open(plan: Plan, people: Mapping[str, set[tuple[str, str]]]) -> None:
    """Notes on studies without a date, and on patient ids that two people may share."""
    tell_undated(plan)
    first, last = BUDDHIST_YEARS
    days = [s.study_date for s in plan.studies.values()] + [e.ecg_time for e in plan.ecgs.values()]
    if thai := sum(first <= int(day[:4]) <= last for day in days if day):
        plan.note(
            f"Files whose year lies from {first} to {last}: {thai}. They keep it; a device that counts Buddhist years "
            "(2567 is 2024) pairs with no other."
        )
    kinds = [[kind for kind, value in facts if value] for facts in people.values()]
    doubtful = sum(len(kind) > len(set(kind)) for kind in kinds)
    if doubtful:
        plan.note(
            f"Patient ids with several dates of birth or issuers: {doubtful}. Two people may share one; import each "
            "source as a cohort of its own if so."
        )
    guessed = sum(("letters", "guessed") in facts for facts in people.values())
    if guessed:
        plan.note(
            f"Patient ids with letters whose character set no file tells: {guessed}. They were read as Western "
            "European, so a person whose id other files write in another set counts twice."
        )


def _add_tables(plan: Plan, path: Path, told: Mapping[str, Column]) -> list[tuple[Table, str, Path]]:
    """Add the tables in a file but those that say more of what other tables hold, which are given back."""
    shown = shown_path(path, plan.root)
    try:
        tables = read_tables(path)
    except StoreError as error:
        plan.ignored.append((shown, f"{error.message} {error.hint}"))
        return []
    waiting = []
    for table in map(with_hours, tables):
        plan.tables.add(table.file)
        means = map_of(table, told, FIELDS, plan)
        one = with_title(table, means), shown + table.file.removeprefix(printable(path.name)), path.parent
        fields = means.fields()
        split, patients = split_named(f"{one[1]} {table.title}"), means.column_of("patient_id")
        if split and patients and "split" not in fields:
            plan.split_hints.setdefault(split, set()).update(table.rows[patients])
        of_people = fields & {"sex", "split"} and not fields & {*PHENOTYPES, "value", "path", "clip_path"}
        of_files = fields & {"path", "clip_path"} and not fields & {"patient_id", "study_id"}
        if (
            of_people
            or of_files
            or (fields & {"ecg_id", "ecg_time"} and not fields & {"path", "clip_path", "study_id"})
        ):
            waiting.append(one)
        else:
            add_table(plan, *one, told)
    return waiting


def add_table(plan: Plan, table: Table, shown: str, folder: Path, told: Mapping[str, Column]) -> None:
    """What a table says, whatever it is of.

    Args:
        shown: What it is called where it is of nothing that is known.
        folder: Which its paths are relative to.
    """
    means = map_of(table, told, FIELDS, plan)
    fields = means.fields()
    file = means.column_of("clip_path") or means.column_of("path")
    owned, labelled = fields & {"patient_id", "study_id"}, fields & {*PHENOTYPES, *FINDINGS}
    by_file = bool(file and labelled and not owned)  # of files that say themselves whose they are
    films = rows_of_films(table.rows[file], plan, folder, here=by_file) if file and (owned or by_file) else None
    if films is not None and films.any():
        _add_films(plan, table, films, folder, told)
    elif {"path", "patient_id"} <= fields:
        plan_ecgs(read_labels(table, map_of(table, told, ECG_FIELDS, plan), plan), plan, folder)
    elif by_file and file and names_ecgs(table.rows[file].unique(), plan):
        mine = {**told, file: Column("ecg_id")}
        label_ecgs(read_labels(table, map_of(table, mine, ECG_FIELDS, plan), plan), plan, of_a_part=True)
    elif is_of_ecgs(table, means, plan):
        label_ecgs(read_labels(table, map_of(table, told, ECG_FIELDS, plan), plan), plan, of_a_part=True)
    elif "patient_id" in fields and fields & {"sex", "split"} and not fields & {*PHENOTYPES, "value"}:
        _add_people(plan, table, told)
    elif fields & {"patient_id", "study_id"} and (fields & set(PHENOTYPES) or {"measurement", "value"} <= fields):
        add_labels(plan, table, told)
    else:
        plan.note(*table.notes)
        plan.ignored.append((shown, NO_LABELS))
        if len(plan.maps) < MAPS_SHOWN:  # a person may know what its columns mean
            plan.maps.setdefault(table.file, TableMap({}, tuple(table.columns)))


def _add_films(plan: Plan, table: Table, films: pd.Series, folder: Path, told: Mapping[str, Column]) -> None:
    """The films of a table, and the ECGs that it names in other rows, or beside the films in a column of their own."""
    of_films = replace(table, rows=table.rows[films])
    means = map_of(table, told, FILM_FIELDS, plan)
    beside = {"path", "clip_path"} <= means.fields()
    if beside:
        means = map_of(table, told, tuple(f for f in FILM_FIELDS if f != "path"), plan)
    plan_films(read_labels(of_films, means, plan), plan, folder)
    rest, fields = (table, PAIRED_FIELDS) if beside else (replace(table, rows=table.rows[~films]), ECG_FIELDS)
    others = map_of(rest, told, fields, plan)
    if not rest.rows.empty and not means.fields() & {"patient_id", "study_id"}:
        plan.note(f"Rows of {table.file} that name no film of the data: {len(rest.rows)}; they were left out.")
    if rest.rows.empty or not {"patient_id", "path"} <= others.fields():
        return
    plan_ecgs(read_labels(rest, others, plan), plan, folder)
    columns = means.columns | others.columns  # of both readings, as the preview shows and saves them
    left = tuple(name for name in table.columns if name not in columns)
    plan.maps[table.file] = TableMap(columns, left, means.notes)
    used = {f"column {name} of {table.file}" for name in columns}
    plan.ignored = [row for row in plan.ignored if row[0] not in used]


def _add_people(plan: Plan, table: Table, told: Mapping[str, Column]) -> None:
    """Sex and split of patients who are there by a table that holds no labels."""
    labels = read_labels(table, map_of(table, told, ("patient_id", "sex", "split"), plan), plan)
    labels = with_known_ids(labels, "patient_id", plan.patients, plan)
    others = 0
    for number, row in numbered_rows(labels.rows):
        if row["patient_id"] in plan.patients:
            plan.patient(row["patient_id"], row.get("sex"), row.get("split"), file=labels.file, row=number)
        else:
            others += 1
    plan.note(f"Rows of {labels.file} whose patient is not among the data: {others}." if others else "")


def is_of_ecgs(table: Table, means: TableMap, plan: Plan) -> bool:
    """Whether a table holds labels of ECGs that the plan has, by their names or by patient and time."""
    fields, ecg_id = means.fields(), means.column_of("ecg_id")
    if "study_id" in fields or not plan.ecgs or not fields & {*PHENOTYPES, *FINDINGS}:
        return False
    if ecg_id is not None and names_ecgs(table.rows[ecg_id].unique(), plan):
        return True
    return {"patient_id", "ecg_time"} <= fields and "study_date" not in fields


def add_labels(plan: Plan, table: Table, told: Mapping[str, Column]) -> None:
    """Studies and labels of a table."""
    labels = read_labels(table, map_of(table, told, LABEL_FIELDS, plan), plan)
    for field, known in (("patient_id", plan.patients), ("study_id", {**plan.studies, **plan.alias})):
        labels = with_known_ids(labels, field, known, plan)
    if "study_id" in labels.rows:
        named = labels.rows.study_id.map(lambda i: plan.alias.get(i, i))
        labels = replace(labels, rows=labels.rows.assign(study_id=named))
    plan_studies(labels, plan)


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
    alike = [ids for ids in by_plain_id(plan.patients).values() if len(ids) > 1]
    if alike:
        told.append(
            f"{sum(map(len, alike))} ids of patients differ from another one in case, leading zeros or a spreadsheet's "
            ".0 alone; each counts as a patient of its own."
        )
    return told
