"""What every HTTP request passes: an id, security headers, a line in the log, and the counters of `/metrics`.

The policy allows what Streamlit's pages need and no other host: inline styles (its components write them), code from
this server and, by its hash, the one inline script of Streamlit's own page. An address is logged and counted by its
first part alone: what follows may be an id or a key.
"""

import base64
import hashlib
import logging
import re
import secrets
import time
from functools import cache
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders

from echo2ecg_core import logs
from pages.ui.server.metrics import CONNECTED, REQUEST_S, REQUESTS

log = logging.getLogger("echo2ecg.requests")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
COUNTED = (
    "static", "clips", "pictures", "media", "_stcore", "healthz", "metrics", "component", "auth", "oauth2callback",
)  # fmt: skip
SENT_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


@cache
def content_security_policy() -> str:
    """The policy as one header; Streamlit's inline script is named by the hash of what is installed."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    inline = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in inline]
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' 'unsafe-eval' blob: {' '.join(hashes)}",  # Plotly's WebGL (regl) compiles by Function
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "frame-src 'self' blob:",
            "frame-ancestors 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        ]
    )


class EveryRequest:
    """ASGI middleware; websockets pass with an id only."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        given = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"x-request-id"), "")
        number = given if SENT_ID.fullmatch(given) else secrets.token_hex(8)
        logs.request_id.set(number)
        if scope["type"] == "websocket":
            with CONNECTED.track_inprogress():
                return await self.app(scope, receive, send)
        began, status = time.monotonic(), [500]

        async def marked(message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = number
                for name, value in (*HEADERS.items(), ("Content-Security-Policy", content_security_policy())):
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, marked)
        finally:
            _note(scope, status[0], time.monotonic() - began)


def _note(scope, status: int, took_s: float) -> None:
    first = scope.get("path", "").strip("/").split("/")[0]
    route = first if first in COUNTED else "page"
    REQUESTS.labels(route, str(status)).inc()
    REQUEST_S.labels(route).observe(took_s)
    facts = {"method": scope["method"], "route": route, "status": status, "took_ms": round(1000 * took_s, 1)}
    log.info("request", extra={"facts": facts})
