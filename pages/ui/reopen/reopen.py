"""What a visitor has open survives a reload of the tab, for some minutes.

The server keeps it under a random handle that the tab alone knows: it stands in no address, so no link opens it, and it
counts once, for who had it open. Bounded in bytes and time; nothing is written to a disk.
"""

import secrets
from functools import lru_cache
from pathlib import Path

import streamlit as st

from pages.ui import admin_gate, session
from pages.ui.kept_readings import KeptReadings
from pages.ui.session import Opened

KEY = "reopen"
_kept = KeptReadings[tuple[str, Opened]](most_bytes=64 * 2**20, seconds=1800)


@lru_cache(maxsize=1)
def _component():
    """The component, registered once per process."""
    return st.components.v2.component(
        "echo2ecg_reopen", js=(Path(__file__).parent / "reopen.js").read_text(encoding="utf-8")
    )


def across_reloads() -> None:
    """Keep what is open under the handle of this tab; on its first run after a reload open it again."""
    opened = session.opened()
    handle = session.handle(secrets.token_urlsafe(24))
    if opened is not None:
        _kept.put(handle, (admin_gate.name(), opened), opened.nbytes())
    _component()(key=KEY, data={"handle": handle if opened else ""}, on_found_change=_found)


def _found() -> None:
    who, opened = _kept.take(str(st.session_state[KEY]["found"])) or ("", None)
    if opened is not None and who == admin_gate.name() and session.current_ecg() is None:
        session.open_again(opened)


def forget_old() -> None:
    """Forget what no tab has shown for some minutes."""
    _kept.forget_old()
