"""The wall motion of the open study: bull's-eye, the abnormal segments in words, and the figure as a file."""

from collections.abc import Callable
from html import escape

import streamlit as st

from echo2ecg_core.figures.export import FIGURE_FORMATS, figure_file, provenance_line
from echo2ecg_core.findings import SCORES, SEGMENTS
from echo2ecg_core.store.rows import StudyRow
from pages.ui import resources
from pages.ui.ecg.paper_panel import MIME
from pages.ui.report.charts.show import show_charts
from pages.ui.scheme import scheme

HEADING = "Wall motion, measured"
ONLY_INDEX = "Wall motion: this study came with its score index only, without the scores of the segments."


def show(study: StudyRow) -> None:
    """Show the scores of a study; a sentence where it has the index alone, nothing where it has neither."""
    scores = study.findings.wall_motion_scores
    if scores is None:
        if "wall_motion_score_index" in study.phenotypes:
            st.caption(ONLY_INDEX)
        return
    left, right = st.container(key="wall_motion").columns((380, 400), gap=8, vertical_alignment="center")
    with left:
        svg = resources.bullseye_svg(scores, scheme.is_dark())
        show_charts([(HEADING, "17 segments, seen from the apex", svg)], key="bullseye")
    with right:
        st.html(f"<ul class='e2e-segments'>{''.join(_lines(scores))}</ul>")
        with st.container(horizontal=True, gap="small"):
            for kind in FIGURE_FORMATS:
                st.download_button(
                    kind.upper(),
                    _file(study, scores, kind),
                    f"{study.study_id}-wall-motion.{kind}",
                    MIME[kind],
                    key=f"wall_motion_{kind}",
                    type="tertiary",
                    on_click="ignore",
                    icon=":material/download:",
                )


def _lines(scores: tuple[int | None, ...]) -> list[str]:
    """One line a score, the worst first: its word and its segments; normal ones are counted."""
    lines = []
    for score, words in sorted(SCORES.items(), reverse=True):
        names = [name.replace("_", " ") for name, given in zip(SEGMENTS, scores, strict=True) if given == score]
        if names:
            counted = score == min(SCORES) or len(names) == len(SEGMENTS)
            told = f"{len(names)} of {len(SEGMENTS)} segments" if counted else ", ".join(names)
            lines.append(f"<li><b>{score} {escape(words)}</b> {escape(told)}</li>")
    silent = scores.count(None)
    return lines + ([f"<li><b>not scored</b> {silent} of {len(SEGMENTS)} segments</li>"] if silent else [])


def _file(study: StudyRow, scores: tuple[int | None, ...], kind: str) -> Callable[[], bytes]:
    title = f"Wall motion, study {study.study_id}"
    provenance = provenance_line(
        None, f"{study.study_id}, measured on the echo{' (synthetic)' if study.synthetic else ''}"
    )

    def make() -> bytes:
        from echo2ecg_core.figures.chart import Frame
        from echo2ecg_core.figures.wall_motion import bullseye_figure

        return figure_file(
            bullseye_figure(scores, Frame(title=title, footer=provenance)), kind, title=title, provenance=provenance
        )

    return make
