"""The case report: three pages that say what the page says, name neither person nor file, and carry their
provenance."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from matplotlib.text import Text

from echo2ecg_core.answers.predict import Prediction
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.video import encode_mp4
from echo2ecg_core.errors import StoreError
from echo2ecg_core.figures.case_pages import HEIGHT_MM, WIDTH_MM
from echo2ecg_core.reports import case_report as cases
from echo2ecg_core.reports.contents import fingerprint
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.version import program_version
from tests.pages.prediction_fixture import report_of
from tests.small_workspace import MODEL_ID, SHA256, direction, record_of, small_workspace

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SECRET = "Mustermann_Erika_1950-01-01"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    frames = np.random.default_rng(0).integers(0, 255, (32, 48, 64, 3), dtype=np.uint8)
    return small_workspace(
        tmp_path_factory.mktemp("case") / "w", 12, encode_mp4(EchoClip(frames, 50.0, "made", "made"))
    )


@pytest.fixture
def record() -> EcgRecord:
    return replace(
        record_of(3),
        source=f"{SECRET}.xml",
        notes=("Lead III was computed.",),
        doubts=("The unit was taken to be mV.",),
    )


def prediction_of(record: EcgRecord, lvef: float = 40.0, **kind) -> Prediction:
    aligned = direction(lvef, "ecg", np.random.default_rng(1))
    report = report_of(record, **kind) | {
        "model": {"id": MODEL_ID, "name": "small", "sha256": SHA256, "synthetic": True}
    }
    report["ecg"]["doubts"] = list(record.doubts)
    return Prediction(report, aligned, None if kind.get("unusable") else aligned, MODEL_ID)


def pages_of(record, prediction, workspace, **kind):
    foot = cases.provenance(record, prediction.as_json(), workspace, NOW)
    return cases.case_pages(record, prediction, workspace, foot, **kind)


def words_of(page) -> str:
    return "\n".join(text.get_text() for text in page.findobj(Text))


@pytest.mark.slow
def test_the_pdf_has_three_pages_with_embedded_fonts_and_says_where_it_comes_from(record, workspace):
    pdf = cases.case_report(record, prediction_of(record), workspace, now=NOW)
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b(?!s)", pdf)) == 3
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert cases.case_report(record, prediction_of(record), workspace, now=NOW) == pdf  # the same case, the same bytes


@pytest.mark.slow
def test_every_page_carries_model_weights_workspace_version_date_and_marks(record, workspace):
    for page in pages_of(record, prediction_of(record), workspace):
        words = words_of(page)
        for part in (
            MODEL_ID,
            SHA256[:16],
            fingerprint(workspace),
            program_version(),
            "2026-11-29",
            "Synthetic",
            "Research use only",
        ):
            assert part in words


@pytest.mark.slow
def test_nothing_names_the_file_or_the_person(record, workspace):
    prediction = prediction_of(record)
    for page in pages_of(record, prediction, workspace):
        assert SECRET not in words_of(page)
    assert SECRET.encode() not in cases.case_report(record, prediction, workspace, now=NOW)


def test_the_first_page_draws_all_leads_to_scale(record, workspace):
    page = pages_of(record, prediction_of(record), workspace)[0]
    axes = page.axes[0]
    assert {line.get_label() for line in axes.get_lines()} >= set(record.leads)
    box, (left, right) = axes.get_position(), axes.get_xlim()
    assert box.width * WIDTH_MM == pytest.approx(right - left) and box.height * HEIGHT_MM == pytest.approx(
        axes.get_ylim()[0]
    )
    assert box.x0 >= 0 and box.x1 <= 1 and box.y0 * HEIGHT_MM >= 14
    assert "25\u202fmm/s" in words_of(page) and "10\u202fmm/mV" in words_of(page)


@pytest.mark.slow
def test_a_tracing_too_high_for_the_page_gets_a_smaller_gain_and_says_so(workspace):
    high = replace(record_of(3), signal_mv=record_of(3).signal_mv * 4)
    page = pages_of(high, prediction_of(high), workspace)[0]
    assert page.axes[0].get_position().y0 * HEIGHT_MM >= 14 and "5\u202fmm/mV" in words_of(page)


def test_the_second_page_holds_estimates_intervals_ranges_and_every_doubt(record, workspace):
    prediction = prediction_of(record)
    words = words_of(pages_of(record, prediction, workspace)[1]).replace("\n", " ")
    for row in prediction.as_json()["phenotypes"]:
        assert row["label"] in words
    for part in (
        "LVEF 61\u202f%",
        "49–71",
        "52–72",
        "The unit was taken to be mV.",
        "Lead III was computed.",
        "Outside the training data",
    ):
        assert part in words
    assert (
        "Signal quality: good." in words
        and "kernel ridge" in words
        and "54, 57, 58, 60, 61, 61, 63, 64, 66, 69" in words
    )


def test_a_case_without_estimate_still_has_three_pages_that_say_why(record, workspace):
    pages = pages_of(record, prediction_of(record, unusable=True), workspace)
    assert "Lead V3 is flat" in words_of(pages[1]) and "Nothing was predicted from this ECG" in words_of(
        pages[2]
    ).replace("\n", " ")


@pytest.mark.slow
def test_the_third_page_shows_the_nearest_studies_of_others_with_measured_values_and_key_frames(record, workspace):
    stored = Catalog(workspace).ecg_record("E-0005")
    page = pages_of(stored, prediction_of(stored, lvef=20 + 50 * 5 / 11), workspace)[2]
    words, studies = words_of(page), Catalog(workspace).studies().set_index("study_id")
    shown = re.findall(r"Study (S-\d+)", words)
    assert len(shown) == 4 and "S-0005" not in shown and {"S-0004", "S-0006"} <= set(shown)
    for study in shown:
        assert f"LVEF {studies.lvef[study]:.0f}\u202f%" in words
    pictures = [axes for axes in page.axes if axes.get_images()]
    assert len(pictures) == 8 and "ED at the R wave" in words


@pytest.mark.slow
def test_a_dollar_in_the_name_of_a_model_breaks_no_page(record, workspace):
    prediction = prediction_of(record)
    prediction.report["model"]["name"] = r"$\frac{"
    assert cases.case_report(record, prediction, workspace, now=NOW)


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_told_in_words(record, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "predict", lambda record, model, place, insist: prediction_of(record))
    with pytest.raises(StoreError, match="The file case.pdf cannot be written"):
        (tmp_path / "a_file").touch()
        cases.write_case_report(tmp_path / "a_file" / "case.pdf", record, None, workspace, False)
    cases.write_case_report(tmp_path / "case.pdf", record, None, workspace, False)
    assert (tmp_path / "case.pdf").read_bytes().startswith(b"%PDF")
