"""Views of the map that were kept under a name, for everybody of the workspace: what its controls were set to.

What was zoomed to belongs to the drawing of one model, whose id is kept beside it. Views leave the catalogue's version
alone: nothing is computed from them.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store import audit
from echo2ecg_core.store.database import Workspace

LONGEST_NAME = 60


@dataclass(frozen=True)
class MapView:
    """What a map shows.

    Attributes:
        layout, colour: As answers.maps.LAYOUTS and figures.map.map_figure name them.
        cohort: Shown alone, "" for all.
        clusters: Whether words stand over clusters.
        sought: What is looked for, "" for nothing.
        seen: What part is seen: left, right, bottom, top, or the nine numbers of a camera; () for all.
        model_id: Whose map it is.
    """

    layout: str
    colour: str
    cohort: str
    clusters: bool
    sought: str
    seen: tuple[float, ...]
    model_id: str


def keep(workspace: Workspace, name: str, view: MapView, *, who: str) -> str:
    """Keep a view; returns the name as it is kept, without blanks that nobody sees.

    Args:
        who: Name of the login.

    Raises:
        StoreError: the name is empty, too long or taken.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise StoreError(f"A view's name has 1 to {LONGEST_NAME} letters; this has {len(name)}.", "Change it.")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    row = (name, view.layout, view.colour, view.cohort, int(view.clusters), view.sought, json.dumps(view.seen))
    with workspace.write(counts=False) as db:
        if db.execute("SELECT 1 FROM map_views WHERE name = ?", (name,)).fetchone():
            raise StoreError(f"There is a view called {name!r} already.", "Choose another name.")
        audit.record(workspace, "keep a view", name=name)
        db.execute("INSERT INTO map_views VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, view.model_id, who, now))
    return name


def kept(workspace: Workspace) -> dict[str, MapView]:
    """The kept views by name, in the order of the alphabet."""
    if not workspace.exists():
        return {}
    with workspace.connect() as db:
        rows = db.execute("SELECT * FROM map_views ORDER BY name COLLATE NOCASE, name").fetchall()
    return {
        row["name"]: MapView(
            row["layout"], row["colour"], row["cohort"], bool(row["clusters"]), row["sought"],
            tuple(json.loads(row["seen"])), row["model_id"],
        )
        for row in rows
    }  # fmt: skip


def forget(workspace: Workspace, name: str) -> None:
    """Forget a kept view.

    Raises:
        StoreError: none is kept under this name.
    """
    with workspace.write(counts=False) as db:
        if not db.execute("DELETE FROM map_views WHERE name = ?", (name,)).rowcount:
            raise StoreError(f"No view is kept as {name!r}.", "The menu of views on the map lists them.")
        audit.record(workspace, "forget a view", name=name)
