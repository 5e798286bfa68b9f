"""What no browser may ask of the server over Streamlit's websocket, whoever sits before it.

Streamlit empties the caches of everybody for any visitor who asks (networks are then loaded anew) and tells where the
program's repository lies. Its own pages ask for neither here: the menu that does is not shown.
"""

import logging

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg

REFUSED = {"clear_cache", "load_git_info"}
log = logging.getLogger("echo2ecg.requests")


class CheckedMessages:
    """ASGI middleware: these messages do not arrive; everything else passes untouched."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Pass a websocket's messages on."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return

        async def checked():
            while True:
                message = await receive()
                kind = _kind(message.get("bytes"))
                if kind not in REFUSED:
                    return message
                log.warning("A message was refused: %s.", kind)

        await self.app(scope, checked, send)


def _kind(content: bytes | None) -> str | None:
    """What a message asks for; None for what is none of Streamlit's."""
    try:
        return BackMsg.FromString(content or b"").WhichOneof("type")
    except DecodeError:
        return None
