"""Roles: the table and the file of people, and that no page changes anything without asking the table."""

import ast
import itertools
from pathlib import Path

import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.roles import NEEDED, ROLES, at_least, by_whom, may, read_people

ROOT = Path(__file__).resolve().parents[1]
CHANGING = {  # functions of the core that change what others see, as the pages call them
    "jobs.queue", "jobs.cancel", "jobs.resume", "jobs.dismiss", "dismiss", "runs.resume", "remove", "promote_model",
    "switch", "promote", "reader_marks.mark", "reader_marks.unmark",
    "runs.write_note",
}  # fmt: skip
GUARDS = ("asks", "for_admins")


def test_each_role_may_what_those_before_it_may():
    for lower, higher in itertools.combinations(ROLES, 2):
        assert at_least(higher, lower) and not at_least(lower, higher)
    assert not any(at_least(nobody, ROLES[0]) for nobody in ("", "root", "Admin"))


@pytest.mark.parametrize("action", NEEDED)
def test_a_viewer_may_nothing_of_the_table_and_an_admin_everything(action):
    assert not may("viewer", action) and not may("", action) and may("admin", action)


def test_researchers_evaluate_map_and_export_and_nothing_else():
    assert {a for a in NEEDED if may("researcher", a)} == {
        "evaluate", "draw the map", "export a cohort", "keep a cohort", "keep a view", "mark a hit",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("kern", "no role"), ("kern:admin", "no hash"), ("kern:admin:", "an empty hash"),
        (":admin:$argon2id$x", "no name"),
        ("kern:chief:$argon2id$x", "no such role"), ("ok:viewer:$argon2id$y", "a name twice"),
    ],
)  # fmt: skip
def test_a_file_of_people_with_a_wrong_line_opens_nothing_and_names_the_line_not_its_text(tmp_path, line, why):
    file = tmp_path / "people"
    file.write_text(f"ok:viewer:$argon2id$x\n{line}\n")
    with pytest.raises(StoreError, match="Line 2 of the file of people") as told:
        read_people(file)
    assert "argon2id" not in str(told.value), why
    with pytest.raises(StoreError, match="cannot be read"):
        read_people(tmp_path / "missing")


def _called(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)


def _unguarded(tree: ast.Module) -> list[str]:
    """Calls of changing functions, and mentions of them as callbacks, outside functions that a guard decorates."""
    found = []

    def visit(node: ast.AST, guarded: bool) -> None:
        if isinstance(node, ast.FunctionDef):
            guarded = guarded or any(_called(d).split(".")[-1].startswith(GUARDS) for d in node.decorator_list)
        if isinstance(node, ast.Call) and any(word in _called(node.func) for word in GUARDS):
            guarded = True  # asks("promote")(promote_model)(workspace, id)
        if not guarded and isinstance(node, ast.Call):
            handed = [ast.unparse(k.value) for k in node.keywords if k.arg in ("on_click", "on_change")]
            found.extend(name for name in (ast.unparse(node.func), *handed) if name in CHANGING)
        for child in ast.iter_child_nodes(node):
            visit(child, guarded)

    visit(tree, False)
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "pages").rglob("*.py")), ids=lambda p: p.stem)
def test_no_page_changes_what_others_see_without_asking_for_the_role(path):
    assert not _unguarded(ast.parse(path.read_text()))


def test_the_search_for_unguarded_changes_finds_them():
    bad = "def f():\n    jobs.queue(w, 'map')\n\nst.button('x', on_click=jobs.cancel)\n"
    good = "@admin_gate.asks('evaluate')\ndef f():\n    jobs.queue(w, 'map')\n\nasks('promote')(promote_model)(w, 1)\n"
    assert _unguarded(ast.parse(bad)) == ["jobs.queue", "jobs.cancel"] and not _unguarded(ast.parse(good))


def test_every_action_that_a_page_asks_for_is_in_the_table():
    asked = set()
    for path in (ROOT / "pages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _called(node).split(".")[-1] in ("asks", "allows", "offer"):
                asked |= {a.value for a in node.args[:1] if isinstance(a, ast.Constant)}
    assert asked and asked <= NEEDED.keys()


def test_who_did_something_is_a_part_of_a_sentence():
    from pages.ui.admin_gate import NOBODY

    assert [f"kept {by_whom(who)} on 1 May" for who in ("ada", NOBODY[0])] == [
        "kept by ada on 1 May",
        "kept on the server on 1 May",
    ]
