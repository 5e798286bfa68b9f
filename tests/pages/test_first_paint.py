"""The style of the first paint is in the page that Streamlit serves, and in nothing else."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.ui.server.first_paint import FirstPaint

PAGE = "<html><head><title>a</title></head><body>" + "b" * 2000 + "</body></html>"
NAVIGATES = {"Accept": "text/html,*/*", "Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def client():
    async def in_parts():
        yield PAGE[:30]
        yield PAGE[30:]

    routes = [
        Route("/page", lambda _: HTMLResponse(PAGE, headers={"ETag": '"x"'})),
        Route("/parts", lambda _: StreamingResponse(in_parts(), media_type="text/html")),
        Route("/text", lambda _: PlainTextResponse(PAGE)),
    ]
    middleware = [Middleware(FirstPaint), Middleware(GZipMiddleware, minimum_size=10)]
    return TestClient(Starlette(routes=routes, middleware=middleware))


@pytest.mark.parametrize("path", ["/page", "/parts"])
def test_a_page_has_the_style_at_the_beginning_of_its_body_and_its_own_length(client, path):
    answer = client.get(path, headers=NAVIGATES)
    before, style = answer.text.split("</style>")[0].split("<style>")
    assert before == "<html><head><title>a</title></head><body>"
    assert all(rule in style for rule in ("stAppViewContainer", "--e2e-muted", ".e2e-headlines"))
    assert answer.text.endswith("</style>" + "b" * 2000 + "</body></html>")
    assert int(answer.headers["content-length"]) == len(answer.content) and "etag" not in answer.headers


def test_whatever_is_no_page_passes_as_it_is(client):
    assert client.get("/text", headers=NAVIGATES).text == PAGE
    script = client.get("/page", headers={"Accept": "*/*", "Accept-Encoding": "gzip"})
    assert script.text == PAGE and script.headers["content-encoding"] == "gzip" and script.headers["etag"] == '"x"'
    assert client.head("/page", headers=NAVIGATES).headers["etag"] == '"x"'


def test_an_empty_page_says_that_it_loads_before_any_script_has_come(client):
    style = client.get("/page", headers=NAVIGATES).text.split("</style>")[0]
    (rule,) = [part for part in style.split("}") if 'content: "Loading' in part]
    assert "#root:empty::before" in rule  # until Streamlit's script is here
    assert '[data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"]:empty::before' in rule
    assert "animation: e2e-late 0s 1s both" in rule and "@keyframes e2e-late" in style  # not where it is quick
