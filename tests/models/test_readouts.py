"""Readouts on made data whose truth is known: a linear phenotype with noise that grows where its value is low."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models import readouts as readouts_module
from echo2ecg_core.models.outside import Outside
from echo2ecg_core.models.predictive import SMALLEST_CALIBRATION
from echo2ecg_core.models.readouts import LabelledVectors, Readouts


def made(rng, n, patients=None):
    """n ECGs of twelve numbers of which two tell the LVEF."""
    x = rng.normal(size=(n, 12))
    clean = 55 + 8 * x[:, 0] - 4 * x[:, 1]
    y = clean + rng.normal(size=n) * np.where(clean > 55, 2.0, 6.0)
    return LabelledVectors(x, x[:, :6] + 1, {"lvef": y}, np.arange(n) if patients is None else patients)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    return Readouts.fit(made(rng, 1500), made(rng, 900)), made(rng, 600)


@pytest.mark.slow
def test_ninety_percent_intervals_cover_ninety_percent_of_new_patients(fitted):
    readouts, test = fitted
    low, high = readouts.intervals("lvef", test.embedding).T
    inside = (test.labels["lvef"] >= low) & (test.labels["lvef"] <= high)
    assert abs(np.mean(inside) - 0.9) < 0.035  # binomial 99 % band for 600 draws, calibration noise included


@pytest.mark.slow
@pytest.mark.parametrize("calibration", [19, 30, 45, 300])
def test_over_many_resplits_ninety_percent_intervals_cover_ninety_percent_however_few_calibrate(calibration):
    rng, covered = np.random.default_rng(1), []
    train = made(rng, 300)
    readouts = Readouts.fit(train, made(rng, 19))
    for _ in range(40):
        new, test = made(rng, calibration), made(rng, 100)
        predicted = readouts.predict("lvef", new.embedding)
        found = readouts_module.Predictive.fit(predicted, new.labels["lvef"], new.patients)
        low, high = found.intervals(readouts.predict("lvef", test.embedding)).T
        covered.append(np.mean((test.labels["lvef"] >= low) & (test.labels["lvef"] <= high)))
    error = np.std(covered) / np.sqrt(40)
    # few calibration ECGs give the next larger interval they can tell; n = 300 can tell 90 %
    assert 0.88 - 3 * error <= np.mean(covered) <= (0.97 if calibration < 50 else 0.92) + 3 * error


@pytest.mark.parametrize("calibration", [1, 5, SMALLEST_CALIBRATION - 1])
def test_too_few_calibration_ecgs_give_a_value_and_no_interval(calibration):
    rng = np.random.default_rng(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        readouts, x = Readouts.fit(made(rng, 80), made(rng, calibration)), made(rng, 5).embedding
    again = Readouts.from_tensors(readouts.tensors())
    for each in (readouts, again):
        estimate = each.estimate("lvef", x[0])
        assert estimate.interval is None and estimate.samples is None and np.isfinite(estimate.value)
        assert each.intervals("lvef", x) is None and each.chances_at_most("lvef", x, 40.5) is None


@pytest.mark.parametrize("calibration", [SMALLEST_CALIBRATION, 20, 33, 45])
def test_from_nineteen_calibration_ecgs_on_every_interval_is_finite(calibration):
    assert SMALLEST_CALIBRATION == 19  # (n + 1) * 0.05 >= 1
    rng = np.random.default_rng(3)
    readouts, x = Readouts.fit(made(rng, 80), made(rng, calibration)), 3 * made(rng, 200).embedding
    assert np.isfinite(readouts.intervals("lvef", x)).all() and np.isfinite(readouts.values("lvef", x)).all()


def test_the_interval_of_one_ecg_is_that_among_many(fitted):
    readouts, test = fitted
    many, x = readouts.intervals("lvef", test.embedding[:40]), test.embedding[:40]
    np.testing.assert_allclose(many, [readouts.estimate("lvef", e).interval for e in x])
    np.testing.assert_allclose(readouts.values("lvef", x), [readouts.estimate("lvef", e).value for e in x])


def test_intervals_are_wider_where_the_residuals_are_wider(fitted):
    readouts, test = fitted
    predicted, widths = readouts.predict("lvef", test.embedding), np.diff(readouts.intervals("lvef", test.embedding))
    assert widths[predicted < 48].mean() > 1.5 * widths[predicted > 62].mean()


def test_value_interval_and_chances_agree_with_one_distribution(fitted):
    readouts, test = fitted
    for embedding in test.embedding[:30]:
        estimate = readouts.estimate("lvef", embedding)
        assert estimate.interval[0] < estimate.value < estimate.interval[1]
        assert estimate.chance_at_most(estimate.value) == pytest.approx(0.5, abs=0.01)
        assert 0 < estimate.chance_at_most(-1e9) < 0.01 < 0.99 < estimate.chance_at_most(1e9) < 1
        inside = estimate.chance_at_most(estimate.interval[1]) - estimate.chance_at_most(estimate.interval[0])
        assert inside == pytest.approx(0.9, abs=0.01)
        for limit in (40.5, 49.5):
            (chance,) = readouts.chances_at_most("lvef", embedding[None], limit)
            assert chance == pytest.approx(estimate.chance_at_most(limit), abs=1e-3)


@pytest.mark.slow
def test_an_interval_leaves_out_less_on_the_side_of_the_disease_and_covers_the_diseased():
    rng = np.random.default_rng(4)

    def shrunken(n):  # what least squares makes of a weak signal: low values are predicted too high
        made_of = made(rng, n)
        hidden = rng.normal(0, 9, n)
        made_of.labels["lvef"] += np.minimum(hidden, 0)
        return made_of

    readouts, test = Readouts.fit(shrunken(1500), shrunken(2000)), shrunken(4000)
    low, high = readouts.intervals("lvef", test.embedding).T
    y = test.labels["lvef"]
    inside, below = (y >= low) & (y <= high), readouts.heads["lvef"].predictive.tails[0]
    assert below < 0.05 and inside.mean() == pytest.approx(0.9, abs=0.02)
    assert inside[y < 40.5].mean() > 0.86


def test_the_strength_of_the_ridge_is_chosen_by_patient_not_by_row():
    """Ten ECGs of a patient share what tells the patient and nothing of the heart: by row it looks worth learning."""
    rng = np.random.default_rng(5)
    patients = np.repeat(np.arange(40), 10)
    x = rng.normal(size=(40, 30))[patients] + 0.05 * rng.normal(size=(400, 30))
    y = rng.normal(size=40)[patients][:, None]
    by_patient, residuals = readouts_module._strengths(x, y, patients)
    by_row, _ = readouts_module._strengths(x, y, np.arange(400))
    strength = readouts_module.ALPHAS[by_patient[0]]
    assert strength >= 100 * readouts_module.ALPHAS[by_row[0]]
    # against a slow obvious version: every patient left out, one at a time
    errors = []
    for alpha in readouts_module.ALPHAS:
        guess = np.empty(400)
        for patient in range(40):
            out = patients == patient
            guess[out] = Ridge(alpha=alpha).fit(x[~out], y[~out, 0]).predict(x[out])
        errors.append(np.mean((guess - y[:, 0]) ** 2))
    slow = readouts_module.ALPHAS[int(np.argmin(errors))]
    assert slow / 10 <= strength <= slow * 10
    for fitted, out in GroupKFold(readouts_module.PATIENT_FOLDS).split(x, groups=patients):
        left_out = y[out, 0] - Ridge(alpha=strength).fit(x[fitted], y[fitted, 0]).predict(x[out])
        np.testing.assert_allclose(residuals[out, 0], left_out, atol=1e-8)


@pytest.mark.slow
def test_of_two_ecgs_with_one_prediction_the_less_sure_one_has_the_wider_interval_and_both_are_covered():
    rng = np.random.default_rng(9)

    def two_kinds(n):  # the second number tells how sure an ECG is, and nothing of the heart
        made_of = made(rng, n)
        x = made_of.embedding
        x[:, 1] = np.where(rng.random(n) < 0.2, 2.0, -0.5)
        made_of.labels["lvef"] = 55 + 8 * x[:, 0] + rng.normal(size=n) * np.where(x[:, 1] > 0, 9.0, 4.0)
        return made_of

    readouts, test = Readouts.fit(two_kinds(1500), two_kinds(2000)), two_kinds(4000)
    low, high = readouts.intervals("lvef", test.embedding).T
    inside, unsure = (test.labels["lvef"] >= low) & (test.labels["lvef"] <= high), test.embedding[:, 1] > 0
    assert inside[unsure].mean() > 0.85 and inside[~unsure].mean() > 0.87
    assert np.median((high - low)[unsure]) > 1.5 * np.median((high - low)[~unsure])
    told = readouts.chances_at_most("lvef", test.embedding[unsure], 40.5)
    assert told.mean() == pytest.approx(np.mean(test.labels["lvef"][unsure] <= 40.5), abs=0.04)


def test_the_ridge_is_that_of_scikit_learn():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(200, 9)) + 3, rng.normal(size=(200, 2)) + 5
    weights, biases = readouts_module._ridge_path(x, y)
    for row, alpha in enumerate(readouts_module.ALPHAS):
        slow = Ridge(alpha=alpha).fit(x, y)
        np.testing.assert_allclose(weights[row].T, slow.coef_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(biases[row], slow.intercept_, rtol=1e-6)


def test_phenotypes_measured_in_other_ecgs_are_fitted_each_on_its_own():
    rng = np.random.default_rng(6)
    train, calibration = made(rng, 300), made(rng, 100)
    train.labels["tapse"] = np.where(np.arange(300) % 3 == 0, np.nan, 2 + 0.2 * train.embedding[:, 2])
    calibration.labels["tapse"] = np.full(100, np.nan)
    together = Readouts.fit(train, calibration)
    train.labels.pop("tapse")
    alone = Readouts.fit(train, calibration)
    np.testing.assert_allclose(
        together.values("lvef", calibration.embedding), alone.values("lvef", calibration.embedding), rtol=1e-9
    )
    assert together.heads["tapse"].predictive is None
    assert np.corrcoef(together.values("tapse", calibration.embedding), calibration.embedding[:, 2])[0, 1] > 0.9


def test_far_ecgs_are_outside_in_the_way_they_differ_and_new_ones_of_the_same_kind_mostly_not(fitted):
    readouts, test = fitted
    signal, embedding = test.outside, test.embedding
    assert readouts.outside.flags(signal, embedding).mean() <= 0.1
    shares = readouts.outside.shares(signal + 9, embedding)
    assert shares["signal"] == shares["share"] == 1 and shares["embedding"] < 0.1
    shares = readouts.outside.shares(signal, embedding + 9)
    assert shares["embedding"] == shares["share"] == 1 and shares["signal"] < 0.1


def test_tensors_round_trip_and_name_what_is_missing(fitted):
    readouts, test = fitted
    tensors, x = readouts.tensors(), test.embedding[:20]
    again = Readouts.from_tensors(tensors)
    np.testing.assert_allclose(again.intervals("lvef", x), readouts.intervals("lvef", x), atol=1e-3)
    np.testing.assert_allclose(again.values("lvef", x), readouts.values("lvef", x), atol=1e-3)
    with pytest.raises(ModelError, match="outside.centre"):
        Readouts.from_tensors({k: v for k, v in tensors.items() if k != "outside.centre"})


def test_readouts_that_kept_the_whitening_apart_load_and_say_the_same(fitted):
    readouts, test = fitted
    whitening, older = readouts.kernel.whitening(), dict(readouts.tensors())
    for key in ("weight", "spread"):
        on_features = np.linalg.lstsq(whitening, older[f"head.lvef.{key}"][: len(whitening)], rcond=None)[0]
        older[f"head.lvef.{key}"] = np.append(on_features, older[f"head.lvef.{key}"][len(whitening) :])
    again = Readouts.from_tensors(older | {"kernel.whitening": whitening})
    np.testing.assert_allclose(
        again.intervals("lvef", test.embedding), readouts.intervals("lvef", test.embedding), atol=1e-3
    )
    assert "kernel.whitening" not in again.tensors()


def test_readouts_of_version_0_1_load_and_measure_the_signal_alone(fitted):
    readouts, test = fitted
    head, calibration = readouts.heads["lvef"], made(np.random.default_rng(7), 400)
    predicted = readouts.predict("lvef", calibration.embedding)
    old = readouts.kernel.tensors() | Outside(readouts.outside.signal).tensors()
    old |= {
        "head.lvef.weight": head.weight,
        "head.lvef.bias": np.array([head.bias]),
        "head.lvef.edges": np.quantile(predicted, [1 / 3, 2 / 3]),
        "head.lvef.calibration": np.stack([predicted, calibration.labels["lvef"] - predicted], 1),
    }
    loaded = Readouts.from_tensors(old)
    low, high = loaded.intervals("lvef", test.embedding).T
    inside = (test.labels["lvef"] >= low) & (test.labels["lvef"] <= high)
    assert abs(inside.mean() - 0.9) < 0.04
    assert set(loaded.outside.percentiles(test.outside, test.embedding)) == {"signal"}


def test_outside_features_tell_a_mains_filter_and_a_lone_noisy_lead_from_the_rest():
    from echo2ecg_core.models.outside import BANDS_HZ, outside_features

    rng = np.random.default_rng(3)
    windows = rng.normal(size=(1, 2, 12, 1008)).astype(np.float32)
    plain = outside_features(windows, 400.0)[0]
    n = len(BANDS_HZ) - 1
    assert plain.shape == (2 * n,)
    spectrum = np.fft.rfft(windows, axis=3)
    frequency = np.fft.rfftfreq(1008, 1 / 400)
    spectrum[..., (frequency > 48) & (frequency < 52)] *= 1e-3
    filtered = outside_features(np.fft.irfft(spectrum, 1008, axis=3), 400.0)[0]
    band = int(np.searchsorted(BANDS_HZ, 50)) - 1
    assert filtered[band] < plain[band] - 1 and np.allclose(filtered[: band - 1], plain[: band - 1], atol=0.05)
    windows[:, :, 4] *= 10
    assert (outside_features(windows, 400.0)[0][n:] > plain[n:] + 0.15).all()
