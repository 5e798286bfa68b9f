"""Logging in by OpenID Connect for real: a provider on this machine, the app with a secrets.toml, and Chromium."""

import pytest

from echo2ecg_core.store.database import Workspace
from tests.browser.running_app import chromium, running_app
from tests.openid_provider import openid_provider

pytestmark = pytest.mark.browser
ADMIN = "Kern@Hospital.org"


@pytest.fixture(scope="module")
def provider():
    with openid_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def address(provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("openid")
    place = Workspace(folder / "workspace")
    with place.connect():
        pass
    with running_app(
        place.folder, secrets=provider.secrets_file(folder), ECHO2ECG_ADMIN_USERS=f"other@hospital.org, {ADMIN.lower()}"
    ) as address:
        yield address


def log_in(page, provider, address, name: str, **user) -> None:
    provider.user, provider.forges = user, False
    provider.asked.clear()
    page.goto(f"{address}/{name}")
    page.get_by_role("button", name="Log in", exact=True).click()


@pytest.mark.parametrize(("name", "heading"), [("training", "Training"), ("models", "Models")])
def test_an_admin_logs_in_lands_on_the_page_asked_for_and_logs_out_again(address, provider, name, heading):
    with chromium() as page:
        log_in(page, provider, address, name, email=ADMIN, email_verified=True)
        page.wait_for_url(f"{address}/{name}")
        page.get_by_role("heading", name=heading, level=1).wait_for()
        page.get_by_text(f"Logged in as {ADMIN}").wait_for()
        assert {"/authorize", "/token", "/jwks"} <= set(provider.asked) and not provider.problems
        page.reload()  # a new session of the same browser is logged in too
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{address}/")
        page.goto(f"{address}/{name}")
        page.get_by_role("button", name="Log in", exact=True).wait_for()
        assert not page.get_by_role("heading", name=heading, level=1).count() and provider.asked[-1] == "/logout"
        assert not page.problems and {host for host in page.hosts if host} == {"localhost", "127.0.0.1"}


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"email": "guest@hospital.org", "email_verified": True}, "Whoever runs this server adds your address"),
        ({"email": ADMIN, "email_verified": False}, "Your provider does not say that your address is verified"),
        ({}, "Whoever runs this server adds your address"),
    ],
)
def test_anybody_else_is_refused_with_a_sentence_and_can_log_out(address, provider, user, words):
    with chromium() as page:
        log_in(page, provider, address, "training", **user)
        page.get_by_text("You are logged in, but not as an admin.").wait_for()
        page.get_by_text(words).wait_for()
        assert page.url == f"{address}/training" and not page.get_by_role("heading", name="Training", level=1).count()
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{address}/")
        page.goto(f"{address}/training")
        page.get_by_role("button", name="Log in", exact=True).wait_for()
        assert not page.get_by_text("You are logged in").count()


def test_a_token_signed_with_another_key_logs_nobody_in(address, provider):
    with chromium() as page:
        page.goto(f"{address}/training")
        provider.user, provider.forges = {"email": ADMIN, "email_verified": True}, True
        provider.asked.clear()
        with page.expect_response(lambda response: "/oauth2callback" in response.url):
            page.get_by_role("button", name="Log in", exact=True).click()
        page.wait_for_url(f"{address}/training")
        page.get_by_role("button", name="Log in", exact=True).wait_for()
        assert "/token" in provider.asked and not page.get_by_role("heading", name="Training", level=1).count()


def test_pages_of_everybody_need_no_login(address):
    with chromium() as page:
        page.goto(f"{address}/map")
        page.get_by_text("No model yet").first.wait_for()
        assert not page.get_by_role("button", name="Log in", exact=True).count()
