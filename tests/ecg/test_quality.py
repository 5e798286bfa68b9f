"""Quality against labelled recordings, damaged copies of real ones, and drawn faults whose words are known."""

import csv
import json

import numpy as np
import pytest

from echo2ecg_core.ecg.quality import NEEDED_LEADS, judge_quality, judge_signal
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


def test_half_of_the_leads_suffice_and_fewer_do_not():
    signal = drawn_ecg()
    signal[NEEDED_LEADS:] = 0
    assert judge_signal(signal, RATE_HZ).verdict == "limited"
    signal[NEEDED_LEADS - 1 :] = 0
    quality = judge_signal(signal, RATE_HZ)
    assert quality.verdict == "unusable"
    assert quality.reason == (
        "Leads aVF, V1, V2, V3, V4, V5 and V6 are flat. At least 6 of the 12 leads must carry a signal for 2.5 s."
    )


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


def test_scores_tell_recordings_from_damaged_copies(ludb_signals, clean_scores):
    rng = np.random.default_rng(2011)
    scores = [
        judge_signal(damaged(signal, KINDS[i % len(KINDS)], rng), RATE_HZ).score
        for i, signal in enumerate(ludb_signals)
    ]
    assert area_under_curve(clean_scores, scores) >= 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_scores_tell_each_kind_of_damage(kind, ludb_signals, clean_scores):
    rng = np.random.default_rng(7)
    scores = [judge_signal(damaged(signal, kind, rng), RATE_HZ).score for signal in ludb_signals[::4]]
    assert area_under_curve(clean_scores, scores) >= 0.95


def test_real_recordings_are_rarely_called_limited_and_never_unusable(clean_qualities):
    verdicts = [quality.verdict for quality in clean_qualities]
    assert verdicts.count("unusable") == 0
    assert verdicts.count("limited") <= 5
