"""The strip under the paper: rate, intervals, axis with their normal limits, and what the signal is worth.

Limits: PR and rate by convention; QRS and axis Surawicz et al., QTc Rautaharju et al. (AHA/ACCF/HRS recommendations
III and IV, J Am Coll Cardiol 53:976-991, 2009).
"""

from html import escape

from echo2ecg_core.figures.notation import MISSING, THIN, interval, number, with_unit

DOUBTFUL = 0.5
# field, label, unit, decimals, (low, high) or by sex
ROWS = (
    ("heart_rate_bpm", "Rate", "bpm", (60, 100)),
    ("pr_ms", "PR", "ms", (120, 200)),
    ("qrs_ms", "QRS", "ms", (None, 110)),
    ("qt_ms", "QT", "ms", None),
    ("qtc_fridericia_ms", "QTc Fridericia", "ms", {"male": (None, 450), "female": (None, 460)}),
    ("axis_deg", "QRS axis", "°", (-30, 90)),
)
CHECK = '<span class="e2e-icon">check</span>'
WARN = '<span class="e2e-icon">info</span>'


def measures_strip(report: dict) -> str:
    """HTML of the strip for a prediction report."""
    sex, values = report["ecg"].get("sex"), report["measurements"]
    cells = "".join(_cell(field, label, unit, limits, values, sex) for field, label, unit, limits in ROWS)
    quality = f'<div class="quality"><span>Signal quality</span><div>{_quality(report["quality"])}</div></div>'
    return f'<div class="e2e-strip"><dl>{cells}</dl>{quality}</div>'


def _cell(field: str, label: str, unit: str, limits, values: dict, sex: str | None) -> str:
    value, confidence = values.get(field), (values.get("confidence") or {}).get(field)
    if value is None:
        absent = field == "pr_ms" and values.get("p_present") is False
        shown, title = f"<b>{MISSING}</b>", "Could not be measured in this tracing."
        limits_text = f"<small>{'no P wave found' if absent else 'not measurable'}</small>"
    else:
        unit_tag = "<i class=degree>°" if unit == "°" else f"<i>{THIN}{unit}"
        doubt = " ?" if confidence is not None and confidence < DOUBTFUL else ""
        shown = f"<b>{number(value)}</b>{unit_tag}{doubt}</i>"
        sure = f", confidence {number(confidence, 1)} of 1" if confidence is not None else ""
        title = f"{label} {with_unit(value, unit)}{sure}"
        limits_text = _limits(limits, sex)
    return f'<div title="{escape(title)}"><dt>{label}</dt><dd>{shown}{limits_text}</dd></div>'


def _limits(limits, sex: str | None) -> str:
    if limits is None:
        return ""
    if isinstance(limits, tuple):
        return f"<small>{interval(*limits)}</small>"
    ranges = {s: r for s, r in limits.items() if sex in (None, s)}
    return "<small>" + " · ".join(f"{interval(*r)} {s[0].upper()}" for s, r in ranges.items()) + "</small>"


def _quality(quality: dict) -> str:
    leads = quality.get("leads") or {}
    good = [lead for lead, judged in leads.items() if judged["verdict"] == "good"]
    badges = [(f"{len(good)} of {len(leads)} leads good", len(good) == len(leads))] if leads else []
    poor = {lead: ", ".join(judged["reasons"]) for lead, judged in leads.items() if judged["verdict"] != "good"}
    badges += [(f"{lead}: {why}" if why else lead, False) for lead, why in list(poor.items())[:2]]
    if len(poor) > 2:
        badges.append((f"{len(poor) - 2} more", False))
    if not poor:
        badges.append((f"Quality {quality['verdict']}", quality["verdict"] == "good"))
    titles = escape("; ".join(f"{lead}: {why}" for lead, why in poor.items()))
    tag = f'<span class="e2e-badge gray" title="{titles}">'
    return "".join(f"{tag}{CHECK if ok else WARN}{escape(text)}</span>" for text, ok in badges)
