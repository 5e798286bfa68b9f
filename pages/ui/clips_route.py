"""The app's clip route: `/clips/{clip_id}.mp4?key=...` (or .gif), behind the same door as the pages; with `&save=1`
as a download whose name tells study, view and whether it is simulated.

A custom route of st.App has no login of its own. Therefore a page, which runs only for a visitor the app has let in,
hands out a random key for its session (`clip_url`), and the route serves a clip only for a key whose session is still
connected, from that session's workspace. Answers are never stored by the browser and never name a path.
"""

import re
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

from echo2ecg_core.echo.video import gif_of
from echo2ecg_core.errors import Echo2ECGError
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
    return f"{'/' + base if base else ''}/clips/{quote(clip_id, safe='')}.mp4?key={key}"


def _connected(session_id: str) -> bool:
    return Runtime.exists() and Runtime.instance().is_active_session(session_id)


async def serve_clip(request: Request) -> Response:
    """The MP4 of a clip, whole or the asked byte range, or a GIF of it; 403 without a living key, 404 in words."""
    grant = _grants.get(request.query_params.get("key", ""))
    if grant is None or not _connected(grant.session_id):
        return PlainTextResponse(
            "This address belongs to a session that has ended. Reload the page.", 403, headers=PRIVATE
        )
    catalog, clip_id = Catalog(grant.workspace), request.path_params["clip_id"]
    is_gif = request.url.path.endswith(".gif")
    try:
        saved = await run_in_threadpool(_saved_as, catalog, clip_id, "gif" if is_gif else "mp4")
        headers = PRIVATE | ({"Content-Disposition": saved} if request.query_params.get("save") else {})
        if is_gif:
            film = await run_in_threadpool(_gif, catalog, clip_id)
            return Response(film, media_type="image/gif", headers=headers)
        path = await run_in_threadpool(catalog.clip_path, clip_id)
    except Echo2ECGError as error:
        return PlainTextResponse(str(error), 404, headers=PRIVATE)
    return FileResponse(path, media_type="video/mp4", headers=headers)


def _saved_as(catalog: Catalog, clip_id: str, kind: str) -> str:
    """The header that makes a download of a clip, named by its study and view."""
    clip = catalog.clip(clip_id)
    parts = [clip.study_id, clip.view or "clip", clip_id, *(["synthetic"] if clip.synthetic else [])]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(parts))
    return f'attachment; filename="{name}.{kind}"'


def _gif(catalog: Catalog, clip_id: str) -> bytes:
    synthetic = "Synthetic. " if catalog.clip(clip_id).synthetic else ""
    return gif_of(catalog.clip_content(clip_id), f"Echo2ECG Explorer. {synthetic}Research use only.")


CLIP_ROUTES = [Route("/clips/{clip_id}.mp4", serve_clip), Route("/clips/{clip_id}.gif", serve_clip)]
