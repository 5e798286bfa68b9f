"""Both directions of retrieval on made vectors whose order is known, and the difference ratio against a slow loop."""

import tracemalloc

import numpy as np
import pytest

from echo2ecg_core.evaluation.retrieval_both_ways import difference_ratio, retrieval_report


def on_a_circle(values):
    angle = np.pi * (np.asarray(values) - 20) / 60
    return np.column_stack([np.cos(angle), np.sin(angle)])


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    values = rng.permutation(np.linspace(22, 78, 40))
    own = np.append(np.arange(40), [3, 7])  # two studies have a second ECG
    studies, ecgs = on_a_circle(values), on_a_circle(values[own]) + rng.normal(0, 0.002, (42, 2))
    return ecgs, studies, own, values


def test_vectors_ordered_by_lvef_retrieve_their_own_study_and_near_values(made):
    ecgs, studies, own, values = made
    ecg_ids, study_ids = [f"e{i}" for i in range(42)], [f"s{i}" for i in range(40)]
    found = retrieval_report(
        ecgs,
        studies,
        ecg_ids,
        study_ids,
        [study_ids[i] for i in own],
        {"lvef": values, "rvsp": np.full(40, np.nan)},
        [f"p{i}" for i in range(40)],
    )
    assert found["candidates"] == 40 and found["ecgs"] == 42
    assert found["ecg_to_study"]["recall@3"] == 1 and found["study_to_ecg"]["recall@5"] == 1
    assert set(found["by_phenotype"]) == {"lvef"} == set(found["top10_difference_ratio"])
    near = found["by_phenotype"]["lvef"]["ecg_to_study"]
    assert (
        near["precision@3"] == pytest.approx(1, abs=0.05) and near["map"] > 0.95
    )  # hits lie on both sides of the query
    assert 0 < found["top10_difference_ratio"]["lvef"] < 0.4 and "intervals" not in found


def test_at_a_level_every_score_of_both_ways_has_its_interval(made):
    ecgs, studies, own, values = made
    study_ids, patients = [f"s{i}" for i in range(40)], [f"p{i}" for i in range(40)]
    asked = [study_ids[i] for i in own]
    found = retrieval_report(ecgs, studies, range(42), study_ids, asked, {"lvef": values}, patients, 0.95)
    for scores, ends in (
        (found, found["intervals"]),
        (found["by_phenotype"]["lvef"], found["by_phenotype_intervals"]["lvef"]),
    ):
        for way in ("ecg_to_study", "study_to_ecg"):
            assert set(ends[way]) == set(scores[way])
            for metric, (low, high) in ends[way].items():
                assert low - 1e-9 <= scores[way][metric] <= high + 1e-9, (way, metric)


def test_the_difference_ratio_equals_a_slow_loop_and_leaves_the_own_patient_out(made):
    ecgs, studies, own, values = made
    values = values.copy()
    values[5] = np.nan
    patients = np.arange(40) // 2  # two studies a patient
    near, far = [], []
    for e, vector in enumerate(ecgs):
        others = [s for s in range(40) if patients[s] != patients[own[e]] and s != 5]
        if own[e] != 5:
            ranked = sorted(others, key=lambda s: -float(studies[s] @ vector))[:10]
            near.append(np.mean([abs(values[s] - values[own[e]]) for s in ranked]))
            far.append(np.mean([abs(values[s] - values[own[e]]) for s in others]))
    assert difference_ratio(ecgs, studies, own, values, patients) == pytest.approx(np.mean(near) / np.mean(far))


def test_random_vectors_are_no_nearer_than_random_studies():
    rng = np.random.default_rng(1)
    ratio = difference_ratio(
        rng.normal(size=(300, 16)), rng.normal(size=(300, 16)), np.arange(300), rng.normal(55, 10, 300), np.arange(300)
    )
    assert ratio == pytest.approx(1, abs=0.05)


def peak_mb(n):
    """Peak of what Python and NumPy hold beyond what went in, for n ECGs and n studies with one phenotype."""
    rng = np.random.default_rng(0)
    ids, vectors = [str(i) for i in range(n)], rng.normal(size=(2, n, 32)).astype(np.float32)
    values = {"lvef": rng.normal(55, 10, n)}
    tracemalloc.start()
    retrieval_report(*vectors, ids, ids, ids, values, ids)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_no_matrix_of_all_ecgs_and_studies_is_ever_held():
    """A (4000, 4000) matrix is 64 MB of similarities and 128 MB of differences in a phenotype; blocks need 40 MB."""
    assert peak_mb(4000) < 55


def test_precision_by_phenotype_leaves_the_own_patient_out_and_equals_a_slow_loop(made):
    ecgs, studies, own, values = made
    patients = np.arange(40) // 2  # two studies a patient
    ecg_ids, study_ids = [f"e{i}" for i in range(42)], [f"s{i}" for i in range(40)]
    found = retrieval_report(
        ecgs, studies, ecg_ids, study_ids, [study_ids[i] for i in own], {"lvef": values}, [f"p{i}" for i in patients]
    )
    threshold = 0.5 * values.std(ddof=1)
    unit, precision = ecgs / np.linalg.norm(ecgs, axis=1, keepdims=True), []
    for e in range(42):
        others = [s for s in range(40) if patients[s] != patients[own[e]]]
        ranked = sorted(others, key=lambda s: -float(studies[s] @ unit[e]))[:10]
        precision.append(np.mean([abs(values[s] - values[own[e]]) <= threshold for s in ranked]))
    told = found["by_phenotype"]["lvef"]["ecg_to_study"]["precision@10"]
    assert told == pytest.approx(np.mean(precision)) and found["own_patient_left_out"]
