"""Head, facts and sentences of Similar studies, and the way in from a study instead of an ECG."""

import json
from html import escape
from pathlib import PurePath

import numpy as np
import pandas as pd
import streamlit as st

from echo2ecg_core.answers.predict import Prediction
from echo2ecg_core.answers.search import Candidates, EcgHit, Hit, search_report
from echo2ecg_core.counts import counted, counted_days
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures.notation import THIN, grades_in_words, interval, number
from echo2ecg_core.figures.tables import csv_file, csv_of
from echo2ecg_core.reports.folder import Print
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.columns import rows_in
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.store.times import default_days
from pages.ui import admin_gate, panels, print_as, resources, session
from pages.ui.errors import sentence
from pages.ui.studies import browse_session, reader_marks

ECG_PAGE = "pages/ecg.py"
NO_REPORT: dict[str, list] = {"phenotypes": []}
MOST_LISTED = 2000
SIMILARITY = (
    "Similarity is a cosine, not a probability: it ranks the studies and says nothing about how sure the model is."
)


def head(card: ModelCard | None, record: EcgRecord | None):
    """Title, badges, and the way to start from a study; returns the place of the export menu."""
    with st.container(key="page_head", horizontal=True, vertical_alignment="center", gap="small"):
        panels.title("Similar studies")
        panels.badges(synthetic=card is not None and card.synthetic)
        st.space("stretch")
        if (
            browse_session.start_study()
            and record is not None
            and st.button("Back to my ECG", icon=":material/ecg_heart:")
        ):
            browse_session.start_from(None)
            st.rerun()
        if card is not None and not resources.why_no_studies(card):
            with st.popover("Start from a study", icon=":material/swap_horiz:"):
                _choose_study()
        return st.container(width="content")


def _choose_study() -> None:
    ids = snapshot(resources.workspace()).studies.study_id.to_numpy()
    start = browse_session.start_study()
    chosen = _listed(ids.tolist(), start) if len(ids) <= MOST_LISTED else _typed(ids, start)
    st.caption("Opens the study and lists the ECGs nearest to it.")
    if chosen and chosen != start:
        browse_session.start_from(chosen)
        st.rerun()


def _listed(ids: list[str], start: str | None) -> str | None:
    """A study chosen from a list."""
    return st.selectbox(
        "Study", ids, index=ids.index(start) if start in ids else None, placeholder=f"one of {len(ids)}"
    )


def _typed(ids: np.ndarray, start: str | None) -> str | None:
    """A study by its id, where a list of all would be megabytes at every rerun."""
    typed = st.text_input("Study", value=start or "", placeholder=f"id of one of {len(ids)}").strip()
    if typed and rows_in(ids, np.array([typed], object))[0] < 0:
        st.caption(f"There is no study “{typed[:40]}”.")
        return None
    return typed or None


def export_hits(place, record: EcgRecord, prediction: Prediction, hits: list[Hit]) -> None:
    """Downloads of the hits: the terminal's document as JSON, one row a study as CSV; both name ECG and model."""
    report = search_report(prediction, hits)
    stem = PurePath(report["query"]["source"]).stem or "ecg"
    with place, st.popover("Export", icon=":material/download:"):
        st.download_button(
            "Studies (JSON)",
            lambda: json.dumps(report, indent=1),
            f"{stem}-studies.json",
            "application/json",
            type="tertiary",
            on_click="ignore",
        )
        st.download_button(
            "Studies (CSV)",
            lambda: csv_file(hits_csv(report)),
            f"{stem}-studies.csv",
            "text/csv",
            type="tertiary",
            on_click="ignore",
        )
        if admin_gate.allows("export a cohort"):
            st.download_button(
                "Readers' marks (CSV)",
                admin_gate.exporting(_marks, "readers' marks", resources.workspace()),
                "readers-marks.csv",
                "text/csv",
                type="tertiary",
                on_click="ignore",
            )
        st.caption("Figure: the ECG and the four nearest studies of others, at ED and ES")
        chosen = print_as.controls()
        print_as.buttons(f"{stem}-studies", lambda kind: _panel_file(record, prediction, kind, chosen), "panel")


def _marks() -> bytes:
    return csv_file(reader_marks.marks_csv())


def _panel_file(record: EcgRecord, prediction: Prediction, kind: str, chosen: Print) -> bytes:
    from echo2ecg_core.reports.paper_figures import retrieval_file

    return retrieval_file(record, prediction, resources.workspace(), kind, chosen)


def hits_csv(report: dict) -> str:
    """One row a hit with its measured phenotypes, views, and the ECG and model it was found with."""
    shared = {
        "ecg": report["query"]["source"],
        "model_id": report["model"]["id"],
        "model_sha256": report["model"]["sha256"],
    }
    rows = [
        {
            "rank": hit["rank"],
            "study_id": hit["study_id"],
            "similarity": hit["similarity"],
            **hit["phenotypes"],
            "views": " ".join(view["view"] or "" for view in hit["views"]),
            "synthetic": hit["synthetic"],
            **shared,
        }
        for hit in report["hits"]
    ]
    return csv_of(grades_in_words(pd.DataFrame(rows)))


def nothing_open(card: ModelCard | None) -> None:
    """What to do while there is no ECG or no model."""
    if card is None:
        st.info(
            panels.why_no_model(),
            icon=":material/hourglass_top:",
        )
        return
    if why := resources.why_no_studies(card):
        no_studies(why)
        return
    st.info("No ECG yet. Open one on the ECG page, or start from a study (top right).", icon=":material/ecg_heart:")
    if st.button("Open an ECG", type="primary", icon=":material/upload_file:"):
        st.switch_page(ECG_PAGE)


def no_studies(why: str) -> None:
    """Why there are neither studies near an ECG nor ECGs near a study, and what to do."""
    st.info(sentence(why), icon=":material/info:")


def search_facts(place, report: dict, left: Candidates) -> None:
    """What was searched with, and among how many."""
    lvef = next((row for row in report["phenotypes"] if row["name"] == "lvef" and row["value"] is not None), None)
    facts = [f"Echo studies nearest to <b>{escape(report['ecg']['source'])}</b> in the shared ECG–echo space"]
    if lvef:
        facts.append(
            f"predicted LVEF <b>{number(lvef['value'])}{THIN}%</b> ({interval(*lvef['interval'] or (None, None))})"
        )
    waiting = f", {left.without_vector:,} more have no vector yet" if left.without_vector else ""
    facts.append(f"{len(left.study_ids):,} of {counted(left.total, 'study', 'studies')} searched{waiting}")
    place.html(f"<div class='e2e-facts'>{' · '.join(facts)}</div>")


def start_facts(place, study_id: str, why: str) -> None:
    """What was started from; `why` there are no ECGs near it, if so."""
    words = "The study <b>{}</b>" if why else "ECGs nearest to the study <b>{}</b> in the shared ECG–echo space"
    place.html(f"<div class='e2e-facts'>{words.format(escape(study_id))}</div>")


def ecgs_of_study(hits: list[EcgHit], row: int) -> None:
    """The sentence below the ECGs of a study, and the button that opens the chosen one."""
    told = any(hit.study_id is not None and hit.days_apart is None for hit in hits)
    undated = "No days: the data set says which echo belongs to the ECG." if told else ""
    st.caption(
        f"{SIMILARITY} LVEF is measured on the echo of each ECG's own patient, so many days before or "
        f"after it; farther apart than {counted_days(default_days())}, none is shown. {undated}".rstrip()
    )
    if hits and st.button(f"Open {hits[row].ecg_id}", icon=":material/ecg_heart:", width="stretch"):
        session.open_ecg(Catalog(resources.workspace()).ecg_record(hits[row].ecg_id))
        st.switch_page(ECG_PAGE)
