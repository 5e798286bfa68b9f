"""The key of a session, with which the browser fetches what a page shows outside Streamlit's own ways: clips, pictures.

A custom route of st.App has no login of its own. Therefore a page, which runs only for a visitor the app has let in,
hands out a random key for its session (`address`), and a route serves only for a key whose session is still connected,
from that session's workspace (`workspace_of`), and where everybody needs a login as long as it lasts (`serve_for`).
Answers are never stored by the browser and never name a path.
"""

import math
import secrets
import threading
import time
from dataclasses import dataclass

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.store.database import Workspace

PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class _Grant:
    session_id: str
    workspace: Workspace


_grants: dict[str, _Grant] = {}
_until: dict[str, float] = {}  # session -> end of its login on the monotonic clock, where everybody needs one
_lock = threading.Lock()


def address(way: str, workspace: Workspace) -> str:
    """Where the browser of this session gets what a route serves; the same text at every rerun.

    Args:
        way: Of the route, quoted, without a slash before it.
    """
    context = get_script_run_ctx()
    assert context is not None, "a page asks"
    session_id = context.session_id
    wanted = _Grant(session_id, workspace)
    with _lock:
        for key in [key for key, grant in _grants.items() if not _connected(grant.session_id)]:
            del _grants[key]
        known = (k for k, g in _grants.items() if g.session_id == session_id and g.workspace.folder == workspace.folder)
        key = next(known, None) or secrets.token_urlsafe(24)
        _grants.setdefault(key, wanted)
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"{'/' + base if base else ''}/{way}?key={key}"


def serve_for(seconds: float) -> None:
    """How long from now on the keys of this session count, whichever it gets: as long as its login."""
    context = get_script_run_ctx()
    if context is None:
        return
    with _lock:
        for session_id in [session_id for session_id in _until if not _connected(session_id)]:
            del _until[session_id]
        _until[context.session_id] = time.monotonic() + seconds


def _connected(session_id: str) -> bool:
    return Runtime.exists() and Runtime.instance().is_active_session(session_id)


def workspace_of(request: Request) -> Workspace | None:
    """The workspace that the session of a request's key looks at; None without a living key."""
    grant = _grants.get(request.query_params.get("key", ""))
    if grant is None or not _connected(grant.session_id):
        return None
    return grant.workspace if time.monotonic() < _until.get(grant.session_id, math.inf) else None


def ended() -> Response:
    """What a request without a living key gets."""
    return PlainTextResponse("This address belongs to a session that has ended. Reload the page.", 403, headers=PRIVATE)


def not_there(error: Echo2ECGError) -> Response:
    """What a request gets for something that is not there."""
    return PlainTextResponse(str(error), 404, headers=PRIVATE)
