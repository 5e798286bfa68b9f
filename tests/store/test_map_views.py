"""Kept views of the map: they come back as they were, have names of their own, and name nobody who was removed."""

import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.store import audit, map_views
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.map_views import MapView
from tests.small_workspace import MODEL_ID, small_workspace

VIEW = MapView("together", "lvef", "", True, "", (), MODEL_ID)
ZOOMED = MapView("solid", "kept:weak", "weak", False, "P-0001", (1.25, -1, 0.5, 0, 0, 0, 0, 0, 1), MODEL_ID)


@pytest.fixture
def workspace(tmp_path):
    return small_workspace(tmp_path / "w", n_patients=3)


def test_a_view_comes_back_as_it_was_for_every_server_of_the_workspace(workspace):
    before = workspace.version()
    assert map_views.keep(workspace, "  weak\n hearts ", ZOOMED, who="kern") == "weak hearts"
    map_views.keep(workspace, "All", VIEW, who="kern")
    other = Workspace(workspace.folder)
    assert map_views.kept(other) == {"All": VIEW, "weak hearts": ZOOMED}
    map_views.forget(other, "All")
    assert list(map_views.kept(workspace)) == ["weak hearts"] and workspace.version() == before
    lines = [(line.action, line.facts) for line in audit.entries(workspace)]
    assert ("keep a view", {"name": "weak hearts"}) in lines and ("forget a view", {"name": "All"}) in lines


@pytest.mark.parametrize(("name", "why"), [("", "this has 0"), (" \n", "this has 0"), ("x" * 61, "this has 61")])
def test_a_name_has_one_to_sixty_letters(workspace, name, why):
    with pytest.raises(StoreError, match=why):
        map_views.keep(workspace, name, VIEW, who="kern")
    assert not map_views.kept(workspace)


def test_a_name_is_taken_once_and_what_is_not_kept_cannot_be_forgotten(workspace):
    map_views.keep(workspace, "mine", VIEW, who="kern")
    with pytest.raises(StoreError, match="There is a view called 'mine' already"):
        map_views.keep(workspace, "mine ", ZOOMED, who="kern")
    assert map_views.kept(workspace) == {"mine": VIEW}
    with pytest.raises(StoreError, match="No view is kept as 'yours'"):
        map_views.forget(workspace, "yours")


@pytest.mark.parametrize(("sought", "stays"), [("E-0001", ""), ("s-00", ""), ("P-0001", ""), ("E-0002", "E-0002")])
def test_a_view_no_longer_looks_for_a_patient_who_was_removed(workspace, sought, stays):
    from dataclasses import replace

    map_views.keep(workspace, "one", replace(VIEW, sought=sought), who="kern")
    remove(workspace, patient="P-0001")
    assert map_views.kept(workspace) == {"one": replace(VIEW, sought=stays)}


def test_a_folder_without_a_catalog_has_no_views(tmp_path):
    assert map_views.kept(Workspace(tmp_path / "none")) == {} and not (tmp_path / "none").exists()
