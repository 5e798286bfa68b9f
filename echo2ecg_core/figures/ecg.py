"""ECG paper: where every lead lies in millimetres, and the same drawn to scale as SVG, PDF or PNG.

The browser's paper and the printed one share `plan_paper`, so they cannot disagree. Rows grow until every trace fits,
up to a limit beyond which a trace is marked as cut. The tracing is drawn as recorded; where baseline wander is removed
(zero-phase high-pass at 0.5 Hz; Kligfield et al., Circulation 115:1306-1324, 2007, allow 0.67 Hz when phase is kept),
it is for display only, and the caption says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.notation import THIN, interval, length, number

PAPER_S = 10.0
WANDER_HZ = 0.5
MOST_REACH_MM = 45  # above or below a zero line; beyond it a trace is cut and marked: pacing spikes of 5 mV at 10 mm/mV
CLEAR_MM = 2  # between the lowest point of a row and the highest of the next
SPEEDS_MM_S = (25, 50)
GAINS_MM_MV = (5, 10, 20)
_LIMB, _CHEST = LEADS[:6], LEADS[6:]
_CABRERA = ("aVL", "I", "-aVR", "II", "aVF", "III")
_ROWS_3X4 = tuple(zip(LEADS[0:3], LEADS[3:6], LEADS[6:9], LEADS[9:12], strict=True))
# name -> (rows of leads, millimetres from one row to the next at 10 mm/mV)
LAYOUTS: dict[str, tuple[tuple[tuple[str, ...], ...], int]] = {
    "3×4 + II": ((*_ROWS_3X4, ("II",)), 26),
    "6×2": (tuple(zip(_LIMB, _CHEST, strict=True)), 20),
    "12×1": (tuple((lead,) for lead in LEADS), 15),
    "Cabrera": (tuple(zip(_CABRERA, _CHEST, strict=True)), 20),
}
_PAIR, _PAIR_S = {"pair": (tuple((lead, lead) for lead in LEADS), 15)}, 4.8
PALETTES = {
    "light": {
        "paper": "#FFFDFC", "fine": "#FBE7E5", "bold": "#F1BFBA", "trace": "#14181D",
        "up": "#2F6FA8", "down": "#C2571A",
    },
    "dark": {
        "paper": "#14191E", "fine": "#20272E", "bold": "#37414B", "trace": "#E9EEF3",
        "up": "#7FB4E6", "down": "#D9692B",
    },
}  # fmt: skip
TINT_OPACITY, FAINTEST, FULL_TINT_PERCENTILE = 0.75, 0.04, 99.5


@dataclass(frozen=True)
class Strip:
    """A piece of one lead on the paper.

    Attributes:
        lead: Lead name as in `LEADS`.
        label: What is printed beside it ("−aVR" when inverted).
        sign: 1, or -1 where the layout shows the lead inverted.
        x_mm, baseline_mm: Left end and zero line, from the upper left corner.
        start_s, end_s: The part of the recording that is shown.
        of: Which recording: 0 this one, 1 the one it is compared with.
    """

    lead: str
    label: str
    sign: int
    x_mm: float
    baseline_mm: float
    start_s: float
    end_s: float
    of: int = 0


@dataclass(frozen=True)
class Mark:
    """A labelled vertical line, `x_mm` from the left edge; `before` puts the label on its left."""

    x_mm: float
    label: str
    before: bool = False


@dataclass(frozen=True)
class Tint:
    """A stretch of a lead that carries a share of an estimate: a rectangle under the trace, lengths in mm.

    `value` runs from -1 (lowers the estimate most) to 1 (raises it most).
    """

    x_mm: float
    top_mm: float
    width_mm: float
    height_mm: float
    value: float


@dataclass(frozen=True)
class Paper:
    """A planned sheet: strips, calibration pulses (left end and zero lines), marks, tints, scales; lengths in mm."""

    layout: str
    speed_mm_s: float
    gain_mm_mv: float
    width_mm: int
    height_mm: int
    label_rise_mm: float
    strips: tuple[Strip, ...]
    pulse_x_mm: float
    pulse_width_mm: float
    pulse_baselines_mm: tuple[float, ...]
    synchronous: bool
    marks: tuple[Mark, ...] = ()
    tints: tuple[Tint, ...] = ()


def plan_paper(
    duration_s: float,
    layout: str = "3×4 + II",
    speed_mm_s: float = 25,
    gain_mm_mv: float = 10,
    start_s: float = 0.0,
    reach_mv: Mapping[str, tuple[float, float]] | None = None,
) -> Paper:
    """Plan ten seconds of paper.

    The columns of a row follow each other in time. A recording that does not fill the paper shows every lead from
    `start_s` instead, so that no lead stays empty.

    Args:
        duration_s: Length of the recording.
        layout: A key of `LAYOUTS`.
        speed_mm_s: Paper speed; 1 mm is 40 ms at 25 mm/s.
        gain_mm_mv: Height of one mV.
        start_s: First second shown.
        reach_mv: Lowest and highest value of every lead (`reach_of`), so that rows make room for them; None: a
            tracing that fits the usual rows.
    """
    rows, pitch = (LAYOUTS | _PAIR)[layout]
    pitch = pitch if gain_mm_mv <= 10 else round(1.5 * pitch)
    margin = 5 + round(0.2 * speed_mm_s)
    room = [row_room(leads, gain_mm_mv, reach_mv or {}) for leads in rows]
    baselines = zero_lines(room, pitch, max(round(0.65 * pitch), math.ceil(gain_mm_mv) + 3))
    left_s = max(0.0, min(PAPER_S, duration_s - start_s))
    synchronous = left_s > PAPER_S - 0.05
    strips = [
        _strip(leads, column, margin, baseline, speed_mm_s, (start_s, left_s), synchronous)
        for leads, baseline in zip(rows, baselines, strict=True)
        for column in range(len(leads))
    ]
    return Paper(
        layout=layout,
        speed_mm_s=speed_mm_s,
        gain_mm_mv=gain_mm_mv,
        width_mm=math.ceil(margin + PAPER_S * speed_mm_s + 2),
        height_mm=max(round(baselines[-1] + max(0.35 * pitch, 7)), math.ceil(baselines[-1] + room[-1][1] + CLEAR_MM)),
        label_rise_mm=0.5 * pitch,
        strips=tuple(strips),
        pulse_x_mm=2.0,
        pulse_width_mm=0.2 * speed_mm_s,
        pulse_baselines_mm=baselines,
        synchronous=synchronous,
    )


def plan_pair(reach_mv: Mapping[str, tuple[float, float]], gain_mm_mv: float) -> Paper:
    """Two recordings lead by lead: this one on the left, the other one on the right, each from its start."""
    plan = plan_paper(_PAIR_S, "pair", gain_mm_mv=gain_mm_mv, reach_mv=reach_mv)
    strips = [replace(s, of=i % 2) for i, s in enumerate(plan.strips)]
    return replace(plan, strips=tuple(strips))


def with_tints(paper: Paper, contribution: np.ndarray, cell_s: float) -> Paper:
    """The paper with a tint under every stretch of a lead that contributes.

    Args:
        paper: The plan.
        contribution: (12, cells) signed, rows in the order of `LEADS`, from the start of the recording.
        cell_s: Seconds a cell.
    """
    full = max(float(np.percentile(np.abs(contribution), FULL_TINT_PERCENTILE)), 1e-12)
    values = np.clip(contribution / full, -1, 1)
    tints = []
    for strip in paper.strips:
        for i, value in enumerate(values[LEADS.index(strip.lead)]):
            begin, end = max(i * cell_s, strip.start_s), min((i + 1) * cell_s, strip.end_s)
            if end <= begin or abs(value) < FAINTEST:
                continue
            x_mm = strip.x_mm + (begin - strip.start_s) * paper.speed_mm_s
            top_mm, width_mm = strip.baseline_mm - paper.label_rise_mm, (end - begin) * paper.speed_mm_s
            tints.append(Tint(x_mm, top_mm, width_mm, 2 * paper.label_rise_mm, float(value)))
    return replace(paper, tints=tuple(tints))


def reach_of(signal_mv: np.ndarray) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of every lead of a drawn signal (12, n); 0 counts too, the zero line stays on paper."""
    known = np.nan_to_num(signal_mv)
    low, high = known.min(axis=1, initial=0.0), known.max(axis=1, initial=0.0)
    return {lead: (float(low[i]), float(high[i])) for i, lead in enumerate(LEADS)}


def row_room(
    leads: tuple[str, ...], gain_mm_mv: float, reach_mv: Mapping[str, tuple[float, float]]
) -> tuple[float, float]:
    """Millimetres that a row needs above and below its zero line, at most MOST_REACH_MM each."""
    up = down = 0.0
    for lead in leads:
        low, high = reach_mv.get(lead.removeprefix("-"), (0.0, 0.0))
        low, high = (-high, -low) if lead.startswith("-") else (low, high)
        up, down = max(up, high * gain_mm_mv), max(down, -low * gain_mm_mv)
    return min(up, MOST_REACH_MM), min(down, MOST_REACH_MM)


def zero_lines(room: list[tuple[float, float]], pitch: float, first: float) -> tuple[int, ...]:
    """Zero lines from the top edge, on whole millimetres: `pitch` apart, or farther where traces would meet."""
    lines = [math.ceil(max(first, room[0][0] + CLEAR_MM + 3))]
    for (_, below), (above, _) in zip(room, room[1:], strict=False):
        lines.append(lines[-1] + math.ceil(max(pitch, below + above + CLEAR_MM)))
    return tuple(lines)


def cut_leads(paper: Paper, reach_mv: Mapping[str, tuple[float, float]]) -> list[str]:
    """Labels of the strips whose trace leaves the room that the paper has for it."""
    found = []
    for strip in paper.strips:
        low, high = sorted(strip.sign * value * paper.gain_mm_mv for value in reach_mv[strip.lead])
        if max(high, -low) > MOST_REACH_MM:
            found.append(strip.label)
    return list(dict.fromkeys(found))


def _strip(
    leads: tuple[str, ...], column: int, margin: float, baseline: float, speed: float, shown_s: tuple, synchronous: bool
) -> Strip:
    """One column of a row; `shown_s` is where the paper starts and how long the recording goes on from there."""
    column_s, lead = PAPER_S / len(leads), leads[column]
    begin = shown_s[0] + (column * column_s if synchronous else 0.0)
    end = min(begin + column_s, sum(shown_s))
    sign = -1 if lead.startswith("-") else 1
    x_mm = margin + column * column_s * speed
    return Strip(lead.removeprefix("-"), lead.replace("-", "−"), sign, x_mm, baseline, begin, end)


def remove_wander(signal_mv: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """The signal without what is slower than 0.5 Hz, phase kept; leads with gaps come back untouched.

    The ends are mirrored upright: turned about their last sample, an end in the middle of a wave became a slope that
    nobody recorded (-0.81 mV for 0.00 in a bundle branch block).

    Args:
        signal_mv: (leads, n) in mV; NaN marks a gap.
        sampling_rate_hz: Samples a second.

    Returns:
        (leads, n) float32.
    """
    leads, n = signal_mv.shape
    pad = min(n - 1, int(2 * sampling_rate_hz))
    padded = np.pad(np.nan_to_num(signal_mv), ((0, 0), (pad, pad)), mode="reflect")
    hertz = np.fft.rfftfreq(padded.shape[1], 1 / sampling_rate_hz)
    keep = 1 / (1 + (WANDER_HZ / np.maximum(hertz, 1e-9)) ** 8)  # Butterworth of order 4, run both ways
    cleaned = np.fft.irfft(np.fft.rfft(padded) * keep, padded.shape[1])[:, pad : pad + n]
    gaps = np.isnan(signal_mv).any(axis=1, keepdims=True)
    return np.where(gaps, signal_mv, cleaned).astype(np.float32)


def displayed_signal(record: EcgRecord, without_wander: bool) -> np.ndarray:
    """(12, n) as it is drawn: as recorded, or without baseline wander."""
    return remove_wander(record.signal_mv, record.sampling_rate_hz) if without_wander else record.signal_mv


def unit_of(record: EcgRecord) -> str:
    """ "mV", or "unit" where the file holds normalised values that no gain can turn into millivolt."""
    return "mV" if record.units == "mV" else "unit"


def caption(record: EcgRecord, paper: Paper, without_wander: bool) -> str:
    """What was done to the tracing, in one line; nothing is filtered or cut in silence."""
    unit = unit_of(record)
    parts = [
        f"{number(paper.speed_mm_s)}{THIN}mm/s",
        f"{number(paper.gain_mm_mv)}{THIN}mm/{unit}",
        f"pulse 1{THIN}{unit}, 200{THIN}ms",
    ]
    if unit != "mV":
        parts.append("normalised, not mV")
    parts.append("baseline wander removed for display" if without_wander else "as recorded, unfiltered")
    if record.duration_s > PAPER_S + 0.05:
        begins, ends = min(s.start_s for s in paper.strips), max(s.end_s for s in paper.strips)
        parts.append(f"{interval(begins, ends, 1)}{THIN}s of {length(record.duration_s)}")
    if not paper.synchronous:
        parts.append(f"shorter than 10{THIN}s: every lead from its start")
    if cut := cut_leads(paper, reach_of(displayed_signal(record, without_wander))):
        parts.append(f"{', '.join(cut)} {'leaves' if len(cut) == 1 else 'leave'} the paper: choose a smaller gain")
    return " · ".join(parts)


def ecg_figure(
    record: EcgRecord,
    paper: Paper,
    *,
    without_wander: bool = False,
    title: str = "",
    footer: str = "",
    palette: str = "light",
):
    """A matplotlib Figure of the paper at true scale: one millimetre on the page is one millimetre.

    Args:
        record: The recording.
        paper: Its plan.
        without_wander: Draw without baseline wander (the caption says which).
        title: Line above the paper.
        footer: Provenance line below, under the caption.
        palette: "light" or "dark" (`PALETTES`).
    """
    from matplotlib.figure import Figure

    colours, head, foot, mm = PALETTES[palette], 8, 12, 1 / 25.4
    width, height = paper.width_mm, paper.height_mm + head + foot
    figure = Figure(figsize=(width * mm, height * mm), facecolor=colours["paper"])
    axes = figure.add_axes((0, foot / height, 1, paper.height_mm / height))
    draw_paper(axes, record, paper, without_wander=without_wander, palette=palette)
    figure.text(2 / width, 1 - 5 / height, title, fontsize=9, color=colours["trace"], weight="bold")
    figure.text(2 / width, 7 / height, caption(record, paper, without_wander), fontsize=7, color=colours["trace"])
    figure.text(2 / width, 2.5 / height, footer, fontsize=6.5, color=colours["trace"])
    return figure


def draw_paper(axes, record: EcgRecord, paper: Paper, *, without_wander: bool = False, palette: str = "light") -> None:
    """Grid and traces on axes that are as many millimetres wide and high as the paper."""
    axes.set(xlim=(0, paper.width_mm), ylim=(paper.height_mm, 0))
    axes.axis("off")
    _draw_grid(axes, paper, PALETTES[palette])
    _draw_tints(axes, paper, PALETTES[palette])
    _draw_traces(axes, paper, displayed_signal(record, without_wander), record.sampling_rate_hz, PALETTES[palette])


def _draw_grid(axes, paper: Paper, colours: dict[str, str]) -> None:
    for step, colour, weight in ((1, colours["fine"], 0.3), (5, colours["bold"], 0.5)):
        axes.vlines(np.arange(0, paper.width_mm + 1, step), 0, paper.height_mm, colors=colour, linewidths=weight)
        axes.hlines(np.arange(0, paper.height_mm + 1, step), 0, paper.width_mm, colors=colour, linewidths=weight)


def _draw_tints(axes, paper: Paper, colours: dict[str, str]) -> None:
    from matplotlib.patches import Rectangle

    for tint in paper.tints:
        colour = colours["up" if tint.value > 0 else "down"]
        box = Rectangle((tint.x_mm, tint.top_mm), tint.width_mm, tint.height_mm, color=colour, linewidth=0)
        box.set_alpha(TINT_OPACITY * abs(tint.value))
        axes.add_patch(box)


def _draw_traces(axes, paper: Paper, signal: np.ndarray, rate: float, colours: dict[str, str]) -> None:
    ink = {"color": colours["trace"], "solid_joinstyle": "round"}
    for baseline in paper.pulse_baselines_mm:
        axes.plot(*pulse_outline(paper, baseline), linewidth=0.7, **ink)
    for strip in paper.strips:
        first, last = round(strip.start_s * rate), round(strip.end_s * rate)
        samples = strip.sign * signal[LEADS.index(strip.lead), first:last]
        x = strip.x_mm + np.arange(len(samples)) / rate * paper.speed_mm_s
        if strip.x_mm > paper.strips[0].x_mm:
            axes.vlines(
                strip.x_mm, strip.baseline_mm - 3, strip.baseline_mm + 3, colors=colours["trace"], linewidths=0.7
            )
        axes.plot(x, strip.baseline_mm - samples * paper.gain_mm_mv, linewidth=0.7, label=strip.label, **ink)
        axes.text(
            strip.x_mm + 1.5,
            strip.baseline_mm - paper.label_rise_mm,
            strip.label,
            fontsize=8,
            weight="bold",
            color=colours["trace"],
            va="center",
        )


def pulse_outline(paper: Paper, baseline_mm: float) -> tuple[list[float], list[float]]:
    """Corner points (x, y) in mm of the calibration pulse of a row: 1 mV high, 200 ms wide, two 1 mm feet."""
    left, right, top = paper.pulse_x_mm + 1, paper.pulse_x_mm + 1 + paper.pulse_width_mm, baseline_mm - paper.gain_mm_mv
    return (
        [left - 1, left, left, right, right, right + 1],
        [baseline_mm, baseline_mm, top, top, baseline_mm, baseline_mm],
    )
