"""How an ECG comes in: files dropped together, one of the examples, or another recording of the same upload.

What is open stays open until a new file has been read; a file that cannot be read is told by name and loses nothing.
"""

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from echo2ecg_core.errors import SamplingRateNeeded
from echo2ecg_core.intake.demo import EXAMPLES
from pages.ui import errors, resources, session, tour
from pages.ui.server import uploads
from pages.ui.session import ReadFile

PURPOSE = (
    "Load a 12-lead ECG and read what an echo of the same heart would probably show, each number with its interval.",
    "See the echo studies of hearts that look alike to the model, and where the ECG lies among all others.",
    "Every number comes with its doubt: what was assumed, how often such intervals held, for whom it is not.",
)
MOST_MB = 64  # an ECG has one; a zip of many has some tens
FORMATS = (
    "WFDB (.hea with .dat), a zip of them, DICOM, CSV, NPY, NPZ, XML, SCP, EDF, BDF, ISHNE, MFER, TXT, JSON, "
    f"Parquet, Feather, MAT or HDF5; several files at once, each up to {MOST_MB} MB"
)
TELL = "The file does not say its unit or its leads"
PRIVATE = (
    "No ECG yet. Drop a file, or try one of the three below. Files are read on this machine and sent nowhere else."
)


def welcome() -> None:
    """The page before an ECG is open: what this is, the uploader, three examples."""
    with st.container(key="welcome"):
        st.html(f'<p class="e2e-purpose">{"<br>".join(PURPOSE)}</p>')
        uploader("welcome")
        st.html(f'<p class="e2e-facts">{PRIVATE}</p>')
        examples("welcome")
        tour.offer()


def load_another() -> None:
    """The same choices behind a button, while an ECG is open; the button closes when a file has been opened."""
    with (
        st.container(key="load_another", width="content"),
        st.popover("Load another", icon=":material/upload_file:", key=f"load_{session.upload_round()}"),
    ):
        uploader("another")
        st.caption("Or one of the examples:")
        examples("another")


def uploader(place: str) -> None:
    """Drop zone; one recording opens at once, several become a table, a missing sampling rate is asked for."""
    files = st.file_uploader(
        f"12-lead ECG: {FORMATS}",
        accept_multiple_files=True,
        max_upload_size=MOST_MB,
        key=f"files_{place}_{session.upload_round()}",
    )
    _tell_what_is_open(place)
    if not files:
        return
    with errors.errors_in_words():
        content = {file.name: file.getvalue() for file in files}
        read = _read(content, None)
        rateless = next((item.problem for item in read if isinstance(item.problem, SamplingRateNeeded)), None)
        rate = _ask_for_rate(place, rateless) if rateless else None
        if rate:
            read = _read(content, rate)
        if rate or not rateless or _leave_out(place, read):
            _take(read, files, content, rate)


def _read(content: dict[str, bytes], sampling_rate_hz: float | None) -> tuple[ReadFile, ...]:
    with st.spinner("Reading the ECG …"):
        return resources.read_files(content, sampling_rate_hz, session.told_unit(), session.told_lead_order())


def _tell_what_is_open(place: str) -> None:
    """Unit and lead order, for files that name neither; kept while the session lasts."""
    is_told = bool(session.told_unit() or session.told_lead_order())
    if not st.checkbox(TELL, is_told, key=f"tell_{place}"):
        session.tell("", "")
    else:
        left, right = st.columns((1, 3))
        session.tell(
            left.text_input("Unit", session.told_unit(), placeholder="mV, µV, 4.88 µV", key=f"unit_{place}"),
            right.text_input(
                "Lead order",
                session.told_lead_order(),
                placeholder="I, II, III, aVR, aVL, aVF, V1-V6",
                key=f"order_{place}",
                help="Used only where the file itself says nothing; - leaves a column out.",
            ),
        )


def _ask_for_rate(place: str, why: SamplingRateNeeded) -> float | None:
    """The rate in Hz once the person has given it; a guess would stretch every interval."""
    errors.show_error(why)
    with (
        st.form(f"rate_{place}", border=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        rate = st.number_input("Sampling rate (Hz)", 50.0, 5000.0, value=None, placeholder="for example 500", width=220)
        given = st.form_submit_button("Read with this rate")
    return rate if given and rate else None


def _leave_out(place: str, read: tuple[ReadFile, ...]) -> bool:
    """True when the person wants the recordings that can be read without those whose rate is open."""
    others = sum(item.record is not None for item in read)
    words = "the other recording" if others == 1 else f"the other {others:,} recordings"
    return bool(others) and st.button(f"Read {words} without it", key=f"leave_out_{place}")


def _take(read: tuple[ReadFile, ...], files: list[UploadedFile], content: dict[str, bytes], rate: float | None) -> None:
    """Open what was read: the first recording; the others wait in the table. Problems are told."""
    good = [item for item in read if item.record is not None]
    for item in read:
        if item.problem is not None:
            errors.show_error(item.problem)
    if good:
        session.open_upload(read, good[0], content, rate)
        uploads.let_go(files)
        st.rerun()


def examples(place: str) -> None:
    """One button each; a click reads the file like anyone's."""
    for column, (key, title, text) in zip(
        st.columns(3) if place == "welcome" else [st.container()] * 3, EXAMPLES, strict=True
    ):
        with column:
            label = f"**{title}**  \n{text}" if place == "welcome" else title
            if st.button(label, key=f"example_{place}_{key}", width="stretch", type="secondary"):
                _open_example(title)


def _open_example(title: str) -> None:
    with errors.errors_in_words(), st.spinner("Reading the example …"):
        session.set_files_read(())
        session.open_ecg(resources.example(title))
        st.rerun()
