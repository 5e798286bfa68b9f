"""`compare`: models of ours and of others on the same test patients, in files a paper can take."""

import csv
import json
from functools import partial

import numpy as np
import pytest
from typer.testing import CliRunner

from echo2ecg_core.answers.second_readers import CURVES_FILE
from echo2ecg_core.cli import app
from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.intake import ready_models
from echo2ecg_core.intake.weights import import_model
from echo2ecg_core.reports.compare import compare, summary_lines
from echo2ecg_core.store.database import Workspace
from tests.ready_workspace import labelled, published_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two second readers of 90 patients; the first orders them by LVEF nearly right, the second guesses."""
    folder = tmp_path_factory.mktemp("compare")
    place, rng = Workspace(folder / "w"), np.random.default_rng(0)
    ids = labelled(place, 90)
    cards = [import_model([published_file("echonext", folder / f"{s}.pt", seed=s)], place).card for s in (1, 2)]
    low = np.arange(90) % 4 == 0
    for card, signal in zip(cards, (0.25, 0.0), strict=True):
        scores = rng.uniform(0.3, 0.6, (90, 12)).astype(np.float32)
        scores[:, 0] += signal * low
        ready_models._keep_scores(place, card, dict(zip(ids, scores, strict=True)))
    return place, cards


def test_findings_are_written_with_paired_differences_sizes_and_speed(place, tmp_path):
    workspace, cards = place
    found = compare(workspace, [c.model_id for c in cards], "c", tmp_path / "out")
    entry = found["findings"]["lvef_le_45"]
    names = [f"EchoNext-Mini {c.model_id}" for c in cards]
    assert list(entry["scores"]) == names and entry["patients"] == 30
    assert entry["scores"][names[0]]["auroc"][0] > 0.8 > entry["scores"][names[1]]["auroc"][0]
    assert entry["differences"][names[1]]["auroc"][0] < 0
    assert entry["stacking"]["best"] == names[0] and not entry["is_chance"][names[0]]
    assert "lvef_le_40" not in found["findings"], "EchoNext asks for 45 per cent, which is another question"
    assert all(m["parameters"] == 1_046_080 and m["ecgs_per_s"] > 0 for m in found["models"])
    assert json.loads((tmp_path / "out" / "findings.json").read_text()) == found
    rows = list(csv.DictReader((tmp_path / "out" / "findings.csv").open()))
    assert float(rows[0]["auroc"]) == entry["scores"][names[0]]["auroc"][0] and rows[0]["answers_in"] == "scores"
    assert r"\begin{longtable}" in (tmp_path / "out" / "findings.tex").read_text()
    assert (tmp_path / "out" / "figures" / "finding-lvef_le_45.svg").read_text().lstrip().startswith("<?xml")
    assert any("A mix of all" in line for line in summary_lines(found))
    mixed = list(csv.DictReader((tmp_path / "out" / "combined.csv").open()))
    assert mixed[0]["finding"] == "LVEF ≤ 45 %" and mixed[0]["best"] == names[0]
    assert mixed[0]["combined"].startswith("shown") == entry["stacking"]["helps"]


def test_findings_without_enough_labels_say_so(place, tmp_path):
    workspace, cards = place
    found = compare(workspace, [c.model_id for c in cards], None, tmp_path / "out")
    assert found["left_out"]["aortic_stenosis"].startswith("patients with it: 0, without: 0")


def test_a_mix_that_validation_patients_cannot_judge_says_why(place, tmp_path, monkeypatch):
    from echo2ecg_core.reports import compare as module

    def without_low_validation(*asked, _whole=module._table):
        table = _whole(*asked)
        return table[(table.split == "test") | (table.lvef > 45)].reset_index(drop=True)

    monkeypatch.setattr(module, "_table", without_low_validation)
    workspace, cards = place
    found = compare(workspace, [c.model_id for c in cards], "c", tmp_path / "out")
    reason = "validation patients with it: 0, without: 22; 5 of each are needed."
    assert found["findings"]["lvef_le_45"]["stacking"] is None
    assert f"  A mix of all was not judged: {reason}" in summary_lines(found)
    (row,) = csv.DictReader((tmp_path / "out" / "combined.csv").open())
    assert row["combined"] == f"not judged: {reason}"


def test_a_recalibrated_model_answers_in_chances(place, tmp_path):
    workspace, cards = place
    curve = {"curve": {"method": "platt", "x": [1.0, -1.0], "y": []}}
    (cards[0].folder / CURVES_FILE).write_text(json.dumps({"outputs": {"lvef_lte_45": curve}}))
    found = compare(workspace, [c.model_id for c in cards], "c", tmp_path / "out")
    (cards[0].folder / CURVES_FILE).unlink()
    names = [f"EchoNext-Mini {c.model_id}" for c in cards]
    assert found["findings"]["lvef_le_45"]["is_chance"] == {names[0]: True, names[1]: False}


def test_one_model_or_an_unknown_cohort_is_refused(place, tmp_path):
    workspace, cards = place
    with pytest.raises(ModelError, match="needs two models"):
        compare(workspace, [cards[0].model_id] * 2, None, tmp_path / "out")
    with pytest.raises(StoreError, match="no cohort 'x'.*known: c"):
        compare(workspace, [c.model_id for c in cards], "x", tmp_path / "out")


def test_the_command_takes_models_one_after_the_other(place, tmp_path):
    workspace, cards = place
    given = ["compare", "--models", *(c.model_id for c in cards), "--cohort", "c", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, [*given, "--workspace", str(workspace.folder), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["findings"]["lvef_le_45"]["patients"] == 30


def test_a_model_of_ours_answers_in_chances_beside_a_ready_one_and_gets_its_report(tmp_path, monkeypatch):
    from echo2ecg_core.reports import compare as compare_module
    from echo2ecg_core.store.catalog import Catalog
    from echo2ecg_core.store.model_registry import ModelRegistry
    from tests.evaluation_workspace import evaluation_workspace

    workspace = evaluation_workspace(tmp_path / "w", {"train": 8, "validation": 8, "test": 24})
    card = import_model([published_file("echonext", tmp_path / "a.pt")], workspace).card
    ours = ModelRegistry(workspace).active()
    ids = list(Catalog(workspace).ecgs().ecg_id)
    guesses = np.random.default_rng(0).random((len(ids), 12), np.float32)
    ready_models._keep_scores(workspace, card, dict(zip(ids, guesses, strict=True)))
    monkeypatch.setattr(compare_module, "FEWEST", 2)  # of twenty test patients three have a low LVEF
    tables_alone = partial(compare_module.write_report_folder, kinds=())  # its figures are another test's
    monkeypatch.setattr(compare_module, "write_report_folder", tables_alone)
    found = compare(workspace, [ours.model_id, card.model_id], None, tmp_path / "out")
    entry = found["findings"]["lvef_le_45"]
    assert entry["is_chance"] == {f"{ours.name} {ours.model_id}": True, f"EchoNext-Mini {card.model_id}": False}
    assert found["models"][1]["ecgs_per_s"] is None  # these ECGs last 5 s; it reads 10
    assert (tmp_path / "out" / "report.html").is_file() and (tmp_path / "out" / "tables").is_dir()


def test_an_evaluation_keeps_ready_models_beside_it_and_the_report_shows_them(place, monkeypatch):
    """The evaluation itself is another test's; here, what stands beside it and where it is shown."""
    from echo2ecg_core.reports import compare as module
    from echo2ecg_core.reports.folder import load_report
    from echo2ecg_core.reports.html_page import html_page
    from echo2ecg_core.reports.tables import all_tables
    from echo2ecg_core.store.paths import ready_path
    from tests.report_fixture import made_up_report, write_report

    workspace, cards = place
    own = cards[0].model_id
    write_report(workspace, made_up_report(own))
    monkeypatch.setattr(module, "evaluate", lambda *_args, **_kind: {"model": {"id": own}})
    module.judge(workspace, own)
    report = load_report(workspace, own)
    (table,) = [t for t in all_tables(report) if t.name == "ready-models"]
    assert {row[1].text for row in table.rows[:2]} == {f"EchoNext-Mini {c.model_id}" for c in cards}
    assert table.rows[0][0].text == "LVEF ≤ 45 %" and "reference" in {cell.text for cell in table.rows[0]}
    page = html_page(report)
    assert "<h2>Combined estimates</h2>" in page
    assert "<h2>Ready models</h2>" in page and f"EchoNext-Mini {cards[1].model_id}" in page
    monkeypatch.setattr(module, "ready_cards", lambda *_: [])
    module.judge(workspace, own)
    assert not ready_path(workspace, own).exists() and "Ready models" not in html_page(load_report(workspace, own))
