"""The admin pages in Chromium: the gate as the network sees it, the frame round a deep link, curves that renew
themselves."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from echo2ecg_core.store.database import Workspace
from tests.browser.accessibility import serious_findings
from tests.browser.running_app import chromium, running_app, settled
from tests.training_runs import epoch_line, made_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Workspace(tmp_path_factory.mktemp("admin") / "workspace")
    made_run(place, done=3, at=datetime.now(UTC) - timedelta(minutes=3))
    return place


@pytest.fixture(scope="module")
def address(place):
    with running_app(place.folder) as address:
        yield address


def test_the_first_visitor_gets_a_deep_link_within_the_frame_and_curves_follow_the_run(address, place):
    with chromium() as page:
        page.goto(f"{address}/training")
        page.get_by_role("heading", name="Training", level=1).wait_for()
        page.get_by_role("link", name="Similar studies").wait_for()  # the navigation of the frame, not Streamlit's own
        chart = page.get_by_role("img", name="Recall at 10 in validation: best 0.26")
        chart.wait_for()
        assert page.locator("figure svg[role=img]").count() == 4
        metrics = place.folder / "runs" / "run-0001" / "metrics.jsonl"
        with open(metrics, "a") as file:
            file.write(
                json.dumps(json.loads(epoch_line(4, 10)) | {"time": datetime.now(UTC).isoformat(), "recall@10": 0.41})
                + "\n"
            )
        page.get_by_role("img", name="Recall at 10 in validation: best 0.41").wait_for(timeout=15_000)
        page.get_by_role("button", name="Log").click()
        page.get_by_text("08:03 epoch 3 of 10").wait_for()
        assert not page.problems and {host for host in page.hosts if host} == {"localhost"}


@pytest.mark.parametrize("headers", [{"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}])
def test_behind_a_proxy_the_admin_pages_stay_closed(address, headers):
    with chromium() as page:
        page.set_extra_http_headers(headers)
        page.goto(f"{address}/models")
        page.get_by_text("Admin pages are closed to other computers.").wait_for()
        assert not page.get_by_text("Registered models").count() and not page.get_by_text("Import weights").count()


def test_a_run_under_way_breaks_no_serious_rule_of_accessibility_in_light_or_dark(address):
    with chromium() as page:
        page.goto(f"{address}/training")
        page.get_by_role("progressbar", name="Progress").first.wait_for()
        settled(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(300)
            assert serious_findings(page) == [], scheme
