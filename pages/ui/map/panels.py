"""The panels of the map: head, controls, the job that draws it, the chart, and what a click or a lasso holds."""

import re
from collections.abc import Callable, Hashable
from functools import partial
from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from echo2ecg_core.answers import maps as explore
from echo2ecg_core.answers.map_clusters import Cluster
from echo2ecg_core.answers.predict import Prediction
from echo2ecg_core.counts import counted
from echo2ecg_core.evaluation.groups import FEWEST_PATIENTS, GroupRow, OfPatients, compare
from echo2ecg_core.figures import export
from echo2ecg_core.figures.chart import Frame
from echo2ecg_core.figures.map import YourEcg
from echo2ecg_core.figures.map_colours import ESTIMATES, kept_column
from echo2ecg_core.figures.map_picture import map_picture
from echo2ecg_core.figures.notation import THIN, grades_in_words, interval, measured_with_unit, number, p_value
from echo2ecg_core.figures.tables import csv_file, csv_of
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store import jobs, kept_cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.version import program_version
from pages.ui import admin_gate, panels, resources, session
from pages.ui.ecg.paper_panel import MIME
from pages.ui.ecg.surroundings import STUDIES_PAGE
from pages.ui.in_words import in_words, one_of
from pages.ui.map import looked_up, map_session
from pages.ui.map.chart import how_read, labels_of
from pages.ui.map.looked_up import MapFacts
from pages.ui.studies import browse_session
from pages.ui.studies.panels import signed
from pages.ui.studies.words import ECG_PAGE

LAYOUTS = {"together": "Together", "ecgs": "ECGs", "studies": "Studies", explore.SOLID: "3-D"}
MOST_LISTED = 500  # members of a lasso
ASK_AN_ADMIN = "A researcher or an admin can have it drawn: everybody sees the same map."
CLUSTERS_HELP = (
    "Groups that lie apart on the map (HDBSCAN), and in what their patients differ most from all others: effects of at "
    "least half a standard deviation that hold after Bonferroni. A map without such groups has no labels."
)


def head(card: ModelCard | None) -> None:
    """Title, badges and one line of what is seen."""
    with st.container(key="page_head", horizontal=True, vertical_alignment="center", gap="small"):
        panels.title("Map")
        panels.badges(synthetic=card is not None and card.synthetic)
    what = (
        "ECG of the workspace, placed by the active model, which has no echo side"
        if resources.why_no_studies(card)
        else "ECG and echo study of the workspace, placed by the active model"
    )
    st.html(f"<div class='e2e-facts'>Every {what}. Click a point to open it; draw a lasso to list what it holds.</div>")


def no_map(card: ModelCard | None) -> None:
    """Words and, where it can be drawn now, the button that queues the job."""
    if card is None:
        st.info(panels.why_no_model("so nothing can be placed"), icon=":material/hourglass_top:")
        return
    running = {job.kind for job in jobs.jobs(resources.workspace(), open_only=True)}
    if running & {"map", "demo"}:
        st.info(
            "The map is being drawn; the sidebar shows how far it is. This page follows by itself.",
            icon=":material/hourglass_top:",
        )
        return
    st.info(
        "No map of this model yet. Drawing takes about a minute and goes on in the background.", icon=":material/map:"
    )
    if admin_gate.offer("draw the map", ASK_AN_ADMIN) and st.button(
        "Draw the map", type="primary", icon=":material/scatter_plot:"
    ):
        _queue()


def redraw(n_undrawn: int) -> None:
    """Offer a new drawing once the archive has grown."""
    if (
        n_undrawn
        and admin_gate.allows("draw the map")
        and st.button(f"Draw again with {n_undrawn} more", icon=":material/refresh:")
    ):
        _queue()


@admin_gate.asks("draw the map")
def _queue() -> None:
    jobs.queue(resources.workspace(), "map")
    jobs.start_worker(resources.workspace())
    st.rerun()


def layout_control(layouts: tuple[str, ...]) -> str:
    """Which points: together, ECGs or studies; nothing to choose where the model has one layout."""
    if len(layouts) == 1:
        return layouts[0]
    return one_of("Points", layouts, map_session.LAYOUT_KEY, in_words(LAYOUTS))


def coloured(points: pd.DataFrame, facts: MapFacts, card: ModelCard, layout: str) -> tuple[pd.DataFrame, str]:
    """What the points are coloured by, and the points with that column: of a kept cohort it comes from its members, of
    estimates from the model."""
    kept = kept_cohorts.kept_names(resources.workspace())
    estimates = ESTIMATES if "lvef" in points and _tells_lvef(card) and facts.ecgs else {}
    choices = facts.colours | estimates | {kept_column(name): f"Cohort “{name}”" for name in kept}
    colour = st.selectbox(
        "Colour",
        list(choices),
        format_func=in_words(choices),
        key=map_session.COLOUR_KEY,
        label_visibility="collapsed",
        width=190,
        bind="query-params",
    )
    if colour not in points:
        points = looked_up.with_column(card.model_id, layout, map_session.cohort(), colour)
    return points, colour


def find_control(points: pd.DataFrame) -> tuple[str, str] | None:
    """A field to look for an ECG, a study or a patient by id; returns (id, modality) of the first point that fits."""
    sought = st.text_input(
        "Find by id",
        key=map_session.FIND_KEY,
        on_change=map_session.look_afresh,
        placeholder="Find by id …",
        label_visibility="collapsed",
        width=150,
        bind="query-params",
    ).strip()
    if not sought:
        return None
    for column in ("id", "patient_id"):
        for hit in (points[column] == sought, points[column].str.contains(sought, case=False, regex=False)):
            if hit.any():
                row = points[hit].iloc[0]
                return row.id, row.modality
    st.html(f"<span class='muted'>Nothing on this map is called “{escape(sought[:40])}”.</span>", width="content")
    return None


def cluster_control(model_id: str, layout: str) -> list[Cluster]:
    """The switch of the words over the clusters, and these; none where it is off or the map has none with words."""
    found = [] if layout == explore.SOLID else looked_up.map_clusters(model_id, layout)
    if not found or not st.toggle(
        "Clusters", value=True, key=map_session.CLUSTERS_KEY, bind="query-params", help=CLUSTERS_HELP
    ):
        return []
    return found


def _tells_lvef(card: ModelCard) -> bool:
    """Whether the model has a readout of LVEF."""
    return "lvef" in card.manifest().get("test", {}).get("phenotypes", {})


def export_menu(points: pd.DataFrame, facts: MapFacts, colour: str, card: ModelCard, clusters: list[Cluster]) -> None:
    """The map as a figure for papers and as a table."""
    what = (facts.colours | ESTIMATES).get(colour, f"cohort {colour.removeprefix(kept_column(''))}")
    stem = re.sub(r"[^\w.-]+", "-", f"map-{card.model_id}-{colour}")
    provenance = export.provenance_line(
        {"model": {"name": card.name, "id": card.model_id, "synthetic": card.synthetic}},
        f"{resources.workspace_name()}, {len(points)} points, program version {program_version()}",
    )
    title = f"Map of ECGs and echo studies: {what}"

    def make(kind: str):
        picture = map_picture(
            points, colour, Frame(title=title, footer=f"{provenance} · {how_read(colour)}"), labels_of(clusters)
        )
        return export.figure_file(picture, kind, title=title, provenance=provenance)

    with st.popover("Export", icon=":material/download:"), st.container(key="export_list"):
        for kind in export.FIGURE_FORMATS:
            st.download_button(
                f"Map ({kind.upper()})",
                partial(make, kind),
                f"{stem}.{kind}",
                MIME[kind],
                key=f"download_map_{kind}",
                type="tertiary",
                on_click="ignore",
                width="stretch",
            )
        if admin_gate.allows("export a cohort"):
            st.download_button(
                "Points (CSV)",
                _table(points, "map"),
                f"{stem}.csv",
                "text/csv",
                key="download_map_csv",
                type="tertiary",
                on_click="ignore",
                width="stretch",
            )


def _table(points: pd.DataFrame, what: str):
    """What makes a table of many people's points, at the click and for whom it may be made."""
    return admin_gate.exporting(lambda: csv_file(csv_of(points)), what, resources.workspace())


def whole_map() -> None:
    """The way back from a part of the map; it stands there always, so that nothing moves under who zooms."""
    st.button(
        "Whole map",
        icon=":material/zoom_out_map:",
        key="whole_map",
        disabled=not map_session.view(),
        on_click=map_session.look_at_all,
    )


def your_ecg(prediction: Prediction | None, card: ModelCard, layout: str) -> YourEcg | None:
    """Where the open ECG lies, with its LVEF and, outside the training data, a word of doubt."""
    if prediction is None or prediction.embedding is None:
        return None
    vector = prediction.embedding if prediction.aligned is None else prediction.aligned
    x, y, *z = explore.place(vector, resources.workspace(), card.model_id, layout)
    report = prediction.as_json()
    lvef = next((row for row in report["phenotypes"] if row["name"] == "lvef" and row["value"] is not None), None)
    label = (
        "<b>Your ECG</b>"
        if lvef is None
        else f"<b>Your ECG, LVEF {number(lvef['value'])}{THIN}%</b> ({interval(*lvef['interval'] or (None, None))})"
    )
    if report["out_of_distribution"]["flag"]:
        label += "<br>outside the training data: place uncertain"
    return YourEcg(x, y, label, *z)


def nothing_selected(facts: MapFacts, layout: str, clusters: list[Cluster]) -> None:
    """How to use the map, and its clusters in words."""
    st.html(
        f"<h2 class='e2e-section'>No selection</h2><p class='muted'>{counted(facts.ecgs, 'ECG')} and "
        f"{counted(facts.studies, 'study', 'studies')} of {counted(facts.patients, 'patient')}.</p>"
    )
    st.caption(
        "Drag to turn the map; click one point to open it. Several are chosen with the lasso on the flat maps."
        if layout == explore.SOLID
        else "The lasso is ready: draw round some points to list them here. Click one point to open it. Double-click "
        "on the map to clear the selection."
    )
    if clusters:
        rows = "".join(
            f"<tr><th scope='row'>{escape(', '.join(c.words))}</th><td class='num'>{c.patients}</td></tr>"
            for c in sorted(clusters, key=lambda c: -c.patients)
        )
        st.html(
            "<table class='e2e-table e2e-clusters'><caption>Clusters, and what sets each apart</caption><thead><tr>"
            "<th>Against all other patients</th><th class='num'>Patients</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


def one_point(points: pd.DataFrame, which: Hashable, *, is_drawn: bool = True) -> None:
    """The point of a row: what it is and the way into it; `is_drawn` where lines on the map link it with its study."""
    row = points.loc[which]
    drawn = _drawn(explore.of_its_study(points, which), row) if is_drawn else ""
    st.html(
        f"<h2 class='e2e-section'>{escape(row['id'])} · {row.modality}</h2>"
        + (f"<p class='muted'>{escape(drawn)}</p>" if drawn else "")
    )
    measured = [
        (p.label, measured_with_unit(p, row[n])) for n, p in PHENOTYPES.items() if n in row and pd.notna(row[n])
    ]
    facts = [("Patient", row.patient_id), ("Sex", row.sex or "not known"), ("Age", number(row.age_years)), *measured]
    rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    whose = (
        ""
        if row.modality == "study"
        else "<p class='muted'>Phenotypes: measured on the patient’s study nearest in time.</p>"
    )
    st.html(f"<table class='e2e-table pairs'><tbody>{rows}</tbody></table>{whose}")
    if row.modality == "ECG" and st.button(
        "Open this ECG", type="primary", icon=":material/ecg_heart:", width="stretch"
    ):
        session.open_ecg(Catalog(resources.workspace()).ecg_record(row["id"]))
        st.switch_page(ECG_PAGE)
    if pd.notna(row.study_id) and st.button(
        f"Play the study {row.study_id}",
        type="primary" if row.modality == "study" else "secondary",
        icon=":material/video_library:",
        width="stretch",
    ):
        st.switch_page(STUDIES_PAGE, query_params={browse_session.STUDY_PARAMETER: row.study_id})


def _drawn(linked: pd.DataFrame, row: pd.Series) -> str:
    """What the lines on the map lead to, in words; "" where there are none."""
    others = int((linked.modality == "ECG").sum()) - (row.modality == "ECG")
    ecgs = f"{others} ECG{'s' * (others != 1)}"
    if row.modality == "study":
        return f"Drawn: {ecgs} of this study." if others else ""
    if linked.modality.iloc[0] != "study":
        return f"Drawn: {ecgs} with the same study." if others else ""
    return f"Drawn: the study {row.study_id} that labels it" + (f", and {ecgs} more of that study." if others else ".")


def selection(
    points: pd.DataFrame, inside: np.ndarray, patients: OfPatients, keep_button: Callable[[pd.DataFrame], None]
) -> None:
    """Counts, download, comparison with the rest, and members of a lasso.

    Args:
        points: Of the map. inside: (n,) bool, which of them are chosen. patients: Of all of them.
        keep_button: Draws the way to keep chosen points.
    """
    chosen = grades_in_words(points[inside])
    counts = chosen.modality.value_counts()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(
            f"<div class='e2e-study'><b>Selection</b> {counted(counts.get('ECG', 0), 'ECG')} · "
            f"{counted(counts.get('study', 0), 'study', 'studies')} · {counted(chosen.patient_id.nunique(), 'patient')}"
            "</div>",
            width="stretch",
        )
        if admin_gate.allows("export a cohort"):
            st.download_button(
                "CSV",
                _table(chosen, "selection of the map"),
                "selection.csv",
                "text/csv",
                icon=":material/download:",
                on_click="ignore",
            )
        keep_button(chosen)
        if st.button("Clear", type="tertiary"):
            map_session.clear_selection()
            st.rerun()
    _against_the_rest(compare(patients, inside))
    st.html("<h2 class='e2e-section'>Members</h2>")
    names = {n: f"{p.short} {p.unit}".strip() for n, p in PHENOTYPES.items() if n in chosen}
    listed = chosen.head(MOST_LISTED)
    members = listed[["id", "modality", "patient_id", "sex", "age_years", *names]].rename(
        columns={"id": "Id", "modality": "Kind", "patient_id": "Patient", "sex": "Sex", "age_years": "Age"} | names
    )
    formats = {
        label: st.column_config.NumberColumn(format=f"%.{PHENOTYPES[n].decimals}f")
        for n, label in names.items()
        if PHENOTYPES[n].kind == "number"
    }
    more = f" The first {MOST_LISTED} of {len(chosen)}; the CSV holds all." if len(chosen) > MOST_LISTED else ""
    st.caption(f"Choose a row to open it.{more}")
    event = st.dataframe(
        members,
        hide_index=True,
        height=320,
        row_height=29,
        alt="Members of the selection",
        column_config=formats | {"Age": st.column_config.NumberColumn(format="%.0f")},
        on_select="rerun",
        selection_mode="single-row",
        key=f"map_members_{map_session.map_round()}",
    )
    if event.selection.rows:
        one_point(points, members.index[event.selection.rows[0]], is_drawn=False)


def _against_the_rest(rows: list[GroupRow]) -> None:
    """Medians and middle halves of the selection and of the rest, effect and corrected p."""
    if not rows:
        st.caption(f"Too few patients on one side to compare (at least {FEWEST_PATIENTS}).")
        return
    body = "".join(_group_row(row) for row in rows)
    st.html(
        "<table class='e2e-table'><caption>Against the rest of the map</caption><thead><tr><th>Median (middle "
        "half)</th>"
        "<th class='num'>Selection</th><th class='num'>Rest</th><th class='num'>Effect δ</th><th class='num'>p, "
        "corrected</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
    st.caption(
        f"One value per patient. Cliff’s δ; Mann–Whitney, Holm over {len(rows)}. You drew the group after seeing the "
        "map: "
        "treat p as description."
    )


def _group_row(row: GroupRow) -> str:
    phenotype = PHENOTYPES.get(row.name)
    name, unit, digits = (phenotype.short, phenotype.unit, phenotype.decimals) if phenotype else ("Age", "y", 0)
    sides = "".join(
        f"<td class='num'><b>{number(middle, digits)}</b> <small>({interval(low, high, digits)})</small></td>"
        for low, middle, high in (row.group, row.rest)
    )
    effect = signed(row.delta, 2)
    return (
        f"<tr><th scope='row'>{name} <span>{unit}</span></th>{sides}<td class='num'>{effect}</td><td "
        f"class='num'>{escape(p_value(row.p))}</td></tr>"
    )
