"""What deploy/ promises: every package by its hash, a container without rights, a start that refuses an open door.

There is no Docker engine in CI: the files are read and their parts run by hand (entry point, health check, nginx).
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
LOCKS = sorted(DEPLOY.glob("requirements.*.lock"))
NAME = re.compile(r"[-_.]+")


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE)
    return {NAME.sub("-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda p: p.name)
def test_a_lock_holds_every_pin_of_the_app_by_its_hash_and_names_no_host(lock):
    text = lock.read_text()
    wanted = pins((ROOT / "requirements.txt").read_text().split("# --- tests")[0])
    locked = pins(text)
    assert {n: locked.get(n, "none: run `make lock`").removesuffix("+cpu") for n in wanted} == wanted
    assert "://" not in text and "index-url" not in text and "find-links" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]


def test_the_cpu_lock_brings_no_cuda_and_the_other_one_does():
    cpu, cuda = (pins((DEPLOY / f"requirements.{name}.lock").read_text()) for name in ("cpu", "cuda"))
    assert cpu["torch"].endswith("+cpu") and not any(name.startswith("nvidia") for name in cpu)
    assert "+" not in cuda["torch"] and any(name.startswith("nvidia-cudnn") for name in cuda)


def test_the_image_runs_without_rights_is_looked_after_and_installs_by_hash():
    lines = [line.split(None, 1) for line in DOCKERFILE.splitlines() if re.match(r"[A-Z]+ ", line)]
    final = lines[max(i for i, line in enumerate(lines) if line[0] == "FROM") :]
    words = [line[0] for line in final]
    user = next(value for word, value in final if word == "USER")
    assert user.isdigit() and int(user) > 1000 and words.index("USER") < words.index("ENTRYPOINT")
    assert "HEALTHCHECK" in words and "--require-hashes" in DOCKERFILE and "--no-deps" in DOCKERFILE
    assert all(re.search(r":[\w.-]*\d", value.split()[0]) for word, value in lines if word == "FROM")  # no `latest`
    assert not re.search(r"ADD |sudo|--trusted-host|curl .*\| *sh", DOCKERFILE)


def test_what_the_image_copies_is_there_and_not_ignored():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        part for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for part in line.split()[:-1]
    ]
    assert len(copied) >= 8
    for path in copied:
        assert "$" in path or (ROOT / path).exists(), path
        assert any(path == one or path.startswith(f"{one}/") for one in kept), f"{path} is left out by .dockerignore"


def test_compose_shows_only_the_proxy_to_the_world():
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    app, proxy = told["services"]["app"], told["services"]["proxy"]
    assert "ports" not in app and app["read_only"] and app["cap_drop"] == ["ALL"] and app["networks"] == ["inside"]
    assert told["networks"]["inside"]["internal"] and {p.split(":")[0] for p in proxy["ports"]} == {"80", "443"}
    assert not proxy["image"].endswith("latest") and (DEPLOY / "nginx.conf").is_file()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").iterdir()), ids=lambda p: p.name)
def test_systemd_finds_nothing_wrong_with_the_units(unit):
    found = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    ours = [line for line in found.stderr.splitlines() if unit.name in line and "not executable" not in line]
    assert not ours


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def entry_point(tmp_path, **told) -> subprocess.Popen:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ECHO2ECG")}
    path = f"{Path(sys.executable).parent}:{clean['PATH']}"
    own = {"PATH": path, "ECHO2ECG_WORKSPACE": str(tmp_path / "w"), "ECHO2ECG_AUTO_DEMO": "false", **told}
    return subprocess.Popen(
        ["sh", DEPLOY / "entrypoint.sh"], env=clean | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_the_entry_point_refuses_to_serve_the_network_without_a_login(tmp_path):
    server = entry_point(tmp_path, PORT=str(free_port()))
    said, _ = server.communicate(timeout=120)
    assert server.returncode == 2 and "Not started." in said and "ECHO2ECG_ADMIN_PASSWORD_HASH" in said


@pytest.mark.slow
def test_the_entry_point_serves_with_a_login_and_the_health_check_follows_it(tmp_path):
    port = str(free_port())
    check = [sys.executable, DEPLOY / "health.py"]
    env = os.environ | {"PORT": port}
    assert subprocess.run(check, env=env, capture_output=True).returncode == 1
    server = entry_point(tmp_path, PORT=port, ECHO2ECG_ADMIN_PASSWORD="sesame", ECHO2ECG_LOG_FORMAT="json")
    try:
        for _ in range(240):
            found = subprocess.run(check, env=env, capture_output=True, text=True)
            if found.returncode == 0:
                break
            time.sleep(0.5)
        assert found.returncode == 0 and '"status":"ok"' in found.stdout
    finally:
        server.terminate()
        said, _ = server.communicate(timeout=30)
    assert "sesame" not in said


def test_the_list_of_licences_refuses_what_forbids_use():
    import importlib.util

    spec = importlib.util.spec_from_file_location("licences", DEPLOY / "licences.py")
    licences = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(licences)
    rows = [
        ("good", "1", "MIT"), ("cuda", "1", "Apache-2.0"), ("nvidia-x", "1", "NVIDIA Proprietary Software"),
        ("boost", "1", "BSL-1.0"), ("network", "1", "AGPL-3.0-or-later"), ("paper", "1", "CC-BY-NC-4.0"),
        ("none", "1", ""),
    ]  # fmt: skip
    assert [said.split(":")[0].split()[0] for said in licences.problems(rows)] == ["network", "paper", "none"]
    assert not licences.problems(licences.installed()), "a dependency forbids use or names no licence"
