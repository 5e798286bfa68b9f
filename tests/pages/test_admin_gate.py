"""The admin gate: open on the server itself only, closed behind every proxy, by password or OIDC once one is set."""

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from echo2ecg_core import passwords
from echo2ecg_core.settings import Settings
from pages.ui import admin_gate
from pages.ui.admin_gate import PROXY_HEADERS, is_local

ROOT = Path(__file__).resolve().parents[2]
ADMIN_PAGES = ("archive.py", "training.py", "models.py")
LOCAL = {"Host": "localhost:8501", "Origin": "http://localhost:8501"}


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        (None, LOCAL),
        ("127.0.0.1", LOCAL),
        ("127.0.0.2", {"Host": "127.0.0.1:8501"}),
        ("::1", {"Host": "[::1]:8501", "Origin": "http://[::1]:8501"}),
    ],
)
def test_a_browser_on_the_server_itself_is_local(peer, headers):
    assert is_local(peer, headers)


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.7", LOCAL),
        ("10.0.0.7", LOCAL | {"X-Forwarded-For": "127.0.0.1"}),
        (None, {}),
        (None, {"Host": "echo.hospital.org"}),
        (None, {"Host": "localhost:8501", "Origin": "https://echo.hospital.org"}),
        (None, {"Host": "localhost.evil.org"}),
        (None, {"Host": "rebound.evil.org", "Origin": "http://rebound.evil.org"}),
        ("not an address", LOCAL),
        *[(None, LOCAL | {name: "127.0.0.1"}) for name in PROXY_HEADERS],
        *[("127.0.0.1", LOCAL | {name: ""}) for name in PROXY_HEADERS],
    ],
)
def test_nothing_a_visitor_or_proxy_writes_makes_them_local(peer, headers):
    assert not is_local(peer, headers)


def gated():
    import streamlit as st

    from pages.ui import admin_gate

    admin_gate.require_admin()
    st.write("the admin page")


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(passwords, "WRONG_COSTS_S", 0.0)

    def page(local=False, **told):
        monkeypatch.setattr(admin_gate, "settings", lambda: Settings(_env_file=None, **told))
        monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: local)
        return AppTest.from_function(gated, default_timeout=20)

    return page


def opens(app) -> bool:
    return any(m.value == "the admin page" for m in app.markdown)


def test_without_a_password_the_page_opens_on_the_server_itself_only(page):
    assert opens(page(local=True).run())
    closed = page(local=False).run()
    assert not opens(closed) and "`ECHO2ECG_ADMIN_PASSWORD_HASH`" in closed.warning[0].value


@pytest.mark.parametrize(
    "told", [{"admin_password": SecretStr("sesame")}, {"admin_password_hash": SecretStr(passwords.hashed("sesame"))}]
)
def test_with_a_password_everybody_is_asked_also_on_the_server(page, told, caplog):
    caplog.set_level(logging.DEBUG)
    app = page(local=True, **told).run()
    assert not opens(app)
    app.text_input[0].set_value("open")
    app.button[0].click().run()
    assert not opens(app) and app.error[0].value == "This is not the admin password."
    app.text_input[0].set_value("sesame")
    app.button[0].click().run()
    assert opens(app) and opens(app.run())
    assert "sesame" not in caplog.text and "sesame" not in repr(admin_gate.settings())


def test_another_password_or_eight_hours_close_the_page_again(page, monkeypatch):
    app = page(admin_password=SecretStr("sesame")).run()
    app.text_input[0].set_value("sesame")
    app.button[0].click().run()
    assert opens(app)
    monkeypatch.setattr(admin_gate, "settings", lambda: Settings(_env_file=None, admin_password=SecretStr("changed")))
    assert not opens(app.run())
    monkeypatch.setattr(admin_gate, "settings", lambda: Settings(_env_file=None, admin_password=SecretStr("sesame")))
    assert opens(app.run())
    later = admin_gate.time.time() + 3601 * admin_gate.HOURS
    monkeypatch.setattr(admin_gate.time, "time", lambda: later)
    assert not opens(app.run())


def test_a_hash_that_is_none_opens_nothing_and_is_said_in_words(page):
    app = page(admin_password_hash=SecretStr("sesame")).run()
    app.text_input[0].set_value("sesame")
    app.button[0].click().run()
    assert not opens(app) and "not a line that" in app.error[0].value


class User(dict):
    is_logged_in = True


@pytest.mark.parametrize(
    ("user", "admins", "passes"),
    [
        (User(email="Kern@hospital.org"), "kern@hospital.org, other@x.org", True),
        (User(email="kern@hospital.org", email_verified=False), "kern@hospital.org", False),
        (User(email="guest@hospital.org"), "kern@hospital.org", False),
        (User(email="kern@hospital.org"), "", False),
        (User(), "", False),
    ],
)
def test_oidc_lets_named_and_verified_addresses_pass(page, monkeypatch, user, admins, passes):
    monkeypatch.setattr(admin_gate, "_oidc", lambda: ("",))
    monkeypatch.setattr(admin_gate.st, "user", user)
    app = page(admin_users=admins, local=True).run()
    assert opens(app) == passes and (passes or "ECHO2ECG_ADMIN_USERS" in app.warning[0].value)


def test_oidc_offers_a_login_and_no_local_way_round(page, monkeypatch):
    monkeypatch.setattr(admin_gate, "_oidc", lambda: ("hospital",))
    monkeypatch.setattr(admin_gate.st, "user", type("U", (dict,), {"is_logged_in": False})())
    app = page(local=True).run()
    assert not opens(app) and [b.label for b in app.button] == ["Log in with hospital"]


@pytest.mark.parametrize(
    ("secrets", "names"),
    [
        ({}, ()),
        ({"auth": {}}, ()),
        ({"auth": {"client_id": "x", "client_kwargs": {"prompt": "login"}}}, ("",)),
        (
            {"auth": {"redirect_uri": "x", "client_kwargs": {"prompt": "login"}}},
            ("",),
        ),  # incomplete: the gate stays closed
        (
            {"auth": {"redirect_uri": "x", "hospital": {"client_id": "x"}, "university": {"client_id": "x"}}},
            ("hospital", "university"),
        ),
        ({"auth": {"client_id": "x", "university": {"client_id": "x"}}}, ("", "university")),
    ],
)
def test_the_login_offers_the_providers_that_the_secrets_name(monkeypatch, secrets, names):
    monkeypatch.setattr(admin_gate.st, "secrets", secrets)
    assert admin_gate._oidc() == names


@pytest.mark.parametrize("name", ADMIN_PAGES)
def test_every_admin_page_is_behind_the_gate_before_it_draws(name):
    lines = [
        line
        for line in (ROOT / "pages" / name).read_text().splitlines()
        if line and not line.startswith((" ", "#", '"', "import", "from", "def", ")"))
    ]
    assert lines[0] == "admin_gate.require_admin()"
