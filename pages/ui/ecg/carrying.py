"""Which leads and parts of the beat carry the LVEF estimate: a tint under the trace, shares in words, and the check.

Made when asked for: some seconds of work, once per ECG and model.
"""

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures import ecg as figures
from echo2ecg_core.figures import export
from echo2ecg_core.figures.ecg import Paper
from echo2ecg_core.figures.notation import THIN, number, percent
from echo2ecg_core.reports.folder import Print
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import print_as, resources, session
from pages.ui.ecg.lvef_card import why_no_value
from pages.ui.ecg.paper.paper import show_paper
from pages.ui.errors import errors_in_words

LAYOUT = "12×1"  # every lead over the whole time that the model reads
HALF = 0.5
METHOD = (
    "Integrated gradients from a flat ECG to this one, through network and readout. They tell what this model used, "
    "not what causes a low LVEF."
)
MIME = {"svg": "image/svg+xml", "pdf": "application/pdf"}


def draw(record: EcgRecord, report: dict, card: ModelCard) -> None:
    """The section below the evidence; nothing where no LVEF was estimated."""
    if why_no_value(report):
        return
    st.html('<h2 class="e2e-section">Which leads and parts of the beat carry the LVEF</h2>')
    st.caption(METHOD)
    if st.toggle("Show it on the trace (some seconds, once)", key=session.carrying_key()):
        with errors_in_words(), st.spinner("Tracing the estimate back to the leads …", show_time=True):
            why = resources.why(record, card)
            _show(why, report)


def _show(why, report: dict) -> None:
    from echo2ecg_core.answers.why import CELL_S

    paper = figures.with_tints(plan_carrying(why.record, session.gain_mm_mv()), why.contribution, CELL_S)
    if not why.holds:
        st.warning("The check by deletion fails on this ECG: do not read the tint.", icon=":material/info:")
    for sentence in sentences(why):
        st.markdown(sentence)
    show_paper(why.record, paper, without_wander=False, start_s=0.0, calipers=None, key="carrying_paper")
    st.html(
        '<p class="e2e-caption"><span><i class="e2e-tint up"></i> raises the estimate &nbsp; '
        '<i class="e2e-tint down"></i> lowers it &nbsp; against a flat ECG; the deeper the tint, the more</span></p>'
    )
    with st.container(horizontal=True, gap="small"):
        for kind in MIME:
            _download(why.record, paper, report, kind)
        with st.popover("For a paper", icon=":material/article:", type="tertiary"):
            chosen = print_as.controls()
            print_as.buttons("lvef-attribution-column", lambda kind: _column_file(why, report, kind, chosen), "column")


def _column_file(why, report: dict, kind: str, chosen: Print) -> bytes:
    from echo2ecg_core.reports.paper_figures import attribution_file

    return attribution_file(why.record, report, why, resources.workspace(), kind, chosen)


def plan_carrying(record: EcgRecord, gain_mm_mv: int) -> Paper:
    """The paper of what the model read: twelve rows at 25 mm/s."""
    reach = figures.reach_of(record.signal_mv[:, : round(figures.PAPER_S * record.sampling_rate_hz)])
    return figures.plan_paper(record.duration_s, LAYOUT, session.DEFAULT_SPEED, gain_mm_mv, 0.0, reach)


def sentences(why) -> list[str]:
    """Shares of leads and of parts of the beat, and the check by deletion, in words."""
    total, leads = 0.0, []
    for lead, share in why.lead_share.items():
        if total >= HALF:
            break
        total += share
        leads.append(f"{lead} {percent(share)}")
    found = [
        f"**Leads.** {', '.join(leads)} carry {percent(total)} of it; with equal shares each would carry 8{THIN}%."
    ]
    if why.part_share:
        parts = ", ".join(
            f"{part} {percent(share)} in {percent(time)} of the time"
            for part, (share, time) in sorted(why.part_share.items(), key=lambda item: -item[1][0])
        )
        found.append(f"**Parts of the beat.** {parts}.")
    moved = {name: number(points, 1) for name, points in why.moved.items()}
    found.append(
        f"**Check by deletion.** With the tenth that carries most laid flat the estimate moves by {moved['named']} "
        f"points, with a random tenth by {moved['random']}, with the tenth of largest deflections by "
        f"{moved['largest']}."
    )
    return found


def _download(record: EcgRecord, paper: Paper, report: dict, kind: str) -> None:
    title = f"What carries the LVEF estimate, {record.source}"

    def make() -> bytes:
        provenance = export.provenance_line(report, record.source)
        figure = figures.ecg_figure(record, paper, title=title, footer=provenance)
        return export.figure_file(figure, kind, title=title, provenance=provenance)

    st.download_button(
        f"Figure ({kind.upper()})",
        make,
        f"lvef-attribution.{kind}",
        MIME[kind],
        key=f"carrying_{kind}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
