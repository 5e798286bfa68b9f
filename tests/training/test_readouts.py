"""The one fitter: a trained and an imported model with the same vectors get the same readouts and manifest entries."""

import json

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.answers.predict import why_not_shown
from echo2ecg_core.errors import StoreError
from echo2ecg_core.models.predictive import SMALLEST_CALIBRATION
from echo2ecg_core.models.readouts import LabelledVectors
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.training import readouts
from echo2ecg_core.training.data import TrainingData
from echo2ecg_core.training.readouts import fit_and_measure, fit_readouts, labelled_vectors, workspace_vectors
from tests.ecg_only_workspace import PATIENTS


def made(rng, n, first=0, **labels):
    x = rng.normal(size=(n, 6))
    told = {"lvef": 50 + 8 * x[:, 0] + rng.normal(0, 5, n), "mr_grade": rng.integers(0, 4, n).astype(float)}
    told |= {"as_grade": np.clip(np.round(1 + 1.2 * x[:, 1] + rng.normal(0, 0.5, n)), 0, 3)}
    return LabelledVectors(x, x[:, :4] + 1, told | labels, first + np.arange(n) // 2)


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    return {"train": made(rng, 400), "validation": made(rng, 200, 1000), "test": made(rng, 200, 2000)}


def test_a_grade_that_is_no_better_than_chance_is_not_shown_and_one_that_is_better_is(splits):
    found, measured = fit_and_measure(splits)
    entries = measured["test"]["phenotypes"]
    shown = {name: why_not_shown(PHENOTYPES[name], entries[name]) is None for name in found.heads}
    assert shown == {"lvef": True, "mr_grade": False, "as_grade": True}
    assert {"auroc_moderate", "auroc_moderate_interval", "coverage", "r2_interval"} <= set(entries["as_grade"])
    json.dumps(measured, allow_nan=False)


def test_r2_alone_is_not_enough_by_luck_of_few_test_patients_nor_without_any():
    lvef, grade = PHENOTYPES["lvef"], PHENOTYPES["tr_grade"]
    assert why_not_shown(lvef, {"r2": 0.3, "r2_interval": [-0.1, 0.5]})
    assert why_not_shown(lvef, {"r2": 0.3, "r2_interval": [0.1, 0.5]}) is None
    assert why_not_shown(grade, {"r2": 0.9}) and why_not_shown(lvef, {}) and why_not_shown(grade, {})
    assert "too few test patients" in why_not_shown(grade, {"auroc_moderate": None, "auroc_moderate_interval": None})


@pytest.mark.parametrize("calibration", [1, SMALLEST_CALIBRATION - 1, SMALLEST_CALIBRATION])
def test_few_calibration_ecgs_give_readouts_and_below_nineteen_no_interval(splits, calibration):
    v = splits["validation"]
    few = {name: values[:calibration] for name, values in v.labels.items()}
    splits["validation"] = LabelledVectors(
        v.embedding[:calibration], v.outside[:calibration], few, v.patients[:calibration]
    )
    found, measured = fit_and_measure(splits)
    has_interval = calibration >= SMALLEST_CALIBRATION
    assert (found.heads["lvef"].predictive is not None) == has_interval
    assert ("coverage" in measured["test"]["phenotypes"]["lvef"]) == has_interval
    json.dumps(measured, allow_nan=False)


def test_a_split_without_measured_ecgs_is_told_with_what_is_there_and_what_is_needed(splits):
    splits["test"] = made(np.random.default_rng(1), 4)
    with pytest.raises(StoreError, match=r"needed are 50 train ECGs, 1 validation ECGs, 10 test ECGs; there are 400 "):
        fit_and_measure(splits)


@pytest.mark.slow
def test_imported_weights_get_the_readouts_that_the_training_of_the_same_network_would_give_them(ecg_only_workspace):
    """The same ECGs on both ways in: as a training reads them, and as the workspace has embedded them."""
    from safetensors.numpy import load_file

    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.ecg.preprocess import clean_whole
    from echo2ecg_core.store.paths import READOUTS_FILE

    place, model = ecg_only_workspace, load_active_model(ecg_only_workspace)
    catalog, spec = Catalog(place), model.spec.ecg_input
    ecgs = catalog.ecgs()
    cleaned = [catalog.ecg_record(i) for i in ecgs.ecg_id]
    signals = [
        clean_whole(r.signal_mv, r.sampling_rate_hz, target_hz=spec.sampling_rate_hz, order=spec.order) for r in cleaned
    ]
    length = min(s.shape[1] for s in signals)
    data = TrainingData(
        ecgs, np.stack([s[:, :length] for s in signals]), catalog.studies(), pd.DataFrame({"study_id": []}), np.zeros(0)
    )
    imported = workspace_vectors(place, model.card)
    trained = {split: labelled_vectors(model.echo2ecg, data, split, 7.0) for split in PATIENTS}
    for split, n in PATIENTS.items():
        assert len(imported[split].embedding) == n == len(trained[split].embedding)
        np.testing.assert_allclose(imported[split].embedding, trained[split].embedding, atol=2e-3)
        np.testing.assert_allclose(imported[split].outside, trained[split].outside, atol=2e-3)
        assert imported[split].labels.keys() == trained[split].labels.keys()
    told = fit_readouts(place, model.card)
    fitted, measured = fit_and_measure(trained)
    assert told["test"]["phenotypes"].keys() == measured["test"]["phenotypes"].keys()
    for name, entry in told["test"]["phenotypes"].items():
        assert entry.keys() == measured["test"]["phenotypes"][name].keys()
        assert entry["mae"] == pytest.approx(measured["test"]["phenotypes"][name]["mae"], rel=0.02)
    stored = load_file(model.card.folder / READOUTS_FILE)
    assert stored.keys() == fitted.tensors().keys()
    x = trained["test"].embedding
    again = readouts.Readouts.from_tensors(stored)
    for name in ("lvef", "ivsd"):
        np.testing.assert_allclose(again.intervals(name, x), fitted.intervals(name, x), rtol=0.02, atol=0.05)
