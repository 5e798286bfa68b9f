"""What one visitor holds: the open ECG and the choices on the page, each session key behind a typed function.

Only inputs live here. Predictions are cached per input (resources.py), jobs and results lie on disk, and what is open
is opened again after a reload (reopen/). Keys of bound controls are also their names in the address.
"""

import hashlib
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError

LAYOUT_KEY = "layout"
SPEED_KEY = "speed"
GAIN_KEY = "gain"
TAB_KEY = "tab"
CALIPERS_KEY = "calipers"
WANDER_KEY = "remove_wander"
START_KEY = "start_s"
INSIST_KEY = "predict_anyway"
UNIT_KEY, ORDER_KEY = "told_unit", "told_lead_order"
DEFAULT_LAYOUT, DEFAULT_SPEED, DEFAULT_GAIN = "3×4 + II", 25, 10

_RECORD = "ecg_record"
_READ = "ecgs_read"
_BATCH_ORDER = "batch_order"
_UPLOADED = "uploaded"
_AS_RECORDED = "as_recorded"
MOST_KEPT_BYTES = 16 * 2**20  # an upload above this is not kept for reading it again
_ROUND = "upload_round"
_HIDDEN = "hidden_failures"
_HANDLE = "handle"


@dataclass(frozen=True)
class ReadFile:
    """One recording of an upload: its name and either the record or the words why it could not be read."""

    name: str
    record: EcgRecord | None
    problem: Echo2ECGError | None


@dataclass(frozen=True)
class Opened:
    """What is open: the ECG, what it was corrected from, the upload it came with, and sex and age as given for it."""

    record: EcgRecord
    as_recorded: EcgRecord | None
    read: tuple[ReadFile, ...]
    uploaded: tuple[dict[str, bytes], float | None]
    given: tuple[str | None, float | None]

    def nbytes(self) -> int:
        """Memory that it takes."""
        records = [self.record, self.as_recorded, *(file.record for file in self.read)]
        signals = {id(record): record.signal_mv.nbytes for record in records if record is not None}
        return sum(signals.values()) + sum(map(len, self.uploaded[0].values()))


def opened() -> Opened | None:
    """What this visitor has open, None before an ECG is."""
    record = current_ecg()
    return None if record is None else Opened(record, as_recorded(), files_read(), uploaded(), given_sex_and_age())


def open_again(opened: Opened) -> None:
    """Open what was open before the browser loaded the page anew."""
    set_files_read(opened.read)
    open_ecg(opened.record)
    st.session_state[_AS_RECORDED] = opened.as_recorded
    st.session_state[_UPLOADED] = opened.uploaded
    for key, value in zip(given_keys(), opened.given, strict=True):
        if value is not None:
            st.session_state[key] = value


def handle(fresh: str) -> str:
    """The name under which the server keeps what this session has open: the first fresh one that came."""
    return st.session_state.setdefault(_HANDLE, fresh)


def short_id() -> str:
    """Which session of a browser this is, for the log: it tells nothing about the visitor and opens nothing."""
    context = get_script_run_ctx()
    return hashlib.sha256(context.session_id.encode()).hexdigest()[:12] if context else ""


def current_ecg() -> EcgRecord | None:
    """The ECG all pages talk about, or None before one is opened."""
    return st.session_state.get(_RECORD)


def open_ecg(record: EcgRecord) -> None:
    """Make this the current ECG; the uploader is emptied, so that the next drop starts afresh."""
    st.session_state[_RECORD] = record
    st.session_state[_AS_RECORDED] = None
    st.session_state[_ROUND] = upload_round() + 1
    st.session_state[INSIST_KEY] = False
    st.session_state[START_KEY] = 0.0


def open_instead(record: EcgRecord, as_recorded: EcgRecord) -> None:
    """Make a corrected recording the current ECG and remember what it was made from."""
    open_ecg(record)
    st.session_state[_AS_RECORDED] = as_recorded


def as_recorded() -> EcgRecord | None:
    """What the current ECG was corrected from, None where it is what was recorded."""
    return st.session_state.get(_AS_RECORDED)


def upload_round() -> int:
    """Number that names the uploader; a new number is an empty uploader."""
    return st.session_state.get(_ROUND, 0)


def files_read() -> tuple[ReadFile, ...]:
    """The recordings of the last upload that held several, () otherwise."""
    return st.session_state.get(_READ, ())


def set_files_read(files: tuple[ReadFile, ...]) -> None:
    """Keep the recordings of an upload, so that each row of the table can be opened."""
    st.session_state[_READ] = files
    st.session_state[_BATCH_ORDER] = ()
    st.session_state[_UPLOADED] = ({}, None)


def open_upload(
    read: tuple[ReadFile, ...], chosen: ReadFile, content: dict[str, bytes], sampling_rate_hz: float | None
) -> None:
    """Open one recording of an upload; its files stay for a correction of what was assumed, unless they are large."""
    assert chosen.record is not None, "one that could be read is opened"
    set_files_read(read if len(read) > 1 else ())
    open_ecg(chosen.record)
    small = sum(map(len, content.values())) <= MOST_KEPT_BYTES
    st.session_state[_UPLOADED] = (content if small else {}, sampling_rate_hz)


def uploaded() -> tuple[dict[str, bytes], float | None]:
    """The files of the upload (file name -> bytes; {} when they are not here) and the rate in Hz that was told."""
    return st.session_state.get(_UPLOADED, ({}, None))


def batch_order() -> tuple[int, ...]:
    """The recordings of the upload in the order in which the table shows them, () before it was drawn."""
    return st.session_state.get(_BATCH_ORDER, ())


def set_batch_order(order: list[int]) -> None:
    """Keep the order of the table for Previous and Next."""
    st.session_state[_BATCH_ORDER] = tuple(order)


def given_keys() -> tuple[str, str]:
    """Keys of the controls that ask for sex and age; they end with the ECG they were given for."""
    return f"given_sex_{upload_round()}", f"given_age_{upload_round()}"


def given_sex_and_age() -> tuple[str | None, float | None]:
    """Sex and age in years as given for the current ECG, None where nothing was."""
    sex, age = (st.session_state.get(key) for key in given_keys())
    return sex, None if age is None else float(age)


def carrying_key() -> str:
    """Key of the switch that shows what carries the estimate; it ends with the ECG, because it takes seconds."""
    return f"carrying_{upload_round()}"


def told_unit() -> str:
    """The unit that the person gives for files that name none, "" without."""
    return st.session_state.get(UNIT_KEY, "")


def tell(unit: str, lead_order: str) -> None:
    """Keep unit and lead order for the files that are read from now on."""
    st.session_state[UNIT_KEY], st.session_state[ORDER_KEY] = unit.strip(), lead_order.strip()


def told_lead_order() -> str:
    """The lead order that the person gives for files that name none, "" without."""
    return st.session_state.get(ORDER_KEY, "")


def insists() -> bool:
    """True when the person wants a prediction although the signal quality advises against it."""
    return bool(st.session_state.get(INSIST_KEY, False))


def calipers_on() -> bool:
    """True while the calipers are out."""
    return bool(st.session_state.get(CALIPERS_KEY, False))


def set_calipers(on: bool) -> None:
    """Take the calipers out or put them away (the K and Esc keys end here)."""
    st.session_state[CALIPERS_KEY] = on


def layout() -> str:
    """How the leads are laid out on the paper, a key of figures.ecg.LAYOUTS."""
    return st.session_state.get(LAYOUT_KEY) or DEFAULT_LAYOUT


def speed_mm_s() -> int:
    """Paper speed in millimetres a second."""
    return st.session_state.get(SPEED_KEY) or DEFAULT_SPEED


def gain_mm_mv() -> int:
    """Height of one millivolt on the paper in millimetres."""
    return st.session_state.get(GAIN_KEY) or DEFAULT_GAIN


def removes_wander() -> bool:
    """True when baseline wander is removed for display; the caption then says so."""
    return bool(st.session_state.get(WANDER_KEY, False))


def start_s() -> float:
    """First second of the paper; other than 0 only in recordings longer than the paper."""
    return float(st.session_state.get(START_KEY, 0.0))


def hide_failure(job_id: int) -> None:
    """This visitor has seen that a job failed."""
    st.session_state[_HIDDEN] = {*st.session_state.get(_HIDDEN, ()), job_id}


def is_hidden(job_id: int) -> bool:
    """True when this visitor does not want to see the failure of a job any more."""
    return job_id in st.session_state.get(_HIDDEN, ())
