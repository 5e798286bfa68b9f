"""ECGs sent at once: the same vectors as alone, in fewer passes, and a bad one refuses itself alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from echo2ecg_core.answers.embed_together import MOST_TOGETHER, EmbedTogether
from echo2ecg_core.answers.loaded_model import EcgVectors
from echo2ecg_core.errors import ModelError
from echo2ecg_core.models import threads
from echo2ecg_core.settings import Settings

BAD = 666.0


class Network:
    """Sums and means instead of a network; notes its passes, and the first one waits until the test lets it go."""

    def __init__(self):
        self.passes, self.began, self.go_on = [], threading.Event(), threading.Event()

    def __call__(self, windows):
        self.passes.append(len(windows))
        if len(self.passes) == 1:
            self.began.set()
            assert self.go_on.wait(20)
        if (windows == BAD).any():
            raise ModelError("The network cannot read this.")
        sums = windows.sum((1, 2, 3))[:, None]
        return EcgVectors(sums, None if windows.shape[1] == 2 else sums + 1, windows.mean((1, 2, 3))[:, None])


def ecg(value, n=1, windows=3):
    return np.full((n, windows, 12, 8), float(value))


def ask_all(network, asked):
    """Ask for the first and, while it is being answered, for all the others; answers or errors in the order asked."""
    together = EmbedTogether(network)

    def ask(windows):
        try:
            return together(windows)
        except ModelError as error:
            return str(error)

    with ThreadPoolExecutor(len(asked)) as pool:
        answers = [pool.submit(ask, asked[0])]
        assert network.began.wait(20)
        for number, one in enumerate(asked[1:], start=1):
            answers.append(pool.submit(ask, one))
            for _ in range(2000):
                if len(together._waiting) == number:
                    break
                threading.Event().wait(0.005)
        network.go_on.set()
        return [answer.result(30) for answer in answers]


def test_ten_at_once_pass_the_network_twice_and_each_gets_its_own_rows():
    network = Network()
    asked = [ecg(n, 1 + n % 3) for n in range(10)]
    answers = ask_all(network, asked)
    assert network.passes == [1, sum(len(one) for one in asked[1:])]
    for one, found in zip(asked, answers, strict=True):
        assert np.array_equal(found.embedding[:, 0], one.sum((1, 2, 3))) and len(found.outside) == len(one)
        assert np.array_equal(found.aligned, found.embedding + 1)


def test_ecgs_of_other_lengths_do_not_mix_and_keep_their_turn():
    network = Network()
    answers = ask_all(network, [ecg(1), ecg(2), ecg(3, windows=2), ecg(4)])
    assert network.passes == [1, 2, 1] and [a.embedding[0, 0] for a in answers] == [288, 576, 576, 1152]
    assert answers[2].aligned is None


def test_what_the_network_refuses_refuses_itself_alone():
    network = Network()
    answers = ask_all(network, [ecg(1), ecg(2), ecg(BAD), ecg(3)])
    assert answers.pop(2) == "The network cannot read this." and [a.embedding[0, 0] for a in answers] == [288, 576, 864]


def test_a_crowd_is_answered_in_batches_of_a_bounded_size():
    network = Network()
    ask_all(network, [ecg(n) for n in range(2 * MOST_TOGETHER + 2)])
    assert network.passes == [1, MOST_TOGETHER, MOST_TOGETHER, 1]


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
