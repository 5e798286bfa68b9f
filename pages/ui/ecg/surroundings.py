"""What stands around the paper of the ECG page: facts of the recording, notice, words where no number stands."""

from html import escape

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures.notation import MISSING, THIN, date, length, number
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import resources, session
from pages.ui.ecg import assumed
from pages.ui.errors import plain, sentence

STUDIES_PAGE = "pages/studies.py"
NOTHING_DONE = "Nothing was derived, assumed, cropped or resampled."
MEASURED = """**How far this ECG lies from the training ECGs** is the mean distance to the nearest of them, measured
twice: in its *signal* (how power spreads over frequencies and leads: devices, filters, noise) and in what the *network*
sees of it (shapes and how leads go together: inverted, reversed or exchanged leads). Each percentile compares it with
ECGs of patients kept aside; above the {limit}th in either the ECG is marked. The intervals are calibrated on such
patients too, so outside they may be too narrow.

{measures}"""
MEASURE_WORDS = {"signal": "Signal", "embedding": "What the network sees"}
LONG_S = 300
SIMULATED_ONLY = "The model has seen simulated hearts only."
NO_MODEL = "<b>No model yet.</b> The tracing is shown; estimates follow as soon as a model is active."


def facts_line(record: EcgRecord) -> None:
    """One grey line of facts, chips for what was assumed, and behind "what was done" the reader's notes."""
    with st.container(key="facts", horizontal=True, gap="xsmall", vertical_alignment="center"):
        facts = " · ".join(escape(fact) for fact in _facts(record))
        st.html(f'<div class="e2e-facts">{facts}</div>', width="content")
        assumed.chips(record)
        with st.popover("what was done", type="tertiary"):
            for note in record.notes or (NOTHING_DONE,):
                st.markdown(f"- {plain(note)}")


def _facts(record: EcgRecord) -> list[str]:
    age = f"{number(record.age_years)}{THIN}y" if record.age_years is not None else ""
    recorded = len(record.leads) - len(record.derived_leads)
    derived = f", {len(record.derived_leads)} derived" if record.derived_leads else ""
    facts = (
        record.format,
        record.device,
        date(record.recorded_at) if record.recorded_at else "",
        ", ".join(filter(None, (record.sex, age))) or "age and sex unknown",
        length(record.duration_s),
        f"{record.sampling_rate_hz:g}{THIN}Hz",
        f"{recorded} leads recorded{derived}",
        "" if record.units == "mV" else "normalised, not mV",
    )
    return [fact for fact in facts if fact]


def notice(report: dict) -> None:
    """The line before the numbers: no estimate and why, outside the training data, or within it; of one height."""
    outside, unusable = report["out_of_distribution"], report["quality"]["verdict"] == "unusable"
    amber = unusable or outside is None or outside["flag"] or bool(report["ecg"].get("doubts"))
    key = "notice_amber" if amber else "notice_quiet"
    with st.container(key=key, horizontal=True, vertical_alignment="center", gap="medium"):
        _notice_line(_notice_words(report))
        if unusable:
            st.toggle("Predict anyway", key=session.INSIST_KEY, width="content")
        if outside:
            with st.popover("How this is measured", type="tertiary"):
                limit = number(outside["limit_percentile"])
                st.markdown(MEASURED.format(limit=limit, measures=_measures(outside)))


def _measures(outside: dict) -> str:
    """The percentile of each measure, as lines of a list."""
    return "\n".join(
        f"- {MEASURE_WORDS[name]}: {number(measure['percentile'], 1)}{', beyond the limit' if measure['flag'] else ''}"
        for name, measure in outside.get("measures", {}).items()
    )


def _notice_line(words: str) -> None:
    st.html(f'<div class="e2e-notice"><span class="e2e-icon">info</span><p>{words}</p></div>')


def _notice_words(report: dict) -> str:
    """Quality that only limits the estimate, pacing and swapped leads are told in its card, once."""
    quality, outside = report["quality"], report["out_of_distribution"]
    doubts = " ".join(report["ecg"].get("doubts") or ())
    not_settled = f" <b>Not settled.</b> {escape(doubts)}" if doubts else ""
    if outside is None:
        reason = escape((quality.get("reason") or "").removeprefix("No estimate.").strip())
        return f"<b>No estimate.</b> {reason} The tracing is shown; nothing was predicted.{not_settled}"
    words = _distance_words(outside, report["model"]["synthetic"])
    if quality["verdict"] == "unusable":  # predicted all the same
        words = f"<b>Signal quality unusable.</b> {escape(quality.get('reason') or '')} {words}"
    return words + not_settled


def _distance_words(outside: dict, synthetic: bool) -> str:
    """Outside: the workflow's own sentence, so that page and terminal say the same; within: where and how far."""
    if outside["flag"]:
        lead, _, rest = outside["message"].partition(". ")
        return f"<b>{escape(lead)}.</b> {escape(rest)}".replace(" %", f"{THIN}%")
    seen = f" {SIMULATED_ONLY}" if synthetic else ""
    return (
        f"<b>Within the training data.</b> {number(outside['percentile'])}{THIN}% of the ECGs kept aside to set the "
        "limit lie nearer to the training ECGs than this one; "
        f"the limit is {number(outside['limit_percentile'])}{THIN}%.{seen}"
    )


def waiting_text(card: ModelCard | None, record: EcgRecord) -> str:
    """What is going on while the estimate is made."""
    if card is None:
        return "Looking for a model …"
    if record.duration_s > LONG_S:
        return f"Estimating phenotypes from all of {length(record.duration_s)}; an hour of ECG takes about a minute …"
    if resources.is_warm():
        return "Estimating phenotypes …"
    return f"Loading {card.name} (once, a few seconds), then estimating phenotypes …"


def nothing_predicted(card_place, notice_place, card: ModelCard | None) -> None:
    """Words where the numbers would stand: there is no model yet, or its error is told above."""
    if card is None:
        with notice_place, st.container(key="notice_quiet"):
            _notice_line(NO_MODEL)
    card_place.html(
        f'<div class="e2e-card-head"><h2>LV ejection fraction</h2></div><div class="e2e-value"><b>{MISSING}</b></div>'
    )


def swap_button(record: EcgRecord, report: dict) -> None:
    """Where limb electrodes look swapped: the recording with them put back, and the way back to what was recorded."""
    from echo2ecg_core.ecg.unswap import swapped_electrodes, unswapped

    if (before := session.as_recorded()) is not None:
        st.button("Show it as it was recorded", icon=":material/undo:", on_click=session.open_ecg, args=(before,))
    elif pair := swapped_electrodes(report["quality"].get("notes") or ()):
        st.button(
            f"Show it with {pair} put back",
            icon=":material/swap_horiz:",
            on_click=lambda: session.open_instead(unswapped(record, pair), record),
        )


def studies_button(report: dict, card: ModelCard) -> None:
    """The way to the studies that look alike; without an estimate there is nothing to search with, without an echo side
    nothing to find."""
    if why := resources.why_no_studies(card):
        st.caption(sentence(why))
        return
    if st.button(
        "Open the ten nearest studies",
        type="primary",
        icon=":material/video_library:",
        width="stretch",
        disabled=report["out_of_distribution"] is None,
    ):
        st.switch_page(STUDIES_PAGE)
