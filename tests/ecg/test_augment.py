"""Properties of the published augmentations: what they share between leads, what they keep, how often they act."""

import dataclasses

import numpy as np
import pytest
import torch

from echo2ecg_core.ecg.augment import AugmentationSpec, augment, jitter, random_crop, rescale, shift_phases

NOTHING = AugmentationSpec(
    surrogate_probability=0, jitter_strength=0, gain_std=0, time_flip_probability=0, sign_flip_probability=0
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n_recordings=3, n=1200, seed=0):
    return torch.randn((n_recordings, 12, n), generator=generator(seed))


def step_by_step(windows, generator, spec):
    """The augmentations one after the other, each for all recordings and then taken for some."""

    def for_some(probability, changed, unchanged):
        lot = torch.rand((len(changed), 1, 1), generator=generator, dtype=torch.float64)
        return torch.where(lot < probability, changed, unchanged)

    windows = random_crop(windows, spec.n_samples, generator)
    windows = for_some(spec.surrogate_probability, shift_phases(windows, spec.phase_noise, generator), windows)
    noise = torch.randn(windows.shape, generator=generator)
    windows = windows * (1 + spec.jitter_strength * spec.jitter_std * noise)
    windows = windows * (1 + spec.gain_std * torch.randn((len(windows), 1, 1), generator=generator))
    windows = for_some(spec.time_flip_probability, windows.flip(-1), windows)
    return for_some(spec.sign_flip_probability, -windows, windows)


@pytest.mark.parametrize("n", [1200, 1007])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_computed_for_some_alone_is_what_each_step_for_all_gives(n, seed):
    windows, kept = batch(16, n, seed), batch(16, n, seed)
    together = augment(windows, generator(seed), AugmentationSpec())
    torch.testing.assert_close(together, step_by_step(kept, generator(seed), AugmentationSpec()), atol=1e-6, rtol=0)
    torch.testing.assert_close(windows, kept, atol=0, rtol=0)  # what was given is not written to


def numbered(n_recordings, n):
    """Every sample holds its own place in time, so crops show where they start."""
    return torch.arange(n, dtype=torch.float32).expand(n_recordings, 12, n)


def test_without_any_strength_only_the_crop_remains():
    windows = augment(numbered(5, 1500), generator(), NOTHING)
    assert windows.shape == (5, 12, 1008) and windows.dtype == torch.float32
    torch.testing.assert_close(windows - windows[..., :1], numbered(5, 1008), atol=0, rtol=0)


def test_crop_starts_cover_all_places_but_the_last():
    starts = random_crop(numbered(4000, 1018), 1008, generator())[:, 0, 0]
    assert set(starts.int().tolist()) == set(range(10))  # 1018 - 1008 = 10 is excluded


def test_crop_starts_are_shared_by_leads_and_differ_between_recordings():
    windows = random_crop(numbered(50, 3000), 1008, generator())
    assert (windows == windows[:, :1]).all()
    assert len(set(windows[:, 0, 0].tolist())) > 40


@pytest.mark.parametrize("n", [1008, 700])
def test_recordings_no_longer_than_the_window_stay_whole(n):
    torch.testing.assert_close(random_crop(numbered(4, n), 1008, generator()), numbered(4, n), atol=0, rtol=0)


@pytest.mark.parametrize("n", [1008, 1007])
def test_surrogate_phases_lie_in_the_published_range_and_are_shared_by_leads(n):
    original = batch(n=n)
    surrogate = shift_phases(original, 0.075, generator())
    before, after = np.fft.fft(original.numpy()), np.fft.fft(surrogate.numpy())
    positive = slice(1, (n - 1) // 2 + 1)
    turned = np.angle(after / before)[..., positive]
    np.testing.assert_allclose(turned, np.broadcast_to(turned[:, :1], turned.shape), atol=2e-3)
    assert turned.min() > -2e-3 and turned.max() < 2 * np.pi * 0.075 + 2e-3
    assert turned[:, 0].mean() == pytest.approx(np.pi * 0.075, rel=0.05)
    assert np.abs(turned[0, 0] - turned[1, 0]).mean() > 0.05  # recordings differ
    assert np.corrcoef(turned[0, 0, :-1], turned[0, 0, 1:])[0, 1] == pytest.approx(0, abs=0.15)  # frequencies differ


@pytest.mark.parametrize("n", [1008, 1007])
def test_surrogates_keep_all_amplitudes_the_mean_and_the_nyquist_frequency(n):
    original = batch(n=n) + 0.7
    surrogate = shift_phases(original, 0.075, generator())
    before, after = np.fft.fft(original.double().numpy()), np.fft.fft(surrogate.double().numpy())
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-3)
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-3)
    if n % 2 == 0:
        np.testing.assert_allclose(after[..., n // 2], before[..., n // 2], atol=1e-3)


def test_no_phase_noise_is_the_identity():
    torch.testing.assert_close(shift_phases(batch(), 0.0, generator()), batch(), atol=1e-6, rtol=0)


def test_jitter_multiplies_by_independent_noise_of_the_published_size():
    factors = jitter(torch.ones(20, 12, 1008), 0.6, 0.2, generator())
    assert factors.mean().item() == pytest.approx(1, abs=1e-3)
    assert factors.std().item() == pytest.approx(0.12, rel=0.01)
    assert abs(np.corrcoef(factors[0, 0].numpy(), factors[0, 1].numpy())[0, 1]) < 0.15


def test_zero_samples_stay_zero_under_jitter_and_rescaling():
    original = batch()
    original[:, 4] = 0
    original[:, :, ::7] = 0
    changed = rescale(jitter(original, 0.6, 0.2, generator()), 0.5, generator())
    assert ((changed == 0) == (original == 0)).all()


def test_gains_are_one_number_a_recording_with_the_published_spread():
    gains = rescale(torch.ones(20_000, 12, 2), 0.5, generator())
    assert (gains == gains[:, :1, :1]).all()
    assert gains[:, 0, 0].mean().item() == pytest.approx(1, abs=0.02)
    assert gains[:, 0, 0].std().item() == pytest.approx(0.5, rel=0.03)
    assert (gains[:, 0, 0] < 0).float().mean().item() == pytest.approx(0.023, abs=0.005)


@pytest.mark.parametrize(
    "field, probability",
    [("surrogate_probability", 0.5), ("time_flip_probability", 0.33), ("sign_flip_probability", 0.33)],
)
def test_random_steps_act_on_whole_recordings_with_their_published_probability(field, probability):
    assert getattr(AugmentationSpec(), field) == probability
    original = batch(3000, n=8)
    windows = augment(original, generator(), dataclasses.replace(NOTHING, **{field: probability}))
    changed = (windows - original).abs().amax(dim=-1) > 1e-3  # (b, 12)
    assert (changed == changed[:, :1]).all()
    assert changed[:, 0].float().mean().item() == pytest.approx(probability, abs=0.03)


def test_flips_reverse_time_and_sign():
    original = batch(n=100)
    reversed_in_time = augment(original, generator(), dataclasses.replace(NOTHING, time_flip_probability=1))
    torch.testing.assert_close(reversed_in_time, original.flip(-1))
    negated = augment(original, generator(), dataclasses.replace(NOTHING, sign_flip_probability=1))
    torch.testing.assert_close(negated, -original)


def test_the_same_seed_gives_the_same_windows_and_the_input_is_left_alone():
    original = batch(n=1500)
    kept = original.clone()
    first, second = augment(original, generator(3)), augment(original, generator(3))
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    torch.testing.assert_close(original, kept, atol=0, rtol=0)
    assert not torch.equal(first, augment(original, generator(4)))
