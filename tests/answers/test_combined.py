"""Combined estimates: the kept mix applied to one ECG, and nothing where it did not win, is old or lacks a model."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from echo2ecg_core.answers.combined import Combinations, combinations, combined, mixes_words, readouts_state
from echo2ecg_core.evaluation.recalibrate import logit
from echo2ecg_core.evaluation.side_by_side import stacked
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.paths import READOUTS_FILE, ready_path
from tests.pages.prediction_fixture import model_card


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "w")


@pytest.fixture
def card(tmp_path):
    card = replace(model_card(tmp_path / "model"), model_id="ours-1")
    (card.folder / READOUTS_FILE).write_bytes(b"readouts")
    return card


def halves(n=2000):
    """Two models that know half of the truth each, on patients who choose and patients who judge."""
    one, two = np.random.default_rng(3).normal(size=(2, 2 * n))
    positive = (np.random.default_rng(4).random(2 * n) < 1 / (1 + np.exp(-2 * one - 2 * two))).astype(int)
    answers = {"Ours ours-1": 1 / (1 + np.exp(-one)), "Theirs theirs-1": 1 / (1 + np.exp(-two))}
    return [({k: v[part] for k, v in answers.items()}, positive[part]) for part in (slice(n), slice(n, None))]


def keep(place, card, **changed):
    """The comparison as an evaluation keeps it, of those two."""
    choosing, judging = halves()
    patients = np.array([f"P{i}" for i in range(len(judging[1]))])
    entry = {"label": "LVEF ≤ 45 %", "patients": len(patients), "stacking": stacked(choosing, (*judging, patients))}
    entry["stacking"] |= changed
    models = [
        {"name": "Ours ours-1", "id": "ours-1", "readouts": readouts_state(card)},
        {"name": "Theirs theirs-1", "id": "theirs-1", "readouts": None},
    ]
    path = ready_path(place, card.model_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"models": models, "findings": {"lvef_le_45": entry}}))
    return choosing


def reads(score, question="lvef_le_45"):
    return [{"model": {"id": "theirs-1"}, "findings": [{"question": question, "score": score}]}]


def test_the_mix_of_an_ecg_is_the_logistic_line_fitted_on_validation_patients(place, card):
    answers, positive = keep(place, card)
    x = np.stack([logit(values) for values in answers.values()], 1)
    expected = LogisticRegression(max_iter=1000).fit(x, positive).predict_proba(logit(np.array([[0.3, 0.9]])))[0, 1]
    (one,) = combined(combinations(place, card), card, {"lvef_le_45": 0.3}, reads(0.9))
    assert one["chance"] == pytest.approx(expected, abs=1e-4) and one["of"] == ["ours-1", "theirs-1"]
    assert one["difference"][1] > 0 and json.loads(json.dumps(one)) == one
    assert mixes_words(combinations(place, card)).startswith("Combined: a mix of all models, shown on 1 of 1 finding,")


def test_a_mix_that_won_nothing_is_not_shown_and_the_page_says_so(place, card):
    keep(place, card, helps=False)
    found = combinations(place, card)
    assert combined(found, card, {"lvef_le_45": 0.3}, reads(0.9)) == []
    assert mixes_words(found).startswith("Nothing is combined: on the finding judged on test patients a mix")


@pytest.mark.parametrize(
    ("ours", "readers"),
    [({}, reads(0.9)), ({"lvef_le_45": 0.3}, []), ({"lvef_le_45": 0.3}, reads(0.9, "aortic_stenosis"))],
)
def test_without_an_answer_of_every_model_of_the_mix_nothing_is_combined(place, card, ours, readers):
    keep(place, card)
    assert combined(combinations(place, card), card, ours, readers) == []


def test_readouts_fitted_again_since_end_a_mix(place, card):
    keep(place, card)
    (card.folder / READOUTS_FILE).write_bytes(b"others")
    found = combinations(place, card)
    assert not found.won and "fitted again since: evaluate it again" in mixes_words(found)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"models": [{"name": "a", "id": "b"}], "findings": {"x": 3}}'])
def test_no_comparison_a_damaged_one_and_one_of_an_earlier_version_combine_nothing(place, card, content):
    path = ready_path(place, card.model_id)
    path.parent.mkdir(parents=True)
    assert not combinations(place, card).won
    path.write_text(content)
    found = combinations(place, card)
    assert not found.won and mixes_words(found).startswith("Nothing is combined. Whether a mix of all models helps is")


def test_a_comparison_in_which_no_mix_could_be_judged_says_so(place, card):
    keep(place, card)
    path = ready_path(place, card.model_id)
    found = json.loads(path.read_text())
    found["findings"]["lvef_le_45"]["stacking"] = None
    path.write_text(json.dumps(found))
    assert "Too few labelled validation and test patients" in mixes_words(combinations(place, card))


def test_the_words_for_no_mix_that_won_suit_one_finding_and_more():
    one, more = (mixes_words(Combinations(judged=n)) for n in (1, 12))
    assert "on the finding judged on test patients a mix of all models did not beat the best single one" in one
    assert "on none of 12 findings judged on test patients did a mix of all models beat the best single one" in more
