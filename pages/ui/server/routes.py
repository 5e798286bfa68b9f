"""Addresses for whoever runs the server: `/healthz` for a supervisor or load balancer, `/metrics` for Prometheus.

`/healthz` tells states in one word each and nothing else, so it asks nobody. `/metrics` asks for the token of the
settings: a request of its own has no session and so no role; admins read the same on the Admin page.
"""

import hmac
import time

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.settings import settings
from echo2ecg_core.store import jobs

NOT_STORED = {"Cache-Control": "no-store"}
STREAMLIT_METRICS = "/_stcore/metrics"
WORKER_STARTS_S = 60.0  # a queued job gets a worker at the next visit of a page; longer is told
NO_TOKEN = "Metrics need ECHO2ECG_METRICS_TOKEN on the server and the header `Authorization: Bearer TOKEN`.\n"


def health() -> dict[str, str]:
    """A word each on workspace, worker and model, and "status": ok, starting or failing."""
    from pages.ui import resources

    found = {"workspace": "empty", "worker": "idle", "model": "none"}
    place = resources.workspace()
    try:
        if place.exists():
            found["workspace"] = "readable"
            found["worker"] = _worker(jobs.jobs(place, open_only=True))
        card = resources.active_model()
    except Echo2ECGError:
        found["workspace"], card = "not readable", None
    if not resources.is_warm():
        found["model"] = "loading"
    elif card is not None:
        found["model"] = "loaded" if resources.could_load() else "not loaded"
    bad = {"not readable", "silent", "not loaded"} & set(found.values())
    return {"status": "failing" if bad else "starting" if found["model"] == "loading" else "ok", **found}


def _worker(open_jobs: list[jobs.Job]) -> str:
    if any(job.state == "running" for job in open_jobs):
        return "silent" if all(_is_silent(job) for job in open_jobs if job.state == "running") else "working"
    waits = [time.time() - job.created_at for job in open_jobs]
    return "idle" if not waits else "silent" if max(waits) > WORKER_STARTS_S else "starting"


def _is_silent(job: jobs.Job) -> bool:
    return job.heartbeat_at is not None and time.time() - job.heartbeat_at > jobs.LOST_AFTER_S


async def healthz(_: Request) -> Response:
    """200 while the server can answer visitors, 503 while it starts or where something does not answer."""
    found = await run_in_threadpool(health)
    return JSONResponse(found, 200 if found["status"] == "ok" else 503, headers=NOT_STORED)


async def metrics(request: Request) -> Response:
    """Prometheus' text, for the token only."""
    if not _has_token(request.headers):
        return PlainTextResponse(NO_TOKEN, 403, headers=NOT_STORED)
    from pages.ui.server.metrics import as_text

    return PlainTextResponse(await run_in_threadpool(as_text), headers=NOT_STORED)


def _has_token(headers: Headers) -> bool:
    """Whether a request has the token of the settings, compared in constant time; False where none is set."""
    wanted, given = settings().metrics_token, headers.get("authorization", "").removeprefix("Bearer ")
    return wanted is not None and hmac.compare_digest(given.encode(), wanted.get_secret_value().encode())


class GuardedMetrics:
    """ASGI middleware round Streamlit's own metrics (sessions, caches, widgets of everybody), which ask nobody and look
    through every session: they ask for the token, too."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Let a request pass, but one for these metrics without the token."""
        is_theirs = scope["type"] == "http" and scope.get("path", "").rstrip("/").endswith(STREAMLIT_METRICS)
        if is_theirs and not _has_token(Headers(scope=scope)):
            await PlainTextResponse(NO_TOKEN, 403, headers=NOT_STORED)(scope, receive, send)
            return
        await self.app(scope, receive, send)


SERVER_ROUTES = [Route("/healthz", healthz), Route("/metrics", metrics)]
