"""What the ECG page shows around its figures: head, facts, notice, controls of the paper, export, errors in words."""

from html import escape
from pathlib import PurePath

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures import ecg as figures
from echo2ecg_core.figures import export
from echo2ecg_core.figures.notation import MISSING, THIN, date, number
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import resources, session
from pages.ui.errors import plain
from pages.ui.ecg_paper.paper import show_paper

STUDIES_PAGE = "pages/studies.py"
MEASURED = """**How far this ECG lies from the training ECGs** is the mean distance to the nearest of them, in what the network sees of
the tracing (spread of its tokens and slopes of the signal). The percentile compares it with ECGs of patients kept aside; above
the {limit}th the ECG is marked. Intervals are calibrated on such patients too, so outside they may be too narrow."""


def badges(synthetic: bool) -> None:
    """Research use only, and the synthetic mark of the active model."""
    st.badge("Research use only", icon=":material/experiment:", color="gray")
    if synthetic:
        st.badge("Synthetic model", icon=":material/deployed_code:", color="blue", help="Trained on simulated hearts only.")


def title(heading: str, name: str = "") -> None:
    """Heading of a page and, beside it, what is open."""
    st.html(f'<div class="e2e-title"><h1>{escape(heading)}</h1><span>{escape(name)}</span></div>', width="content")


def facts_line(record: EcgRecord) -> None:
    """One grey line of facts, and behind "what was done" the reader's notes."""
    with st.container(key="facts", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html(f'<div class="e2e-facts">{" · ".join(escape(fact) for fact in _facts(record))}</div>', width="content")
        with st.popover("what was done", type="tertiary"):
            for note in record.notes or ("Nothing was derived, assumed, cropped or resampled.",):
                st.markdown(f"- {plain(note)}")


def _facts(record: EcgRecord) -> list[str]:
    person = ", ".join(filter(None, (record.sex, f"{number(record.age_years)}{THIN}y" if record.age_years is not None else "")))
    recorded = len(record.leads) - len(record.derived_leads)
    leads = f"{recorded} leads recorded" + (f", {len(record.derived_leads)} derived" if record.derived_leads else "")
    facts = [record.format, record.device, date(record.recorded_at) if record.recorded_at else None, person or "age and sex unknown",
             f"{number(record.duration_s, 1)}{THIN}s", f"{record.sampling_rate_hz:g}{THIN}Hz", leads]
    return [fact for fact in facts if fact] + ([] if record.units == "mV" else ["normalised, not mV"])


def notice(report: dict) -> None:
    """The line before the numbers: no estimate and why, outside the training data, or within it; always the same height."""
    outside, quality = report["out_of_distribution"], report["quality"]
    stopped = not report["phenotypes"]
    amber = stopped or outside["flag"] or quality["verdict"] == "unusable"
    with st.container(key="notice_amber" if amber else "notice_quiet", horizontal=True, vertical_alignment="center", gap="medium"):
        st.html(f'<div class="e2e-notice"><span class="e2e-icon">info</span><p>{_notice_words(report, stopped)}</p></div>')
        if quality["verdict"] == "unusable":
            st.toggle("Predict anyway", key=session.INSIST_KEY, width="content")
        if outside:
            with st.popover("How this is measured", type="tertiary"):
                st.markdown(MEASURED.format(limit=number(outside["limit_percentile"])))


def _notice_words(report: dict, stopped: bool) -> str:
    reason = report["quality"].get("reason") or ""
    if stopped:
        return f"<b>No estimate.</b> {escape(reason.removeprefix('No estimate.').strip())} The tracing is shown; nothing was predicted."
    outside = report["out_of_distribution"]
    if outside["flag"]:
        lead, _, rest = outside["message"].partition(". ")
        words = f"<b>{escape(lead)}.</b> {escape(rest)}"
    else:
        words = (f"<b>Within the training data.</b> Of the ECGs kept aside to set the limit, {number(outside['percentile'])}{THIN}% lie nearer to "
                 f"the training ECGs than this one (limit {number(outside['limit_percentile'])}{THIN}%).")
        if report["model"]["synthetic"]:
            words += " The model has seen simulated hearts only."
    if report["quality"]["verdict"] != "good" and reason:
        words = f"<b>Signal quality {report['quality']['verdict']}.</b> {escape(reason.removeprefix('No estimate.').strip())} {words}"
    return words.replace(" %", f"{THIN}%")


@st.fragment
def ecg_panel(record: EcgRecord) -> None:
    """Controls, paper and caption; a control reruns only this part of the page."""
    with st.container(key="paper_controls", horizontal=True, gap="xsmall", vertical_alignment="center"):
        layout = st.segmented_control("Layout", list(figures.LAYOUTS), default="3×4 + II", required=True, key=session.LAYOUT_KEY,
                                      bind="query-params", label_visibility="collapsed")
        speed = st.segmented_control("Paper speed, mm/s", figures.SPEEDS_MM_S, default=25, required=True, key=session.SPEED_KEY,
                                     bind="query-params", label_visibility="collapsed", format_func=_chosen(session.SPEED_KEY, 25, "mm/s"))
        gain = st.segmented_control("Gain, mm/mV", figures.GAINS_MM_MV, default=10, required=True, key=session.GAIN_KEY, bind="query-params",
                                    label_visibility="collapsed", format_func=_chosen(session.GAIN_KEY, 10, f"mm/{figures.unit_of(record)}"))
        st.space("stretch")
        _calipers_popover()
        _display_popover(record)
    start = min(session.start_s(), max(0.0, record.duration_s - figures.PAPER_S))
    paper = figures.plan_paper(record.duration_s, layout, speed, gain, start)
    show_paper(record, paper, without_wander=session.removes_wander(), start_s=start, calipers=session.calipers_on(), on_calipers=_keyed)
    statements = " ".join(record.statements)
    device = f'<span title="The device’s own words, not ours.">Device: {escape(statements)}</span>' if statements else ""
    st.html(f'<div class="e2e-caption"><span>{escape(figures.caption(record, paper, session.removes_wander()))}</span>{device}</div>')


def _chosen(key: str, default: int, unit: str):
    """Label of a segment: the chosen one carries the unit."""
    return lambda value: f"{value} {unit}" if value == st.session_state.get(key, default) else str(value)


def _keyed() -> None:
    session.set_calipers(bool(st.session_state["ecg_paper"].get("calipers")))


def _calipers_popover() -> None:
    with st.popover("Calipers", icon=":material/straighten:"):
        st.toggle("Calipers", key=session.CALIPERS_KEY, persist_state="session")
        st.caption("Drag on the paper: milliseconds, beats per minute and millivolt. **K** takes them out, **Esc** puts them away.")


def _display_popover(record: EcgRecord) -> None:
    with st.popover("Display", icon=":material/grid_on:"):
        st.toggle("Remove baseline wander", value=session.removes_wander(), key=session.WANDER_KEY, persist_state="session",
                  help="Zero-phase high-pass at 0.5 Hz, for display only: measurements and estimates use the recording itself.")
        if record.duration_s > figures.PAPER_S + 0.05:
            st.slider("Paper starts at (s)", 0.0, round(record.duration_s - figures.PAPER_S, 1), step=0.5, key=session.START_KEY)


def export_menu(record: EcgRecord, report: dict | None) -> None:
    """Downloads: report as JSON, phenotypes as CSV, the paper as it is set up on the page as SVG, PDF and PNG."""
    stem = PurePath(record.source).stem or "ecg"
    with st.popover("Export", icon=":material/download:"):
        if report is not None:
            _download("Report (JSON)", lambda: export.report_json(report), f"{stem}-report.json", "application/json")
        if report and report["phenotypes"]:
            _download("Phenotypes (CSV)", lambda: export.phenotypes_csv(report), f"{stem}-phenotypes.csv", "text/csv")
        for kind, mime in zip(export.FIGURE_FORMATS, ("image/svg+xml", "application/pdf", "image/png"), strict=True):
            _download(f"ECG ({kind.upper()})", lambda kind=kind: _paper_file(record, report, kind), f"{stem}-ecg.{kind}", mime)


def _download(label: str, make, name: str, mime: str) -> None:
    st.download_button(label, make, name, mime, type="tertiary", on_click="ignore", key=f"download_{name.rsplit('-', 1)[-1]}", width="stretch")


def _paper_file(record: EcgRecord, report: dict | None, kind: str) -> bytes:
    state = st.session_state
    paper = figures.plan_paper(record.duration_s, state.get(session.LAYOUT_KEY) or "3×4 + II", state.get(session.SPEED_KEY) or 25,
                               state.get(session.GAIN_KEY) or 10, session.start_s())
    provenance = export.provenance_line(report, record.source)
    figure = figures.ecg_figure(record, paper, without_wander=session.removes_wander(), title=f"ECG {record.source}", footer=provenance)
    return export.figure_file(figure, kind, title=f"ECG {record.source}", provenance=provenance)


def waiting_text(card: ModelCard | None) -> str:
    """What is going on while the estimate is made."""
    if card is None:
        return "Looking for a model …"
    return "Estimating phenotypes …" if resources.is_warm() else f"Loading {card.name} (once, a few seconds), then estimating …"


def nothing_predicted(card_place, notice_place, card: ModelCard | None) -> None:
    """Words where the numbers would stand: no model yet, or its error is told above."""
    if card is None:
        with notice_place.container(key="notice_quiet"):
            st.html('<div class="e2e-notice"><span class="e2e-icon">info</span><p><b>No model yet.</b> The tracing is shown; estimates follow '
                    "as soon as a model is active (the sidebar shows what is being prepared).</p></div>")
    card_place.html(f'<div class="e2e-card-head"><h2>LV ejection fraction</h2></div><div class="e2e-value"><b>{MISSING}</b></div>')


def studies_button(report: dict) -> None:
    """The way to the studies that look alike; without an estimate there is nothing to search with."""
    if st.button("Open the ten nearest studies", type="primary", icon=":material/video_library:", width="stretch",
                 disabled=not report["phenotypes"]):
        st.switch_page(STUDIES_PAGE)
