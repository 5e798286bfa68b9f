"""Ids that two systems write in two ways: 00123 and 123, P1 and p1, 7 and 7.0 of a spreadsheet.

They are taken for the same where only one can be meant on either side, and that is told: of a person who stands twice
no ECG is paired. In the tables of our own layout that holds for numbers alone, which spreadsheets change by themselves.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from echo2ecg_core.intake.field_names import plain_id
from echo2ecg_core.intake.labels import Labels
from echo2ecg_core.intake.plan import Plan


def with_known_ids(
    labels: Labels, field: str, known: Mapping[str, object], plan: Plan, *, numbers_only: bool = False
) -> Labels:
    """A table with the ids of a field as the plan has them already."""
    if field not in labels.rows:
        return labels
    same = _as_known(set(labels.rows[field].dropna()), known)
    if numbers_only:
        same = {id: other for id, other in same.items() if re.fullmatch(r"\d+(\.0)?", id)}
    if not same:
        return labels
    plan.note(
        f"{len(same)} ids of {labels.file} ({field}) differ from those of the files in case, leading zeros or a "
        "spreadsheet's .0 alone; they were taken for the same."
    )
    return replace(labels, rows=labels.rows.assign(**{field: labels.rows[field].map(lambda i: same.get(i, i))}))


def _as_known(ids: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Ids -> the one known id that means the same; none where two could be meant, on either side."""
    there, given = by_plain_id(known), by_plain_id(ids)
    return {
        mine[0]: there[plain][0]
        for plain, mine in given.items()
        if len(mine) == len(there.get(plain, ())) == 1 and mine != there[plain]
    }


def by_plain_id(ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by what `plain_id` leaves of them."""
    found: dict[str, list[str]] = {}
    for id in ids:
        found.setdefault(plain_id(id), []).append(id)
    return found
