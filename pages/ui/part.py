"""A part of a page that runs again alone when something in it is touched: what surrounds it stays as it is."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from echo2ecg_core import logs
from pages.ui import admin_gate, resources, session
from pages.ui.errors import errors_in_words

P = ParamSpec("P")


def part(draw: Callable[P, None]) -> Callable[P, None]:
    """A decorator: a fragment of Streamlit's, with what the frame (app.py) does before a page, for Streamlit runs a
    fragment without the lines above it."""

    @st.fragment
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        logs.session_id.set(session.short_id())
        admin_gate.end_with_login()
        with resources.workspace().kept_open(), errors_in_words():
            draw(*args, **kwargs)

    return drawn
