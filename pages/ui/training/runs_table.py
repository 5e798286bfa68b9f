"""The table of runs and what can be done with the chosen ones: compare, clone, resume, promote, take away as files."""

import io
import json
import zipfile

import pandas as pd
import streamlit as st

from echo2ecg_core.figures.notation import DASH, date, duration, number
from echo2ecg_core.figures.tables import csv_of
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.training import runs
from pages.ui import admin_gate, resources
from pages.ui.errors import errors_in_words
from pages.ui.models import actions as model_actions
from pages.ui.training import form as training_form
from pages.ui.training.compare import compare
from pages.ui.training.panels import STATES, resume

_TABLE, _ROUND, _CLONED = "runs_table", "runs_round", "run_to_clone"


def table(workspace: Workspace) -> None:
    """All runs, newest first, several may be chosen."""
    card = resources.active_model()
    listed = runs.list_runs(workspace, card.model_id if card else None)
    if listed.empty:
        return
    place = st.container(key="runs_head", horizontal=True, vertical_alignment="center", gap="small")
    event = st.dataframe(
        _shown(listed),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"{_TABLE}_{st.session_state.get(_ROUND, 0)}",
        row_height=29,
        height="content" if len(listed) < 10 else 320,
        alt="Training runs",
        column_config=_columns(),
    )
    chosen = listed.iloc[[i for i in event.selection.rows if i < len(listed)]]
    with place:
        _actions(workspace, listed, chosen)


def watched(workspace: Workspace) -> str | None:
    """Which run the panel shows: the only chosen one, else the one that runs, else the newest."""
    found = runs.runs(workspace)
    chosen = (
        st.session_state.get(f"{_TABLE}_{st.session_state.get(_ROUND, 0)}", {}).get("selection", {}).get("rows", [])
    )
    if len(chosen) == 1 and chosen[0] < len(found):
        return found[chosen[0]].name
    running = next((run.name for run in found if run.state in ("running", "stopping")), None)
    return running or (found[0].name if found else None)


def clone_if_asked(workspace: Workspace) -> None:
    """Fill the form from the run that Clone was clicked for, before the form is drawn."""
    name = st.session_state.pop(_CLONED, None)
    if name:
        with errors_in_words():
            training_form.clone(runs.run(workspace, name))


def _shown(listed: pd.DataFrame) -> pd.DataFrame:
    state = [STATES[row.state][0] + (", active" if row.active else "") for row in listed.itertuples()]
    epoch = [f"{row.epoch} / {row.epochs:.0f}" if pd.notna(row.epochs) else DASH for row in listed.itertuples()]
    auroc = [
        f"{number(row.auroc, 2)} ({number(row.auroc_low, 2)}{DASH}{number(row.auroc_high, 2)})"
        if pd.notna(row.auroc)
        else "not yet"
        if row.state == "done"
        else DASH
        for row in listed.itertuples()
    ]
    return pd.DataFrame(
        {
            "Run": listed.run,
            "State": state,
            "Setting": listed.setting,
            "Epoch": epoch,
            "Recall at 10": listed.recall_at_10.map(lambda v: number(v, 2)),
            "AUROC LVEF ≤40": auroc,
            "Time": [duration(s) if s else DASH for s in listed.time_s],
            "Started": [
                f"{date(t.to_pydatetime() if hasattr(t, 'to_pydatetime') else t)} UTC" if pd.notna(t) else DASH
                for t in listed.started_at
            ],
            "Note": listed.note.str.replace(r"\s+", " ", regex=True),
        }
    )


def _columns() -> dict:
    right = {
        name: st.column_config.TextColumn(alignment="right", width=width)
        for name, width in (
            ("Epoch", 80),
            ("Recall at 10", 90),
            ("AUROC LVEF ≤40", 140),
            ("Time", 90),
            ("Started", 150),
        )
    }
    return right | {
        "Run": st.column_config.TextColumn(width=85),
        "State": st.column_config.TextColumn(width=100),
        "Setting": st.column_config.TextColumn(width=230),
        "Note": st.column_config.TextColumn(width=190),
    }


def _actions(workspace: Workspace, listed: pd.DataFrame, chosen: pd.DataFrame) -> None:
    st.html("<h2 class='e2e-run'>Runs</h2>", width="content")
    st.html(f"<div class='e2e-facts'>{len(chosen) or 'none'} chosen</div>", width="content")
    st.space("stretch")
    one = chosen.iloc[0] if len(chosen) == 1 else None
    if st.button(
        "Compare",
        icon=":material/compare:",
        disabled=len(chosen) < 2,
        help="Curves, settings that differ, results",
    ):
        compare(workspace, list(chosen.run))
    to_clone = st.button(
        "Clone", icon=":material/content_copy:", disabled=one is None, help="Put the settings of this run into the form"
    )
    if to_clone and one is not None:
        st.session_state[_CLONED] = one.run
        st.rerun()
    _note(workspace, None if one is None else one.run)
    resumable = one is not None and one.state in ("failed", "cancelled")
    to_resume = st.button(
        "Resume",
        key="resume_chosen",
        icon=":material/resume:",
        disabled=not resumable,
        help="Go on from the last checkpoint",
    )
    if to_resume and one is not None:
        with errors_in_words():
            resume(workspace, one.run)
            st.rerun()
    promotable = one is not None and one.model_id is not None and not one.active
    to_promote = st.button(
        "Promote", icon=":material/publish:", disabled=not promotable, help="Make the model of this run the active one"
    )
    if to_promote and one is not None:
        model_actions.promote(workspace, one.model_id)


def _note(workspace: Workspace, name: str | None) -> None:
    """A field for what is to be remembered of a run."""
    with st.popover("Note", icon=":material/edit_note:", disabled=name is None, help="What to remember of this run"):
        if name is None:
            return
        with errors_in_words():
            found = runs.run(workspace, name)
            text = st.text_area("Note", runs.note(found), max_chars=runs.LONGEST_NOTE, key=f"note_{name}")
            if st.button("Keep", key=f"keep_note_{name}"):
                _keep_note(found, text)


@admin_gate.for_admins
def _keep_note(found: runs.Run, text: str) -> None:
    runs.write_note(found, text)
    st.rerun()


def export(workspace: Workspace, name: str) -> None:
    """Settings, metrics and log of the shown run as a zip."""
    st.download_button(
        "Export",
        lambda: _archive(workspace, name),
        f"{name}.zip",
        "application/zip",
        icon=":material/download:",
        on_click="ignore",
        help="Settings, metrics as CSV and log of the shown run",
    )


def _archive(workspace: Workspace, name: str) -> bytes:
    run, buffer = runs.run(workspace, name), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(f"{name}/settings.json", json.dumps(run.settings, indent=1))
        zipped.writestr(f"{name}/metrics.csv", csv_of(runs.read_metrics(run)))
        zipped.writestr(f"{name}/note.txt", runs.note(run))
        zipped.writestr(f"{name}/log.txt", runs.log_tail(workspace, run, 100_000))
    return buffer.getvalue()
