"""A served app and a Chromium that looks at it; both end with the tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_LIMIT_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("needs Chromium (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def served(demo_workspace, tmp_path_factory):
    """Address of the app, served on a free port over the small demo workspace."""
    port, log = free_port(), tmp_path_factory.mktemp("served") / "app.log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    environment = {**os.environ, "ECHO2ECG_WORKSPACE": str(demo_workspace.folder), "ECHO2ECG_AUTO_DEMO": "0"}
    with log.open("wb") as out:
        app = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        _wait_until_healthy(f"http://localhost:{port}/_stcore/health", app, log)
        yield f"http://localhost:{port}"
    finally:
        app.terminate()
        app.wait(timeout=20)


def _wait_until_healthy(address: str, app: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert app.poll() is None, f"the app ended: {log.read_text()}"
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the app did not answer within {START_LIMIT_S} s: {log.read_text()}")


@pytest.fixture
def tab(browser):
    """A fresh tab of 1440 x 900 that notes errors on its console and requests to anywhere but localhost."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.left, page.complaints = [], []
    page.on("request", lambda r: page.left.append(r.url) if not _is_local(r.url) else None)
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    page.context.close()


def _is_local(url: str) -> bool:
    return url.startswith(("http://localhost:", "ws://localhost:", "data:", "blob:"))
