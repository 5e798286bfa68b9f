"""Who is there, and what they may do: roles by password, by OIDC, or a browser on the server itself where none is set.

"On the server itself" takes all of: a peer with a loopback address, a request for a loopback name from a page of the
same name and port (browsers always say so when they open the connection; this also stops DNS rebinding), and no header
that a proxy adds. Absent headers are not local. A proxy that adds nothing looks like a browser here when a script in
front of it forges both names: where a proxy stands in front, a password has to be set (docs, "Who may do what").
An action checks again when it is carried out: a session that expired meanwhile may still hold its buttons. What needs
which role is the table of echo2ecg_core/roles.py; whoever acts is written into the audit log with what was done.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from html import escape
from ipaddress import ip_address
from urllib.parse import urlsplit

import streamlit as st

from echo2ecg_core import passwords
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.roles import ADMIN, NEEDED, ON_THE_SERVER, RESEARCHER, ROLES, VIEWER, Person, may, read_people
from echo2ecg_core.settings import Settings, settings
from echo2ecg_core.store import audit
from pages.ui import session_key
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
REFUSED = (
    "Your session has ended, or its role does not allow this, so nothing was done. Log in again as {role} and repeat "
    "it."
)
NOBODY = (ON_THE_SERVER, "visitor")  # whom no login names
HOURS = 8
_BEGAN = time.time() - time.monotonic()
_PASSED, _SEEN = "login_passed", "login_seen"
_attempts = passwords.Attempts()
_NOBODY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$qRcKvMzKVNMhKLK5EH4qQQ$IcvqdmiLkQEy0OHKKqu7J4HRSGywydAYMYtJsSRpB0g"


@dataclass(frozen=True)
class Login:
    """Who somebody is now: how the audit log names them, their role, and until when (seconds since 1970) it counts."""

    who: str
    role: str
    until: float = math.inf


def _now() -> float:
    """Seconds since 1970, which a clock that is set back does not give again: no session lasts longer by it."""
    return max(time.time(), _BEGAN + time.monotonic())


def login() -> Login | None:
    """Who this visitor is, now; None where everybody is asked and this one has not answered."""
    told, oidc = settings(), _oidc()
    if not (oidc or _people(told)):
        if is_local(st.context.ip_address, st.context.headers):
            return Login(NOBODY[0], ADMIN)
        return None if told.ask_everybody else Login(NOBODY[1], VIEWER)
    found = [one for one in (_by_password(told), _by_oidc(told) if oidc else None) if one]
    if found:
        return max(found, key=lambda one: ROLES.index(one.role))
    return None if told.ask_everybody else Login(NOBODY[1], VIEWER)


def is_admin() -> bool:
    """True when this visitor may do what an admin may, now."""
    found = login()
    return found is not None and found.role == ADMIN


def allows(action: str) -> bool:
    """True when this visitor's role allows an action of roles.NEEDED, now."""
    if is_admin():
        return True
    found = login()
    return found is not None and found.role != ADMIN and may(found.role, action)


def require_admin() -> None:
    """Let an admin pass; for anybody else say what is needed and stop the page here."""
    told = settings()
    oidc = _oidc()
    if is_admin():
        return
    if not (oidc or _people(told)):
        st.warning(SET_SOMETHING, icon=":material/lock:")
        st.stop()
    with st.container(width=420):
        st.html("<h1 style='font-size:22px'>Admin</h1>")
        _ways_in(told, oidc, ADMIN)
    st.stop()


def asks(action: str) -> Callable[[Callable], Callable]:
    """A decorator: what it wraps does nothing but say why when the visitor's role does not allow the action (a name in
    roles.NEEDED) at the moment it is carried out, and is done in the visitor's name where it does.

    For buttons, callbacks and fragments: Streamlit runs the latter two without the lines of the page above them.
    """
    return _asking(lambda: allows(action), NEEDED[action])


def name() -> str:
    """Who acts, as the audit log and what is kept beside a change name them."""
    return _actor()[0]


def for_admins(action: Callable) -> Callable:
    """An action that only an admin may carry out, checked like `asks`."""
    return _asking(is_admin, ADMIN)(action)


def _asking(may_act: Callable[[], bool], role: str) -> Callable[[Callable], Callable]:
    def asking(action: Callable) -> Callable:
        @wraps(action)
        def checked(*args, **kwargs):
            if not may_act():
                st.toast(REFUSED.format(role=role), icon=":material/lock:")
                return None
            with audit.acting_as(*_actor()):
                return action(*args, **kwargs)

        return checked

    return asking


def _actor() -> tuple[str, str]:
    found = login()
    return (found.who, found.role) if found else ("visitor", "")


def exporting(make: Callable[[], bytes | str], what: str, workspace) -> Callable[[], bytes | str]:
    """A download of many people's data, made when it is clicked: its role counts then too, and it is written down.

    Streamlit makes such a file in a thread that knows no session; therefore who asks, and until when, is kept here.
    """
    asked_by = login() if allows("export a cohort") else None
    who, role, until = (asked_by.who, asked_by.role, asked_by.until) if asked_by else ("visitor", VIEWER, 0.0)

    def checked() -> bytes | str:
        if _now() > until:
            raise Echo2ECGError("Your session has ended, so nothing was exported.", "Log in again and repeat it.")
        with audit.acting_as(who, role):
            audit.record(workspace, "export", what=what)
        return make()

    return checked


def offer(action: str, words: str) -> bool:
    """True where the visitor's role allows an action; else says whom to ask, with a way to log in."""
    if allows(action):
        return True
    st.caption(words)
    told, oidc = settings(), _oidc()
    if oidc or _people(told):
        with st.popover("Log in", icon=":material/login:", type="tertiary"):
            _ways_in(told, oidc, NEEDED[action])
    return False


def require_login() -> None:
    """Where the settings ask everybody: let who is logged in pass, ask anybody else and stop here."""
    told = settings()
    if not told.ask_everybody:
        return
    found = login()
    session_key.serve_for(found.until - _now() if found else 0.0)
    if found is not None:
        return
    oidc = _oidc()
    with st.container(width=420):
        st.html(
            "<h1 style='font-size:22px'>Echo2ECG Explorer</h1><p class='e2e-facts'>From a 12-lead ECG to LVEF and "
            "other phenotypes, and to the echo studies that look like it. Research use only. Not a medical device.</p>"
        )
        if oidc or _people(told):
            _ways_in(told, oidc, VIEWER)
        else:
            st.warning(SET_SOMETHING, icon=":material/lock:")
    st.stop()


def end_with_login(needed: str = VIEWER) -> None:
    """For a fragment, which Streamlit runs without the lines of the page above it: the whole page anew, which says what
    is needed, once the visitor has this role no more."""
    found = login()
    if found is None or ROLES.index(found.role) < ROLES.index(needed):
        st.rerun()


def why_not_open_to_all(address: str | None, told: Settings | None = None, oidc: tuple[str, ...] | None = None) -> str:
    """Why a server bound to this address must not start, in one sentence; "" when it may.

    Args:
        address: `server.address`; None or "" is every interface.
        told: Of this machine unless given. oidc: Likewise.
    """
    told = settings() if told is None else told
    try:
        guarded = bool(_oidc() if oidc is None else oidc) or any(p.role == ADMIN for p in _people(told))
    except Echo2ECGError as error:
        return str(error)
    if guarded or is_loopback(address or ""):
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
    if peer is not None and not is_loopback(peer):
        return False
    if any(headers.get(name) is not None for name in PROXY_HEADERS):
        return False
    host, origin = headers.get("Host"), headers.get("Origin")
    if not host or not origin:
        return False
    asked, page = urlsplit(f"//{host}"), urlsplit(origin)
    return is_loopback(asked.hostname) and asked.netloc.lower() == page.netloc.lower()


def is_loopback(name: str | None) -> bool:
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


def _by_oidc(told: Settings) -> Login | None:
    """Who logged in by OIDC less than eight hours ago, with the highest role that their address or a claim gives."""
    if not st.user.is_logged_in:
        return None
    began = st.user.get("iat")
    if not began or not isinstance(began, str | int | float):
        began = st.session_state.setdefault("oidc_seen_at", _now())
    until = float(began) + 3600 * HOURS
    if _now() >= until:
        return None
    roles = {VIEWER}
    if _is_verified(told):
        roles |= {role for role in (RESEARCHER, ADMIN) if _is_listed(told, role)}
    if told.role_claim:
        given = st.user.get(told.role_claim) or ()
        several = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
        values = {str(value) for value in several}
        pairs = (pair.partition("=") for pair in told.role_values.split(",") if "=" in pair)
        roles |= {role.strip() for value, _, role in pairs if value.strip() in values and role.strip() in ROLES}
    found = Login(str(st.user.get("email") or st.user.get("sub") or "somebody"), max(roles, key=ROLES.index), until)
    _remember(found)
    return found


def _is_listed(told: Settings, role: str = ADMIN) -> bool:
    listed = told.admin_users if role == ADMIN else told.researcher_users
    addresses = {address.strip().lower() for address in listed.split(",") if address.strip()}
    return st.user.is_logged_in and str(st.user.get("email", "")).lower() in addresses


def _is_verified(told: Settings) -> bool:
    """A provider that says nothing has not verified the address."""
    return st.user.get("email_verified") is True or told.trust_unverified_email


def who_is_logged_in() -> None:
    """Who is logged in, and the way out, which the sidebar has on every page; nothing where nobody is."""
    if not (_by_password(settings()) or (_oidc() and st.user.is_logged_in)):
        return
    found = login()
    with st.container(key="logged_in"):
        if found:
            role = "" if found.who == found.role else f" ({found.role})"
            st.html(f"<div class='e2e-facts'>Logged in as {escape(found.who)}{role}</div>")
        st.button("Log out", icon=":material/logout:", type="tertiary", on_click=_log_out)


def _log_out() -> None:
    found = login()
    st.session_state.clear()  # what was open is not for whoever sits down here next
    if found:
        _write_down("log out", found)
    if _oidc() and st.user.is_logged_in:
        st.logout()


def _ways_in(told: Settings, oidc: tuple[str, ...], wanted: str) -> None:
    """What somebody can do who lacks a role: what is missing where they are logged in, and the logins."""
    found = login()
    if oidc and st.user.is_logged_in and found is not None:
        not_verified = _is_listed(told, wanted if wanted != VIEWER else ADMIN) and not _is_verified(told)
        st.warning(NOT_VERIFIED if not_verified else NOT_AN_ADMIN, icon=":material/lock:")
    elif _by_password(told):
        st.warning(
            f"**You are logged in as {found.role if found else VIEWER}.** This asks for the role {wanted}: whoever "
            "runs this server gives it to you.",
            icon=":material/lock:",
        )
    else:
        for name in oidc:
            label = f"Log in with {name}" if name else "Log in"
            st.button(label, type="primary", icon=":material/login:", on_click=st.login, args=(name,) if name else ())
    if _people(told):
        _ask_for_password(told, "Password" if wanted != ADMIN or told.people_file else "Admin password")


def _ask_for_password(told: Settings, label: str) -> None:
    with st.form("login_form", border=False):
        name = st.text_input("Name", autocomplete="username").strip() if told.people_file else None
        given = st.text_input(label, type="password", autocomplete="current-password")
        entered = st.form_submit_button("Log in", type="primary")
    if not (entered and given):
        return
    address = _address()
    if wait := _attempts.wait_s(address):
        st.error(
            f"Too many wrong passwords from this address: try again in {math.ceil(wait)} s.", icon=":material/lock:"
        )
        return
    with errors_in_words(), st.spinner("Checking …"):
        person = _person_behind(told, name, given)
        _attempts.count(address, person is not None)
        if person:
            if st.session_state.get(_SEEN, (person.name,))[0] != person.name:
                st.session_state.clear()  # another one's login had ended
            until = _now() + 3600 * HOURS
            st.session_state[_PASSED] = (person, until)
            _remember(Login(person.name, person.role, until))
            st.rerun()
        _write_down("wrong password", Login("somebody", ""))
        st.error("This is not the password.", icon=":material/lock:")


def _address() -> str:
    """Whose attempts are counted together; behind a proxy that is not named (server/proxies.py) that of the proxy."""
    return st.context.ip_address or "localhost"


def _people(told: Settings) -> tuple[Person, ...]:
    """Everybody who can log in by password: of the file, and those of the settings, who have no names of their own."""
    people = read_people(told.people_file) if told.people_file else ()
    if told.admin_password_hash:
        people += (Person("admin", ADMIN, told.admin_password_hash.get_secret_value()),)
    elif told.admin_password:
        people += (Person("admin", ADMIN, f"plain:{told.admin_password.get_secret_value()}"),)
    if told.viewer_password_hash:
        people += (Person("viewer", VIEWER, told.viewer_password_hash.get_secret_value()),)
    return people


def _person_behind(told: Settings, name: str | None, given: str) -> Person | None:
    """Who has this password; a name that nobody has takes as long as one that somebody has."""
    asked = [person for person in _people(told) if name is None or person.name == name]
    for person in asked or [Person("", VIEWER, _NOBODY_HASH)]:
        if person.password_hash.startswith("plain:"):
            right = passwords.matches(given, person.password_hash.removeprefix("plain:"))
        else:
            right = passwords.matches_hash(given, person.password_hash)
        if right and person.name:
            return person
    return None


def _by_password(told: Settings) -> Login | None:
    """Who gave the right password less than eight hours ago, as long as name, role and password are still the same."""
    person, until = st.session_state.get(_PASSED, (None, 0.0))
    if person is None or _now() >= until or person not in _people(told):
        return None
    return Login(person.name, person.role, until)


def _remember(found: Login) -> None:
    """Write a login down, once a session of the browser and login."""
    if st.session_state.get(_SEEN) != (found.who, found.role):
        st.session_state[_SEEN] = (found.who, found.role)
        _write_down("log in", found)


def _write_down(action: str, who: Login) -> None:
    """A login that cannot be written down (the disk is full, the workspace read-only) still opens: who mends it needs
    it."""
    from pages.ui import resources

    place = resources.workspace()
    if place.exists():
        with audit.acting_as(who.who, who.role):
            audit.record_if_possible(place, action)
