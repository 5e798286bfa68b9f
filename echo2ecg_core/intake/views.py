"""Views that a table gives: ECHOVIEW beside MIMIC-IV-ECHO, or any table with a column of clip files and one of views.

A label is read by its words, as cardiologists write them (PLAX, apical 4-chamber, PSAX mid), into the eleven views of
echo.clip.VIEWS; one that is none of them (a 3-D volume, a still of a trace) is named and left out. A clip goes by its
path, or by the name of its file where only one has it.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.field_names import plain_name
from echo2ecg_core.intake.folders import shown_path
from echo2ecg_core.intake.mapping import Column, apply, guess, told_for
from echo2ecg_core.intake.plan import Plan, PlannedClip
from echo2ecg_core.intake.tables import TABLE_SUFFIXES, Table, read_header_row, read_table

FIELDS = ("clip_path", "path", "view")
_WORDS = (  # the first that fits; of names without case, blanks and punctuation
    (r"suprasternal|^ssn", "SSN"),
    (r"subcostal|subxiphoid|^sc|^subc", "Subcostal"),
    (r"^(a|ap|apical)5|fivechamber|5c", "A5C"),
    (r"^(a|ap|apical)4|fourchamber|4c", "A4C"),
    (r"^(a|ap|apical)3|threechamber|3c|^aplax|^alax|apicallong", "A3C"),
    (r"^(a|ap|apical)2|twochamber|2c", "A2C"),
    (r"^plax|parasternallong|longaxis", "Parasternal_Long"),
    (r"^psax|^sax|parasternalshort|shortaxis", "Parasternal_Short"),
)
_DOPPLER = re.compile(r"doppler|colou?r|cfi|cwd?$|pwd?$")
_OF_DOPPLER = {"Parasternal_Long": "Doppler_Parasternal_Long", "Parasternal_Short": "Doppler_Parasternal_Short"}


def view_named(label: str) -> str | None:
    """The key of VIEWS that a label means, None where it means none of them."""
    plain = plain_name(label)
    exact = next((view for view, words in VIEWS.items() if plain in (plain_name(view), plain_name(words))), None)
    if exact:
        return exact
    view = next((view for pattern, view in _WORDS if re.search(pattern, plain)), None)
    if view is not None and _DOPPLER.search(plain):
        return _OF_DOPPLER.get(view, "Apical_Doppler" if view.startswith("A") else None)
    return view


def add_views(plan: Plan, told: Mapping[str, Column], beside: Path | None = None) -> None:
    """Give the clips of a plan the views of the tables in its folder and in the folders of it, and of a table beside.

    Args:
        told: Columns that a person has mapped, by name.
    """
    if not plan.clips:
        return
    for path in [*_tables(plan.root), *([beside] if beside else [])]:
        if _has_views(path, told):
            table = read_table(path)
            plan.ignored = [row for row in plan.ignored if row[0] != shown_path(path, plan.root)]
            _give(plan, table, path.parent, told)


def _tables(folder: Path) -> Iterator[Path]:
    for pattern in ("*", "*/*"):
        for path in sorted(folder.glob(pattern)):
            suffixes = {suffix.lower() for suffix in path.suffixes[-2:]}
            if suffixes & TABLE_SUFFIXES and not path.name.startswith(".") and path.is_file():
                yield path


def _has_views(path: Path, told: Mapping[str, Column]) -> bool:
    """Whether a table has a column of files and one of views."""
    try:
        return _columns(read_header_row(path), told) is not None
    except StoreError:
        return False


def _columns(table: Table, told: Mapping[str, Column]) -> tuple[str, str] | None:
    """The columns of files and of views."""
    mine = {name: means for name, means in told_for(table, told).items() if means.field in FIELDS}
    means = apply(table, mine) if {m.field for m in mine.values()} >= {"view"} else guess(table, FIELDS)
    file, view = means.column_of("clip_path") or means.column_of("path"), means.column_of("view")
    return (file, view) if file and view else None


def _give(plan: Plan, table: Table, folder: Path, told: Mapping[str, Column]) -> None:
    columns = _columns(table, told)
    assert columns is not None, "the table was looked at"
    file, view = columns
    by_path, by_name = _by_path(plan), _by_name(plan)
    given, absent, unknown = 0, 0, Counter[str]()
    for text, label in zip(table.rows[file], table.rows[view], strict=True):
        found = view_named(label)
        if found is None:
            unknown[label] += bool(label)
            continue
        place = PurePosixPath(text.replace("\\", "/"))
        paths = (_composed(folder / place), _composed(plan.root / place))
        clips = by_path.get(paths[0]) or by_path.get(paths[1]) or by_name.get(_composed(place.stem), [])
        if len(clips) == 1:
            clips[0].view = found
        given, absent = given + (len(clips) == 1), absent + (len(clips) != 1)
    plan.tables.add(table.file)
    plan.note(f"{given} views of clips are given by {table.file}.", *table.notes)
    if absent:
        plan.note(f"{table.file} names {absent} views of clips that are not here.")
    plan.ignored += [
        (f"view {label} of {table.file} ({n} rows)", "no view is known by this name") for label, n in unknown.items()
    ]


def _by_path(plan: Plan) -> dict[str, list[PlannedClip]]:
    return {_composed(path): [clip] for clip in plan.clips for path in (clip.path, clip.path.with_suffix(""))}


def _by_name(plan: Plan) -> dict[str, list[PlannedClip]]:
    found: dict[str, list[PlannedClip]] = {}
    for clip in plan.clips:
        found.setdefault(_composed(clip.path.stem), []).append(clip)
    return found


def _composed(path: object) -> str:
    """A path or name in the one form (NFC) that cells of tables have."""
    return unicodedata.normalize("NFC", str(path))
