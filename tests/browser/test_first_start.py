"""The first start on an empty folder in Chromium: the demo is being prepared, and a real ECG is predicted meanwhile."""

import re
import time

import pytest

from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from tests.browser.running_app import chromium, running_app

pytestmark = pytest.mark.browser


@pytest.fixture
def folder(tmp_path):
    """An empty folder; whatever the server started in it is stopped afterwards."""
    yield tmp_path / "w"
    place = Workspace(tmp_path / "w")
    for job in jobs.jobs(place, open_only=True):
        jobs.cancel(place, job.job_id)
    for _ in range(240):
        if not any(job.is_stopping for job in jobs.jobs(place)):
            return
        time.sleep(0.5)
        jobs.requeue_lost(place)


def test_from_an_empty_folder_to_the_prediction_of_a_real_dicom_ecg(folder, samples):
    """`samples`: an ECG of a real device in DICOM; the shipped model answers before its demo is complete."""
    dicom = next(iter(sorted((samples / "ecg").rglob("*.dcm"))))
    with running_app(folder, ECHO2ECG_AUTO_DEMO="true") as address, chromium() as tab:
        tab.set_default_timeout(180_000)
        tab.goto(address)
        tab.locator(".st-key-sidebar_foot").get_by_text("Preparing the demo").wait_for()
        tab.set_input_files("input[type=file]", dicom)
        tab.get_by_role("tab", name="Phenotypes").wait_for()
        card = tab.locator(".st-key-lvef_card")
        card.wait_for()
        assert re.search(r"\d+\s*%", card.inner_text())
        assert tab.locator(".phenotypes tbody tr").count() >= 5
        (job,) = jobs.jobs(Workspace(folder))
        assert job.kind == "demo" and job.state in ("queued", "running", "done"), job.message
        assert not tab.problems
