"""EchoNet-Dynamic, -LVH and -Pediatric (Stanford): one video a study, echo without ECG.

Dynamic: `FileList.csv` with EF in %, ESV and EDV in mL, A4C. Pediatric: the same below `A4C/` and `PSAX/`, with ten
folds (0 to 7 train, 8 validation, 9 test). LVH: `MeasurementsList.csv` with a row a measured frame in cm, PLAX; the
mean of a video's frames is its value. No table tells which videos are of one patient: each stands for one.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.film_tables import is_film
from echo2ecg_core.intake.folders import named_below, table_named
from echo2ecg_core.intake.layouts.shared_steps import (
    age_told,
    ignore_others,
    known_table,
    labels_told,
    mapped,
    split_told,
    tell_unnamed,
)
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedStudy
from echo2ecg_core.intake.tables import Table, numbered_rows

NAME = "EchoNet"
LIST, MEASUREMENTS = "FileList.csv", "MeasurementsList.csv"
VALUES = {"EF": "lvef", "EDV": "lvedv", "ESV": "lvesv"}
CALCS = {"ivsd": "ivsd", "lvidd": "lvidd", "lvpwd": "lvpwd", "lvids": "lvids"}
FOLDS = {str(f): "train" for f in range(8)} | {"8": "validation", "9": "test"}
VIEW_FOLDERS = {"A4C": "A4C", "PSAX": "Parasternal_Short"}
SEXES = {"f": "female", "m": "male"}


def recognises(folder: Path) -> bool:
    """Whether one of its three tables is there, beside videos."""
    dynamic = table_named(folder, LIST) is not None and bool(_videos(folder))
    return dynamic or bool(_view_folders(folder)) or table_named(folder, MEASUREMENTS) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """One study a video."""
    if table_named(folder, MEASUREMENTS):
        planned = Plan("EchoNet-LVH", folder)
        _plan_lvh(known_table(folder, MEASUREMENTS), folder, planned)
    elif table_named(folder, LIST):
        planned = Plan("EchoNet-Dynamic", folder)
        _plan_list(known_table(folder, LIST), folder, "A4C", "", planned)
    else:
        planned = Plan("EchoNet-Pediatric", folder)
        for name, place in _view_folders(folder).items():
            _plan_list(known_table(place, LIST), place, VIEW_FOLDERS[name], f"{name} ", planned)
    planned.note(f"{planned.layout} does not say which videos are of one patient: each counts as a patient of its own.")
    ignore_others(planned, folder, {LIST, MEASUREMENTS})
    return planned


def _videos(folder: Path, among: str = "Videos/*") -> list[Path]:
    """The videos of a data set, where its authors keep them or beside its table."""
    return [path for at in (among, "*") for path in named_below(folder, at) if is_film(path.name)]


def _view_folders(folder: Path) -> dict[str, Path]:
    """The folders of EchoNet-Pediatric."""
    return {name: p for name in VIEW_FOLDERS for p in named_below(folder, name) if table_named(p, LIST)}


def _plan_list(table: Table, folder: Path, view: str, prefix: str, plan: Plan) -> None:
    mapped(table, {"FileName": "clip_path", "Split": "split"})
    videos = {p.stem.lower(): p for p in _videos(folder)}
    for row, cells in numbered_rows(table.rows):
        name = _name(cells["FileName"])
        split = FOLDS.get(cells["Split"].removesuffix(".0")) or split_told(plan, cells["Split"])
        facts = {
            "sex": SEXES.get(cells.get("Sex", "").lower()[:1]),
            "age": age_told(plan, cells.get("Age", "")),
            "values": labels_told(plan, {field: cells.get(column, "") for column, field in VALUES.items()}),
        }
        _add(plan, prefix + name, videos.get(name.lower()), view, split, facts, table.file, row)
    tell_unnamed(plan, videos.keys() - set(table.rows.FileName.map(_name).str.lower()), f"{prefix}videos")


def _name(written: str) -> str:
    """The name of a video without its suffix, which some tables write."""
    return re.sub(r"\.(avi|mp4|mov|mkv|wmv)$", "", written, flags=re.IGNORECASE)


def _plan_lvh(table: Table, folder: Path, plan: Plan) -> None:
    mapped(table, {"HashedFileName": "clip_path", "Calc": "measurement", "CalcValue": "value", "split": "split"})
    videos = {p.stem.lower(): p for p in _videos(folder, "Batch*/*")}
    for name, rows in table.rows.groupby("HashedFileName", sort=False):
        values: dict[str, list[float]] = {}
        for calc, text in zip(rows.Calc, rows.CalcValue, strict=True):
            field = CALCS.get(calc.lower())
            for name_of, value in labels_told(plan, {field: text} if field else {}).items():
                values.setdefault(name_of, []).append(value)
        facts = {"values": {field: sum(v) / len(v) for field, v in values.items()}}
        split, stem = split_told(plan, rows.split.iloc[0]), _name(name)
        _add(plan, stem, videos.get(stem.lower()), "Parasternal_Long", split, facts, table.file, rows.index[0])
    tell_unnamed(plan, videos.keys() - set(table.rows.HashedFileName.map(_name).str.lower()), "videos")


def _add(
    plan: Plan, id: str, video: Path | None, view: str, split: str | None, facts: dict, file: str, row: int
) -> None:
    plan.patient(id, facts.get("sex"), split, file=file, row=row)
    plan.study(PlannedStudy(id, id, None, facts.get("age"), facts["values"]), file=file, row=row)
    if video is None:
        plan.passed_over.append((id, "There is no video of this name."))
    else:
        plan.clips.append(PlannedClip(id, video, view))
