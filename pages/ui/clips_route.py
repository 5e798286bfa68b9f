"""The app's clip route: `/clips/{clip_id}.mp4?key=...` (or .gif), behind the same door as the pages (session_key.py);
with `&save=1` as a download whose name tells study, view and whether it is simulated."""

import re
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from echo2ecg_core.echo.video import gif_of
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from pages.ui import session_key
from pages.ui.session_key import PRIVATE


def clip_url(clip_id: str, workspace: Workspace) -> str:
    """Where the browser of this session gets a clip; the same text at every rerun."""
    return session_key.address(f"clips/{quote(clip_id, safe='')}.mp4", workspace)


async def serve_clip(request: Request) -> Response:
    """The MP4 of a clip, whole or the asked byte range, or a GIF of it; 403 without a living key, 404 in words."""
    workspace = session_key.workspace_of(request)
    if workspace is None:
        return session_key.ended()
    catalog, clip_id = Catalog(workspace), request.path_params["clip_id"]
    is_gif = request.url.path.endswith(".gif")
    try:
        saved = await run_in_threadpool(_saved_as, catalog, clip_id, "gif" if is_gif else "mp4")
        headers = PRIVATE | ({"Content-Disposition": saved} if request.query_params.get("save") else {})
        if is_gif:
            film = await run_in_threadpool(_gif, catalog, clip_id)
            return Response(film, media_type="image/gif", headers=headers)
        path = await run_in_threadpool(catalog.clip_path, clip_id)
    except Echo2ECGError as error:
        return session_key.not_there(error)
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
