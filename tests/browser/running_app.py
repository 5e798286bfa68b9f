"""The app as a person meets it: a server process on a free port, and Chromium from the system.

Every request of the browser is recorded, so that a test can fail on any that leaves this machine.
"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def running_app(workspace: Path, secrets: Path | None = None, **environment: str) -> Iterator[str]:
    """Serve the app on this workspace, where asked with a secrets.toml and more environment variables; gives its
    address."""
    server, address = started_app(workspace, secrets, **environment)
    try:
        _wait_until_healthy(address)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def started_app(workspace: Path, secrets: Path | None = None, **environment: str) -> tuple[subprocess.Popen, str]:
    """The server as a process that has just begun, and the address where it will answer."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(port),
            "--server.fileWatcherType",
            "none",
            *(["--secrets.files", str(secrets)] if secrets else []),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "ECHO2ECG_WORKSPACE": str(workspace),
            "ECHO2ECG_AUTO_DEMO": "false",
            "OMP_NUM_THREADS": "1",
            **environment,
        },
    )
    return server, f"http://localhost:{port}"


@contextmanager
def chromium(width: int = 1440, height: int = 900, flags: tuple[str, ...] = FLAGS, **context):
    """A page of its own, without a memory of others, with `hosts` (asked for anything) and `problems` (script errors)
    recorded on it."""
    pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the path")
    page = _launched(flags).new_page(viewport={"width": width, "height": height}, **context)
    page.set_default_timeout(60_000)
    page.hosts, page.problems = set(), []
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
    page.on("websocket", lambda socket: page.hosts.add(urlsplit(socket.url).hostname))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    try:
        yield page
    finally:
        page.close()


@cache
def _launched(flags: tuple[str, ...]):
    """Chromium with these flags, one a process: to start it takes longer than many a test."""
    browser = _driver().chromium.launch(executable_path=CHROMIUM, args=flags)
    atexit.register(browser.close)
    return browser


@cache
def _driver():
    from playwright.sync_api import sync_playwright

    driver = sync_playwright().start()
    atexit.register(driver.stop)
    return driver


def _wait_until_healthy(address: str) -> None:
    for _ in range(600):
        try:
            if urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the app did not start within two minutes")


def settled(page) -> None:
    """Wait for the script to end: Streamlit fades what it is about to replace."""
    page.wait_for_timeout(300)
    page.wait_for_function("() => document.querySelector('.stApp').dataset.testScriptState === 'notRunning'")
    page.wait_for_timeout(700)
