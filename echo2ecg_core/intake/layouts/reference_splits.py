"""The files that the published Echo2ECG code reads for a task: `data_SPLIT` and `labels_SPLIT.pt` of train, val, test.

`data_SPLIT.pt` is a list of ("ecg", tensor (leads, samples)), `data_SPLIT.csv` a table of such files (`filename`), and
`labels_SPLIT.pt` a one-hot tensor (ECGs, classes). No file names a patient, a class or a rate. So each ECG counts as a
patient of its own in the split of its file; the classes are labels only where a mapping says what they grade
(`labels: mr_grade`); the rate is the default of the code that writes them. Files are loaded with weights_only=True.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from echo2ecg_core.errors import ReadError, StoreError
from echo2ecg_core.intake.array_rows import ASSUMED_PT_HZ, load_tensors, pt_row
from echo2ecg_core.intake.column_names import SPLITS
from echo2ecg_core.intake.layouts.shared_steps import ignore_others, mapped
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.tables import read_table
from echo2ecg_core.intake.written_paths import find_written
from echo2ecg_core.phenotypes import PHENOTYPES

NAME = "Echo2ECG's files of a task"
NAMES = ("train", "val", "test")
LABELS = "labels"  # what a mapping calls the classes
UNNAMED = "its classes have no names; a mapping can say which grade they are (labels: mr_grade)"


def recognises(folder: Path) -> bool:
    """Whether ECGs of a split lie there with their labels."""
    return any(_data_file(folder, name) and (folder / f"labels_{name}.pt").is_file() for name in NAMES)


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs by split, in the order of their files.

    Raises:
        StoreError: a file is damaged, or holds other things than tensors.
    """
    planned, grade, used = Plan(NAME, folder), _grade(told), set[str]()
    for name in NAMES:
        path = _data_file(folder, name)
        if path is None:
            continue
        ecgs = _in_list(path, name, planned) if path.suffix == ".pt" else _in_table(path, name, planned, folder)
        labels = folder / f"labels_{name}.pt"
        if labels.is_file():
            _add_labels(ecgs, labels, grade, planned)
        used |= {path.name, labels.name}
    planned.note(
        "These files name no patients: each ECG counts as one of its own, in the split of its file.",
        f"They tell no sampling rate: {ASSUMED_PT_HZ:g} Hz, the default of the code that writes them, was taken.",
    )
    ignore_others(planned, folder, used)
    return planned


def _data_file(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / f"data_{name}.pt", folder / f"data_{name}.csv") if p.is_file()), None)


def _grade(told: Mapping[str, Column]) -> str | None:
    """The phenotype whose grades the classes are, where a person said so.

    Raises:
        StoreError: it is none that has grades.
    """
    if LABELS not in told:
        return None
    field = told[LABELS].field
    if field not in PHENOTYPES or PHENOTYPES[field].kind != "grade":
        grades = ", ".join(name for name, phenotype in PHENOTYPES.items() if phenotype.kind == "grade")
        raise StoreError(f"The classes of a task cannot be {field}: that has no grades.", f"Choose from {grades}.")
    return field


def _in_list(path: Path, name: str, plan: Plan) -> list[PlannedEcg | None]:
    found: list[PlannedEcg | None] = []
    for row in range(len(_loaded(path))):
        ecg_id = f"{name}-{row:06d}"
        found.append(_planned(PlannedEcg(ecg_id, ecg_id, path, read=partial(pt_row, path, row)), name, plan))
    return found


def _in_table(path: Path, name: str, plan: Plan, folder: Path) -> list[PlannedEcg | None]:
    table = read_table(path, least_columns=1)
    mapped(table, {"filename": "path"})
    found: list[PlannedEcg | None] = []
    seen: dict[Path, dict[str, Path]] = {}
    for text in table.rows.filename:
        place, reason = find_written(folder, text, seen)
        if place is None:
            plan.passed_over.append((text, reason))
            found.append(None)
        else:
            ecg = PlannedEcg(place.stem, place.stem, place, sampling_rate_hz=ASSUMED_PT_HZ)
            found.append(_planned(ecg, name, plan))
    return found


def _planned(ecg: PlannedEcg, name: str, plan: Plan) -> PlannedEcg:
    plan.patient(ecg.patient_id, None, SPLITS[name])
    plan.ecg(ecg)
    return ecg


def _add_labels(ecgs: list[PlannedEcg | None], path: Path, grade: str | None, plan: Plan) -> None:
    """The class of every ECG as a grade, in a study of the ECG's own."""
    classes = _loaded(path)
    shape = tuple(getattr(classes, "shape", ()))
    if len(shape) != 2 or shape[0] != len(ecgs):
        plan.problems.add(f"{path.name} holds {shape}; expected one row for each of {len(ecgs)} ECGs.", path.name)
        return
    if grade is None:
        plan.ignored.append((path.name, UNNAMED))
        return
    if bool(((classes != 0) & (classes != 1)).any()) or bool((classes.sum(1) != 1).any()):
        plan.problems.add(f"{path.name} is not one-hot: every row has to hold a single 1.", path.name)
        return
    if shape[1] - 1 > PHENOTYPES[grade].highest:
        plan.problems.add(f"{path.name} has {shape[1]} classes, {PHENOTYPES[grade].short} has fewer grades.", path.name)
        return
    for ecg, number in zip(ecgs, classes.argmax(1).tolist(), strict=True):
        if ecg is not None:
            ecg.own_study_id = ecg.ecg_id
            plan.study(PlannedStudy(ecg.ecg_id, ecg.patient_id, phenotypes={grade: float(number)}))


def _loaded(path: Path):
    try:
        return load_tensors(path)
    except ReadError as error:
        raise StoreError(f"{path.name}: {error.message}", error.hint) from error
