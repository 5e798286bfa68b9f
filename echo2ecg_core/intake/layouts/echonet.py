"""EchoNet-Dynamic, -LVH and -Pediatric (Stanford): one video a study, echo without ECG.

Dynamic: `FileList.csv` with EF in %, ESV and EDV in mL, A4C. Pediatric: the same below `A4C/` and `PSAX/`, with ten
folds (0 to 7 train, 8 validation, 9 test). LVH: `MeasurementsList.csv` with a row a measured frame in cm, PLAX; the
mean of a video's frames is its value. No table tells which videos are of one patient: each stands for one.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.layouts.shared_steps import SPLITS, ignore_others, mapped, measured, number
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedStudy
from echo2ecg_core.intake.tables import Table, numbered_rows, read_table

NAME = "EchoNet"
LIST, MEASUREMENTS = "FileList.csv", "MeasurementsList.csv"
VALUES = {"EF": "lvef", "EDV": "lvedv", "ESV": "lvesv"}
CALCS = {"ivsd": "ivsd", "lvidd": "lvidd", "lvpwd": "lvpwd", "lvids": "lvids"}
FOLDS = {str(f): "train" for f in range(8)} | {"8": "validation", "9": "test"}
VIEW_FOLDERS = {"A4C": "A4C", "PSAX": "Parasternal_Short"}
SEXES = {"f": "female", "m": "male"}


def recognises(folder: Path) -> bool:
    """Whether one of its three tables is there, beside videos."""
    dynamic = (folder / LIST).is_file() and (folder / "Videos").is_dir()
    return dynamic or (folder / MEASUREMENTS).is_file() or any((folder / v / LIST).is_file() for v in VIEW_FOLDERS)


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """One study a video."""
    if (folder / MEASUREMENTS).is_file():
        planned = Plan("EchoNet-LVH", folder)
        _plan_lvh(read_table(folder / MEASUREMENTS), folder, planned)
    elif (folder / LIST).is_file():
        planned = Plan("EchoNet-Dynamic", folder)
        _plan_list(read_table(folder / LIST), folder, "A4C", "", planned)
    else:
        planned = Plan("EchoNet-Pediatric", folder)
        for name, view in VIEW_FOLDERS.items():
            if (folder / name / LIST).is_file():
                _plan_list(read_table(folder / name / LIST), folder / name, view, f"{name} ", planned)
    planned.note(f"{planned.layout} does not say which videos are of one patient: each counts as a patient of its own.")
    ignore_others(planned, folder, {LIST, MEASUREMENTS})
    return planned


def _plan_list(table: Table, folder: Path, view: str, prefix: str, plan: Plan) -> None:
    mapped(table, {"FileName": "clip_path", "Split": "split"})
    videos = {p.stem: p for p in sorted((folder / "Videos").glob("*")) if p.is_file()}
    for row, cells in numbered_rows(table.rows):
        name = cells["FileName"].removesuffix(".avi")
        split = SPLITS.get(cells["Split"].lower()) or FOLDS.get(cells["Split"].removesuffix(".0"))
        values = {field: measured(plan, field, number(cells.get(column, ""))) for column, field in VALUES.items()}
        facts = {
            "sex": SEXES.get(cells.get("Sex", "").lower()[:1]),
            "age": number(cells.get("Age", "")),
            "values": {k: v for k, v in values.items() if v is not None},
        }
        _add(plan, prefix + name, videos.get(name), view, split, facts, table.file, row)


def _plan_lvh(table: Table, folder: Path, plan: Plan) -> None:
    mapped(table, {"HashedFileName": "clip_path", "Calc": "measurement", "CalcValue": "value", "split": "split"})
    videos = {p.stem: p for p in sorted(folder.glob("Batch*/*")) if p.is_file()}
    for name, rows in table.rows.groupby("HashedFileName", sort=False):
        values: dict[str, list[float]] = {}
        for calc, text in zip(rows.Calc, rows.CalcValue, strict=True):
            field = CALCS.get(calc.lower())
            value = measured(plan, field, number(text)) if field else None
            if field and value is not None:
                values.setdefault(field, []).append(value)
        facts = {"values": {field: sum(v) / len(v) for field, v in values.items()}}
        split, stem = SPLITS.get(rows.split.iloc[0].lower()), name.removesuffix(".avi")
        _add(plan, stem, videos.get(stem), "Parasternal_Long", split, facts, table.file, rows.index[0])


def _add(
    plan: Plan, id: str, video: Path | None, view: str, split: str | None, facts: dict, file: str, row: int
) -> None:
    plan.patient(id, facts.get("sex"), split, file=file, row=row)
    plan.study(PlannedStudy(id, id, None, facts.get("age"), facts["values"]), file=file, row=row)
    if video is None:
        plan.passed_over.append((id, "There is no video of this name."))
    else:
        plan.clips.append(PlannedClip(id, video, view))
