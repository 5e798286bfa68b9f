"""What the Report page looks up once a version of a report: the report, whether it still holds, differences, its folder
as a zip."""

import streamlit as st

from echo2ecg_core.reports.document import Report
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.reader_marks import marks_state
from pages.ui import resources


@st.cache_resource(max_entries=8, show_spinner=False)
def _report(folder: str, model_id: str, split: str, state: tuple):
    from echo2ecg_core.reports.folder import load_report

    return load_report(Workspace(folder), model_id, split)


def report(model_id: str, split: str) -> Report:
    """The evaluation report of a model on a split, read once per version of its file.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    state = report_state(model_id, split), marks_state(resources.workspace(), model_id)
    return _report(str(resources.workspace().folder), model_id, split, state)


@st.cache_data(max_entries=16, show_spinner=False)
def _outdated(folder: str, state: tuple, catalogue: tuple, _report) -> str:
    from echo2ecg_core.reports.folder import outdated

    return outdated(_report, Workspace(folder))


def outdated(report) -> str:
    """Why a report may no longer hold, in one sentence, "" while it does; asked once per state of the catalogue."""
    place, model_id = resources.workspace(), report.model["id"]
    model = place.models / model_id
    catalogue = place.version(), model.stat().st_mtime_ns if model.exists() else None
    return _outdated(str(place.folder), report_state(model_id, report.split), catalogue, report)


def direct_difference(split: str, task: str, row: tuple[str, str], other: tuple[str, str]):
    """One row of a report minus another on the same ECGs (metric, value with its interval), or None; once per version
    of both reports."""
    return _direct_difference(
        str(resources.workspace().folder),
        split,
        task,
        row,
        other,
        report_state(row[0], split),
        report_state(other[0], split),
    )


@st.cache_data(show_spinner=False, max_entries=4096)
def _direct_difference(
    folder: str, split: str, task: str, row: tuple[str, str], other: tuple[str, str], *states: tuple
):
    from echo2ecg_core.reports.folder import direct_difference as measure

    return measure(Workspace(folder), split, task, row, other)


def report_state(model_id: str, split: str) -> tuple:
    """Changes whenever the report of a model on a split does: its file, the comparison with ready models beside it, or
    what the manifest tells of the readout of the ECG page; they are only ever replaced."""
    from echo2ecg_core.store.paths import changed_at, ready_path, report_path

    place = resources.workspace()
    manifest = place.models / model_id / "manifest.json"
    paths = report_path(place, model_id, split), ready_path(place, model_id), manifest
    return model_id, split, *map(changed_at, paths)


@st.cache_data(max_entries=2, show_spinner=False)
def _report_zip(key: tuple, kinds: tuple[str, ...], column: str, dpi: int, _report) -> bytes:
    from echo2ecg_core.reports.folder import Print
    from echo2ecg_core.reports.folder import report_zip as make

    return make(_report, kinds, Print(column, dpi))


def report_zip(state: tuple, kinds: tuple[str, ...], column: str, dpi: int, report) -> bytes:
    """The folder of a report as a zip, made once per state of its reports, what readers said and choice of figures."""
    return _report_zip((*state, marks_state(resources.workspace(), report.model["id"])), kinds, column, dpi, report)
