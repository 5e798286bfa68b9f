"""The ECG on the page: a Streamlit component that draws the planned paper with an exact grid, and its calipers.

The plan (millimetres) is the one the printed figures use; the browser only chooses pixels per millimetre.
Script and style are read from the files beside this one; nothing is fetched from elsewhere.
"""

import base64
from collections.abc import Callable
from dataclasses import asdict, astuple
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.beats import MedianBeat
from echo2ecg_core.figures.ecg import PAPER_S, Paper, displayed_signal, plan_pair, pulse_outline, reach_of, unit_of
from echo2ecg_core.figures.notation import length

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
    calipers: bool | None,
    on_calipers: Callable[[], None] | None = None,
    key: str = "ecg_paper",
) -> None:
    """Draw the paper.

    Args:
        record: The recording.
        paper: Its plan.
        without_wander: Draw without baseline wander.
        start_s: First second of the paper.
        calipers: Whether the calipers are out; None for a paper without any.
        on_calipers: Called when K or Esc changed that; the new value is `st.session_state[key]["calipers"]`.
        key: Name of the component on the page.
    """
    rate = record.sampling_rate_hz
    first = round(start_s * rate)
    shown = displayed_signal(record, without_wander)[:, first : first + round(PAPER_S * rate)]
    data = {
        "plan": _plan(paper),
        "signal": _packed(shown, rate, first / rate),
        "unit": unit_of(record),
        "alt": _in_words(record, paper),
        "calipers": calipers,
    }
    if on_calipers is None:
        _component()(key=key, data=data)
    else:
        _component()(key=key, data=data, default={"calipers": calipers}, on_calipers_change=on_calipers)


def show_beat(beat: MedianBeat, paper: Paper, unit: str, *, key: str = "beat_paper") -> None:
    """Draw the median beat on its own sheet, without calipers."""
    bounds = ", ".join(f"{name} at {1000 * at_s:.0f} ms" for name, at_s in beat.bounds_s.items())
    alt = f"Median of {beat.n_beats} beats in twelve leads; {bounds or 'no bounds found'}."
    signal = _packed(beat.signal_mv, beat.sampling_rate_hz, 0.0)
    _component()(key=key, data={"plan": _plan(paper), "signal": signal, "unit": unit, "alt": alt, "calipers": None})


def show_pair(record: EcgRecord, other: EcgRecord, gain_mm_mv: int, *, without_wander: bool) -> None:
    """Draw two recordings lead by lead on one sheet, the other one at the rate of the first.

    Args:
        record, other: The recordings.
        gain_mm_mv: Height of 1 mV.
        without_wander: Draw both without baseline wander.
    """
    rate = record.sampling_rate_hz
    signals = [displayed_signal(one, without_wander) for one in (record, other)]
    signals[1] = _at_rate(signals[1], other.sampling_rate_hz, rate)
    n = min(round(PAPER_S * rate), max(signal.shape[1] for signal in signals))
    both = np.full((2 * len(LEADS), n), np.nan, np.float32)
    for first, signal in zip((0, len(LEADS)), signals, strict=True):
        both[first : first + len(LEADS), : min(n, signal.shape[1])] = signal[:, :n]
    low_high = [reach_of(both[: len(LEADS)]), reach_of(both[len(LEADS) :])]
    reach = {lead: (min(r[lead][0] for r in low_high), max(r[lead][1] for r in low_high)) for lead in LEADS}
    paper = plan_pair(reach, gain_mm_mv)
    alt = f"Every lead of {record.source} beside the same lead of {other.source}; differences stand in words above."
    data = {"plan": _plan(paper), "signal": _packed(both, rate, 0.0), "unit": unit_of(record), "alt": alt}
    _component()(key="pair_paper", data={**data, "calipers": None})


def _at_rate(signal: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """(12, n) read off at another rate, straight lines between samples: for the eye only."""
    if from_hz == to_hz:
        return signal
    at = np.arange(int(signal.shape[1] * to_hz / from_hz)) / to_hz
    return np.stack([np.interp(at, np.arange(signal.shape[1]) / from_hz, lead) for lead in signal])


def _plan(paper: Paper) -> dict:
    plan = {
        name: value for name, value in asdict(paper).items() if name not in ("strips", "pulse_baselines_mm", "tints")
    }
    plan["tints"] = [[round(number, 3) for number in astuple(tint)] for tint in paper.tints]
    plan["pulses"] = [list(zip(*pulse_outline(paper, baseline), strict=True)) for baseline in paper.pulse_baselines_mm]
    left = min(strip.x_mm for strip in paper.strips)
    plan["strips"] = [
        {
            **asdict(s),
            "row": len(LEADS) * s.of + LEADS.index(s.lead),
            "tick": paper.synchronous and s.x_mm > left,
        }
        for s in paper.strips
    ]
    return plan


def _packed(signal: np.ndarray, rate: float, start_s: float) -> dict:
    """(rows, n) as 16-bit whole numbers in base64; a gap is -32768."""
    scale = float(np.nanmax(np.abs(signal), initial=1e-3)) / 32000
    whole = np.where(np.isfinite(signal), np.rint(np.nan_to_num(signal) / scale), _GAP).astype("<i2")
    samples = base64.b64encode(whole.tobytes()).decode()
    return {"samples": samples, "rows": len(whole), "scale": scale, "rate": rate, "start_s": start_s}


def _in_words(record: EcgRecord, paper: Paper) -> str:
    return (
        f"Twelve-lead ECG {record.source}, layout {paper.layout}, {paper.speed_mm_s:g} mm/s, {paper.gain_mm_mv:g} "
        f"mm/{unit_of(record)}, {length(record.duration_s)} at {record.sampling_rate_hz:g} Hz. "
        "The intervals measured in it follow in words below."
    )
