"""Cleaning and resampling against the golden arrays of the published method and against a sparse solver."""

import json
import subprocess
import sys

import numpy as np
import pydicom
import pytest
import scipy.signal
from pydicom.data import get_testdata_file

from echo2ecg_core.ecg.preprocess import CLEANING, clean, clean_many, clean_whole, prepare_ecg, resample, without_offset
from echo2ecg_core.errors import SignalError
from tests.goldens.places import at_stored_places

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden_arrays(goldens):
    return np.load(goldens / "ecg_preprocess.npz")


@pytest.fixture(scope="module")
def golden_inputs(goldens, golden_arrays):
    """The inputs of all cases, made by the formulas beside the goldens."""
    sys.path.insert(0, str(goldens))
    try:
        import golden_inputs as formulas
    finally:
        sys.path.remove(str(goldens))
    cases = formulas.ecg_cases(json.loads((goldens / "constants.json").read_text()))
    return cases | {"real": real_recording()}


def real_recording():
    """(12, 5000) float32 in microvolts: the ECG in pydicom's test data, halved to 500 Hz as the goldens' input was."""
    recording = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm")).waveform_array(0).T
    return scipy.signal.resample(recording.astype(np.float32), 5000, axis=1)


def recording(seed=0, n=1200):
    """(12, n) float32: a wandering, noisy signal of order 1 mV."""
    rng = np.random.default_rng(seed)
    time = np.arange(n) / 500
    wander = 0.5 * np.sin(2 * np.pi * 0.3 * time + np.arange(12)[:, None])
    return (wander + 0.2 * rng.standard_normal((12, n))).astype(np.float32)


def baseline_by_sparse_lu(lead):
    """The slow obvious version: build the system of the definition and solve it five times."""
    import scipy.sparse
    from scipy.sparse.linalg import spsolve

    n = len(lead)
    differences = scipy.sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(n - 2, n))
    penalty = 1e7 * differences.T @ differences
    weights = np.ones(n)
    for _ in range(5):
        baseline = spsolve((scipy.sparse.diags(weights) + penalty).tocsc(), weights * lead)
        weights = 0.3 * (lead > baseline) + 0.7 * (lead < baseline)
    return baseline


@pytest.mark.parametrize("case", ["clean", "spike", "nan", "real", "flat_const", "flat_zero", "nan_lead"])
def test_cleaning_gives_the_published_numbers(case, golden_inputs, golden_arrays):
    expected = golden_arrays[f"{case}_processed"]
    cleaned = clean(golden_inputs[case])
    assert cleaned.dtype == np.float32 and cleaned.shape == (12, 5000)
    np.testing.assert_allclose(at_stored_places(cleaned, expected), expected, atol=TOLERANCE, rtol=0)


def test_the_baseline_gives_the_published_numbers_after_one_and_after_all_iterations(golden_inputs, golden_arrays):
    from echo2ecg_core.ecg.baseline import asymmetric_baseline

    signal = golden_inputs["clean"]
    limit = 4 * golden_arrays["clean_std"]
    clipped = np.clip(signal, -limit, limit)
    for found, key in (
        (asymmetric_baseline(clipped)[[1, 8]], "clean_baseline_leads_1_8"),
        (asymmetric_baseline(clipped[[1]], iterations=1)[0], "clean_baseline_first_iteration_lead_1"),
    ):
        expected = golden_arrays[key]
        np.testing.assert_allclose(at_stored_places(found, expected), expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("case", ["clean", "real"])
@pytest.mark.parametrize("to_hz", [100, 400])
def test_both_orders_of_cleaning_and_resampling_give_the_published_numbers(case, to_hz, golden_inputs, golden_arrays):
    signal = golden_inputs[case]
    for found, key in (
        (resample(clean(signal), 500, to_hz), f"{case}_process_then_resample{to_hz}"),
        (clean(resample(signal, 500, to_hz)), f"{case}_resample{to_hz}_then_process"),
    ):
        assert found.shape == (12, 10 * to_hz)
        expected = golden_arrays[key]
        np.testing.assert_allclose(at_stored_places(found, expected), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("case", ["clean", "real"])
def test_raw_resampling_gives_the_published_numbers(case, golden_inputs, golden_arrays):
    expected = golden_arrays[f"{case}_resample100"]
    tolerance = TOLERANCE * max(1.0, np.abs(expected).max() / 10)  # `real` is in microvolts
    found = at_stored_places(resample(golden_inputs[case], 500, 100), expected)
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("from_hz, key", [(500, "odd_4999_to_100"), (257, "odd_4999_from257_to_100")])
def test_odd_lengths_and_rates_resample_to_the_published_numbers(from_hz, key, golden_inputs, golden_arrays):
    resampled, expected = resample(golden_inputs["clean"][:2, :4999], from_hz, 100), golden_arrays[key]
    assert resampled.shape == (2, 499900 // from_hz)
    np.testing.assert_allclose(at_stored_places(resampled, expected), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("order", ["clean_then_resample", "resample_then_clean"])
def test_prepared_windows_are_the_published_steps_on_the_recording_without_its_offset(order, golden_inputs):
    """`clean` and `resample` are held to the goldens above; here they are put together by hand."""
    signal = without_offset(golden_inputs["clean"])
    steps = {
        "clean_then_resample": lambda: resample(clean(signal), 500, 400),
        "resample_then_clean": lambda: clean(resample(signal, 500, 400)),
    }
    windows = prepare_ecg(golden_inputs["clean"], 500, order=order, windows="all")
    assert windows.shape == (3, 12, 1008) and windows.dtype == np.float32
    for number, window in enumerate(windows):
        expected = steps[order]()[:, number * 1008 : (number + 1) * 1008]
        np.testing.assert_allclose(window, expected, atol=TOLERANCE, rtol=0)
    first = prepare_ecg(golden_inputs["clean"], 500, order=order)
    np.testing.assert_array_equal(first, windows[:1])


def mid_of_shortest_half(values):
    """The slow obvious version of the shorth: try every interval that holds half of the samples."""
    values = sorted(float(v) for v in values if np.isfinite(v))
    half = (len(values) + 1) // 2
    starts = range(len(values) - half + 1)
    best = min(starts, key=lambda i: values[i + half - 1] - values[i])
    return float(np.mean(values[best : best + half]))


def test_the_offset_is_the_mean_of_the_shortest_half_of_each_lead_and_gaps_do_not_count():
    signal = recording(n=301)
    signal[2, 40:90] = np.nan
    signal[5] = np.nan
    taken = signal - without_offset(signal)
    for row in (0, 2, 11):
        assert np.nanmax(np.abs(taken[row] - mid_of_shortest_half(signal[row]))) < 1e-6
    assert np.isnan(without_offset(signal)[5]).all()


@pytest.mark.parametrize("order", ["clean_then_resample", "resample_then_clean"])
def test_an_offset_changes_nothing_that_the_network_sees(order):
    signal = recording(n=2000)
    signal[3, 400:500] = np.nan
    shifted = signal + np.array([10, -3, 0.5, 0, 2, 2, 1, -8, 0.25, 4, 5, 10], np.float32)[:, None]
    there, here = (prepare_ecg(x, 500, windows="all", order=order) for x in (shifted, signal))
    np.testing.assert_allclose(there, here, atol=2e-4)
    assert np.abs(prepare_ecg(signal, 500) - resample(clean(np.nan_to_num(shifted)), 500, 400)[:, :1008]).max() > 0.5


@pytest.mark.parametrize("rate_hz", [125, 250, 257, 1000, 2000])
def test_the_same_heart_at_another_rate_gives_the_same_windows(rate_hz):
    """A band-limited signal, which every one of these rates can hold, written down at each of them."""
    heart = resample(recording(n=5200), 500, 50)[:, 10:510]  # 10 s, whole samples at every rate

    def at(rate):
        return resample(heart, 50, rate)

    there, here = (prepare_ecg(at(rate), rate, windows="all") for rate in (rate_hz, 500))
    assert there.shape == here.shape
    assert np.sqrt(((there - here) ** 2).mean()) < 0.02


@pytest.mark.parametrize("n", [3, 4, 5, 250])
def test_the_compiled_baseline_equals_the_sparse_solution_at_any_length(n):
    from echo2ecg_core.ecg.baseline import asymmetric_baseline

    leads = recording(seed=n, n=n)
    expected = np.array([baseline_by_sparse_lu(lead.astype(np.float64)) for lead in leads])
    np.testing.assert_allclose(asymmetric_baseline(leads), expected, atol=1e-7, rtol=0)


def test_an_all_zero_recording_stays_zero_and_finite():
    np.testing.assert_array_equal(clean(np.zeros((12, 500))), np.zeros((12, 500)))


def test_a_gap_becomes_zero_and_leaves_no_nan_in_either_order():
    signal = recording(n=2000)
    signal[3, 400:500] = np.nan
    for order in ("clean_then_resample", "resample_then_clean"):
        windows = prepare_ecg(signal, 500, target_hz=250, n_samples=500, order=order)
        assert np.isfinite(windows).all()


def test_cleaning_many_recordings_equals_cleaning_each():
    signals = [recording(seed, n=600 + 50 * seed) for seed in range(4)]
    for together, alone in zip(clean_many(signals, threads=2), map(clean, signals), strict=True):
        np.testing.assert_array_equal(together, alone)


def test_nothing_is_resampled_at_the_rate_at_which_cleaning_happens():
    signal = recording(n=1100)
    expected = clean(without_offset(signal))[:, :1008]
    np.testing.assert_array_equal(prepare_ecg(signal, 500.0, target_hz=500.0)[0], expected)
    at_target = prepare_ecg(signal, 400.0, order="resample_then_clean")[0]
    np.testing.assert_array_equal(at_target, expected)


def test_a_recording_of_exactly_one_window_is_long_enough_at_every_rate():
    for rate_hz in (125, 250, 360, 400, 500, 1000):
        n_samples = int(np.ceil(2.52 * rate_hz))
        assert prepare_ecg(recording(n=n_samples), rate_hz).shape == (1, 12, 1008)


def test_resampling_keeps_the_dtype():
    assert resample(np.ones((2, 10), dtype=np.float64), 10, 5).dtype == np.float64
    assert resample(np.ones((2, 10), dtype=np.float32), 10, 5).dtype == np.float32


def test_a_recording_shorter_than_a_window_is_refused_in_words():
    with pytest.raises(SignalError, match=r"lasts 2\.00 s, but the model reads windows of 2\.52 s.*at least 2\.52 s"):
        prepare_ecg(recording(n=1000), 500)


def test_the_wrong_number_of_leads_is_refused_in_words():
    with pytest.raises(SignalError, match=r"Expected 12 leads .* found an array of shape \(8, 1000\)"):
        clean(np.zeros((8, 1000)))


@pytest.mark.parametrize("rate_hz", [500, 250])
def test_the_number_of_the_cleaning_stands_for_these_numbers(rate_hz):
    """Vectors keep the number: whoever changes what cleaning gives raises it and renews these."""
    t = np.arange(0, 10, 1 / rate_hz)
    beats = [(0.2 + 0.1 * k) * np.exp(-(((t % 0.8 - 0.3) / (0.02 + 0.002 * k)) ** 2)) for k in range(12)]
    wander = [0.3 * np.sin(0.6 * np.pi * t + k) + 0.2 * k for k in range(12)]
    cleaned = clean_whole(np.array(beats) + wander, rate_hz)
    assert CLEANING == 2
    np.testing.assert_allclose(cleaned[[0, 4, 9], [120, 1000, 2600]], [3.3058, -0.2994, -0.3744], atol=1e-3)


def test_infinite_samples_are_refused_in_words():
    signal = recording(n=2000)
    signal[0, 7] = np.inf
    with pytest.raises(SignalError, match="holds infinite numbers"):
        prepare_ecg(signal, 500)


def test_importing_the_file_loads_neither_numba_nor_scipy():
    code = (
        "import sys, echo2ecg_core.ecg.preprocess\n"
        "assert not {'numba', 'scipy', 'scipy.signal'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_warming_up_compiles_what_cleaning_needs_so_that_the_first_recording_compiles_nothing():
    code = (
        "import numpy as np; from echo2ecg_core.ecg import preprocess; preprocess.warm_up(); "
        "from echo2ecg_core.ecg import baseline; made = lambda: (len(baseline._solve.signatures), "
        "len(baseline._reweight.signatures)); "
        "before = made(); preprocess.clean(np.random.default_rng(0).normal(size=(12, 5000)).astype(np.float32)); "
        "assert min(before) >= 1 and made() == before, (before, made())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
