"""The audit log: append-only, a chain that shows what was changed behind its back, and nothing of patients in it."""

import json
import sqlite3

import pytest
from typer.testing import CliRunner

from echo2ecg_core.cli import app
from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.check import check_workspace
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.corrections import correct
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from tests.small_workspace import MODEL_ID, small_workspace


def told(place):
    return [(e.who, e.role, e.action, e.facts) for e in reversed(audit.entries(place))]


def test_what_is_done_is_recorded_with_who_did_it_and_in_their_role(tmp_path):
    place = Workspace(tmp_path)
    with audit.acting_as("kern@hospital.org", "researcher"):
        number = jobs.queue(place, "evaluate", {"model": "5ma11000", "folder": "/data/Müller"})
    with audit.acting_as("chief", "admin"):
        jobs.cancel(place, number)
        jobs.cancel(place, number)  # changes nothing, so it is not told
    assert told(place) == [
        ("kern@hospital.org", "researcher", "queue evaluate", {"job": number, "model": "5ma11000"}),
        ("chief", "admin", "stop job", {"job": number}),
    ]
    audit.record(place, "back up")
    assert told(place)[-1][0].startswith("terminal:")


def test_import_promotion_correction_and_removal_leave_a_line_each_without_what_they_are_of(tmp_path):
    place = small_workspace(tmp_path / "w", n_patients=3)
    before = len(told(place))
    with audit.acting_as("chief", "admin"):
        jobs.queue(place, "import", {"folder": "/data/Müller", "cohort": "ward"})
        ModelRegistry(place).promote(MODEL_ID)
        correct(place, "study", "S-0001", "lvef", "51.5", who="chief", why="read again")
        remove(place, patient="P-0002")
    lines = told(place)[before:]
    assert [line[:3] for line in lines] == [
        ("chief", "admin", action) for action in ("queue import", "promote", "correct", "remove")
    ]
    assert not any(word in str(lines) for word in ("Müller", "S-0001", "51.5", "read again", "P-0002"))


def test_no_statement_changes_or_deletes_a_line(tmp_path):
    place = Workspace(tmp_path)
    audit.record(place, "promote", model="a")
    for sql in (
        "UPDATE audit SET who = 'x'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit VALUES (1,'','','','','{}','')",
    ):
        with pytest.raises((sqlite3.IntegrityError, StoreError)), place.write() as db:
            db.execute("PRAGMA recursive_triggers = ON")
            db.execute(sql)
    assert len(audit.entries(place)) == 1 and audit.first_broken(place) is None


@pytest.mark.parametrize(
    "sql", ["UPDATE audit SET who = 'x' WHERE number = 2", "DELETE FROM audit WHERE number = 2",
            "DELETE FROM audit WHERE number = 1"]
)  # fmt: skip
def test_a_line_changed_behind_the_triggers_breaks_the_chain(tmp_path, sql):
    place = Workspace(tmp_path)
    for n in range(4):
        audit.record(place, "promote", n=n)
    raw = sqlite3.connect(place.database)
    raw.executescript("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;")
    raw.execute(sql)
    raw.commit()
    raw.close()
    assert audit.first_broken(place) == (1 if sql.endswith("1") else 2)


def test_what_is_taken_back_is_not_in_the_log_either(tmp_path):
    place = small_workspace(tmp_path / "w", n_patients=3)
    before = told(place)
    with pytest.raises(ZeroDivisionError), place.write():
        ModelRegistry(place).promote(MODEL_ID)
        raise ZeroDivisionError
    assert told(place) == before


def test_a_removal_tells_counts_and_no_id(tmp_path):
    place = small_workspace(tmp_path / "w", n_patients=4)
    remove(place, patient="P-0001")
    remove(place, cohort="small")
    first, second = told(place)[-2:]
    assert first[2:] == ("remove", {"what": "patient", "patients": 1, "studies": 1, "clips": 1, "ecgs": 1})
    assert second[3]["cohort"] == "small" and second[3]["patients"] == 3
    assert not any("P-0001" in str(line) for line in told(place))


def test_facts_that_are_not_on_the_list_are_our_mistake(tmp_path):
    with pytest.raises(AssertionError, match="patient_id"):
        audit.record(Workspace(tmp_path), "remove", patient_id="P1")


def test_many_processes_write_one_unbroken_chain(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    place = Workspace(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: audit.record(place, "export", n=n), range(40)))
    assert len(audit.entries(place)) == 40 and audit.first_broken(place) is None


def test_the_terminal_shows_the_log_and_a_broken_chain_in_words_and_by_its_exit_status(tmp_path):
    place = Workspace(tmp_path)
    audit.record(place, "promote", model="5ma11000")
    asked = ["audit", "--workspace", str(place.folder)]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0 and "promote  model 5ma11000" in shown.stdout
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert told["broken_at"] is None and told["entries"][0]["facts"] == {"model": "5ma11000"}
    with place.write() as db:
        db.execute("DROP TRIGGER audit_is_not_changed")
        db.execute("UPDATE audit SET action = 'nothing'")
    assert CliRunner().invoke(app, asked).exit_code == 1
    assert check_workspace(place)[0] == {
        "name": "catalog",
        "ok": False,
        "found": "0 patients, 0 studies, 0 clips, 0 ecgs; the audit log was changed by other means: line 1 does not "
        "follow",
    }
