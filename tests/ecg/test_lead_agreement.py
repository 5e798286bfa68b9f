"""Leads that were not recorded together, at one gain or at the height that the others let expect, are told."""

import re

import numpy as np
import pytest

from echo2ecg_core.ecg.measure import UNSURE_BELOW, measure_ecg
from echo2ecg_core.ecg.quality import judge_quality, judge_signal
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from tests.ecg.test_electrodes import phantom_signals

RATE_HZ = 500
HEARTS = phantom_signals(4)
CHEST = slice(6, 12)


def told(signal) -> str:
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == ("limited" if quality.reason else "good")
    return quality.reason


def changed(signal, rows, change):
    signal = signal.copy()
    signal[rows] = change(signal[rows])
    return signal


def test_simulated_hearts_agree():
    assert [told(signal) for signal in HEARTS] == [""] * len(HEARTS)


@pytest.mark.parametrize("late_ms", [120, 400, -250])
def test_leads_of_another_moment_are_named_with_their_distance(late_ms):
    for rows, names in ((CHEST, "V1, V2, V3, V4, V5 and V6"), (slice(9, 12), "V4, V5 and V6"), (7, "V2")):
        reason = told(changed(HEARTS[0], rows, lambda leads: np.roll(leads, late_ms * RATE_HZ // 1000, axis=-1)))
        found = re.search(rf"The complexes of {names} lie about (\d+) ms (after|before) ", reason)
        assert found, reason
        assert abs(int(found[1]) * (1 if found[2] == "after" else -1) - late_ms) <= 20


def test_nothing_is_measured_surely_in_leads_of_different_moments():
    signal = changed(HEARTS[0], CHEST, lambda leads: np.roll(leads, 200, axis=-1))
    for leads, sure in ((HEARTS[0], True), (signal, False)):
        record = EcgRecord(leads, RATE_HZ, "NPY", "a.npy")
        confidence = measure_ecg(record, judge_quality(record)).confidence
        assert (max(confidence.values()) >= UNSURE_BELOW) == sure


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_gain_that_changes_while_recording_is_told(factor):
    later = np.where(np.arange(5000) < 2500, 1.0, factor)
    for rows, words in ((slice(0, 12), "All leads are"), (8, "Lead V3 is")):
        reasons = [told(changed(signal, rows, lambda leads: leads * later)) for signal in HEARTS]
        found = [
            match for reason in reasons if (match := re.search(rf"{words} ([\d.]+) times as high from one", reason))
        ]
        assert len(found) >= 3, reasons
        assert all(abs(float(match[1]) / factor - 1) < 0.1 for match in found)


@pytest.mark.parametrize(
    "factor, words", [(4.0, "times as high as"), (0.2, "times as high as"), (-1.0, "is upside down")]
)
def test_a_chest_lead_of_another_gain_or_sign_is_named(factor, words):
    for row in (7, 11):
        reasons = [told(changed(signal, row, lambda lead: lead * factor)) for signal in HEARTS]
        assert sum(f"Lead {LEADS[row]} " in reason and words in reason for reason in reasons) >= 3, reasons


@pytest.mark.parametrize("one, other", [(6, 7), (7, 8), (8, 9), (9, 10), (6, 11)])
def test_two_exchanged_chest_leads_are_named(one, other):
    reasons = [told(changed(signal, [one, other], lambda leads: leads[::-1])) for signal in HEARTS]
    names = f"Leads {LEADS[one]} and {LEADS[other]} fit the other leads better in each other's place"
    assert sum(names in reason for reason in reasons) >= 3, reasons
