"""The files that the published Echo2ECG code prepares: a table of pairs, ECGs as `.pt`, a table of phenotypes by video.

The table of pairs has a row an ECG and echo video (ecg_study_id, echo_study_id, ecg_filepath, echo_filepath,
echo_filename); `metadata.csv` has filename, lvedv, lvesv, lvsv, lvef. It names no patients: whatever is paired,
directly or through others, is of one patient here, so that no split can part it. A study whose videos differ takes
their mean. An ECG carries the labels of the first study that it is paired with, since there are no times. Stored clip
vectors are not taken over: vectors are made from clips.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.ecg_tables import find_file
from echo2ecg_core.intake.layouts.shared_steps import SPLITS, ignore_others, mapped, measured, number
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.tables import Table, read_table

NAME = "Echo2ECG's own files"
METADATA = "metadata.csv"
PAIRED = ("ecg_study_id", "echo_study_id", "ecg_filepath", "echo_filename")
VALUES = ("lvedv", "lvesv", "lvsv", "lvef")


def recognises(folder: Path) -> bool:
    """Whether a table of pairs is there."""
    return _pairs_file(folder) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs and studies by the table of pairs."""
    planned, path = Plan(NAME, folder), _pairs_file(folder)
    assert path is not None, "the folder was recognised"
    table = read_table(path)
    mapped(table, dict.fromkeys(PAIRED, "path"))
    patient_of, values = _patients(table), _values(folder, planned)
    found: dict[str, dict[str, set[float]]] = {}
    seen: dict[Path, dict[str, Path]] = {}
    done: set[str] = set()
    for row, cells in table.rows.to_dict("index").items():
        ecg_id, study_id = cells["ecg_study_id"], cells["echo_study_id"]
        patient_id = patient_of[study_id]
        planned.patient(patient_id, None, SPLITS.get(cells.get("split", "").lower()), file=table.file, row=row)
        planned.study(PlannedStudy(study_id, patient_id), file=table.file, row=row)
        for name, value in values.get(cells["echo_filename"], {}).items():
            found.setdefault(study_id, {}).setdefault(name, set()).add(value)
        for kind, text in (("ecg", cells["ecg_filepath"]), ("clip", cells.get("echo_filepath", ""))):
            if not text or text in done:
                continue
            done.add(text)
            place, reason = find_file(folder, text, seen)
            if place is None:
                planned.passed_over.append((text, reason))
            elif kind == "clip":
                planned.clips.append(PlannedClip(study_id, place))
            else:
                rate = number(cells.get("sampling_rate_hz", ""))
                ecg = PlannedEcg(ecg_id, patient_id, place, sampling_rate_hz=rate, own_study_id=study_id)
                planned.ecg(ecg, file=table.file, row=row)
    for study_id, by_name in found.items():
        planned.studies[study_id].phenotypes = {name: sum(v) / len(v) for name, v in by_name.items()}
        if any(len(v) > 1 for v in by_name.values()):
            planned.note("Videos of one study have different values in metadata.csv: their mean was taken.")
    planned.note("The table of pairs names no patients: what is paired counts as one patient.")
    ignore_others(planned, folder, {path.name, METADATA})
    return planned


def _pairs_file(folder: Path) -> Path | None:
    for path in sorted(p for p in folder.glob("*.csv") if p.is_file()):
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline()
        if all(name in header for name in PAIRED):
            return path
    return None


def _values(folder: Path, plan: Plan) -> dict[str, dict[str, float]]:
    """Phenotypes by name of the video."""
    if not (folder / METADATA).is_file():
        return {}
    table = read_table(folder / METADATA)
    mapped(table, {"filename": "clip_path"})
    rows = table.rows.to_dict("records")
    named = [name for name in VALUES if name in table.columns]
    read = {row["filename"]: {n: measured(plan, n, number(row[n])) for n in named} for row in rows}
    return {file: {n: v for n, v in values.items() if v is not None} for file, values in read.items()}


def _patients(table: Table) -> dict[str, str]:
    """The patient of every study: the first study that it hangs together with through ECGs."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node] = parent[parent[node]]
        return node

    for ecg_id, study_id in zip(table.rows.ecg_study_id, table.rows.echo_study_id, strict=True):
        first, second = root(f"study {study_id}"), root(f"ecg {ecg_id}")
        parent[second] = first
    return {study_id: root(f"study {study_id}") for study_id in table.rows.echo_study_id}
