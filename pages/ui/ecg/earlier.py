"""An earlier ECG of the same patient beside this one: differences in words, then lead by lead on one sheet.

Offered are the patient's other ECGs in the workspace, and the other recordings of the upload, of which only the person
who dropped them knows whose they are.
"""

from html import escape

import streamlit as st

from echo2ecg_core.answers.earlier_ecgs import OtherEcg
from echo2ecg_core.counts import counted
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures.notation import MISSING, date, interval, number, with_unit
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import panels, resources, session
from pages.ui.ecg.measures import FAIR, STRIP_ROWS, Row
from pages.ui.ecg.paper.paper import show_pair
from pages.ui.errors import errors_in_words, plain

NOT_KNOWN = (
    "No earlier ECG to compare with. Open a recording of a patient of this workspace (Cohorts, Map), or drop both "
    "recordings together."
)
WHOSE = "The other recordings of this upload are offered too: whether they are of the same patient, you know."
# more, less
DIRECTIONS = {"heart_rate_bpm": ("faster", "slower"), "axis_deg": ("further right", "further left")}
LONGER = ("longer", "shorter")


def draw(record: EcgRecord, report: dict, card: ModelCard, *, is_open: bool) -> None:
    """The tab: which ECG, and for who looks what differs and both tracings, which take another estimate."""
    choices = _choices(record)
    if not choices:
        st.caption(NOT_KNOWN)
        return
    chosen = st.selectbox("Compare with", list(choices), key=f"earlier_{session.upload_round()}", width=420)
    if any(isinstance(other, EcgRecord) for other in choices.values()):
        st.caption(WHOSE)
    if not is_open:
        return
    with errors_in_words(), st.spinner("Reading and estimating the other ECG …"):
        other = choices[chosen]
        other = other if isinstance(other, EcgRecord) else resources.stored_ecg(other.ecg_id)
        then = resources.prediction(other, card).as_json()
        st.html(panels.scrolling(difference_table(report, then, chosen), "Differences"))
        st.caption(f"Left: this ECG. Right: {plain(chosen)}.")
        show_pair(record, other, session.gain_mm_mv(), without_wander=session.removes_wander())


def _choices(record: EcgRecord) -> dict[str, OtherEcg | EcgRecord]:
    """What can be compared with, by the words that offer it."""
    found: dict[str, OtherEcg | EcgRecord] = {_words(other): other for other in resources.other_ecgs(record)}
    for file in session.files_read():
        if file.record is not None and file.record.content_hash != record.content_hash:
            found[f"{file.name} (this upload)"] = file.record
    return found


def _words(other: OtherEcg) -> str:
    days = other.days_earlier
    when = "time not known" if days is None else _apart(days)
    return f"{other.ecg_id}, {date(other.taken_at)}, {when}" if other.taken_at else f"{other.ecg_id}, {when}"


def _apart(days: float) -> str:
    side = "earlier" if days >= 0 else "later"
    return f"less than a day {side}" if abs(days) < 1 else f"{counted(round(abs(days)), 'day')} {side}"


def difference_table(now: dict, then: dict, name: str) -> str:
    """HTML table of rate, intervals, axis and LVEF of both, with the difference in words.

    Args:
        now, then: Prediction reports of this ECG and of the other one.
        name: What the other one is called.
    """
    rows = "".join(_measure(row, now, then) for row in STRIP_ROWS) + _lvef(now, then)
    return (
        f'<table class="e2e-table differences"><thead><tr><th></th><th class="num">This ECG</th>'
        f'<th class="num">{escape(name)}</th><th>Difference</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _measure(row: Row, now: dict, then: dict) -> str:
    sex = now["ecg"].get("sex")
    value_now, value_then = (report["measurements"].get(row.field) for report in (now, then))
    unsure = any((r["measurements"].get("confidence") or {}).get(row.field, 1) < FAIR for r in (now, then))
    words = difference_words(row, value_now, value_then, sex)
    words += " (measured with low confidence)" if unsure and words != MISSING else ""
    return _cells(row.label, [with_unit(value, row.unit) for value in (value_now, value_then)], words)


def difference_words(row: Row, now: float | None, then: float | None, sex: str | None) -> str:
    """The difference in words, and whether a normal limit lies between the two: "24 ms longer, now above 110"."""
    if now is None or then is None:
        return MISSING
    now, then = round(now), round(then)  # as both are written
    change = now - then
    if row.field == "axis_deg":
        change = (change + 180) % 360 - 180  # the short way round
    if change == 0:
        return "unchanged"
    more, less = DIRECTIONS.get(row.field, LONGER)
    words = f"{with_unit(abs(change), row.unit)} {more if change > 0 else less}"
    limits = row.limits.get(sex) if isinstance(row.limits, dict) else row.limits
    low, high = limits or (None, None)
    for limit, beyond, within in ((high, "above", "within"), (low, "below", "within")):
        if limit is not None:
            sides = [row.is_above(value, limit) if beyond == "above" else value < limit for value in (now, then)]
            if sides[0] != sides[1]:
                words += f", now {beyond if sides[0] else within} the limit of {number(limit)}"
    return words


def _lvef(now: dict, then: dict) -> str:
    rows: list[dict] = [next((p for p in report["phenotypes"] if p["name"] == "lvef"), {}) for report in (now, then)]
    texts = []
    for row in rows:
        ends = f" ({interval(*row['interval'])})" if row.get("interval") else ""
        texts.append(with_unit(row.get("value"), "%") + ends)
    return _cells("LVEF, estimated", texts, lvef_words(*rows))


def lvef_words(now: dict, then: dict) -> str:
    """Higher or lower by how many points, and whether the intervals of both leave room for no change at all."""
    if now.get("value") is None or then.get("value") is None:
        return "no estimate of one of the two"
    points = round(now["value"]) - round(then["value"])
    if points == 0:
        return "unchanged"
    words = f"{counted(abs(points), 'point')} {'higher' if points > 0 else 'lower'}"
    if not (now["interval"] and then["interval"]):
        return words
    (low, high), (before, until) = (tuple(map(round, row["interval"])) for row in (now, then))  # as both are written
    overlap = low <= until and before <= high
    told = "the intervals overlap, so no change can be told from this" if overlap else "the intervals do not overlap"
    return f"{words}; {told}"


def _cells(label: str, texts: list[str], words: str) -> str:
    cells = "".join(f'<td class="num">{text}</td>' for text in texts)
    return f'<tr><th scope="row">{escape(label)}</th>{cells}<td>{escape(words)}</td></tr>'
