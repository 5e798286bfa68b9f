"""The phenotype table as HTML: estimate and interval on the reference range, and how far to trust the row."""

from html import escape

from echo2ecg_core.figures.notation import (
    MISSING,
    THIN,
    held_words,
    interval,
    measured_range,
    number,
    percent,
    predicted,
)
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES, beyond_reference

GOOD_R2, FAIR_R2 = 0.5, 0.3


def phenotype_table(report: dict) -> str:
    """HTML table of all phenotypes of a prediction report; words when nothing was predicted."""
    if not report["phenotypes"]:
        return '<p class="e2e-muted e2e-nothing">Nothing was predicted.</p>'
    sex, level = report["ecg"].get("sex"), percent(report["phenotypes"][0]["interval_level"])
    reference = f"Reference, {sex}" if sex else "Reference"
    head = "".join(
        f"<th{c}>{h}</th>"
        for h, c in (
            ("Phenotype", ""),
            ("Estimate", ' class="num"'),
            ("", ' class="unit"'),
            (f"{level} interval", ' class="num"'),
            ("Interval on the reference range", ' class="range"'),
            (reference, ""),
            ("Chance outside", ""),
            ("Test R²", ' class="r2"'),
        )
    )
    body = "".join(_row(p, sex) for p in report["phenotypes"])
    return f'<table class="e2e-table phenotypes"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row(row: dict, sex: str | None) -> str:
    short = row.get("short") or row["name"].upper()
    name = f"<b>{escape(row['label'])}</b> <span>{escape(short)}</span>"
    if row["value"] is None:
        reason = f'<td colspan="6" class="muted">{escape(row["reason"] or "")}</td>'
        return f'<tr><th scope="row">{name}</th><td class="num">{MISSING}</td>{reason}</tr>'
    phenotype = PHENOTYPES[row["name"]]
    is_grade = phenotype.kind == "grade"
    value, unit = (
        (percent(row["value"]), f"≥{THIN}moderate")
        if is_grade
        else (number(row["value"], phenotype.decimals), row["unit"])
    )
    reference = (
        '<span class="muted" title="Grades have no reference range.">none</span>'
        if is_grade
        else _reference(row, sex, phenotype.decimals)
    )
    return (
        f'<tr><th scope="row">{name}</th><td class="num"><b>{value}</b></td>'
        f'<td class="unit">{escape(unit)}{_beyond(row, sex)}</td>{_interval_cell(row)}'
        f'<td class="range">{range_bar(row, sex)}</td><td>{reference}</td>'
        f"<td>{_chance(row.get('chance_outside'))}</td><td class='r2'>{_trust(row.get('test_r2'))}</td></tr>"
    )


def _beyond(row: dict, sex: str | None) -> str:
    side = beyond_reference(PHENOTYPES[row["name"]], row["value"], sex)
    return f" <b>{side}</b>" if side else ""


def _interval_cell(row: dict) -> str:
    """The interval with how often it held, told on hovering; a dash with the reason where there is none."""
    if not row["interval"]:
        return f'<td class="num muted" title="{escape(row.get("interval_reason") or "")}">{MISSING}</td>'
    words = measured_range(PHENOTYPES[row["name"]], *row["interval"])
    return f'<td class="num" title="{escape(held_words(row))}">{words}</td>'


def range_bar(row: dict, sex: str | None) -> str:
    """Reference as a grey box (male above female while the sex is unknown), interval as a line, estimate as a dot.

    Of a grade the dot stands at the likeliest one.
    """
    phenotype = PHENOTYPES[row["name"]]
    low, high = phenotype.axis
    estimate = GRADES.index(max(row["classes"], key=row["classes"].get)) if phenotype.kind == "grade" else row["value"]

    def at(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / (high - low)

    ranges = row["reference"] or {}
    sexes = [s for s in ((sex,) if sex else ("male", "female")) if s in ranges]
    boxes = []
    for place, who in zip(("whole",) if len(sexes) == 1 else ("upper", "lower"), sexes, strict=False):
        left, right = (
            at(open_end if end is None else end) for end, open_end in zip(ranges[who], (low, high), strict=True)
        )
        boxes.append(f'<div class="reference {place}" style="left:{left:.2f}%;width:{right - left:.2f}%"></div>')
    whisker = ""
    if row["interval"]:
        left, right = (at(end) for end in row["interval"])
        whisker = f'<div class="interval" style="left:{left:.2f}%;width:{right - left:.2f}%"></div>'
    return (
        f'<div class="e2e-range" role="img" aria-label="{escape(_bar_words(row))}">'
        f'<div class="rule"></div>{"".join(boxes)}{whisker}'
        f'<div class="estimate" style="left:{at(estimate):.2f}%"></div></div>'
    )


def _bar_words(row: dict) -> str:
    phenotype = PHENOTYPES[row["name"]]
    value = f"{predicted(phenotype, row['value'])} {row['unit']}".strip()
    within = f"interval {measured_range(phenotype, *row['interval'])}" if row["interval"] else "no interval"
    return f"{row['label']}: {value}, {within}"


def _reference(row: dict, sex: str | None, decimals: int) -> str:
    ranges: dict[str, tuple[float | None, float | None]] = row["reference"] or {}
    if not ranges:
        return "no guideline range"
    if sex in ranges:
        return interval(*ranges[sex], decimals)
    if len({tuple(r) for r in ranges.values()}) == 1:
        return interval(*next(iter(ranges.values())), decimals)
    known = [(s[0].upper(), interval(*ranges[s], decimals)) for s in ("male", "female") if s in ranges]
    return " · ".join(f"<span class='sex'>{letter}</span> {limits}" for letter, limits in known)


def _chance(chance: dict | None) -> str:
    """The likelier side in words; a dash when sex or range is unknown."""
    sides = {side: p for side, p in (chance or {}).items() if p is not None}
    if not sides:
        return (
            '<span class="muted" title="Needs a reference range, where it differs the sex, and a limit above the '
            f'smallest value there can be.">{MISSING}</span>'
        )
    side = max(sides, key=sides.__getitem__)
    return f"{percent(sides[side])} {side}"


def _trust(r2: float | None) -> str:
    if r2 is None:
        return MISSING
    shown = round(r2, 2)
    word = "good" if shown >= GOOD_R2 else "fair" if shown >= FAIR_R2 else "weak"
    return f"{number(r2, 2)} <span>{word}</span>"
