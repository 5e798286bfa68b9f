"""The distribution of every phenotype of a cohort: histogram on the phenotype's axis over its reference range."""

from html import escape

import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.notation import MISSING, measured, measured_range, observed
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES, Phenotype
from echo2ecg_core.store.cohorts import Distribution
from pages.ui import panels
from pages.ui.cohorts import looked_up
from pages.ui.cohorts.words import reference_words


def table(cohort: str) -> None:
    """One row a phenotype."""
    found = looked_up.distributions(cohort)
    if not found:
        st.info("No study of this cohort has a label.", icon=":material/info:")
        return
    head = "".join(
        f"<th{' class=num' if number else ''}>{words}</th>"
        for words, number in (
            ("Phenotype", False), ("Studies", True), ("Distribution", False), ("Median (middle half)", True),
            ("Lowest to highest", True), ("Reference range", False), ("Outside", True),
        )
    )  # fmt: skip
    body = "".join(_row(distribution) for distribution in found)
    html = f"<table class='e2e-table distributions'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    st.html(panels.scrolling(html, "Distributions"))
    st.caption(
        "One value per study. Grey: the reference range (upper half men, lower half women where they differ). Outside: "
        "of studies of patients whose sex is known; of a valve, moderate or worse."
    )


def _row(d: Distribution) -> str:
    p = PHENOTYPES[d.name]
    outside = f"{d.outside:,} ({observed(d.outside / d.judged)})" if d.outside else "0" if d.judged else MISSING
    told = f"{d.outside:,} of {d.judged:,}" if d.judged else "no range, or no known sex"
    return (
        f"<tr><th scope='row'><b>{escape(p.label)}</b> <span>{escape(p.unit)}</span></th>"
        f"<td class='num'>{d.n:,}</td><td>{histogram(d, p)}</td>"
        f"<td class='num'><b>{measured(p, d.median)}</b> <small>({measured_range(p, d.q1, d.q3)})</small></td>"
        f"<td class='num'>{measured_range(p, d.low, d.high)}</td><td>{escape(reference_words(p))}</td>"
        f"<td class='num' title='{told}'>{outside}</td></tr>"
    )


def histogram(d: Distribution, p: Phenotype) -> str:
    """Bars over the axis of the phenotype, the reference ranges as grey boxes behind them."""
    bars = _bars(d, max(d.counts) / d.n)
    words = f"{p.label}: {counted(d.n, 'value')}, half of them {measured_range(p, d.q1, d.q3)} {p.unit}".strip()
    return (
        f"<div class='e2e-hist' role='img' aria-label='{escape(words, quote=True)}'>"
        f"<div class='bars'>{''.join(_boxes(p))}{bars}</div>{_ends(p)}</div>"
    )


def pair(first: Distribution | None, second: Distribution | None, p: Phenotype) -> str:
    """Two cohorts over one axis, the first upwards, the second downwards; heights are shares of each."""
    most = max(max(d.counts) / d.n for d in (first, second) if d)
    sides = "".join(
        f"<div class='bars {side}'>{''.join(_boxes(p))}{_bars(d, most) if d else ''}</div>"
        for side, d in (("up", first), ("down", second))
    )
    words = f"{p.label}: {first.n if first else 0} values above, {second.n if second else 0} below"
    return f"<div class='e2e-hist pair' role='img' aria-label='{escape(words, quote=True)}'>{sides}{_ends(p)}</div>"


def _ends(p: Phenotype) -> str:
    """What the axis begins and ends with."""
    first, last = (GRADES[0], GRADES[-1]) if p.kind == "grade" else (f"{end:g}" for end in p.axis)
    return f"<div class='ends'><span>{first}</span><span>{last}</span></div>"


def _bars(d: Distribution, most: float) -> str:
    return "".join(f"<i style='height:{100 * n / d.n / most:.1f}%'></i>" for n in d.counts)


def _boxes(p: Phenotype) -> list[str]:
    low, high = p.axis

    def at(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / (high - low)

    boxes, same = [], len(set(p.reference.values())) == 1
    for place, sex in (("whole", "male"),) if same else (("upper", "male"), ("lower", "female")):
        if sex in p.reference:
            start, end = p.reference[sex]
            left, right = at(low if start is None else start), at(high if end is None else end)
            boxes.append(f"<b class='{place}' style='left:{left:.1f}%;width:{right - left:.1f}%'></b>")
    return boxes
