"""One twelve-lead ECG as every room of the program sees it: standard leads, standard order, millivolt.

A record never carries names, identifiers or birth dates; a birth date becomes an age when the file is read.
Lead names are matched through one table, because no two formats spell them alike.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

FEWEST_LEADS = 8  # of which the others follow

# upper case, without separators -> standard name; D1..D3 and C1..C6 are the Romance and German spellings
_SPELLINGS = {lead.upper(): lead for lead in LEADS}
_SPELLINGS |= {f"D{numeral}": numeral for numeral in ("I", "II", "III")}
_SPELLINGS |= {f"D{number}": numeral for number, numeral in enumerate(("I", "II", "III"), start=1)}
_SPELLINGS |= {f"C{number}": f"V{number}" for number in range(1, 7)}

_EPONYMS = re.compile(r"\((einthoven|goldberger|wilson)[^)]*\)", re.IGNORECASE)
_UNIT_TAIL = re.compile(
    r"[\s_(（\[/,-]+(mv|uv|µv|μv|nv|v|millivolts?|microvolts?|adu|мк?в|[毫微]伏)[)\]）]?$", re.IGNORECASE
)
_REFERENCE = re.compile(r"[\s_-]+ref(erence)?$", re.IGNORECASE)  # "EKG I-REF", as EEG machines write it
_INVERTED = re.compile(r"(^|[\s_.:])[-−]\w+$")  # "Abl. -aVR"
_PREFIX = re.compile(r"^(mdc[\s_]*ecg[\s_]*lead|ecg[\s_:-]*lead|lead|ecg|ekg)[\s_:-]*", re.IGNORECASE)


@lru_cache(maxsize=1024)  # an ECG asks some fifty times for a dozen names
def canonical_lead(text: str) -> str | None:
    """The standard name of a lead however a file spells it, or None when it is no standard lead.

    Args:
        text: A channel name such as "AVR", "Lead I (Einthoven)", "MDC_ECG_LEAD_V1", "i", "DII", "V1 (mV)", "V₁".

    Returns:
        One of `LEADS`, or None (modified, inverted, right-sided or Frank leads are not standard leads).
    """
    name = _EPONYMS.sub("", unicodedata.normalize("NFKC", str(text))).strip().strip("\"'").strip()
    name = _REFERENCE.sub("", _UNIT_TAIL.sub("", name).strip()).strip()
    name = _PREFIX.sub("", name, count=1)
    if name.startswith(("-", "−")):
        return None  # an inverted lead, as the Cabrera layout prints it
    return _SPELLINGS.get(re.sub(r"[\s_.:]+", "", name).upper())


def lead_words(names: Sequence[str]) -> tuple[str, ...]:
    """Names of channels, or one word of each where most names are no leads and the words at one place are those of
    leads, each another: "7_V1", "Abl. V1 (mV)", "Signal 7: V1", "V1_filtered", "ch V1 raw", "第V1誘導".

    Args:
        names: As a file has them.
    """
    plain = [_UNIT_TAIL.sub("", str(name).strip()).strip() for name in names]
    known = sum(canonical_lead(name) is not None for name in names)
    for place in (-1, 0, 1):
        words = [_word(name, place) for name in plain]
        leads = [lead for lead in map(canonical_lead, words) if lead is not None]
        if len(leads) >= FEWEST_LEADS and known * 2 < len(leads) and len(set(leads)) == len(leads):
            return tuple(word if canonical_lead(word) else name for word, name in zip(words, names, strict=True))
    return tuple(names)


def _word(name: str, place: int) -> str:
    """One word of a name; the whole name of an inverted lead."""
    words = [name] if _INVERTED.search(name) else re.split(r"[^0-9A-Za-z]", name)
    return words[place] if place < len(words) else name


@dataclass(frozen=True, eq=False)
class EcgRecord:
    """One ECG with all twelve leads.

    Attributes:
        signal_mv: (12, n) float32 in mV, rows in the order of `LEADS`; missing samples are NaN.
        sampling_rate_hz: Samples a second.
        format: What the file was: "WFDB", "DICOM", "CSV", "NPY", ...
        source: The file's base name, never its folder.
        leads: The row names, always `LEADS`.
        derived_leads: Leads the file did not store, computed from leads I and II.
        notes: Sentences that say what was derived, assumed, cropped or found odd.
        doubts: Sentences on what nothing settled although numbers depend on it (lead order, unit, damage); they stand
            beside the estimate.
        age_years: Age at the recording where the file tells it.
        sex: "male", "female" or None.
        recorded_at: When the ECG was taken, where the file tells it.
        device: Maker and model of the electrocardiograph.
        statements: The device's own interpretation, in its own words.
        device_measurements: The device's own numbers (heart_rate_bpm, pr_ms, qrs_ms, qt_ms, qtc_ms, qrs_axis_deg, ...).
        units: "mV", or "normalised" where the scale cannot be undone: no voltage criterion holds.
    """

    signal_mv: np.ndarray
    sampling_rate_hz: float
    format: str
    source: str
    leads: tuple[str, ...] = LEADS
    derived_leads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    age_years: float | None = None
    sex: str | None = None
    recorded_at: datetime | None = None
    device: str | None = None
    statements: tuple[str, ...] = ()
    device_measurements: dict[str, float] = field(default_factory=dict)
    units: str = "mV"

    def __post_init__(self):
        signal = np.ascontiguousarray(self.signal_mv, dtype=np.float32)
        assert signal.ndim == 2 and signal.shape[0] == len(LEADS), f"{signal.shape=}, expected (12, n)"
        object.__setattr__(self, "signal_mv", signal)

    @property
    def n_samples(self) -> int:
        """Samples in each lead."""
        return self.signal_mv.shape[1]

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.n_samples / self.sampling_rate_hz

    @property
    def is_simulated(self) -> bool:
        """True when a reader found the phantom's own words in the file; statements and device can say "synthetic" of
        anything, a graft or a valve."""
        return any("synthetic phantom" in note.lower() for note in self.notes)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the signal and its sampling rate; equal for the same recording in two files of equal
        precision. Found once: nobody writes into the signal of a record."""
        digest = hashlib.sha256(self.signal_mv.tobytes())
        digest.update(repr(float(self.sampling_rate_hz)).encode())
        return digest.hexdigest()
