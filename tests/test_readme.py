"""README and docs tell the truth: figures are the manifest's, commands, settings and pages exist and are all there."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import demo_on_real
from echo2ecg_core.cli import app, models_app
from echo2ecg_core.settings import Settings
from echo2ecg_core.version import program_version

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCS = {str(path.relative_to(ROOT / "docs")): path.read_text() for path in (ROOT / "docs").rglob("*.md")}
PROSE = {"README.md": README, "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()} | {
    f"docs/{name}": text for name, text in DOCS.items()
}


def test_the_figures_are_those_of_the_shipped_model():
    table = subprocess.run(
        [sys.executable, "benchmarks/demo_model.py", "--table"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert table.strip() in DOCS["evidence.md"]
    on_real = demo_on_real.table(json.loads(demo_on_real.RESULTS.read_text()))
    assert on_real.strip() in DOCS["evidence.md"]
    rows = {line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:]] for line in table.splitlines()}
    auroc, error = rows["AUROC, LVEF ≤ 40"][0], rows["MAE, LVEF (%)"]
    readme = README.replace("\n", " ")
    assert f"an AUROC of {auroc} and" in readme
    assert f"an error of {error[0]} points (median predictor: {error[2]})" in readme


def test_what_a_start_with_generated_ecgs_gave_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/results/unlabelled_start.json").read_text())
    text = DOCS["evidence.md"].replace("\n", " ")

    def told(value: float, low: float, high: float, digits: int) -> str:
        return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})".replace("-", "−")

    by_probe, by_knn = (told(*found["gained_mean"][readout], 3) for readout in ("probe", "knn"))
    assert f"rises by {by_probe.replace(' (', ' by probe (')} and {by_knn.replace(' (', ' by knn (')}" in text
    old, new = found["lvef_error"].values()
    more, low, high = found["lvef_error_more"]
    assert f"from {old:.2f} to {new:.2f} points ({more:.2f} more, {low:.2f} to {high:.2f};" in text
    assert found["worth_shipping"] is False and "**Not shipped, by the rule.**" in text


def test_the_tables_of_the_claim_are_those_that_were_measured():
    for name in ("summary", "wins"):
        assert (ROOT / f"benchmarks/results/claim/{name}.md").read_text().strip() in DOCS["evidence.md"]
    of_phantom_2 = ROOT / "benchmarks/results/claim-2"
    for name in ("summary", "primary", "curves", "views"):
        assert (of_phantom_2 / f"tables/{name}.md").read_text().strip() in DOCS["evidence.md"]
    result = json.loads((of_phantom_2 / "result.json").read_text())
    for text in (DOCS["evidence.md"], README[README.index("## How good is it") :]):
        assert f"**{result['verdict']}**" in text[: 2 * len(text.partition(".")[0])].lower()
    better = {  # the prediction of the protocol, and what evidence says of it
        (arm, row["patients"], row["quality"]): row["attention_better_by"]["lvef error"][arm][0]
        for row in result["curves"]
        for arm in ("a4c", "random_clip")
    }
    fewer = [better[arm, 250, "any"] > better[arm, 2000, "any"] for arm in ("a4c", "random_clip")]
    poorer = [better[arm, 660, "poorest"] > better[arm, 660, "best"] for arm in ("a4c", "random_clip")]
    assert not any(fewer) and all(poorer) and "**The prediction that was written down failed.**" in DOCS["evidence.md"]
    by, low, high = next(
        row["better_by"] for row in result["primary"] if (row["arm"], row["endpoint"]) == ("random_clip", "lvef error")
    )
    assert f"by {by:.2f} points, {low:.2f} to {high:.2f})" in README.replace("\n", " ")
    assert f"(by {by:.2f} points, {low:.2f} to {high:.2f})" in DOCS["evidence.md"]


def test_the_readme_fits_a_screen_or_two_and_leads_to_every_page_of_the_docs():
    assert len(README.splitlines()) < 150
    assert all(f"(docs/{name})" in README for name in DOCS)


def test_every_page_of_the_app_and_no_other_has_a_page_in_the_docs():
    pages = {Path(name).stem for name in re.findall(r'st\.Page\("pages/(\w+\.py)"', (ROOT / "app.py").read_text())}
    titles = {"archive": "import"}  # the file of the Import page
    assert {titles.get(page, page) for page in pages} == {path.stem for path in (ROOT / "docs/pages").glob("*.md")}


def test_every_command_is_named():
    terminal = DOCS["terminal.md"]
    for command in [c.name or c.callback.__name__ for c in app.registered_commands]:
        assert f"echo2ecg {command}" in terminal, f"docs/terminal.md does not show the command {command!r}"
    for command in (c.name for c in models_app.registered_commands):
        assert f"models {command}" in terminal


def test_every_setting_is_named_and_explains_itself():
    for name, field in Settings.model_fields.items():
        assert f"ECHO2ECG_{name.upper()}" in DOCS["index.md"] and field.description.endswith(".")


@pytest.mark.parametrize("name", PROSE)
def test_every_picture_and_link_leads_to_a_file(name):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PROSE[name])
    assert [t for t in targets if "://" not in t and not (ROOT / name).parent.joinpath(t).exists()] == []


def test_the_navigation_of_the_docs_holds_every_page():
    def files(node):
        children = node.values() if isinstance(node, dict) else node
        return {node} if isinstance(node, str) else {f for child in children for f in files(child)}

    assert files(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]) == set(DOCS)


def test_requirements_are_pinned_each_with_its_reason():
    for name in ("requirements.txt", "requirements-docs.txt"):
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
        assert all(re.match(r"[\w-]+==[\w.]+\s+# \w", line) for line in lines), name
    assert "torch==2.13.0" in (ROOT / "requirements.txt").read_text()


def test_changes_open_with_next_and_hold_this_version():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Next" and headings[1].startswith(f"{program_version()} — 20")


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == program_version() and citation["license"] == "MIT"
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


@pytest.mark.parametrize(
    ("page", "is_foreign"),
    [
        ('<script src="https://cdn.example/x.js"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example/css">', True),
        ("<img alt='x' src=http://example/x.png>", True),
        ("<style>@import 'https://example/x.css';</style>", True),
        ("<style>a {background: url(https://example/x.png)}</style>", True),
        ('<a href="https://arxiv.org/abs/2603.08505">paper</a> <script src="assets/x.js"></script>', False),
        ('<link rel="stylesheet" href="assets/main.css"><link rel="canonical" href="https://example/">', False),
    ],
)
def test_a_site_that_asks_another_host_is_found(tmp_path, page, is_foreign):
    spec = importlib.util.spec_from_file_location("asks_nobody", ROOT / ".ci" / "asks_nobody.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "index.html").write_text(page)
    assert bool(module.foreign(tmp_path)) == is_foreign


def test_the_project_names_no_machine_and_no_registry():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    bad = re.compile(r"(?<![\w.])/(work|root|farm)/|pypi\.(simple|org)|files\.pythonhosted")
    for name in files:
        path = ROOT / name
        if (
            path.suffix in {".py", ".md", ".toml", ".txt", ".js", ".css", ".sh", ".json", ".ipynb", ".cff", ".yml", ""}
            and path.is_file()
            and name != "tests/test_readme.py"
        ):
            assert not bad.search(path.read_text(errors="replace")), name
