"""Which of several waveforms of an XML export is the ECG: sets of one moment are joined, the longest rhythm is kept.

GE MUSE writes strips and medians beside the ten seconds, HL7 aECG may put every lead into a sequence set of its own.
The document is changed in memory before the foreign parser, which reads the first container only, sees it.
"""

import base64
import binascii
from xml.etree.ElementTree import Element, SubElement

from echo2ecg_core.counts import listing
from echo2ecg_core.ecg.channels import EIGHT_LEADS, as_a_print
from echo2ecg_core.ecg.formats.facts import rate_of_step
from echo2ecg_core.ecg.formats.rates import header_rate
from echo2ecg_core.ecg.record import canonical_lead

BEATS = ("REPRESENTATIVE_BEAT",)
STEP_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}  # that the foreign parser knows
OTHER_UNITS = {"ns": 1e-9, "min": 60.0, "minutes": 60.0, "milliseconds": 1e-3, "microseconds": 1e-6}
STEP_NAMES = {"s": "s", "sec": "sec", "seconds": "seconds", "ms": "ms", "msec": "ms", "us": "us", "µs": "us"}


def keep_longest_rhythm(root: Element, notes: list[str]) -> bool:
    """Leave one rhythm waveform in a MUSE document: most of the needed leads, then the longest; whether it changed.

    Raises:
        SignalError: If the leads of that waveform were recorded one after the other, as a 3x4 print shows them.
    """
    rhythms = [w for w in root.iter("Waveform") if (w.findtext("WaveformType") or "rhythm").strip().lower() == "rhythm"]
    if not rhythms:
        return False
    best = max(rhythms, key=lambda w: (len(_muse_leads(w) & set(EIGHT_LEADS)), _muse_bytes(w)))
    offsets = {(lead.findtext("LeadTimeOffset") or "0").strip() for lead in best.iter("LeadData")}
    if len(offsets) > 1:
        raise as_a_print("each beginning at a time of its own")
    others = [w for w in rhythms if w is not best]
    for parent in list(root.iter()):
        for waveform in others:
            if waveform in list(parent):
                parent.remove(waveform)
    if others:
        notes.append(f"{len(others) + 1} rhythm waveforms are in the file; the longest with all leads was read.")
    return bool(others)


def leads_off(root: Element) -> list[str]:
    """A doubt where a MUSE document says of leads of its rhythm that an electrode was off."""
    rhythms = [w for w in root.iter("Waveform") if (w.findtext("WaveformType") or "rhythm").strip().lower() == "rhythm"]
    leads = [lead for waveform in rhythms for lead in waveform.iter("LeadData")]
    is_off = [(lead.findtext("LeadOff") or "").strip().upper() in ("TRUE", "YES", "1") for lead in leads]
    names = [canonical_lead(lead.findtext("LeadID") or "") for lead, off in zip(leads, is_off, strict=True) if off]
    known = [name for name in dict.fromkeys(names) if name]
    return [f"The device says that an electrode of {listing(known)} was off."] if known else []


def muse_rate(root: Element, told_hz: float | None, file_name: str, notes: list[str]) -> tuple[float | None, bool]:
    """The exact rate of a MUSE document's rhythm, and whether the one that the person gives was written into it.

    Raises:
        SamplingRateNeeded: If neither document nor person tells it.
    """
    rhythm = next((w for w in root.iter("Waveform") if w.findtext("WaveformType", "Rhythm").lower() == "rhythm"), None)
    if rhythm is None:
        return None, False
    base, exponent = (_number(rhythm.findtext(tag)) for tag in ("SampleBase", "SampleExponent"))
    own = (base or 0.0) * 10 ** (exponent or 0.0)
    rate = header_rate(own, told_hz, file_name, notes)
    if rate == own:
        return rate, False
    for tag, text in (("SampleBase", repr(rate)), ("SampleExponent", "0")):
        element = rhythm.find(tag)
        (SubElement(rhythm, tag) if element is None else element).text = text
    return rate, True


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").replace(",", "."))
    except ValueError:
        return None


def _size(element: Element) -> float | None:
    return _number(element.get("value"))


def _muse_leads(waveform: Element) -> set[str | None]:
    return {canonical_lead(lead.findtext("LeadID") or "") for lead in waveform.iter("LeadData")}


def _muse_bytes(waveform: Element) -> int:
    """Length of the longest lead."""
    sizes = [0]
    for lead in waveform.iter("LeadData"):
        try:
            sizes.append(len(base64.b64decode(lead.findtext("WaveFormData") or "")))
        except (binascii.Error, ValueError):
            continue
    return max(sizes)


def keep_longest_series(root: Element, notes: list[str]) -> bool:
    """Leave one rhythm series in an aECG: most of the needed leads, then the longest; whether anything changed."""
    found = [series for series in root.iter() if _local(series) == "series" and _series_code(series) not in BEATS]
    if len(found) < 2:
        return False
    best = max(found, key=lambda one: (len(_leads(one) & set(EIGHT_LEADS)), _longest(one)))
    for parent in list(root.iter()):
        for child in list(parent):
            if any(child is one for one in found) and child is not best:
                parent.remove(child)
    notes.append(f"{len(found)} rhythm series are in the file; the longest with all leads was read.")
    return True


def _series_code(series: Element) -> str:
    code = next((child for child in series if _local(child) == "code"), None)
    return "" if code is None else str(code.get("code") or "").upper()


def _longest(series: Element) -> int:
    """Samples of the longest lead."""
    return max((len((e.text or "").split()) for e in series.iter() if _local(e) == "digits"), default=0)


def settle_steps(root: Element, notes: list[str], told_hz: float | None, file_name: str) -> bool:
    """Give the time steps of an aECG that name no usable unit or size the only one that an ECG can have; whether
    anything changed.

    Raises:
        SamplingRateNeeded: If neither document nor person tells the rate.
    """
    changed = False
    for series in [element for element in root.iter() if _local(element) == "series"]:
        if _series_code(series) in BEATS:
            continue
        changed |= _tidy([element for element in series.iter() if _local(element) == "sequenceset"], notes)
        for step in [element for element in series.iter() if _local(element) == "increment"]:
            size, unit = _size(step), str(step.get("unit") or "").strip()
            known = 1 / (size * STEP_UNITS[unit]) if size and size > 0 and unit in STEP_UNITS else None
            other = OTHER_UNITS.get(unit.lower())
            told = rate_of_step(size * other, "s") if size and other else None
            own = known or (told if other else rate_of_step(size, STEP_NAMES.get(unit.lower())))
            rate = header_rate(own, told_hz, file_name, notes)
            if rate == known:
                continue
            step.set("value", repr(1 / rate))
            step.set("unit", "s")
            note = f"The time step is not told in a unit that is known; it was taken as that of {rate:g} Hz."
            notes += [note] if note not in notes and not told else []
            changed = True
    return changed


def join_sequence_sets(root: Element, notes: list[str]) -> bool:
    """Put the leads of an aECG's sequence sets that share their moment and length into one; whether anything changed.

    Raises:
        SignalError: If leads that are needed lie in sets of other moments only.
    """
    changed = False
    for series in [element for element in root.iter() if _local(element) == "series"]:
        sets = [element for element in series.iter() if _local(element) == "sequenceset"]
        if len(sets) > 1:
            changed |= _join(series, sets, notes)
    return changed


def _tidy(sets: list[Element], notes: list[str]) -> bool:
    """Commas between digits become blanks, a time step without a unit gets that of the time it begins at, and a scale
    without a size loses its unit."""
    changed = False
    for one in sets:
        unit = None
        for element in one.iter():
            kind = _local(element)
            if kind == "digits" and element.text and "," in element.text:
                element.text, changed = element.text.replace(",", " "), True
            elif kind == "scale" and not _size(element) and element.get("unit"):
                element.set("unit", "")  # a unit without a size says nothing of the counts
                changed = True
            elif kind == "head":
                unit = element.get("unit")
            elif kind == "increment" and unit and not element.get("unit") and rate_of_step(_size(element), unit):
                element.set("unit", unit)
                notes.append(f"The time step names no unit; it was taken in {unit}, as the time it begins at.")
                changed = True
    return changed


def _join(series: Element, sets: list[Element], notes: list[str]) -> bool:
    moments: dict[tuple, list[Element]] = {}
    for one in sets:
        moments.setdefault(_moment(one), []).append(one)
    best = max(moments.values(), key=lambda group: len({x for one in group for x in _leads(one)} & set(EIGHT_LEADS)))
    have = {lead for one in best for lead in _leads(one)}
    missing = set(EIGHT_LEADS) - have
    if missing and missing <= {lead for one in sets for lead in _leads(one)}:
        raise as_a_print("one set after the other")
    first, *rest = best
    for one in rest:
        for component in list(one):
            if any(canonical_lead(code) for code in _codes(component)):
                first.append(component)
    for parent in list(series.iter()):
        for child in list(parent):
            if child in sets and child is not first:
                parent.remove(child)
    if rest:
        notes.append(f"{len(best)} sets of leads of the same moment were joined.")
    return True


def _moment(one: Element) -> tuple:
    """Where a set begins, its step and its length."""
    times = [
        (element.get("value"), element.get("unit"))
        for element in one.iter()
        if _local(element) in ("head", "increment")
    ]
    lengths = {len((element.text or "").split()) for element in one.iter() if _local(element) == "digits"}
    return (*times, *sorted(lengths))


def _leads(one: Element) -> set[str | None]:
    return {canonical_lead(code) for code in _codes(one)} - {None}


def _codes(element: Element) -> list[str]:
    codes = [str(item.get("code") or "") for item in element.iter() if _local(item) == "code"]
    return [code.split("_LEAD_")[-1] for code in codes]


def _local(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1].lower()
