"""A model without an echo side, from its weight file to every answer it can give, and a sentence for those it
cannot."""

import json
import shutil
import sys
from functools import partial

import numpy as np
import pytest

from echo2ecg_core.answers import embed, map_drawing
from echo2ecg_core.answers import maps as explore
from echo2ecg_core.answers.loaded_model import load_active_model, why_no_studies
from echo2ecg_core.answers.predict import predict
from echo2ecg_core.answers.readiness import abilities, readiness
from echo2ecg_core.answers.search import nearest_ecgs, search
from echo2ecg_core.cli import main
from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.intake.weights import import_model
from echo2ecg_core.models.specs import PARTS
from echo2ecg_core.reports import folder
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.vectors import load_vectors, vectors_path
from tests.ecg_only_workspace import FILMED, PATIENTS, released_file

pytestmark = pytest.mark.slow

N = sum(PATIENTS.values())
WHY = (
    r"echo2ecg \w{8} has no alignment of ECGs with studies and no echo side, so it cannot compare ECGs with echo "
    r"studies: train an alignment "
    r"that starts from it \(`train --preset paper --set start_from=\w{8}`\), or promote a model with an echo side\."
)


@pytest.fixture
def active(ecg_only_workspace):
    return ecg_only_workspace


@pytest.fixture
def labelled(ecg_only_workspace, tmp_path):
    """The same workspace before there was a model."""
    place = Workspace(shutil.copytree(ecg_only_workspace.folder, tmp_path / "labelled"))
    for made in (place.models, place.vectors, place.maps):
        shutil.rmtree(made)
        made.mkdir()
    with place.connect() as db:
        db.execute("DELETE FROM models")
    return place


def terminal(monkeypatch, capsys, place, *arguments):
    """Runs a command in this process; gives exit status, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["echo2ecg_core", *map(str, arguments), "--workspace", str(place.folder)])
    capsys.readouterr()
    try:
        main()
        return 0, *capsys.readouterr()
    except SystemExit as exit:
        return exit.code or 0, *capsys.readouterr()


@pytest.fixture
def ecg_file(active, tmp_path):
    """A recording of the workspace as somebody's CSV."""
    record = Catalog(active).ecg_record("E-0003")
    np.savetxt(tmp_path / "e3.csv", record.signal_mv.T, delimiter=",", header=",".join(record.leads), comments="")
    return tmp_path / "e3.csv"


@pytest.mark.parametrize(
    ("aligned", "absent"), [(False, "no alignment of ECGs with studies and no echo side"), (True, "no echo side")]
)
def test_an_imported_encoder_is_refused_in_words_until_it_is_prepared_and_then_promoted(
    labelled, tmp_path, monkeypatch, capsys, aligned, absent
):
    monkeypatch.setattr(
        map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions].astype(np.float32)
    )
    place = labelled
    card = import_model([released_file(tmp_path / "release.pt", aligned=aligned)], place).card
    assert abilities(card) == "Phenotypes, map of ECGs" and f"has {absent}, so it cannot compare" in why_no_studies(
        card
    )
    status, _, error = terminal(monkeypatch, capsys, place, "promote", card.model_id)
    assert status == 2 and f"it has no readouts yet, no vectors of {N} of {N} ECGs, no map. Prepare it first" in error
    status, out, error = terminal(monkeypatch, capsys, place, "promote", card.model_id, "--prepare")
    assert status == 0 and f"{card.model_id} is active." in out and "is prepared: it may be promoted." in error
    assert [c.model_id for c in ModelRegistry(place).models() if c.active] == [card.model_id]
    assert len(load_vectors(place.vectors, "ecg", card.model_id)) == N
    for kind in ("ecg_aligned", "study_aligned"):
        assert not vectors_path(place.vectors, kind, card.model_id).exists()
    with pytest.raises(ModelError, match=f"has {absent}, so it cannot"):
        nearest_ecgs(FILMED, place)


def test_readouts_are_those_of_the_workspace_and_tested_on_test_patients(active):
    manifest = ModelRegistry(active).active().manifest()
    assert (
        manifest["readouts"]["labelled_ecgs"] == PATIENTS["train"]
        and manifest["readouts"]["calibration_ecgs"] == PATIENTS["validation"]
    )
    assert manifest["test"]["patients"] == PATIENTS["test"] and "lvef" in manifest["test"]["phenotypes"]


def others_nearest_first(workspace, ecg_id: str, embedding: np.ndarray) -> list[str]:
    """Labelled ECGs of other patients by distance, one of each patient, by a plain loop."""
    catalog = Catalog(workspace)
    labelled, people = set(catalog.labelled_ecgs().ecg_id), catalog.ecgs().set_index("ecg_id").patient_id
    stored = load_vectors(workspace.vectors, "ecg", ModelRegistry(workspace).active().model_id)
    far = {i: float(np.linalg.norm(row - embedding)) for i, row in zip(stored.ids, stored.matrix, strict=True)}
    found: dict[str, str] = {}
    for other in sorted(labelled & set(far), key=far.get):
        if people[other] != people[ecg_id]:
            found.setdefault(people[other], other)
    return list(found.values())


def test_a_prediction_has_intervals_and_the_nearest_ecgs_of_other_patients(active):
    found = predict(Catalog(active).ecg_record("E-0003"), load_active_model(active), active)
    report = found.as_json()
    assert found.aligned is None and found.embedding.shape == (192,)
    named = [neighbour["ecg_id"] for neighbour in report["neighbours"]]
    assert named and named == others_nearest_first(active, "E-0003", found.embedding)[: len(named)]
    numbers = [row for row in report["phenotypes"] if row["kind"] == "number"]
    shown = [row for row in numbers if row["value"] is not None]
    assert all(row["interval"][0] < row["value"] < row["interval"][1] for row in shown)
    assert "lvef" in {row["name"] for row in numbers} and all(row["reason"] for row in numbers if row not in shown)


def test_the_map_holds_every_ecg_and_no_study_and_places_an_ecg_on_itself(active):
    card = ModelRegistry(active).active()
    points = explore.load_map(active, card.model_id, "ecgs")
    assert set(points.modality) == {"ECG"} and len(points) == N and explore.undrawn(active, card.model_id) == 0
    assert explore.layouts(card) == ("ecgs", "solid")
    embedding = predict(Catalog(active).ecg_record("E-0003"), load_active_model(active), active).embedding
    own = points.set_index("id").loc["E-0003"]
    spread = float(np.ptp(points.x))
    assert explore.place(embedding, active, card.model_id, "ecgs") == pytest.approx((own.x, own.y), abs=0.02 * spread)


def test_what_needs_studies_says_in_one_sentence_why_it_is_not_there_and_what_to_do(active):
    prediction = predict(Catalog(active).ecg_record("E-0003"), load_active_model(active), active)
    for attempt in (lambda: search(prediction, active), lambda: nearest_ecgs(FILMED, active)):
        with pytest.raises(ModelError, match=f"^{WHY}$"):
            attempt()


def test_the_terminal_predicts_checks_and_embeds_and_refuses_to_search_without_a_traceback(
    active, ecg_file, monkeypatch, capsys
):
    status, out, _ = terminal(monkeypatch, capsys, active, "predict", ecg_file, "--sampling-rate-hz", 500, "--json")
    assert status == 0 and "E-0003" not in {neighbour["ecg_id"] for neighbour in json.loads(out)["neighbours"]}
    for form in ((), ("--json",)):
        status, out, error = terminal(monkeypatch, capsys, active, "search", ecg_file, "--sampling-rate-hz", 500, *form)
        assert (
            status == 2
            and not out
            and "so it cannot compare ECGs with echo studies: train an alignment" in error
            and "Traceback" not in error
        )
    status, out, _ = terminal(monkeypatch, capsys, active, "check", "--json")
    checks = {row["name"]: row for row in json.loads(out)["checks"]}
    assert (
        status == 0
        and checks["ECG vectors"]["found"].startswith(f"12 of {N} embedded again")
        and checks["clip vectors"]["found"] == "none stored yet"
    )
    assert terminal(monkeypatch, capsys, active, "embed")[:2] == (0, "")
    assert embed.embed_job(active, None, lambda share, message: None) == f"Vectors of {N} ECGs are there."
    status, out, _ = terminal(monkeypatch, capsys, active, "models", "list", "--json")
    assert status == 0 and [row["active"] for row in json.loads(out)] == [True]
    clip_id = Catalog(active).clips_of(FILMED)[0].clip_id
    assert terminal(monkeypatch, capsys, active, "view", clip_id, "--out", ecg_file.with_suffix(".mp4"))[0] == 0


def test_a_new_ecg_makes_the_model_one_to_prepare_and_a_new_study_does_not(active, tmp_path):
    place = Workspace(shutil.copytree(active.folder, tmp_path / "w"))
    catalog, card = Catalog(place), ModelRegistry(place).active()
    catalog.add_study("S-new", "P-0001", study_date="2026-02-01", phenotypes={"lvef": 50.0})
    catalog.add_clip("S-new", b"new", fps=50, n_frames=32, format="phantom", view="A4C")
    assert readiness(place, card).is_ready
    record = catalog.ecg_record("E-0003")
    catalog.add_ecg("E-new", "P-0001", record, ecg_time="2026-02-01")
    assert readiness(place, card).missing == (f"no vectors of 1 of {N + 1} ECGs",)


def test_its_evaluation_judges_phenotypes_and_says_why_retrieval_is_left_out(active, monkeypatch, capsys):
    card = ModelRegistry(active).active()
    status, out, _ = terminal(monkeypatch, capsys, active, "evaluate", "--model", card.model_id, "--json")
    report = json.loads(out)
    assert status == 0 and report["retrieval"] is None and report["counts"]["patients"] == PATIENTS["test"]
    assert f"Retrieval is left out: {why_no_studies(card)}" in report["notes"]
    rows = {row["key"]: row["results"] for row in report["rows"]}
    assert rows["model.probe"]["lvef"]["mae"][0] > 0 and report["intervals"]
    model, judged = load_active_model(active), Catalog(active).ecgs().query("split == 'test'").ecg_id
    flagged = [
        predict(Catalog(active).ecg_record(ecg_id), model, active).as_json()["out_of_distribution"]["flag"]
        for ecg_id in judged
    ]
    assert len(flagged) == PATIENTS["test"] and report["outside"]["share"] == pytest.approx(
        np.mean(flagged), abs=1e-5
    )  # kept to six digits
    monkeypatch.setattr(folder, "write_report_folder", partial(folder.write_report_folder, kinds=()))
    status, out, error = terminal(
        monkeypatch, capsys, active, "report", "--model", card.model_id, "--out", active.folder / "out"
    )
    assert status == 0 and "Retrieval is left out" in (active.folder / "out" / "report.html").read_text()


def test_the_alignment_that_the_sentence_advises_can_be_trained_with_the_clip_encoder_of_another_model(
    active, tmp_path, monkeypatch
):
    """The small encoder has its own preset here; clips get their vectors from the only model with a clip encoder."""
    from dataclasses import replace

    from echo2ecg_core.training import settings as training_settings
    from echo2ecg_core.training.train import plan_training, run_training
    from tests.untrained_model import untrained_model

    place = Workspace(shutil.copytree(active.folder, tmp_path / "w"))
    catalog, encoder = Catalog(place), ModelRegistry(place).active()
    clip = catalog.clip_path(catalog.clips_of(FILMED)[0].clip_id).read_bytes()
    filmed = range(1, N, 3)
    for i in filmed:
        catalog.add_clip(f"S-{i:04d}", clip, fps=50, n_frames=32, format="phantom", view="A4C")
    paper = training_settings.TRAINING_PRESETS["paper"]
    small = replace(
        paper.spec, ecg_encoder=replace(paper.spec.ecg_encoder, depth=1), study=replace(paper.spec.study, width=64)
    )
    monkeypatch.setitem(training_settings.TRAINING_PRESETS, "paper", replace(paper, spec=small))
    advised = {
        "preset": "paper",
        "set": {"start_from": encoder.model_id, "epochs": 1, "batch_size": 16, "precision": "32-true"},
        "name": "aligned",
    }
    with pytest.raises(Echo2ECGError, match=r"The models of this workspace have no clip encoder\. Import one"):
        plan_training(place, advised["preset"], advised["set"])
    other = ModelRegistry(place).register(untrained_model(tmp_path / "other"))
    assert (
        f"Clips are embedded by the clip encoder of untrained {other.model_id}."
        in plan_training(place, advised["preset"], advised["set"]).notes
    )
    run_training(place, advised, job_id=1)
    trained = next(card for card in ModelRegistry(place).models() if card.name == "aligned")
    assert set(trained.manifest()["spec"]["parts"]) == set(PARTS) and not why_no_studies(trained)
    judged = [i for i in filmed if i >= N - PATIENTS["test"]]
    assert trained.manifest()["test"]["retrieval"]["studies"] == len(judged)  # the others have no clips to be found by
    assert trained.manifest()["start_from"] == encoder.model_id and trained.manifest()["clip_encoder"] == other.model_id
