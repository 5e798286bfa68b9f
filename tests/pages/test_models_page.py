"""The Models page: what each model can do and has here, what is missing before it may answer, weights as a job."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from pages.ui import admin_gate, resources
from pages.ui.models import panels as models_panels
from tests.small_workspace import register_model

ROOT = Path(__file__).resolve().parents[2]
PARTS = ["ecg", "ecg_alignment", "study"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Workspace(tmp_path / "w")
    with place.connect():
        pass
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    return place


@pytest.fixture
def page():
    return AppTest.from_file(ROOT / "pages" / "models.py", default_timeout=30)


def words(page: AppTest) -> str:
    parts = [
        e.value
        for kind in (page.markdown, page.caption, page.error, page.info, page.warning, page.success)
        for e in kind
    ]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))])


def register(place, digit: str, name: str, parts: list[str], readouts: bool = False):
    folder = place.folder / f"made-{name}"
    folder.mkdir()
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "name": name,
                "sha256": digit * 64,
                "synthetic": name != "otis",
                "weights": {"echo2ecg": {}},
                "spec": {"parts": parts},
            }
        )
    )
    if readouts:
        (folder / "readouts.safetensors").write_bytes(b"made up")
    return ModelRegistry(place).register(folder)


def add_ecg(place):
    with place.connect() as db:
        db.execute("INSERT INTO patients VALUES ('P', NULL, 'test', 'c', 1)")
        db.execute("INSERT INTO ecgs VALUES ('E', 'P', NULL, 500, 10, 'x', 'y', 'z', NULL)")


def test_an_empty_workspace_says_how_to_get_a_model(page, place):
    page.run()
    assert not page.exception and "No model yet. Train one, or import weights below." in words(page)


def test_the_table_tells_what_each_model_can_do_and_has_here(page, place):
    register(place, "a", "ready", PARTS, readouts=True)
    register(place, "b", "otis", ["ecg"])
    register(place, "c", "echoprime", ["study"])
    register_model(place)
    page.run()
    assert not page.exception
    rows = page.dataframe[0].value.set_index("Name")
    assert rows.loc[
        "ready", ["State", "What it can do", "Vectors", "Readouts", "Map", "Report", "Trained on"]
    ].tolist() == ["ready", "Phenotypes, similar studies, map", "yes", "yes", "no", "no", "simulated hearts"]
    assert rows.loc["otis", ["State", "What it can do", "Vectors"]].tolist() == [
        "to prepare",
        "Phenotypes, map of ECGs",
        "yes",
    ]
    assert rows.loc["echoprime", ["State", "What it can do", "Vectors"]].tolist() == [
        "inactive",
        "Echo side only: embeds clips",
        "–",
    ]
    assert rows.loc["small", "State"] == "active"


def test_a_new_ecg_makes_a_model_one_to_prepare(page, place):
    register(place, "a", "ready", PARTS, readouts=True)
    add_ecg(place)
    page.run()
    assert page.dataframe[0].value.State.tolist() == ["to prepare"] and page.dataframe[0].value.Vectors.tolist() == [
        "no"
    ]


def test_a_damaged_model_is_a_row_with_its_reason_and_hides_no_other(page, place):
    register(place, "a", "ready", PARTS, readouts=True)
    broken = register(place, "b", "broken", PARTS)
    (broken.folder / "manifest.json").write_text("{")
    page.run()
    assert not page.exception and len(page.dataframe[0].value) == 2
    assert "no readable manifest.json" in page.dataframe[0].value.set_index("Name").loc["broken", "What it can do"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (PARTS, "it has no readouts yet, no vectors of 1 of 1 ECGs"),
        (
            ["ecg"],
            "Phenotypes and the map of ECGs only. chosen aaaaaaaa has no alignment of ECGs with studies and no echo "
            "side, so it cannot compare",
        ),
        (["study"], "Its weights hold no ECG encoder: it cannot answer."),
    ],
)
def test_a_chosen_model_tells_what_it_lacks_and_shows_its_manifest(place, monkeypatch, parts, expected):
    card = register(place, "a", "chosen", parts)
    add_ecg(place)
    monkeypatch.setattr(models_panels, "table", lambda workspace: card)
    page = AppTest.from_file(ROOT / "pages" / "models.py", default_timeout=30).run()
    assert expected in words(page) and json.loads(page.json[0].value)["name"] == "chosen"


def test_weights_on_the_server_become_a_job_with_what_the_person_knows(page, place):
    page.run()
    assert next(b for b in page.button if b.label == "Import weights").disabled
    page.text_area(key="weights_paths").set_value("/data/otis.pth\n\n").run()
    page.selectbox(key="weights_kind").set_value("otis")
    page.number_input(key="weights_rate").set_value(500.0).run()
    next(b for b in page.button if b.label == "Import weights").click().run()
    (job,) = jobs.jobs(place)
    assert job.kind == "model_import" and job.parameters == {
        "files": ["/data/otis.pth"],
        "kind": "otis",
        "sampling_rate_hz": 500.0,
        "order": None,
        "allow_partial": False,
    }


def test_uploaded_weights_wait_under_their_hash(page, place):
    page.run()
    page.file_uploader(key="weights_files").upload("doe_john.ckpt", b"weights", "application/octet-stream").run()
    next(b for b in page.button if b.label == "Import weights").click().run()
    (name,) = jobs.jobs(place)[0].parameters["uploads"]
    assert (place.folder / "uploads" / name).read_bytes() == b"weights" and "doe" not in name and name.endswith(".ckpt")


def test_the_end_of_the_last_import_is_told(page, place):
    number = jobs.queue(place, "model_import", {"files": ["x"]})
    jobs.finish(place, number, "failed", "x is a web page, not a weight file.")
    page.run()
    assert "The last import of weights failed: x is a web page" in words(page).replace("\\", "")
    number = jobs.queue(place, "model_import", {"files": ["y"]})
    jobs.finish(place, number, "done", "otis abababab is registered, inactive.")
    (place.folder / "imports").mkdir()
    (place.folder / "imports" / f"import-{number:04d}.json").write_text(
        json.dumps({"missing": [], "unexpected": ["head.weight", "head.bias"]})
    )
    page.run()
    assert "otis abababab is registered" in words(page) and page.code[0].value == "head.weight\nhead.bias"


def test_behind_the_gate_nothing_of_the_page_is_drawn(page, place, monkeypatch):
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: False)
    page.run()
    assert not page.dataframe and not page.text_area and "ECHO2ECG_ADMIN_PASSWORD_HASH" in page.warning[0].value


def test_a_second_reader_shows_its_licence_and_switch_and_cannot_be_promoted(page, place, tmp_path):
    from echo2ecg_core.answers.second_readers import is_on
    from tests.ready_workspace import imported

    card = imported("echonext", place, tmp_path).card

    page.run()
    table = page.dataframe[0].value
    assert table.loc[0, "State"] == "second reader, on" and "12 structural findings" in table.loc[0, "What it can do"]
    assert is_on(card)
    assert not is_on_after_switch(card, place)


def is_on_after_switch(card, place):
    """Draws the panel of a chosen second reader and puts its switch out."""
    from echo2ecg_core.answers.second_readers import is_on

    def script(folder, model_id):
        from echo2ecg_core.store.database import Workspace
        from echo2ecg_core.store.model_registry import ModelRegistry
        from pages.ui.models import second_readers

        workspace = Workspace(folder)
        second_readers.panel(workspace, ModelRegistry(workspace).get(model_id))

    panel = AppTest.from_function(script, args=(str(place.folder), card.model_id), default_timeout=30).run()
    assert not panel.exception and "No licence is stated" in panel.markdown[0].value
    assert (
        "Columbia University" in panel.markdown[0].value and card.manifest()["source_sha256"] in panel.markdown[0].value
    )
    panel.toggle[0].set_value(False).run()
    assert not panel.exception
    return is_on(card)


def test_the_card_of_a_model_counts_pairs_as_pairs_and_ecgs_as_ecgs():
    from pages.ui.about.model_card import trained_on

    told = [trained_on({"pairs": {"train": 2899}, "run": {"objective": o}}) for o in ("contrastive", "masked")]
    assert told[0]["Pairs of an ECG and a study"] == told[1]["ECGs"] == "2,899"  # an ECG may go with two studies
    assert "ECGs" not in told[0]
