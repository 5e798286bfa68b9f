"""Stored clip vectors without pictures: they come in, are searched and trained on, and pages say that nothing plays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from echo2ecg_core.answers.embed import embed_workspace
from echo2ecg_core.answers.loaded_model import load_active_model
from echo2ecg_core.answers.readiness import readiness
from echo2ecg_core.answers.study_view import view_study
from echo2ecg_core.cli import app
from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.check import check_workspace
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.store.backup import back_up, restore
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.training.train import run_training
from pages.ui import resources
from tests import small_trees
from tests.pages.test_studies import words
from tests.untrained_model import untrained_model

ROOT = Path(__file__).resolve().parents[2]
FILE = "echoprime_echo_embeddings_unnorm.pt"


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "set").mkdir()
    return small_trees.reference_vectors(tmp_path / "set")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Path:
    """A model with a clip encoder."""
    return untrained_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def place(tmp_path) -> Workspace:
    return Workspace(tmp_path / "w")


def test_vectors_come_in_as_clips_without_pictures_in_the_split_of_their_table(root, place):
    report = ingest(root, place, cohort="c", keep_ids=True)
    catalog, given = Catalog(place), torch.load(root / FILE).numpy()
    assert (report.ecgs, report.studies, report.clips, report.refused) == (3, 3, 6, [])
    clips = catalog.clips_of("S1")
    assert {c.view for c in clips} == {"A4C", "Parasternal_Long"} and {c.encoder for c in clips} == {"echoprime"}
    assert not any(c.has_picture for c in clips)
    kept = {tuple(catalog.clip_vector(c.clip_id)) for c in clips}
    assert kept == {tuple(given[2]), tuple(given[3])}
    assert dict(catalog.studies().set_index("study_id").split) == {"S0": "train", "S1": "train", "S2": "validation"}
    assert catalog.ecg_record("E0").sampling_rate_hz == 400 and any("400 Hz" in note for note in report.notes)
    assert any("6 clips come in as vectors of the clip encoder echoprime" in note for note in report.notes)
    with pytest.raises(StoreError, match="has no picture: only its vector came in"):
        catalog.clip_content(clips[0].clip_id)
    again = ingest(root, place, cohort="c", keep_ids=True)
    assert (again.ecgs, again.clips, again.changed, again.refused) == (0, 0, [], [])


@pytest.mark.slow
def test_vectors_belong_to_the_encoder_of_a_model_that_is_here(root, place, untrained):
    card = ModelRegistry(place).register(untrained)
    report = ingest(root, place, options=Options("c", keep_ids=True, vectors_of=card.model_id))
    encoder_id = card.manifest()["weights"]["clip_encoder"]["sha256"][:8]
    assert set(Catalog(place).clips().encoder) == {encoder_id} and f"of {card.name} {card.model_id}" in report.notes[-1]
    with pytest.raises(StoreError, match="small letters, digits"):
        ingest(root, place, options=Options("d", keep_ids=True, vectors_of="My encoder"))
    torch.save(torch.randn(6, 400), root / FILE)
    with pytest.raises(StoreError, match="clip vectors have 400 numbers, those of the clip encoder of .* 512"):
        ingest(root, place, options=Options("d", keep_ids=True, vectors_of=card.model_id))


@pytest.mark.slow
def test_vectors_that_came_in_under_a_name_are_taken_over_by_the_encoder_that_is_told_later(root, place, untrained):
    ingest(root, place, cohort="c", keep_ids=True)
    card = ModelRegistry(place).register(untrained)
    again = ingest(root, place, options=Options("c", keep_ids=True, vectors_of=card.model_id))
    assert again.clips == 0 and len(Catalog(place).clips()) == 6
    assert set(Catalog(place).clips().encoder) == {card.manifest()["weights"]["clip_encoder"]["sha256"][:8]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v / v.norm(dim=1, keepdim=True), "all of length one"),
        (lambda v: v[:, 0], r"It holds \(6,\)"),
        (lambda v: v[:5], "holds 5 vectors and the list beside it 6 files"),
        (lambda v: {"model": v}, "It holds dict"),
        (lambda v: v.long(), r"expected one row of numbers"),
    ],
)
def test_a_file_of_vectors_that_cannot_be_is_refused_in_words(root, place, change, expected):
    torch.save(change(torch.load(root / FILE)), root / FILE)
    with pytest.raises(StoreError, match=expected):
        ingest(root, place, cohort="c")
    assert not place.exists() or Catalog(place).counts()["patients"] == 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("S0_1.avi,1,", "S0_1.avi,2,", "numbers the clip vectors otherwise"),
        ("S0_1.avi,1,", "S0_1.avi,6,", "whole number from 0 to 5"),
        ("S0_1.avi,1,", "S0_1.avi,1.5,", "whole number from 0 to 5"),
        ("S0_1.avi,1,", "S0_1.avi,-1,", "whole number from 0 to 5"),
    ],
)
def test_an_index_that_would_take_another_clips_vector_is_refused(root, place, old, new, expected):
    path = root / "pairs_train.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(StoreError, match=expected):
        ingest(root, place, cohort="c")


def test_without_an_index_the_list_of_files_tells_the_vector_and_a_video_that_is_here_comes_before_it(root, place):
    text = (root / "pairs_train.csv").read_text().replace("S0_1.avi,1,", "S0_1.avi,,").replace("S0_0.avi,0", "X.avi,")
    (root / "pairs_train.csv").write_text(text)
    small_trees.avi(root / "echo/S1_0.avi")
    plan = plan_of(root)
    assert [c.vector_row for c in plan.clips if c.study_id == "S0"] == [1]
    assert [(c.path.suffix, c.vector_row) for c in plan.clips if c.study_id == "S1"] == [(".avi", None), (".pt", 3)]
    assert [name for name, _ in plan.passed_over] == ["X.avi"]


def test_vectors_that_tell_nothing_are_refused_alone_and_rows_without_ids_join_nobody(root, place):
    vectors = torch.load(root / FILE)
    vectors[0, 7], vectors[1] = float("nan"), 0
    torch.save(vectors, root / FILE)
    with (root / "pairs_train.csv").open("a") as table:
        table.write("E0,,/data/ecg/E0.pt,,,\n,S1,,/data/echo/S1_0.avi,2,\n,,,,,\n")
    report = ingest(root, place, cohort="c", keep_ids=True)
    assert report.clips == 4 and [row["file"] for row in report.refused] == [f"{FILE}, row 0", f"{FILE}, row 1"]
    assert "not finite" in report.refused[0]["reason"] and "zeros only" in report.refused[1]["reason"]
    assert len(Catalog(place).cohorts()) == 1 and Catalog(place).counts()["patients"] == 3
    assert {"what": "2 rows of pairs_train.csv", "reason": "no pair: an id is missing"} in report.ignored


@pytest.mark.slow
def test_a_model_makes_studies_of_its_own_encoders_vectors_and_says_so_of_the_others(root, place, tmp_path, untrained):
    registry = ModelRegistry(place)
    registry.promote(registry.register(untrained).model_id)
    card, catalog = registry.active(), Catalog(place)
    ingest(root, place, options=Options("own", keep_ids=True, vectors_of=card.model_id))
    (tmp_path / "other").mkdir()
    small_trees.reference_vectors(tmp_path / "other", seed=1)
    ingest(tmp_path / "other", place, options=Options("other", keep_ids=True, vectors_of="another"))
    refused = embed_workspace(place, card)
    own = set(catalog.studies().query("cohort == 'own'").study_id)
    assert set(load_vectors(place.vectors, "study_aligned", card.model_id).ids) == own
    assert len(refused) == 6 and "made by the clip encoder another; this model reads" in refused[0]["reason"]
    assert readiness(place, card).vectors  # what cannot be made is not missing
    assert all(row["ok"] for row in check_workspace(place)), check_workspace(place)
    model = load_active_model(place)
    assert len(view_study("S0", place, model).vectors_of) == 2 and view_study("S0", place, model).clips == ()


@pytest.mark.slow
def test_vectors_survive_a_lost_folder_a_backup_and_go_when_they_are_removed(root, place, tmp_path, untrained):
    registry = ModelRegistry(place)
    registry.promote(registry.register(untrained).model_id)
    ingest(root, place, options=Options("c", keep_ids=True, vectors_of=registry.active().model_id))
    embed_workspace(place, registry.active())
    encoder_id = set(Catalog(place).clips().encoder).pop()
    before = load_vectors(place.vectors, "clip", encoder_id)
    back_up(place, tmp_path / "backup")
    restored = Workspace(tmp_path / "restored")
    restore(restored, tmp_path / "backup")
    for path in restored.vectors.glob("clip--*"):
        path.write_bytes(b"damaged")
    embed_workspace(restored, ModelRegistry(restored).active())
    after = load_vectors(restored.vectors, "clip", encoder_id)
    assert np.array_equal(after.rows(before.ids), before.rows(before.ids))
    blob = next(path for path in (place.blobs).rglob("*.npy"))
    blob.write_bytes(b"damaged")
    (row,) = (row for row in check_workspace(place) if row["name"] == "blobs")
    assert not row["ok"] and "clip" in row["found"]
    removed = remove(place, study="S0")
    assert removed.clips == 2 and len(list(place.blobs.rglob("*.npy"))) == 4
    assert len(load_vectors(place.vectors, "clip", encoder_id)) == 4


@pytest.mark.slow
def test_an_archive_of_vectors_alone_is_trained_on_searched_and_shown(tmp_path, place, monkeypatch):
    (tmp_path / "set").mkdir()
    root = small_trees.reference_vectors(tmp_path / "set", patients=24)
    ingest(root, place, cohort="c", keep_ids=True)
    values = {"patients": 0, "bodies": 0, "epochs": 1, "batch_size": 8, "precision": "32-true"}
    said = run_training(place, {"preset": "demo", "set": values, "name": "on vectors"}, job_id=1)
    registry = ModelRegistry(place)
    (card,) = registry.models()
    assert card.model_id in said and card.manifest()["clip_vectors"] == "echoprime"
    assert card.manifest()["pairs"] == {"train": 16, "validation": 4, "test": 4}
    assert embed_workspace(place, card) == []
    registry.promote(card.model_id)
    assert len(load_vectors(place.vectors, "study_aligned", card.model_id)) == 24

    told = CliRunner().invoke(
        app, ["view", Catalog(place).clips().clip_id[0], "--out", "x", "--workspace", str(place.folder)]
    )
    assert told.exit_code != 0 and "has no picture" in told.output + str(told.exception)

    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(resources, "loaded_model", lambda card: None)  # it has no readouts
    page = AppTest.from_file(ROOT / "pages" / "studies.py", default_timeout=20)
    page.query_params["study"] = "S3"
    page.run()
    assert not page.exception and not page.error
    assert "No pictures for this study: 2 clips of it came in as vectors." in words(page)
    assert not page.get("bidi_component") and len(page.dataframe[0].value) == 10
