"""Amber chips for what the reader assumed (lead order, unit) or was told (rate), each one click from a correction.

The reader tells assumptions in its notes; a correction reads the same files again, which the session keeps for that.
"""

import re

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures.notation import THIN
from pages.ui import errors, resources, session
from pages.ui.ecg.upload import TELL

# what the readers' notes say -> chip
SAYINGS = {
    r"names? no leads|order .* (is|was) assumed|hold in the order": "Lead order assumed",
    r"names? (no unit|a unit that is no voltage)|counts per mV was assumed": "Unit assumed",
}
KEPT_ELSEWHERE = f"The file itself is no longer here: drop it again and tick “{TELL}”."


def assumed(record: EcgRecord) -> dict[str, list[str]]:
    """Chip -> the reader's sentences behind it; empty for a file that says everything itself."""
    found: dict[str, list[str]] = {}
    for sentence in dict.fromkeys((*record.notes, *record.doubts)):
        for saying, chip in SAYINGS.items():
            if re.search(saying, sentence):
                found.setdefault(chip, []).append(sentence)
    if rate := session.uploaded()[1]:
        found[f"Rate as told: {rate:g}{THIN}Hz"] = ["The file names no sampling rate; yours was taken."]
    return found


def chips(record: EcgRecord) -> None:
    """One popover a chip: what was assumed, and the form that corrects it."""
    for number, (chip, sentences) in enumerate(assumed(record).items()):
        place = st.container(key=f"assumed_{number}", width="content")
        with place.popover(
            chip, icon=":material/edit:", type="tertiary", key=f"chip_{number}_{session.upload_round()}"
        ):
            for sentence in sentences:
                st.markdown(errors.plain(sentence))
            _form(record, number)


def _form(record: EcgRecord, number: int) -> None:
    content, rate = session.uploaded()
    if not content:
        st.caption(KEPT_ELSEWHERE)
        return
    with st.form(f"correct_{number}_{session.upload_round()}", border=False):
        unit = st.text_input("Unit", session.told_unit(), placeholder="mV, µV, 4.88 µV")
        order = st.text_input("Lead order", session.told_lead_order(), placeholder="I, II, III, aVR, aVL, aVF, V1-V6")
        if rate:
            rate = st.number_input("Sampling rate (Hz)", 50.0, 5000.0, value=rate)
        if st.form_submit_button("Read again", type="primary"):
            _read_again(record, content, rate, unit, order)


def _read_again(record: EcgRecord, content: dict[str, bytes], rate: float | None, unit: str, order: str) -> None:
    """The same upload with what the person says; what cannot be read so leaves everything as it is."""
    with errors.errors_in_words(), st.spinner("Reading the ECG again …"):
        read = resources.read_files(content, rate, unit.strip(), order.strip())
        here = next((item for item in read if item.name == record.source), read[0])
        if here.problem is not None:
            raise here.problem
        session.tell(unit, order)
        session.open_upload(read, here, content, rate)
        st.rerun()
