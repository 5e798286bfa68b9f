"""Predictions asked for at once: the same answers as alone, in fewer passes, and a bad record refuses itself alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from echo2ecg_core.answers import predict_together
from echo2ecg_core.answers.predict_together import MOST_TOGETHER, PredictTogether
from echo2ecg_core.errors import SignalError
from echo2ecg_core.models import threads
from echo2ecg_core.settings import Settings
from echo2ecg_core.store.database import Workspace


@dataclass(frozen=True)
class Record:
    name: str


@pytest.fixture
def passes(monkeypatch):
    """The batches as they go through the network; the first one waits until the test lets it go."""
    seen, go_on, began = [], threading.Event(), threading.Event()

    def predict_batch(records, model, workspace, insist):
        seen.append([r.name for r in records])
        if len(seen) == 1:
            began.set()
            assert go_on.wait(20)
        if any("short" in r.name for r in records):
            raise SignalError("The ECG is too short.")
        return [(r.name, model, workspace.folder.name, insist) for r in records]

    monkeypatch.setattr(predict_together, "predict_batch", predict_batch)
    seen_first = (began, go_on)
    return seen, seen_first


def ask_all(queue, passes, asked, n_threads=40):
    """Ask for the first and, while it is being answered, for all the others; returns answers or errors in order."""
    seen, (began, go_on) = passes

    def ask(one):
        name, model, place, insist = one
        try:
            return queue.predict(Record(name), model, Workspace(place), insist=insist)
        except SignalError as error:
            return str(error)

    with ThreadPoolExecutor(n_threads) as pool:
        answers = [pool.submit(ask, asked[0])]
        assert began.wait(20)
        for number, one in enumerate(asked[1:], start=1):
            answers.append(pool.submit(ask, one))
            for _ in range(2000):
                if len(queue._waiting) == number:
                    break
                threading.Event().wait(0.005)
        go_on.set()
        return [answer.result(30) for answer in answers]


def test_ten_at_once_pass_the_network_twice_and_each_gets_its_own_answer(passes):
    asked = [(f"r{n}", "m", "w", False) for n in range(10)]
    answers = ask_all(PredictTogether(), passes, asked)
    assert [a[0] for a in answers] == [f"r{n}" for n in range(10)]
    assert passes[0] == [["r0"], [f"r{n}" for n in range(1, 10)]]


def test_other_models_workspaces_and_choices_do_not_mix_and_nobody_waits_for_ever(passes):
    asked = [
        ("a", "m", "w", False),
        ("b", "m", "w", False),
        ("c", "n", "w", False),
        ("d", "m", "v", False),
        ("e", "m", "w", True),
    ]
    asked.append(("f", "m", "w", False))
    answers = ask_all(PredictTogether(), passes, asked)
    assert passes[0] == [["a"], ["b", "f"], ["c"], ["d"], ["e"]]
    assert [(a[1], a[2], a[3]) for a in answers] == [one[1:] for one in asked]


def test_a_record_that_cannot_be_used_refuses_itself_alone(passes):
    asked = [(name, "m", "w", False) for name in ("a", "b", "short", "c")]
    answers = ask_all(PredictTogether(), passes, asked)
    assert answers[2] == "The ECG is too short." and [a[0] for a in (answers[0], answers[1], answers[3])] == [
        "a",
        "b",
        "c",
    ]


def test_a_crowd_is_answered_in_batches_of_a_bounded_size(passes):
    asked = [(f"r{n}", "m", "w", False) for n in range(2 * MOST_TOGETHER + 2)]
    ask_all(PredictTogether(), passes, asked)
    assert [len(batch) for batch in passes[0]] == [1, MOST_TOGETHER, MOST_TOGETHER, 1]


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
