"""The curves of a run on the page: a Streamlit component that holds ready inline SVG, because `st.html` takes none."""

from functools import lru_cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@lru_cache(maxsize=1)
def _component():
    """The component, registered once per process."""
    return st.components.v2.component(
        "echo2ecg_training_curves", css=(HERE / "curves.css").read_text(), js=(HERE / "curves.js").read_text()
    )


def show_curves(figures: list[str]) -> None:
    """Show the captions and charts of a run, two in a row; a later call with the same places only exchanges what
    changed."""
    with st.container(key="training_curves"):
        _component()(key="training_curves_shown", data={"figures": figures})
