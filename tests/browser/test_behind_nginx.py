"""deploy/nginx.conf in front of the app: TLS, the websocket, an upload, ranges of a clip, and closed admin pages."""

import http.client
import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydicom.data import get_testdata_file

from tests.browser.running_app import FLAGS, chromium, running_app

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(NGINX is None or shutil.which("openssl") is None, reason="needs nginx and openssl (Debian's)"),
]
CONF = (Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf").read_text()
NAME = "echo.hospital.test"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def proxy(demo_workspace, tmp_path_factory):
    """Ports (plain, TLS) of nginx in front of the app, with the shipped configuration but for ports and places."""
    folder = tmp_path_factory.mktemp("nginx")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
        + ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    plain, tls = free_port(), free_port()
    with running_app(demo_workspace.folder) as address:
        conf = CONF.replace("listen 80;", f"listen 127.0.0.1:{plain};")
        conf = conf.replace("listen 443 ssl", f"listen 127.0.0.1:{tls} ssl")
        conf = conf.replace("http://app:8501", f"http://localhost:{urlsplit(address).port}")
        conf = conf.replace("/etc/nginx/tls/", f"{folder}/").replace("/dev/stdout", f"{folder}/access.log")
        places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in places)
        conf = f"pid {folder}/pid; error_log {folder}/error.log; daemon off;\n" + conf.replace(
            "http {", "http {" + temporary
        )
        (folder / "nginx.conf").write_text(conf)
        told = subprocess.run([NGINX, "-t", "-c", folder / "nginx.conf"], capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        server = subprocess.Popen([NGINX, "-c", folder / "nginx.conf"])
        try:
            for _ in range(100):
                with socket.socket() as tried:
                    if tried.connect_ex(("127.0.0.1", tls)) == 0:
                        break
                time.sleep(0.1)
            yield plain, tls, folder
        finally:
            server.terminate()
            server.wait(10)


def ask(tls: int, path: str, **headers: str) -> http.client.HTTPResponse:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", tls, context=trusting, timeout=60)
    connection.request("GET", path, headers={"Host": NAME, **headers})
    return connection.getresponse()


@pytest.fixture(scope="module")
def page(proxy):
    named = (f"--host-resolver-rules=MAP {NAME} 127.0.0.1", "--ignore-certificate-errors")
    with chromium(flags=FLAGS + named, ignore_https_errors=True) as page:
        page.set_default_timeout(90_000)
        page.goto(f"https://{NAME}:{proxy[1]}/")
        yield page


def test_plain_http_is_sent_to_tls_and_answers_carry_the_headers(proxy):
    plain, tls, _ = proxy
    connection = http.client.HTTPConnection("127.0.0.1", plain, timeout=30)
    connection.request("GET", "/map", headers={"Host": NAME})
    sent = connection.getresponse()
    assert sent.status == 301 and sent.headers["Location"] == f"https://{NAME}/map"
    answer = ask(tls, "/")
    assert answer.status == 200 and "max-age" in answer.headers["Strict-Transport-Security"]
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"] and answer.headers["X-Request-ID"]
    assert ask(tls, "/metrics").status == 404 and ask(tls, "/healthz").status in (200, 503)


def test_a_page_draws_over_the_websocket_and_an_upload_is_answered(page):
    page.get_by_role("heading", name="ECG", level=1).wait_for()
    page.locator("input[type=file]").first.set_input_files(get_testdata_file("waveform_ecg.dcm"))
    page.get_by_text("LV ejection fraction").first.wait_for()
    assert re.search(r"\d+\s*%", page.locator(".st-key-lvef_card").inner_text())


def test_admin_pages_stay_closed_behind_the_proxy_though_it_runs_on_this_machine(page, proxy):
    page.goto(f"https://{NAME}:{proxy[1]}/admin")
    page.get_by_text("Admin pages are closed to other computers.").wait_for()
    assert not page.get_by_text("Audit log").count()


def test_a_clip_comes_in_ranges_and_only_to_its_session_and_no_log_holds_its_name(page, proxy, demo_workspace):
    from echo2ecg_core.store.catalog import Catalog

    study = Catalog(demo_workspace).studies().study_id[0]
    with page.expect_request(re.compile(r"/clips/")) as asked:
        page.goto(f"https://{NAME}:{proxy[1]}/studies?study={study}")
    address = urlsplit(asked.value.url)
    part = ask(proxy[1], f"{address.path}?{address.query}", Range="bytes=10-109")
    assert part.status == 206 and len(part.read()) == 100
    whole = Catalog(demo_workspace).clip_content(Path(address.path).stem)
    assert ask(proxy[1], f"{address.path}?{address.query}").read() == whole
    assert ask(proxy[1], f"{address.path}?key=guess").status == 403
    log = (proxy[2] / "access.log").read_text()
    assert "/clips " in log and Path(address.path).stem not in log and "key=" not in log
