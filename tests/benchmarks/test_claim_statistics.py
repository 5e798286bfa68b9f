"""The statistics of the claim on made-up numbers of which the right answer is known."""

import numpy as np
import pytest

from benchmarks.claim import statistics as st


def test_holm_gives_the_published_numbers():
    """The example of R's p.adjust, and one worked by hand in another order."""
    assert list(st.holm(dict(zip("abcde", (0.01, 0.02, 0.03, 0.04, 0.05), strict=True))).values()) == pytest.approx(
        [0.05, 0.08, 0.09, 0.09, 0.09]
    )
    assert st.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert st.holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_a_p_value_is_two_sided_and_never_zero():
    assert st.Difference(1.0, np.arange(1, 1000)).p == pytest.approx(2 / 1000)
    assert st.Difference(-1.0, -np.arange(1, 1000)).p == pytest.approx(2 / 1000)
    assert st.Difference(0.1, np.arange(-24, 975)).p == pytest.approx(2 * 26 / 1000)  # 25 of 999 at or below 0
    assert st.Difference(0.0, np.zeros(99)).p == 1.0


def test_a_patient_is_drawn_with_all_samples_and_the_mean_is_over_samples():
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 12, 40)
    values = rng.normal(size=(2, 40))
    drawn = st.resampled_mean(values, patients, 30, seed=3)
    counts, owner = st.patient_draws(patients, 30, 3)
    assert (counts.sum(1) == len(np.unique(patients))).all()
    for w in range(30):
        rows = np.repeat(np.arange(40), counts[w, owner].astype(int))
        np.testing.assert_allclose(drawn[:, w], values[:, rows].mean(1), rtol=1e-5)


def test_resampled_seeds_have_the_variance_of_a_mean_of_so_many_seeds():
    """Of 5 seeds that differ by a variance of s² the mean has s² / 5; drawing five of five would give 4/5 of that."""
    of_seeds = np.array([1.0, -2.0, 0.5, 3.0, -1.5])
    drawn = st.over_seeds(np.repeat(of_seeds[:, None], 40000, 1))
    assert drawn.mean() == pytest.approx(of_seeds.mean(), abs=0.02)
    assert drawn.var() == pytest.approx(of_seeds.var(ddof=1) / 5, rel=0.03)
    assert (st.over_seeds(np.full((1, 7), 4.0)) == 4.0).all()


def slow_precision(similarity, is_hit, query_patient, candidate_patient, counts, k):
    """Lists written out: every candidate as often as its patient was drawn, the own ones once."""
    scores = []
    for query, patient in enumerate(query_patient):
        for _ in range(int(counts[patient])):
            listed = []
            for candidate in np.argsort(-similarity[query], kind="stable"):
                own = candidate_patient[candidate] == patient
                times = 1 if own else int(counts[candidate_patient[candidate]])
                listed += [is_hit[query, candidate]] * times
            scores.append(np.mean(listed[:k]))
    return np.mean(scores)


def test_precision_in_a_resample_is_that_of_the_list_written_out():
    rng = np.random.default_rng(1)
    query_patient, candidate_patient = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 7]), np.arange(8)
    queries, candidates = rng.normal(size=(10, 5)), rng.normal(size=(8, 5))
    is_hit = rng.random((2, 10, 8)) < 0.4
    top = st.first_candidates(queries, candidates)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, candidates)]
    similarity = unit[0] @ unit[1].T
    np.testing.assert_array_equal(top, np.argsort(-similarity, axis=1, kind="stable"))
    hits = np.take_along_axis(is_hit, np.broadcast_to(top, (2, *top.shape)), 2)
    found = st.precision_draws(st.Ranking(top, hits, query_patient, candidate_patient), 8, 20, seed=5, k=3)
    counts, _ = st.patient_draws(np.arange(8), 20, 5)
    for w, drawn in enumerate([np.ones(8), *counts]):
        for p in range(2):
            slow = slow_precision(similarity, is_hit[p], query_patient, candidate_patient, drawn, 3)
            assert found[p, w] == pytest.approx(slow, abs=1e-6), (p, w)


def test_resampling_candidates_widens_the_interval_of_a_search_that_one_study_decides():
    """Every query finds the same ten studies: which of them there are decides, not who asks."""
    n = 200
    top = np.broadcast_to(np.arange(40), (n, 40))
    hits = np.broadcast_to(np.arange(40) % 2 == 0, (1, n, 40))
    other = np.arange(n) + n  # nobody asks about an own study
    drawn = st.precision_draws(st.Ranking(top, hits, other, np.arange(2 * n)), 2 * n, 300)
    assert drawn[0, 0] == 0.5 and drawn[0, 1:].std() > 0.05  # each query alone has the same precision


def null_of_two_arms(rng, seed_sd, n=200, n_seeds=5):
    """Errors (s, samples) of two equally good arms: they share what a patient is like, and differ by chance."""
    owner = np.repeat(np.arange(n), rng.integers(1, 3, n))
    shared = rng.exponential(7, n)[owner]
    arms = [
        shared
        + rng.normal(0, 0.5, len(owner))
        + rng.normal(0, 0.3, (n_seeds, len(owner)))
        + rng.normal(0, seed_sd, (n_seeds, 1))
        for _ in range(2)
    ]
    return owner, arms


@pytest.mark.slow
@pytest.mark.parametrize(("seed_sd", "fewest", "most"), [(0.0, 0.93, 0.99), (0.06, 0.90, 0.98), (0.2, 0.82, 0.94)])
def test_the_interval_covers_no_difference_as_often_as_it_says(seed_sd, fewest, most):
    """Seeds add no variance, as much as patients, or nine tenths of all, where five are too few for what it says.
    Unpaired it would cover every time: what a patient is like is shared by both arms."""
    rng, covered, false_alarms, n = np.random.default_rng(0), 0, 0, 200
    for i in range(n):
        owner, arms = null_of_two_arms(rng, seed_sd)
        ours, theirs = (np.concatenate([e.mean(1)[:, None], st.resampled_mean(e, owner, 300, i)], 1) for e in arms)
        found = st.difference(ours, theirs, larger_is_better=False, seed=i)
        low, high = found.interval()
        covered += low <= 0 <= high
        false_alarms += found.p < 0.05
    assert fewest <= covered / n <= most
    assert false_alarms / n <= 1 - fewest


def test_a_difference_is_signed_so_that_better_is_above_zero_and_paired_by_seed():
    noise = np.random.default_rng(2).normal(0, 5, (3, 501))
    lower, higher = 7.0 + noise, 7.2 + noise
    as_error, as_score = st.difference(lower, higher, False), st.difference(lower, higher, True)
    assert as_error.value == pytest.approx(0.2) and np.allclose(as_error.draws, 0.2)
    assert as_score.value == pytest.approx(-0.2)
    assert st.difference(lower, higher[:1], False).value == pytest.approx(0.2)  # over the seed both have


def spread(value, half):
    """A difference whose 95 % interval is value ± half."""
    return st.Difference(value, value + np.linspace(-half, half, 2001) / 0.95)


@pytest.mark.parametrize(
    ("value", "half", "p", "words"),
    [
        (0.30, 0.10, 0.01, "ahead"),
        (0.10, 0.05, 0.01, "ahead by little"),
        (-0.10, 0.05, 0.01, "behind by little"),
        (-0.30, 0.10, 0.01, "behind"),
        (0.02, 0.10, 0.60, "no difference"),
        (0.10, 0.10, 0.20, "undecided"),  # the interval leaves what is worth having
        (0.02, 0.40, 0.90, "undecided"),
        (0.30, 0.10, 0.06, "undecided"),  # before Holm it was below 0.05
    ],
)
def test_an_outcome_is_called_as_the_protocol_says(value, half, p, words):
    assert st.outcome(spread(value, half), p, worth_having=0.15) == words


def test_two_equal_arms_with_enough_patients_are_called_no_difference_and_with_few_undecided():
    def called(n):
        rng = np.random.default_rng(n)
        owner, arms = null_of_two_arms(rng, 0.0, n=n)
        ours, theirs = (np.concatenate([e.mean(1)[:, None], st.resampled_mean(e, owner, 400)], 1) for e in arms)
        found = st.difference(ours, theirs, larger_is_better=False)
        return st.outcome(found, st.holm({"only": found.p})["only"], worth_having=0.15)

    assert called(2000) == "no difference" and called(12) == "undecided"


@pytest.mark.parametrize(
    ("errors", "precision", "words"),
    [
        (("ahead", "ahead"), ("ahead", "ahead"), "supported"),
        (("ahead", "no difference"), ("undecided", "ahead by little"), "supported in part"),
        (("no difference", "no difference"), ("no difference", "ahead by little"), "no difference worth having"),
        (("no difference", "undecided"), ("no difference", "no difference"), "undecided"),
        (("ahead", "ahead"), ("ahead", "behind by little"), "contradicted"),
    ],
)
def test_the_verdict_follows_from_the_outcomes_against_single_views(errors, precision, words):
    arms, endpoints = ("a4c", "random_clip"), ("lvef error", "precision@10")
    outcomes = {
        (arm, endpoint): found
        for endpoint, by_arm in zip(endpoints, (errors, precision), strict=True)
        for arm, found in zip(arms, by_arm, strict=True)
    }
    assert st.verdict({**outcomes, ("mean", "lvef error"): "behind"}, arms, endpoints) == words
