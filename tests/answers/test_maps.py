"""The map: neighbours stay neighbours, modalities mix, a known ECG is placed on itself, and all of it is quick to
read."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.answers import map_drawing
from echo2ecg_core.answers import maps as explore
from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.vectors import VectorSet, load_vectors
from tests.small_workspace import DIM, MODEL_ID, direction, record_of, small_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A drawn map; UMAP is replaced by the first two coordinates, which are the truth these vectors were made from."""
    made = small_workspace(tmp_path_factory.mktemp("map"))
    patch = pytest.MonkeyPatch()
    patch.setattr(map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions].astype(np.float32))
    told = []
    map_drawing.build_map(made, MODEL_ID, lambda share, message: told.append((share, message)))
    patch.undo()
    assert [share for share, _ in told] == sorted(share for share, _ in told) and "80 points" in told[1][1]
    return made


def test_the_map_knows_every_point_with_modality_study_and_phenotypes(workspace):
    points = explore.load_map(workspace, MODEL_ID)
    assert len(points) == 80 and set(points.modality) == {"ECG", "study"}
    ecg = points[points.id == "E-0010"].iloc[0]
    study = points[points.id == "S-0010"].iloc[0]
    assert ecg.study_id == "S-0010" and ecg.lvef == study.lvef and ecg.patient_id == "P-0010" and study.synthetic
    assert set(explore.load_map(workspace, MODEL_ID, "ecgs").modality) == {"ECG"}
    assert set(explore.load_map(workspace, MODEL_ID, "studies").modality) == {"study"}


def test_drawn_together_an_ecg_lies_by_its_own_study_although_the_modalities_lie_apart(workspace):
    vectors = {
        kind: load_vectors(workspace.vectors, kind, MODEL_ID).matrix.mean(0)
        for kind in ("ecg_aligned", "study_aligned")
    }
    assert np.linalg.norm(vectors["ecg_aligned"] - vectors["study_aligned"]) > 0.9
    points = explore.load_map(workspace, MODEL_ID).set_index("id")
    apart = [
        np.hypot(*(points.loc[f"E-{i:04d}", ["x", "y"]] - points.loc[f"S-{i:04d}", ["x", "y"]])) for i in range(40)
    ]
    assert np.median(apart) < 0.05


@pytest.mark.parametrize("layout", ["together", "ecgs"])
def test_an_ecg_that_is_on_the_map_is_placed_on_itself(workspace, layout):
    points = explore.load_map(workspace, MODEL_ID, layout).set_index("id")
    vectors = load_vectors(workspace.vectors, "ecg_aligned", MODEL_ID)
    for ecg_id in ("E-0000", "E-0013", "E-0039"):
        at = explore.place(vectors.rows([ecg_id])[0], workspace, MODEL_ID, layout)
        assert at == pytest.approx(tuple(points.loc[ecg_id, ["x", "y"]]), abs=0.05)


def test_a_new_ecg_is_placed_among_ecgs_of_its_kind(workspace):
    points = explore.load_map(workspace, MODEL_ID).set_index("id")
    new = direction(45.0, "ecg", np.random.default_rng(77))
    x, y = explore.place(new, workspace, MODEL_ID)
    nearest = ((points.x - x) ** 2 + (points.y - y) ** 2).nsmallest(10).index
    assert points.lvef[nearest].median() == pytest.approx(45, abs=4)


def test_a_point_is_linked_with_the_study_that_labels_it_and_the_other_ecgs_of_that_study():
    points = pd.DataFrame(
        {
            "id": ["E-1", "E-2", "S-1", "E-3", "S-2", "E-4"],
            "modality": ["ECG", "ECG", "study", "ECG", "study", "ECG"],
            "study_id": ["S-1", "S-1", "S-1", "S-2", "S-2", None],
        },
        index=[10, 20, 30, 40, 50, 60],
    )
    linked = {row: list(explore.of_its_study(points, row).id) for row in points.index}
    assert linked[30] == linked[10] == linked[20] == ["S-1", "E-1", "E-2"]
    assert linked[50] == ["S-2", "E-3"] and linked[60] == ["E-4"]
    without_studies = points[points.modality == "ECG"]
    assert list(explore.of_its_study(without_studies, 20).id) == ["E-2", "E-1"]


def test_what_was_embedded_after_the_drawing_is_counted(workspace):
    assert explore.undrawn(workspace, MODEL_ID) == 0
    vectors = load_vectors(workspace.vectors, "ecg_aligned", MODEL_ID)
    Catalog(workspace).add_ecg("E-9999", "P-0000", record_of(99))
    vectors.add(["E-9999"], np.ones((1, DIM), np.float32)).save(workspace.vectors)
    assert explore.undrawn(workspace, MODEL_ID) == 1
    assert len(explore.load_map(workspace, MODEL_ID)) == 80


def test_the_model_predicts_of_every_ecg_on_the_map_by_its_own_vector(workspace, monkeypatch):
    told = SimpleNamespace(heads={"lvef": None}, values=lambda name, embeddings: 50 + 10 * embeddings[:, 0])
    monkeypatch.setattr(explore, "load_readouts", lambda folder: told)
    monkeypatch.setattr(explore, "PREDICTED_AT_ONCE", 7)
    points = explore.load_map(workspace, MODEL_ID).iloc[::-1].reset_index(drop=True)
    ids = tuple(sorted(points.id[points.modality == "ECG"]))
    vectors = VectorSet("ecg", MODEL_ID, ids, np.random.default_rng(4).normal(size=(len(ids), 3)).astype(np.float32))
    monkeypatch.setattr(explore, "load_vectors", lambda folder, kind, model_id: vectors)
    points.loc[points.id == "E-0003", "id"] = "E-gone"
    predicted = explore.predicted_lvef(points, workspace, MODEL_ID)
    is_ecg = (points.modality == "ECG") & (points.id != "E-gone")
    wanted = 50 + 10 * vectors.rows(points.id[is_ecg].tolist())[:, 0]
    assert is_ecg.sum() > 20 and np.allclose(predicted[is_ecg], wanted) and np.isnan(predicted[~is_ecg]).all()
    told.heads.clear()
    with pytest.raises(ModelError, match="no readout of LVEF"):
        explore.predicted_lvef(points, workspace, MODEL_ID)


def test_before_the_job_a_map_is_missing_in_words(tmp_path):
    workspace = small_workspace(tmp_path, n_patients=5)
    assert not explore.map_exists(workspace, MODEL_ID)
    with pytest.raises(StoreError, match=r"map of model 5ma11000 has not been drawn yet\. Draw it"):
        explore.load_map(workspace, MODEL_ID)


def test_too_few_points_make_no_map(tmp_path):
    with pytest.raises(StoreError, match="needs at least 10 points, found 8 ECGs and studies"):
        map_drawing.build_map(small_workspace(tmp_path, n_patients=4), MODEL_ID)


@pytest.mark.parametrize("kept", [0, 10, 2000])
def test_a_damaged_map_is_named_and_can_be_drawn_again(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(
        map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions].astype(np.float32)
    )
    workspace = small_workspace(tmp_path, n_patients=8)
    map_drawing.build_map(workspace, MODEL_ID)
    path = workspace.maps / f"{MODEL_ID}.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StoreError, match="map of model 5ma11000 is damaged"):
        explore.load_map(workspace, MODEL_ID)
    map_drawing.build_map(workspace, MODEL_ID)
    assert len(explore.load_map(workspace, MODEL_ID)) == 16
    with pytest.raises(StoreError, match="too few points for a map of ecgs alone"):
        explore.load_map(workspace, MODEL_ID, "ecgs")


@pytest.mark.slow
def test_umap_keeps_hearts_of_like_lvef_together(tmp_path):
    workspace = small_workspace(tmp_path, n_patients=60)
    map_drawing.build_map(workspace, MODEL_ID)
    points = explore.load_map(workspace, MODEL_ID)
    xy = points[["x", "y"]].to_numpy()
    distance = ((xy[:, None] - xy[None]) ** 2).sum(-1) + np.diag([np.inf] * len(xy))
    nearest = distance.argsort(1)[:, :5]
    apart = np.abs(points.lvef.to_numpy()[nearest] - points.lvef.to_numpy()[:, None]).mean()
    assert apart < 4  # by chance 17
    modality = (points.modality == "ECG").to_numpy()
    assert 0.3 < (modality[nearest] == modality[:, None]).mean() < 0.8
