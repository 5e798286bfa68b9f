"""What the server tells to those who run it: health in one word each, metrics for the token only, headers on all."""

import json
import logging
import time
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from echo2ecg_core.errors import StoreError
from echo2ecg_core.settings import Settings
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from pages.ui import resources
from pages.ui.server import routes
from pages.ui.server.every_request import HEADERS, EveryRequest, content_security_policy
from tests.pages.test_clips_route import Browser
from tests.small_workspace import small_workspace


async def fails(request):
    raise ZeroDivisionError("Patient Müller")


async def plain(request):
    return PlainTextResponse("yes", headers={"X-Frame-Options": "DENY"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("routes") / "w", n_patients=3)


@pytest.fixture
def place(made, monkeypatch):
    monkeypatch.setattr(resources, "workspace", lambda: made)
    monkeypatch.setattr(resources, "is_warm", lambda: True)
    with made.write(counts=False) as db:
        db.execute("DELETE FROM jobs")
    return made


@pytest.fixture
def browser():
    known = [*routes.SERVER_ROUTES, Route("/fails", fails), Route("/clips/{name}", plain)]
    known += [Route("/base/_stcore/metrics", plain)]
    return Browser(Starlette(routes=known, middleware=[Middleware(EveryRequest), Middleware(routes.GuardedMetrics)]))


def health(browser):
    answer = browser.get("/healthz")
    return answer.status_code, json.loads(answer.text)


def test_a_server_that_can_answer_is_healthy(browser, place):
    assert health(browser) == (200, {"status": "ok", "workspace": "readable", "worker": "idle", "model": "loaded"})


def test_an_empty_workspace_is_no_fault(browser, place, monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "workspace", lambda: Workspace(tmp_path / "nothing"))
    assert health(browser) == (200, {"status": "ok", "workspace": "empty", "worker": "idle", "model": "none"})
    assert not (tmp_path / "nothing").exists()


def test_while_the_model_is_loaded_the_server_is_starting(browser, place, monkeypatch):
    monkeypatch.setattr(resources, "is_warm", lambda: False)
    status, told = health(browser)
    assert status == 503 and (told["status"], told["model"]) == ("starting", "loading")


def test_a_catalog_that_cannot_be_read_is_told_without_its_reason(browser, place, monkeypatch):
    def refuse(*args, **more):
        raise StoreError("The catalog at /secret is damaged.")

    monkeypatch.setattr(routes.jobs, "jobs", refuse)
    status, told = health(browser)
    assert status == 503 and told["workspace"] == "not readable" and "secret" not in json.dumps(told)


@pytest.mark.parametrize(
    ("age_s", "claimed", "word"),
    [(1, False, "starting"), (90, False, "silent"), (1, True, "working"), (90, True, "silent")],
)
def test_a_worker_that_does_not_come_or_went_silent_is_told(browser, place, age_s, claimed, word):
    jobs.queue(place, "map")
    if claimed:
        jobs.claim(place, jobs.this_worker())
    with place.write(counts=False) as db:
        db.execute("UPDATE jobs SET created_at = ?, heartbeat_at = heartbeat_at - ?", (time.time() - age_s, age_s))
    status, told = health(browser)
    assert told["worker"] == word and status == (503 if word == "silent" else 200)


@pytest.mark.parametrize(
    ("sent", "opens"), [(None, False), ("Bearer t0ken", True), ("Bearer t0ke", False), ("Bearer ", False)]
)
def test_metrics_are_for_the_token_only(browser, place, monkeypatch, sent, opens):
    monkeypatch.setattr(routes, "settings", lambda: Settings(_env_file=None, metrics_token=SecretStr("t0ken")))
    answer = browser.get("/metrics", headers={"Authorization": sent} if sent else {})
    assert answer.status_code == (200 if opens else 403) and ("echo2ecg_jobs" in answer.text) == opens
    streamlits = browser.get("/base/_stcore/metrics", headers={"Authorization": sent} if sent else {})
    assert (streamlits.status_code, streamlits.text == "yes") == ((200, True) if opens else (403, False))
    monkeypatch.setattr(routes, "settings", lambda: Settings(_env_file=None))
    assert browser.get("/metrics", headers={"Authorization": sent} if sent else {}).status_code == 403


def test_metrics_tell_requests_jobs_inference_and_disk_as_prometheus_reads_them(browser, place, monkeypatch):
    from prometheus_client.parser import text_string_to_metric_families

    monkeypatch.setattr(routes, "settings", lambda: Settings(_env_file=None, metrics_token=SecretStr("t")))

    def read():
        text = browser.get("/metrics", headers={"Authorization": "Bearer t"}).text
        return {
            (s.name, *sorted(s.labels.values())): s.value
            for f in text_string_to_metric_families(text)
            for s in f.samples
        }

    before = read()
    jobs.queue(place, "map")
    for _ in range(3):
        browser.get("/healthz")
    after = read()
    asked = ("echo2ecg_requests_total", "200", "healthz")
    assert after[asked] - before.get(asked, 0) == 3
    assert after["echo2ecg_jobs", "map", "queued"] == 1 and after["echo2ecg_workspace_readable",] == 1
    assert after["echo2ecg_disk_free_bytes",] > 0 and after["process_resident_memory_bytes",] > 1e6
    assert ("echo2ecg_inference_seconds_count",) in after
    assert not any(str(place.folder) in str(name) or "P-0001" in str(name) for name in after)


def test_every_answer_has_an_id_and_the_security_headers_and_keeps_its_own(browser, place):
    for answer in (browser.get("/healthz"), browser.get("/nowhere"), browser.get("/clips/C1.mp4?key=secret")):
        given = {name.lower(): value for name, value in answer.headers.items()}
        assert len(given["x-request-id"]) == 16 and given["content-security-policy"] == content_security_policy()
        assert all(given[name.lower()] == value for name, value in HEADERS.items() if name != "X-Frame-Options")
    assert given["x-frame-options"] == "DENY"
    assert (
        browser.get("/healthz", headers={"X-Request-ID": "proxy-12345678"}).headers["x-request-id"] == "proxy-12345678"
    )
    assert "\n" not in browser.get("/healthz", headers={"X-Request-ID": "a\nSet-Cookie: b"}).headers["x-request-id"]


def test_the_policy_allows_no_other_host_and_no_inline_script_but_streamlits_own():
    policy = dict(part.split(" ", 1) for part in content_security_policy().split("; "))
    assert policy["object-src"] == "'none'" and policy["frame-ancestors"] == "'self'"
    scripts = policy["script-src"].split()
    assert "'unsafe-inline'" not in scripts and sum("sha256" in s for s in scripts) == 1
    assert not any(urlsplit(word).netloc or word == "*" for words in policy.values() for word in words.split())


def test_the_log_names_the_route_and_never_the_rest_of_the_address(browser, place, caplog):
    caplog.set_level(logging.INFO, logger="echo2ecg.requests")
    browser.get("/clips/C000123.mp4?key=secret")
    with pytest.raises(ZeroDivisionError):
        browser.get("/fails")
    told = [record.facts for record in caplog.records if record.name == "echo2ecg.requests"]
    assert [(t["route"], t["status"]) for t in told] == [("clips", 200), ("page", 500)]
    assert "secret" not in str(told) and "C000123" not in str(told) and told[0]["method"] == "GET"
