"""Retrieval metrics and their ground truth: published numbers, and a slow version that follows the definitions."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation import retrieval
from echo2ecg_core.evaluation.retrieval import (
    KS,
    ground_truth,
    hits_by_phenotype,
    intervals_of_scores,
    query_scores,
    retrieval_metrics,
    retrieval_metrics_of_vectors,
    summary,
)

OURS = {"map": "mAP", "median_rank": "MdR", "mean_rank": "MnR", "alignment": "alignment_score"}
OURS |= {f"recall@{k}": f"recall@{k}" for k in KS} | {f"precision@{k}": f"prec@{k}" for k in KS}


@pytest.fixture(scope="module")
def facts(goldens):
    return json.loads((goldens / "retrieval.json").read_text())


@pytest.fixture(scope="module")
def arrays(goldens):
    return np.load(goldens / "retrieval.npz")


def matrix(hits, shape):
    out = np.zeros(shape, dtype=bool)
    for row, columns in hits.items():
        out[int(row), columns] = True
    return out


def assert_published(found, expected, direction):
    assert set(found) == set(OURS)
    for name, value in found.items():
        published = expected[f"{OURS[name]}_{direction}"]
        if published is None:
            assert np.isnan(value), name
        else:
            assert value == pytest.approx(published, abs=1e-6 if name == "alignment" else 1e-9), name


@pytest.mark.parametrize("case", ["lvef", "pairs_only"])
def test_ground_truth_and_metrics_are_the_published_ones(case, facts, arrays, goldens):
    facts = facts[case]
    truth = ground_truth(
        pd.read_csv(goldens / "retrieval_pairs.csv"),
        pd.read_csv(goldens / "retrieval_metadata.csv"),
        facts["phenotype"],
        facts["tolerance"],
    )
    assert truth.ecg_ids.tolist() == facts["ecg_order"] and truth.study_ids.tolist() == facts["echo_study_order"]
    assert truth.threshold == (None if facts["threshold"] is None else pytest.approx(facts["threshold"], rel=1e-12))
    n, m = len(facts["ecg_order"]), len(facts["echo_study_order"])
    np.testing.assert_array_equal(truth.studies_of_ecg, matrix(facts["gt_ecg_to_echo"], (n, m)))
    np.testing.assert_array_equal(truth.ecgs_of_study, matrix(facts["gt_echo_to_ecg"], (m, n)))

    similarity = arrays[f"{case}_sim"]
    assert_published(retrieval_metrics(similarity, truth.studies_of_ecg), facts["metrics"], "ecg_to_echo")
    assert_published(retrieval_metrics(similarity.T, truth.ecgs_of_study), facts["metrics"], "echo_to_ecg")
    ecg, echo = arrays[f"{case}_ecg_embed"], arrays[f"{case}_echo_embed"]
    assert_published(retrieval_metrics_of_vectors(ecg, echo, truth.studies_of_ecg), facts["metrics"], "ecg_to_echo")


def test_a_query_without_hits_counts_and_makes_the_alignment_unknown(facts, arrays):
    facts, similarity = facts["bare"], arrays["bare_sim"]
    to_echo = matrix(facts["gt_ecg_to_echo"], similarity.shape)
    to_ecg = matrix(facts["gt_echo_to_ecg"], similarity.T.shape)
    assert not to_echo[11].any()
    assert_published(retrieval_metrics(similarity, to_echo), facts["metrics"], "ecg_to_echo")
    assert_published(retrieval_metrics(similarity.T, to_ecg), facts["metrics"], "echo_to_ecg")


def slow_metrics(similarity, positives):
    """The definitions, query by query."""
    n_targets = similarity.shape[1]
    recall, precision, average, ranks, alignment = {k: [] for k in KS}, {k: [] for k in KS}, [], [], []
    for row, hits in zip(similarity, positives, strict=True):
        ranking = sorted(range(n_targets), key=lambda j: -row[j])
        wanted = set(np.flatnonzero(hits))
        for k in KS:
            n = len(wanted & set(ranking[:k]))
            recall[k].append(n / len(wanted) if wanted else 0)
            precision[k].append(n / k)
        places = [i + 1 for i, j in enumerate(ranking) if j in wanted]
        average.append(np.mean([(i + 1) / place for i, place in enumerate(places)]) if places else 0)
        ranks.append(places[0] if places else n_targets + 1)
        alignment.append(np.mean([row[j] for j in wanted]) if wanted else np.nan)
    means = {f"recall@{k}": np.mean(v) for k, v in recall.items()} | {
        f"precision@{k}": np.mean(v) for k, v in precision.items()
    }
    return means | {
        "map": np.mean(average),
        "median_rank": np.median(ranks),
        "mean_rank": np.mean(ranks),
        "alignment": np.mean(alignment),
    }


@pytest.mark.parametrize(
    "shape, share", [((11, 13), 0.3), ((13, 7), 0.1), ((1, 3), 0.9), ((19, 1), 0.5), ((17, 40), 0.02)]
)
@pytest.mark.parametrize("scored, compared", [(1, 1), (3 * 13, 4 * 13), (2**18, 2**26)])
def test_fast_metrics_equal_the_definitions(shape, share, scored, compared, monkeypatch):
    monkeypatch.setattr(retrieval, "SCORING_CELLS", scored)
    monkeypatch.setattr(retrieval, "SIMILARITY_CELLS", compared)
    rng = np.random.default_rng(shape[0])
    queries, targets = rng.normal(size=(shape[0], 5)), rng.normal(size=(shape[1], 5))
    positives = rng.random(shape) < share
    similarity = queries @ targets.T / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(targets, axis=1)
    expected = slow_metrics(similarity, positives)
    for found in (
        retrieval_metrics(similarity, positives),
        retrieval_metrics_of_vectors(queries, targets, positives),
        retrieval_metrics_of_vectors(queries, targets, lambda start, stop: positives[start:stop]),
    ):
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_equal_similarities_rank_by_position():
    positives = np.array([[False, True, False]])
    assert retrieval_metrics(np.zeros((1, 3)), positives)["mean_rank"] == 2


def slow_hits(ecgs, studies, values, tolerance):
    """Ground truth with loops over the table."""
    rows = [row for row in zip(ecgs, studies, values, strict=True) if not np.isnan(row[2])]
    ecg_ids, study_ids = list(dict.fromkeys(r[0] for r in rows)), list(dict.fromkeys(r[1] for r in rows))
    threshold = tolerance * np.std([v for _, v in {(s, v) for _, s, v in rows}], ddof=1)
    to_study, to_ecg = np.zeros((len(ecg_ids), len(study_ids)), bool), np.zeros((len(study_ids), len(ecg_ids)), bool)
    for i, ecg in enumerate(ecg_ids):
        value = np.mean([v for _, v in {(s, v) for e, s, v in rows if e == ecg}])
        for j, study in enumerate(study_ids):
            to_study[i, j] = any(abs(v - value) <= threshold for _, s, v in rows if s == study)
    for j, study in enumerate(study_ids):
        value = np.mean([v for _, v in {(e, v) for e, s, v in rows if s == study}])
        for i, ecg in enumerate(ecg_ids):
            to_ecg[j, i] = any(abs(v - value) <= threshold for e, _, v in rows if e == ecg)
    return to_study, to_ecg


def test_hits_by_phenotype_equal_loops_over_the_table():
    rng = np.random.default_rng(2)
    ecgs, studies = rng.integers(0, 9, 41), rng.integers(0, 7, 41)
    values = np.round(rng.normal(55, 10, 41))
    values[[3, 17]] = np.nan
    truth = hits_by_phenotype(ecgs, studies, values, tolerance=0.4)
    to_study, to_ecg = slow_hits(ecgs, studies, values, 0.4)
    np.testing.assert_array_equal(truth.studies_of_ecg, to_study)
    np.testing.assert_array_equal(truth.ecgs_of_study, to_ecg)


def test_two_thousand_by_two_thousand_takes_less_than_one_and_a_half_seconds():
    rng = np.random.default_rng(0)
    similarity = rng.random((2000, 2000), dtype=np.float32)
    positives = np.zeros((2000, 2000), dtype=bool)
    for row in positives:
        row[rng.choice(2000, 557, replace=False)] = True
    started = time.process_time()
    retrieval_metrics(similarity, positives)
    assert time.process_time() - started < 1.5


def test_missing_columns_and_values_are_named():
    pairs = pd.DataFrame({"ecg_filepath": ["a"], "echo_study_id": [1], "echo_filename": ["x"]})
    with pytest.raises(StoreError, match="pairs table has no column 'echo_study_id'; it has ecg_filepath"):
        ground_truth(pairs[["ecg_filepath"]])
    with pytest.raises(StoreError, match="Hits by lvef need the metadata table"):
        ground_truth(pairs, phenotype="lvef")
    with pytest.raises(StoreError, match="metadata table has no column 'lvef'"):
        ground_truth(pairs, pd.DataFrame({"filename": ["x"]}), "lvef")
    with pytest.raises(StoreError, match="No pair has a value"):
        ground_truth(pairs, pd.DataFrame({"filename": ["y"], "lvef": [1.0]}), "lvef")


def test_intervals_of_retrieval_resample_patients_as_a_slow_loop_does():
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(40), rng.integers(1, 5, 40))  # a patient's queries go together
    similarity = rng.normal(size=(len(patients), 60)) + rng.normal(size=40)[patients][:, None]
    hits = rng.random(similarity.shape) < 0.03
    similarity[hits] += 1.0
    scores = query_scores(similarity, hits)
    scores["alignment"] = np.nan_to_num(scores["alignment"])
    found = intervals_of_scores(scores, patients, 0.9, n_resamples=2000)
    drawn = {name: [] for name in ("recall@10", "map", "median_rank", "mean_rank")}
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(patients == p) for p in rng.integers(0, 40, 40)])
        for name in drawn:
            ranks = scores["rank"][rows]
            slow = {"median_rank": np.median(ranks), "mean_rank": ranks.mean()}
            drawn[name].append(slow[name] if name in slow else scores[name][rows].mean())
    for name, values in drawn.items():
        low, high = np.quantile(values, [0.05, 0.95])
        assert found[name] == pytest.approx([low, high], abs=0.12 * (high - low) + 0.5 * (name == "median_rank"))
        assert found[name][0] < summary(scores)[name] < found[name][1]
