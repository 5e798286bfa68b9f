"""MIMIC-IV-ECHO 1.0: studies, DICOM clips, and measurements with a row a measurement.

LVEF is the first there is of the biplane value, the 3D value, the middle of a range given as lvef and lvef_upper, and
lvef. Stress echoes are left out: they are not of a heart at rest. TAPSE is written in cm or in mm without a rule; the
two cannot be confused in size. Measurements that no study claims (most patients have no DICOM) are studies without
clips.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.folders import table_named
from echo2ecg_core.intake.layouts.shared_steps import dates_told, ignore_others, known_table, mapped, measured, number
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedStudy
from echo2ecg_core.intake.tables import Table, numbered_rows
from echo2ecg_core.intake.written_paths import NamedFiles

NAME = "MIMIC-IV-ECHO"
STUDIES, RECORDS = "echo-study-list.csv", "echo-record-list.csv"
MEASUREMENTS = "structured-measurement.csv"
IDS = ("subject_id", "study_id", "measurement_id")
# measurement -> (phenotype, True where cm and mm are mixed)
FIELDS = {"septal_thickness": ("ivsd", False), "inf_lat_thickness": ("lvpwd", False), "tapse": ("tapse", True)}


def recognises(folder: Path) -> bool:
    """Whether its lists or its measurements are there."""
    return table_named(folder, STUDIES, RECORDS, MEASUREMENTS) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """Studies by the list, labels by measurement, clips by the list of records."""
    planned, study_of = Plan(NAME, folder), {}
    if table_named(folder, STUDIES):
        study_of = _plan_studies(known_table(folder, STUDIES, *IDS), planned, told)
    if table_named(folder, MEASUREMENTS):
        _plan_labels(known_table(folder, MEASUREMENTS, *IDS), study_of, planned, told)
    if table_named(folder, RECORDS):
        _plan_clips(known_table(folder, RECORDS, *IDS), folder, planned, told)
    ignore_others(planned, folder, {STUDIES, RECORDS, MEASUREMENTS})
    return planned


def _plan_studies(table: Table, plan: Plan, told: Mapping[str, Column]) -> dict[str, str]:
    """Plan the studies of the list; returns the study of each measurement."""
    mapped(table, {"study_id": "study_id", "subject_id": "patient_id"})
    dates, study_of = dates_told(plan, table, "study_datetime", told), {}
    for row, cells in numbered_rows(table.rows):
        plan.patient(cells["subject_id"])
        study = PlannedStudy(cells["study_id"], cells["subject_id"], dates.get(row))
        plan.study(study, file=table.file, row=row)
        if measurement := cells.get("measurement_id", ""):
            study_of[measurement] = cells["study_id"]
    return study_of


def _plan_labels(table: Table, study_of: Mapping[str, str], plan: Plan, told: Mapping[str, Column]) -> None:
    needed = ("subject_id", "measurement_id", "measurement", "result")
    mapped(table, dict.fromkeys(needed, "patient_id"))
    rows = table.rows
    if "test_type" in rows:
        stress = rows.test_type.str.lower() == "stress"
        if stress.any():
            plan.ignored.append((f"{rows.measurement_id[stress].nunique()} stress echoes", "no heart at rest"))
        rows = rows[~stress]
    used = rows[rows.measurement.isin([*FIELDS, "lvef", "lvef_upper", "lvef_3d", "biplane_lvef"])]
    unused = sorted(set(rows.measurement) - set(used.measurement))
    plan.ignored += [(f"measurement {name}", "no phenotype is known by this name") for name in unused]
    words = used[(used.result != "") & used.result.map(number).isna()]
    plan.ignored += [(f"{n} results of {name}", "no number") for name, n in words.measurement.value_counts().items()]
    dates = dates_told(plan, table, "measurement_datetime", told)
    for measurement_id, group in used.groupby("measurement_id", sort=False):
        found = {cells.measurement: cells.result for cells in group.itertuples() if cells.result}
        subject, row = group.subject_id.iloc[0], group.index[0]
        study_id = study_of.get(measurement_id, f"M{measurement_id}")
        plan.patient(subject)
        known = plan.studies.get(study_id)
        date = known.study_date if known and known.study_date else dates.get(row)
        plan.study(PlannedStudy(study_id, subject, date, phenotypes=_phenotypes(found, plan)), file=table.file, row=row)
    if "tapse" in set(used.measurement):
        plan.note("TAPSE is in cm or mm in MIMIC-IV-ECHO; each value was read by its size.")


def _phenotypes(found: Mapping[str, str], plan: Plan) -> dict[str, float]:
    values = {"lvef": measured(plan, "lvef", lvef_of(found))}
    values |= {
        field: measured(plan, field, number(found[name]), by_size=mixed)
        for name, (field, mixed) in FIELDS.items()
        if name in found
    }
    return {name: value for name, value in values.items() if value is not None}


def lvef_of(found: Mapping[str, str]) -> float | None:
    """LVEF in percent of a study's measurements, by the rule of the data set."""
    values = {name: number(found[name]) for name in ("biplane_lvef", "lvef_3d", "lvef", "lvef_upper") if name in found}
    for name in ("biplane_lvef", "lvef_3d"):
        if values.get(name) is not None:
            return values[name]
    low, high = values.get("lvef"), values.get("lvef_upper")
    return (low + high) / 2 if low is not None and high is not None else low


def _plan_clips(table: Table, folder: Path, plan: Plan, told: Mapping[str, Column]) -> None:
    mapped(table, {"subject_id": "patient_id", "study_id": "study_id", "dicom_filepath": "clip_path"})
    dates = dates_told(plan, table, "acquisition_datetime", told)
    files = NamedFiles(folder)
    for row, cells in numbered_rows(table.rows):
        plan.patient(cells["subject_id"])
        if cells["study_id"] not in plan.studies:
            study = PlannedStudy(cells["study_id"], cells["subject_id"], dates.get(row))
            plan.study(study, file=table.file, row=row)
        path, reason = files.find(cells["dicom_filepath"])
        if path is None:
            plan.passed_over.append((cells["dicom_filepath"], reason))
        else:
            plan.clips.append(PlannedClip(cells["study_id"], path))
