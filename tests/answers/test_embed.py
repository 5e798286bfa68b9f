"""Embedding against one ECG at a time: any batch size, number of processes, restart and launcher gives the same."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from echo2ecg_core import processes
from echo2ecg_core.answers import embed, inputs
from echo2ecg_core.answers.embed import embed_ecgs
from echo2ecg_core.answers.loaded_model import LoadedModel, input_text
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.specs import PRESETS
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.store.new_rows import NewEcg
from echo2ecg_core.store.paths import refused_path
from echo2ecg_core.store.segments import segments_of
from echo2ecg_core.store.vectors import append_vectors, load_vectors, vectors_path

ROOT = Path(__file__).resolve().parents[2]
N = 21
SECONDS = (10, 6, 20, 1, 10, 6, 12)  # lengths take turns; of 1 s there is no window


def small_model(folder: Path) -> LoadedModel:
    """The demo's networks, untrained, reading every window of a record."""
    torch.manual_seed(3)
    spec = PRESETS["demo"]
    spec = replace(spec, ecg_input=replace(spec.ecg_input, windows="all"))
    card = ModelCard("small", "small", "5" * 64, True, "", True, folder)
    return LoadedModel(card, Echo2ECG(spec).eval(), None, None, spec, None, {"weights": {}})


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Workspace:
    """ECGs of several lengths and rates, every seventh too short."""
    workspace = Workspace(tmp_path_factory.mktemp("archive"))
    catalog, rng = Catalog(workspace), np.random.default_rng(0)
    catalog.add_patient("P", split="test", cohort="c", synthetic=True)
    ecgs = []
    for i in range(N):
        hz = (500.0, 250.0)[i % 2]
        noise = rng.normal(size=(12, int(SECONDS[i % 7] * hz))).cumsum(1) * 0.02
        ecgs.append(NewEcg(f"E-{i:03d}", "P", EcgRecord(noise.astype(np.float32), hz, "phantom", f"{i}"), None))
    catalog.add_ecgs(ecgs)
    return workspace


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> LoadedModel:
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def one_by_one(archive, model) -> dict[str, dict[str, np.ndarray]]:
    """The slow and obvious way."""
    catalog, slow = Catalog(archive), {"ecg": {}, "ecg_aligned": {}}
    for ecg_id in catalog.ecgs().ecg_id:
        if SECONDS[int(ecg_id[2:]) % 7] > 2:
            found = model.embed_ecgs(model.prepare(catalog.ecg_record(ecg_id))[None])
            slow["ecg"][ecg_id], slow["ecg_aligned"][ecg_id] = found.embedding[0], found.aligned[0]
    return slow


@pytest.fixture
def place(archive, monkeypatch, tmp_path) -> Workspace:
    """The archive with a folder of vectors of its own."""
    place = Workspace(archive.folder)
    place.vectors = tmp_path / "vectors"
    return place


def assert_same(place: Workspace, slow: dict[str, dict[str, np.ndarray]]) -> None:
    for kind, rows in slow.items():
        found = load_vectors(place.vectors, kind, "small")
        assert sorted(found.ids) == sorted(rows)
        np.testing.assert_allclose(found.rows(list(rows)), np.stack(list(rows.values())), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_any_batch_size_gives_the_vectors_of_one_ecg_at_a_time(place, model, one_by_one, monkeypatch, size):
    monkeypatch.setattr(embed, "ECG_WINDOWS", {"cpu": size})
    told = []
    refused = embed_ecgs(place, model, lambda share, message: told.append((share, message)))
    assert [row["ecg_id"] for row in refused] == [f"E-{i:03d}" for i in range(3, N, 7)]
    assert all("1.00 s, but the model reads windows of 2.52 s" in row["reason"] for row in refused)
    assert_same(place, one_by_one)
    assert told[-1] == (1.0, f"Embedding ECGs: {N} of {N}") and sorted(told) == told
    assert refused_path(place, "small").exists()


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_batches_side_by_side_on_the_cores_give_the_same_vectors_and_leave_torch_its_threads(
    place, model, one_by_one, monkeypatch, at_once
):
    monkeypatch.setattr(embed, "cores", lambda: at_once)
    monkeypatch.setattr(embed, "ECG_WINDOWS", {"cpu": 2})
    used, real = set(), embed._Work._send

    def send(self, *arguments):
        used.add((threading.current_thread().name, torch.get_num_threads()))
        return real(self, *arguments)

    monkeypatch.setattr(embed._Work, "_send", send)
    before = torch.get_num_threads()
    embed_ecgs(place, model)
    assert_same(place, one_by_one)
    if at_once == 1:
        assert used == {(threading.current_thread().name, before)}
    else:
        assert 1 < len(used) <= at_once and {threads for _, threads in used} == {1}
    assert torch.get_num_threads() == before
    seen = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [before]


@pytest.mark.slow
def test_processes_that_read_beside_the_device_change_nothing(place, model, one_by_one, monkeypatch):
    monkeypatch.setattr(embed, "ECGS_A_PIECE", 1)  # 21 pieces: worth a process
    started = []
    real = processes.pool
    monkeypatch.setattr(processes, "pool", lambda n, **how: started.append(n) or real(n, **how))
    embed_ecgs(place, model)
    assert started and len(started) == 1
    assert_same(place, one_by_one)


class Stopped(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("segment_s", [0.0, 1000.0])
def test_stopped_at_any_moment_and_started_again_it_repeats_nothing_that_was_stored(
    place, model, one_by_one, monkeypatch, segment_s
):
    monkeypatch.setattr(embed, "SEGMENT_S", segment_s)
    monkeypatch.setattr(embed, "ECG_WINDOWS", {"cpu": 4})

    def stop(share, message):
        if share > 0.5:
            raise Stopped

    with pytest.raises(Stopped):
        embed_ecgs(place, model, stop)
    stored = len(load_vectors(place.vectors, "ecg", "small"))
    assert (stored > 5) == (segment_s == 0)
    again = []
    embed_ecgs(place, model, lambda share, message: again.append(message))
    assert again[-1].endswith(f"of {N - stored}")
    assert_same(place, one_by_one)
    assert not segments_of(vectors_path(place.vectors, "ecg", "small"))  # merged


def test_with_every_vector_there_nothing_is_written_or_told(place, model):
    embed_ecgs(place, model)
    path = vectors_path(place.vectors, "ecg", "small")
    before, told = path.stat().st_mtime_ns, []
    embed_ecgs(place, model, lambda share, message: told.append(message))
    assert path.stat().st_mtime_ns == before
    assert told[-1] == "Embedding ECGs: 3 of 3"  # those that are too short are tried again


@pytest.mark.slow
def test_a_model_that_prepares_otherwise_makes_every_vector_again(place, model, one_by_one):
    embed_ecgs(place, model)
    first = replace(model, spec=replace(model.spec, ecg_input=replace(model.spec.ecg_input, windows="first")))
    embed_ecgs(place, first)
    found = load_vectors(place.vectors, "ecg", "small")
    assert found.input == input_text(first.spec) != input_text(model.spec) and len(found) == len(one_by_one["ecg"])
    record = Catalog(place).ecg_record("E-002")  # 20 s: seven windows, of which the first alone is read now
    np.testing.assert_allclose(
        found.rows(["E-002"])[0], first.embed_ecgs(first.prepare(record)[None]).embedding[0], atol=1e-4
    )
    assert np.abs(found.rows(["E-002"])[0] - one_by_one["ecg"]["E-002"]).max() > 1e-3


def test_vectors_of_before_the_cleaning_had_a_number_are_made_again(place, model, one_by_one):
    ids, before = list(one_by_one["ecg"]), json.dumps(model.spec.ecg_input.to_dict(), sort_keys=True)
    for kind, rows in one_by_one.items():
        append_vectors(place.vectors, kind, "small", ids, np.stack([rows[i] for i in ids]) + 0.03, before)
    embed_ecgs(place, model)
    assert_same(place, one_by_one)


@pytest.mark.slow
def test_a_reading_process_that_dies_is_told_in_words_and_what_was_stored_stays(place, model, monkeypatch):
    monkeypatch.setattr(embed, "ECGS_A_PIECE", 1)
    monkeypatch.setattr(inputs, "ecg_inputs", dies)
    with pytest.raises(StoreError, match="ended by the system"):
        embed_ecgs(place, model)


def dies(folder, spec, ids):
    os._exit(9)


ALONE = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/tests/answers"]
from pathlib import Path
from test_embed import small_model
from echo2ecg_core.answers.embed import embed_ecgs
from echo2ecg_core.models.devices import launched_or_alone
from echo2ecg_core.store.database import Workspace
place = Workspace({folder!r})
place.vectors = Path({vectors!r})
embed_ecgs(place, small_model(Path({vectors!r})), fabric=launched_or_alone())
sys.exit("lightning_fabric" in sys.modules)
"""


@pytest.mark.slow
def test_a_process_alone_embeds_without_loading_the_library_that_joins_several(place, one_by_one, tmp_path):
    script = ALONE.format(root=str(ROOT), folder=str(place.folder), vectors=str(place.vectors))
    unlaunched = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=unlaunched)
    assert done.returncode == 0, done.stderr
    assert_same(place, one_by_one)


RANKS = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/tests/answers"]
from pathlib import Path
import torch
from test_embed import small_model
from echo2ecg_core.answers.embed import embed_ecgs
from echo2ecg_core.models.devices import open_fabric
from echo2ecg_core.store.database import Workspace
torch.set_num_threads(1)
place = Workspace({folder!r})
place.vectors = Path({vectors!r})
fabric = open_fabric("32-true", "cpu")
refused = embed_ecgs(place, small_model(Path({vectors!r})), fabric=fabric)
assert fabric.world_size == 2 and len(refused) == 3, refused
"""


@pytest.mark.slow
def test_two_processes_of_a_launcher_share_the_work_and_leave_one_file(place, one_by_one, tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS.format(root=str(ROOT), folder=str(place.folder), vectors=str(place.vectors)))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert_same(place, one_by_one)
    assert not segments_of(vectors_path(place.vectors, "ecg", "small"))


@pytest.mark.slow
def test_of_a_long_recording_the_usable_minutes_are_embedded_as_they_are_predicted_from(model, tmp_path):
    from echo2ecg_core.ecg.preprocess import prepare_ecg
    from echo2ecg_core.ecg.quality import judge_quality
    from tests.ecg.test_quality import long_ecg

    workspace, signal = Workspace(tmp_path / "long"), long_ecg([2], n_minutes=3).astype(np.float32)
    catalog, record = Catalog(workspace), EcgRecord(signal, 500.0, "phantom", "long")
    catalog.add_patient("P", split="test", cohort="c", synthetic=True)
    catalog.add_ecgs([NewEcg("E", "P", record, None)])
    assert embed_ecgs(workspace, model) == []
    stored = load_vectors(workspace.vectors, "ecg", model.card.model_id).rows(["E"])[0]
    wanted = model.spec.ecg_input
    minutes = [
        prepare_ecg(
            part,
            500.0,
            target_hz=wanted.sampling_rate_hz,
            n_samples=wanted.n_samples,
            order=wanted.order,
            windows="all",
        )
        for part in (signal[:, :30_000], signal[:, 60_000:])
    ]
    by_hand = model.embed_ecgs(np.concatenate(minutes)[None]).embedding[0]
    assert stored == pytest.approx(by_hand, abs=1e-4)
    np.testing.assert_array_equal(
        model.prepare(record, judge_quality(record)), model.prepare(record)
    )  # as `predict` does


def test_a_last_usable_stretch_shorter_than_a_window_is_passed_over(model):
    from tests.ecg.test_quality import long_ecg

    window_s = model.spec.ecg_input.n_samples / model.spec.ecg_input.sampling_rate_hz
    signal = long_ecg([2], n_minutes=2)
    tail = round(60_000 + 500 * (2.5 + window_s) / 2) + 1  # the third minute: judged, and too short for the network
    record = EcgRecord(np.tile(signal, (1, 2))[:, :tail].astype(np.float32), 500.0, "phantom", "tail")
    first_minute = replace(record, signal_mv=record.signal_mv[:, :30_000])
    np.testing.assert_array_equal(model.prepare(record), model.prepare(first_minute))
