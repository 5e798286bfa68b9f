"""What needs a role is refused on the server: too low a role, an ended session, a login taken away; all is written
down."""

import importlib
from unittest.mock import Mock

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from echo2ecg_core import passwords
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.roles import NEEDED
from echo2ecg_core.settings import Settings
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.map_views import MapView
from pages.ui import admin_gate, resources
from pages.ui.admin_gate import Login
from tests.small_workspace import MODEL_ID, small_workspace

GUARDED = [  # page function, what it needs, arguments after the workspace where it takes one
    ("report.panels", "_queue", "evaluate", (MODEL_ID, "test")),
    ("map.panels", "_queue", "draw the map", ()),
    ("models.actions", "evaluate", "evaluate", ("w", MODEL_ID)),
    ("models.actions", "prepare", "prepare a model", ("w", MODEL_ID)),
    ("models.panels", "_queue", "import weights", ("w", [], "/x", {})),
    ("models.second_readers", "_queue", "second reader", ("w", "recalibrate", MODEL_ID)),
    ("training.form", "_start", "train", ("w", "demo", {})),
    ("training.panels", "resume", "resume a job", ("w", "run-0001")),
    ("archive.panels", "_queue", "import", ("w", {"folder": "/x"})),
    ("archive.panels", "_resume", "resume a job", ("w", 1)),
    ("cohorts.removing", "_remove", "remove", ("patient", "P-0001")),
    ("cohorts.correcting", "_save", "correct", (("study", "S-0001", "lvef"), "50", "")),
    ("cohorts.lists", "_forget", "keep a cohort", ("mine",)),
    ("cohorts.kept", "_keep", "keep a cohort", ("mine", ["E-0001"], [])),
    ("map.views", "_keep", "keep a view", ("mine", MapView("together", "lvef", "", True, "", (), MODEL_ID))),
    ("map.views", "_forget", "keep a view", ("mine",)),
    ("cohorts.kept", "_evaluate", "evaluate", (MODEL_ID, "mine")),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("roles") / "w", n_patients=3)


@pytest.fixture
def toasts(made, monkeypatch):
    said = []
    monkeypatch.setattr(resources, "workspace", lambda: made)
    monkeypatch.setattr(admin_gate.st, "toast", lambda text, icon: said.append(text))
    return said


def state(place):
    return jobs.jobs(place), len(audit.entries(place)), place.version()


@pytest.mark.parametrize(
    ("module", "name", "action", "given"), GUARDED, ids=lambda v: str(v) if isinstance(v, str) else ""
)
@pytest.mark.parametrize("who", [None, Login("visitor", "viewer"), Login("kern", "researcher")])
def test_an_action_of_too_low_a_role_does_nothing_but_say_so(
    made, toasts, monkeypatch, module, name, action, given, who
):
    if who and who.role == NEEDED[action]:
        pytest.skip("this role may")
    monkeypatch.setattr(admin_gate, "login", lambda: who)
    before = state(made)
    do = getattr(importlib.import_module(f"pages.ui.{module}"), name)
    do(*(made if one == "w" else one for one in given))
    assert state(made) == before and toasts == [admin_gate.REFUSED.format(role=NEEDED[action])]


@pytest.mark.parametrize("action", NEEDED)
def test_each_action_runs_in_the_name_of_who_has_the_role_and_not_after_the_session_has_ended(
    toasts, monkeypatch, action
):
    done = []

    @admin_gate.asks(action)
    def act():
        done.append(audit._actor.get())

    monkeypatch.setattr(admin_gate, "login", lambda: Login("kern", NEEDED[action]))
    act()
    assert done == [("kern", NEEDED[action])] and not toasts
    monkeypatch.setattr(admin_gate, "login", lambda: Login("visitor", "viewer"))  # what login() says after eight hours
    act()
    assert len(done) == 1 and "nothing was done" in toasts[0]


class PageAnew(Exception):
    pass


@pytest.mark.parametrize("who", [None, Login("visitor", "viewer")], ids=["nobody", "viewer"])
@pytest.mark.parametrize(
    ("module", "name", "role", "given"),
    [
        ("training.panels", "_panel", "admin", ("w", "run-0001", "running", 0)),
        ("archive.panels", "_imports", "admin", ("w", True)),
        ("sidebar", "_progress", "viewer", (True, [])),
    ],
)
def test_what_renews_itself_ends_with_the_login(made, toasts, monkeypatch, module, name, role, given, who):
    if who and who.role == role:
        pytest.skip("this role may")
    monkeypatch.setattr(admin_gate, "login", lambda: who)
    monkeypatch.setattr(jobs, "tend", lambda workspace: pytest.fail("went on"))
    monkeypatch.setattr(admin_gate.st, "rerun", Mock(side_effect=PageAnew))
    with pytest.raises(PageAnew):
        getattr(importlib.import_module(f"pages.ui.{module}"), name)(*(made if one == "w" else one for one in given))


def acting():
    import streamlit as st

    from pages.ui import admin_gate

    st.session_state.setdefault("done", 0)

    def act():
        st.session_state["done"] += 1

    with st.container():
        if admin_gate.offer("evaluate", "Ask a researcher."):
            st.button("Act", key="act", on_click=admin_gate.asks("evaluate")(act))
    admin_gate.who_is_logged_in()


@pytest.fixture
def people(tmp_path, monkeypatch, made):
    file = tmp_path / "people"
    line = passwords.hashed("sesame")
    file.write_text(f"kern:researcher:{line}\nguest:viewer:{line}\n")
    monkeypatch.setattr(admin_gate, "_attempts", passwords.Attempts())
    monkeypatch.setattr(resources, "workspace", lambda: made)
    monkeypatch.setattr(admin_gate, "settings", lambda: Settings(_env_file=None, people_file=file))
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    return file


def log_in(app, name, password):
    next(t for t in app.text_input if t.label == "Name").set_value(name)
    next(t for t in app.text_input if t.label.startswith("Password")).set_value(password)
    next(b for b in app.button if b.label == "Log in").click().run()
    return app


def test_a_researcher_of_the_file_logs_in_acts_and_after_eight_hours_the_callback_is_refused(people, made, monkeypatch):
    app = AppTest.from_function(acting, default_timeout=20).run()
    assert not any(b.label == "Act" for b in app.button)  # also on the server itself: a login is set
    assert not any(b.label == "Log out" for b in app.button)
    log_in(app, "kern", "sesame")
    assert any("Logged in as kern (researcher)" in one.proto.body for one in app.get("html"))
    app.button(key="act").click().run()
    assert app.session_state["done"] == 1
    first = next(e for e in audit.entries(made) if e.action == "log in")
    assert (first.who, first.role) == ("kern", "researcher")
    later = admin_gate.time.time() + 3601 * admin_gate.HOURS
    monkeypatch.setattr(admin_gate.time, "time", lambda: later)
    app.button(key="act").click().run()
    assert app.session_state["done"] == 1 and "nothing was done" in app.toast[0].value


@pytest.mark.parametrize(
    ("after", "left"), [("kern", True), ("guest", False), ("", False)], ids=["the same", "another", "logged out"]
)
def test_what_was_open_is_left_to_nobody_else_in_the_same_tab(people, monkeypatch, after, left):
    app = AppTest.from_function(acting, default_timeout=20)
    app.session_state["ecg_record"] = "mine"
    log_in(app.run(), "kern", "sesame")
    assert app.session_state["ecg_record"] == "mine"  # of whoever looked before logging in
    if after:
        later = admin_gate.time.time() + 3601 * admin_gate.HOURS
        monkeypatch.setattr(admin_gate.time, "time", lambda: later)
        log_in(app.run(), after, "sesame")
    else:
        next(b for b in app.button if b.label == "Log out").click().run()
    assert ("ecg_record" in app.session_state) == left


@pytest.mark.parametrize("change", ["kern:viewer:{line}", "other:researcher:{line}", "kern:researcher:{new}"])
def test_a_login_ends_when_the_file_no_longer_says_the_same_of_the_person(people, change):
    app = log_in(AppTest.from_function(acting, default_timeout=20).run(), "kern", "sesame")
    line = people.read_text().splitlines()[0].split(":", 2)[2]
    people.write_text(change.format(line=line, new=passwords.hashed("other")) + "\n")
    app.button(key="act").click().run()
    assert app.session_state["done"] == 0


@pytest.mark.parametrize(("name", "password"), [("kern", "open"), ("nobody", "sesame"), ("", "sesame")])
def test_a_wrong_name_or_password_opens_nothing_and_both_are_told_alike(people, made, name, password):
    app = log_in(AppTest.from_function(acting, default_timeout=20).run(), name, password)
    assert app.error[0].value == "This is not the password." and not any(b.label == "Act" for b in app.button)
    assert audit.entries(made)[0].action == "wrong password" and password not in str(audit.entries(made)[0])


def test_a_viewer_is_told_which_role_is_asked_for(people):
    app = log_in(AppTest.from_function(acting, default_timeout=20).run(), "guest", "sesame")
    assert "logged in as viewer" in app.warning[0].value and "role researcher" in app.warning[0].value


GROUPS = {"role_claim": "groups", "role_values": "echo-lab=researcher,chiefs=admin"}


class User(dict):
    is_logged_in = True


@pytest.mark.parametrize(
    ("user", "told", "role"),
    [
        ({"groups": ["echo-lab"]}, GROUPS, "researcher"),
        ({"groups": ["chiefs", "echo-lab"]}, GROUPS, "admin"),
        ({"roles": "admin"}, {"role_claim": "roles"}, "admin"),
        ({"roles": ["administrator"]}, {"role_claim": "roles"}, "viewer"),
        ({"groups": ["chiefs"]}, {"role_values": "chiefs=admin"}, "viewer"),
        ({"email": "k@h.org", "email_verified": True}, {"researcher_users": "k@h.org"}, "researcher"),
        ({"email": "k@h.org"}, {"researcher_users": "k@h.org"}, "viewer"),
    ],
)  # fmt: skip
def test_oidc_claims_and_addresses_give_the_role_and_a_token_of_eight_hours_ago_none(
    people, monkeypatch, user, told, role
):
    monkeypatch.setattr(admin_gate, "settings", lambda: Settings(_env_file=None, **told))
    monkeypatch.setattr(admin_gate, "_oidc", lambda: ("",))
    now = admin_gate.time.time()
    monkeypatch.setattr(admin_gate.st, "user", User(user, iat=now - 60))
    assert admin_gate.login().role == role
    monkeypatch.setattr(admin_gate.st, "user", User(user, iat=now - 3600 * admin_gate.HOURS - 1))
    assert admin_gate.login() == Login("visitor", "viewer")


def test_an_export_of_a_cohort_is_written_down_and_refused_once_the_session_has_ended(toasts, made, monkeypatch):
    now = admin_gate.time.time()
    monkeypatch.setattr(admin_gate, "login", lambda: Login("kern", "researcher", now + 60))
    make = admin_gate.exporting(lambda: "a,b", "map", made)
    assert make() == "a,b"
    assert (audit.entries(made)[0].who, audit.entries(made)[0].action) == ("kern", "export")
    monkeypatch.setattr(admin_gate.time, "time", lambda: now + 61)
    with pytest.raises(Echo2ECGError, match="nothing was exported"):
        make()
    monkeypatch.setattr(admin_gate, "login", lambda: Login("visitor", "viewer"))
    with pytest.raises(Echo2ECGError):
        admin_gate.exporting(lambda: "a,b", "map", made)()


def test_a_server_with_a_file_of_people_without_an_admin_is_not_guarded(people):
    assert admin_gate.why_not_open_to_all("0.0.0.0", admin_gate.settings(), ())
    told = Settings(_env_file=None, people_file=people, admin_password=SecretStr("x"))
    assert not admin_gate.why_not_open_to_all("0.0.0.0", told, ())
    people.write_text("nonsense\n")
    assert "Line 1" in admin_gate.why_not_open_to_all("0.0.0.0", admin_gate.settings(), ())
