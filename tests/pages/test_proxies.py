"""Whose attempts to log in are counted together: the visitor's address behind a named proxy, else the connection's."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from echo2ecg_core.settings import Settings
from pages.ui.server import proxies

SPOOFED = "1.2.3.4, 198.51.100.7"  # the first was written by the visitor, the second by the proxy


async def who(request):
    return PlainTextResponse(request.client.host)


async def who_over_the_socket(socket):
    await socket.accept()
    await socket.send_text(socket.client.host)
    await socket.close()


@pytest.fixture
def seen(monkeypatch):
    """seen(trusted, peer, X-Forwarded-For) -> the addresses that a request and a websocket seem to come from."""

    def seen(trusted: str, peer: str, forwarded: str) -> set[str]:
        monkeypatch.setattr(proxies, "settings", lambda: Settings(_env_file=None, trusted_proxies=trusted))
        routes = [Route("/", who), WebSocketRoute("/socket", who_over_the_socket)]
        served = Starlette(routes=routes, middleware=proxies.behind_proxies())
        browser = TestClient(served, client=(peer, 50000), headers={"X-Forwarded-For": forwarded})
        with browser.websocket_connect("/socket") as socket:
            return {browser.get("/").text, socket.receive_text()}

    return seen


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ("", "10.0.0.5", "198.51.100.7", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "10.0.0.5", SPOOFED, "198.51.100.7"),
        ("172.16.0.0/12, 10.0.0.5", "172.18.0.2", "198.51.100.7, 10.0.0.5", "198.51.100.7"),
        ("10.0.0.5", "10.0.0.6", "198.51.100.7", "10.0.0.6"),
        ("10.0.0.5", "198.51.100.9", "10.0.0.5", "198.51.100.9"),
        ("fd00::/8", "fd00::5", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_only_a_named_proxy_says_who_asks(seen, trusted, peer, forwarded, address):
    assert seen(trusted, peer, forwarded) == {address}


@pytest.mark.parametrize("named", ["*", "proxy.hospital.org", "10.0.0.5; 10.0.0.6", "10.0.0.5/8"])
def test_what_is_no_address_is_no_proxy(named):
    with pytest.raises(ValidationError, match="trusted_proxies"):
        Settings(_env_file=None, trusted_proxies=named)


def test_the_app_asks_the_proxies_first():
    source = (Path(__file__).resolve().parents[2] / "app.py").read_text()
    assert "middleware=[*behind_proxies(),Middleware(EveryRequest)," in "".join(source.split())
