"""Quality against labelled recordings, damaged copies of real ones, and drawn faults whose words are known."""

import csv
import json

import numpy as np
import pytest

from echo2ecg_core.ecg.electrodes import OUT_OF_ORDER, UPSIDE_DOWN
from echo2ecg_core.ecg.measure import measure_ecg, measure_signal
from echo2ecg_core.ecg.quality import judge_quality, judge_signal, usable_parts
from echo2ecg_core.ecg.record import LEADS, EcgRecord

RATE_HZ = 500


def drawn_ecg(seed=0, noise_mv=0.01):
    """(12, 5000): regular beats with upright P, QRS and T in I, II and V6, as in most ECGs."""
    time_s = np.arange(5000) / RATE_HZ
    phase_s = time_s % 0.85

    def bump(centre_s, width_s, height_mv):
        return height_mv * np.exp(-0.5 * ((phase_s - centre_s) / width_s) ** 2)

    lead = bump(0.2, 0.02, 0.12) + bump(0.36, 0.012, 1.0) - bump(0.39, 0.01, 0.25) + bump(0.6, 0.04, 0.3)
    one, two = 0.7, 1.0
    limb = (one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2)
    noise = noise_mv * np.random.default_rng(seed).standard_normal((12, 5000))
    return np.outer((*limb, -0.5, 0.5, 0.9, 1.2, 1.1, 0.9), lead) + noise


def row(lead):
    return LEADS.index(lead)


def test_a_clean_recording_is_good_and_says_nothing():
    quality = judge_signal(drawn_ecg(), RATE_HZ)
    assert (quality.verdict, quality.reason, quality.notes) == ("good", "", ())
    assert set(quality.leads) == set(LEADS)
    assert all(lead.verdict == "good" and not lead.reasons for lead in quality.leads.values())
    assert quality.score > 0.9


@pytest.mark.parametrize("value", [0.0, 0.3, np.nan])
def test_one_flat_lead_limits_the_recording_but_leaves_it_usable(value):
    signal = drawn_ecg()
    signal[row("V6")] = value
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "limited"
    assert quality.reason == ("Lead V6 is missing." if np.isnan(value) else "Lead V6 is flat.")
    assert quality.leads["V6"].verdict == "unusable"
    assert quality.leads["V5"].verdict == "good"


RULE = "At least 4 of the 6 limb leads and 5 of the 6 chest leads must carry a signal for 2.5 s."


@pytest.mark.parametrize("lost, verdict", [(("V3",), "limited"), (("I", "III"), "limited"), (("V3", "V5"), "unusable"),
                                           (("I", "II", "III"), "unusable"), (LEADS[6:], "unusable")])  # fmt: skip
def test_one_chest_lead_and_two_limb_leads_may_be_lost_and_no_more(lost, verdict):
    signal = drawn_ecg()
    signal[[row(lead) for lead in lost]] = 0
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == verdict
    assert quality.reason.endswith(RULE) == (verdict == "unusable")


def test_a_flat_and_a_noisy_chest_lead_leave_no_estimate():
    signal = drawn_ecg()
    signal[row("V3")] = 0
    signal[row("V5")] += np.random.default_rng(1).standard_normal(5000)
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "unusable" and quality.reason == f"Lead V3 is flat and V5 is noise. {RULE}"


@pytest.mark.parametrize("offset", [0.5, -3.0, 10.0])
def test_an_offset_changes_no_verdict(offset):
    signal = drawn_ecg()
    signal[row("V2")] = 0
    there, here = (judge_signal(x, RATE_HZ) for x in (signal + offset, signal))
    assert (there.verdict, there.reason, there.notes) == (here.verdict, here.reason, here.notes)


def long_ecg(bad_minutes, n_minutes=5):
    """(12, n_minutes * 30000): the drawn ECG with noise of 1 mV in some minutes (from 1)."""
    signal = np.tile(drawn_ecg(), (1, 6 * n_minutes))
    for number in bad_minutes:
        part = signal[:, (number - 1) * 30_000 : number * 30_000]
        part += np.random.default_rng(number).standard_normal(part.shape)
    return signal


@pytest.mark.slow
def test_a_long_recording_is_judged_minute_by_minute_and_its_bad_minutes_are_left_out():
    quality = judge_signal(long_ecg([2, 3, 4, 5]), RATE_HZ)
    assert quality.verdict == "limited"
    assert quality.reason.startswith("Minutes 2 to 5 of 5: ") and quality.reason.endswith("Left out of the estimate.")
    assert [minute.verdict for minute in quality.minutes] == ["good"] + 4 * ["unusable"]
    record = EcgRecord(long_ecg([2, 3, 4, 5]), RATE_HZ, "drawn", "x")
    (part,) = usable_parts(record, quality)
    np.testing.assert_array_equal(part.signal_mv, record.signal_mv[:, :30_000])


@pytest.mark.slow
def test_a_long_recording_is_measured_in_its_first_usable_minute():
    record = EcgRecord(long_ecg([1], 3), 500.0, "NPY", "long.npy")
    found, clean = measure_ecg(record), measure_signal(record.signal_mv[:, 30_000:60_000], 500.0)
    assert judge_quality(record).minutes[0].verdict == "unusable"
    assert found.qrs_ms == clean.qrs_ms and found.heart_rate_bpm == pytest.approx(clean.heart_rate_bpm)
    np.testing.assert_allclose(found.r_times_s, np.array(clean.r_times_s) + 60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signal", "units", "has_beats"),
    [
        (drawn_ecg(), "mV", True),
        (0.02 * drawn_ecg(), "unknown", True),
        (long_ecg([1], 2)[:, :35_000], "mV", True),
        (long_ecg([1, 2], 2)[:, :35_000], "mV", False),
    ],
    ids=["short", "of another unit", "the first minute bad", "all bad"],
)
def test_what_quality_was_judged_by_is_measured_as_if_found_anew(signal, units, has_beats):
    record = EcgRecord(signal, 500.0, "NPY", "x.npy", units=units)
    quality = judge_quality(record)
    assert (quality.found is not None) == has_beats
    assert measure_ecg(record, quality) == measure_ecg(record)


@pytest.mark.slow
def test_a_flat_first_minute_does_not_refuse_the_rest():
    signal = long_ecg([])
    signal[:, :30_000] = 0.0
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "limited" and quality.reason.startswith("Minute 1 of 5: No heartbeat was found.")
    parts = usable_parts(EcgRecord(signal, RATE_HZ, "drawn", "x"), quality)
    assert [part.n_samples for part in parts] == [120_000]


@pytest.mark.slow
def test_a_long_good_recording_is_good_and_used_as_a_whole():
    quality = judge_signal(long_ecg([]), RATE_HZ)
    assert (quality.verdict, quality.reason) == ("good", "") and len(quality.minutes) == 5
    record = EcgRecord(long_ecg([]), RATE_HZ, "drawn", "x")
    assert usable_parts(record, quality) == [record]


def test_the_reason_names_leads_faults_and_seconds():
    signal = drawn_ecg()
    signal[row("V3")] = 0
    signal[row("V5"), :3000] += np.random.default_rng(1).standard_normal(3000)
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "limited"
    assert quality.reason in {f"Lead V3 is flat and V5 is noise for {seconds} of 10 s." for seconds in (6, 7)}


def test_a_clipped_lead_is_saturated():
    signal = drawn_ecg()
    signal[row("V4")] = np.clip(signal[row("V4")], -0.4, 0.4)
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "limited"
    assert "saturated" in quality.leads["V4"].reasons[0]


def test_an_impossible_voltage_is_saturated():
    signal = drawn_ecg()
    signal[row("V1"), 500:2500] = -80.0
    assert any("saturated" in reason for reason in judge_signal(signal, RATE_HZ).leads["V1"].reasons)


def test_a_lead_with_only_small_noise_is_disconnected():
    signal = drawn_ecg()
    signal[row("V2")] = 0.02 * np.random.default_rng(2).standard_normal(5000)
    quality = judge_signal(signal, RATE_HZ)
    assert quality.leads["V2"].reasons == ("disconnected",)
    assert quality.reason == "Lead V2 is disconnected."


def test_a_jump_of_the_baseline_is_named():
    signal = drawn_ecg()
    signal[row("aVF"), 2500:] += 4.0
    assert any("jumping" in reason for reason in judge_signal(signal, RATE_HZ).leads["aVF"].reasons)


def swapped_arms(signal):
    swapped = signal.copy()
    swapped[:6] = -signal[0], signal[2], signal[1], signal[4], signal[3], signal[5]
    return swapped


def swapped_right_arm_and_leg(signal):
    swapped = signal.copy()
    swapped[:6] = -signal[2], -signal[1], -signal[0], signal[5], signal[4], signal[3]
    return swapped


@pytest.mark.parametrize(
    "swap, electrodes",
    [
        (swapped_arms, "left arm and right arm"),
        (swapped_right_arm_and_leg, "right arm and left leg"),
    ],
)
def test_swapped_limb_electrodes_are_named_and_limit_the_recording(swap, electrodes):
    quality = judge_signal(swap(drawn_ecg()), RATE_HZ)
    sentence = f"The limb leads look as if the electrodes of {electrodes} were swapped."
    assert quality.verdict == "limited"
    assert quality.reason == sentence and quality.notes == (sentence,)
    assert quality.score < judge_signal(drawn_ecg(), RATE_HZ).score / 2


def test_pacing_spikes_are_noted_and_no_fault():
    signal = drawn_ecg()
    signal[:, np.arange(int(0.27 * RATE_HZ), 5000, int(0.85 * RATE_HZ))] += 1.5
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "good"
    assert len(quality.notes) == 1 and quality.notes[0].startswith("Pacing spikes precede the complexes")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "signal, words",
    [
        (np.zeros((12, 5000)), "All 12 leads are flat."),
        (np.full((12, 5000), np.nan), "All 12 leads are"),
        (np.random.default_rng(0).standard_normal((12, 5000)), "All 12 leads are noise."),
        (np.full((12, 5000), 0.7), "No heartbeat was found."),
        (drawn_ecg()[:, :1000], "The recording lasts 2.0 s at 500 Hz; at least 2.5 s at 80 Hz are needed."),
        (np.zeros((12, 0)), "The recording lasts 0.0 s"),
    ],
    ids=["zero", "missing", "noise", "constant", "short", "empty"],
)
def test_nothing_usable_is_unusable_with_the_reason_in_words(signal, words):
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "unusable"
    assert words in quality.reason
    assert quality.score < 0.1
    assert all(lead.verdict == "unusable" for lead in quality.leads.values())


def test_the_dictionary_holds_plain_values():
    record = EcgRecord(signal_mv=drawn_ecg(), sampling_rate_hz=500.0, format="NPY", source="drawn.npy")
    as_dict = json.loads(json.dumps(judge_quality(record).as_dict()))
    assert set(as_dict) == {"verdict", "reason", "leads", "notes", "score"}
    assert as_dict["leads"]["V1"] == {"verdict": "good", "reasons": []}


def test_an_array_without_units_is_judged_by_its_shape():
    record = EcgRecord(
        signal_mv=37 * drawn_ecg(), sampling_rate_hz=500.0, format="NPY", source="drawn.npy", units="normalised"
    )
    assert judge_quality(record).verdict == "good"


def cinc_recordings(samples):
    """Name, (12, n) signal in mV and label of the recordings of the PhysioNet/CinC Challenge 2011."""
    with open(samples / "MANIFEST.csv", newline="") as manifest:
        notes = {line["path"]: line["notes"] for line in csv.DictReader(manifest) if "txt_cinc2011" in line["path"]}
    for path, note in sorted(notes.items()):
        text = (samples / path).read_text().replace(",", " ")
        table = np.array(text.split(), dtype=float).reshape(len(text.splitlines()), -1)
        yield path, 0.005 * table[:, 1:].T, "unacceptable" not in note  # the first column is a time index


def test_recordings_labelled_acceptable_are_good_and_no_others(samples):
    judged = {path: (judge_signal(signal, RATE_HZ), label) for path, signal, label in cinc_recordings(samples)}
    assert len(judged) == 12
    assert {path: quality.verdict == "good" for path, (quality, _) in judged.items()} == {
        path: label for path, (_, label) in judged.items()
    }
    acceptable = [quality.score for quality, label in judged.values() if label]
    unacceptable = [quality.score for quality, label in judged.values() if not label]
    assert min(acceptable) > max(unacceptable)


def damaged(signal, kind, rng):
    """A copy with one kind of damage, as it happens at the bedside, in one to four leads."""
    copy = signal.astype(float)
    n = copy.shape[1]
    rows = rng.choice(12, rng.integers(1, 5), replace=False)
    if kind == "flat":
        copy[rows] = rng.choice([0.0, 0.25])
    elif kind == "lead off":
        copy[rows] = 0.015 * rng.standard_normal((len(rows), n)) + np.linspace(0, rng.uniform(-1, 1), n)
    elif kind == "saturation":
        for lead in rows:
            limit = rng.uniform(0.2, 0.5) * np.abs(copy[lead]).max()
            copy[lead] = np.clip(copy[lead], -limit, limit)
    elif kind == "noise":
        for lead in rows:
            ratio_db = rng.uniform(-12, -6)
            copy[lead] += copy[lead].std() * 10 ** (-ratio_db / 20) * rng.standard_normal(n)
    elif kind == "swap":
        copy = rng.choice([swapped_arms, swapped_right_arm_and_leg])(copy)
    return copy


KINDS = ("flat", "lead off", "saturation", "noise", "swap")


@pytest.fixture(scope="module")
def ludb_signals(samples):
    import wfdb

    headers = sorted((samples / "ecg" / "ludb_labelled").glob("*.hea"))
    return [wfdb.rdrecord(str(header.with_suffix(""))).p_signal.T for header in headers]


@pytest.fixture(scope="module")
def clean_qualities(ludb_signals):
    return [judge_signal(signal, RATE_HZ) for signal in ludb_signals]


@pytest.fixture(scope="module")
def clean_scores(clean_qualities):
    return [quality.score for quality in clean_qualities]


def area_under_curve(higher, lower):
    """The chance that one of `higher` exceeds one of `lower`, ties counting half."""
    higher, lower = np.array(higher)[:, None], np.array(lower)[None]
    return ((higher > lower) + 0.5 * (higher == lower)).mean()


@pytest.mark.slow
def test_scores_tell_recordings_from_damaged_copies(ludb_signals, clean_scores):
    rng = np.random.default_rng(2011)
    scores = [
        judge_signal(damaged(signal, KINDS[i % len(KINDS)], rng), RATE_HZ).score
        for i, signal in enumerate(ludb_signals)
    ]
    assert area_under_curve(clean_scores, scores) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_scores_tell_each_kind_of_damage(kind, ludb_signals, clean_scores):
    rng = np.random.default_rng(7)
    scores = [judge_signal(damaged(signal, kind, rng), RATE_HZ).score for signal in ludb_signals[::4]]
    assert area_under_curve(clean_scores, scores) >= 0.95


@pytest.mark.slow
def test_real_recordings_are_rarely_called_limited_and_never_unusable(clean_qualities):
    """As their headers scale them, each lead by itself, which is rightly told of three."""
    assert not [quality for quality in clean_qualities if quality.verdict == "unusable"]
    reasons = [quality.reason for quality in clean_qualities if quality.verdict == "limited"]
    assert len([reason for reason in reasons if "times as high" not in reason]) <= 5 and len(reasons) <= 8


@pytest.mark.slow
def test_leads_that_are_not_what_they_are_called_limit_a_recording_with_the_sentence():
    """Simulated hearts are good; with chest leads shuffled, or all upside down, most are limited and say why."""
    from tests.ecg.test_electrodes import phantom_signals

    found = {"as recorded": 0, OUT_OF_ORDER: 0, UPSIDE_DOWN: 0}
    signals = phantom_signals(12)
    for signal in signals:
        found["as recorded"] += judge_signal(signal, RATE_HZ).verdict == "good"
        for damaged, sentence in ((signal[[*range(6), 9, 11, 6, 10, 7, 8]], OUT_OF_ORDER), (-signal, UPSIDE_DOWN)):
            quality = judge_signal(damaged, RATE_HZ)
            found[sentence] += quality.verdict == "limited" and sentence in quality.reason
    assert found["as recorded"] == 12 and found[OUT_OF_ORDER] >= 10 and found[UPSIDE_DOWN] >= 6, found
