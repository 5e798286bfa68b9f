"""A guided tour of five steps with a simulated ECG of the demo: what to look at on each page, and a way on.

The step is the visitor's; the band stands over whichever page is open and names the one it speaks of.
"""

from dataclasses import dataclass

import streamlit as st

from echo2ecg_core.intake.demo import EXAMPLES
from pages.ui import resources, session
from pages.ui.errors import errors_in_words

EXAMPLE = EXAMPLES[1][1]  # left bundle branch block: there is something to see
_STEP = "tour_step"
_MOVED = "tour_moved"


@dataclass(frozen=True)
class Step:
    """One stop: the page's file, its heading, and what to look at there."""

    page: str
    heading: str
    words: str


STEPS = (
    Step(
        "pages/ecg.py",
        "ECG",
        "A simulated ECG with left bundle branch block is open. Read from the top: what limits the estimate, then the "
        "LV ejection fraction with its interval on one axis.",
    ),
    Step(
        "pages/ecg.py",
        "ECG",
        "Open the tab *Why this estimate* below: the nearest labelled ECGs of other patients, and which leads and "
        "parts of the beat carry the number.",
    ),
    Step(
        "pages/studies.py",
        "Similar studies",
        "The echo studies that lie nearest to this ECG. Press Space to play one; below it stands what was measured "
        "against what the ECG suggested.",
    ),
    Step(
        "pages/map.py",
        "Map",
        "Your ECG is the ringed cross among all others. Draw a lasso around its neighbourhood to read what sets those "
        "patients apart.",
    ),
    Step(
        "pages/report.py",
        "Report",
        "How good the model is on patients it has never seen, beside plain baselines. Read this before you believe any "
        "number of the first page.",
    ),
)


def offer() -> None:
    """The button of the first screen that begins the tour; without a model it says what to wait for."""
    waits = resources.active_model() is None
    if st.button(
        f"Take the tour: {len(STEPS)} steps with a simulated ECG",
        icon=":material/route:",
        key="tour_begin",
        disabled=waits,
        help="The demo is still being prepared; the sidebar shows how far it is." if waits else None,
    ):
        with errors_in_words(), st.spinner("Reading the example …"):
            session.set_files_read(())
            session.open_ecg(resources.example(EXAMPLE))
            st.session_state[_STEP] = 0
            st.rerun()


def band(page) -> None:
    """The current step over the page, with the way on and out; nothing when no tour is under way.

    A click moves the step before the script runs again, and the page follows the step: however the page is being drawn
    at that moment, the click counts. After that the visitor may look at any page; the band stays.
    """
    at = st.session_state.get(_STEP)
    if at is None:
        return
    step = STEPS[at]
    if st.session_state.get(_MOVED):
        if page.title != step.heading:
            st.switch_page(step.page)
        del st.session_state[_MOVED]
    with st.container(key="tour", horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{at + 1} of {len(STEPS)} · {step.heading}.** {step.words}")
        st.space("stretch")
        if at > 0:
            st.button("Back", key="tour_back", on_click=_go, args=(at - 1,))
        if at + 1 < len(STEPS):
            st.button("Next step", type="primary", key="tour_next", on_click=_go, args=(at + 1,))
        st.button("End the tour", type="tertiary", key="tour_end", on_click=_end)


def _go(to: int) -> None:
    st.session_state[_STEP] = to
    st.session_state[_MOVED] = True


def _end() -> None:
    st.session_state.pop(_STEP, None)
