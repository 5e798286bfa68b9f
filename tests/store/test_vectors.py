"""Vectors: search against a plain numpy ranking, round trips, and what is left after a crash."""

import gc
import os
import re
import weakref
from pathlib import Path

import numpy as np
import pytest

from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.store.vectors import KEPT_FILES, VectorSet, load_vectors, recover_vectors, vectors_path


def made(n=137, d=24, seed=3, model_id="m1", kind="study_aligned", dtype=np.float32) -> VectorSet:
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(n, d)) * rng.uniform(0.1, 30, size=(n, 1))).astype(dtype)
    return VectorSet(kind, model_id, tuple(f"S-{i:04d}" for i in range(n)), matrix)


def plain_ranking(vectors: VectorSet, query, allowed=None) -> list[tuple[float, str]]:
    """Every cosine in double precision, sorted: slow and obvious."""
    scored = []
    for vector_id, row in zip(vectors.ids, vectors.matrix.astype(np.float64), strict=True):
        if allowed is None or vector_id in allowed:
            cosine = float(row @ query) / (float(np.sqrt(row @ row)) * float(np.sqrt(query @ query)))
            scored.append((cosine, vector_id))
    return sorted(scored, reverse=True)


@pytest.mark.parametrize("k", [1, 10, 137, 500])
def test_the_nearest_are_those_of_a_plain_numpy_ranking(k):
    vectors, query = made(), np.random.default_rng(9).normal(size=24)
    ids, cosines = vectors.nearest(query, k, model_id="m1")
    expected = plain_ranking(vectors, query)[:k]
    assert ids == [vector_id for _, vector_id in expected]
    np.testing.assert_allclose(cosines, [cosine for cosine, _ in expected], atol=2e-3)


def test_only_the_allowed_ids_are_candidates_and_unknown_ones_are_passed_over():
    vectors, query = made(), np.random.default_rng(9).normal(size=24)
    allowed = {f"S-{i:04d}" for i in range(0, 137, 7)} | {"S-9999"}
    ids, _ = vectors.nearest(query, 10, model_id="m1", among=allowed)
    assert ids == [vector_id for _, vector_id in plain_ranking(vectors, query, allowed)[:10]]
    assert vectors.nearest(query, 10, model_id="m1", among=[])[0] == []


def test_a_vector_is_its_own_nearest_with_similarity_one_whatever_its_length():
    vectors = made(dtype=np.float16)
    ids, cosines = vectors.nearest(vectors.matrix[42].astype(np.float32) * 1000, 1, model_id="m1")
    assert ids == ["S-0042"] and cosines[0] == pytest.approx(1, abs=1e-3)


def test_a_query_of_another_model_is_refused_in_words():
    with pytest.raises(ModelError) as refused:
        made(model_id="old").nearest(np.ones(24), 3, model_id="new")
    assert str(refused.value) == (
        "The study_aligned vectors were made by model old, the query by new: distances between two models' vectors "
        "mean nothing. Embed the archive with new, or predict the ECG again with old."
    )


def test_a_query_of_another_length_is_refused_with_both_numbers():
    with pytest.raises(ModelError, match="query has 5 numbers, the study_aligned vectors of model m1 have 24"):
        made().nearest(np.ones(5), 3, model_id="m1")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_saved_comes_back_bit_for_bit(tmp_path, dtype):
    saved = made(dtype=dtype)
    saved.save(tmp_path / "vectors")
    loaded = load_vectors(tmp_path / "vectors", "study_aligned", "m1")
    assert (loaded.kind, loaded.model_id, loaded.ids) == (saved.kind, saved.model_id, saved.ids)
    assert loaded.matrix.dtype == dtype and loaded.matrix.tobytes() == saved.matrix.tobytes()
    assert loaded.nearest(np.ones(24), 5, model_id="m1")[0] == saved.nearest(np.ones(24), 5, model_id="m1")[0]


def test_nothing_stored_yet_is_an_empty_set_that_can_be_filled(tmp_path):
    empty = load_vectors(tmp_path, "ecg", "m1")
    assert len(empty) == 0 and empty.missing(["a", "b", "a"]) == ["a", "b"]
    assert empty.nearest(np.ones(4), 3, model_id="m1")[0] == []
    filled = empty.add(["a"], np.ones((1, 4)))
    assert filled.missing(["a", "b"]) == ["b"] and filled.dim == 4


def test_adding_keeps_what_was_there_and_replaces_the_same_id():
    vectors = made(3, 4).add(["S-0001", "new"], np.array([[1, 2, 3, 4], [5, 6, 7, 8]]))
    assert vectors.ids == ("S-0000", "S-0002", "S-0001", "new")
    np.testing.assert_array_equal(vectors.rows(["new", "S-0001"]), [[5, 6, 7, 8], [1, 2, 3, 4]])
    np.testing.assert_array_equal(vectors.rows(["S-0000"]), made(3, 4).rows(["S-0000"]))


@pytest.mark.parametrize(
    ("ids", "matrix", "words"),
    [
        (["a", "b"], np.ones((3, 24)), r"one vector for each of 2 ids, found an array of shape \(3, 24\)"),
        (["a", "a"], np.ones((2, 24)), "2 given, 1 different"),
        (["a"], np.ones((1, 23)), "Expected vectors of 24 numbers, found 23"),
        (["a"], np.full((1, 24), np.nan), "vector of a holds numbers that are not finite"),
    ],
)
def test_what_could_never_be_searched_is_not_taken(ids, matrix, words):
    with pytest.raises(StoreError, match=words):
        made().add(ids, matrix)


def test_asking_for_a_vector_that_is_missing_names_it():
    with pytest.raises(StoreError, match=r"1 of 2 study_aligned vectors of model m1 are missing \(first: S-9999\)"):
        made().rows(["S-0001", "S-9999"])


@pytest.mark.parametrize("kept", [0, 3, 200, -1])
def test_a_half_written_file_is_named_then_set_aside_and_filled_again(tmp_path, kept):
    path = made().save(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StoreError, match="vectors of model m1 is damaged"):
        load_vectors(tmp_path, "study_aligned", "m1")
    recovered = recover_vectors(tmp_path, "study_aligned", "m1")
    assert len(recovered) == 0 and path.with_suffix(".damaged").exists()
    recovered.add(made().ids, made().matrix).save(tmp_path)
    assert len(load_vectors(tmp_path, "study_aligned", "m1")) == 137


def test_a_crash_while_writing_leaves_the_previous_vectors(tmp_path, monkeypatch):
    made(5).save(tmp_path)

    def power_cut(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", power_cut)
    with pytest.raises(KeyboardInterrupt):
        made(50).save(tmp_path)
    monkeypatch.undo()
    assert len(recover_vectors(tmp_path, "study_aligned", "m1")) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["study_aligned--m1.safetensors"]


def test_a_file_under_another_models_name_is_refused(tmp_path):
    os.replace(made(model_id="m1").save(tmp_path), vectors_path(tmp_path, "study_aligned", "m2"))
    with pytest.raises(
        StoreError, match="Expected study_aligned vectors of model m2, found study_aligned vectors of model m1"
    ):
        load_vectors(tmp_path, "study_aligned", "m2")


@pytest.mark.slow
def test_of_one_file_the_newest_version_alone_stays_in_memory_and_of_many_files_a_few(tmp_path):
    """An embedding job replaces its file every 160 vectors; a page that looks now and then kept six of them."""
    seen = []
    for version in range(8):
        made(n=20 + version).save(tmp_path)
        read = load_vectors(tmp_path, "study_aligned", "m1")
        assert len(read) == 20 + version and load_vectors(tmp_path, "study_aligned", "m1") is read
        seen.append(weakref.ref(read))
    del read
    gc.collect()
    assert [one() is not None for one in seen] == [False] * 7 + [True]
    others = []
    for number in range(KEPT_FILES):
        made(model_id=f"other-{number}").save(tmp_path)
        others.append(weakref.ref(load_vectors(tmp_path, "study_aligned", f"other-{number}")))
    gc.collect()
    assert seen[-1]() is None and all(other() is not None for other in others)


@pytest.mark.slow
def test_a_file_that_was_taken_away_is_forgotten(tmp_path):
    path = made().save(tmp_path)
    kept = weakref.ref(load_vectors(tmp_path, "study_aligned", "m1"))
    path.unlink()
    assert len(load_vectors(tmp_path, "study_aligned", "m1")) == 0
    gc.collect()
    assert kept() is None


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells what of a mapped file is in memory")
def test_once_indexed_the_mapped_file_is_let_go(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(20_000, 128)).astype(np.float32)
    path = VectorSet("ecg", "m", tuple(f"E{i}" for i in range(len(matrix))), matrix).save(tmp_path)
    stored = load_vectors(tmp_path, "ecg", "m")

    def in_memory_kb() -> int:
        own = Path("/proc/self/smaps").read_text().partition(str(path))[2]
        return int(re.search(r"Rss:\s+(\d+) kB", own)[1])

    assert float(stored.matrix.sum()) == pytest.approx(float(matrix.sum()), abs=1)
    assert in_memory_kb() > 8_000
    ids, cosines = stored.nearest(matrix[77], 1, model_id="m")
    assert ids == ["E77"] and cosines[0] == pytest.approx(1, abs=1e-3)
    assert in_memory_kb() < 1_000
