"""How many threads a network takes: what the others leave free, within what the container may use."""

import pytest

from echo2ecg_core.models import threads
from echo2ecg_core.settings import Settings


@pytest.mark.parametrize(
    ("told", "n_cores", "load", "wanted"),
    [(None, 2, 0.1, 2), (None, 2, 1.2, 1), (None, 2, 16.0, 1), (None, 16, 3.9, 8), (None, 6, 3.9, 2), (3, 2, 16.0, 3)],
)
def test_threads_are_what_the_others_leave_free_unless_told(monkeypatch, told, n_cores, load, wanted):
    monkeypatch.setattr(threads, "settings", lambda: Settings(_env_file=None, threads=told))
    monkeypatch.setattr(threads, "cores", lambda: n_cores)
    monkeypatch.setattr(threads.os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert threads.threads() == wanted


@pytest.mark.parametrize(("quota", "wanted"), [("max 100000", 4), ("150000 100000", 2), ("20000 100000", 1), ("", 4)])
def test_cores_are_those_of_the_container(monkeypatch, tmp_path, quota, wanted):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(threads, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert threads.cores() == wanted
