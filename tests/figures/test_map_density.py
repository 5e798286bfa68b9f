"""The picture of a large map against counting cell by cell."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echo2ecg_core.figures import map_density
from echo2ecg_core.figures.map_colours import LIGHT, VIRIDIS_CUT, group_colours
from echo2ecg_core.figures.map_density import CELLS, View, density_figure, density_picture, whole


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    n = 60_000
    xy = rng.normal(size=(n, 2)).astype(np.float32)
    lvef = np.where(rng.random(n) < 0.2, np.nan, 50 + 10 * xy[:, 0])
    return pd.DataFrame(
        {
            "id": [f"E{i:07d}" for i in range(n)],
            "modality": np.where(rng.random(n) < 0.7, "ECG", "study"),
            "x": xy[:, 0],
            "y": xy[:, 1],
            "lvef": lvef,
            "age_years": 50.0,
            "sex": np.where(xy[:, 1] > 0, "female", "male"),
        }
    )


def rgba(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)


def cells_of(points, view):
    """Row and column of every point that is seen, one by one."""
    for index, point in enumerate(points.itertuples()):
        if view.x0 <= point.x <= view.x1 and view.y0 <= point.y <= view.y1:
            column = int((point.x - view.x0) / (view.x1 - view.x0) * CELLS)
            yield (
                index,
                (min(int((view.y1 - point.y) / (view.y1 - view.y0) * CELLS), CELLS - 1), min(column, CELLS - 1)),
            )


def test_a_cell_is_seen_where_points_lie_and_has_the_colour_of_their_mean(points):
    view, held = View(-1.0, 1.0, -0.5, 1.5), {}
    picture = rgba(density_picture(points, "lvef", view))
    for index, cell in cells_of(points, view):
        held.setdefault(cell, []).append(points.lvef[index])
    seen = {tuple(cell) for cell in np.argwhere(picture[..., 3] > 0)}
    assert seen == set(held) and picture.shape == (CELLS, CELLS, 4)
    low, high = np.nanpercentile(points.lvef, [2, 98])
    scale = np.array([[int(ink[i : i + 2], 16) for i in (1, 3, 5)] for ink in VIRIDIS_CUT])
    muted = [int(LIGHT.muted[i : i + 2], 16) for i in (1, 3, 5)]
    for cell in list(held)[::97]:
        values = np.array(held[cell])
        if np.isnan(values).all():
            assert picture[cell][:3].tolist() == muted
            continue
        share = np.clip((values[~np.isnan(values)] - low) / (high - low), 0, 1).mean() * (len(scale) - 1)
        expected = [np.interp(share, range(len(scale)), channel) for channel in scale.T]
        assert picture[cell][:3] == pytest.approx(expected, abs=6)
    fullest = max(held, key=lambda cell: len(held[cell]))
    lone = next(cell for cell in held if len(held[cell]) == 1)
    assert picture[fullest][3] == 255 and picture[lone][3] < 200


def test_of_groups_a_cell_has_the_colour_of_the_commonest(points):
    picture = rgba(density_picture(points, "sex", whole(points)))
    inks = {name: [int(ink[i : i + 2], 16) for i in (1, 3, 5)] for name, ink in group_colours(points, "sex").items()}
    top, bottom = picture[: CELLS // 3], picture[-CELLS // 3 :]
    assert {tuple(c[:3]) for c in top[top[..., 3] > 0]} == {tuple(inks["female"])}
    assert {tuple(c[:3]) for c in bottom[bottom[..., 3] > 0]} == {tuple(inks["male"])}


@pytest.mark.parametrize("colour", ["lvef", "modality", "sex", "age_years"])
def test_a_large_map_weighs_less_than_half_a_megabyte(points, colour):
    view = whole(points)
    figure = json.loads(density_figure(points, colour, density_picture(points, colour, view)).to_json())
    assert len(json.dumps(figure)) < 500_000
    image = figure["layout"]["images"][0]
    assert (image["x"], image["y"]) == (view.x0, view.y1) and not [t for t in figure["data"] if "customdata" in t]
    assert view.holds(points).all() and figure["layout"]["xaxis"]["range"] == list(view[:2])


def test_zoomed_in_the_points_in_view_are_drawn_and_the_scale_stays_that_of_all(points, monkeypatch):
    monkeypatch.setattr(map_density, "MOST_IN_VIEW", 500)
    view = View(0.5, 0.6, 0.5, 0.7)
    figure = density_figure(points, "lvef", b"", view)
    drawn = {row[0] for trace in figure.data if trace.customdata is not None for row in trace.customdata}
    assert drawn == set(points.id[view.holds(points)]) and 0 < len(drawn) <= 500 and not figure.layout.images
    low, high = np.nanpercentile(points.lvef, [2, 98])
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == pytest.approx((low, high))
