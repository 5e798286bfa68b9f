"""Tables of the open ECG: every measurement with its confidence and normal range, the waves and the quality of every
lead."""

from html import escape
from typing import TYPE_CHECKING

from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.figures.notation import MISSING, number, with_unit
from pages.ui.ecg.measures import ALL_ROWS, confidence_bar, confidence_word, limits_text

if TYPE_CHECKING:
    from echo2ecg_core.ecg.lead_waves import LeadWaves

ICONS = {"good": "check", "limited": "info", "unusable": "block"}


def measurement_table(report: dict) -> str:
    """HTML table of the measurements of a prediction report: value, confidence as bar and word, normal range."""
    values, sex = report["measurements"], report["ecg"].get("sex")
    confidence = values.get("confidence") or {}
    rows = ""
    for row in ALL_ROWS:
        value, sure = values.get(row.field), confidence.get(row.field)
        if value is None:
            reason = (
                "no P wave found"
                if row.field == "pr_ms" and values.get("p_present") is False
                else "not measurable in this tracing"
            )
            cells = f'<td class="num">{MISSING}</td><td colspan="2" class="muted">{reason}</td>'
        else:
            word = f"{confidence_bar(sure)} {confidence_word(sure)}" if sure is not None else MISSING
            cells = (
                f'<td class="num"><b>{with_unit(value, row.unit)}</b></td><td>{word}</td>'
                f"<td>{escape(limits_text(row, sex)) or f'<span class=muted>{row.without_limits}</span>'}</td>"
            )
        rows += f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>'
    return (
        '<table class="e2e-table signal"><caption>Measurements</caption><thead><tr><th>Median beat of all '
        'leads</th><th class="num">Value</th>'
        f"<th>Confidence</th><th>Normal</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def wave_table(waves: "tuple[LeadWaves, ...]", unit: str) -> str:
    """HTML table of R, S, their ratio and the ST level of every lead of the median beat."""
    head = "".join(
        f'<th class="num">{words}{f"<br><small>{unit}</small>" if of_unit else ""}</th>'
        for words, of_unit in (("R", True), ("S", True), ("R/S", False), ("ST at J", True), ("ST, J + 60 ms", True))
    )
    rows = "".join(
        f'<tr><th scope="row">{one.lead}</th>'
        + "".join(f'<td class="num">{number(value, 2)}</td>' for value in (one.r, one.s))
        + f'<td class="num">{number(one.r_to_s, 1)}</td>'
        + "".join(f'<td class="num">{number(value, 2)}</td>' for value in (one.st_j, one.st_60))
        + "</tr>"
        for one in waves
    )
    return (
        f'<table class="e2e-table signal"><caption>Every lead</caption><thead><tr><th>Lead</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def lead_table(report: dict) -> str:
    """HTML table of the signal quality: one row a lead with its verdict and the reasons for it."""
    leads, derived = report["quality"].get("leads") or {}, set(report["ecg"].get("derived_leads") or ())
    rows = "".join(
        f'<tr><th scope="row">{lead}{" <span>derived</span>" if lead in derived else ""}</th>'
        f'<td class="verdict {leads[lead]["verdict"]}"><span class="e2e-icon">{ICONS[leads[lead]["verdict"]]}</span> '
        f"{leads[lead]['verdict']}</td>"
        f"<td>{escape(', '.join(leads[lead]['reasons'])) or '<span class=muted>nothing found</span>'}</td></tr>"
        for lead in LEADS
        if lead in leads
    )
    return (
        '<table class="e2e-table signal"><caption>Signal quality</caption><thead><tr><th>Lead</th><th>Verdict</th>'
        f"<th>What is wrong, and for how long</th></tr></thead><tbody>{rows}</tbody></table>"
    )
