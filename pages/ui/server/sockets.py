"""Who may open a websocket of Streamlit, over which all pages come, and what may be asked over it.

A page of another site whose name was made to lead to this machine (DNS rebinding) comes from this machine, asks by that
name and passes no proxy: it is refused, for where nobody needs a login it could read what a viewer can. Names without a
dot nobody can register, and addresses lead nowhere else. Where `server.allowedHosts` is set, Streamlit looks itself.

Streamlit empties the caches of everybody for any visitor who asks (networks are then loaded anew) and tells where the
program's repository lies. Its own pages ask for neither here: the menu that does is not shown.
"""

import logging
from ipaddress import ip_address
from urllib.parse import urlsplit

import streamlit as st
from google.protobuf.message import DecodeError
from starlette.datastructures import Headers
from streamlit.proto.BackMsg_pb2 import BackMsg

REFUSED = {"clear_cache", "load_git_info"}
log = logging.getLogger("echo2ecg.requests")


class CheckedSockets:
    """ASGI middleware round websockets; everything else passes untouched."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Refuse a websocket (403), or pass its messages on but for those that are refused."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        if _is_rebound(scope):
            log.warning("A connection was refused: from this machine, by a name that is not its own, past no proxy.")
            await send({"type": "websocket.close", "code": 1008})
            return

        async def checked():
            while True:
                message = await receive()
                kind = _kind(message.get("bytes"))
                if kind not in REFUSED:
                    return message
                log.warning("A message was refused: %s.", kind)

        await self.app(scope, checked, send)


def _is_rebound(scope) -> bool:
    from pages.ui.admin_gate import PROXY_HEADERS, is_loopback

    headers, peer = Headers(scope=scope), (scope.get("client") or ("",))[0]
    if not is_loopback(peer) or any(name in headers for name in PROXY_HEADERS) or st.get_option("server.allowedHosts"):
        return False
    try:
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return True
    return "." in name.rstrip(".") and not _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _kind(content: bytes | None) -> str | None:
    """What a message asks for; None for what is none of Streamlit's."""
    try:
        return BackMsg.FromString(content or b"").WhichOneof("type")
    except DecodeError:
        return None
