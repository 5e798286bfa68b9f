"""Several recordings of one upload as a worklist: an estimate a row, sorted, taken along as a file, opened by a click.

A row costs its prediction once (resources.batch_row); a recording that cannot be read or used is a row with its reason.
The order is chosen beside the table and not by its headings alone, so that Previous and Next follow it.
"""

import io
import time
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures.notation import MISSING, interval
from echo2ecg_core.figures.tables import csv_file, csv_of, without_formulas
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import resources, session
from pages.ui.session import ReadFile

ROW_HEIGHT, MOST_ROWS = 29, 8
PATIENCE_S = 0.3  # progress is told from here on: rows that are known are there at once
WORST_FIRST = ("unusable", "limited", "good")
ORDERS: dict[str, Callable[[dict], tuple]] = {
    "As uploaded": lambda row: (),
    "Lowest LVEF": lambda row: (row["lvef"] is None, row["lvef"]),
    "Worst quality": lambda row: (WORST_FIRST.index(row["quality"]) if row["quality"] else -1,),
    "Name": lambda row: (row["source"].lower(),),
}
WIDTHS = {"Open": 46, "Recording": 220, "LVEF %": 64, "Interval %": 84, "Quality": 76, "Training data": 96}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def step_buttons(current: EcgRecord) -> None:
    """Previous and next recording of the upload, in the order of the table."""
    files, order = session.files_read(), _order()
    here = next((place for place, i in enumerate(order) if files[i].record is current), None)
    if here is None or len(order) < 2:
        return
    with st.container(key="batch_steps", horizontal=True, gap="xsmall", vertical_alignment="center", width="content"):
        for label, icon, by in (("Previous", "chevron_left", -1), ("Next", "chevron_right", 1)):
            to = here + by
            is_end = not 0 <= to < len(order)
            st.button(
                label,
                icon=f":material/{icon}:",
                key=f"batch_{label.lower()}",
                disabled=is_end,
                on_click=session.open_ecg,
                args=() if is_end else (files[order[to]].record,),
            )
        st.html(f'<span class="e2e-muted">{here + 1} of {len(order)}</span>', width="content")


def _order() -> list[int]:
    """Which recordings can be opened, as rows of the upload, in the order of the table that was drawn last."""
    files = session.files_read()
    return [i for i in _drawn_order() if files[i].record is not None]


def _drawn_order() -> list[int]:
    return list(session.batch_order() or range(len(session.files_read())))


def draw(current: EcgRecord, card: ModelCard | None) -> None:
    """The table of an upload that held several recordings; a click anywhere in a row opens it.

    Drawn last into its place above the paper, so that the open ECG never waits for the others.
    """
    files = session.files_read()
    if len(files) < 2:
        return
    unread = sum(f.record is None for f in files)
    heading = f"{len(files)} recordings in this upload" + (f", {unread} could not be read" if unread else "")
    with st.expander(heading, expanded=True):
        rows = _rows(files, card)
        with st.container(key="batch_actions", horizontal=True, gap="small", vertical_alignment="center"):
            names = st.segmented_control(
                "Order", list(ORDERS), default="As uploaded", required=True, key="batch_sort",
                label_visibility="collapsed",
            )  # fmt: skip
            st.space("stretch")
            _downloads(rows)
        order = sorted(range(len(rows)), key=lambda i: (*ORDERS[names](rows[i]), i))
        if order != _drawn_order():
            session.set_batch_order(order)
            st.rerun()  # the buttons in the head follow
        _table(files, rows, order, current)


def _rows(files: tuple[ReadFile, ...], card: ModelCard | None) -> list[dict]:
    """A row of every recording, with progress in words while some are new."""
    begin, rows, place = time.monotonic(), [], st.empty()
    for done, file in enumerate(files):
        if time.monotonic() - begin > PATIENCE_S:
            place.progress(done / len(files), text=f"Estimating: {done} of {len(files)} recordings")
        rows.append(resources.batch_row(file, card))
    place.empty()
    return rows


def _table(files: tuple[ReadFile, ...], rows: list[dict], order: list[int], current: EcgRecord) -> None:
    """Its key changes with the open ECG, so that no click outlives it; it scrolls, so that the ECG stays in sight."""
    chosen = st.dataframe(
        pd.DataFrame([_shown(rows[i], files[i].record is current) for i in order]),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-cell",
        key=f"recordings_{session.upload_round()}",
        height=ROW_HEIGHT * (min(len(files), MOST_ROWS) + 1) + 3,
        row_height=ROW_HEIGHT,
        placeholder=MISSING,
        alt="Recordings of this upload with their estimates",
        column_config={name: st.column_config.Column(width=width) for name, width in WIDTHS.items()}
        | {"LVEF %": st.column_config.NumberColumn(width=WIDTHS["LVEF %"], format="%d")},
    )
    picked = [files[order[row]].record for row, _ in chosen.selection.cells]
    if picked and picked[0] is not None and picked[0] is not current:
        session.open_ecg(picked[0])
        st.rerun()


def _shown(row: dict, is_open: bool) -> dict:
    outside = {True: "outside", False: "within", None: MISSING}[row["outside_training"]]
    ends = (row["lvef_low"], row["lvef_high"])
    return {
        "Open": "●" if is_open else "",
        "Recording": row["source"],
        "LVEF %": None if row["lvef"] is None else round(row["lvef"]),
        "Interval %": interval(*ends) if None not in ends else MISSING,
        "Quality": row["quality"] or MISSING,
        "Training data": outside,
        "Remark": _remark(row),
    }


def _remark(row: dict) -> str:
    """Why there is no estimate and what the quality is, without the name that stands in the same row."""
    told = dict.fromkeys(filter(None, (row["why_no_lvef"], row["quality_reason"])))
    remark = " ".join(one.removeprefix(f"“{row['source']}” ") for one in told)
    return remark[:1].upper() + remark[1:]


def _downloads(rows: list[dict]) -> None:
    """The same rows with every phenotype and its interval, as the terminal writes them; made when clicked."""
    for kind, make, mime in (("XLSX", batch_xlsx, XLSX), ("CSV", batch_csv, "text/csv")):
        st.download_button(
            kind,
            partial(make, rows),
            f"estimates.{kind.lower()}",
            mime,
            icon=":material/download:",
            key=f"batch_{kind.lower()}",
            on_click="ignore",
        )


def batch_csv(rows: list[dict]) -> bytes:
    """The rows as CSV; no cell that a spreadsheet would take for a formula. UTF-8 with its mark, which Excel needs."""
    return csv_file(csv_of(pd.DataFrame(rows, dtype=object)))


def batch_xlsx(rows: list[dict]) -> bytes:
    """The rows as a workbook of one sheet, its head kept in sight."""
    content = io.BytesIO()
    table = without_formulas(pd.DataFrame(rows, dtype=object))
    table.to_excel(content, sheet_name="Estimates", index=False, freeze_panes=(1, 1))
    return content.getvalue()
