"""Light or dark, as the visitor's page is, for pictures that the server draws; and what keeps them in step with it."""

from functools import lru_cache
from pathlib import Path

import streamlit as st


def is_dark() -> bool:
    """True where this run of the script draws for a dark page."""
    return st.context.theme.type == "dark"


@lru_cache(maxsize=1)
def _component():
    """The component, registered once per process."""
    return st.components.v2.component(
        "echo2ecg_scheme", js=(Path(__file__).parent / "scheme.js").read_text(encoding="utf-8")
    )


def follow(key: str) -> None:
    """Run this script again (in a dialog: the dialog alone) once the page turns light or dark after it was drawn."""
    _component()(key=key, data={"drawn": "dark" if is_dark() else "light"}, on_scheme_change=lambda: None)
