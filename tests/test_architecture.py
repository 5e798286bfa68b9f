"""The house map, enforced: who may import whom, where streamlit may stand, and that packages re-export nothing.

Deferred imports inside functions count like those at the top.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "echo2ecg_core"
FLOORS = {
    "errors": 0,
    "failures": 0,
    "passwords": 0,
    "settings": 0,
    "phenotypes": 0,
    "findings": 0,
    "ecg": 1,
    "echo": 1,
    "models": 2,
    "store": 2,
    "phantom": 2,
    "figures": 2,
    "evaluation": 3,
    "training": 4,
    "workflows": 5,
    "worker": 6,
    "terminal": 6,
    "cli_models": 7,
    "cli": 8,
    "__main__": 9,
}
MODULES = sorted(CORE.rglob("*.py"))
MEANINGLESS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"}


def room_of(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").parts[0]


def imported_modules(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            names.append(node.module)
            if node.module == "echo2ecg_core":
                names += [f"echo2ecg_core.{alias.name}" for alias in node.names]
    return names


def test_every_room_has_a_floor():
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms <= set(FLOORS), f"rooms without a floor: {rooms - set(FLOORS)}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name != "__init__.py"], ids=lambda p: str(p.relative_to(CORE))
)
def test_a_file_imports_from_its_own_room_or_from_floors_below(path):
    room = room_of(path)
    for name in imported_modules(path):
        parts = name.split(".")
        assert parts[0] != "streamlit", f"{path.name} imports streamlit; only app.py and pages/ may"
        assert parts[0] not in ("pages", "app"), f"{path.name} imports {name}: the core does not know the pages"
        if parts[0] != "echo2ecg_core" or len(parts) == 1 or parts[1] == room:
            continue
        assert FLOORS[parts[1]] < FLOORS[room] or FLOORS[room] == 0, (
            f"{path.relative_to(ROOT)} imports {name}: not on a floor below"
        )


def test_pages_do_not_import_the_terminal_or_the_training_room():
    for path in [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]:
        for name in imported_modules(path):
            assert not name.startswith(("echo2ecg_core.cli", "echo2ecg_core.training", "lightning", "torchmetrics")), (
                path.name,
                name,
            )


def test_packages_re_export_nothing():
    for path in [*ROOT.joinpath("echo2ecg_core").rglob("__init__.py"), *ROOT.joinpath("pages").rglob("__init__.py")]:
        assert not path.read_text().strip(), f"{path} is not empty"


def test_no_file_has_a_name_that_says_nothing():
    files = [*MODULES, *ROOT.joinpath("pages").rglob("*.py"), *ROOT.joinpath("tests").rglob("*.py")]
    assert not [str(p) for p in files if p.stem in MEANINGLESS]


def test_every_module_of_the_core_opens_with_a_docstring():
    missing = [
        str(p.relative_to(ROOT))
        for p in MODULES
        if p.name not in ("__init__.py", "__main__.py") and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert not missing
