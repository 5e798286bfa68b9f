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
ADMIN_PAGES = ("archive.py", "training.py", "models.py", "admin.py")
LOCAL = {"Host": "localhost:8501", "Origin": "http://localhost:8501"}


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        (None, LOCAL),
        ("127.0.0.1", LOCAL),
        ("127.0.0.2", {"Host": "127.0.0.1:8501", "Origin": "http://127.0.0.1:8501"}),
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
        (None, {"Host": "localhost:8501"}),
        (None, {"Origin": "http://localhost:8501"}),
        (None, {"Host": "localhost", "Origin": "http://localhost:8501"}),
        (None, {"Host": "localhost:8501", "Origin": "null"}),
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
    monkeypatch.setattr(admin_gate, "_attempts", passwords.Attempts())
    monkeypatch.setattr(admin_gate, "_address", lambda: "10.0.0.7")

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
    assert not opens(app) and app.error[0].value == "This is not the password."
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
        (User(email="Kern@hospital.org", email_verified=True), "kern@hospital.org, other@x.org", True),
        (User(email="kern@hospital.org"), "kern@hospital.org", False),
        (User(email="kern@hospital.org", email_verified=False), "kern@hospital.org", False),
        (User(email="guest@hospital.org", email_verified=True), "kern@hospital.org", False),
        (User(email="kern@hospital.org", email_verified=True), "", False),
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


def test_a_provider_that_never_verifies_counts_only_where_the_settings_say_so(page, monkeypatch):
    monkeypatch.setattr(admin_gate, "_oidc", lambda: ("",))
    monkeypatch.setattr(admin_gate.st, "user", User(email="kern@hospital.org"))
    assert not opens(page(admin_users="kern@hospital.org").run())
    assert opens(page(admin_users="kern@hospital.org", trust_unverified_email=True).run())


def acting():
    import streamlit as st

    from pages.ui import admin_gate

    st.session_state.setdefault("done", 0)

    def act():
        st.session_state["done"] += 1

    st.button("Act", on_click=admin_gate.for_admins(act))


def test_an_action_of_a_session_that_is_no_longer_an_admins_does_nothing(page, monkeypatch):
    page(local=True)
    app = AppTest.from_function(acting, default_timeout=20).run()
    app.button[0].click().run()
    assert app.session_state["done"] == 1
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: False)
    app.button[0].click().run()
    assert app.session_state["done"] == 1
    assert "nothing was done" in app.toast[0].value


def test_wrong_passwords_make_their_address_wait(page, monkeypatch):
    monkeypatch.setattr(passwords, "FIRST_WAIT_S", 600.0)
    app = page(admin_password=SecretStr("sesame")).run()
    for _ in range(passwords.FREE_ATTEMPTS):
        app.text_input[0].set_value("open")
        app.button[0].click().run()
    app.text_input[0].set_value("sesame")
    app.button[0].click().run()
    assert not opens(app) and "Too many wrong passwords from this address" in app.error[0].value


def everybody():
    import streamlit as st

    from pages.ui import admin_gate

    admin_gate.require_login()
    st.write("the admin page")


@pytest.mark.parametrize(("given", "passes"), [("look", True), ("sesame", True), ("open", False)])
def test_a_setting_asks_everybody_and_a_viewer_is_no_admin(page, monkeypatch, given, passes):
    served_for = []
    monkeypatch.setattr(admin_gate.session_key, "serve_for", served_for.append)  # clips and pictures
    told = {"ask_everybody": True, "admin_password": SecretStr("sesame")}
    page(**told, viewer_password_hash=SecretStr(passwords.hashed("look")))
    app = AppTest.from_function(everybody, default_timeout=20).run()
    assert not opens(app)
    app.text_input[0].set_value(given)
    app.button[0].click().run()
    assert opens(app) == passes and served_for[0] == 0
    assert served_for[-1] == (pytest.approx(3600 * admin_gate.HOURS, abs=600) if passes else 0)
    assert "admin_pass" not in app.session_state


@pytest.mark.parametrize(
    ("address", "told", "oidc", "may"),
    [
        ("localhost", {}, (), True),
        ("127.0.0.1", {}, (), True),
        ("::1", {}, (), True),
        ("0.0.0.0", {}, (), False),
        (None, {}, (), False),
        ("10.0.0.5", {}, (), False),
        ("0.0.0.0", {"admin_password": SecretStr("sesame")}, (), True),
        ("0.0.0.0", {}, ("hospital",), True),
    ],
)
def test_a_server_open_to_others_starts_only_with_a_password_or_oidc(address, told, oidc, may):
    why = admin_gate.why_not_open_to_all(address, Settings(_env_file=None, **told), oidc)
    assert (why == "") == may
    assert may or "no admin password and no OIDC login is set" in why


def test_a_clock_that_is_set_back_makes_no_session_longer(page, monkeypatch):
    app = page(admin_password=SecretStr("sesame")).run()
    app.text_input[0].set_value("sesame")
    app.button[0].click().run()
    assert opens(app)
    real = admin_gate.time.time
    monkeypatch.setattr(admin_gate.time, "time", lambda: real() - 86400)
    assert opens(app.run())
    monkeypatch.setattr(admin_gate, "_BEGAN", admin_gate._BEGAN + 3601 * admin_gate.HOURS)  # eight hours later
    assert not opens(app.run())
