"""What the player shows of a study: the order by weight, the patient's own ECG, two studies face to face, refusals."""

from types import SimpleNamespace

import numpy as np
import pytest

from echo2ecg_core.answers import study_view
from echo2ecg_core.answers.study_view import ecg_strip, face_to_face, own_study, view_study
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.vectors import VectorSet
from tests.small_workspace import record_of, small_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("view"), n_patients=4)


def test_the_strip_is_that_of_the_patients_ecg_nearest_in_time(workspace, monkeypatch):
    catalog, asked = Catalog(workspace), []
    catalog.add_ecg("E-early", "P-0002", record_of(50), ecg_time="2020-01-05")
    monkeypatch.setattr(Catalog, "ecg_record", lambda self, ecg_id: asked.append(ecg_id) or record_of(2))
    view_study("S-0002", workspace)
    assert asked == ["E-0002"]


def test_without_weights_the_clips_come_in_the_order_of_an_echo_report(workspace):
    assert [clip.view for clip in view_study("S-0003", workspace).clips] == ["A4C", "A2C", "Parasternal_Long"]


def test_the_heaviest_clip_comes_first(workspace, monkeypatch):
    clips = Catalog(workspace).clips_of("S-0003")
    weights = {clip.clip_id: weight for clip, weight in zip(clips, (0.2, 0.7, 0.1), strict=True)}
    monkeypatch.setattr(study_view, "weigh_clips", lambda *_: weights)
    shown = view_study("S-0003", workspace, model=object())
    assert [shown.weights[clip.clip_id] for clip in shown.clips] == [0.7, 0.2, 0.1]


@pytest.mark.parametrize(("pooling", "n"), [("attention", 3), ("mean", 0)])
def test_a_model_that_takes_the_mean_of_the_clips_weighs_none(workspace, monkeypatch, pooling, n):
    ids = [clip.clip_id for clip in Catalog(workspace).clips_of("S-0003")]
    vectors = VectorSet("clip", "encoder", tuple(ids), np.eye(len(ids), 8, dtype=np.float32))
    monkeypatch.setattr(study_view, "load_vectors", lambda *_: vectors)
    monkeypatch.setattr("echo2ecg_core.answers.embed.clip_encoder_id", lambda _: "encoder")
    model = SimpleNamespace(
        spec=SimpleNamespace(parts=("ecg", "study"), study=SimpleNamespace(pooling=pooling)),
        view_weights=lambda of_study: np.full(len(of_study), 1 / len(of_study)),
    )
    assert len(study_view.weigh_clips("S-0003", workspace, model)) == n


def test_a_study_that_does_not_exist_is_told_in_words(workspace):
    with pytest.raises(StoreError, match="There is no study 'S-9999'"):
        view_study("S-9999", workspace)


def test_the_strip_is_lead_ii_as_recorded_with_its_own_beats():
    """Beats of different height and length stay different; values are those of the lead at the same seconds."""
    rate, seconds = 500.0, np.arange(5000) / 500.0
    lead = np.sin(seconds * 3) + 0.1 * seconds
    signal = np.zeros((12, 5000))
    signal[LEADS.index("II")] = lead
    strip = ecg_strip(EcgRecord(signal, rate, "made", "E-7"), (0.5, 1.3, 2.3), 2.0)
    assert (strip.ecg_id, strip.days_apart, strip.rate_hz, strip.r_times_s) == ("E-7", 2.0, 250.0, (0.5, 1.3, 2.3))
    at = np.arange(len(strip.samples_mv)) / strip.rate_hz
    np.testing.assert_allclose(strip.samples_mv, np.sin(at * 3) + 0.1 * at, atol=1e-3)
    assert at[-1] > 9.9


@pytest.mark.parametrize("r_times_s", [(), (0.5,), (0.5, 1.3)])
def test_without_two_r_waves_or_with_a_flat_lead_there_is_no_strip(r_times_s):
    assert ecg_strip(EcgRecord(np.zeros((12, 1000)), 500.0, "made", "made"), r_times_s) is None


def test_two_studies_stand_face_to_face_by_view_and_nothing_is_lost(workspace):
    left, right = (view_study(study, workspace).clips for study in ("S-0003", "S-0001"))
    rows = face_to_face(left, right)
    assert [(a and a.view, b and b.view) for a, b in rows] == [
        ("A4C", "A4C"),
        ("A2C", None),
        ("Parasternal_Long", None),
    ]
    turned = face_to_face(right, left)
    assert [(a and a.view, b and b.view) for a, b in turned][1:] == [(None, "A2C"), (None, "Parasternal_Long")]
    assert {c.clip_id for row in turned for c in row if c} == {c.clip_id for c in (*left, *right)}


def test_the_patients_own_study_is_the_one_the_ecg_is_labelled_by_else_the_latest(tmp_path):
    workspace = small_workspace(tmp_path, n_patients=4)
    catalog = Catalog(workspace)
    for study_id, day in (("S-old", "2019-01-01"), ("S-late", "2026-09-01")):
        catalog.add_study(study_id, "P-0002", study_date=day)
    catalog.add_ecg("E-undated", "P-0002", record_of(51))
    assert own_study(record_of(2), workspace) == "S-0002"
    assert own_study(record_of(51), workspace) == "S-late"
    assert own_study(record_of(77), workspace) is None
