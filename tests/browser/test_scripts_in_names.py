"""Whatever comes from outside is text on every page: names, labels, notes and tags that hold scripts run nothing."""

import json
import shutil
import sqlite3

import numpy as np
import pydicom
import pytest

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.intake.waiting_clips import list_put_aside, put_aside
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.corrections import correct
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from tests.browser.running_app import chromium, running_app, settled

pytestmark = pytest.mark.browser

IMAGE = "<img src=x onerror=window.__x=1>"
SCRIPT = (
    f"{IMAGE}<script>window.__x=1</script>[press](javascript:window.__x=1) $\\href{{javascript:window.__x=1}}{{y}}$"
)
INJECTED = """() => [window.__x, document.querySelectorAll('img[src="x"], a[href^="javascript:"]').length,
  [...document.scripts].filter((s) => s.text.includes('__x')).length]"""


@pytest.fixture(scope="module")
def served(tmp_path_factory, demo_workspace):
    """A workspace whose names, notes, reports and logs hold scripts, and the app on it."""
    folder = tmp_path_factory.mktemp("scripts")
    place = Workspace(shutil.copytree(demo_workspace.folder, folder / "workspace"))
    catalog = Catalog(place)
    catalog.add_patient(f"P{SCRIPT}", split="test", cohort="other", synthetic=False)
    catalog.add_study(f"S{SCRIPT}", f"P{SCRIPT}", study_date="2026-01-05", phenotypes={"lvef": 50.0})
    correct(place, "study", f"S{SCRIPT}", "lvef", 40, who=SCRIPT, why=SCRIPT)
    with audit.acting_as(SCRIPT, SCRIPT):
        audit.record(place, SCRIPT, cohort=SCRIPT, name=SCRIPT)
    frames = np.zeros((2, 120, 160, 3), np.uint8)
    aside = put_aside(place, folder, f"S{SCRIPT}", "hash", EchoClip(frames, 30.0, "MP4", "x"), f"Why {SCRIPT}")
    list_put_aside(place, [aside])
    number = jobs.queue(place, "import", {"folder": "x", "cohort": SCRIPT})
    jobs.finish(place, number, "failed", f"Message {SCRIPT}")
    row = {"kind": "study", "id": SCRIPT, "name": SCRIPT, "was": SCRIPT, "now": SCRIPT}
    report = {"cohort": SCRIPT, "added": {}, "refused": [{"file": SCRIPT, "reason": SCRIPT}], "changed": [row],
              "notes": [f"Note {SCRIPT}"], "ignored": [{"what": SCRIPT, "reason": SCRIPT}]}  # fmt: skip
    (place.folder / "imports").mkdir(exist_ok=True)
    (place.folder / "imports" / f"import-{number:04d}.json").write_text(json.dumps(report))
    (card,) = ModelRegistry(place).models()
    manifest = json.loads((card.folder / "manifest.json").read_text())
    (card.folder / "manifest.json").write_text(json.dumps(manifest | {"name": SCRIPT}))
    with sqlite3.connect(place.database) as db:
        db.execute("UPDATE models SET name = ?", (SCRIPT,))
        db.execute("UPDATE patients SET cohort = ?", (SCRIPT,))
        db.execute("UPDATE clips SET notes = ?", (json.dumps([f"Note {SCRIPT}"]),))
        db.execute("UPDATE catalogue SET version = version + 1")
    with running_app(place.folder) as address, chromium() as page:
        yield address, page, folder


def nothing_ran(page) -> None:
    settled(page)
    assert page.evaluate(INJECTED) == [None, 0, 0]
    assert not [one for one in page.problems if "__x" in one]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("import", "Message <img src=x"),
        ("import", "Why <img src=x"),
        ("cohorts", "<img src=x"),
        ("models", "<img src=x"),
        ("about", "<img src=x"),
        ("report", "<img src=x"),
        ("training", "<img src=x"),
        ("map", "<img src=x"),
        ("admin", "<img src=x"),
    ],
)
def test_a_page_shows_names_with_scripts_as_text(served, path, text):
    address, page, _ = served
    page.goto(f"{address}/{path}")
    page.get_by_role("heading", level=1).first.wait_for()
    settled(page)
    nothing_ran(page)
    assert text in page.locator(".stApp").inner_text().replace("\u200b", "")


def test_streamlits_own_download_of_a_table_which_guards_no_formula_is_not_offered(served):
    address, page, _ = served
    page.goto(f"{address}/admin")
    page.locator('[data-testid="stDataFrame"]').first.hover()
    offered = page.locator('[data-testid="stElementToolbar"] button')
    offered.first.wait_for()
    names = [one.get_attribute("aria-label") for one in offered.all() if one.is_visible()]
    assert any(name.startswith("Search") for name in names) and not any("CSV" in name for name in names)
    table = page.locator('[data-testid="stDataFrame"]').first.bounding_box()
    assert offered.last.bounding_box()["y"] >= table["y"] - 3  # above the table they would cover the page's own buttons


def test_the_look_for_scripts_sees_one(served):
    address, page, _ = served
    page.goto(f"{address}/about")
    page.get_by_role("heading", level=1).first.wait_for()
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", IMAGE)
    with pytest.raises(AssertionError):
        nothing_ran(page)


def test_the_columns_and_files_of_an_archive_are_text_in_its_preview(served):
    address, page, folder = served
    archive = folder / "archive"
    archive.mkdir()
    (archive / "labels.csv").write_text(f'patient_id,study_id,lvef,"{SCRIPT}"\nA,S1,55,"{SCRIPT}"\nB,S2,x,y\n')
    (archive / f"{IMAGE}.doc").write_text("x")
    page.goto(f"{address}/import")
    path = page.get_by_label("Full path of the folder")
    path.fill(str(archive))
    path.press("Enter")
    page.get_by_text("1 problem to settle before anything comes in").wait_for()
    nothing_ran(page)


def give(page, address: str, files: list) -> None:
    """Files for a page that opens no earlier ECG again."""
    if page.url.startswith(address):
        page.evaluate("() => sessionStorage.clear()")
    page.goto(address)
    page.locator("input[type=file]").first.set_input_files(files)


def upload(page, address: str, files: list) -> None:
    give(page, address, files)
    page.get_by_text("Twelve-lead").or_(page.locator(".st-key-facts")).first.wait_for()
    nothing_ran(page)


def test_an_ecgs_name_comments_statements_and_device_are_text(served):
    from tests.planted_names import Planter, _wave, _wfdb

    address, page, folder = served
    header = folder / f"{IMAGE}.hea"
    text = _wfdb(_wave(), header.with_suffix(".dat"), Planter()) + f"# Dx: {SCRIPT}\n# {SCRIPT}\n"
    header.write_text(text.replace(header.stem, "a"))
    signal = header.with_suffix(".dat")
    parts = {header.name: header, "a.dat": signal}
    upload(page, address, [{"name": n, "mimeType": "x/y", "buffer": p.read_bytes()} for n, p in parts.items()])
    ecg = pydicom.dcmread(pydicom.data.get_testdata_file("waveform_ecg.dcm", download=False))
    ecg.Manufacturer = ecg.ManufacturerModelName = SCRIPT[:60]
    for annotation in ecg.get("WaveformAnnotationSequence", []):
        if "UnformattedTextValue" in annotation:
            annotation.UnformattedTextValue = SCRIPT
    ecg.save_as(folder / f"{IMAGE}.dcm")
    upload(page, address, [folder / f"{IMAGE}.dcm"])
    page.goto(f"{address}/studies")
    page.get_by_role("heading", level=1).first.wait_for()
    nothing_ran(page)


def test_an_ecg_that_cannot_be_read_is_named_as_text(served):
    address, page, _ = served
    give(page, address, [{"name": f"{IMAGE}.csv", "mimeType": "text/csv", "buffer": f"{SCRIPT},a\n1,2\n".encode()}])
    page.get_by_text(IMAGE[:10]).first.wait_for()
    nothing_ran(page)
