"""One line under a study's head: what a model read from its clips where nobody measured, marked as such."""

import streamlit as st

from echo2ecg_core.answers.machine_read import machine_values
from echo2ecg_core.figures.notation import measured
from echo2ecg_core.phenotypes import PHENOTYPES
from pages.ui import resources
from pages.ui.errors import plain


def line(study_id: str) -> None:
    """Machine-read values of a study; nothing where there are none."""
    found = machine_values(resources.workspace(), study_id)
    for model in dict.fromkeys(v["model"] for v in found):
        own = [v for v in found if v["model"] == model]
        values = ", ".join(
            f"{PHENOTYPES[v['name']].short} {measured(PHENOTYPES[v['name']], v['value'])} {v['unit']}".strip()
            for v in own
        )
        clips = f"{own[0]['clips']} clip{'s' * (own[0]['clips'] != 1)}"
        st.caption(plain(f"Machine-read by {own[0]['by']} from {clips}, not measured: {values}."))
