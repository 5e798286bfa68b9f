"""`import` and `remove` at the terminal: a dry run writes nothing, mappings and keys go where they are told."""

import csv
import json
import sys

import pytest

from echo2ecg_core.cli import main
from echo2ecg_core.intake import demo
from echo2ecg_core.intake.layouts import ours
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests import small_trees


@pytest.fixture
def terminal(capsys, monkeypatch, tmp_path):
    """Runs a command in this process; gives exit status, standard output and standard error."""
    monkeypatch.setattr(demo, "open_workspace", lambda place: None)  # the shipped model is not asked for here

    def run(*arguments):
        command = [str(a) for a in arguments]
        monkeypatch.setattr(sys, "argv", ["echo2ecg_core", *command, "--workspace", str(tmp_path / "w")])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as exit:
            status = exit.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def ecgs(tmp_path):
    """A folder of two ECGs with a table that names them, and a table of labels with names of its own beside it."""
    root = tmp_path / "set"
    for n in (1, 2):
        small_trees.write_record(root / f"rec{n}")
    small_trees.table(root / "ecgs.csv", "record,patient,path,recorded_at\nr1,A,rec1,2030-01-02\nr2,B,rec2,2030-01-03")
    small_trees.table(tmp_path / "labels.csv", "Record;Pump;seen\nr1;0,60;05/02/2030\nr2;0,35;06/02/2030")
    small_trees.table(tmp_path / "map.yaml", "columns: {Record: ecg_id, Pump: lvef}")
    return root


def test_a_dry_run_tells_everything_and_writes_nothing(terminal, ecgs, tmp_path):
    status, out, _ = terminal("import", ecgs, "--dry-run")
    assert status == 0 and "2 patients, 0 studies, 2 ECGs, 0 clips" in out and "replaced by pseudonyms" in out
    status, out, _ = terminal("import", ecgs, "--dry-run", "--json", "--keep-ids")
    found = json.loads(out)
    assert found["ecgs"] == 2 and found["files"] == {".hea": 2} and not found["pseudonyms"]
    assert not (tmp_path / "w" / "catalog.sqlite").exists()


def test_the_folder_is_looked_through_once(terminal, ecgs, monkeypatch):
    planned, real = [], ours.plan
    monkeypatch.setattr(ours, "plan", lambda folder, told: planned.append(folder) or real(folder, told))
    status, out, _ = terminal("import", ecgs, "--keep-ids")
    assert status == 0 and "Added 2 ECGs" in out and planned == [ecgs]


def test_labels_beside_the_data_and_a_mapping_come_in_with_their_unit(terminal, ecgs, tmp_path):
    labels = ("--labels", tmp_path / "labels.csv", "--map", tmp_path / "map.yaml")
    status, out, _ = terminal("import", ecgs, *labels, "--keep-ids", "--cohort", "ward")
    assert status == 0 and "Added 2 ECGs, 2 studies, 0 clips of 2 new patients." in out
    assert "LVEF in the column Pump is a fraction; it was converted to %." in out
    labelled = Catalog(Workspace(tmp_path / "w")).labelled_ecgs().set_index("ecg_id").lvef.to_dict()
    assert labelled == {"r1": 60, "r2": 35}
    status, out, _ = terminal("import", ecgs, *labels, "--keep-ids", "--cohort", "ward", "--json")
    assert json.loads(out)["ecgs"] == 0 and json.loads(out)["changed"] == []
    small_trees.table(tmp_path / "labels.csv", "Record;Pump\nr1;0,55\nr2;0,35")
    status, out, _ = terminal("import", ecgs, *labels, "--keep-ids", "--cohort", "ward")
    assert "Changed lvef of study r1: 60.0 is 55.0 now." in out


def test_the_mapping_that_was_used_is_saved_for_the_next_time(terminal, ecgs, tmp_path):
    saved = tmp_path / "saved.yaml"
    labels = ("--labels", tmp_path / "labels.csv")
    terminal("import", ecgs, *labels, "--map", tmp_path / "map.yaml", "--dry-run", "--save-map", saved)
    assert "Pump: lvef" in saved.read_text() and "seen: ignored" in saved.read_text()
    status, out, _ = terminal("import", ecgs, *labels, "--map", saved, "--dry-run", "--json")
    assert status == 0 and json.loads(out)["labels"][0]["n"] == 2


def test_what_is_wrong_ends_with_all_sentences_and_status_two(terminal, ecgs, tmp_path):
    small_trees.table(tmp_path / "labels.csv", "Record;Pump\nr1;low\nr9;55")
    arguments = ("import", ecgs, "--labels", tmp_path / "labels.csv", "--map", tmp_path / "map.yaml")
    for more in ((), ("--dry-run",)):
        status, out, err = terminal(*arguments, *more)
        assert status == 2 and "row 2, column Pump" in out + err and "an ECG in row 3" in out + err
        assert "Traceback" not in err
    assert not (tmp_path / "w" / "catalog.sqlite").exists()


def test_the_key_is_written_outside_and_the_cohort_can_be_removed_by_its_name(terminal, ecgs, tmp_path):
    status, _, _ = terminal("import", ecgs, "--key", tmp_path / "keys" / "key.csv", "--cohort", "ward")
    given = {row["given_id"] for row in csv.DictReader((tmp_path / "keys" / "key.csv").open()) if row["kind"] == "ecg"}
    assert status == 0 and given == {"r1", "r2"}
    status, out, _ = terminal("remove", "--cohort", "ward")
    assert status == 0 and out.startswith("Removed 2 patients, 0 studies, 0 clips and 2 ECGs.")
    status, _, err = terminal("remove", "--cohort", "ward")
    assert status == 2 and "There is no cohort 'ward'" in err


def test_a_layout_that_there_is_not_lists_those_that_are(terminal, ecgs):
    status, _, err = terminal("import", ecgs, "--layout", "ptb")
    assert status == 2 and "known: auto, ours, ptbxl, mimic_ecg" in err
