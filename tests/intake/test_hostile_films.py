"""A film that takes too long or too much memory is refused by its name, the others come in; Stop ends reading it."""

import multiprocessing
from pathlib import Path

import av
import numpy as np
import pytest

from echo2ecg_core.intake import decoding
from echo2ecg_core.intake.decoding import ENDED
from echo2ecg_core.intake.ingest import ingest
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests import small_trees

SIDE, FRAMES = 2560, 24  # 470 MB decoded, of a file of a few kB


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Two small clips and, between them, a film of a few kilobytes that takes seconds and hundreds of megabytes."""
    root = tmp_path_factory.mktemp("films")
    small_trees.table(root / "labels.csv", "patient_id,study_id,study_date,lvef\nP1,S1,2024-01-01,50")
    for name in ("a", "c"):
        small_trees.avi(root / f"echo/P1/S1/{name}.avi", ord(name))
    with av.open(str(root / "echo/P1/S1/b.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "40"})
        stream.width = stream.height = SIDE
        frame = av.VideoFrame.from_ndarray(np.zeros((SIDE, SIDE, 3), np.uint8), format="rgb24")
        for _ in range(FRAMES):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert (root / "echo/P1/S1/b.mp4").stat().st_size < 200_000
    return root


def came_in(archive: Path, place: Workspace) -> tuple[int, dict[str, str]]:
    """Clips that were added, and why others were not, by file name."""
    report = ingest(archive, place, cohort="c", keep_ids=True, synthetic=True)
    return report.clips, {Path(row["file"]).name: row["reason"] for row in report.refused}


@pytest.mark.slow
def test_a_film_that_takes_too_long_is_refused_and_the_others_come_in(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "SECONDS", 0.7)
    monkeypatch.setattr(decoding, "SECONDS_A_MB", 0.0)
    assert came_in(archive, Workspace(tmp_path / "w")) == (2, {"b.mp4": ENDED})


@pytest.mark.slow
def test_a_film_that_needs_too_much_memory_is_refused_and_the_others_come_in(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MEMORY_BYTES", 150 * 2**20)
    clips, refused = came_in(archive, Workspace(tmp_path / "w"))
    assert clips == 2 and refused == {"b.mp4": decoding.TOO_MUCH_MEMORY.format(150 * 2**20 / 1e9)}


@pytest.mark.slow
def test_stop_ends_the_reading_of_a_film_at_once(archive, tmp_path):
    place, told = Workspace(tmp_path / "w"), []

    class Stopped(Exception):
        pass

    def stop_while_the_film_is_read(share, message):
        told.append(message)
        if told.count(message) > 2:  # nothing has come in for a while: a film is being read
            raise Stopped

    with pytest.raises(Stopped):
        ingest(archive, place, cohort="c", synthetic=True, progress=stop_while_the_film_is_read)
    assert multiprocessing.active_children() == []
    assert Catalog(place).counts()["clips"] == 0
