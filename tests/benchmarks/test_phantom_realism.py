"""How phantom_realism.py compares: who answers whom, what a distance is, and that boosting tells only what differs."""

import sys

import numpy as np
import pytest

from benchmarks import phantom_realism as m

HEADER = "<age>: 51 <sex>: F <diagnoses>: Rhythm: Atrial fibrillation. Complete left bundle branch block."


def test_a_header_tells_the_kind_of_its_heart():
    assert m.kind_of(HEADER) == ("female", "af", "lbbb", 51.0)
    assert m.kind_of("<age>: >89 <sex>: M Incomplete right bundle branch block.") == ("male", "sinus", "normal", None)


def test_each_record_is_answered_by_its_like(monkeypatch):
    monkeypatch.setattr(m, "POOL", 800)
    kinds = [("female", "sinus", "normal", 60.0, 80.0), ("male", "sinus", "normal", 60.0, 60.0)] * 3
    chosen = m.answering(kinds, 2, seed=1)
    assert len({index for index, _ in chosen}) == 12  # nobody answers twice
    assert sum(heart.sex == "female" for _, heart in chosen) == 6
    assert all(heart.rhythm == "sinus" and heart.conduction == "normal" for _, heart in chosen)
    assert all(abs(heart.heart_rate_bpm - (80 if heart.sex == "female" else 60)) < 10 for _, heart in chosen)


def test_a_distance_counts_the_standard_deviations_of_the_real_ones():
    real = np.random.default_rng(0).normal(10, 2, (6000, len(m.ALL)))
    rows = m.compared(real, real + 3.0)
    assert all(row["distance"] == pytest.approx(1.5, abs=0.12) for row in rows.values())


@pytest.mark.slow
def test_boosting_tells_what_differs_and_nothing_else(monkeypatch):
    monkeypatch.setattr(m, "REPEATS", 1)
    rng = np.random.default_rng(1)
    real, alike, other = rng.normal(size=(60, 2)), rng.normal(size=(120, 2)), rng.normal(3, 1, size=(120, 2))
    assert m.telling(real, alike, [0, 1], 0)[0] < 0.68
    assert m.telling(real, other, [0, 1], 0)[0] > 0.97


def test_without_records_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["phantom_realism", "--ludb", str(tmp_path)])
    m.main()
    out, err = capsys.readouterr()
    assert out == "" and "holds no wfdb records" in err
