"""The benchmark of single phantom clips on made numbers, on outlines of known size, and stopped and started."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import phantom_views as views
from echo2ecg_core.phantom.cohort import PhantomCohort
from echo2ecg_core.phantom.echo import PhantomClip


def clip_with(contours: np.ndarray, spacing_mm: float) -> PhantomClip:
    frames = np.zeros((len(contours), 8, 8, 3), np.uint8)
    return PhantomClip(frames, 30.0, "A4C", (), spacing_mm, 0, 1, contours, 1.2 * contours, False, (4, 0, 8, 0.7))


def test_a_traced_half_ellipse_has_its_area_length_and_simpson_volume():
    angle = np.linspace(-np.pi / 2, np.pi / 2, 65)
    outline = np.stack([20 * np.sin(angle), 40 - 40 * np.cos(angle)], axis=1)  # half axes 20 and 40
    found = views.contour_measures(clip_with(np.stack([outline, 0.5 * outline]), spacing_mm=2.0))
    assert found["ed_area"] == pytest.approx(np.pi * 40 * 80 / 2, rel=0.01)
    assert (found["ed_length"], found["ed_width"]) == pytest.approx((80, 80), rel=0.01)
    assert found["ed_ml"] == pytest.approx(2 / 3 * np.pi * 40**2 * 80 / 1000, rel=0.01)
    assert found["es_ml"] == pytest.approx(found["ed_ml"] / 8)
    assert views.contour_measures(clip_with(np.zeros((2, 0, 2)), 1.0)) == {}


def test_what_is_told_is_told_of_patients_that_were_not_fitted():
    rng = np.random.default_rng(0)
    x, patients = rng.normal(size=(200, 40)), np.arange(200)
    lvef = 55 + 10 * x[:, 0]
    truths = pd.DataFrame({"lvef": lvef + rng.normal(0, 5, 200), "lvef_heart": lvef})
    told = views.told(x, patients, truths, ("lvef",))["lvef"]
    assert told["r2_heart"] > 0.9 > 0.85 > told["r2"] > 0.7
    assert views.told(rng.normal(size=(200, 40)), patients, truths, ("lvef",))["lvef"]["r2"] < 0.1


def test_rendering_goes_on_where_it_was_stopped(tmp_path):
    options = SimpleNamespace(kinds="a4c,spectral_aortic", cache=tmp_path)
    table, pooled, milliseconds = views.rendered(PhantomCohort(3, 5, version=2), options)
    (path,) = tmp_path.rglob("*.npz")
    before = path.stat().st_mtime_ns
    again, same, _ = views.rendered(PhantomCohort(3, 5, version=2), options)
    assert path.stat().st_mtime_ns == before and milliseconds > 0
    pd.testing.assert_frame_equal(table, again)
    np.testing.assert_array_equal(pooled, same)
    assert pooled.shape == (len(table), 16, 56, 56) and set(table.kind) <= {"a4c", "spectral_aortic"}


def test_studies_of_both_versions_are_counted():
    one, two = (views.what_studies_hold(version, 60) for version in (1, 2))
    assert one["clips_a_study"]["mean"] < 9 < 20 <= two["clips_a_study"]["0%"]
    assert sum(two["views"].values()) == pytest.approx(1, abs=0.001) and one["poor"]["all"] == 0 < two["poor"]["all"]
    assert set(one["core_view_missing"].values()) == {0.0}


def test_the_docs_show_the_kept_result():
    kept = json.loads(views.RESULT.read_text())
    assert views.table_of(kept) in (views.ROOT / "docs" / "evidence.md").read_text()
    assert kept["version"] == 2 and kept["patients"] >= 150
