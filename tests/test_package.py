"""The package as others use it: the wheel holds what runs, the Python API is light and says what the terminal says."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

import echo2ecg_core as e2e
from echo2ecg_core.errors import StoreError
from echo2ecg_core.models.checkpoint import RESERVED, load_checkpoint, save_checkpoint
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE

ROOT = Path(__file__).resolve().parents[1]
DICOM_ECG = get_testdata_file("waveform_ecg.dcm")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, built and unpacked into a folder of its own: its files, as pip puts them."""
    place = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place / "wheel")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True)
    (wheel,) = (place / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def run_installed(site, code, **environment):
    """Standard output of Python code that sees the installed package and no checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ECHO2ECG_")}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=site.parent, capture_output=True, text=True,
        env={**clean, "PYTHONPATH": str(site), **environment},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_every_file_of_the_app_is_in_the_wheel_and_nothing_lies_loose_beside_it(installed):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [n for n in tracked.stdout.split() if n.startswith(("pages/", "assets/")) or n == "app.py"]
    assert len(names) > 50 and [n for n in names if not (installed / "echo2ecg_explorer" / n).is_file()] == []
    assert (installed / "echo2ecg_explorer" / ".streamlit" / "config.toml").is_file()
    loose = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert loose == {"echo2ecg_core", "echo2ecg_explorer"}


def test_the_wheel_asks_for_the_pins_of_requirements_and_offers_the_command(installed):
    (info,) = installed.glob("*.dist-info")
    metadata = (info / "METADATA").read_text().lower()
    program, _, tests = (ROOT / "requirements.txt").read_text().lower().partition("# --- tests")
    pins = {line.split("#")[0].strip() for line in program.splitlines() if "==" in line}
    asked = {line.removeprefix("requires-dist: ") for line in metadata.splitlines() if line.startswith("requires-dist")}
    assert {pin for pin in asked if "extra" not in pin} == pins and len(pins) > 20
    assert "pytest==" in tests and any(pin.startswith("pytest==") and "extra == 'tests'" in pin for pin in asked)
    assert any(pin.startswith("distributed==") and "extra == 'cluster'" in pin for pin in asked)
    assert "echo2ecg = echo2ecg_core.cli:main" in (info / "entry_points.txt").read_text()


@pytest.mark.slow
def test_installed_it_finds_the_app_and_keeps_what_people_own_in_their_home(installed, tmp_path):
    code = (
        "from echo2ecg_core.settings import PROJECT, settings\nimport json\n"
        "from echo2ecg_core.version import program_version\n"
        "print(json.dumps([str(PROJECT), str(settings().workspace), program_version()]))"
    )
    project, workspace, version = json.loads(run_installed(installed, code, HOME=str(tmp_path)))
    assert project == str(installed / "echo2ecg_explorer")
    assert workspace == str(tmp_path / "echo2ecg" / "workspace")
    assert version == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    named = run_installed(installed, code, HOME=str(tmp_path), ECHO2ECG_WORKSPACE="/elsewhere")
    assert json.loads(named)[1] == "/elsewhere"


@pytest.mark.slow
def test_installed_it_predicts_with_the_shipped_model(installed, tmp_path):
    code = (
        f"import sys; sys.argv = ['echo2ecg', 'predict', {DICOM_ECG!r}, '--json', '--workspace', {str(tmp_path)!r}]\n"
    )
    report = json.loads(run_installed(installed, code + "from echo2ecg_core.cli import main; main()"))
    assert report["model"]["synthetic"] and "lvef" in {row["name"] for row in report["phenotypes"]}


@pytest.mark.slow
def test_the_app_command_serves_the_app_that_was_installed(installed, tmp_path):
    code = (
        "import os, sys, json\nos.execv = lambda program, command: print(json.dumps([command, "
        "os.environ['ECHO2ECG_WORKSPACE']]))\n"
        "sys.argv = ['echo2ecg', 'app', '--port', '8777', '--workspace', 'mine']\n"
        "from echo2ecg_core.cli import main; main()"
    )
    command, workspace = json.loads(run_installed(installed, code))
    assert command[1:5] == ["-m", "streamlit", "run", str(installed / "echo2ecg_explorer" / "app.py")]
    assert command[-1] == "8777" and workspace == str(installed.parent / "mine")


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, echo2ecg_core; print(sorted({'torch', 'numpy', 'pandas', 'scipy', 'streamlit', 'sklearn', 'umap', "
        "'faiss', 'pydantic'} & set(sys.modules)))"
    )
    assert run_installed(ROOT, code) == "[]\n"


def test_every_call_of_the_api_is_documented_and_listed():
    for name in e2e.__all__:
        assert getattr(e2e, name).__doc__, name
    public = {n for n, v in vars(e2e).items() if callable(v) and v.__module__ == "echo2ecg_core" and n[0] != "_"}
    assert public == set(e2e.__all__) - {"Echo2ECGError"}


@pytest.mark.slow
def test_the_api_says_of_an_ecg_what_the_terminal_says(tmp_path, monkeypatch, capsys):
    from echo2ecg_core.cli import main

    place = e2e.open_workspace(tmp_path)
    record = e2e.read_ecg(DICOM_ECG)
    prediction = e2e.predict(record, place)
    assert prediction.embedding.shape == (prediction.embedding.size,) and prediction.aligned.shape == (512,)
    monkeypatch.setattr(sys, "argv", ["echo2ecg", "predict", DICOM_ECG, "--json", "--workspace", str(tmp_path)])
    capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        main()
    told = json.loads(capsys.readouterr().out)
    assert (told.pop("second_readers"), told.pop("combined")) == ([], [])  # of other models beside ours
    assert told == json.loads(json.dumps(prediction.report))
    both = e2e.predict_many([record, record], place)
    assert [p.report["phenotypes"] for p in both] == [prediction.report["phenotypes"]] * 2


@pytest.mark.slow
def test_a_promotion_changes_who_answers_in_a_running_notebook(tmp_path):
    """The networks are kept by the id of the model, never as "the active one"."""
    place = e2e.open_workspace(tmp_path)
    record = e2e.read_ecg(DICOM_ECG)
    before = e2e.predict(record, place)
    other = another_model(place, tmp_path / "other")
    after = e2e.predict(record, place)
    assert after.model_id == other != before.model_id
    assert abs(after.embedding - before.embedding).max() > 1e-3


def another_model(place, folder):
    """The shipped model with a larger last norm: other weights, so another id; promoted."""
    import torch

    registry = ModelRegistry(place)
    checkpoint = load_checkpoint(registry.active().folder)
    with torch.no_grad():
        checkpoint.echo2ecg.token_pooling.norm.weight.mul_(1.5)
    networks = {"echo2ecg": checkpoint.echo2ecg, "clip_encoder": checkpoint.clip_encoder}
    facts = {key: value for key, value in checkpoint.manifest.items() if key not in RESERVED}
    save_checkpoint(folder, networks, checkpoint.spec, facts)
    shutil.copy(registry.active().folder / READOUTS_FILE, folder)
    return registry.promote(registry.register(folder).model_id).model_id


def test_search_without_studies_says_what_to_do(tmp_path):
    with pytest.raises(StoreError):
        e2e.search(e2e.read_ecg(DICOM_ECG), e2e.open_workspace(tmp_path))
