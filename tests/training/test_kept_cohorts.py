"""A selection that was kept as a cohort filters studies, evaluation and training like a cohort that came in."""

import shutil

import numpy as np
import pytest

from echo2ecg_core.answers.search import Filters, candidates, search
from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.ingest import ingest
from echo2ecg_core.intake.problems import ImportRefused
from echo2ecg_core.models.specs import EcgInputSpec
from echo2ecg_core.reports.compare import _table
from echo2ecg_core.reports.labelled_ecgs import labelled_table
from echo2ecg_core.store import kept_cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.training.data import visits, workspace_data
from echo2ecg_core.training.plan import plan_training
from echo2ecg_core.training.train import training_parameters
from tests.small_workspace import prediction, small_workspace

CHOSEN = [f"E-{i:04d}" for i in (1, 4, 9, 16, 25, 36)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """40 patients in three splits; six ECGs of them kept as a cohort."""
    place = small_workspace(tmp_path_factory.mktemp("made") / "w")
    with place.write() as db:
        db.execute("UPDATE patients SET split = 'train' WHERE patient_id < 'P-0012'")
        db.execute("UPDATE patients SET split = 'validation' WHERE patient_id BETWEEN 'P-0012' AND 'P-0019'")
    kept_cohorts.keep(place, "mine", CHOSEN, [], who="ada", made_from="A selection on the map")
    return place


@pytest.fixture
def place(made, tmp_path):
    return Workspace(shutil.copytree(made.folder, tmp_path / "w"))


def test_similar_studies_are_searched_in_the_kept_cohort_alone(made):
    studies = {i.replace("E", "S") for i in CHOSEN}
    left = candidates(made, Filters(cohort="mine"))
    assert set(left.study_ids) == studies and left.removed == {"Cohort mine": 34}
    assert {hit.study_id for hit in search(prediction(40.0), made, filters=Filters(cohort="mine"))} == studies
    assert len(candidates(made, Filters(cohort="small")).study_ids) == 40
    assert not candidates(made, Filters(cohort="nobody")).study_ids


def test_a_filter_follows_a_cohort_that_is_forgotten_and_kept_anew(place):
    assert len(candidates(place, Filters(cohort="mine")).study_ids) == 6
    kept_cohorts.forget(place, "mine")
    assert not candidates(place, Filters(cohort="mine")).study_ids
    kept_cohorts.keep(place, "mine", [], ["S-0007"], who="ada", made_from="")
    assert candidates(place, Filters(cohort="mine")).study_ids == ("S-0007",)


def test_an_evaluation_judges_the_ecgs_of_the_kept_cohort_and_says_so(made):
    everyone = list(Catalog(made).ecgs().ecg_id)
    table, notes = labelled_table(made, everyone, ["mine"], "test")
    assert set(table.ecg_id[table.role == "test"]) == {"E-0025", "E-0036"}
    assert set(table.role) == {"train", "validation", "test"}
    assert "Only ECGs that a person chose are judged: those kept as mine." in notes
    assert set(_table(made, ["mine"]).ecg_id) <= set(CHOSEN)


@pytest.mark.slow
def test_a_training_reads_the_ecgs_of_a_cohort_and_the_studies_of_their_patients(made, tmp_path):
    ecgs, studies = visits(made, "mine")
    assert list(ecgs.ecg_id) == CHOSEN and list(studies.study_id) == [i.replace("E", "S") for i in CHOSEN]
    assert [len(table) for table in visits(made)] == [40, 40]
    data = workspace_data(made, EcgInputSpec(100.0, 500), None, tmp_path / "prepared", cohort="mine")
    assert list(data.ecgs.ecg_id) == CHOSEN and len(data.signals) == 6 and np.isfinite(data.signals).all()
    with pytest.raises(StoreError, match="no cohort 'theirs'"):
        visits(made, "theirs")


def test_the_plan_of_a_training_counts_the_cohort_alone_and_the_terminal_takes_its_name(made):
    parameters = training_parameters("paper", ["cohort=mine", "objective=masked", "batch_size=2", "epochs=1"])
    plan = plan_training(made, "paper", parameters["set"])
    assert (plan.pairs, plan.validation_pairs) == (3, 1)
    with pytest.raises(StoreError, match="known: small, mine"):
        plan_training(made, "paper", parameters["set"] | {"cohort": "theirs"})


def test_an_import_cannot_take_the_name_of_a_kept_cohort(place, tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "labels.csv").write_text("patient_id,study_id,lvef\nA,S1,55\n")
    with pytest.raises(ImportRefused, match="kept as the cohort 'mine'"):
        ingest(folder, place, cohort="mine", keep_ids=True)
    assert Catalog(place).counts()["patients"] == 40
