"""Which layout a folder has, told by its content, and the plan of what it holds.

The data sets are tried in the order of `LAYOUTS`; each looks for the tables or folders that only it has. What is none
of them is read as a hospital's export, if there is anything to read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.ecg_tables import label_ecgs, names_ecgs
from echo2ecg_core.intake.field_names import FIELDS, IDS, plain_name
from echo2ecg_core.intake.folders import is_hidden, shown_path
from echo2ecg_core.intake.labels import read_labels
from echo2ecg_core.intake.layouts import (
    camus,
    chapman,
    code15,
    echonet,
    echonext,
    hospital,
    mimic_ecg,
    mimic_echo,
    ours,
    ptbxl,
    reference_files,
    reference_splits,
    tmed2,
)
from echo2ecg_core.intake.layouts.ours import ECG_FIELDS, map_of, phantom_cohort
from echo2ecg_core.intake.mapping import IGNORED, Column, columns_of, with_hours, with_title
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.intake.tables import read_tables
from echo2ecg_core.intake.views import add_views
from echo2ecg_core.phenotypes import PHENOTYPES

LAYOUTS: dict[str, ModuleType] = {
    "ours": ours,
    "ptbxl": ptbxl,
    "mimic_ecg": mimic_ecg,
    "mimic_echo": mimic_echo,
    "echonext": echonext,
    "echonet": echonet,
    "camus": camus,
    "tmed2": tmed2,
    "code15": code15,
    "chapman": chapman,
    "reference_files": reference_files,
    "reference_splits": reference_splits,
    "hospital": hospital,
}
COHORTS = {name: layout.NAME for name, layout in LAYOUTS.items() if layout not in (ours, hospital)}
FEW_FOLDERS = 16  # of data sets; an export with a folder a patient has more
COHORTS |= dict.fromkeys(("mimic_ecg", "mimic_echo"), "MIMIC-IV")  # they share their subjects


def find(folder: Path) -> tuple[Path, str]:
    """Where the data set lies, in the folder or in one below it (archives are packed with one more around), and the
    name of its layout.

    Raises:
        StoreError: there is nothing in it that is known.
    """
    for place in _places(folder):
        if name := _layout_of(place):
            return place, name
    if hospital.recognises(folder):
        return folder, "hospital"
    known = ", ".join(layout.NAME for layout in LAYOUTS.values())
    raise StoreError(f"This folder holds nothing that is known: {known}.", "Give the folder that holds the data.")


def _shown(folder: Path) -> list[Path]:
    """What lies in a folder for a person: neither hidden nor a shadow that macOS packs into its zips."""
    try:
        return sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    except OSError:  # whoever reads the files says so
        return []


def _places(folder: Path) -> Iterator[Path]:
    """The folder and those in it, and of few what lies in each as long as that is a single folder: what wget leaves of
    PhysioNet is physionet.org/files/mimic-iv-ecg/1.0 with a robots.txt."""
    yield folder
    inside = [path for path in _shown(folder) if path.is_dir()]
    for path in inside:
        if len(inside) <= FEW_FOLDERS:
            yield from _places(path) if len(inside) == 1 else _chain(path)
        else:
            yield path


def _chain(folder: Path) -> Iterator[Path]:
    """The folder, and what lies in it as long as that is a single folder."""
    yield folder
    inside = [path for path in _shown(folder) if path.is_dir()]
    if len(inside) == 1:
        yield from _chain(inside[0])


def _beside(given: Path, place: Path) -> list[tuple[str, str]]:
    """What lies in the folder that was given and outside of the data set in it that is read, with the reason."""
    rows = []
    for parent in place.parents[: len(place.relative_to(given).parts)]:
        for path in (p for p in _shown(parent) if not place.is_relative_to(p)):
            names = (_layout_of(p) for p in _chain(path)) if path.is_dir() else ()
            other = next((name for name in names if name), "")
            what = f"another data set, {LAYOUTS[other].NAME}" if other else "it lies beside the data set that is read"
            reason = f"{what}: import it by its own path, under one cohort name if patients are shared"
            rows.append((shown_path(path, given), reason))
    return rows


def _layout_of(place: Path) -> str:
    """The layout of the data set that lies in a folder itself, "" where none does."""
    return next((name for name, a in LAYOUTS.items() if a is not hospital and a.recognises(place)), "")


def plan_of(folder: Path, layout: str = "auto", labels: Path | None = None, told: Mapping[str, Column] = {}) -> Plan:
    """What an import of the folder would bring in.

    Args:
        folder: The data set.
        layout: A key of `LAYOUTS`, or "auto".
        labels: A table of labels beside it.
        told: Columns that a person has mapped, by name.

    Raises:
        StoreError: there is no such folder or layout, the folder has another layout than the one that is told, or a
            table cannot be read or lacks a column.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise StoreError(f"There is no folder {folder.name!r} on this server.", "Give the full path of a folder.")
    given = folder
    folder, name = find(folder) if layout == "auto" else (folder, layout)
    if name not in LAYOUTS:
        raise StoreError(f"There is no layout {name!r}; known: auto, {', '.join(LAYOUTS)}.", "Choose one of these.")
    if LAYOUTS[name] not in (ours, hospital) and not LAYOUTS[name].recognises(folder):
        raise StoreError(
            f"The folder {folder.name!r} lacks the tables or folders that {LAYOUTS[name].NAME} has.",
            "Choose the layout auto, or give the folder in which they lie.",
        )
    plan = LAYOUTS[name].plan(folder, told)
    plan.cohort = COHORTS.get(name, phantom_cohort(folder) or plan.cohort)
    plan.ignored += _beside(given, folder)
    if labels is not None:
        _add_labels(plan, labels, told)
        hospital.forget_what_came_in(plan)
        hospital.tell_undated(plan)
    plan.settle_films()
    add_views(plan, told, labels)
    if labels is not None or LAYOUTS[name] in (ours, hospital):  # ids by people and systems, not of one data set
        _tell_unused(plan, told)
        plan.note(*hospital.joins(plan))
    return plan


def _tell_unused(plan: Plan, told: Mapping[str, Column]) -> None:
    """A note on columns of a mapping that no table has: a name that is not quite right would lose them unseen."""
    held = {plain_name(name) for means in plan.maps.values() for name in columns_of(means)}
    wanted = [name for name, means in told.items() if means.field not in (IGNORED, "view", "clip_path", "path")]
    if unused := [name for name in wanted if plain_name(name) not in held]:
        plan.note(f"Columns of the mapping that no table has: {', '.join(unused)}.")


def _add_labels(plan: Plan, path: Path, told: Mapping[str, Column]) -> None:
    """The labels of a table beside the data: by ECG where it names ECGs, otherwise by study or patient and day."""
    tables = [with_hours(table) for table in read_tables(path)]
    for table in (with_title(t, map_of(t, told, FIELDS, plan)) for t in tables):
        means = map_of(table, told, FIELDS, plan)
        fields = means.fields()
        if "view" in fields and fields & {"clip_path", "path"} and not fields & set(PHENOTYPES):
            continue  # views of clips, which are added last
        if plan.layout == hospital.NAME and fields & {"path", "clip_path"} and fields & set(IDS):
            hospital.add_table(plan, table, table.file, plan.root, told)
            continue
        if not fields & {"patient_id", "study_id", "ecg_id"}:
            if len(tables) > 1:
                plan.ignored.append((table.file, hospital.NO_LABELS))
                continue
            raise StoreError(
                f"{table.file} names neither patients, studies nor ECGs; found {', '.join(table.columns)}.",
                "Say with a mapping which column holds their ids.",
            )
        study_id, mine = means.column_of("study_id"), told
        if study_id and not plan.studies and names_ecgs(table.rows[study_id].unique(), plan):  # so MIMIC calls its ECGs
            mine = {**told, study_id: Column("ecg_id")}
            means = map_of(table, mine, FIELDS, plan)
            fields = means.fields()
        if ("ecg_id" in fields and not fields & {"study_id", "patient_id"}) or hospital.is_of_ecgs(table, means, plan):
            label_ecgs(read_labels(table, map_of(table, mine, ECG_FIELDS, plan), plan), plan)
        else:
            hospital.add_labels(plan, table, told)
