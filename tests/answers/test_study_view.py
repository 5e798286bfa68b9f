"""What the player shows of a study: the order by weight, one beat from R wave to R wave, refusals in words."""

import numpy as np
import pytest

from echo2ecg_core.answers import study_view
from echo2ecg_core.answers.study_view import BEAT_SAMPLES, median_beat, view_study
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.catalog import Catalog
from tests.small_workspace import record_of, small_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("view"), n_patients=4)


def test_the_beat_is_that_of_the_patients_ecg_nearest_in_time(workspace, monkeypatch):
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


def test_a_study_that_does_not_exist_is_told_in_words(workspace):
    with pytest.raises(StoreError, match="There is no study 'S-9999'"):
        view_study("S-9999", workspace)


def test_the_beat_is_the_shape_between_two_r_waves_whatever_the_rate_of_each():
    """Three beats of different length drawn from one shape, and one disturbed: the median gives the shape back."""
    shape = np.sin(np.linspace(0, 2 * np.pi, BEAT_SAMPLES)) * np.linspace(1, 0.2, BEAT_SAMPLES)
    r_times_s, rate = (0.5, 1.3, 2.3, 3.0, 3.9), 500.0
    seconds = np.arange(2500) / rate
    lead = np.zeros(2500)
    for start, end in zip(r_times_s, r_times_s[1:], strict=False):
        inside = (seconds >= start) & (seconds < end)
        lead[inside] = np.interp((seconds[inside] - start) / (end - start), np.linspace(0, 1, BEAT_SAMPLES), shape)
    lead[(seconds > 3.2) & (seconds < 3.5)] += 5
    signal = np.zeros((12, 2500))
    signal[LEADS.index("II")] = lead
    beat = median_beat(EcgRecord(signal, rate, "made", "made"), r_times_s)
    expected = (shape - shape.min()) / np.ptp(shape)
    np.testing.assert_allclose(beat[3:-3], expected[3:-3], atol=0.03)


@pytest.mark.parametrize("r_times_s", [(), (0.5,), (0.5, 1.3)])
def test_without_two_r_waves_or_with_a_flat_lead_there_is_no_beat(r_times_s):
    assert median_beat(EcgRecord(np.zeros((12, 1000)), 500.0, "made", "made"), r_times_s) is None
