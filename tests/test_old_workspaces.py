"""Workspaces of earlier versions: opened by this one they keep every row, are migrated after a copy, and answer.

`old_workspaces/catalog-0.1.0.sql` is the catalog of three patients as version 0.1.0 wrote it. The long form builds a
whole workspace with the program of that version out of git.
"""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.schema import MIGRATIONS

HERE = Path(__file__).resolve().parent
OLD = sorted((HERE / "old_workspaces").glob("catalog-*.sql"))
COMMIT_OF_0_1_0 = "9d27fea"
BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
if __name__ == "__main__":
    from echo2ecg_core.store import jobs
    from echo2ecg_core.store.database import Workspace
    from echo2ecg_core.worker import work
    from echo2ecg_core.workflows import demo

    demo.DEMO_PATIENTS = {"test": 4, "validation": 2, "train": 2}
    jobs.queue(Workspace(sys.argv[2]), "demo")
    work(Workspace(sys.argv[2]))
"""


@pytest.mark.parametrize("dump", OLD, ids=lambda p: p.stem)
def test_a_catalog_of_an_earlier_version_keeps_every_row_and_the_way_back(tmp_path, dump):
    place = Workspace(tmp_path)
    with closing(sqlite3.connect(place.database)) as raw:
        raw.executescript(dump.read_text())
        tables = ("patients", "studies", "phenotypes", "clips", "ecgs", "models", "jobs")
        before = {t: raw.execute(f"SELECT * FROM {t}").fetchall() for t in tables}
        schema = raw.execute("PRAGMA user_version").fetchone()[0]
    assert 0 < schema < len(MIGRATIONS) and len(before["patients"]) == 3 and before["clips"] and before["ecgs"]
    assert Catalog(place).counts()["patients"] == 3 and ModelRegistry(place).active().name == "demo-multiview"
    with closing(sqlite3.connect(place.database)) as raw:
        for table, rows in before.items():
            now = raw.execute(f"SELECT * FROM {table}").fetchall()
            assert [row[: len(rows[0])] for row in now] == rows, table  # later columns stand at the end
    labelled = Catalog(place).labelled_ecgs().set_index("patient_id")
    assert labelled.lvef.round(3).to_dict()["P00001"] == 32.287
    (kept,) = place.backups.glob(f"before-schema-{len(MIGRATIONS)}-of-{schema}-*.sqlite")
    with closing(sqlite3.connect(kept)) as raw:
        assert raw.execute("SELECT * FROM patients").fetchall() == before["patients"]


@pytest.mark.endurance
def test_a_workspace_that_version_0_1_0_built_is_migrated_and_answers(tmp_path):
    from echo2ecg_core.answers.embed import embed_workspace
    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.answers.predict import predict
    from echo2ecg_core.answers.search import search
    from echo2ecg_core.intake.check import check_workspace

    program = subprocess.run(["git", "archive", COMMIT_OF_0_1_0], cwd=HERE.parent, capture_output=True)
    if program.returncode:
        pytest.skip("needs the history of git down to version 0.1.0")
    old, folder = tmp_path / "program", tmp_path / "workspace"
    old.mkdir()
    subprocess.run(["tar", "-x", "-C", old], input=program.stdout, check=True)
    (tmp_path / "build.py").write_text(BUILD)
    own = {k: v for k, v in os.environ.items() if not k.startswith("ECHO2ECG") and k != "PYTHONPATH"}
    subprocess.run([sys.executable, tmp_path / "build.py", old, folder], cwd=old, env=own, check=True, timeout=900)
    place = Workspace(folder)
    assert Catalog(place).counts() == {"patients": 8, "studies": 8, "clips": 57, "ecgs": 14}
    model = load_active_model(place)
    record = Catalog(place).ecg_record(Catalog(place).ecgs().ecg_id[0])
    prediction = predict(record, model, place)
    assert prediction.as_json()["phenotypes"][0]["value"] is not None and len(search(prediction, place)) == 8
    embed_workspace(place, model.card)
    assert all(row["ok"] for row in check_workspace(place)), check_workspace(place)
