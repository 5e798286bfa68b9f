"""What rhythm and shape of drawn hearts do to the sureness of intervals: a number that is sure is also right."""

import numpy as np
import pytest

from echo2ecg_core.ecg.measure import measure_signal
from tests.ecg.drawn_hearts import RATE_HZ, drawn, flutter

EVERY_950_MS = 0.35 + 0.95 * np.arange(11)


@pytest.mark.parametrize("ratio, rate_hz", [(2, 5.0), (3, 5.0), (4, 5.0), (4, 4.3)])
def test_flutter_waves_are_no_p_waves_with_a_sure_pr(ratio, rate_hz):
    measured = measure_signal(flutter(rate_hz, ratio, height=0.7), RATE_HZ)
    assert measured.heart_rate_bpm == pytest.approx(60 * rate_hz / ratio, abs=1)
    assert measured.p_present is not True and measured.confidence["p_present"] < 0.5
    assert measured.confidence["pr_ms"] < 0.5


def test_a_delta_wave_makes_pr_and_qrs_unsure():
    signal = drawn(EVERY_950_MS, EVERY_950_MS - 0.1, kinds=("delta",), qrs_s=0.12)
    confidence = measure_signal(signal, RATE_HZ).confidence
    assert confidence["pr_ms"] < 0.5 and confidence["qrs_ms"] < 0.5 and confidence["heart_rate_bpm"] > 0.5


def test_a_wave_after_a_rest_after_t_makes_qt_unsure_and_a_low_u_wave_does_not():
    low, high = (measure_signal(drawn(EVERY_950_MS, EVERY_950_MS - 0.16, u=u), RATE_HZ) for u in (1.0, 5.0))
    assert low.qt_ms == pytest.approx(370, abs=20) and low.confidence["qt_ms"] > 0.5
    assert high.qt_ms > 500 and high.confidence["qt_ms"] < 0.5


def test_a_t_wave_as_steep_as_the_complex_makes_the_rate_unsure():
    signal = drawn(EVERY_950_MS, qrs=0.4, t=4.0, qt_s=0.36, t_wide_s=0.15)
    measured = measure_signal(signal, RATE_HZ)
    assert measured.heart_rate_bpm > 100 and measured.confidence["heart_rate_bpm"] < 0.5


def test_p_waves_before_beats_of_two_distances_are_seen_and_never_called_surely_absent():
    """An atrial ectopic beat after every sinus beat: the T wave before the early ones is no part of what repeats."""
    onsets_s = (0.35 + 1.5 * np.arange(7)[:, None] + (0.0, 0.55)).ravel()
    measured = measure_signal(drawn(onsets_s, onsets_s - 0.16, qt_s=0.35), RATE_HZ)
    assert measured.p_present is True and measured.pr_ms == pytest.approx(155, abs=20)


def test_beats_that_take_turns_are_not_said_to_have_no_p_wave():
    onsets_s = (0.05 + 1.7 * np.arange(3)[:, None] + (0.0, 0.44)).ravel()
    signal = drawn(onsets_s, onsets_s[::2] - 0.16, kinds=("narrow", "ectopic"), duration_s=5.0)
    assert measure_signal(signal, RATE_HZ).p_present is not False


@pytest.mark.parametrize("kind, qrs_s", [("narrow", 0.09), ("ectopic", 0.16)])
def test_no_p_wave_is_looked_for_in_the_complex_before(kind, qrs_s):
    onsets_s = 0.3 + 0.3 * np.arange(40)
    signal = drawn(onsets_s, (), kinds=(kind,), qrs_s=qrs_s, qt_s=0.26, t_wide_s=0.1)
    measured = measure_signal(signal, RATE_HZ)
    assert measured.pr_ms is None or (measured.pr_ms < 140 and measured.confidence["pr_ms"] < 0.5)


def test_one_lead_does_not_tell_how_wide_a_complex_is_over_all():
    signal = drawn(EVERY_950_MS, EVERY_950_MS - 0.16, kinds=("right",), qrs_s=0.16, qt_s=0.46)
    whole = measure_signal(signal, RATE_HZ)
    assert whole.qrs_ms == pytest.approx(155, abs=15) and whole.confidence["qrs_ms"] > 0.5
    signal[[0, *range(2, 12)]] = 0.0
    one = measure_signal(signal, RATE_HZ)
    assert one.qrs_ms < 140 and one.confidence["qrs_ms"] < 0.5


PLAIN = {  # what is drawn: distance of the atria, PR, QRS, QT in seconds, atrial beats to a ventricular one, kind
    "first-degree block": (0.95, 0.34, 0.09, 0.38, 1, "narrow"),
    "first-degree block of 400 ms": (0.95, 0.40, 0.09, 0.38, 1, "narrow"),
    "two to one block": (0.75, 0.18, 0.09, 0.42, 2, "narrow"),
    "slow": (1.9, 0.18, 0.09, 0.44, 1, "narrow"),
    "fast": (0.53, 0.14, 0.09, 0.31, 1, "narrow"),
    "left bundle branch block": (0.85, 0.18, 0.14, 0.43, 1, "left"),
    "right bundle branch block": (0.85, 0.18, 0.15, 0.45, 1, "right"),
}


@pytest.mark.parametrize("rhythm", PLAIN)
def test_what_is_plain_stays_sure_and_right(rhythm):
    distance_s, pr_s, qrs_s, qt_s, to_one, kind = PLAIN[rhythm]
    p_onsets_s = 0.1 + distance_s * np.arange(20)
    signal = drawn(p_onsets_s[::to_one] + pr_s, p_onsets_s, kinds=(kind,), qrs_s=qrs_s, qt_s=qt_s, t=0.6)
    measured = measure_signal(signal, RATE_HZ)
    assert measured.p_present is True
    assert measured.heart_rate_bpm == pytest.approx(60 / (distance_s * to_one), abs=0.5)
    for name, drawn_s in (("pr_ms", pr_s), ("qrs_ms", qrs_s), ("qt_ms", qt_s)):
        assert getattr(measured, name) == pytest.approx(1000 * drawn_s, abs=25), name
        assert measured.confidence[name] > 0.5, (name, measured.confidence)
