"""Ready models on a workspace: chances from labelled ECGs, an encoder's vectors, machine-read values kept apart."""

import json

import numpy as np
import pytest

from echo2ecg_core.answers.machine_read import machine_values, readings, readings_path
from echo2ecg_core.answers.second_readers import curves_of, load_reader, person_of, seven_numbers
from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.intake import ready_models
from echo2ecg_core.intake.ready_models import (
    embed_as_encoder,
    forget,
    machine_read,
    recalibrate,
    score_ecgs,
    starts_of,
)
from echo2ecg_core.intake.vectors_of_others import ImportedVectors, keep, read_kept
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests.ready_workspace import ecg, imported, labelled


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "w")


@pytest.mark.slow
def test_stored_ecgs_are_scored_once_with_age_and_sex_of_the_catalogue(place, tmp_path, monkeypatch):
    card = imported("echonext", place, tmp_path).card
    ids = labelled(place, 3)
    found = score_ecgs(place, card, ids)
    reader, record = load_reader(card), Catalog(place).ecg_record("E0001")
    numbers = seven_numbers(record, person_of(record, "male", 41.0))
    expected = reader.scores(record, {name: n["value"] for name, n in numbers.items()})
    np.testing.assert_allclose(found["E0001"], expected, atol=1e-6)
    assert np.abs(found["E0000"] - found["E0001"]).max() > 1e-4  # the same tracing, another person
    monkeypatch.setattr(ready_models, "load_reader", lambda card: pytest.fail("scored again"))
    again = score_ecgs(place, card, ids)
    assert again.keys() == found.keys() and all(np.array_equal(again[i], found[i]) for i in ids)


@pytest.mark.slow
def test_recalibration_keeps_a_curve_with_before_and_after_or_the_reason_why_not(place, tmp_path):
    card = imported("echonext", place, tmp_path).card
    ids = labelled(place, 615)
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.2, 0.6, (615, 12)).astype(np.float32)
    scores[:, 0] += 0.3 * (np.arange(615) % 4 == 0) * rng.random(615)  # those with an LVEF of 30 % are higher
    ready_models._keep_scores(place, card, dict(zip(ids, scores, strict=True)))
    closing = recalibrate(place, card.model_id)
    found = curves_of(card.folder)
    assert "1 of 8 findings are chances now" in closing
    entry = found["lvef_lte_45"]
    assert entry["question"] == "lvef_le_45" and entry["patients"] == 205 and entry["positives"] >= 30
    assert entry["test"]["after"]["brier"][0] < entry["test"]["before"]["brier"][0]
    assert "0 labelled training patients" in found["aortic_stenosis_moderate_severe"]["reason"]
    assert list(load_reader(card).curves) == ["lvef_lte_45"]


@pytest.mark.slow
def test_a_model_without_labelled_ecgs_or_of_clips_is_not_recalibrated(place, tmp_path):
    card = imported("echonext", place, tmp_path).card
    with pytest.raises(StoreError, match="no labelled ECG"):
        recalibrate(place, card.model_id)
    with pytest.raises(ModelError, match="reads clips"):
        recalibrate(place, imported("panecho", place, tmp_path).card.model_id)


@pytest.mark.slow
def test_ecgfounders_vectors_become_an_imported_encoder_with_its_size(place, tmp_path):
    card = imported("ecgfounder", place, tmp_path).card
    labelled(place, 2)
    assert "embedded 2 of 2 ECGs" in embed_as_encoder(place, card.model_id)
    kept = read_kept(place.folder / "encoders" / "ecgfounder.npz")
    assert kept.matrix.shape == (2, 1024) and kept.stated["label"] == "ECGFounder"
    reader = load_reader(card)
    window = reader.head.prepare(ecg().signal_mv, 500.0, {})[0]
    assert kept.stated["parameters"] == sum(p.numel() for p in reader.network.parameters())
    assert window.shape == (12, 5000) and kept.ids == ("E0000", "E0001")


def test_a_model_of_findings_alone_is_no_encoder(place, tmp_path):
    with pytest.raises(ModelError, match="no encoder"):
        embed_as_encoder(place, imported("echonext", place, tmp_path).card.model_id)


def test_stretches_of_a_video_lie_evenly_and_a_short_one_has_one():
    assert starts_of(16) == [0] and starts_of(9) == [0]
    assert starts_of(64) == [0, 16, 32, 48]
    assert starts_of(18) == [0, 1, 2]


@pytest.mark.slow
def test_only_unmeasured_studies_are_read_and_their_values_stay_apart(place, tmp_path):
    from echo2ecg_core.echo.clip import EchoClip
    from echo2ecg_core.echo.video import encode_mp4

    card = imported("panecho", place, tmp_path).card
    catalog = Catalog(place)
    frames = np.random.default_rng(0).integers(0, 255, (17, 64, 64, 3)).astype(np.uint8)
    mp4 = encode_mp4(EchoClip(frames=frames, fps=30.0, format="made", source="x"))
    catalog.add_patient("P", split="train", cohort="c", synthetic=False)
    for study, values in (("bare", {}), ("measured", {"lvef": 55.0})):
        catalog.add_study(study, "P", phenotypes=values)
        catalog.add_clip(study, mp4, fps=30, n_frames=17, format="made")
    assert "read 1 of 1 studies without a measured value" in machine_read(place, card.model_id)
    assert set(readings(place, card.model_id)) == {"bare"}
    values = {v["name"]: v for v in machine_values(place, "bare")}
    assert {"lvef", "lvedv", "ivsd", "rvsp"} <= values.keys()
    assert all(v["mark"] == "machine-read" and v["by"] == "PanEcho" and v["clips"] == 1 for v in values.values())
    assert machine_values(place, "measured") == []
    studies = catalog.studies().set_index("study_id")
    assert np.isnan(studies.lvef["bare"]) and studies.lvef["measured"] == 55.0
    kept = json.loads((place.folder / "machine_read" / f"{card.model_id}.json").read_text())
    assert kept["mark"] == "machine-read" and len(kept["studies"]["bare"]["outputs"]) == 58


def test_what_was_kept_of_a_removed_patient_is_forgotten_everywhere_and_the_rest_stays(place, tmp_path):
    card = imported("echonext", place, tmp_path).card
    ready_models._keep_scores(place, card, {i: np.full(12, 0.5, np.float32) for i in ("E1", "E2")})
    readings_path(place, card.model_id).parent.mkdir(parents=True)
    content = {"model": "x", "studies": {"S1": {"clips": 1, "outputs": {}}, "S2": {"clips": 1, "outputs": {}}}}
    readings_path(place, card.model_id).write_text(json.dumps(content))
    for name, ids in (("both", ("E1", "E2")), ("one", ("E1",))):
        keep(place, name, ImportedVectors("x", np.ones((len(ids), 3), np.float32), ids, {"label": name}))
    forget(place, ["E1"], ["S1"])
    assert set(ready_models._kept_scores(place, card)) == {"E2"}
    assert set(readings(place, card.model_id)) == {"S2"}
    kept = read_kept(place.folder / "encoders" / "both.npz")
    assert kept.ids == ("E2",) and kept.matrix.shape == (1, 3) and kept.stated == {"label": "both"}
    assert not (place.folder / "encoders" / "one.npz").exists()
    forget(place, ["E1", "E2"], [])
    assert ready_models._kept_scores(place, card) == {}
