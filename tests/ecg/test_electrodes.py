"""Swapped, shuffled and upturned leads, made by algebra from LUDB and simulated hearts; pacing of LUDB."""

import numpy as np
import pytest

from benchmarks import measurements
from echo2ecg_core.ecg.electrodes import OUT_OF_ORDER, REVERSED, UPSIDE_DOWN
from echo2ecg_core.ecg.quality import judge_signal

RATE_HZ = measurements.RATE_HZ


@pytest.fixture(scope="module")
def ludb_signals(samples):
    """Signals and words of every fourth LUDB recording and of all with pacing."""
    records = sorted(path.with_suffix("") for path in (samples / "ecg" / "ludb_labelled").glob("*.hea"))
    found = [measurements.read_signal(record) for record in records]
    paced = [one for one in found if "ventricular pacing" in one[1].lower()]
    assert len(paced) == 4
    return paced, [one for one in found if "ventricular pacing" not in one[1].lower()][::4]


def phantom_signals(count=20):
    from echo2ecg_core.phantom.ecg import simulate_ecg
    from echo2ecg_core.phantom.heart import draw_heart

    hearts = [draw_heart(np.random.default_rng([31, seed])) for seed in range(count)]
    return [simulate_ecg(heart, np.random.default_rng([32, i])).astype(float) for i, heart in enumerate(hearts)]


def notes(signal):
    return " ".join(judge_signal(signal, RATE_HZ).notes)


@pytest.mark.slow
def test_pacing_is_noted_in_paced_recordings_only_and_no_swap_is_read_into_it(ludb_signals):
    paced, others = ludb_signals
    for signal, _ in paced:
        assert "Pacing spikes" in notes(signal) and "swapped" not in notes(signal)
    assert not [words for signal, words in others if "Pacing spikes" in notes(signal)]


@pytest.mark.slow
def test_no_swap_is_named_in_recordings_as_they_are(ludb_signals):
    signals = [signal for signal, _ in ludb_signals[1]] + phantom_signals()
    assert not [i for i, signal in enumerate(signals) if "swapped" in notes(signal)]


@pytest.mark.slow
@pytest.mark.parametrize("swap", ["right arm and left arm", "right arm and left leg"])
def test_most_swaps_with_the_right_arm_are_named(ludb_signals, swap):
    words, change = measurements.SWAPS[swap]
    named = [
        f"electrodes of {words} were swapped"
        in notes(measurements.twelve_leads(*change(signal[0], signal[1]), signal[6:]))
        for signal, _ in ludb_signals[1]
    ]
    assert np.mean(named) >= 0.85


def test_a_swap_of_left_arm_and_left_leg_is_not_guessed(ludb_signals):
    signals = [measurements.twelve_leads(signal[1], signal[0], signal[6:]) for signal, _ in ludb_signals[1][::2]]
    assert not [i for i, signal in enumerate(signals) if "swapped" in notes(signal)]


def test_lateral_scar_with_an_upright_p_wave_is_no_arm_swap():
    """The QRS complex and T wave of lead I are upside down, those of V6 and every P wave are not."""
    signal = phantom_signals(1)[0]
    swapped = measurements.twelve_leads(-signal[0], signal[1] - signal[0], signal[6:])
    assert "left arm and right arm" in notes(swapped)
    from echo2ecg_core.ecg.beats import find_beats, samples
    from echo2ecg_core.ecg.delineate import delineate

    beats = find_beats(signal)
    waves = delineate(beats.windows, 0.8)
    one = signal[0].copy()
    for peak in beats.r_peaks:  # turn over QRS and T alone
        first = max(0, peak + waves.qrs_onset - samples(550))
        part = slice(first, first + (waves.t_offset - waves.qrs_onset))
        one[part] = 2 * one[first] - one[part]
    assert "swapped" not in notes(measurements.twelve_leads(one, signal[1], signal[6:]))


@pytest.mark.parametrize(
    "kind, change, sentence, share",
    [
        ("shuffled", lambda s: np.vstack([s[:6], s[[9, 6, 11, 8, 10, 7]]]), OUT_OF_ORDER, 0.95),
        ("far ones exchanged", lambda s: np.vstack([s[:6], s[[6, 10, 8, 9, 7, 11]]]), OUT_OF_ORDER, 0.8),
        ("reversed", lambda s: np.vstack([s[:6], s[:5:-1]]), REVERSED, 0.8),
        ("upside down", lambda s: -s, UPSIDE_DOWN, 0.8),
    ],
)
def test_misplaced_leads_are_told(ludb_signals, kind, change, sentence, share):
    found = [measurements.misplaced(change(signal)) for signal, _ in ludb_signals[1]]
    assert np.mean([confidence >= 0.5 and words == sentence for confidence, words in found]) >= share


@pytest.mark.slow
def test_leads_in_place_are_not_called_misplaced(ludb_signals):
    signals = [signal for signal, _ in [*ludb_signals[0], *ludb_signals[1]]] + phantom_signals(40)
    assert not [i for i, signal in enumerate(signals) if measurements.misplaced(signal)[0] >= 0.5]
