"""TMED-2 (Tufts): still pictures with view and severity of aortic stenosis, echo without ECG.

`query_key` is PATIENTsSTUDY_NUMBER.png. Mild and mild-to-moderate stenosis are "early" in its papers and count as mild.
Splits are those of the diagnosis classifier in the labelled part of the fold that comes first by name.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.folders import files_below, named_below
from echo2ecg_core.intake.layouts.shared_steps import mapped, split_told
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedStudy
from echo2ecg_core.intake.tables import numbered_rows, read_table

NAME = "TMED-2"
VIEWS = {"PLAX": "Parasternal_Long", "PSAX": "Parasternal_Short", "A2C": "A2C", "A4C": "A4C"}
GRADES = {"no_AS": 0.0, "mild_AS": 1.0, "mildtomod_AS": 1.0, "moderate_AS": 2.0, "severe_AS": 3.0}
_KEY = re.compile(r"(\d+)(s\d+)_\d+.*")


def recognises(folder: Path) -> bool:
    """Whether its table of labels is there."""
    return _tables(folder) != []


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """One study for every patient and visit of the table."""
    planned, (path, *others) = Plan(NAME, folder), _tables(folder)
    planned.ignored += [(p.name, "another fold or list of the same pictures") for p in others]
    table = read_table(path)
    mapped(table, {"query_key": "clip_path", "view_label": "view", "diagnosis_label": "as_grade"})
    pictures = {p.name.lower(): p for p in files_below(folder) if p.suffix.lower() == ".png"}
    for row, cells in numbered_rows(table.rows):
        key = _KEY.fullmatch(cells["query_key"])
        if key is None:
            planned.problems.label(table.file, row, "query_key", "PATIENTsSTUDY_NUMBER.png")
            continue
        patient_id, study_id = key[1], key[1] + key[2]
        grade = GRADES.get(cells["diagnosis_label"])
        split = split_told(planned, cells.get("diagnosis_classifier_split", ""))
        planned.patient(patient_id, None, split, file=table.file, row=row)
        values = {} if grade is None else {"as_grade": grade}
        planned.study(PlannedStudy(study_id, patient_id, phenotypes=values), file=table.file, row=row)
        if picture := pictures.get(cells["query_key"].lower()):
            planned.clips.append(PlannedClip(study_id, picture, VIEWS.get(cells["view_label"])))
        else:
            planned.passed_over.append((cells["query_key"], "There is no picture of this name."))
    return planned


def _tables(folder: Path) -> list[Path]:
    """Labelled parts of folds by name, then the list of all pictures."""
    names = ("TMED2_fold*_labeledpart.csv", "labels_per_image.csv")
    return [path for name in names for place in ("", "*/") for path in named_below(folder, f"{place}{name}")]
