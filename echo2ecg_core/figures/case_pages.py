"""The three pages of a case report, A4 turned: the ECG on paper to scale, estimate and evidence, similar hearts.

Every page carries the same foot: model, weights, workspace, version, date, synthetic, research use only. Nothing here
knows a file's name. Lengths are millimetres from the upper left corner.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from echo2ecg_core.counts import counted
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures import ecg as paper_figures
from echo2ecg_core.figures.chart import LIGHT
from echo2ecg_core.figures.notation import (
    MISSING,
    THIN,
    interval,
    measured_range,
    measured_with_unit,
    number,
    percent,
    predicted,
)
from echo2ecg_core.phenotypes import GRADES, LVEF_CLASS_LABELS, PHENOTYPES

WIDTH_MM, HEIGHT_MM, MARGIN_MM = 297.0, 210.0, 12.0
PAPER_TOP_MM, FOOT_MM = 24.0, 14.0
TEXT_PT, SMALL_PT, HEAD_PT = 8.5, 7.0, 13.0
DOUBTS_END_MM = 62.0  # below, the table would not find its room
MOST_HEARTS = 4
METHOD_WORDS = (
    "Estimates, intervals and test R² are those of the kernel ridge readout of the ECG’s embedding. R² of 1 explains "
    "all of the difference between test patients, 0 none."
)
_MM_OF_POINT = 25.4 / 72
_COLUMNS_MM = (12, 72, 112, 144, 174, 224, 256)  # left edges of the columns of the phenotype table


@dataclass(frozen=True, eq=False)
class Heart:
    """One similar study: what is written of it, and its pictures at end-diastole and end-systole (None: no clip)."""

    title: str
    lines: tuple[str, ...]
    pictures: tuple[np.ndarray, np.ndarray] | None
    caption: str


class Page:
    """An empty A4 page with heading and foot."""

    def __init__(self, heading: str, foot: Sequence[str], place: int, of: int = 3):
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(WIDTH_MM / 25.4, HEIGHT_MM / 25.4), dpi=72, facecolor=LIGHT.page)
        self.write(MARGIN_MM, 14, heading, size=HEAD_PT, weight="bold")
        self.write(WIDTH_MM - MARGIN_MM, 14, f"{place} of {of}", size=SMALL_PT, color=LIGHT.muted, ha="right")
        for i, line in enumerate(reversed(foot)):
            self.write(MARGIN_MM, HEIGHT_MM - 5 - 3.4 * i, line, size=SMALL_PT, color=LIGHT.muted)

    def write(self, x: float, y: float, words: str, *, size: float = TEXT_PT, **kind) -> None:
        """One line of text with its baseline at y."""
        at = (x / WIDTH_MM, 1 - y / HEIGHT_MM)
        style: dict[str, Any] = {"fontsize": size, "color": LIGHT.text, "parse_math": False}
        self.figure.text(*at, words, **(style | kind))

    def paragraph(self, x: float, y: float, words: str, width: float, *, size: float = TEXT_PT, **kind) -> float:
        """Lines of at most this width; returns where the next one goes."""
        for line in textwrap.wrap(words, max(20, int(width / (0.56 * size * _MM_OF_POINT)))):
            self.write(x, y, line, size=size, **kind)
            y += 1.35 * size * _MM_OF_POINT
        return y

    def axes(self, x: float, y: float, width: float, height: float):
        """Axes with their upper left corner there."""
        box = (x / WIDTH_MM, 1 - (y + height) / HEIGHT_MM, width / WIDTH_MM, height / HEIGHT_MM)
        return self.figure.add_axes(box)


def ecg_page(record: EcgRecord, facts: str, foot: Sequence[str], *, without_wander: bool = False):
    """The twelve leads at 25 mm/s, as many mm a mV as fit the page; one millimetre is one millimetre in print."""
    page = Page("ECG", foot, 1)
    page.write(MARGIN_MM, 20, facts, color=LIGHT.muted)
    paper = _fitting_paper(record, without_wander)
    left = (WIDTH_MM - paper.width_mm) / 2
    axes = page.axes(left, PAPER_TOP_MM, paper.width_mm, paper.height_mm)
    paper_figures.draw_paper(axes, record, paper, without_wander=without_wander)
    words = paper_figures.caption(record, paper, without_wander)
    page.write(left, min(PAPER_TOP_MM + paper.height_mm + 5, HEIGHT_MM - FOOT_MM - 2), words, size=SMALL_PT)
    return page.figure


def _fitting_paper(record: EcgRecord, without_wander: bool) -> paper_figures.Paper:
    reach = paper_figures.reach_of(paper_figures.displayed_signal(record, without_wander))
    for gain in sorted(paper_figures.GAINS_MM_MV, reverse=True):
        paper = paper_figures.plan_paper(record.duration_s, gain_mm_mv=gain, reach_mv=reach)
        if gain <= 10 and paper.height_mm <= HEIGHT_MM - PAPER_TOP_MM - FOOT_MM - 8:
            break
    return paper


def estimate_page(report: dict, doubts: Sequence[str], foot: Sequence[str]):
    """Estimates with intervals and reference ranges, after what speaks against trusting them.

    Args:
        report: `Prediction.as_json()`.
        doubts: Sentences on quality, what lies outside the training data, and what the file left open.
        foot: Provenance lines.
    """
    page = Page("Estimate and evidence", foot, 2)
    page.write(MARGIN_MM, 20, _measurement_words(report["measurements"]), color=LIGHT.muted)
    y = 27.0
    for sentence in doubts:
        if y > DOUBTS_END_MM:
            y = page.paragraph(MARGIN_MM, y, "More notes stand on the ECG page.", WIDTH_MM) + 0.6
            break
        y = page.paragraph(MARGIN_MM, y, sentence, WIDTH_MM - 2 * MARGIN_MM) + 0.6
    y = _lvef(page, report, y + 3)
    return _phenotypes(page, report, y + 3).figure


def _measurement_words(found: dict) -> str:
    names = (
        ("heart_rate_bpm", "Heart rate", "bpm"),
        ("pr_ms", "PR", "ms"),
        ("qrs_ms", "QRS", "ms"),
        ("qt_ms", "QT", "ms"),
        ("qtc_fridericia_ms", "QTc (Fridericia)", "ms"),
        ("axis_deg", "Axis", "°"),
    )
    return " · ".join(
        f"{label} {number(found.get(name))}{'' if unit == '°' or found.get(name) is None else THIN}"
        f"{unit if found.get(name) is not None else ''}"
        for name, label, unit in names
    )


def _lvef(page: Page, report: dict, y: float) -> float:
    row = next((p for p in report["phenotypes"] if p["name"] == "lvef"), None)
    if row is None or row["value"] is None:
        reason = row["reason"] if row else report["quality"].get("reason") or "Nothing was predicted."
        return page.paragraph(MARGIN_MM, y, f"No estimate of LVEF. {reason or ''}", WIDTH_MM - 2 * MARGIN_MM)
    ends = (
        f"{percent(row['interval_level'])} interval {interval(*row['interval'])}{THIN}%"
        if row["interval"]
        else (row.get("interval_reason") or "no interval")
    )
    page.write(MARGIN_MM, y + 2, f"LVEF {number(row['value'])}{THIN}%", size=15, weight="bold")
    page.write(MARGIN_MM + 42, y + 2, ends, size=10)
    chances = [f"{LVEF_CLASS_LABELS[n]} {percent(p)}" for n, p in (row.get("classes") or {}).items()]
    page.write(MARGIN_MM + 42, y + 7, " · ".join(reversed(chances)), color=LIGHT.muted)
    measured = sorted(n["phenotypes"]["lvef"] for n in report["neighbours"] if "lvef" in n.get("phenotypes", {}))
    if measured:
        listed = ", ".join(number(v) for v in measured)
        nearest = counted(len(measured), "nearest labelled ECG")
        words = f"Measured LVEF of the {nearest} of other patients, %: {listed}."
        page.write(MARGIN_MM + 42, y + 11.5, words, color=LIGHT.muted)
    return y + 15


def _phenotypes(page: Page, report: dict, y: float) -> Page:
    """The table; rows move together where many sentences stand above them."""
    sex, rows = report["ecg"].get("sex"), report["phenotypes"]
    if not rows:
        return page
    heads = (
        "Phenotype",
        "Estimate",
        "Interval",
        "Reference",
        "Interval on the reference range",
        "Chance outside",
        "Test R²",
    )
    for x, words in zip(_COLUMNS_MM, heads, strict=True):
        page.write(x, y, words, size=SMALL_PT, weight="bold", color=LIGHT.muted)
    pitch = min(6.4, (HEIGHT_MM - FOOT_MM - 6 - y) / (len(rows) + 1))
    for row in rows:
        y += pitch
        page.write(_COLUMNS_MM[0], y, row["label"])
        if row["value"] is None:
            page.write(_COLUMNS_MM[1], y, f"{MISSING}   {row['reason'] or ''}", size=SMALL_PT, color=LIGHT.muted)
            continue
        phenotype = PHENOTYPES[row["name"]]
        unit = "" if phenotype.kind == "grade" or not row["unit"] else f"{THIN}{row['unit']}"
        page.write(_COLUMNS_MM[1], y, predicted(phenotype, row["value"]) + unit, weight="bold")
        page.write(_COLUMNS_MM[2], y, measured_range(phenotype, *row["interval"]) if row["interval"] else MISSING)
        page.write(_COLUMNS_MM[3], y, _reference_words(row, sex))
        _range_bar(page, row, sex, y)
        page.write(_COLUMNS_MM[5], y, _chance_words(row.get("chance_outside")))
        page.write(_COLUMNS_MM[6], y, number(row.get("test_r2"), 2))
    page.write(MARGIN_MM, min(y + 7, HEIGHT_MM - FOOT_MM), METHOD_WORDS, size=SMALL_PT, color=LIGHT.muted)
    return page


def _reference_words(row: dict, sex: str | None) -> str:
    ranges, decimals = row["reference"] or {}, PHENOTYPES[row["name"]].decimals
    words = {who: interval(low, high, decimals) for who, (low, high) in ranges.items()}
    if sex in words:
        return words[sex]
    if len({tuple(limits) for limits in ranges.values()}) == 1:
        return next(iter(words.values()))
    return " · ".join(f"{who[0].upper()} {told}" for who, told in words.items()) or MISSING


def _chance_words(chance: dict | None) -> str:
    sides = {side: p for side, p in (chance or {}).items() if p is not None}
    side = max(sides, key=sides.__getitem__, default=None)
    return MISSING if side is None else f"{percent(sides[side])} {side}"


def _range_bar(page: Page, row: dict, sex: str | None, y: float) -> None:
    """Reference as a grey box where the sex settles it, interval as a line, estimate as a dot."""
    phenotype = PHENOTYPES[row["name"]]
    (low, high), ranges = phenotype.axis, row["reference"] or {}
    axes = page.axes(_COLUMNS_MM[4], y - 3.2, 44, 4)
    axes.set(xlim=(low, high), ylim=(0, 1))
    axes.axis("off")
    axes.axhline(0.5, color=LIGHT.grid, linewidth=1)
    limits = {tuple(ranges[sex])} if sex in ranges else {tuple(found) for found in ranges.values()}
    for first, last in limits if len(limits) == 1 else ():
        axes.axvspan(low if first is None else first, high if last is None else last, 0.1, 0.9, color=LIGHT.bar)
    graded = phenotype.kind == "grade"
    value = GRADES.index(max(row["classes"], key=row["classes"].get)) if graded else row["value"]
    if row["interval"]:
        axes.hlines(0.5, *(np.clip(row["interval"], low, high)), colors=LIGHT.series[0], linewidth=1.4)
    axes.plot(np.clip(value, low, high), 0.5, "o", color=LIGHT.series[0], markersize=4, clip_on=False)


def hearts_page(hearts: Sequence[Heart], words: str, foot: Sequence[str]):
    """The studies nearest to the ECG, each with its measured values and key frames; `words` says what they are."""
    page = Page("Similar hearts", foot, 3)
    page.paragraph(MARGIN_MM, 20, words, WIDTH_MM - 2 * MARGIN_MM, color=LIGHT.muted)
    width, height = (WIDTH_MM - 3 * MARGIN_MM) / 2, (HEIGHT_MM - 30 - FOOT_MM - 4) / 2
    for i, heart in enumerate(hearts[:MOST_HEARTS]):
        x, y = MARGIN_MM + (i % 2) * (width + MARGIN_MM), 33 + (i // 2) * height
        page.write(x, y, heart.title, weight="bold")
        for place, line in enumerate(heart.lines):
            page.write(x + 2 * 45 + 3, y + 6 + 4.2 * place, line, size=SMALL_PT + 0.5)
        for place, (picture, name) in enumerate(zip(heart.pictures or (), ("ED", "ES"), strict=False)):
            axes = page.axes(x + 45 * place, y + 2.5, 44, 56)
            axes.imshow(picture, interpolation="bilinear")
            axes.axis("off")
            axes.set_anchor("NW")
            axes.text(0.03, 0.03, name, transform=axes.transAxes, color="white", fontsize=TEXT_PT, weight="bold")
        page.write(x, y + _picture_mm(heart) + 7, heart.caption, size=SMALL_PT, color=LIGHT.muted)
    return page.figure


def _picture_mm(heart: Heart) -> float:
    """Height of the pictures of a study as they are drawn, 44 mm wide and at most 56 mm high."""
    if not heart.pictures:
        return 2.0
    height, width = heart.pictures[0].shape[:2]
    return min(44 * height / width, 56)


def observed_words(values: dict[str, float], most: int = 12) -> tuple[str, ...]:
    """The measured phenotypes of a study, one a line: "LVEF 61 %"."""
    known = [p for name, p in PHENOTYPES.items() if name in values][:most]
    return tuple(f"{p.short} {measured_with_unit(p, values[p.name])}" for p in known)
