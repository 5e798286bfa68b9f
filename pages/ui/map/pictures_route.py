"""The route of the map's small pictures: `/pictures?key=...&kind=ECG&id=...` (or kind=study; `&dark=1` for a dark
page), behind the same door as the pages (session_key.py). What one shows is told in its header `X-Words`, quoted."""

from functools import lru_cache
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from echo2ecg_core.answers.point_pictures import Picture, ecg_picture, study_picture
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.store.database import Workspace
from pages.ui import session_key
from pages.ui.session_key import PRIVATE

MOST_KEPT = 128  # some 20 kB each


def pictures_url(workspace: Workspace) -> str:
    """Where the browser of this session gets the pictures of points, kind and id not yet named."""
    return session_key.address("pictures", workspace)


async def serve_picture(request: Request) -> Response:
    """The picture of an ECG or a study; 403 without a living key, 404 in words."""
    workspace = session_key.workspace_of(request)
    if workspace is None:
        return session_key.ended()
    asked = request.query_params
    try:
        picture = await run_in_threadpool(
            _drawn, workspace, asked.get("kind") == "ECG", asked.get("id", ""), asked.get("dark") == "1"
        )
    except Echo2ECGError as error:
        return session_key.not_there(error)
    headers = PRIVATE | {"X-Words": quote(picture.words)}
    return Response(picture.content, media_type=picture.media_type, headers=headers)


def _drawn(workspace: Workspace, is_ecg: bool, point_id: str, dark: bool) -> Picture:
    return _kept(workspace.folder, workspace.version(), is_ecg, point_id, dark and is_ecg)


@lru_cache(MOST_KEPT)
def _kept(folder, version: int, is_ecg: bool, point_id: str, dark: bool) -> Picture:
    workspace = Workspace(folder)
    return ecg_picture(workspace, point_id, dark) if is_ecg else study_picture(workspace, point_id)


PICTURE_ROUTES = [Route("/pictures", serve_picture)]
