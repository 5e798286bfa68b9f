"""The report page in Streamlit's own test runner: no model, no report, evaluation under way, report, older and damaged
report."""

import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.figures.scores import difference_with_interval
from echo2ecg_core.reports import folder as reports
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from pages.ui import admin_gate, resources
from pages.ui.report.charts import show
from tests.report_fixture import made_up_report, write_report
from tests.small_workspace import MODEL_ID, register_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A workspace with an active model and nothing else; evaluation reports are put in by the tests."""
    made = Workspace(tmp_path / "workspace")
    with made.connect():
        pass
    register_model(made)
    monkeypatch.setattr(resources, "workspace", lambda: made)
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    monkeypatch.setattr(reports, "program_version", lambda: "0.1.0")
    return made


@pytest.fixture
def drawn(monkeypatch) -> dict[str, str]:
    """What the chart component got, by key of the row."""
    rows = {}
    monkeypatch.setattr(show, "_component", lambda: lambda key, data: rows.update({key: data["html"]}))
    return rows


@pytest.fixture
def page():
    return AppTest.from_file(ROOT / "pages" / "report.py", default_timeout=60)


def words(page: AppTest) -> str:
    parts = [e.value for kind in (page.markdown, page.caption, page.error, page.info, page.warning) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))])


def downloads(page: AppTest) -> list[str]:
    return [b.proto.label for b in page.get("download_button")]


def test_without_a_model_the_page_says_so(page, tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "workspace", lambda: Workspace(tmp_path / "nothing"))
    page.run()
    assert not page.exception and "No model yet" in words(page) and not page.button
    assert not (tmp_path / "nothing").exists()


def test_a_visitor_without_the_role_is_told_whom_to_ask(page, workspace, monkeypatch):
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: False)
    page.run()
    assert not page.button and "A researcher or an admin can have it evaluated" in words(page)


def test_without_a_report_a_button_queues_the_evaluation_once(page, workspace, monkeypatch):
    started = []
    monkeypatch.setattr(jobs, "start_worker", started.append)
    page.run()
    assert not page.exception and "No report of small yet." in words(page)
    next(b for b in page.button if b.label == "Evaluate small").click().run()
    assert [(job.kind, job.parameters) for job in jobs.jobs(workspace)] == [
        ("evaluate", {"model": MODEL_ID})
    ] and started == [workspace]
    assert "The evaluation is under way" in words(page) and not page.button


def test_while_the_demo_is_built_the_page_waits(page, workspace):
    jobs.queue(workspace, "demo")
    page.run()
    assert "The demo is being prepared" in words(page) and not page.button


def test_a_report_shows_five_numbers_with_intervals_charts_and_all_encoders(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    page.run()
    assert not page.exception and not page.error
    said = words(page)
    assert "<b>0.91</b><span>0.90–0.92</span>" in said and "<b>73\u202f%</b><span>70–76\u202f%</span>" in said
    assert (
        "<b>6.4</b>" in said
        and "guessing the mean" in said
        and "<b>90.6\u202f%</b><span>89.4–91.8\u202f%</span>" in said
    )
    assert "1,204 patients, 217 with" in said.replace("\u00a0", " ")
    for heading in ("ROC", "Calibration", "Subgroups"):
        assert f"<h2>{heading} <span>" in drawn["charts_classification"]
    for encoder in (
        "Multi-view, attention",
        "Hand-made ECG features",
        "Random initialisation",
        "Imported: my_otis &amp; co",
    ):
        assert f"<b>{encoder}</b>" in said
    assert "+0.07 (0.06 to 0.08)" in said and "reference" in said
    assert "Whole report (ZIP)" in downloads(page) and {"SVG", "PDF", "PNG"} <= set(downloads(page))


@pytest.mark.slow
def test_the_page_imports_neither_torch_nor_lightning(workspace):
    import subprocess

    write_report(workspace, made_up_report(MODEL_ID))
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; page = AppTest.from_file('pages/report.py', "
        "default_timeout=120).run(); "
        "assert not page.exception, page.exception; print(sorted({'torch', 'lightning', 'sklearn', 'numba'} & "
        "set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**__import__("os").environ, "ECHO2ECG_WORKSPACE": str(workspace.folder), "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_finding_and_readout_change_what_is_shown(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    page.run()
    page.button_group(key="readout").set_value("knn").run()
    assert (
        "<b>0.89</b><span>0.88–0.90</span>" in words(page)
        and "Multi-view, attention 0.89" in drawn["charts_classification"]
    )
    page.selectbox(key="finding").select("structural").run()
    assert "Structural heart disease (35\u202f%)" in words(page) and "Balanced accuracy" in words(page)
    page.selectbox(key="finding").select("lvef_classes").run()
    assert (
        not page.exception
        and "drawn for findings of two classes" in words(page)
        and "<h2>ROC" not in drawn["charts_classification"]
    )


def test_the_address_holds_model_finding_readout_and_tab(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    write_report(workspace, made_up_report("bbbb0000", "Other model", auroc=0.88))
    for key, value in {
        "model": "Other model",
        "finding": "Structural heart disease",
        "readout": "kNN, k = 5",
    }.items():  # as they are shown
        page.query_params[key] = value
    page.run()
    assert not page.exception
    assert (
        page.selectbox(key="model").value,
        page.selectbox(key="finding").value,
        page.button_group(key="readout").value,
    ) == ("bbbb0000", "structural", "knn")


@pytest.mark.slow
def test_validation_patients_are_shown_when_asked_for_and_clearly_said_to_be_no_test_patients(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID, auroc=0.91))
    write_report(workspace, made_up_report(MODEL_ID, auroc=0.97) | {"split": "validation"})
    page.run()
    assert page.button_group(key="split").value == "test" and "<b>0.91</b>" in words(page) and not page.warning
    assert "on patients it has never seen" in words(page) and "Paired" in words(page)
    page.button_group(key="split").set_value("validation").run()
    assert not page.exception and "<b>0.97</b>" in words(page) and "<b>0.91</b>" not in words(page)
    assert page.warning[0].value.startswith(
        "**Validation patients.** The readouts and intervals that pages show were calibrated on these patients"
    )
    assert "on patients its readouts were calibrated on" in words(page) and "never seen" not in words(page)
    page.button_group(key="split").set_value("test").run()
    assert "<b>0.91</b>" in words(page) and not page.warning


def test_an_address_without_a_choice_stands_for_the_first_of_a_few():
    def choose():
        import streamlit as st

        from pages.ui.in_words import in_words, one_of

        st.text(one_of("Split", ("test", "validation"), "split", in_words({})))

    chosen = AppTest.from_function(choose)
    for address, expected in (("", "test"), ("validation", "validation")):
        chosen.query_params["split"] = address
        assert chosen.run().text[0].value == expected
        chosen = AppTest.from_function(choose)


def test_a_split_without_a_report_offers_to_evaluate_it(page, workspace, drawn, monkeypatch):
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    write_report(workspace, made_up_report(MODEL_ID))
    page.query_params["split"] = "Validation"
    page.run()
    assert (
        not page.exception
        and not page.error
        and "small has no report on validation patients yet." in words(page)
        and "<b>0.91</b>" not in words(page)
    )
    next(b for b in page.button if b.label == "Evaluate on validation patients").click().run()
    assert [job.parameters for job in jobs.jobs(workspace)] == [{"model": MODEL_ID, "split": "validation"}]
    assert "The evaluation is under way" in words(page) and not page.button
    page.button_group(key="split").set_value("test").run()
    assert "<b>0.91</b>" in words(page)


def test_a_model_evaluated_on_the_other_split_only_is_not_set_beside(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    write_report(workspace, made_up_report("bbbb0000", "Other model", auroc=0.88) | {"split": "validation"})
    page.run()
    page.multiselect(key="beside").select("bbbb0000").run()
    assert (
        not page.exception
        and not page.error
        and "No report on test patients yet: Other model." in words(page)
        and "4 on the same patients" in words(page)
    )


def test_an_unknown_name_in_the_address_is_passed_over(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    page.query_params["finding"] = "nonsense"
    page.query_params["model"] = "gone"
    page.run()
    assert (
        not page.exception
        and page.selectbox(key="finding").value == "lvef_reduced"
        and page.selectbox(key="model").value == MODEL_ID
    )


@pytest.mark.parametrize(
    ("tab", "row", "expected"),
    [
        ("Regression", "charts_regression", ["Values predicted from the ECG", "IVSd", "0.14"]),
        (
            "Retrieval",
            "charts_retrieval",
            ["Retrieval among 1,204 studies", "Recall at 10", "Studies of like phenotype", "<b>LVEF</b>", ">0.61<"],
        ),
        ("Intervals", "charts_intervals", ["90.6\u202f%", "89.3\u202f%", "1.2\u202f% of the test ECGs are marked"]),
        ("Leakage checks", None, ["No patient is in two splits", "passed", "not passed", "2 &lt;equal&gt; signals"]),
        (
            "Provenance",
            None,
            ["SHA-256", "Workspace fingerprint", "abcdef123456", "0.1.0", "LVEF ≤ 40 on the study nearest in time"],
        ),
    ],
)
def test_every_tab_shows_its_part_of_the_report(page, workspace, drawn, tab, row, expected):
    write_report(workspace, made_up_report(MODEL_ID))
    page.session_state["report_tab"] = tab
    page.run()
    assert not page.exception and not page.error
    for text in expected:
        assert text in words(page)
    assert row is None or "<svg" in drawn[row]
    assert "charts_classification" not in drawn  # other tabs cost nothing


def test_models_are_set_beside_each_other(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    write_report(workspace, made_up_report("bbbb0000", "Other model", auroc=0.88, encoder="Single view, A4C"))
    page.run()
    page.multiselect(key="beside").select("bbbb0000").run()
    assert not page.exception and not page.error
    assert "<b>Single view, A4C</b> <span>Other model bbbb0000</span>" in words(
        page
    ) and "5 on the same patients" in words(page)
    assert "Single view, A4C 0.88" in drawn["charts_classification"]


def test_a_model_beside_is_compared_directly_on_the_same_ecgs(page, workspace, drawn):
    for model_id, noise in ((MODEL_ID, 0.6), ("bbbb0000", 2.0)):
        document = made_up_report(model_id, model_id, auroc=0.9)
        for section in ("tasks", "curves", "subgroups", "differences"):  # the finding under a name that evaluations use
            document[section] = {"lvef_le_40": document[section].pop("lvef_reduced"), **document[section]}
        for row in document["rows"]:
            row["results"]["lvef_le_40"] = row["results"].pop("lvef_reduced")
        target = (np.arange(400) % 3 == 0).astype(float)
        scores = target + np.random.default_rng(0).normal(0, noise, 400)
        np.savez(
            write_report(workspace, document).with_name("predictions.npz"),
            ecg_ids=np.arange(400).astype(str),
            patients=np.arange(400),
            **{"target/lvef_le_40": target, "model.probe/lvef_le_40": scores},
        )
    page.run()
    assert f"Paired difference to {MODEL_ID}" not in words(page)
    page.multiselect(key="beside").select("bbbb0000").run()
    metric, value = reports.direct_difference(
        workspace, "test", "lvef_le_40", ("bbbb0000", "model.probe"), (MODEL_ID, "model.probe")
    )
    assert not page.exception and f"Paired difference to {MODEL_ID}" in words(page)
    assert value[2] < -0.05 and difference_with_interval(list(value), metric) in words(page)


def test_models_of_other_patients_are_refused_in_words(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    write_report(workspace, made_up_report("bbbb0000", "Other model") | {"workspace": "another"})
    page.run()
    page.multiselect(key="beside").select("bbbb0000").run()
    assert not page.exception and "cannot be compared" in page.error[0].value and "<b>0.91</b>" in words(page)


def test_an_older_report_is_shown_with_a_way_to_renew_it(page, workspace, drawn, monkeypatch):
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    write_report(workspace, made_up_report(MODEL_ID) | {"version": "0.0.9"})
    page.run()
    assert (
        "An older report." in page.warning[0].value
        and "0.0.9" in page.warning[0].value
        and "<b>0.91</b>" in words(page)
    )
    next(b for b in page.button if b.label == "Evaluate again").click().run()
    assert (
        [job.kind for job in jobs.jobs(workspace)] == ["evaluate"] and "under way" in words(page) and not page.warning
    )


@pytest.mark.slow
def test_when_only_another_model_has_a_report_the_active_one_can_be_evaluated(page, workspace, drawn):
    write_report(workspace, made_up_report("bbbb0000", "Other model"))
    page.run()
    assert "The active model small has no report yet; this is that of Other model." in words(page)
    assert "Evaluate small" in [b.label for b in page.button]


@pytest.mark.slow
def test_the_scores_of_a_model_that_is_no_longer_active_are_said_to_be_its(page, workspace, drawn):
    write_report(workspace, made_up_report("bbbb0000", "Other model", auroc=0.8))
    write_report(workspace, made_up_report(MODEL_ID))
    page.run()
    assert "which is not the active model" not in words(page)
    page.selectbox(key="model").select("bbbb0000").run()
    assert "These are the scores of Other model, which is not the active model; that is small." in words(page)
    next(b for b in page.button if b.label == "Show small").click().run()
    assert page.selectbox(key="model").value == MODEL_ID and "which is not the active model" not in words(page)


def test_a_damaged_report_is_told_in_words_with_the_way_out(page, workspace):
    reports.report_path(workspace, MODEL_ID).parent.mkdir(parents=True)
    reports.report_path(workspace, MODEL_ID).write_text("{half")
    page.run()
    assert not page.exception and "damaged" in page.error[0].value
    assert "Evaluate again" in [b.label for b in page.button] and "Research use only" in words(page)


def test_a_new_report_takes_the_place_of_the_old_one_without_a_restart(page, workspace, drawn):
    write_report(workspace, made_up_report(MODEL_ID))
    page.run()
    write_report(workspace, made_up_report(MODEL_ID, auroc=0.7))
    page.run()
    assert "<b>0.70</b>" in words(page)


def test_a_report_of_one_cohort_says_so_and_leads_to_one_of_all(page, workspace, drawn, monkeypatch):
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    write_report(workspace, made_up_report(MODEL_ID) | {"chosen_cohorts": ["weak hearts"]})
    page.run()
    assert "Only the cohort weak hearts is judged" in words(page)
    next(b for b in page.button if b.label == "Evaluate on all cohorts").click().run()
    assert [(j.kind, "cohorts" in j.parameters) for j in jobs.jobs(workspace)] == [("evaluate", False)]
