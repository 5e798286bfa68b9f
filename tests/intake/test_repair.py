"""Damaged files: one of them stops nothing, `check` names it, and it is read again where its archive is still there."""

import io
import json
import shutil
import sys
from contextlib import suppress

import numpy as np
import pytest

from echo2ecg_core.answers.embed import clip_encoder_id, embed_job, embed_workspace
from echo2ecg_core.answers.readiness import readiness
from echo2ecg_core.cli import main
from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.check import check_workspace
from echo2ecg_core.intake.repair import damaged_files, repair_files
from echo2ecg_core.phantom.cohort import write_cohort
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.worker import work
from tests.untrained_model import untrained_model


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("archive"), 2, 3)


@pytest.fixture(scope="module")
def imported(archive, tmp_path_factory):
    """A workspace of two phantom patients, imported by the job, with an untrained model."""
    folder = tmp_path_factory.mktemp("imported")
    place = Workspace(folder / "w")
    ModelRegistry(place).promote(ModelRegistry(place).register(untrained_model(folder / "model")).model_id)
    jobs.queue(place, "import", {"folder": str(archive), "cohort": "A"})
    work(place)
    assert jobs.jobs(place)[0].state == "done", jobs.jobs(place)[0].message
    return place


@pytest.fixture
def place(imported, tmp_path):
    return Workspace(shutil.copytree(imported.folder, tmp_path / "w"))


def blob_of(place, table, key, value):
    with place.connect() as db:
        return place.blobs / db.execute(f"SELECT blob FROM {table} WHERE {key} = ?", (value,)).fetchone()[0]


def no_zip():
    return b"PK but not a zip, only its first letters" * 40


def another_record():
    """A file that opens, and holds somebody else's signal."""
    buffer = io.BytesIO()
    np.savez(buffer, signal_mv=np.zeros((12, 100), np.float32), facts=np.array(json.dumps({})))
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("content", [no_zip(), b"", another_record(), None])
def test_damaged_files_are_refused_by_name_and_everything_else_is_embedded(place, content):
    catalog = Catalog(place)
    ecg_id, clip_id = catalog.ecgs().ecg_id[1], catalog.clips().clip_id[2]
    for path in (blob_of(place, "ecgs", "ecg_id", ecg_id), blob_of(place, "clips", "clip_id", clip_id)):
        path.unlink() if content is None else path.write_bytes(content)
    for ask, name in ((catalog.ecg_record, ecg_id), (catalog.clip_content, clip_id)):
        with pytest.raises(StoreError, match=f"{name}.*(damaged|missing)"):
            ask(name)
    card = ModelRegistry(place).active()
    refused = embed_workspace(place, card)
    assert [row.get("ecg_id") or row["clip_id"] for row in refused] == [ecg_id, clip_id]
    made_by = names_of_vectors(place)
    embedded = {kind: set(load_vectors(place.vectors, kind, name).ids) for kind, name in made_by.items()}
    assert embedded["ecg"] == set(catalog.ecgs().ecg_id) - {ecg_id}
    assert embedded["clip"] == set(catalog.clips().clip_id) - {clip_id}
    assert set(load_vectors(place.vectors, "study_aligned", card.model_id).ids) == set(catalog.studies().study_id)
    assert not [words for words in readiness(place, card).missing if "vectors" in words]
    told = embed_job(place, None, lambda share, message: None)
    assert "1 ECG and 1 clip could not be embedded" in told and ecg_id in told
    (blobs,) = [row for row in check_workspace(place) if row["name"] == "blobs"]
    assert not blobs["ok"] and ecg_id in blobs["found"] and clip_id in blobs["found"] and "--repair" in blobs["found"]


def names_of_vectors(place):
    """Whose vectors lie under which name: {kind: model id}."""
    from echo2ecg_core.answers.loaded_model import load_model

    model = load_model(ModelRegistry(place).active(), with_readouts=False)
    return {"ecg": model.card.model_id, "clip": clip_encoder_id(model)}


@pytest.mark.slow
def test_repair_reads_damaged_and_lost_files_again_and_changes_nothing_else(place, monkeypatch, capsys):
    catalog = Catalog(place)
    before = {path: path.read_bytes() for path in place.blobs.rglob("*.*")}
    tables = catalog.ecgs(), catalog.clips(), catalog.studies()
    ecg_id, clip_id, lost = catalog.ecgs().ecg_id[0], catalog.clips().clip_id[0], catalog.clips().clip_id[4]
    blob_of(place, "ecgs", "ecg_id", ecg_id).write_bytes(no_zip())
    blob_of(place, "clips", "clip_id", clip_id).write_bytes(b"")
    blob_of(place, "clips", "clip_id", lost).unlink()
    assert set(damaged_files(place).values()) == {f"ECG '{ecg_id}'", f"clip '{clip_id}'", f"clip '{lost}'"}
    monkeypatch.setattr(sys, "argv", ["echo2ecg_core", "check", "--repair", "--workspace", str(place.folder)])
    with suppress(SystemExit):  # the model of this test has no readouts, which `check` says too
        main()
    out, err = capsys.readouterr()
    assert "3 of 3 damaged files were read again." in err and "ok   blobs" in out
    assert {path: path.read_bytes() for path in place.blobs.rglob("*.*")} == before
    assert all(a.equals(b) for a, b in zip(tables, (catalog.ecgs(), catalog.clips(), catalog.studies()), strict=True))
    assert repair_files(place) == "No file is damaged."


@pytest.mark.slow
def test_without_its_archive_a_damaged_file_is_set_aside_until_the_archive_comes_again(place, archive, tmp_path):
    catalog = Catalog(place)
    n, ecg_id = len(catalog.ecgs()), catalog.ecgs().ecg_id[0]
    blob_of(place, "ecgs", "ecg_id", ecg_id).write_bytes(no_zip())
    moved = archive.rename(tmp_path / "moved")
    try:
        told = repair_files(place)
        assert "0 of 1 damaged files were read again. Still set aside: ECG" in told and ecg_id in told
        assert ecg_id not in set(catalog.ecgs().ecg_id) and catalog.counts()["ecgs"] == n - 1
        assert ecg_id in next(row for row in check_workspace(place) if row["name"] == "blobs")["found"]
        jobs.queue(place, "import", {"folder": str(moved), "cohort": "A"})
        work(place)
    finally:
        moved.rename(archive)
    assert catalog.counts()["ecgs"] == n and catalog.ecg_record(ecg_id).signal_mv.shape[0] == 12
    assert not damaged_files(place)
