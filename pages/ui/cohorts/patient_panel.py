"""One patient in time: the picture, ECGs and studies in their order, and the chosen one with its way on."""

from collections.abc import Collection
from html import escape

import pandas as pd
import streamlit as st

from echo2ecg_core.figures.notation import MISSING, THIN, length, measured_with_unit, number
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import PHENOTYPES, beyond_reference
from echo2ecg_core.roles import by_whom
from echo2ecg_core.store import cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.cohorts import PatientRow
from echo2ecg_core.store.corrections import corrections
from echo2ecg_core.store.times import moments
from pages.ui import resources, session
from pages.ui.cohorts import cohort_session, correcting, looked_up, removing
from pages.ui.cohorts.lists import when
from pages.ui.cohorts.words import reference_words, value_words
from pages.ui.ecg.surroundings import STUDIES_PAGE
from pages.ui.report.charts.show import show_charts
from pages.ui.scheme import scheme
from pages.ui.studies.browse_session import STUDY_PARAMETER
from pages.ui.studies.panels import ROW_HEIGHT, SHORT_VIEWS, whole
from pages.ui.studies.words import ECG_PAGE

MOST_ROWS = 8  # of the list before it scrolls


def show(patient_id: str) -> None:
    """Everything of a patient."""
    found = cohorts.patient(resources.workspace(), patient_id)
    _head(found)
    items = _items(found)
    if items.empty:
        st.info("Neither an ECG nor an echo study of this patient is here.", icon=":material/info:")
        return
    _timeline(found)
    chosen = _list(found, items)
    if chosen.What == "ECG":
        _ecg(found, chosen)
    else:
        _study(found, chosen)


def _head(found: PatientRow) -> None:
    facts = [found.sex or "sex not known", f"{found.split} patient", found.cohort]
    facts += ["simulated"] if found.synthetic else []
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="patient_head"):
        st.html(
            f"<div class='e2e-study'><b>{escape(found.patient_id)}</b> {' · '.join(escape(f) for f in facts)}</div>",
            width="stretch",
        )
        removing.button("patient", found.patient_id, "Take this patient out")


def _items(found: PatientRow) -> pd.DataFrame:
    """ECGs and studies in time order, those without a time last."""
    ecgs = pd.DataFrame({"moment": moments(found.ecgs.ecg_time), "What": "ECG", "Id": found.ecgs.ecg_id})
    studies = found.studies
    echos = pd.DataFrame({"moment": moments(studies.study_date), "What": "Echo study", "Id": studies.study_id})
    return pd.concat([ecgs, echos]).sort_values(["moment", "What", "Id"], na_position="last").reset_index(drop=True)


def _timeline(found: PatientRow) -> None:
    ecgs = [m.to_pydatetime() for m in moments(found.ecgs.ecg_time).dropna()]
    lvefs = found.studies.get("lvef", pd.Series(float("nan"), found.studies.index))
    days = moments(found.studies.study_date)
    studies = [
        (day.to_pydatetime(), None if pd.isna(lvef) else float(lvef))
        for day, lvef in zip(days, lvefs, strict=True)
        if pd.notna(day)
    ]
    if ecgs or studies:
        key = (found.patient_id, found.sex, tuple(ecgs), tuple(studies))
        svg = looked_up.timeline_svg(key, scheme.is_dark(), ecgs, studies, found.sex)
        show_charts([("In time", "", svg)], key="patient_timeline")


def _list(found: PatientRow, items: pd.DataFrame) -> pd.Series:
    """The list; returns the chosen row."""
    studies = found.studies.set_index("study_id")
    of_study = items.Id.where(items.What != "ECG")
    told = pd.DataFrame(
        {
            "Date": [when(moment) for moment in items.moment],
            "What": items.What,
            "Id": items.Id,
            "Age": whole([studies.age_years.get(i) for i in of_study]),
            "LVEF %": whole([studies["lvef"].get(i) if "lvef" in studies else None for i in of_study]),
        }
    )
    event = st.dataframe(
        told,
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * (min(len(told), MOST_ROWS) + 1) + 3,
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [0]}},
        key=f"patient_items_{found.patient_id}_{cohort_session.table_round()}",
        alt="ECGs and studies of the patient in time order",
        column_config={
            "Age": st.column_config.NumberColumn(format="%d"),
            "LVEF %": st.column_config.NumberColumn(format="%d"),
        },
        placeholder="",
    )
    rows = event.selection.rows
    return items.iloc[rows[0] if rows and rows[0] < len(items) else 0]


def _ecg(found: PatientRow, chosen: pd.Series) -> None:
    row = found.ecgs.set_index("ecg_id").loc[chosen.Id]
    facts = {
        "Recorded": when(chosen.moment),
        "Length": f"{length(row.duration_s)} at {row.sampling_rate_hz:g}{THIN}Hz",
        "File": f"{row.format}, set aside because it is damaged" if row.is_set_aside else row.format,
    }
    _pairs(chosen, {name: (escape(words), "") for name, words in facts.items()}, {"Recorded": "ecg_time"})
    with st.container(horizontal=True, gap="small", key="item_actions"):
        if st.button("Open this ECG", type="primary", icon=":material/ecg_heart:", disabled=bool(row.is_set_aside)):
            session.open_ecg(Catalog(resources.workspace()).ecg_record(chosen.Id))
            st.switch_page(ECG_PAGE)
        correcting.button(found, "ecg", chosen.Id)
        removing.button("ecg", chosen.Id, "Take this ECG out")


def _study(found: PatientRow, chosen: pd.Series) -> None:
    row = found.studies.set_index("study_id").loc[chosen.Id]
    clips = found.clips[found.clips.study_id == chosen.Id]
    views = [SHORT_VIEWS.get(view, view) if view else "not known" for view in clips.view]
    facts = {
        "Made": (when(chosen.moment), ""),
        "Age": (f"{number(row.age_years)} years" if pd.notna(row.age_years) else MISSING, ""),
        "Rhythm": (RHYTHMS.get(row.rhythm, MISSING), ""),
        "Conduction": (CONDUCTIONS.get(row.conduction, MISSING), ""),
        "Views": (escape(", ".join(dict.fromkeys(views))) or "no clips", ""),
    }
    names = {"Made": "study_date", "Age": "age_years", "Rhythm": "rhythm", "Conduction": "conduction", "Views": "view"}
    for name, p in PHENOTYPES.items():
        if name in row and pd.notna(row[name]):
            side = beyond_reference(p, row[name], found.sex)
            facts[p.label] = (f"<b>{measured_with_unit(p, row[name])}</b> {side}", reference_words(p, found.sex))
            names[p.label] = name
    _pairs(chosen, facts, names, set(clips.clip_id))
    with st.container(horizontal=True, gap="small", key="item_actions"):
        if st.button("Play this study", type="primary", icon=":material/video_library:"):
            st.switch_page(STUDIES_PAGE, query_params={STUDY_PARAMETER: chosen.Id})
        correcting.button(found, "study", chosen.Id)
        removing.button("study", chosen.Id, "Take this study out")


def _pairs(chosen: pd.Series, facts: dict, names: dict[str, str], clips: Collection[str] = ()) -> None:
    """What is known of the chosen one; a mark where a person corrected it, with who, when and what it was."""
    made = corrections(resources.workspace(), of=[chosen.Id, *clips])
    last = made.drop_duplicates("name").set_index("name") if len(made) else made
    rows = ""
    for label, (words, beside) in facts.items():
        mark = ""
        if len(last) and names.get(label) in last.index:
            c = last.loc[names[label]]
            told = f"was {value_words(names[label], c.was)}, corrected {by_whom(c.who)} on {c.made_at[:10]}" + (
                f": {c.why}" if c.why else ""
            )
            mark = f" <span class='e2e-corrected' tabindex='0' title='{escape(told, quote=True)}'>corrected</span>"
        rows += f"<tr><th scope='row'>{escape(label)}</th><td>{words}{mark}</td>"
        rows += f"<td class='muted'>{escape(beside)}</td></tr>"
    head = "<th></th><th>Measured</th><th>Reference range</th>" if chosen.What != "ECG" else "<th colspan='3'></th>"
    st.html(
        f"<table class='e2e-table e2e-item'><caption>{escape(chosen.What)} {escape(chosen.Id)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
