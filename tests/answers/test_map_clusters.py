"""Clusters: found where places lie apart, none in noise, numbers that outlive a redraw, and words that are true."""

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.answers import map_drawing, maps
from echo2ecg_core.answers.map_clusters import NOWHERE, describe, find_clusters, of_the_nearest, same_numbers
from tests.small_workspace import MODEL_ID, small_workspace

CORNERS = ((0, 0), (6, 0), (0, 6))


def blobs(n_each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Places round the corners of a triangle, and which corner each belongs to."""
    home = np.repeat(np.arange(len(CORNERS)), n_each)
    return np.array(CORNERS)[home] + np.random.default_rng(seed).normal(0, 0.5, (len(home), 2)), home


def made_up(n_each: int = 60, seed: int = 0) -> pd.DataFrame:
    """Two points a patient in three clusters: low LVEF with large hearts, women with bundle branch block, others."""
    rng = np.random.default_rng(seed)
    xy, home = blobs(n_each, seed)
    n, low, women = len(home), home == 0, home == 1
    patients = pd.DataFrame(
        {
            "patient_id": [f"P-{i}" for i in range(n)],
            "lvef": rng.normal(np.where(low, 35, 60), 6),
            "lvesv": 0.0,
            "ivsd": rng.normal(1.0, 0.1, n),
            "mr_grade": rng.integers(0, 2, n),
            "age_years": rng.normal(60, 10, n),
            "sex": np.where(rng.random(n) < np.where(women, 0.95, 0.4), "female", "male"),
            "rhythm": np.where(rng.random(n) < 0.1, "af", "sinus"),
            "conduction": np.where(rng.random(n) < np.where(women, 0.8, 0.05), "lbbb", "normal"),
            "cluster": pd.array(home, "Int16"),
            "x": xy[:, 0],
            "y": xy[:, 1],
        }
    )
    patients["lvesv"] = 180 - 2 * patients.lvef + rng.normal(0, 3, n)  # goes along with LVEF
    return pd.concat([patients, patients.assign(x=patients.x + 0.1)], ignore_index=True)


def test_places_that_lie_apart_are_clusters():
    xy, home = blobs(80)
    found = find_clusters(xy)
    assert len({(a, b) for a, b in zip(found, home, strict=True) if a != NOWHERE}) == 3
    assert (found != NOWHERE).mean() > 0.95


@pytest.mark.parametrize("n", [8, 60, 400])
def test_noise_has_no_clusters(n):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        assert (find_clusters(rng.uniform(0, 10, (n, 2))) == NOWHERE).all()
        assert (find_clusters(rng.normal(0, 3, (n, 2))) == NOWHERE).all()


def test_a_point_that_was_not_fitted_is_in_the_cluster_of_its_nearest():
    xy, home = blobs(20)
    others = np.array([[0.2, 0.1], [5.5, 0.4], [-0.3, 6.2]])
    assert of_the_nearest(xy, home, others).tolist() == [0, 1, 2]
    assert of_the_nearest(xy, home, others[:0]).shape == (0,)


def test_a_redraw_keeps_the_numbers_of_its_clusters_and_gives_new_ones_new_numbers():
    old = np.repeat([0, 1, 2, NOWHERE], 30)
    new = np.repeat([2, 0, 1, 3, 1], [30, 30, 30, 15, 15])[:120]
    new[:3] = NOWHERE
    rows = np.arange(120)
    told = same_numbers(new, old, (rows, rows))
    assert told[3:30].tolist() == [0] * 27 and told[30:60].tolist() == [1] * 30 and told[60:90].tolist() == [2] * 30
    assert set(told[90:105]) == {3} and set(told[105:]) == {2} and set(told[:3]) == {NOWHERE}
    assert same_numbers(new * 0 - 1, old, (rows, rows)).tolist() == [NOWHERE] * 120


def test_words_tell_what_sets_a_cluster_apart_and_nothing_twice():
    low, women, others = describe(made_up())
    assert (low.number, low.patients, low.words[0]) == (0, 60, "lower LVEF")
    assert not any("LVESV" in words for words in low.words)  # the larger volume goes along with it
    assert women.words[0] == "more left bundle branch block" and "more women" in women.words
    assert others.words == ("higher LVEF", "less left bundle branch block")
    points = made_up()
    own = points[points.cluster == 0]
    assert low.y == own.y.max() and abs(low.x) < 1.5  # the words stand over it


def test_what_differs_by_chance_alone_is_not_told():
    for seed in range(10):
        points = made_up(seed=seed)
        n = len(points) // 2
        shuffled = np.random.default_rng(seed).permutation(points.cluster[:n].to_numpy())
        assert describe(points.assign(cluster=pd.array(np.tile(shuffled, 2), "Int16"))) == []


def test_a_patient_counts_where_most_of_their_points_lie():
    points = made_up()
    points = pd.concat([points, points[:60].assign(cluster=1)])  # a third point of the first patients, elsewhere
    assert describe(points)[0].patients == 60
    nowhere = points.assign(cluster=pd.array([None] * len(points), "Int16"))
    assert describe(nowhere) == [] and describe(points.drop(columns="cluster")) == []


def test_the_job_keeps_clusters_beside_the_map_and_maps_of_before_have_none(tmp_path, monkeypatch):
    xy, home = blobs(10)
    place = dict(zip(range(30), xy, strict=True))
    monkeypatch.setattr(
        map_drawing,
        "_umap",
        lambda vectors, start, d: np.array([(*place[i % 30], 0.0)[:d] for i in range(len(vectors))]),
    )
    workspace = small_workspace(tmp_path, n_patients=30)
    map_drawing.build_map(workspace, MODEL_ID)
    drawn = maps.stored_layout(workspace, MODEL_ID, "together")
    assert len({(int(a), int(b)) for a, b in zip(drawn.clusters, np.tile(home, 2), strict=True)}) == 3
    points = maps.load_map(workspace, MODEL_ID)
    assert points.cluster.tolist() == drawn.clusters.tolist() and "cluster" in maps.load_map(
        workspace, MODEL_ID, "solid"
    )
    path = workspace.maps / f"{MODEL_ID}.npz"
    with np.load(path) as archive:
        kept = {name: archive[name] for name in archive if not name.endswith("_clusters")}
    np.savez(path, **kept)
    assert maps.load_map(workspace, MODEL_ID).cluster.isna().all()
