"""Head of the Cohorts page, the cohorts in numbers, the patients of one, and what can be done with a cohort."""

from datetime import UTC, datetime
from html import escape

import pandas as pd
import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.notation import MISSING, date
from echo2ecg_core.figures.tables import csv_file, csv_of
from echo2ecg_core.store import kept_cohorts
from echo2ecg_core.store.cohorts import LACKS, Cohort
from pages.ui import admin_gate, panels, resources
from pages.ui.cohorts import cohort_session, kept, looked_up, removing
from pages.ui.errors import plain
from pages.ui.studies.panels import CHOSEN_ROW, ROW_HEIGHT, person, whole

PATIENTS_A_PAGE = 12


def head(found: list[Cohort]):
    """Title, badges and one line of what is shown; returns the place of the actions."""
    with st.container(key="page_head", horizontal=True, vertical_alignment="center", gap="small"):
        panels.title("Cohorts")
        panels.badges(synthetic=False)
        if any(cohort.synthetic for cohort in found):
            st.badge("Synthetic", icon=":material/deployed_code:", help="The workspace holds simulated hearts.")
        st.space("stretch")
        place = st.container(width="content", horizontal=True, gap="small", key="cohort_actions")
    st.html("<div class='e2e-facts'>Who is in this workspace: choose a cohort, then a patient.</div>")
    if done := cohort_session.told():
        st.success(plain(done), icon=":material/check:")
    return place


def nothing_here() -> None:
    """What to do in an empty workspace."""
    st.info("No patients yet. An admin can bring an archive in on the Import page.", icon=":material/group:")


def cohort_table(found: list[Cohort]) -> str:
    """The cohorts as a table; a click chooses one, whose name is returned."""
    names = [cohort.name for cohort in found]
    asked = cohort_session.cohort()
    chosen = asked if asked in names else names[0]
    rows = [
        {
            "Cohort": f"{c.name} ✎" if c.is_kept else c.name,
            "Patients": f"{c.patients:,}",
            "Studies": f"{c.studies:,}",
            "ECGs": f"{c.ecgs:,}",
            "Clips": f"{c.clips:,}",
            "Labels": f"{c.labels:,}",
        }
        for c in found
    ]
    _clickable(pd.DataFrame(rows), "cohort_table", names.index(chosen), lambda row: cohort_session.look_at(names[row]))
    cohort = found[names.index(chosen)]
    st.html(f"<div class='e2e-facts'>{escape(_words(cohort))}</div>")
    return chosen


def _words(cohort: Cohort) -> str:
    """What the table has no column for."""
    facts = [cohort.told] if cohort.is_kept else []
    facts += ["simulated hearts"] if cohort.synthetic else []
    facts += [f"{counted(cohort.set_aside, 'file')} set aside"] if cohort.set_aside else []
    passed_over = sum(row["cohort"] == cohort.name for row in looked_up.passed_over())
    facts += [f"{counted(passed_over, 'file')} passed over at import"] if passed_over else []
    if at := looked_up.last_imports().get(cohort.name):
        facts.append(f"imported last on {date(datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0))}")
    return f"{cohort.name}: {'; '.join(facts)}." if facts else f"{cohort.name}: every file is whole."


def patient_table(cohort: str) -> str | None:
    """A page of patients with search and what is missing; returns the one that is looked at."""
    with st.container(key="patient_controls", horizontal=True, gap="small", vertical_alignment="center"):
        sought = st.text_input(
            "Find by id",
            key=cohort_session.SOUGHT_KEY,
            placeholder="Find by id …",
            label_visibility="collapsed",
            width=150,
            on_change=cohort_session.go_to_page,
            args=(0,),
        ).strip()
        lacking = st.selectbox(
            "Only",
            list(LACKS),
            index=None,
            key=cohort_session.LACKING_KEY,
            placeholder="All patients",
            label_visibility="collapsed",
            format_func=lambda key: (
                f"With {LACKS[key][0]}" if LACKS[key][1] != "patients" else LACKS[key][0].capitalize()
            ),
            on_change=cohort_session.go_to_page,
            args=(0,),
        )
    first = PATIENTS_A_PAGE * cohort_session.page()
    rows, total = looked_up.patients(cohort, lacking or "", sought, first, PATIENTS_A_PAGE)
    if not total:
        st.info("No patient of this cohort is like that.", icon=":material/search_off:")
        return cohort_session.patient()
    ids = list(rows.patient_id)
    shown = pd.DataFrame(
        {
            "Patient": ids,
            "Sex": [person(sex, None) for sex in rows.sex],
            "Split": rows.split,
            "Studies": rows.studies.astype(int),
            "ECGs": rows.ecgs.astype(int),
            "Last LVEF %": whole(rows.lvef),
        }
    )
    chosen = cohort_session.patient() or ids[0]
    row = ids.index(chosen) if chosen in ids else None
    _clickable(shown, "patient_table", row, lambda row: cohort_session.open_patient(ids[row]))
    _turn_pages(first, len(ids), total)
    return chosen


def _turn_pages(first: int, n: int, total: int) -> None:
    page = cohort_session.page()
    with st.container(key="patient_pages", horizontal=True, gap="small", vertical_alignment="center"):
        for label, icon, to, off in (
            ("Previous", "chevron_left", page - 1, first == 0),
            ("Next", "chevron_right", page + 1, first + n >= total),
        ):
            st.button(
                label,
                icon=f":material/{icon}:",
                type="tertiary",
                key=f"patients_{label.lower()}",
                disabled=off,
                on_click=cohort_session.go_to_page,
                args=(to,),
            )
        st.html(
            f"<span class='muted'>{first + 1:,}–{first + n:,} of {counted(total, 'patient')}</span>", width="content"
        )


def _clickable(table: pd.DataFrame, name: str, chosen: int | None, choose) -> None:
    """A table in which a click anywhere in a row chooses it."""
    key = f"{name}_{cohort_session.table_round()}"

    def clicked() -> None:
        if (row := cohort_session.clicked_row(key)) is not None and row < len(table):
            choose(row)

    marked = table.style.apply(lambda r: [CHOSEN_ROW if r.name == chosen else ""] * len(r), axis=1)
    texts = {c for c in table if table[c].dtype == object}  # others are sorted as numbers
    numbers = {
        c: st.column_config.Column(alignment="right") if c in texts else st.column_config.NumberColumn(format="%d")
        for c in table.columns
        if c not in _WORDS
    }
    st.dataframe(
        marked,
        hide_index=True,
        key=key,
        on_select=clicked,
        selection_mode="single-cell",
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * (min(len(table), PATIENTS_A_PAGE) + 1) + 3,
        column_config=numbers,
        placeholder=MISSING,
        alt=name.replace("_", " ").capitalize(),
    )


_WORDS = ("Cohort", "Patient", "Sex", "Split")


def cohort_actions(cohort: str | None) -> None:
    """Export of the cohort, and for who may the way out."""
    if cohort is None:
        return
    place = resources.workspace()
    kept.use_buttons(cohort)
    if admin_gate.allows("export a cohort"):
        _export(cohort)
    if kept_cohorts.is_kept(place, cohort):
        if admin_gate.allows("keep a cohort"):
            _forget_button(cohort)
    else:
        removing.button("cohort", cohort, "Take this cohort out")


def _export(cohort: str) -> None:
    place = resources.workspace()
    with st.popover("Export", icon=":material/download:"), st.container(key="export_list"):
        st.download_button(
            "ECGs and studies (CSV)",
            admin_gate.exporting(lambda: csv_file(csv_of(kept_cohorts.table(place, cohort))), "cohort", place),
            "cohort.csv",
            "text/csv",
            type="tertiary",
            on_click="ignore",
            width="stretch",
            key="cohort_csv",
        )
        st.caption("One row an ECG or study; sex, split and whether it is simulated beside it.")


def _forget_button(cohort: str) -> None:
    st.button(
        "Forget this cohort",
        icon=":material/bookmark_remove:",
        key="forget_cohort",
        on_click=_forget,
        args=(cohort,),
        help="Its ECGs and studies stay.",
    )


@admin_gate.asks("keep a cohort")
def _forget(cohort: str) -> None:
    kept_cohorts.forget(resources.workspace(), cohort)
    cohort_session.look_at(None)
    cohort_session.tell(f"The cohort {cohort} is forgotten. Its ECGs and studies are still here.")


def when(moment) -> str:
    """A day, with the hour where it is known; a dash where it is not."""
    return date(None if pd.isna(moment) else moment.to_pydatetime())
