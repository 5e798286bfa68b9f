"""Errors in words: what is wrong, what was found, what to do; the rest of the page stays where it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from echo2ecg_core.errors import Echo2ECGError
from pages.ui.server.metrics import PAGE_ERRORS


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Shows an Echo2ECGError where it happens, as what is wrong and what to do; the rest of the page stays."""
    try:
        yield
    except Echo2ECGError as error:
        show_error(error)


def show_error(error: Echo2ECGError) -> None:
    """One error in words (amber by the theme: red stays off clinical pages)."""
    PAGE_ERRORS.inc()
    st.error(f"{plain(error.message)} {plain(error.hint)}".strip(), icon=":material/error:")


def sentence(text: str) -> str:
    """Text of ours that Markdown shows as written, but for commands in backticks."""
    return "`".join(part if inside % 2 else plain(part) for inside, part in enumerate(text.split("`")))


def plain(text: str) -> str:
    """Text that Markdown shows as it is written."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$~:" else c for c in text)
