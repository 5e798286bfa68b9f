"""Vectors in appended segments: what a save costs, what a kill leaves, what merging keeps, and files of before."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store import segments, vectors
from echo2ecg_core.store.vectors import (
    VectorSet,
    append_vectors,
    load_vectors,
    merge_vectors,
    recover_vectors,
    stored_sets,
    vectors_path,
    vectors_state,
)

ROOT = Path(__file__).resolve().parents[2]


def rows(n: int, seed: int = 0, d: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def ids(n: int, first: int = 0) -> list[str]:
    return [f"E-{first + i:05d}" for i in range(n)]


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


def forget() -> None:
    """As another process finds the files."""
    vectors._kept.clear()


@pytest.mark.parametrize("look_between", [False, True])
def test_appended_segments_read_as_one_set_with_the_newest_row_of_an_id(tmp_path, look_between):
    first, second, third = rows(5, 1), rows(4, 2), rows(2, 3)
    VectorSet("ecg", "m", tuple(ids(5)), first).save(tmp_path)
    for names, matrix in ((ids(4, 5), second), (["E-00001", "E-00007"], third)):
        append_vectors(tmp_path, "ecg", "m", names, matrix)
        if look_between:
            load_vectors(tmp_path, "ecg", "m")
    found, slow = load_vectors(tmp_path, "ecg", "m"), dict(zip(ids(9), [*first, *second], strict=True))
    slow |= {"E-00001": third[0], "E-00007": third[1]}
    assert sorted(found.ids) == sorted(slow)
    np.testing.assert_array_equal(found.rows(list(slow)), np.stack(list(slow.values())))


def test_a_save_costs_what_is_new(tmp_path):
    VectorSet("ecg", "m", tuple(ids(20_000)), rows(20_000, d=64)).save(tmp_path)
    whole = vectors_path(tmp_path, "ecg", "m")
    before = whole.stat().st_mtime_ns, whole.stat().st_ino
    append_vectors(tmp_path, "ecg", "m", ids(10, 20_000), rows(10, d=64))
    (segment,) = segments.segments_of(whole)
    assert segment.stat().st_size < 10 * 64 * 4 + 1000 < whole.stat().st_size / 1000
    assert (whole.stat().st_mtime_ns, whole.stat().st_ino) == before


def test_merging_leaves_one_file_with_the_same_rows_that_is_mapped_not_copied(tmp_path):
    for part in range(3):
        append_vectors(tmp_path, "ecg", "m", ids(4, 4 * part), rows(4, part), "as the spec says")
    before = load_vectors(tmp_path, "ecg", "m")
    merge_vectors(tmp_path, "ecg", "m")
    assert files(tmp_path) == ["ecg--m.safetensors"]
    after = load_vectors(tmp_path, "ecg", "m")
    assert (after.ids, after.input) == (before.ids, "as the spec says")
    np.testing.assert_array_equal(after.matrix, before.matrix)
    assert isinstance(after.matrix, np.memmap) and not after.matrix.flags.writeable
    state = vectors_state(tmp_path, "ecg", "m")
    merge_vectors(tmp_path, "ecg", "m")
    assert vectors_state(tmp_path, "ecg", "m") == state


def test_a_merge_that_was_killed_before_it_took_the_segments_away_brings_nothing_back(tmp_path, monkeypatch):
    """The rows of a removed patient lie in a segment that is merged already; the removal must hold."""
    append_vectors(tmp_path, "ecg", "m", ids(3), rows(3))
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            VectorSet("ecg", "m", ("E-00002",), rows(3)[2:]).save(tmp_path)
    assert len(files(tmp_path)) == 2
    assert load_vectors(tmp_path, "ecg", "m").ids == ("E-00002",)
    append_vectors(tmp_path, "ecg", "m", ids(1, 9), rows(1, 9))
    merge_vectors(tmp_path, "ecg", "m")
    forget()
    assert load_vectors(tmp_path, "ecg", "m").ids == ("E-00002", "E-00009")
    assert files(tmp_path) == ["ecg--m.safetensors"]


def test_a_file_of_an_earlier_version_is_read_and_grows(tmp_path):
    from safetensors.numpy import save_file

    old = rows(6)
    save_file(
        {"matrix": old},
        tmp_path / "ecg--m.safetensors",
        metadata={"kind": "ecg", "model_id": "m", "ids": json.dumps(ids(6)), "input": "spec"},
    )
    found = load_vectors(tmp_path, "ecg", "m")
    assert (found.ids, found.input) == (tuple(ids(6)), "spec")
    append_vectors(tmp_path, "ecg", "m", ids(1, 6), rows(1, 9), "spec")
    merge_vectors(tmp_path, "ecg", "m")
    forget()
    np.testing.assert_array_equal(load_vectors(tmp_path, "ecg", "m").matrix, np.concatenate([old, rows(1, 9)]))


def test_vectors_prepared_otherwise_than_the_newest_count_no_more(tmp_path):
    append_vectors(tmp_path, "ecg", "m", ids(3), rows(3), "before")
    append_vectors(tmp_path, "ecg", "m", ids(1), rows(1, 5), "now")
    found = load_vectors(tmp_path, "ecg", "m")
    assert (found.ids, found.input) == (("E-00000",), "now")


@pytest.mark.parametrize("kept", [0, 5, 90, -1])
def test_a_damaged_segment_is_named_and_set_aside_and_the_others_stay(tmp_path, kept):
    for part in range(3):
        append_vectors(tmp_path, "ecg", "m", ids(4, 4 * part), rows(4, part))
    broken = segments.segments_of(vectors_path(tmp_path, "ecg", "m"))[1]
    broken.write_bytes(broken.read_bytes()[:kept])
    with pytest.raises(StoreError, match="vectors of model m is damaged"):
        load_vectors(tmp_path, "ecg", "m")
    assert recover_vectors(tmp_path, "ecg", "m").missing(ids(12)) == ids(4, 4)
    assert broken.with_suffix(".damaged").exists()


@pytest.mark.parametrize(
    ("names", "matrix", "words"),
    [
        (["a"], np.full((1, 8), np.inf), "vector of a holds numbers that are not finite"),
        (["a", "a"], np.ones((2, 8)), "Ids repeat"),
        (["a", "b"], np.ones((1, 8)), "one vector for each of 2 ids"),
    ],
)
def test_what_could_never_be_searched_is_not_appended(tmp_path, names, matrix, words):
    with pytest.raises(StoreError, match=words):
        append_vectors(tmp_path, "ecg", "m", names, matrix)
    assert files(tmp_path) == []


def test_sets_that_are_segments_only_are_found(tmp_path):
    append_vectors(tmp_path, "ecg", "m.1", ids(1), rows(1))
    VectorSet("clip", "e", ("C",), rows(1)).save(tmp_path)
    (tmp_path / "ecg-refused--m.json").write_text("[]")
    assert stored_sets(tmp_path) == [("clip", "e"), ("ecg", "m.1")]


WRITER = """
import sys
import numpy as np
from echo2ecg_core.store.vectors import append_vectors, merge_vectors
folder, first = sys.argv[1], int(sys.argv[2])
for segment in range(10_000):
    names = [f"E-{first + 10 * segment + i:07d}" for i in range(10)]
    append_vectors(folder, "ecg", "m", names, np.full((10, 64), segment + 1.0))
    print(first + 10 * (segment + 1), flush=True)
    if segment % 5 == 4:
        merge_vectors(folder, "ecg", "m")
"""


@pytest.mark.parametrize("after", [3, 7, 16])
def test_kill_9_loses_at_most_the_open_segment(tmp_path, after):
    """A writer appends ten rows at a time and merges now and then; it is killed at a moment of its own."""
    command = [sys.executable, "-c", WRITER, str(tmp_path), "0"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    for _ in range(after):
        told = int(writer.stdout.readline())
    time.sleep(0.001 * after)
    os.kill(writer.pid, signal.SIGKILL)
    told = max([told, *map(int, writer.stdout.read().split())])
    writer.wait()
    found = recover_vectors(tmp_path, "ecg", "m")
    assert told <= len(found) <= told + 10  # the last may have been stored and not told
    assert found.ids == tuple(f"E-{i:07d}" for i in range(len(found)))
    np.testing.assert_array_equal(found.matrix[:, 0], 1 + np.arange(len(found)) // 10)
    assert not list(tmp_path.rglob("*.damaged"))


def test_two_processes_append_at_once_and_a_reader_sees_whole_segments_only(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER.replace("10_000", "12"), str(tmp_path), str(first)],
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
        for first in (0, 1_000_000)
    ]
    while any(writer.poll() is None for writer in writers):
        assert len(load_vectors(tmp_path, "ecg", "m")) % 10 == 0
    assert [writer.returncode for writer in writers] == [0, 0]
    merge_vectors(tmp_path, "ecg", "m")
    forget()
    found = load_vectors(tmp_path, "ecg", "m")
    assert set(found.ids) == {f"E-{first + i:07d}" for first in (0, 1_000_000) for i in range(120)}
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("whole_is_there", [False, True])
def test_what_is_merged_while_it_is_read_is_whole_and_not_damaged(tmp_path, monkeypatch, whole_is_there):
    """Another process merges between the header of a file and its rows: the reader gets all rows, of one state."""
    if whole_is_there:
        append_vectors(tmp_path, "ecg", "m", ids(5), rows(5, 3))
        merge_vectors(tmp_path, "ecg", "m")
    append_vectors(tmp_path, "ecg", "m", ids(10, 100), rows(10, 1))
    forget()
    real, merged = segments._header, []

    def header_then_merge(file, path):
        found = real(file, path)
        if not merged:
            merged.append(path)
            merge_vectors_of_another_process(tmp_path)
        return found

    monkeypatch.setattr(segments, "_header", header_then_merge)
    found = load_vectors(tmp_path, "ecg", "m")
    expected = [*(ids(5) if whole_is_there else []), *ids(10, 100)]
    assert merged and not segments.segments_of(vectors_path(tmp_path, "ecg", "m"))
    assert sorted(found.ids) == expected
    np.testing.assert_array_equal(found.rows(ids(10, 100)), rows(10, 1))


def merge_vectors_of_another_process(folder: Path) -> None:
    command = "import sys, pathlib; from echo2ecg_core.store.vectors import merge_vectors; "
    command += "merge_vectors(pathlib.Path(sys.argv[1]), 'ecg', 'm')"
    subprocess.run([sys.executable, "-c", command, str(folder)], check=True, cwd=ROOT)


def _alike(matrix, query):
    return 1 + matrix * 1e-4, 1 + query * 1e-4


def _one_far_out(matrix, query):
    return np.concatenate([matrix[:-1], np.full((1, 16), 3e7, np.float32)]), query


@pytest.mark.parametrize("share", [1, 0.7, 0.1, 0.01])
@pytest.mark.parametrize(
    "made",
    [
        lambda matrix, query: (matrix * 50, query),
        lambda matrix, query: (matrix, query * 1e7),
        lambda matrix, query: (np.repeat(matrix[:5], 600, axis=0) + 1e-3 * matrix, matrix[0]),
        lambda matrix, query: (np.repeat(matrix[:5], 600, axis=0), query),
        _alike,
        _one_far_out,
    ],
    ids=["wide", "query far out", "in heaps", "copies", "alike", "one far out"],
)
def test_the_nearest_by_distance_are_those_of_a_plain_ranking(made, share):
    matrix, query = made(rows(3000, 1, 16), rows(1, 2, 16)[0])
    among = np.random.default_rng(5).random(3000) < share
    true = np.linalg.norm(matrix.astype(float) - query, axis=1)
    slow = np.flatnonzero(among)[np.argsort(true[among], kind="stable")[:40]]
    found, distance = VectorSet("ecg", "m", tuple(ids(3000)), matrix).by_distance(query, among, 40)
    assert len(set(found)) == len(slow) == min(40, among.sum()) and among[found].all()
    np.testing.assert_allclose(distance, true[found], rtol=1e-5)
    np.testing.assert_allclose(distance, true[slow], rtol=1e-6)


def test_candidates_are_rows_or_ids_alike():
    found, query = VectorSet("ecg", "m", tuple(ids(301)), rows(301)), rows(1, 4)[0]
    mask = np.arange(301) % 7 == 2
    by_ids = found.nearest(query, 10, model_id="m", among=[i for i, kept in zip(found.ids, mask, strict=True) if kept])
    by_rows = found.nearest(query, 10, model_id="m", among=mask)
    assert by_rows[0] == by_ids[0] and len(by_rows[0]) == 10
    assert found.nearest(query, 10, model_id="m", among=np.zeros(301, bool))[0] == []
