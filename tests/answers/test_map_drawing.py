"""Drawing: a sample is fitted, the rest placed among it; a redraw stays where it was; maps of before are read."""

import numpy as np
import pytest

from echo2ecg_core.answers import map_drawing, maps
from echo2ecg_core.answers.map_drawing import build_map, fitted_rows, turned
from echo2ecg_core.store.vectors import load_vectors
from tests.small_workspace import MODEL_ID, small_workspace


def first_coordinates(vectors, start, dimensions):
    """In the place of UMAP."""
    return vectors[:, :dimensions].astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("drawing"), n_patients=30)


@pytest.fixture
def workspace(made, monkeypatch):
    monkeypatch.setattr(map_drawing, "_umap", first_coordinates)
    yield made
    (made.maps / f"{MODEL_ID}.npz").unlink(missing_ok=True)


def test_beyond_the_most_a_sample_is_fitted_and_the_others_lie_at_the_weighted_mean_of_their_nearest(
    workspace, monkeypatch
):
    monkeypatch.setattr(map_drawing, "MOST_FITTED", 40)
    monkeypatch.setattr(map_drawing, "BLOCK", 7)
    build_map(workspace, MODEL_ID)
    drawn = maps.stored_layout(workspace, MODEL_ID, "together")
    assert len(drawn.ids) == 60 and drawn.xy.shape == (60, 2) and drawn.vectors.shape[0] == len(drawn.fitted) == 40
    assert np.allclose(drawn.xy[drawn.fitted], drawn.vectors[:, :2], atol=2e-3)
    sets = {name: load_vectors(workspace.vectors, f"{name}_aligned", MODEL_ID).matrix for name in ("ecg", "study")}
    units = {name: m / np.linalg.norm(m, axis=1, keepdims=True) for name, m in sets.items()}
    everything = np.concatenate([units["ecg"] - units["ecg"].mean(0), units["study"] - units["study"].mean(0)])
    length = np.linalg.norm(everything, axis=1)
    for row in sorted(set(range(60)) - set(drawn.fitted)):
        cosine = everything[drawn.fitted] @ everything[row] / (length[drawn.fitted] * length[row])
        nearest = np.argsort(-cosine)[:15]
        weight = 1 / (1e-4 + 1 - cosine[nearest]) ** 2
        expected = (weight[:, None] * drawn.xy[drawn.fitted][nearest]).sum(0) / weight.sum()
        assert drawn.xy[row] == pytest.approx(expected, abs=2e-3)
    assert maps.undrawn(workspace, MODEL_ID) == 0 and len(maps.load_map(workspace, MODEL_ID)) == 60


def test_an_ecg_that_was_not_in_the_sample_is_placed_where_it_was_drawn(workspace, monkeypatch):
    monkeypatch.setattr(map_drawing, "MOST_FITTED", 40)
    build_map(workspace, MODEL_ID)
    drawn = maps.stored_layout(workspace, MODEL_ID, "together")
    vectors = load_vectors(workspace.vectors, "ecg_aligned", MODEL_ID)
    others = [row for row in range(30) if row not in set(drawn.fitted)]
    assert others
    for row in others:
        at = maps.place(vectors.matrix[row], workspace, MODEL_ID)
        assert at == pytest.approx(tuple(drawn.xy[row]), abs=5e-3)


def test_an_archive_that_grows_keeps_its_sample_but_for_the_share_that_is_new():
    ids = [f"ecg:{i}" for i in range(3000)]
    before, after = fitted_rows(ids[:2500], 1000), fitted_rows(ids, 1000)
    assert len(before) == len(after) == 1000 and (np.diff(after) > 0).all()
    kept = np.isin(before, after).mean()
    assert kept == pytest.approx(2500 / 3000, abs=0.05)
    assert abs(np.mean(before) - 1250) < 60  # from all over
    assert fitted_rows(ids[:10], 1000).tolist() == list(range(10))


def test_a_redraw_starts_from_the_old_places_and_lies_on_them(workspace, monkeypatch):
    build_map(workspace, MODEL_ID)
    old = maps.stored_layout(workspace, MODEL_ID, "together")
    starts = []

    def turned_over(vectors, start, dimensions):
        starts.append(start)
        angle = np.deg2rad(130)
        spin = np.eye(dimensions)
        spin[:2, :2] = [[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]]
        return (start @ spin + 5).astype(np.float32)

    monkeypatch.setattr(map_drawing, "_umap", turned_over)
    build_map(workspace, MODEL_ID)
    new = maps.stored_layout(workspace, MODEL_ID, "together")
    assert new is not old and np.allclose(starts[0], old.xy, atol=1e-6)
    assert np.allclose(new.xy, old.xy, atol=1e-4)
    assert starts[3].shape == (60, 3)


def test_new_points_start_among_their_neighbours(workspace, monkeypatch):
    monkeypatch.setattr(map_drawing, "vectors_of", lambda *_: {"ecg": sets["ecg"], "study": half})
    sets = maps.vectors_of(workspace, MODEL_ID)
    study = sets["study"]
    half = type(study)(study.kind, study.model_id, study.ids[::2], study.matrix[::2])
    build_map(workspace, MODEL_ID)
    starts = []
    monkeypatch.setattr(map_drawing, "vectors_of", lambda *_: sets)
    monkeypatch.setattr(
        map_drawing, "_umap", lambda v, start, d: starts.append(start) or first_coordinates(v, start, d)
    )
    build_map(workspace, MODEL_ID)
    expected = first_coordinates(map_drawing._Points(sets, "together").vectors(np.arange(60)), None, 2)
    assert np.abs(starts[0] - expected).max() < 0.2 and np.isfinite(starts[0]).all()


def test_a_layout_is_turned_and_mirrored_but_never_stretched():
    rng = np.random.default_rng(3)
    old = rng.normal(size=(50, 2))
    new = old[10:] @ np.array([[0.0, 1.0], [1.0, 0.0]]) * 2 + [4, -3]  # mirrored, twice as wide
    back = turned(new, old, (np.arange(40), np.arange(10, 50)))
    middle = old[10:].mean(0)
    assert np.allclose(back, middle + 2 * (old[10:] - middle))


def test_a_map_of_an_earlier_version_is_read_as_fitted_whole(workspace):
    build_map(workspace, MODEL_ID)
    path = workspace.maps / f"{MODEL_ID}.npz"
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if not name.endswith("_fitted")}
    before = maps.place(np.ones(16), workspace, MODEL_ID)
    np.savez(path, **{name: value for name, value in arrays.items() if not name.startswith("solid")})
    assert maps.stored_layout(workspace, MODEL_ID, "together").fitted.tolist() == list(range(60))
    assert maps.place(np.ones(16), workspace, MODEL_ID) == pytest.approx(before)


def test_a_lasso_takes_the_points_inside_and_a_box_those_between_its_corners(workspace):
    build_map(workspace, MODEL_ID)
    points = maps.load_map(workspace, MODEL_ID)
    triangle = ([-2.0, 0.1, 0.1], [0.0, 0.0, 2.0])
    in_triangle = (points.x < 0.1) & (points.y > 0) & (points.y - 0 < (points.x + 2) * 2 / 2.1)
    box = ([0.9, 0.4], [-1.0, 1.0])
    in_box = points.x.between(0.4, 0.9) & points.y.between(-1, 1)
    assert in_triangle.any() and in_box.any() and not (in_triangle | in_box).all()
    assert maps.inside(points, [triangle, box]).tolist() == (in_triangle | in_box).tolist()
    assert not maps.inside(points, []).any()
