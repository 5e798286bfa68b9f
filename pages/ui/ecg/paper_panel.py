"""The paper with its controls and caption, and everything that leaves the page as a file."""

from collections.abc import Callable
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures import ecg as figures
from echo2ecg_core.figures import export
from echo2ecg_core.figures.beats import plan_beats
from echo2ecg_core.figures.ecg import Paper
from echo2ecg_core.figures.notation import THIN
from echo2ecg_core.figures.tables import csv_file
from pages.ui import panels, resources, session
from pages.ui.ecg.case_report import case_report_button
from pages.ui.ecg.paper.paper import show_beat, show_paper
from pages.ui.ecg.signal_tables import wave_table

if TYPE_CHECKING:
    from echo2ecg_core.answers.predict import Prediction

CALIPERS_HELP = (
    "Drag on the paper: milliseconds, beats per minute, millivolt. Drag an edge or the whole to move it; arrow keys "
    "move the second edge by a quarter of a millimetre, with Shift the whole. **M** marches the distance out over the "
    "paper. **K** takes the calipers out, **Esc** puts them away."
)
WAVES_WORDS = (
    "Median of the beats that look alike, as recorded (hum taken off); the level of the 20 ms before the QRS complex "
    "is zero. R: the highest point of the complex. S: the lowest after its first upward wave, of a QS complex the "
    "lowest."
)
WANDER_HELP = "Zero-phase high-pass at 0.5 Hz, for display only: measurements and estimates use the recording itself."
BOUNDS_WORDS = """The dashed lines are the bounds from which PR, QRS and QT are measured, over all leads at once:
**P** begins, **QRS**
begins, **J** where QRS ends, **T end**. A bound that was not found has no line, and its interval no value."""
MIME = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}


@st.fragment
def ecg_panel(record: EcgRecord) -> None:
    """Controls, paper and caption; a control reruns only this part of the page."""
    with st.container(key="paper_controls", horizontal=True, gap="xsmall", vertical_alignment="center"):
        _scale_controls(figures.unit_of(record))
        st.space("stretch")
        _calipers_popover()
        _display_popover(record)
    paper = _paper(record)
    show_paper(
        record,
        paper,
        without_wander=session.removes_wander(),
        start_s=paper.strips[0].start_s,
        calipers=session.calipers_on(),
        on_calipers=_calipers_keyed,
    )
    st.html(_caption(record, paper))


def _scale_controls(unit: str) -> None:
    """Layout, speed and gain; their keys are names in the address, so that it holds the view."""
    st.segmented_control(
        "Layout",
        list(figures.LAYOUTS),
        default=session.DEFAULT_LAYOUT,
        key=session.LAYOUT_KEY,
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    st.segmented_control(
        "Paper speed, mm/s",
        figures.SPEEDS_MM_S,
        default=session.DEFAULT_SPEED,
        key=session.SPEED_KEY,
        format_func=lambda speed: "25 mm/s" if speed == session.DEFAULT_SPEED else str(speed),
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    st.segmented_control(
        f"Gain, mm/{unit}",
        figures.GAINS_MM_MV,
        default=session.DEFAULT_GAIN,
        key=session.GAIN_KEY,
        format_func=lambda gain: f"10 mm/{unit}" if gain == session.DEFAULT_GAIN else str(gain),
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )


def _paper(record: EcgRecord) -> Paper:
    """The plan of what is set up on the page."""
    last_start = max(0.0, record.duration_s - figures.PAPER_S)
    start_s = min(session.start_s(), last_start)
    drawn = figures.displayed_signal(record, session.removes_wander())
    first = round(start_s * record.sampling_rate_hz)
    shown = drawn[:, first : first + round(figures.PAPER_S * record.sampling_rate_hz)]
    return figures.plan_paper(
        record.duration_s,
        session.layout(),
        session.speed_mm_s(),
        session.gain_mm_mv(),
        start_s,
        figures.reach_of(shown),
    )


def _calipers_keyed() -> None:
    session.set_calipers(bool(st.session_state["ecg_paper"].get("calipers")))


def _calipers_popover() -> None:
    with st.popover("Calipers", icon=":material/straighten:"):
        st.toggle("Calipers", key=session.CALIPERS_KEY, persist_state="session")
        st.caption(CALIPERS_HELP)


def _display_popover(record: EcgRecord) -> None:
    with st.popover("Display", icon=":material/grid_on:"):
        on = session.removes_wander()
        st.toggle("Remove baseline wander", on, key=session.WANDER_KEY, persist_state="session", help=WANDER_HELP)
        last_start = round(record.duration_s - figures.PAPER_S, 1)
        if last_start > 0:
            st.slider("First second on the paper", 0.0, last_start, step=0.1, key=session.START_KEY)


def _caption(record: EcgRecord, paper: Paper) -> str:
    done = escape(figures.caption(record, paper, session.removes_wander()))
    statements = escape(" ".join(record.statements))
    device = f'<span title="The device’s own words, not ours.">Device: {statements}</span>' if statements else ""
    return f'<div class="e2e-caption"><span>{done}</span>{device}</div>'


def beats_panel(record: EcgRecord) -> None:
    """The median beat with the bounds of its waves, so that every interval can be checked with the eye."""
    beat = resources.median_beat(record)
    if beat is None:
        st.caption("No repeating beat was found in this tracing.")
        return
    unit = figures.unit_of(record)
    paper = plan_beats(beat)
    left, right = st.container(key="beats").columns((786, 370), gap=20)
    with left:
        show_beat(beat, paper, unit)
    with right:
        st.markdown(
            f"Median of the **{beat.n_beats}** beats that look alike; ectopic beats are left out. "
            f"{paper.speed_mm_s}{THIN}mm/s, {paper.gain_mm_mv}{THIN}mm/{unit}, 0.5–40{THIN}Hz."
        )
        st.markdown(BOUNDS_WORDS)


def waves_panel(record: EcgRecord) -> None:
    """R, S and ST of every lead of the median beat."""
    waves = resources.lead_waves(record)
    if waves:
        st.space("small")
        st.html(panels.scrolling(wave_table(waves, figures.unit_of(record)), "R, S and ST of every lead"))
        st.caption(WAVES_WORDS)


def export_menu(record: EcgRecord, prediction: "Prediction | None") -> None:
    """Downloads: report as JSON, phenotypes as CSV, the paper as it is set up on the page as SVG, PDF and PNG.

    A popover of download buttons, because a menu button would need a second click to hand over the file.
    """
    stem, report = PurePath(record.source).stem or "ecg", prediction.as_json() if prediction else None
    paper = _paper(record)
    with st.popover("Export", icon=":material/download:"), st.container(key="export_list"):
        if prediction is not None and report is not None:
            _download("Report (JSON)", lambda: export.report_json(report), f"{stem}-report.json", "application/json")
            case_report_button(record, prediction, stem)
        if report and report["phenotypes"]:
            _download("Phenotypes (CSV)", _phenotypes_file(report), f"{stem}-phenotypes.csv", "text/csv")
        for kind in export.FIGURE_FORMATS:
            make = _paper_file(record, paper, report, kind)
            _download(f"ECG on paper ({kind.upper()})", make, f"{stem}-ecg.{kind}", MIME[kind])


def _download(label: str, make: Callable[[], str | bytes], name: str, mime: str) -> None:
    """A button that makes its file only when it is clicked."""
    key = f"download_{name.rsplit('.', 1)[-1]}"
    st.download_button(label, make, name, mime, key=key, type="tertiary", on_click="ignore", width="stretch")


def _phenotypes_file(report: dict) -> Callable[[], bytes]:
    return lambda: csv_file(export.phenotypes_csv(report))


def _paper_file(record: EcgRecord, paper: Paper, report: dict | None, kind: str) -> Callable[[], bytes]:
    without_wander = session.removes_wander()
    title, provenance = f"ECG {record.source}", export.provenance_line(report, record.source)

    def make() -> bytes:
        figure = figures.ecg_figure(record, paper, without_wander=without_wander, title=title, footer=provenance)
        return export.figure_file(figure, kind, title=title, provenance=provenance)

    return make
