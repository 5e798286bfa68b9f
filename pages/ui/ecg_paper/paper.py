"""The ECG on the page: a Streamlit component that draws the planned paper with an exact grid, and its calipers.

The plan (millimetres) is the one the printed figures use; the browser only chooses whole pixels per millimetre.
Script and style are read from the files beside this one; nothing is fetched from elsewhere.
"""

import base64
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.ecg import PAPER_S, Paper, displayed_signal, pulse_outline, unit_of

HERE = Path(__file__).parent
_GAP = -32768
_HTML = '<div class="frame"><div class="scroller"></div><output class="reading" hidden></output></div>'


@lru_cache(maxsize=1)
def _component():
    """The component, registered once per process."""
    return st.components.v2.component(
        "echo2ecg_ecg_paper", html=_HTML, css=(HERE / "paper.css").read_text(), js=(HERE / "paper.js").read_text()
    )


def show_paper(
    record: EcgRecord,
    paper: Paper,
    *,
    without_wander: bool,
    start_s: float,
    calipers: bool,
    on_calipers: Callable[[], None],
    key: str = "ecg_paper",
) -> None:
    """Draw the paper.

    Args:
        record: The recording.
        paper: Its plan.
        without_wander: Draw without baseline wander.
        start_s: First second of the paper.
        calipers: Whether the calipers are out.
        on_calipers: Called when K or Esc changed that; the new value is `st.session_state[key]["calipers"]`.
        key: Name of the component on the page.
    """
    data = {
        "plan": _plan(paper),
        "signal": _signal(record, without_wander, start_s),
        "unit": unit_of(record),
        "alt": _in_words(record, paper),
        "calipers": calipers,
    }
    _component()(key=key, data=data, default={"calipers": calipers}, on_calipers_change=on_calipers)


def _plan(paper: Paper) -> dict:
    plan = {name: value for name, value in asdict(paper).items() if name not in ("strips", "pulse_baselines_mm")}
    plan["pulses"] = [list(zip(*pulse_outline(paper, baseline), strict=True)) for baseline in paper.pulse_baselines_mm]
    left = min(strip.x_mm for strip in paper.strips)
    plan["strips"] = [{**asdict(s), "row": LEADS.index(s.lead), "tick": s.x_mm > left} for s in paper.strips]
    return plan


def _signal(record: EcgRecord, without_wander: bool, start_s: float) -> dict:
    """The ten seconds on the paper as 16-bit whole numbers in base64; a gap is -32768."""
    rate = record.sampling_rate_hz
    first = round(start_s * rate)
    part = displayed_signal(record, without_wander)[:, first : first + round(PAPER_S * rate)]
    scale = float(np.nanmax(np.abs(part), initial=1e-3)) / 32000
    whole = np.where(np.isfinite(part), np.rint(np.nan_to_num(part) / scale), _GAP).astype("<i2")
    return {
        "samples": base64.b64encode(whole.tobytes()).decode(),
        "scale": scale,
        "rate": rate,
        "start_s": first / rate,
    }


def _in_words(record: EcgRecord, paper: Paper) -> str:
    return (
        f"Twelve-lead ECG {record.source}, layout {paper.layout}, {paper.speed_mm_s:g} mm/s, {paper.gain_mm_mv:g} "
        f"mm/{unit_of(record)}, {record.duration_s:.1f} s at {record.sampling_rate_hz:g} Hz. "
        "The intervals measured in it follow in words below."
    )
