"""The house map, enforced: who may import whom, circles between files, where streamlit may stand, what pages load.

Deferred imports inside functions count like those at the top. A file imports from its own room or from floors below;
two rooms on one floor are strangers. Everybody may import the errors.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "echo2ecg_core"
GROUND = {
    "errors", "failures", "counts", "passwords", "roles", "settings", "phenotypes", "findings", "logs", "memory",
    "progress", "version", "dicom_numbers",
}  # fmt: skip
FLOORS: dict[str, float] = dict.fromkeys(GROUND, 0) | {
    "cluster": 0.3,
    "processes": 0.6,
    "ecg": 1,
    "echo": 1,
    "models": 2,
    "store": 2,
    "phantom": 2,
    "figures": 2,
    "evaluation": 3,
    "answers": 4,
    "training": 5,
    "intake": 5,
    "reports": 6,
    "worker": 7,
    "terminal": 8,
    "cli_models": 9,
    "cli_training": 9,
    "cli_cohorts": 9,
    "cli_upkeep": 9,
    "cli": 10,
    "__main__": 11,
}
NOT_FOR_PAGES = ("echo2ecg_core.cli", "echo2ecg_core.terminal", "echo2ecg_core.worker", "lightning", "torchmetrics")
TRAINING_STACK = {"lightning", "torchmetrics"}
MODULES = sorted(CORE.rglob("*.py"))
PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]
MEANINGLESS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"}
NAMED = [p for p in MODULES if p.name != "__init__.py"]


def room_of(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").parts[0]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def read(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported_modules(path: Path, *, only_at_the_top: bool = False) -> list[str]:
    """Every module a file names in an import, with the packages' members that are modules themselves."""
    tree, names = read(path), []
    for node in tree.body if only_at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def in_type_checking(path: Path) -> set[str]:
    """Modules that are imported for a type only: nothing is loaded for them."""
    found = set()
    for node in ast.walk(read(path)):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            for child in node.body:
                if isinstance(child, ast.ImportFrom):
                    found |= {child.module, *(f"{child.module}.{alias.name}" for alias in child.names)}
    return found


def test_every_room_has_a_floor():
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms == set(FLOORS), f"rooms without a floor, or floors without a room: {rooms ^ set(FLOORS)}"


@pytest.mark.parametrize("path", NAMED, ids=lambda p: str(p.relative_to(CORE)))
def test_a_file_imports_from_its_own_room_or_from_floors_below(path):
    room = room_of(path)
    for name in imported_modules(path):
        parts = name.split(".")
        assert parts[0] != "streamlit", f"{path.name} imports streamlit; only app.py and pages/ may"
        assert parts[0] not in ("pages", "app"), f"{path.name} imports {name}: the core does not know the pages"
        if parts[0] != "echo2ecg_core" or len(parts) == 1 or parts[1] in (room, "errors"):
            continue
        where = path.relative_to(ROOT)
        assert parts[1] in FLOORS, f"{where} imports {name} through the package; import it from its room"
        assert FLOORS[parts[1]] < FLOORS[room], f"{where} imports {name}: not on a floor below"


def test_no_two_files_import_each_other_in_a_circle():
    known = {module_of(p) for p in NAMED}
    no_circle({module_of(p): {n for n in imported_modules(p) if n in known} - in_type_checking(p) for p in NAMED})


def test_no_two_folders_of_pages_import_from_each_other_in_a_circle():
    of_pages = ROOT / "pages" / "ui"
    edges: dict[str, set[str]] = {folder.name: set() for folder in of_pages.iterdir() if folder.is_dir()}
    for path in of_pages.glob("*/**/*.py"):
        own = path.relative_to(of_pages).parts[0]
        named = {name.split(".")[2] for name in imported_modules(path) if name.startswith("pages.ui.")}
        edges[own] |= {name for name in named if name in edges and name != own}
    assert "map" in edges["cohorts"]  # else this looks at nothing
    no_circle(edges)


def no_circle(edges: dict[str, set[str]]) -> None:
    """Fail where following these edges leads back to a name."""
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way[way.index(name) :], name))}"
        if name not in done:
            for other in sorted(edges[name]):
                follow(other, (*way, name))
            done.add(name)

    for name in sorted(edges):
        follow(name, ())


def test_pages_import_neither_the_terminal_nor_the_worker_nor_the_training_stack():
    for path in PAGES:
        for name in imported_modules(path):
            assert not name.startswith(NOT_FOR_PAGES), (path.name, name)


def test_no_file_that_a_page_loads_imports_the_training_stack():
    """Follows every import from app.py and pages/, deferred ones too, up to the functions that a worker alone calls."""
    known = {module_of(p): p for p in [*NAMED, *PAGES]}
    waiting, seen = [module_of(p) for p in PAGES], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = known[name]
        at_top = imported_modules(path, only_at_the_top=path not in PAGES)
        assert not TRAINING_STACK & {n.split(".")[0] for n in at_top}, f"{name} loads the training stack"
        waiting += [n for n in at_top if n in known]


def test_packages_re_export_nothing():
    inits = [*ROOT.joinpath("echo2ecg_core").rglob("__init__.py"), *ROOT.joinpath("pages").rglob("__init__.py")]
    for path in inits:
        if path != CORE / "__init__.py":  # the documented Python API
            assert not path.read_text().strip(), f"{path} is not empty"


def test_no_file_has_a_name_that_says_nothing():
    files = [*MODULES, *ROOT.joinpath("pages").rglob("*.py"), *ROOT.joinpath("tests").rglob("*.py")]
    assert not [str(p) for p in files if p.stem in MEANINGLESS]


def test_every_module_of_the_core_opens_with_a_docstring():
    missing = [str(p.relative_to(ROOT)) for p in NAMED if p.name != "__main__.py" and not ast.get_docstring(read(p))]
    assert not missing
