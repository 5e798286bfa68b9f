"""After a login: back to the page it began on, and to no other place whatever headers and cookies say."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import app
from pages.ui.login_return import ADMIN_PAGES, COOKIE, ReturnToPage


@pytest.fixture
def browser():
    """A browser on an app whose login goes to a provider and whose callback goes to the root, as Streamlit's do."""
    routes = [
        Route("/base/auth/login", lambda request: RedirectResponse("https://provider.org/authorize", 302)),
        Route("/base/oauth2callback", lambda request: RedirectResponse("/base/", 302)),
        Route("/base/other", lambda request: RedirectResponse("/base/", 302)),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(ReturnToPage)]), follow_redirects=False)


def test_the_pages_behind_the_gate_are_those_of_the_navigation(monkeypatch):
    monkeypatch.setattr(app.st, "Page", lambda file, url_path=None, **how: url_path or Path(file).stem)
    assert tuple(app.pages()["Admin"]) == ADMIN_PAGES


@pytest.mark.parametrize("page", ADMIN_PAGES)
def test_the_browser_returns_once_to_the_page_on_which_the_login_began(browser, page):
    begun = browser.get("/base/auth/login?provider=x", headers={"Referer": f"http://testserver/base/{page}?run=3"})
    assert begun.headers["location"] == "https://provider.org/authorize" and "HttpOnly" in begun.headers["set-cookie"]
    assert "Secure" not in begun.headers["set-cookie"]  # a browser would drop it on http
    assert browser.get("/base/other").headers["location"] == "/base/"
    assert browser.get("/base/oauth2callback?code=1").headers["location"] == f"/base/{page}"
    assert browser.get("/base/oauth2callback?code=1").headers["location"] == "/base/"


@pytest.mark.parametrize(
    "referer",
    [
        None,
        "",
        "http://testserver/base/",
        "http://testserver/base/map",
        "http://evil.org/x",
        "not an address",
        "http://[x",
        "http://[x/training",
    ],
)
def test_a_login_that_began_elsewhere_ends_at_the_root(browser, referer):
    browser.get("/base/auth/login?provider=x", headers={} if referer is None else {"Referer": referer})
    assert browser.get("/base/oauth2callback?code=1").headers["location"] == "/base/"


def test_over_https_the_cookie_never_travels_in_the_open(browser):
    begun = browser.get(
        "https://testserver/base/auth/login?provider=x", headers={"Referer": "https://testserver/base/training"}
    )
    assert begun.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize("cookie", ["//evil.org", "https://evil.org", "../x", "training/../..", ""])
def test_a_cookie_of_somebodys_own_making_leads_nowhere(browser, cookie):
    browser.cookies.set(COOKIE, cookie)
    assert browser.get("/base/oauth2callback?code=1").headers["location"] == "/base/"
