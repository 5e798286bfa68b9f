"""Batches that are made ahead are those made one by one, in their order, and one is made while another is used."""

import threading

import numpy as np
import pytest
import torch

from echo2ecg_core.ecg.augment_spec import AugmentationSpec
from echo2ecg_core.models.specs import EcgEncoderSpec, EcgInputSpec, ModelSpec, StudySpec
from echo2ecg_core.training.batches import ahead, batch_at, batches, places
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.parameters import RunParameters
from echo2ecg_core.training.run_state import RunState

SPEC = ModelSpec(
    EcgInputSpec(n_samples=48),
    EcgEncoderSpec(width=12, depth=1, heads=3, patch=24, n_samples=48),
    study=StudySpec(width=16),
)
CPU = torch.device("cpu")


def run_of(**parameters) -> RunState:
    rng, rows = np.random.default_rng(0), np.arange(24)
    train = PreparedPairs(
        rng.normal(size=(24, 12, 60)).astype(np.float16),
        rng.normal(size=(72, 512)).astype(np.float32),
        [np.arange(3 * i, 3 * i + 3) for i in rows],
        np.stack([rows // 2, rows, rows], 1),
    )
    return RunState(RunParameters(**{"epochs": 3, "batch_size": 4, **parameters}), train, 1)


def flat(batch) -> list:
    return [batch.ecg, batch.order, *batch.studies, *([] if batch.not_negative is None else [batch.not_negative])]


@pytest.mark.parametrize(
    "parameters",
    [
        {"view_dropout": 0.5, "same_patient_negatives": False},
        {"accumulate": 3, "augmentation": AugmentationSpec(gain_std=0.2)},
        {"objective": "masked"},
    ],
)
def test_what_is_made_ahead_is_what_is_made_one_by_one_also_from_the_middle(parameters):
    run = run_of(**parameters)
    run.epoch = 1
    whole = list(batches(run, SPEC, CPU, 0))
    assert [(b.place.step, b.place.part) for b in whole] == [
        (run.steps + i // run.parameters.accumulate, i % run.parameters.accumulate) for i in range(len(whole))
    ]
    one_by_one = [batch_at(place, run, SPEC, CPU) for place in places(run, 0)]
    assert len(whole) == len(one_by_one) == run.steps * run.parameters.accumulate
    for a, b in zip(whole, one_by_one, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))
    assert not torch.equal(whole[0].ecg, whole[1].ecg)
    run.step_in_epoch = 1
    rest = list(batches(run, SPEC, CPU, 0))
    for a, b in zip(rest, whole[run.parameters.accumulate :], strict=True):
        assert all(torch.equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


def test_the_next_is_made_in_a_thread_while_one_is_used_and_no_more_than_that():
    made, third = [], threading.Event()

    def make(number):
        made.append((number, threading.current_thread() is threading.main_thread()))
        if number == 2:
            third.set()
        return number * 10

    results = ahead(make, range(5))
    assert next(results) == 0
    assert next(results) == 10 and third.wait(10), "the third is made although nobody asked for it"
    assert [number for number, _ in made] == [0, 1, 2] and not any(in_main for _, in_main in made)
    assert list(results) == [20, 30, 40] and list(ahead(make, [])) == []


def test_what_making_raises_arrives_where_the_batch_is_due():
    def make(number):
        if number == 1:
            raise ValueError("no such row")
        return number

    results = ahead(make, range(3))
    assert next(results) == 0
    with pytest.raises(ValueError, match="no such row"):
        next(results)
