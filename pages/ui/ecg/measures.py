"""The strip under the paper: rate, intervals, axis with their normal limits, and what the signal is worth.

Limits: PR and rate by convention; QRS and axis Surawicz et al., QTc Rautaharju et al. (AHA/ACCF/HRS recommendations
III and IV, J Am Coll Cardiol 53:976-991, 2009).
"""

from dataclasses import dataclass
from html import escape

from echo2ecg_core.ecg.measure import UNSURE_BELOW
from echo2ecg_core.figures.notation import MISSING, THIN, interval, number, with_unit

HIGH, FAIR = 0.8, UNSURE_BELOW  # confidence from which a measurement is told as sure, and as fairly sure
QTC_LIMITS = {"male": (None, 450), "female": (None, 460)}


@dataclass(frozen=True)
class Row:
    """One measurement: its field, label, unit, normal limits (low, high) or by sex, and words where there are none;
    `is_below` where the upper limit itself is beyond (QTc is prolonged from it on)."""

    field: str
    label: str
    unit: str
    limits: tuple | dict | None
    without_limits: str = ""
    is_below: bool = False

    def is_above(self, value: float, high: float) -> bool:
        """True of a value beyond the upper limit."""
        return value >= high if self.is_below else value > high


ALL_ROWS = (
    Row("heart_rate_bpm", "Rate", "bpm", (60, 100)),
    Row("pr_ms", "PR", "ms", (120, 200)),
    Row("qrs_ms", "QRS", "ms", (None, 110)),
    Row("qt_ms", "QT", "ms", None, "judged as QTc"),
    Row("qtc_fridericia_ms", "QTc Fridericia", "ms", QTC_LIMITS, is_below=True),
    Row("qtc_bazett_ms", "QTc Bazett", "ms", QTC_LIMITS, is_below=True),
    Row("axis_deg", "QRS axis", "°", (-30, 90)),
)
STRIP_ROWS = tuple(row for row in ALL_ROWS if row.field != "qtc_bazett_ms")


def measures_strip(report: dict) -> str:
    """HTML of the strip for a prediction report."""
    sex, values = report["ecg"].get("sex"), report["measurements"]
    cells = "".join(_cell(row, values, sex) for row in STRIP_ROWS)
    key = f'<div class="key"><dt>{confidence_bar(0.75)} confidence</dt></div>'
    return f'<div class="e2e-strip"><dl>{cells}{key}</dl><div class="quality">{_quality(report["quality"])}</div></div>'


def confidence_word(confidence: float) -> str:
    """How sure a measurement is: "high", "fair" or "low"."""
    return "high" if confidence >= HIGH else "fair" if confidence >= FAIR else "low"


def confidence_bar(confidence: float) -> str:
    """HTML of a short bar, full when two halves of the beats give the same value."""
    return f'<span class="e2e-sure" aria-hidden="true"><span style="width:{100 * confidence:.0f}%"></span></span>'


def limits_text(row: Row, sex: str | None) -> str:
    """The normal limits in words; of both sexes while the sex is unknown."""
    if row.limits is None:
        return ""
    if isinstance(row.limits, tuple):
        return interval(*row.limits)
    words = {who: interval(*ends).replace("≤", "<" if row.is_below else "≤") for who, ends in row.limits.items()}
    return " · ".join(f"{told} {who[0].upper()}" for who, told in words.items() if sex in (None, who))


def _cell(row: Row, values: dict, sex: str | None) -> str:
    value, confidence = values.get(row.field), (values.get("confidence") or {}).get(row.field)
    if value is None:
        absent = row.field == "pr_ms" and values.get("p_present") is False
        reason = "no P wave found" if absent else "not measurable"
        return (
            '<div title="Could not be measured in this '
            f'tracing."><dt>{row.label}</dt><dd><b>{MISSING}</b><small>{reason}</small></dd></div>'
        )
    unit = "<i class=degree>°</i>" if row.unit == "°" else f"<i>{THIN}{row.unit}</i>"
    title, sure = f"{row.label} {with_unit(value, row.unit)}", ""
    if confidence is not None:
        title += f", confidence {confidence_word(confidence)} ({number(confidence, 1)} of 1)"
        sure = f" {confidence_bar(confidence)}{' low' if confidence < FAIR else ''}"
    limits = limits_text(row, sex)
    small = f"<small>{escape(limits)}</small>" if limits else ""
    return f'<div title="{escape(title)}"><dt>{row.label}{sure}</dt><dd><b>{number(value)}</b>{unit}{small}</dd></div>'


def _quality(quality: dict) -> str:
    """Every lead with its verdict, and in words what is wrong with the first that are not good."""
    leads = quality.get("leads") or {}
    poor = [
        f"{lead} {', '.join(judged['reasons']) or judged['verdict']}"
        for lead, judged in leads.items()
        if judged["verdict"] != "good"
    ]
    words = f"{len(leads) - len(poor)} of {len(leads)} leads good" + (f" · {'; '.join(poor)}" if poor else "")
    chips = "".join(
        f'<span class="{judged["verdict"]}" '
        f'title="{escape(f"{lead}: " + (", ".join(judged["reasons"]) or judged["verdict"]))}">{lead}</span>'
        for lead, judged in leads.items()
    )
    return f'<span title="{escape(words)}">Signal quality · {escape(words)}</span><div>{chips}</div>'
