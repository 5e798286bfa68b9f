"""Who may use the admin pages: OIDC or the admin password once set, otherwise only a browser on the server itself.

"On the server itself" is told by the connection, never by what a visitor can write: the peer must be the loopback
address, the browser must have asked for a loopback name (this also stops DNS rebinding), and no proxy may stand
between. A proxy's forwarded headers never grant anything.
"""

import time
from collections.abc import Mapping
from html import escape
from ipaddress import ip_address
from urllib.parse import urlsplit

import streamlit as st

from echo2ecg_core import passwords
from echo2ecg_core.settings import Settings, settings
from pages.ui.errors import errors_in_words

SET_SOMETHING = (
    "**Admin pages are closed to other computers.** No admin password is set on this server. Whoever runs it sets "
    "`ECHO2ECG_ADMIN_PASSWORD_HASH` (make it with `python -m echo2ecg_core hash-password`) or OIDC in "
    "`.streamlit/secrets.toml`, and restarts the app; or opens this page on the server itself."
)
NOT_AN_ADMIN = (
    "**You are logged in, but not as an admin.** Whoever runs this server adds your address to `ECHO2ECG_ADMIN_USERS`."
)
NOT_VERIFIED = (
    "**You are logged in, but not as an admin.** Your provider has not verified your address, so "
    "`ECHO2ECG_ADMIN_USERS` cannot count for it."
)
PROXY_HEADERS = (
    "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip",
    "X-Client-Ip", "X-Original-Host", "Cf-Connecting-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "Fly-Client-Ip",
)  # fmt: skip
HOURS = 8
_ADMIN = "admin_pass"


def require_admin() -> None:
    """Let an admin pass; for anybody else say what is needed and stop the page here."""
    told = settings()
    oidc, password = _oidc(), bool(told.admin_password or told.admin_password_hash)
    if not (oidc or password):
        if is_local(st.context.ip_address, st.context.headers):
            return
        st.warning(SET_SOMETHING, icon=":material/lock:")
        st.stop()
    if oidc and _is_named(told):
        _who("right")
        return
    if password and _has_passed(told):
        return
    with st.container(width=420):
        st.html("<h1 style='font-size:22px'>Admin</h1>")
        if oidc:
            _login(oidc)
        if password:
            _ask_for_password(told)
    st.stop()


def is_admin() -> bool:
    """True for a visitor whom `require_admin` would let pass; draws nothing."""
    told = settings()
    oidc, password = _oidc(), bool(told.admin_password or told.admin_password_hash)
    if not (oidc or password):
        return is_local(st.context.ip_address, st.context.headers)
    return bool(oidc and _is_named(told)) or (password and _has_passed(told))


def is_local(peer: str | None, headers: Mapping[str, str]) -> bool:
    """True for a browser on the server itself.

    Args:
        peer: Address of the connection; Streamlit gives None for a loopback address.
        headers: Of the request that opened the connection.
    """
    if peer is not None and not _is_loopback(peer):
        return False
    if any(headers.get(name) is not None for name in PROXY_HEADERS):
        return False
    host, origin = headers.get("Host"), headers.get("Origin")
    if not host or not _is_loopback(urlsplit(f"//{host}").hostname):
        return False
    return origin is None or _is_loopback(urlsplit(origin).hostname)


def _is_loopback(name: str | None) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name or "").is_loopback
    except ValueError:
        return False


def _oidc() -> tuple[str, ...]:
    """Names of the OIDC providers in the secrets ("" for the unnamed one), () without an `[auth]` section."""
    try:
        auth = st.secrets.get("auth")
    except FileNotFoundError:
        return ()
    if not auth:
        return ()
    named = tuple(name for name, value in auth.items() if isinstance(value, Mapping) and name != "client_kwargs")
    return ("", *named) if "client_id" in auth or not named else named


def _is_named(told: Settings) -> bool:
    """True for somebody who logged in with an address that the settings name and the provider did not call
    unverified."""
    admins = {address.strip().lower() for address in told.admin_users.split(",") if address.strip()}
    return (
        st.user.is_logged_in
        and st.user.get("email_verified") is not False
        and str(st.user.get("email", "")).lower() in admins
    )


def _who(place: str) -> None:
    """Who is logged in, and the way out."""
    with st.container(key="logged_in", horizontal=True, horizontal_alignment=place, vertical_alignment="center"):
        if st.user.get("email"):
            st.html(f"<div class='e2e-facts'>Logged in as {escape(str(st.user['email']))}</div>", width="content")
        st.button("Log out", icon=":material/logout:", type="tertiary", on_click=st.logout)


def _login(providers: tuple[str, ...]) -> None:
    if st.user.is_logged_in:
        st.warning(NOT_VERIFIED if st.user.get("email_verified") is False else NOT_AN_ADMIN, icon=":material/lock:")
        _who("left")
        return
    for name in providers:
        label = f"Log in with {name}" if name else "Log in"
        st.button(label, type="primary", icon=":material/login:", on_click=st.login, args=(name,) if name else ())


def _ask_for_password(told: Settings) -> None:
    with st.form("admin_password", border=False):
        given = st.text_input("Admin password", type="password", autocomplete="current-password")
        entered = st.form_submit_button("Open", type="primary")
    if entered and given:
        with errors_in_words(), st.spinner("Checking …"):
            if passwords.slowly(lambda: _is_right(given, told)):
                st.session_state[_ADMIN] = (time.time() + 3600 * HOURS, _fingerprint(told))
                st.rerun()
            st.error("This is not the admin password.", icon=":material/lock:")


def _is_right(given: str, told: Settings) -> bool:
    if told.admin_password_hash:
        return passwords.matches_hash(given, told.admin_password_hash.get_secret_value())
    return passwords.matches(given, told.admin_password.get_secret_value())


def _has_passed(told: Settings) -> bool:
    """True for eight hours after the right password, as long as it is still the password."""
    until, fingerprint = st.session_state.get(_ADMIN, (0.0, 0))
    return time.time() < until and fingerprint == _fingerprint(told)


def _fingerprint(told: Settings) -> int:
    return hash((told.admin_password, told.admin_password_hash))
