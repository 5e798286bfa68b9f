"""Another program keeps the catalog: pages say so within seconds, show what needs no catalog, and go on after it."""

import sqlite3

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.settings import Settings
from echo2ecg_core.store import database, jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from pages.ui import admin_gate, resources


def a_page():
    import streamlit as st

    from echo2ecg_core.store import jobs
    from pages.ui import resources, sidebar
    from pages.ui.errors import errors_in_words

    with errors_in_words():
        sidebar.draw()
    with errors_in_words():
        if st.button("Draw the map"):
            jobs.queue(resources.workspace(), "map")
            st.write("It is queued.")
    st.write("what needs no catalog")


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = Workspace(tmp_path / "w")
    Catalog(made).add_patient("P0", split="test", cohort="c", synthetic=True)
    monkeypatch.setattr(resources, "workspace", lambda: made)
    monkeypatch.setattr(resources, "is_warm", lambda: True)
    monkeypatch.setattr(admin_gate, "settings", lambda: Settings(_env_file=None))
    monkeypatch.setattr(database, "ANSWER_WITHIN_S", 0.3)
    monkeypatch.setattr(database, "PATIENCE_S", database.PATIENCE_S)  # is put back afterwards
    monkeypatch.setattr(database, "_TURN_S", 0.1)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    database.answer_people()
    return made


def words(app) -> str:
    return " ".join([e.value for e in app.error] + [m.value for m in app.markdown])


def test_a_program_that_lets_nobody_read_is_told_and_the_page_goes_on_after_it(place):
    other = sqlite3.connect(place.database, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    app = AppTest.from_function(a_page, default_timeout=20).run()
    assert "The workspace is busy" in words(app) and "Nothing was changed" in words(app)
    assert "what needs no catalog" in words(app) and not app.exception
    other.execute("ROLLBACK")
    other.close()
    assert not app.run().error and "what needs no catalog" in words(app)


def test_an_action_while_another_program_writes_is_refused_in_words_and_can_be_repeated(place):
    other = sqlite3.connect(place.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    app = AppTest.from_function(a_page, default_timeout=20).run()
    assert not app.error  # who only reads is not kept waiting
    app.button[0].click().run()
    assert "try again" in words(app) and "It is queued." not in words(app) and jobs.jobs(place) == []
    other.execute("ROLLBACK")
    app.button[0].click().run()
    assert "It is queued." in words(app) and [job.kind for job in jobs.jobs(place)] == ["map"]
