"""Tables with a row an echo film: where it lies, its patient, study and day, labels of the study.

Videos never say whose they are, DICOM files that were stripped of their patient do not either; for both a table does.
A film whose header tells its study stays in that one, and the row's labels are of it.
"""

from dataclasses import replace
from pathlib import Path, PureWindowsPath

import pandas as pd

from echo2ecg_core.intake.ids import with_known_ids
from echo2ecg_core.intake.labels import Labels, made_id, plan_studies, studies_by_day
from echo2ecg_core.intake.plan import Plan, PlannedClip
from echo2ecg_core.intake.tables import numbered_rows
from echo2ecg_core.intake.written_paths import NamedFiles

FILMS = (".mp4", ".avi", ".mov", ".mkv", ".wmv", ".gif", ".nii", ".nii.gz", ".mhd", ".mha")


def is_film(name: str) -> bool:
    """Whether a name is that of a film that does not say whose it is."""
    return name.lower().endswith(FILMS)


def rows_of_films(cells: pd.Series, plan: Plan, folder: Path, *, here: bool = False) -> pd.Series:
    """Which rows (bool) of a column of files are of films; one without a file is where most of the others are.

    Args:
        folder: In which the table lies.
        here: Only films count whose files say whose they are.
    """
    files, clips = NamedFiles(plan.root), {clip.path for clip in plan.clips} | plan.unowned.keys()
    named = cells[cells != ""]

    def shows_film(text: str) -> bool:
        if is_film(text):
            return not here
        path = files.find(text, folder)[0] if clips or not PureWindowsPath(text).suffix else None
        return path is not None and (path in clips or (not here and is_film(path.name)))

    films = named.map(shows_film)
    mostly = bool(films.mean() > 0.5) if len(films) else False
    return films.reindex(cells.index).fillna(mostly).astype(bool)


def plan_films(labels: Labels, plan: Plan, folder: Path) -> None:
    """The films of a table, and what it says of their studies."""
    files, days, study_of = NamedFiles(plan.root), studies_by_day(plan), {c.path: c.study_id for c in plan.clips}
    labels = with_known_ids(labels, "patient_id", plan.patients, plan)
    studies: dict[int, str | None] = {}
    moments: dict[int, str | None] = {}
    films = []
    for number, row in numbered_rows(labels.rows):
        text = str(row.get("clip_path") or row.get("path") or "")
        path, reason = files.find(text, folder)
        patient_id, moment = row.get("patient_id") or "", row.get("study_date")
        moment = moment or (plan.unowned.get(path) if path else None)
        day = (moment or "")[:10]
        known = days.get((patient_id, day), ())
        own = next(iter(known)) if len(known) == 1 else made_id(patient_id, day, plan)
        told = row.get("study_id") or (own if patient_id else None)
        told = plan.alias.get(told, told) if told else None
        studies[number], moments[number] = study_of.get(path, told) if path else told, moment
        if path is None:
            plan.passed_over += [(text, reason)] if text else []
        elif path not in study_of and told:
            films.append(PlannedClip(told, path))
    rows = labels.rows.assign(study_id=pd.Series(studies, dtype=object), study_date=pd.Series(moments, dtype=object))
    plan_studies(replace(labels, rows=rows), plan)
    plan.clips += [clip for clip in films if clip.study_id in plan.studies]
    files.tell(labels.file, plan)
