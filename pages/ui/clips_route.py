"""The app's clip route: `/clips/{clip_id}.mp4?key=...`, behind the same door as the pages.

A custom route of st.App has no login of its own. Therefore a page, which runs only for a visitor the app has let in,
hands out a random key for its session (`clip_url`), and the route serves a clip only for a key whose session is still
connected, from that session's workspace. Answers are never stored by the browser and never name a path.
"""

import secrets
import threading
from dataclasses import dataclass
from urllib.parse import quote

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class _Grant:
    session_id: str
    workspace: Workspace


_grants: dict[str, _Grant] = {}
_lock = threading.Lock()


def clip_url(clip_id: str, workspace: Workspace) -> str:
    """Where the browser of this session gets a clip; the same text at every rerun."""
    session_id = get_script_run_ctx().session_id
    wanted = _Grant(session_id, workspace)
    with _lock:
        for key in [key for key, grant in _grants.items() if not _connected(grant.session_id)]:
            del _grants[key]
        known = (k for k, g in _grants.items() if g.session_id == session_id and g.workspace.folder == workspace.folder)
        key = next(known, None) or secrets.token_urlsafe(24)
        _grants.setdefault(key, wanted)
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"{'/' + base if base else ''}/clips/{quote(clip_id, safe='')}.mp4?key={key}"


def _connected(session_id: str) -> bool:
    return Runtime.exists() and Runtime.instance().is_active_session(session_id)


async def serve_clip(request: Request) -> Response:
    """The MP4 of a clip, whole or the asked byte range; 403 without a living key, 404 in words."""
    grant = _grants.get(request.query_params.get("key", ""))
    if grant is None or not _connected(grant.session_id):
        return PlainTextResponse(
            "This address belongs to a session that has ended. Reload the page.", 403, headers=PRIVATE
        )
    try:
        path = await run_in_threadpool(Catalog(grant.workspace).clip_path, request.path_params["clip_id"])
    except StoreError as error:
        return PlainTextResponse(str(error), 404, headers=PRIVATE)
    return FileResponse(path, media_type="video/mp4", headers=PRIVATE)


CLIP_ROUTES = [Route("/clips/{clip_id}.mp4", serve_clip)]
