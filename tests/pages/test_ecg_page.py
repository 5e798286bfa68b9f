"""The ECG page in Streamlit's own test runner: empty, with data, with each kind of doubt, and with errors in words."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import streamlit
from pydicom.data import get_testdata_file
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.errors import ModelError
from pages.ui import resources
from pages.ui.ecg.assumed import SAYINGS
from tests.ecg import device_files
from tests.pages.prediction_fixture import FakePrediction, model_card, report_of

ROOT = Path(__file__).resolve().parents[2]
DICOM = Path(get_testdata_file("waveform_ecg.dcm"))


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The app on an empty workspace with a model that answers from the fixture; `page.options` bends the answer."""
    from echo2ecg_core.store.database import Workspace

    options = {"sex": "female"}
    card = model_card(tmp_path / "model")
    monkeypatch.setattr(resources, "workspace", lambda: Workspace(tmp_path / "workspace"))
    monkeypatch.setattr(resources, "active_model", lambda: card)

    def answer(record, card, insist=False):
        bent = {name: value for name, value in options.items() if name != "sex"}
        bent["unusable"] = bent.get("unusable", False) and not insist
        quality = bent.pop("quality", {})
        lvef = bent.pop("lvefs", {}).get(record.source)
        report = report_of(replace(record, sex=options["sex"]), **bent)
        report["quality"] |= quality
        if lvef is not None:
            report["phenotypes"][0]["value"] = lvef
        return FakePrediction(report)

    monkeypatch.setattr(resources, "prediction", answer)
    app = AppTest.from_file(ROOT / "app.py", default_timeout=30)
    app.options = options
    return app


def drop(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Open the app and drop files on its uploader."""
    app.run()
    app.file_uploader[0].set_value([(name, content, "application/octet-stream") for name, content in files])
    return app.run()


def choose_row(app: AppTest, row: int, monkeypatch) -> AppTest:
    """Click the name in a row of the table of recordings, which the test runner cannot: the table answers so once."""
    draw, clicks = streamlit.dataframe, [(row, "Recording")]

    def answer(rows, **how):
        draw(rows, **how)
        return SimpleNamespace(selection=SimpleNamespace(cells=[clicks.pop()] if clicks else []))

    with monkeypatch.context() as patch:
        patch.setattr(streamlit, "dataframe", answer)
        return app.run()


def opened(app: AppTest) -> AppTest:
    return drop(app, (DICOM.name, DICOM.read_bytes()))


def words(app: AppTest) -> str:
    """Everything written on the page."""
    parts = [e.value for kind in (app.markdown, app.caption, app.error, app.warning) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in app.get("html"))])


def test_the_empty_page_says_what_it_is_for_and_offers_files_and_three_examples(page):
    page.run()
    assert not page.exception
    assert "No ECG yet. Drop a file, or try one of the three below." in words(page)
    assert [b.key for b in page.button] == [
        "example_welcome_sinus",
        "example_welcome_lbbb",
        "example_welcome_af",
        "tour_begin",
    ]


def test_a_dropped_ecg_shows_doubt_before_the_number_and_the_number_with_interval_and_range(page):
    text = words(opened(page))
    assert not page.exception and not page.error
    assert "waveform_ecg.dcm" in text
    assert text.index("Outside the training data.") < text.index("61")
    assert "49–71" in text and "54–74" in text
    assert "88\u202f%" in text


def test_a_valve_grade_is_a_chance_and_words_with_the_dot_at_the_likeliest_grade(page):
    row = re.search(r"<tr><th scope=.row.><b>Tricuspid regurgitation.*?</tr>", words(opened(page))).group()
    assert "<b>12\u202f%</b>" in row and "≥\u202fmoderate</td>" in row and "none–mild" in row
    assert ">none</span></td>" in row and "severe" not in row
    assert 'class="estimate" style="left:0.00%"' in row


def test_both_reference_ranges_stand_while_the_sex_is_unknown(page):
    page.options["sex"] = None
    text = words(opened(page))
    assert "52–72" in text and "54–74" in text


def test_a_recording_that_cannot_be_judged_is_shown_without_numbers_until_the_person_insists(page):
    page.options["unusable"] = True
    text = words(opened(page))
    assert "No estimate.</b> Lead V3 is flat" in text and "LV end-diastolic volume" not in text
    page.toggle(key="predict_anyway").set_value(True).run()
    assert "LV end-diastolic volume" in words(page) and not page.exception


def test_a_weak_phenotype_has_a_reason_instead_of_a_number(page):
    page.options["weak"] = ("ivsd",)
    assert "this model predicts IVSd no better than the average patient" in words(opened(page))


def test_without_a_model_the_tracing_is_shown_and_the_page_says_why_there_is_no_estimate(page, monkeypatch):
    monkeypatch.setattr(resources, "active_model", lambda: None)
    text = words(opened(page))
    assert not page.exception and "No model yet." in text and "25\u202fmm/s" in text


def test_a_model_that_cannot_be_loaded_is_an_error_in_words_and_the_tracing_stays(page, monkeypatch):
    def broken(record, card, insist=False):
        raise ModelError("The weights of this model are damaged.", "Fit it again.")

    monkeypatch.setattr(resources, "prediction", broken)
    text = words(opened(page))
    assert not page.exception
    assert [e.value for e in page.error] == ["The weights of this model are damaged. Fit it again."]
    assert "25\u202fmm/s" in text


def test_a_file_that_is_no_ecg_is_an_error_in_words_and_the_page_stays(page):
    drop(page, ("photo.dcm", b"\x89PNG\r\n\x1a\n" + bytes(100)))
    assert not page.exception
    assert len(page.error) == 1 and "PNG" in page.error[0].value
    assert "No ECG yet" in words(page)


def test_an_open_ecg_survives_a_bad_file(page):
    opened(page)
    page.file_uploader[0].upload("empty.csv", b"").run()
    assert len(page.error) == 1 and not page.exception
    assert "waveform_ecg.dcm" in words(page)


def test_the_place_of_the_first_screen_is_emptied_before_the_facts_of_an_ecg_come(page):
    """Streamlit leaves what stood in a place until the run ends: the start page lay in the line of facts."""
    page.run()
    assert "FileUploader" in repr(page.main.children[1])
    page.button(key="example_welcome_sinus").click().run()
    facts = page.main.children[2].get("html")[0].proto.body
    assert page.main.children[1].type == "empty" and facts.startswith('<div class="e2e-facts">')


def test_a_file_without_a_sampling_rate_asks_for_it_and_opens_with_the_answer(page, monkeypatch):
    import numpy as np

    buffer = io.BytesIO()
    t = np.arange(5000) / 500
    np.save(buffer, np.stack([np.sin(2 * np.pi * t * (1 + i / 12)) for i in range(12)]).astype(np.float32))
    gone = []
    monkeypatch.setattr(MemoryUploadedFileManager, "remove_file", lambda manager, session, file: gone.append(file))
    drop(page, ("signal.npy", buffer.getvalue()))
    assert len(page.number_input) == 1 and not page.exception and not gone
    page.number_input[0].set_value(500.0)
    page.button(key=next(b.key for b in page.button if b.label == "Read with this rate")).click().run()
    assert not page.exception and "signal.npy" in words(page) and "500\u202fHz" in words(page)
    assert len(gone) == 1  # it has been read, and no uploader shows it any more


def test_a_recording_whose_rate_is_open_does_not_hold_up_the_others(page):
    drop(page, (DICOM.name, DICOM.read_bytes()), ("plain.csv", unnamed(1000)))
    next(b for b in page.button if b.label == "Read the other recording without it").click().run()
    assert not page.exception and page.session_state["ecg_record"].source == DICOM.name
    assert "2 recordings in this upload, 1 could not be read" in [e.label for e in page.expander]


def test_several_recordings_become_a_table(page):
    drop(page, (DICOM.name, DICOM.read_bytes()), ("broken.dcm", b"not an ECG"))
    assert not page.exception
    table = page.dataframe[0].value.set_index("Recording")
    assert table.loc[DICOM.name, ["LVEF %", "Interval %", "Quality", "Training data"]].tolist() == [
        61, "49–71", "good", "outside",
    ]  # fmt: skip
    assert table.loc["broken.dcm", "Remark"].startswith("Is text, but not an ECG") and pd.isna(
        table.loc["broken.dcm", "LVEF %"]
    )


def test_previous_and_next_follow_the_order_of_the_table(page):
    page.options["lvefs"] = {"a.dcm": 55.0, "b.dcm": 30.0, "c.dcm": 42.0}
    drop(page, *((name, DICOM.read_bytes()) for name in page.options["lvefs"]), ("broken.dcm", b"not an ECG"))
    page.button_group(key="batch_sort").set_value("Lowest LVEF").run()
    assert list(page.dataframe[0].value["Recording"]) == ["b.dcm", "c.dcm", "a.dcm", "broken.dcm"]
    assert '<span title="a.dcm">a.dcm</span>' in words(page) and page.button(key="batch_next").disabled
    page.button(key="batch_previous").click().run()
    assert '<span title="c.dcm">c.dcm</span>' in words(page) and "2 of 3" in words(page)
    page.button(key="batch_previous").click().run()
    assert '<span title="b.dcm">b.dcm</span>' in words(page) and page.button(key="batch_previous").disabled


def test_a_recording_that_cannot_be_used_is_a_row_with_its_reason(page, monkeypatch):
    answer = resources.prediction

    def refuse(record, card, insist=False):
        if record.source == "short.dcm":
            raise ModelError("The recording lasts 1.00 s.", "Use a longer one.")
        return answer(record, card, insist)

    monkeypatch.setattr(resources, "prediction", refuse)
    drop(page, (DICOM.name, DICOM.read_bytes()), ("short.dcm", DICOM.read_bytes()))
    table = page.dataframe[0].value.set_index("Recording")
    assert table.loc["short.dcm", "Remark"] == "The recording lasts 1.00 s. Use a longer one."
    assert table.loc[DICOM.name, "LVEF %"] == 61 and not page.exception


def test_files_of_the_table_hold_every_phenotype_and_no_formula():
    import openpyxl

    from echo2ecg_core.answers.predict_files import as_row
    from pages.ui.ecg.batch import batch_csv, batch_xlsx

    rows = [as_row({"ecg": {"source": "=1+1.dcm"}, "error": "no ECG"}), as_row({"ecg": {"source": "b"}})]
    csv = pd.read_csv(io.BytesIO(batch_csv(rows)))
    assert list(csv["source"]) == ["'=1+1.dcm", "b"] and {"lvef", "lvef_low", "tapse_high"} <= set(csv.columns)
    cells = [row[0] for row in openpyxl.load_workbook(io.BytesIO(batch_xlsx(rows))).active.iter_rows()]
    assert [(c.value, c.data_type) for c in cells] == [("source", "s"), ("'=1+1.dcm", "s"), ("b", "s")]


def test_each_row_of_an_upload_opens_its_recording_and_a_bad_one_keeps_what_is_open(page, monkeypatch):
    copy = ("second.dcm", DICOM.read_bytes())
    drop(page, (DICOM.name, DICOM.read_bytes()), copy, ("broken.dcm", b"not an ECG"))
    assert (
        '<span title="waveform_ecg.dcm">waveform_ecg.dcm</span>' in words(page)
        and "1 could not be read" in page.expander[0].label
    )
    choose_row(page, 1, monkeypatch)
    assert '<span title="second.dcm">second.dcm</span>' in words(page) and list(page.dataframe[0].value["Open"]) == [
        "",
        "●",
        "",
    ]
    choose_row(page, 2, monkeypatch)
    assert '<span title="second.dcm">second.dcm</span>' in words(page) and not page.exception


@pytest.mark.parametrize("layout", ("6×2", "12×1", "Cabrera"))
def test_every_layout_can_be_chosen(page, layout):
    opened(page)
    page.button_group(key="layout").set_value([layout]).run()
    assert not page.exception


@pytest.mark.slow
def test_the_first_paint_imports_neither_torch_nor_numba_nor_scipy_signal():
    script = (
        "import sys; from streamlit.testing.v1 import AppTest; "
        "app = AppTest.from_file('app.py', default_timeout=30).run(); "
        "assert not app.exception, app.exception; "
        "print([m for m in ('torch', 'numba', 'scipy.signal', 'faiss', 'matplotlib') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "[]"


def test_what_carries_the_estimate_stands_in_words_with_its_check_and_a_failed_check_is_told(page, monkeypatch):
    import numpy as np

    from echo2ecg_core.answers.why import Why
    from echo2ecg_core.ecg.record import LEADS

    def explained(record, card):
        shares = dict(zip(LEADS, [0.3, 0.25, *[0.045] * 10], strict=True))
        contribution = np.zeros((12, 250), np.float32)
        contribution[7, 20:40] = -1
        parts = {"QRS": (0.7, 0.1), "ST and T": (0.3, 0.9)}
        moved = {"named": 0.5, "random": 0.8, "largest": 8.04}
        return Why(record, contribution, 52.9, 59.6, shares, parts, moved)

    monkeypatch.setattr(resources, "why", explained)
    opened(page)
    assert "laid flat" not in words(page)
    page.toggle(key=next(t.key for t in page.toggle if t.key.startswith("carrying_"))).set_value(True).run()
    text = words(page)
    assert not page.exception
    assert "I 30\u202f%, II 25\u202f% carry 55\u202f% of it" in text
    assert "QRS 70\u202f% in 10\u202f% of the time" in text
    assert "laid flat the estimate moves by 0.5 points, with a random tenth by 0.8" in text
    assert "do not read the tint" in text


@pytest.mark.parametrize(
    ("sex", "value", "expected"),
    [("female", 75.4, "above"), ("female", 74.4, ""), ("male", 51.4, "below"), (None, 53.0, ""), (None, 51.0, "below")],
)
def test_an_estimate_outside_its_range_says_on_which_side(sex, value, expected):
    from pages.ui.ecg.phenotype_table import phenotype_table
    from tests.small_workspace import record_of

    report = report_of(replace(record_of(0), sex=sex))
    report["phenotypes"] = [report["phenotypes"][0] | {"value": value}]
    told = [side for side in ("above", "below") if f"<b>{side}</b>" in phenotype_table(report)]
    assert told == ([expected] if expected else [])


def test_a_limited_recording_and_pacing_are_told_once_where_the_estimate_is(page):
    page.options["quality"] = {
        "verdict": "limited",
        "reason": "Lead V5 is noisy for 4 of 10 s.",
        "notes": ["Pacing spikes precede the complexes."],
    }
    opened(page)
    bodies = [str(h.proto.body) for h in page.get("html")]
    told = [body for body in bodies if "Pacing spikes precede" in body]
    assert len(told) == 1 and "LV ejection fraction" in told[0] and told[0].index("Limited") < told[0].index("61")
    assert sum("V5 is noisy" in body for body in bodies) == 1


def unnamed(gain: float) -> bytes:
    """A CSV of twelve unnamed columns of whole numbers: neither unit nor leads are told."""
    import numpy as np

    from tests.ecg.test_limb_leads import heart

    return "\n".join(",".join(str(int(v)) for v in row) for row in np.round(heart().T * gain)).encode()


def test_what_was_assumed_is_a_chip_and_a_correction_reads_the_file_again(page):
    drop(page, ("plain.csv", unnamed(1000)))
    page.number_input[0].set_value(500.0)
    page.button(key=next(b.key for b in page.button if b.label == "Read with this rate")).click().run()
    labels = [p.proto.popover.label for p in page.get("popover")]
    assert {"Lead order assumed", "Unit assumed", "Rate as told: 500\u202fHz"} <= set(labels)
    before = page.session_state["ecg_record"]
    next(t for t in page.text_input if t.label == "Unit").set_value("0.5 µV")
    next(b for b in page.button if b.label == "Read again").click().run()
    after = page.session_state["ecg_record"]
    assert not page.exception and not page.error
    assert abs(after.signal_mv).max() == pytest.approx(abs(before.signal_mv).max() / 2, rel=0.01)


def test_a_unit_that_nothing_tells_has_a_chip_whatever_the_file_calls_it():
    for unit in ("", "mm"):
        record = read_ecg(device_files.edf(unit=unit))
        assert [chip for saying, chip in SAYINGS.items() if re.search(saying, " ".join(record.notes))] == [
            "Unit assumed"
        ]


def test_a_file_that_says_everything_has_no_chip(page):
    opened(page)
    assert not [p for p in page.get("popover") if "assumed" in p.proto.popover.label]


def test_a_swapped_recording_is_offered_with_its_electrodes_put_back_and_the_estimate_is_marked(page):
    note = "The limb leads look as if the electrodes of left arm and right arm were swapped."
    page.options["quality"] = {"verdict": "limited", "reason": note, "notes": [note]}
    opened(page)
    assert words(page).count(note) == 1
    before = page.session_state["ecg_record"].signal_mv
    next(b for b in page.button if b.label == "Show it with left arm and right arm put back").click().run()
    after = page.session_state["ecg_record"]
    assert (after.signal_mv[0] == -before[0]).all() and (after.signal_mv[6:] == before[6:]).all()
    assert "as if left arm and right arm had not been swapped" in after.doubts[-1] and not page.exception
    next(b for b in page.button if b.label == "Show it as it was recorded").click().run()
    assert (page.session_state["ecg_record"].signal_mv == before).all()


def test_the_numbers_of_the_device_are_named_as_cardiologists_write_them():
    from pages.ui.ecg.evidence import device_words

    told = {"heart_rate_bpm": 48.0, "rr_ms": 1242.0, "pr_ms": 138.0, "qtc_fridericia_ms": 419.0, "p_axis_deg": 51.0}
    assert device_words(told).replace("\u202f", " ") == (
        "heart rate 48 bpm, RR 1242 ms, PR 138 ms, QTc Fridericia 419 ms, P axis 51°"
    )
    assert device_words({}) == "–"
