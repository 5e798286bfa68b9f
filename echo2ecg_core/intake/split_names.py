"""Splits that names of folders and tables tell: `train/` and `test/`, or `pairs_train.csv` and `pairs_val.csv`.

They are hints: they count where they name two splits or more and each patient in one, and where no column says
otherwise.
"""

import re
from pathlib import Path

from echo2ecg_core.intake.column_names import SPLITS
from echo2ecg_core.intake.field_names import plain_id
from echo2ecg_core.intake.plan import Plan


def split_named(name: str) -> str | None:
    """The split that a word of a name tells: pairs_train.csv."""
    return next((SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS), None)


def take_hints(plan: Plan, tables: dict[str, set[str]]) -> None:
    """Give the patients of a plan the splits that names tell.

    Args:
        tables: Split by the name of a table -> the ids of patients in it.
    """
    hints: dict[str, set[str]] = {}
    for split, ids in tables.items():
        for id in ids:
            hints.setdefault(plain_id(id), set()).add(split)
    owner = {study_id: study.patient_id for study_id, study in plan.studies.items()}
    files = [(e.patient_id, e.path) for e in plan.ecgs.values()]
    files += [(owner[clip.study_id], clip.path) for clip in plan.clips if clip.study_id in owner]
    for patient_id, path in files:
        if of_folder := split_named(_folder(path, plan.root)):
            hints.setdefault(plain_id(patient_id), set()).add(of_folder)
    if len(set().union(*hints.values())) < 2:
        return
    told = {id: hints.get(plain_id(id), set()) for id in plan.patients}
    if twice := sum(len(splits) > 1 for splits in told.values()):
        plan.note(
            f"Names of folders or tables tell splits, but {twice} of {len(told)} patients are in two of them; splits "
            "are made by the hash of the patient."
        )
        return
    taken = [id for id, splits in told.items() if splits and plan.patients[id].split is None]
    for id in taken:
        plan.patients[id].split = next(iter(told[id]))
    if taken:
        plan.note(f"Splits were taken from the names of folders or tables for {len(taken)} of {len(told)} patients.")


def _folder(path: Path, root: Path) -> str:
    return path.parent.relative_to(root).as_posix() if path.is_relative_to(root) else ""
