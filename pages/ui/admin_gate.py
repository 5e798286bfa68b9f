"""Who may use the admin pages: OIDC or the admin password once set, otherwise only a browser on the server itself.

"On the server itself" takes all of: a peer with a loopback address, a request for a loopback name from a page of the
same name and port (browsers always say so when they open the connection; this also stops DNS rebinding), and no header
that a proxy adds. Absent headers are not local. A proxy that adds nothing looks like a browser here when a script in
front of it forges both names: where a proxy stands in front, a password has to be set (docs, "Who may do what").
An action checks again when it is carried out: a session that expired meanwhile may still hold its buttons.
"""

import math
import time
from collections.abc import Callable, Mapping
from functools import wraps
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
    "**You are logged in, but not as an admin.** Your provider does not say that your address is verified, so "
    "`ECHO2ECG_ADMIN_USERS` cannot count for it. For a provider that never says so there is "
    "`ECHO2ECG_TRUST_UNVERIFIED_EMAIL`."
)
PROXY_HEADERS = (
    "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip",
    "X-Client-Ip", "X-Original-Host", "Cf-Connecting-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "Fly-Client-Ip",
)  # fmt: skip
EXPIRED = "Your admin session has ended, so nothing was done. Log in again and repeat it."
HOURS = 8
_ADMIN, _VIEWER = "admin_pass", "viewer_pass"
_attempts = passwords.Attempts()


def require_admin() -> None:
    """Let an admin pass; for anybody else say what is needed and stop the page here."""
    told = settings()
    oidc = _oidc()
    if is_admin():
        if oidc and _is_named(told):
            _who("right")
        return
    if not (oidc or _has_password(told)):
        st.warning(SET_SOMETHING, icon=":material/lock:")
        st.stop()
    with st.container(width=420):
        st.html("<h1 style='font-size:22px'>Admin</h1>")
        if oidc:
            _login(oidc)
        if _has_password(told):
            _ask_for_password("Admin password", _ADMIN, lambda given: _is_admin_password(given, told))
    st.stop()


def is_admin() -> bool:
    """True when this visitor may do what an admin may, now."""
    told, oidc = settings(), _oidc()
    if not (oidc or _has_password(told)):
        return is_local(st.context.ip_address, st.context.headers)
    return bool(oidc) and _is_named(told) or _has_password(told) and _has_passed(_ADMIN, told)


def for_admins(action: Callable) -> Callable:
    """An action that does nothing but say why when the visitor is no admin at the moment it is carried out.

    For callbacks and fragments, which Streamlit runs without the lines of the page above them.
    """

    @wraps(action)
    def checked(*args, **kwargs):
        if is_admin():
            return action(*args, **kwargs)
        st.toast(EXPIRED, icon=":material/lock:")
        return None

    return checked


def require_login() -> None:
    """Where the settings ask everybody: let who is logged in pass, ask anybody else and stop here."""
    told = settings()
    if not told.ask_everybody or is_admin() or _has_passed(_VIEWER, told):
        return
    oidc = _oidc()
    if oidc and st.user.is_logged_in:
        return
    with st.container(width=420):
        st.html("<h1 style='font-size:22px'>Echo2ECG Explorer</h1>")
        if oidc:
            _login(oidc)
        if told.viewer_password_hash or _has_password(told):
            _ask_for_password("Password", _VIEWER, lambda given: _is_viewer_password(given, told))
        elif not oidc:
            st.warning(SET_SOMETHING, icon=":material/lock:")
    st.stop()


def why_not_open_to_all(address: str | None, told: Settings | None = None, oidc: tuple[str, ...] | None = None) -> str:
    """Why a server bound to this address must not start, in one sentence; "" when it may.

    Args:
        address: `server.address`; None or "" is every interface.
        told: Of this machine unless given. oidc: Likewise.
    """
    told = settings() if told is None else told
    guarded = bool(_oidc() if oidc is None else oidc) or _has_password(told)
    if guarded or _is_loopback(address or ""):
        return ""
    return (
        f"The server would answer on {address or 'every address of this machine'}, and no admin password and no OIDC "
        "login is set. Start it with --server.address localhost, or set ECHO2ECG_ADMIN_PASSWORD_HASH (make it with "
        "`hash-password`)."
    )


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
    if not host or not origin:
        return False
    asked, page = urlsplit(f"//{host}"), urlsplit(origin)
    return _is_loopback(asked.hostname) and asked.netloc.lower() == page.netloc.lower()


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
    """True for somebody who logged in with an address that the settings name and the provider calls verified."""
    return _is_listed(told) and _is_verified(told)


def _is_listed(told: Settings) -> bool:
    admins = {address.strip().lower() for address in told.admin_users.split(",") if address.strip()}
    return st.user.is_logged_in and str(st.user.get("email", "")).lower() in admins


def _is_verified(told: Settings) -> bool:
    """A provider that says nothing has not verified the address."""
    return st.user.get("email_verified") is True or told.trust_unverified_email


def _who(place: str) -> None:
    """Who is logged in, and the way out."""
    with st.container(key="logged_in", horizontal=True, horizontal_alignment=place, vertical_alignment="center"):
        if st.user.get("email"):
            st.html(f"<div class='e2e-facts'>Logged in as {escape(str(st.user['email']))}</div>", width="content")
        st.button("Log out", icon=":material/logout:", type="tertiary", on_click=st.logout)


def _login(providers: tuple[str, ...]) -> None:
    if st.user.is_logged_in:
        st.warning(NOT_VERIFIED if _is_listed(settings()) else NOT_AN_ADMIN, icon=":material/lock:")
        _who("left")
        return
    for name in providers:
        label = f"Log in with {name}" if name else "Log in"
        st.button(label, type="primary", icon=":material/login:", on_click=st.login, args=(name,) if name else ())


def _ask_for_password(label: str, key: str, is_right: Callable[[str], bool]) -> None:
    with st.form(f"{key}_form", border=False):
        given = st.text_input(label, type="password", autocomplete="current-password")
        entered = st.form_submit_button("Open", type="primary")
    if not (entered and given):
        return
    address = _address()
    if wait := _attempts.wait_s(address):
        st.error(
            f"Too many wrong passwords from this address: try again in {math.ceil(wait)} s.", icon=":material/lock:"
        )
        return
    with errors_in_words(), st.spinner("Checking …"):
        right = is_right(given)
        _attempts.count(address, right)
        if right:
            st.session_state[key] = (time.time() + 3600 * HOURS, _fingerprint(settings()))
            st.rerun()
        st.error("This is not the password.", icon=":material/lock:")


def _address() -> str:
    """Whose attempts are counted together; behind a proxy that of the proxy."""
    return st.context.ip_address or "localhost"


def _has_password(told: Settings) -> bool:
    return bool(told.admin_password or told.admin_password_hash)


def _is_admin_password(given: str, told: Settings) -> bool:
    if told.admin_password_hash:
        return passwords.matches_hash(given, told.admin_password_hash.get_secret_value())
    return told.admin_password is not None and passwords.matches(given, told.admin_password.get_secret_value())


def _is_viewer_password(given: str, told: Settings) -> bool:
    wanted = told.viewer_password_hash
    return (
        bool(wanted)
        and passwords.matches_hash(given, wanted.get_secret_value())
        or (_has_password(told) and _is_admin_password(given, told))
    )


def _has_passed(key: str, told: Settings) -> bool:
    """True for eight hours after the right password, as long as it is still the password."""
    until, fingerprint = st.session_state.get(key, (0.0, 0))
    return time.time() < until and fingerprint == _fingerprint(told)


def _fingerprint(told: Settings) -> int:
    return hash((told.admin_password, told.admin_password_hash, told.viewer_password_hash))
