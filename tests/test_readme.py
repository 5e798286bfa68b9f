"""The README tells the truth: its figures are the manifest's, its commands and settings exist and are all there."""

import re
import subprocess
import sys
from pathlib import Path

from echo2ecg_core.cli import app, models_app
from echo2ecg_core.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_figures_are_those_of_the_shipped_model():
    table = subprocess.run(
        [sys.executable, "benchmarks/demo_model.py", "--table"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert table.strip() in README


def test_the_tables_of_the_claim_are_those_that_were_measured():
    for name in ("summary", "wins"):
        assert (ROOT / f"benchmarks/results/claim/{name}.md").read_text().strip() in README


def test_every_command_is_named():
    commands = [c.name or c.callback.__name__ for c in app.registered_commands]
    for command in commands:
        assert re.search(rf"\b{command}\b", README), f"the README does not name the command {command!r}"
    known = {"list", "show", "import", "second-reader", "recalibrate", "embed", "machine-read"}
    assert known == {c.name for c in models_app.registered_commands}


def test_every_setting_is_named_and_explains_itself():
    for name, field in Settings.model_fields.items():
        assert f"ECHO2ECG_{name.upper()}" in README and field.description.endswith(".")


def test_every_picture_is_there():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures and all((ROOT / p).is_file() for p in pictures)


def test_requirements_are_pinned_each_with_its_reason():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"[\w-]+==[\w.]+\s+# \w", line) for line in lines)
    assert "torch==2.13.0" in "\n".join(lines)


def test_changes_have_an_open_heading_at_the_end():
    assert README.index("## Changes") < README.index("### Next") and README.rindex("\n## ") == README.index(
        "\n## Changes"
    )


def test_the_project_names_no_machine_and_no_registry():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    bad = re.compile(r"(?<![\w.])/(work|root|farm)/|pypi\.(simple|org)|files\.pythonhosted")
    for name in files:
        path = ROOT / name
        if (
            path.suffix in {".py", ".md", ".toml", ".txt", ".js", ".css", ".sh", ".json", ""}
            and path.is_file()
            and name != "tests/test_readme.py"
        ):
            assert not bad.search(path.read_text(errors="replace")), name
