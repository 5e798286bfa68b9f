"""Addresses for whoever runs the server: `/healthz` for a supervisor or load balancer, `/metrics` for Prometheus.

`/healthz` tells states in one word each and nothing else, so it asks nobody. `/metrics` asks for the token of the
settings: a request of its own has no session and so no role; admins read the same on the Admin page.
"""

import hmac
import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.settings import settings
from echo2ecg_core.store import jobs

NOT_STORED = {"Cache-Control": "no-store"}
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
    """Prometheus' text, for the token only; compared in constant time."""
    wanted = settings().metrics_token
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if wanted is None or not hmac.compare_digest(given.encode(), wanted.get_secret_value().encode()):
        return PlainTextResponse(NO_TOKEN, 403, headers=NOT_STORED)
    from pages.ui.server.metrics import as_text

    return PlainTextResponse(await run_in_threadpool(as_text), headers=NOT_STORED)


SERVER_ROUTES = [Route("/healthz", healthz), Route("/metrics", metrics)]
