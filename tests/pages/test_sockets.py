"""Websockets: a name that was made to lead here opens none; what would change the server for everybody does not arrive,
the rest arrives as it was."""

import asyncio

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from pages.ui.server.sockets import CheckedSockets


def opened(host="localhost:8501", peer="127.0.0.1", incoming=(), **headers):
    """What arrives of a websocket's messages, and what is answered in the place of the app."""
    waiting, arrived, answers = iter([*incoming, {"type": "websocket.disconnect"}]), [], []

    async def receive():
        return next(waiting)

    async def send(message):
        answers.append(message)

    async def app(scope, receive, send):
        while not arrived or arrived[-1]["type"] != "websocket.disconnect":
            arrived.append(await receive())

    named = {"host": host, **headers}
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    asyncio.run(CheckedSockets(app)({"type": "websocket", "client": (peer, 1), "headers": sent}, receive, send))
    return arrived, answers


def test_no_visitor_empties_the_caches_of_everybody_or_learns_of_the_repository():
    rerun = BackMsg(rerun_script={"query_string": "a=b"}).SerializeToString()
    refused = [BackMsg(**{name: True}).SerializeToString() for name in ("clear_cache", "load_git_info")]
    sent = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "x", "bytes": None}]
    sent += [{"type": "websocket.receive", "bytes": one} for one in (refused[0], rerun, refused[1], b"\xff\xff", b"")]
    arrived, answers = opened(incoming=sent)
    assert arrived[:-1] == [one for one in sent if one.get("bytes") not in refused] and not answers


@pytest.mark.parametrize(
    ("host", "peer", "headers", "opens"),
    [
        ("evil.example:8501", "127.0.0.1", {}, False),  # led here by its own name server
        ("evil.example.", "::1", {}, False),
        ("[evil", "127.0.0.1", {}, False),
        ("localhost:8501", "127.0.0.1", {}, True),
        ("127.0.0.1:8501", "127.0.0.1", {}, True),
        ("[::1]:8501", "::1", {}, True),
        ("workstation:8501", "127.0.0.1", {}, True),
        ("echo.example", "127.0.0.1", {"x_forwarded_for": "10.0.0.7"}, True),  # a proxy on this machine
        ("echo.example:8501", "10.0.0.7", {}, True),
    ],
)
def test_a_page_of_another_site_whose_name_leads_to_this_machine_opens_nothing(host, peer, headers, opens):
    arrived, answers = opened(host, peer, **headers)
    assert bool(arrived) == opens and answers == ([] if opens else [{"type": "websocket.close", "code": 1008}])
