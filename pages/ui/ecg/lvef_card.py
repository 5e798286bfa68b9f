"""The LVEF card as HTML: value, interval, one axis that carries class bands, interval and neighbours, class chances.

Positions are per cent of the axis, so the card fits any width without scaling its type.
"""

from collections import Counter
from html import escape

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.notation import MISSING, THIN, held_words, interval, number, percent
from echo2ecg_core.phenotypes import LVEF_CLASS_LABELS, PHENOTYPES

LOW, HIGH = PHENOTYPES["lvef"].axis
BANDS = (
    ("reduced", LOW, 40.5, "≤40 reduced"),
    ("mildly_reduced", 40.5, 49.5, "41–49"),
    ("preserved", 49.5, HIGH, "≥50 preserved"),
)


def lvef_card(report: dict) -> str:
    """HTML of the card for a prediction report; with words instead of numbers when nothing was predicted."""
    row = next((p for p in report["phenotypes"] if p["name"] == "lvef"), None)
    outside = report["out_of_distribution"] or {}
    badge = '<span class="e2e-badge amber">Outside training data</span>' if outside.get("flag") else ""
    head = f'<div class="e2e-card-head"><h2>LV ejection fraction</h2>{badge}</div>{_caution(report["quality"])}'
    reason = why_no_value(report)
    if row is None or reason:
        return f'{head}<div class="e2e-value"><b>{MISSING}</b></div><p class="e2e-muted">{escape(reason)}</p>'
    measured = [n["phenotypes"]["lvef"] for n in report["neighbours"] if "lvef" in n.get("phenotypes", {})]
    level = percent(row["interval_level"]) if row["interval"] else None
    axis = lvef_axis(row["value"], row["interval"], measured)
    return head + _value(row, level) + _held(row) + axis + _legend(level, len(measured)) + _chances(row)


def _caution(quality: dict) -> str:
    """What limits the estimate (a limited recording, pacing, swapped leads) in one amber line over it; "" without."""
    reason = quality.get("reason") or "" if quality["verdict"] == "limited" else ""
    beside = [note for note in quality.get("notes") or () if note not in reason]  # a swap stands in the reason, too
    words = " ".join(filter(None, (reason, *beside)))
    head = "<b>Limited recording.</b> " if quality["verdict"] == "limited" else ""
    return f'<p class="e2e-caution">{head}{escape(words)}</p>' if words else ""


def why_no_value(report: dict) -> str:
    """Why a prediction report holds no LVEF, in words; "" where it does."""
    row = next((p for p in report["phenotypes"] if p["name"] == "lvef"), None)
    if row is None:
        return report["quality"].get("reason") or "Nothing was predicted."
    return "" if row["value"] is not None else row["reason"] or "Nothing was predicted."


def _value(row: dict, level: str | None) -> str:
    """The estimate, and its interval or why there is none."""
    beside = (
        f"<strong>{interval(*row['interval'])}{THIN}%</strong><span>{level} interval</span>"
        if row["interval"]
        else f"<span>{escape(row.get('interval_reason') or 'No interval.')}</span>"
    )
    return f'<div class="e2e-value"><b>{number(row["value"])}</b><i>%</i>{beside}</div>'


def _held(row: dict) -> str:
    """How often the interval held on test patients, and for the diseased among them; "" where it was not tested."""
    words = held_words(row) if row["interval"] else ""
    return f'<p class="e2e-muted">{escape(words)}</p>' if words else ""


def lvef_axis(value: float, ends: tuple[float, float] | None, measured: list[float]) -> str:
    """The axis: class bands, interval bar with the estimate, hollow circles for the neighbours' measured LVEF.

    Args:
        value: Estimate in per cent.
        ends: Interval in per cent, or None.
        measured: LVEF measured by echo in the nearest ECGs' studies.
    """
    parts = [
        f'<div class="band {name}" style="left:{_at(low)};width:{_width(low, high)}"><span>{label}</span></div>'
        for name, low, high, label in BANDS
    ]
    parts.append('<div class="rule"></div>')
    parts += [f'<div class="tick" style="left:{_at(tick)}">{tick}</div>' for tick in range(int(LOW), int(HIGH) + 1, 10)]
    if ends:
        low, high = ends
        parts.append(interval_bar(_inside(low), _inside(high), [LOW <= end <= HIGH for end in ends]))
    parts.append(f'<div class="estimate" style="left:{_at(value)}"></div>')
    seen: Counter = Counter()
    for lvef in sorted(measured):
        rise = 6 * min(seen[round(lvef)], 2)
        parts.append(f'<div class="neighbour" style="left:{_at(lvef)};margin-top:-{rise}px"></div>')
        seen[round(lvef)] += 1
    words = escape(_axis_words(value, ends, measured))
    return f'<div class="e2e-axis" role="img" aria-label="{words}">{"".join(parts)}</div>'


def interval_bar(left: float, right: float, capped: list[bool]) -> str:
    """A horizontal bar between two shares of the width; an end beyond the axis has no cap, because it goes on."""
    caps = "".join(f" {side}" for side, is_capped in zip(("low", "high"), capped, strict=True) if is_capped)
    return f'<div class="interval{caps}" style="left:{100 * left:.2f}%;width:{100 * (right - left):.2f}%"></div>'


def _axis_words(value: float, ends: tuple[float, float] | None, measured: list[float]) -> str:
    within = f"interval {interval(*ends)}" if ends else "no interval"
    nearest = ", ".join(number(v) for v in sorted(measured))
    return (
        f"LVEF {number(value)} per cent, {within}. Classes: reduced to 40, mildly reduced 41 to 49, "
        f"preserved from 50." + (f" Measured in the nearest ECGs: {nearest}." if measured else "")
    )


def _inside(lvef: float) -> float:
    """Share of the axis, 0 to 1; what lies beyond is drawn at its end."""
    return (min(max(lvef, LOW), HIGH) - LOW) / (HIGH - LOW)


def _at(lvef: float) -> str:
    return f"{100 * _inside(lvef):.2f}%"


def _width(low: float, high: float) -> str:
    return f"{100 * (high - low) / (HIGH - LOW):.2f}%"


def _legend(level: str | None, n: int) -> str:
    neighbours = f'<span><i class="ring"></i>{counted(n, "nearest ECG")}, measured</span>' if n else ""
    estimate = f"estimate, {level} interval" if level else "estimate"
    return f'<div class="e2e-legend"><span><i class="dot"></i>{estimate}</span>{neighbours}</div>'


def _chances(row: dict) -> str:
    """Class probabilities, preserved first; the likeliest in bold."""
    classes: dict[str, float] = row.get("classes") or {}
    likeliest = max(classes, key=classes.__getitem__, default=None)
    lines = "".join(
        f"<li{' class=likeliest' if name == likeliest else ''}><span>{LVEF_CLASS_LABELS[name]}</span>"
        f'<div class="bar"><div class="{name}" style="width:{100 * classes[name]:.1f}%"></div></div>'
        f"<em>{percent(classes[name])}</em></li>"
        for name in reversed(LVEF_CLASS_LABELS)
        if name in classes
    )
    return f'<div class="e2e-label">Class probability</div><ul class="e2e-chances">{lines}</ul>' if lines else ""
