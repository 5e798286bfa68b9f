"""Puts our style into Streamlit's page. Where Streamlit would have it, in a page's first script run, it comes too late:
what is there then moves (0.15 to 0.45 of layout shift on every page), and everything is styled anew.

It stands at the beginning of the body: of equal rules the later one holds, so it wins over those that Streamlit adds to
the head."""

from functools import cache
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders

ASSETS = Path(__file__).parents[3] / "assets"
STYLES = ("style", "explore", "cohorts", "report", "training", "first")
BODY_BEGINS = b"<body>"
OF_STREAMLIT_ALONE = ("accept-encoding", "if-none-match", "if-modified-since", "range")  # its file packed, or as it was


@cache
def _style() -> bytes:
    return b"<style>" + b"".join((ASSETS / f"{name}.css").read_bytes() for name in STYLES) + b"</style>"


class FirstPaint:
    """ASGI middleware round the answers to a browser that opens a page; everything else passes untouched."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on and put the style at the beginning of the body of a page."""
        asked = Headers(scope=scope).get("accept", "") if scope["type"] == "http" and scope["method"] == "GET" else ""
        if "text/html" not in asked:
            await self.app(scope, receive, send)
            return
        plain = [(k, v) for k, v in scope["headers"] if k.decode("latin-1") not in OF_STREAMLIT_ALONE]
        start: dict = {}
        parts: list[bytes] = []

        async def styled(message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                if not Headers(scope=message).get("content-type", "").startswith("text/html"):
                    await send(message)
                return
            if not Headers(scope=start).get("content-type", "").startswith("text/html"):
                await send(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(parts).replace(BODY_BEGINS, BODY_BEGINS + _style(), 1)
            headers = MutableHeaders(scope=start)
            headers["content-length"] = str(len(body))
            for name in ("etag", "last-modified", "accept-ranges"):
                del headers[name]
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app({**scope, "headers": plain}, receive, styled)
