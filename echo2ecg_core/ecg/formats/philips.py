"""Philips Sierra XML (1.03, 1.04) made complete before ecgdatakit decodes it: rate, names of leads, length.

ecgdatakit cuts the stored numbers into leads by rate and length as the document tells them, so that either being wrong
would shift every lead after the first: here the stored numbers themselves say how many there are of each lead. Leads of
XLI (LZW) are unpacked once to bound their size and to count them. Packing leaves of III, aVR, aVL and aVF only what I
and II do not tell; ecgdatakit puts them together again where the leads are named in the usual order, this file where
they are not: which of the stored leads hardly move tells whether they lie in the order of their names.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import numpy as np

from echo2ecg_core.ecg.channels import Told
from echo2ecg_core.ecg.formats.rates import header_rate, settled_rate
from echo2ecg_core.ecg.limb_leads import LIMB_LEADS, block_energies
from echo2ecg_core.ecg.record import LEADS, canonical_lead
from echo2ecg_core.errors import ReadError

MAX_UNPACKED_BYTES = 4 * 2**20  # all leads of one recording
NAMED_SETS = {"STD-12", "10-WIRE"}  # whose order is known
LEFT_COUNTS = 2.0  # standard deviation of what rounding leaves of a lead that I and II tell
OTHER_ORDER = "The leads packed by XLI are not named in the usual order: "
_FACTS = ("samplingrate", "acquisitiontype", "leadset", "numberchannelsallocated", "numberchannelsvalid")


@dataclass
class Completed:
    """A document without gaps: attributes to write into its waveforms, the exact rate, what is told of it."""

    attributes: dict[str, str] = field(default_factory=dict)
    rate_hz: float = 0.0
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    told_used: frozenset[str] = frozenset()
    is_packed: bool = False

    def written(self, text: str) -> bytes:
        """The document with the attributes in the place of those that it has."""
        tag = re.search(r"<parsedwaveforms\b[^>]*?(?=/?>)", text)
        if tag is None:
            return text.encode()
        start = tag[0]
        for name, value in self.attributes.items():
            start = re.sub(rf"\s{name}\s*=\s*(\"[^\"]*\"|'[^']*')", "", start) + f' {name}="{value}"'
        return (text[: tag.start()] + start + text[tag.end() :]).encode()


def completed(root: Element, told: Told, file_name: str) -> Completed:
    """What a document lacks, from its own numbers or from the person.

    Args:
        root: The restingecgdata element, parsed safely.
        told: Rate and names of leads that the person gives.
        file_name: For error texts.

    Raises:
        ReadError: If its leads would unpack to more than a recording can be.
        SamplingRateNeeded: If neither document nor person tells the rate.
    """
    waveforms = next((one for one in root.iter() if _local_name(one) == "parsedwaveforms"), None)
    whole = Completed()
    if waveforms is None:
        return whole
    facts = {name: [(e.text or "").strip() for e in root.iter() if _local_name(e) == name] for name in _FACTS}
    rates = [_number(text) for text in (waveforms.get("samplespersecond"), *facts["samplingrate"])]
    own = next((rate for rate in rates if rate and rate > 0), None)
    whole.rate_hz = header_rate(own, told.sampling_rate_hz, file_name, whole.notes)
    n_leads, whole.is_packed = _n_leads(waveforms, facts), _is_packed(waveforms)
    n_samples, length_s = (
        _stored(waveforms, n_leads, file_name),
        (_number(waveforms.get("durationperchannel")) or 0) / 1e3,
    )
    if n_samples:
        settled = settled_rate(
            [("the header", whole.rate_hz)], told.sampling_rate_hz, n_samples, [length_s] if length_s > 0 else []
        )
        whole.rate_hz = settled.needed(file_name)
        whole.notes += [text for text in (settled.note, settled.doubt) if text]
        whole.doubts += [settled.doubt] if settled.doubt else []
    whole_hz = max(1, round(whole.rate_hz))  # ecgdatakit knows no others
    if whole_hz != own:
        whole.attributes["samplespersecond"] = f"{whole_hz}"
    if n_samples and round(length_s * whole_hz) != n_samples:
        whole.attributes["durationperchannel"] = repr(n_samples * 1e3 / whole_hz)
    unnamed = not waveforms.get("leadlabels") and not NAMED_SETS & {*facts["acquisitiontype"], *facts["leadset"]}
    if unnamed and told.lead_order and len(told.lead_order) == n_leads:
        whole.attributes["leadlabels"], whole.told_used = " ".join(told.lead_order), frozenset({"leads"})
    return whole


def _n_leads(waveforms: Element, facts: dict[str, list[str]]) -> int:
    """How many leads the document says that it holds, 0 where it does not."""
    names = (waveforms.get("leadlabels") or "").split()
    counts = [waveforms.get("numberofleads") if names else None]
    counts += [] if names else [*facts["numberchannelsallocated"], *facts["numberchannelsvalid"]]
    found = int(next((count for text in counts if (count := _number(text))), 0))
    return min(found or len(names), len(names)) if names else max(found, 0)


def _stored(waveforms: Element, n_leads: int, file_name: str) -> int:
    """Samples of a lead that the document holds; 0 where that cannot be said."""
    text = waveforms.text or ""
    if waveforms.get("dataencoding") == "Plain":
        count = len(text.split())
        return count // n_leads if n_leads and count % n_leads == 0 else 0
    try:
        data = base64.b64decode("".join(text.split()))
    except (binascii.Error, ValueError):
        return 0
    if _is_packed(waveforms):
        return _unpacked(data, file_name)
    return len(data) // 2 // n_leads if n_leads and len(data) % (2 * n_leads) == 0 else 0


def _is_packed(waveforms: Element) -> bool:
    packing = waveforms.get("compression") or waveforms.get("compressmethod") or ""
    flag = (waveforms.get("compressflag") or "").strip().lower()
    return packing.upper() == "XLI" and flag not in ("false", "no", "f", "0")


def put_together(leads: list, whole: Completed) -> None:
    """Give packed leads of which the first six are not named I, II, III, aVR, aVL, aVF their signals and names, in
    place, and tell what settles their order or leaves it open.

    Args:
        leads: ecgdatakit's, in mV or, without a resolution, in counts.
        whole: What is told of the document; notes and doubts are added to it.
    """
    names = [canonical_lead(lead.label) or "" for lead in leads]
    if not whole.is_packed or tuple(names[:6]) == LIMB_LEADS or not set(LIMB_LEADS) <= set(names):
        return
    is_scaled = leads[0].units == "mV" and leads[0].adc_resolution > 0  # else without a resolution, in counts
    size = leads[0].adc_resolution / 1e3 if is_scaled else 1.0
    stored = np.stack([np.rint(np.asarray(lead.samples, dtype=np.float64) / size) for lead in leads])
    energies = block_energies(stored, whole.rate_hz)
    if energies is None:
        return
    hardly_move = set(
        np.flatnonzero(np.median(energies[:, range(len(leads)), range(len(leads))], axis=0) < LEFT_COUNTS**2)
    )
    limb_rows = [names.index(lead) for lead in LIMB_LEADS]
    if hardly_move.intersection(limb_rows) == set(limb_rows[2:]):
        whole.notes.append(
            OTHER_ORDER + "what is left of III, aVR, aVL and aVF lies where they are named, and was put together so."
        )
        if limb_rows[:2] == [1, 0]:
            whole.doubts.append(OTHER_ORDER + "that the first is II and the second I, as they are named, is assumed.")
    elif hardly_move.intersection(range(6)) == {2, 3, 4, 5}:
        chest = [name for name in names[6:] if name not in LIMB_LEADS]
        names = [*LIMB_LEADS, *(names[6:] if len(chest) == len(names) - 6 else LEADS[6 : len(names)])]
        whole.doubts.append(
            OTHER_ORDER + "their numbers lie in the usual one, which was taken; that the chest leads do so, too, is "
            "assumed."
        )
    elif not hardly_move.intersection(limb_rows):  # the equations judge them as they judge those of every file
        whole.notes.append(OTHER_ORDER + "all of them were taken as they are stored, under their names.")
        return
    else:
        whole.doubts.append(
            OTHER_ORDER + "their numbers fit neither their names nor the usual order, so that no limb lead may be what "
            "it is called."
        )
        return
    rows = _with_what_i_and_ii_tell({name: stored[names.index(name)] for name in LIMB_LEADS})
    for lead, name in zip(leads, names, strict=True):
        lead.label, lead.samples = name, rows[name] * size if name in rows else lead.samples


def _with_what_i_and_ii_tell(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The limb leads of what packing leaves of them, in whole counts."""
    one, two = rows["I"], rows["II"]
    three = two - one - rows["III"]
    return {
        "I": one, "II": two, "III": three, "aVR": -rows["aVR"] - (one + two) // 2,
        "aVL": (one - three) // 2 - rows["aVL"], "aVF": (two + three) // 2 - rows["aVF"],
    }  # fmt: skip


def _unpacked(data: bytes, file_name: str) -> int:
    """Samples of the shortest of the leads that are packed by XLI.

    Raises:
        ReadError: If all would unpack to more than a recording can be.
    """
    from ecgdatakit.parsing.codecs.lzw import LzwDecoder

    sizes: list[int] = []
    position = 0
    while 0 <= position < len(data) - 8:
        size = int.from_bytes(data[position : position + 4], "little", signed=True)
        if not 0 < size <= len(data) - position - 8:
            break
        decoder, unpacked = LzwDecoder(data[position + 8 : position + 8 + size], bits=10), 0
        while decoder.read() != -1:
            unpacked += 1
            if sum(sizes) + unpacked > MAX_UNPACKED_BYTES:
                raise ReadError(
                    f"The leads of “{file_name}” would unpack to more than {MAX_UNPACKED_BYTES // 2**20} MB.",
                    "Export the ECG again from its source.",
                )
        sizes.append(unpacked)
        position += 8 + size
    return min(sizes, default=0) // 2


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _local_name(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1].lower()
