"""What the pages keep: under a model's id its own networks, of the catalog what its present version says."""

import gc
import os
from types import SimpleNamespace

import pytest

from echo2ecg_core.answers import loaded_model as answers
from echo2ecg_core.intake.demo import open_workspace
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from pages.ui import resources
from tests.small_workspace import record_of
from tests.untrained_model import untrained_model


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Workspace(tmp_path / "w")
    monkeypatch.setattr(resources, "workspace", lambda: place)
    return place


@pytest.mark.slow
def test_a_promotion_between_asking_and_loading_leaves_each_model_its_own_networks(place, tmp_path, monkeypatch):
    registry, asked = ModelRegistry(place), open_workspace(place)
    other = registry.register(untrained_model(tmp_path / "other"))
    monkeypatch.setattr(answers, "load_readouts", lambda folder: None)  # the untrained one has none
    registry.promote(other.model_id)  # while the page of the first one still waits for its networks
    for card in (asked, other, asked):
        assert resources.loaded_model(card).manifest["sha256"] == card.sha256
    assert resources.loaded_model(asked) is resources.loaded_model(registry.get(asked.model_id))


def test_readouts_that_are_fitted_later_are_those_that_answer(place):
    card = open_workspace(place)
    before = resources.loaded_model(card)
    readouts = card.folder / "readouts.safetensors"
    content = readouts.read_bytes()
    readouts.unlink()
    readouts.write_bytes(content)  # as the fitting does, in another moment
    assert resources.loaded_model(card) is not before


def test_what_is_said_of_the_workspace_follows_the_catalog(place):
    assert resources.workspace_name() == "w (empty)" and not resources.holds_phantoms_only()
    catalog = Catalog(place)
    catalog.add_patient("P1", split="test", cohort="c", synthetic=True)
    catalog.add_study("S1", "P1")
    assert resources.workspace_name() == "Demo (phantom cohort)" and resources.holds_phantoms_only()
    catalog.add_patient("P2", split="test", cohort="c", synthetic=False)
    catalog.add_study("S2", "P2")
    assert resources.workspace_name() == "w" and not resources.holds_phantoms_only()


@pytest.mark.slow
def test_what_a_started_server_holds_is_not_looked_through_after_every_rerun(place, monkeypatch):
    monkeypatch.setattr(resources, "LATER", ())
    held = [[number] for number in range(20_000)]
    try:
        resources.prepare()
        assert gc.get_freeze_count() > len(held)
    finally:
        gc.unfreeze()


def test_what_is_kept_of_estimates_is_made_anew_once_the_readouts_are_fitted_again(place, monkeypatch):
    from echo2ecg_core.answers import maps, second_readers
    from echo2ecg_core.store.paths import ready_path
    from pages.ui.report import looked_up

    card = open_workspace(place)
    keys = []
    monkeypatch.setattr(second_readers, "ready_cards", lambda place, reads: [card])
    monkeypatch.setattr(second_readers, "is_on", lambda card: True)
    monkeypatch.setattr(resources, "_second_reads", lambda key, *rest: keys.append(key))
    monkeypatch.setattr(maps, "_version", lambda place, model_id: (1,))
    said, person = SimpleNamespace(embedding=None), second_readers.Person()
    ready = ready_path(place, card.model_id)
    ready.parent.mkdir(parents=True, exist_ok=True)
    seen = []
    for file in (None, card.folder / "readouts.safetensors", card.folder / "manifest.json", ready):
        if file is not None:
            file.write_bytes(file.read_bytes() if file.exists() else b"{}")
            os.utime(file, ns=(1, 10**18 + len(seen)))
        resources.second_reads(record_of(0), card, said, person)
        report, drawing = looked_up.report_state(card.model_id, "test"), maps.map_state(place, card.model_id)
        seen.append((keys[-1], report, drawing))
    readers, reports, drawings = zip(*seen, strict=True)
    assert len({*readers}) == 3, "our chance stands beside theirs, and is that of the readouts"
    assert len({*reports}) == 3, "the R² of the ECG page and the ready models stand in a report"
    assert len({*drawings}) == 2, "a map may be coloured by estimates"
