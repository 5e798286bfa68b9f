"""Messages of a browser: what would change the server for everybody does not arrive, the rest arrives as it was."""

import asyncio

from streamlit.proto.BackMsg_pb2 import BackMsg

from pages.ui.server.messages import CheckedMessages


def test_no_visitor_empties_the_caches_of_everybody_or_learns_of_the_repository():
    rerun = BackMsg(rerun_script={"query_string": "a=b"}).SerializeToString()
    emptied = BackMsg(clear_cache=True).SerializeToString()
    located = BackMsg(load_git_info=True).SerializeToString()
    sent = [{"type": "websocket.connect"}]
    sent += [{"type": "websocket.receive", "bytes": one} for one in (emptied, rerun, located, b"\xff\xff", b"")]
    sent += [{"type": "websocket.receive", "text": "x", "bytes": None}, {"type": "websocket.disconnect"}]
    waiting, arrived = iter(sent), []

    async def receive():
        return next(waiting)

    async def app(scope, receive, send):
        while not arrived or arrived[-1]["type"] != "websocket.disconnect":
            arrived.append(await receive())

    asyncio.run(CheckedMessages(app)({"type": "websocket"}, receive, None))
    assert arrived == [one for one in sent if one.get("bytes") not in (emptied, located)]
