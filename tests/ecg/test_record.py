"""Lead names in all spellings, and what an ECG record promises."""

import dataclasses
import hashlib

import numpy as np
import pytest

from echo2ecg_core.ecg.channels import Channels, twelve_lead_record
from echo2ecg_core.ecg.record import LEADS, EcgRecord, canonical_lead
from echo2ecg_core.errors import SignalError

RATE = 500.0


def spikes(n_leads: int = 12, seconds: float = 4.0, rate: float = RATE) -> np.ndarray:
    """Leads with a 1 mV spike every second, each lead a little different."""
    time = np.arange(round(seconds * rate)) / rate
    beat = np.exp(-0.5 * ((time % 1 - 0.5) / 0.02) ** 2)
    return (1 + 0.1 * np.arange(n_leads))[:, None] * beat


def channels_with(names=LEADS, samples=None, **more) -> Channels:
    samples = spikes(len(names)) if samples is None else samples
    return Channels(list(names), samples, more.pop("rate", RATE), "test", **more)


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("I", "I"), ("i", "I"), ("Lead I (Einthoven)", "I"), ("MDC_ECG_LEAD_I", "I"), ("DI", "I"), ("D1", "I"),
        ("lead ii", "II"), ("ECG II", "II"), ("D3", "III"), ("LEAD_III", "III"), ("iii", "III"),
        ("AVR", "aVR"), ("avr", "aVR"), ("Lead aVR", "aVR"), ("aVR (Goldberger)", "aVR"), ("MDC_ECG_LEAD_AVL", "aVL"),
        ("aV F", "aVF"), ("EKG aVF", "aVF"), ("aVF [uV]", "aVF"),
        ("V1", "V1"), ("v1", "V1"), ("V 2", "V2"), ("V_3", "V3"), ("V4 (mV)", "V4"), ("V5_uV", "V5"), ("ECG V6", "V6"),
        ("C1", "V1"), (" 'V2' ", "V2"), ("Lead:V3", "V3"), ("V4 [µV]", "V4"),
    ],
)  # fmt: skip
def test_a_lead_is_known_by_any_spelling(text, lead):
    assert canonical_lead(text) == lead


@pytest.mark.parametrize(
    "text", ["", "vx", "MLII", "-aVR", "V3R", "V7", "V0", "IIII", "time", "PLETH", "ABP", "V1-V2", "X"]
)
def test_other_channels_are_no_standard_leads(text):
    assert canonical_lead(text) is None


def test_a_record_is_float32_contiguous_and_knows_its_duration():
    record = EcgRecord(np.asfortranarray(spikes()), 500.0, "test", "a.dat")
    assert record.signal_mv.dtype == np.float32 and record.signal_mv.flags.c_contiguous
    assert record.leads == ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert record.duration_s == 4.0 and record.n_samples == 2000


def test_the_content_hash_is_that_of_signal_and_rate_and_of_nothing_else():
    signal = spikes().astype(np.float32)
    record = EcgRecord(signal, 500.0, "WFDB", "a.hea")
    assert record.content_hash == hashlib.sha256(signal.tobytes() + b"500.0").hexdigest()
    assert (
        record.content_hash == dataclasses.replace(record, source="b.dcm", format="DICOM", age_years=60.0).content_hash
    )
    assert record.content_hash != dataclasses.replace(record, sampling_rate_hz=250.0).content_hash
    assert record.content_hash != dataclasses.replace(record, signal_mv=signal * 2).content_hash


def test_leads_come_out_in_standard_order_whatever_the_file_has():
    shuffled = [7, 3, 11, 0, 5, 1, 9, 2, 10, 4, 8, 6]
    record = twelve_lead_record(channels_with([LEADS[i].upper() for i in shuffled], spikes()[shuffled]), "x")
    np.testing.assert_allclose(record.signal_mv, spikes(), atol=1e-6)
    assert record.derived_leads == () and record.notes == ()


def test_four_leads_are_derived_by_einthoven_and_goldberger():
    names = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    record = twelve_lead_record(channels_with(names, spikes(8)), "x")
    one, two = spikes(8)[:2]
    # Goldberger from electrode potentials: with RA = 0, LA = I and LL = II
    right, left, foot = np.zeros_like(one), one, two
    np.testing.assert_allclose(record.signal_mv[2], foot - left, atol=1e-6)
    np.testing.assert_allclose(record.signal_mv[3], right - (left + foot) / 2, atol=1e-6)
    np.testing.assert_allclose(record.signal_mv[4], left - (right + foot) / 2, atol=1e-6)
    np.testing.assert_allclose(record.signal_mv[5], foot - (right + left) / 2, atol=1e-6)
    assert record.derived_leads == ("III", "aVR", "aVL", "aVF")
    assert record.notes == ("III, aVR, aVL and aVF were not in the file and were derived from leads I and II.",)


def test_only_the_absent_lead_is_derived():
    names = [lead for lead in LEADS if lead != "aVL"]
    record = twelve_lead_record(channels_with(names), "x")
    assert record.derived_leads == ("aVL",)
    assert record.notes == ("aVL was not in the file and was derived from leads I and II.",)


def test_extra_and_repeated_channels_are_left_out_and_noted():
    record = twelve_lead_record(channels_with([*LEADS, "vx", "V1"], spikes(14)), "x")
    np.testing.assert_allclose(record.signal_mv, spikes(14)[:12], atol=1e-6)
    assert record.notes == ("The channels vx and V1 of the file were left out.",)


def test_leads_of_different_length_are_cropped_and_noted():
    samples = [row[:1500] if index == 4 else row for index, row in enumerate(spikes())]
    record = twelve_lead_record(channels_with(samples=samples), "x")
    assert record.n_samples == 1500
    assert record.notes == ("The leads have different lengths; all were cropped to the shortest (1500 samples).",)


def test_flat_and_missing_leads_are_read_and_noted():
    samples = spikes()
    samples[6], samples[8], samples[1, :20], samples[2, 5] = 0.4, 0.0, np.nan, np.inf
    record = twelve_lead_record(channels_with(samples=samples), "x")
    assert record.notes == (
        "1 impossible sample (infinite or beyond 1 kV) was marked as missing.", "Leads V1 and V3 are flat.",
        "Lead II has 20 missing samples (1.0%).", "Lead III has 1 missing sample (0.1%).",
    )  # fmt: skip
    assert np.isnan(record.signal_mv[1, :20]).all() and np.isnan(record.signal_mv[2, 5])


@pytest.mark.parametrize(
    ("channels", "text"),
    [
        (channels_with(["I", "II"]), "The file holds 2 of the 12 leads (I and II); V1, V2, V3, V4, V5 and V6 are "
"missing. "
                                     "Give a 12-lead ECG, or at least the leads I, II and V1 to V6."),
        (channels_with([lead for lead in LEADS if lead != "V4"]),
         "The file holds 11 of the 12 leads (I, II, III, aVR, aVL, aVF, V1, V2, V3, V5 and V6); V4 is missing. "
         "Give a 12-lead ECG, or at least the leads I, II and V1 to V6."),
        (channels_with(["a", "b"]), "The file holds no standard ECG lead; I, II, V1, V2, V3, V4, V5 and V6 are "
"missing. "
                                    "Give a 12-lead ECG, or at least the leads I, II and V1 to V6; where the file "
                                    "names no leads, give their order."),
        (channels_with(samples=spikes(seconds=0.2)), "The recording lasts 0.2 s; at least 2.5 s are needed. "
                                                     "Choose a longer recording, usually 10 seconds."),
        (channels_with(samples=np.ones((12, 2000))),
         "All leads are flat; an ECG needs a signal in at least one lead. "
         "Check that the electrodes were connected and that the right section was exported."),
        (channels_with(samples=np.full((12, 2000), np.nan)),
         "The file holds no signal: every sample of every lead is missing. Export the ECG again from its source."),
        (channels_with(rate=0.0), "The sampling rate is 0 Hz; it must lie between 50 and 32,000 Hz. "
                                  "Check the sampling rate in the file or the one you gave."),
        (channels_with(rate=float("nan")), "The sampling rate is nan Hz; it must lie between 50 and 32,000 Hz. "
                                           "Check the sampling rate in the file or the one you gave."),
    ],
)  # fmt: skip
def test_a_recording_that_cannot_be_used_is_refused_in_one_sentence(channels, text):
    with pytest.raises(SignalError) as caught:
        twelve_lead_record(channels, "x")
    assert str(caught.value) == text


def test_an_impossible_age_is_dropped():
    assert twelve_lead_record(channels_with(age_years=300), "x").age_years is None
    assert twelve_lead_record(channels_with(age_years=64), "x").age_years == 64.0
