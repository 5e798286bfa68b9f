"""Inputs of other people's ECG models against the published code's numbers, and against slow obvious versions."""

import importlib.util
import json

import numpy as np
import pytest

from echo2ecg_core.ecg.preprocess import echonext_tabular, prepare_ecgfounder, prepare_echonext
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.ready_inputs import choices_made
from echo2ecg_core.errors import SignalError

COUNT = 0.00488


@pytest.fixture(scope="module")
def others(goldens):
    folder = goldens / "others"
    spec = importlib.util.spec_from_file_location("inputs_others", folder / "inputs_others.py")
    inputs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(inputs)
    constants = json.loads((goldens / "constants.json").read_text())

    def read(name):
        return json.loads((folder / f"{name}.json").read_text()), dict(np.load(folder / f"{name}.npz"))

    return inputs, constants, read


def ecg(n, rate, seed=0):
    """(12, n) mV: beats over noise and wander, so that medians, clips and filters all have work."""
    generator, t = np.random.default_rng(seed), np.arange(n) / rate
    beat = np.exp(-(((t % 0.9) - 0.4) ** 2) / 2e-4)
    gains = generator.uniform(-1.5, 1.5, (12, 1))
    return (gains * beat + 0.2 * np.sin(0.6 * t) + 0.03 * generator.standard_normal((12, n))).astype(np.float32)


def slow_median(lead, width):
    padded = np.concatenate([np.zeros(width // 2), lead, np.zeros(width // 2)])
    return np.array([np.median(padded[i : i + width]) for i in range(len(lead))])


@pytest.mark.parametrize("case", ["a250", "b500"])
def test_an_ecg_is_prepared_for_echonext_as_published(others, case):
    inputs, constants, read = others
    signal, rate = inputs.echonext_ecgs(constants)[case]
    np.testing.assert_allclose(prepare_echonext(signal, rate), read("echonext")[1][f"{case}_prepared"], atol=1e-5)


def test_a_muse_file_is_prepared_for_echonext_as_published(others, samples):
    facts, arrays = others[2]("echonext")
    record = read_ecg(samples / facts["muse"]["file"])
    found = prepare_echonext(record.signal_mv, record.sampling_rate_hz)
    np.testing.assert_allclose(found[:, ::5], arrays["muse_prepared_every_5th"], atol=1e-4)


def test_the_seven_numbers_are_the_published_ones(others):
    facts = others[2]("echonext")[0]
    for patient in [*facts["patients"], facts["muse"] | facts["muse"]["patient"]]:
        told = {k: v for k, v in patient.items() if k in (*facts["muse"]["patient"],)}
        np.testing.assert_allclose(echonext_tabular(**told), patient["vector"], atol=1e-6)


@pytest.mark.parametrize("case", ["clean", "nan"])
def test_an_ecg_is_prepared_for_ecgfounder_as_published(others, case):
    inputs, constants, read = others
    found = prepare_ecgfounder(inputs.ecgfounder_ecgs(constants)[case], 500.0)
    arrays = read("ecgfounder")[1]
    if case == "clean":
        np.testing.assert_allclose(found, arrays["clean_prepared"], atol=5e-5)
    else:
        np.testing.assert_allclose(found[:, ::5], arrays["nan_prepared"], atol=5e-5)
        np.testing.assert_allclose(found[:, :200], arrays["nan_first_200"], atol=5e-5)


def test_echonext_recomputes_the_four_derived_leads_and_takes_every_second_sample_unfiltered():
    signal = ecg(5000, 500.0)
    changed = signal.copy()
    changed[2:6] = 5.0  # what the file says of III, aVR, aVL, aVF is not read
    changed[:, 1::2] = 9.0  # nor is every other sample
    np.testing.assert_array_equal(prepare_echonext(signal, 500.0), prepare_echonext(changed, 500.0))
    np.testing.assert_array_equal(prepare_echonext(signal, 500.0), prepare_echonext(signal[:, ::2], 250.0))


def test_echonext_baseline_is_a_running_median_of_a_running_median_with_zeros_beyond_the_ends():
    from echo2ecg_core.ecg.ready_inputs import ECHONEXT_LOWER, ECHONEXT_MEAN, ECHONEXT_STD, ECHONEXT_UPPER

    signal = ecg(2500, 250.0, seed=1)
    found = prepare_echonext(signal, 250.0)
    for lead in (1, 9):
        counts = signal[lead].astype(np.float64) / COUNT
        level = counts - slow_median(slow_median(counts, 51), 151)
        expected = np.clip(level, ECHONEXT_LOWER[lead], ECHONEXT_UPPER[lead]) - ECHONEXT_MEAN[lead]
        np.testing.assert_allclose(found[lead], expected / ECHONEXT_STD[lead], atol=1e-5)


def test_leads_are_not_exchanged_on_the_way():
    for prepare, n, rate in ((prepare_echonext, 2500, 250.0), (prepare_ecgfounder, 5000, 500.0)):
        signal = np.zeros((12, n), np.float32)
        signal[10] = ecg(n, rate)[10]
        found = prepare(signal, rate)
        assert np.abs(found - found[:, :1]).max(axis=1).argmax() == 10


@pytest.mark.parametrize("rate", [257.3, 360.0, 400.0, 1000.0])
def test_other_rates_keep_the_heart_rate_and_are_told(rate):
    n = int(10.4 * rate)
    for prepare, hz in ((prepare_echonext, 250.0), (prepare_ecgfounder, 500.0)):
        slow, plain = prepare(ecg(n, rate, seed=2), rate), prepare(ecg(int(10 * hz), hz, seed=2), hz)
        assert slow.shape == plain.shape == (12, int(10 * hz)) and slow.dtype == np.float32
        middle = slice(int(hz), int(9 * hz))
        assert np.corrcoef(slow[6, middle], plain[6, middle])[0, 1] > 0.8
        words = " ".join(choices_made(ecg(n, rate), rate, hz))
        assert f"Resampled from {rate:g} to {hz:g} Hz" in words and "first 10 s of 10.4 s" in words


def test_missing_samples_count_as_zero_and_are_told():
    signal = ecg(5000, 500.0)
    signal[3, 100:900] = np.nan
    for prepare in (prepare_echonext, prepare_ecgfounder):
        np.testing.assert_array_equal(prepare(signal, 500.0), prepare(np.nan_to_num(signal), 500.0))
    assert choices_made(signal, 500.0, 500.0) == ("Missing samples count as 0 mV.",)
    assert choices_made(np.zeros((12, 5000)), 500.0, 250.0) == ()


def test_a_recording_of_nearly_ten_seconds_is_read_and_half_of_one_only_by_ecgfounder():
    assert prepare_echonext(ecg(4990, 500.0), 500.0).shape == (12, 2500)
    assert prepare_ecgfounder(ecg(2600, 500.0), 500.0).shape == (12, 5000)
    with pytest.raises(SignalError, match=r"lasts 5\.20 s.*at least 9\.5 s"):
        prepare_echonext(ecg(2600, 500.0), 500.0)
    with pytest.raises(SignalError, match=r"lasts 4\.00 s.*at least 5 s"):
        prepare_ecgfounder(ecg(2000, 500.0), 500.0)


@pytest.mark.parametrize("prepare", [prepare_echonext, prepare_ecgfounder])
def test_what_is_no_ecg_is_refused_in_words(prepare):
    with pytest.raises(SignalError, match="12 leads"):
        prepare(np.zeros((8, 5000)), 500.0)
    with pytest.raises(SignalError, match="infinite"):
        prepare(np.full((12, 5000), np.inf), 500.0)


def test_a_missing_number_becomes_zero_or_the_median_and_a_measured_zero_stays():
    nothing = echonext_tabular()
    np.testing.assert_allclose(
        nothing, [0.5, 0.108085, -0.116682, -2.008022, -2.474513, -0.219882, -0.096770], atol=1e-5
    )
    assert echonext_tabular(qrs_ms=0.0)[5] == pytest.approx(-94.80925836 / 21.87202175, abs=1e-5)
    assert echonext_tabular(sex="male")[0] == 1 and echonext_tabular(sex="female")[0] == 0
    with pytest.raises(SignalError, match="sex"):
        echonext_tabular(sex="unknown to us")
