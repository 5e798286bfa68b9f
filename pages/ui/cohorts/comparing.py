"""Two cohorts side by side: Table 1 of a paper with effect sizes, both distributions over one axis, and the files."""

from dataclasses import replace
from functools import partial
from html import escape

import streamlit as st

from echo2ecg_core.figures.export import FIGURE_FORMATS
from echo2ecg_core.figures.tables import Table, csv_file, table_html
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.reports.table_one import FIGURES, Comparison, effects, figure_of_effects, table_files, table_one
from pages.ui import admin_gate, panels, resources
from pages.ui.cohorts import cohort_session, looked_up
from pages.ui.cohorts.distributions import pair
from pages.ui.ecg.paper_panel import MIME
from pages.ui.errors import plain
from pages.ui.report.charts.show import show_charts
from pages.ui.scheme import scheme

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KINDS = {
    "LaTeX": ("table-1.tex", "application/x-tex"),
    "XLSX": ("table-1.xlsx", XLSX),
    "CSV": ("table-1.csv", "text/csv"),
}


def compare(cohort: str, names: list[str]) -> None:
    """Whom with, then the table, the files and the distributions."""
    others = [name for name in names if name != cohort]
    if not others:
        st.caption("There is one cohort. Import another one, or keep a selection of the map under a name.")
        return
    with st.container(key="compare_controls", horizontal=True, gap="small", vertical_alignment="center"):
        st.html(f"<span class='muted'>{escape(cohort)} beside</span>", width="content")
        other = st.selectbox(
            "The other cohort", others, key=cohort_session.OTHER_KEY, label_visibility="collapsed", width=260
        )
        found = looked_up.comparison(cohort, other)
        st.space("stretch")
        _downloads(found)
    if found.synthetic:
        st.badge("Synthetic", icon=":material/deployed_code:", help="Simulated hearts are among them.")
    st.html(panels.scrolling(table_html(_shown(table_one(found))), "Two cohorts side by side"))
    st.caption(plain(" ".join(found.notes())))
    _effects(found)
    _distributions(cohort, other)


def _shown(table: Table) -> Table:
    """The table without the columns that only a file has."""
    shown = [i for i, column in enumerate(table.columns) if column.printed]
    rows = tuple(tuple(row[i] for i in shown) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in shown), rows=rows)


def _downloads(found: Comparison) -> None:
    if not admin_gate.allows("export a cohort"):
        return
    place = resources.workspace()

    def make(file: str) -> bytes:
        content = table_files(found, resources.workspace_name())[file]
        return csv_file(content.decode()) if file.endswith(".csv") else content

    for label, (file, mime) in KINDS.items():
        st.download_button(
            label,
            admin_gate.exporting(partial(make, file), "table of two cohorts", place),
            file,
            mime,
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"table_one_{label.lower()}",
        )


def _effects(found: Comparison) -> None:
    """Both forests, which leave as figures."""
    dark = scheme.is_dark()
    kinds = {kind: words for kind, words in FIGURES.items() if effects(found, kind)}
    drawn = [(words, "95 % intervals", looked_up.effects_svg(kind, dark, found)) for kind, words in kinds.items()]
    show_charts(drawn, key="cohort_effects")
    with st.container(horizontal=True, gap="small", key="effect_files"):
        for kind, words in kinds.items():
            with st.popover(words.partition(",")[0], icon=":material/download:"), st.container(key=f"effects_{kind}"):
                for suffix in FIGURE_FORMATS:
                    st.download_button(
                        suffix.upper(),
                        partial(figure_of_effects, found, kind, suffix, resources.workspace_name()),
                        f"effects-{kind}.{suffix}",
                        MIME[suffix],
                        type="tertiary",
                        on_click="ignore",
                        key=f"effects_{kind}_{suffix}",
                    )


def _distributions(cohort: str, other: str) -> None:
    first, second = ({d.name: d for d in looked_up.distributions(name)} for name in (cohort, other))
    cells = "".join(
        f"<figure><figcaption><b>{escape(p.short)}</b> {escape(p.unit)}</figcaption>"
        f"{pair(first.get(name), second.get(name), p)}</figure>"
        for name, p in PHENOTYPES.items()
        if name in first or name in second
    )
    keys = "".join(
        f"<span class='e2e-key {side}'>{escape(name)}, {words}</span>"
        for side, name, words in (("up", cohort, "upwards"), ("down", other, "downwards"))
    )
    st.html(
        f"<h2 class='e2e-section'>Distributions</h2><div class='e2e-keys'>{keys}</div>"
        f"<div class='e2e-pairs'>{cells}</div>"
    )
    st.caption("One value per study, as shares of each cohort. Grey: the reference range.")
