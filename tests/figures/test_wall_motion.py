"""The bull's-eye: every segment where the AHA puts it, its score as a digit, shades that can be told apart and no
red."""

import colorsys

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from echo2ecg_core.figures.chart import DARK, LIGHT, Frame, inline_svg
from echo2ecg_core.figures.export import figure_file
from echo2ecg_core.figures.wall_motion import bullseye_figure, bullseye_words, segment_places
from echo2ecg_core.findings import SEGMENTS

SCORES = (1, 2, 1, 1, 1, 1, 3, 3, 2, 1, 1, 1, 3, 4, 2, 2, None)


def luminance(colour) -> float:
    """Relative luminance of WCAG 2."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


def contrast(one, other) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_segments_lie_where_the_heart_association_puts_them():
    """Typed by hand: the middle of a segment, degrees counter-clockwise from the right (lateral), anterior on top."""
    middle = {
        name: (first + last) / 2 % 360 for name, (first, last, _, _) in zip(SEGMENTS, segment_places(), strict=True)
    }
    expected = {
        "anterior": 90,
        "anteroseptal": 150,
        "inferoseptal": 210,
        "inferior": 270,
        "inferolateral": 330,
        "anterolateral": 30,
    }
    for level in ("basal", "mid"):
        assert {name: middle[f"{level}_{name}"] for name in expected} == expected
    assert [middle[f"apical_{name}"] for name in ("anterior", "septal", "inferior", "lateral")] == [90, 180, 270, 0]
    radii = {name: (inner, outer) for name, (_, _, inner, outer) in zip(SEGMENTS, segment_places(), strict=True)}
    assert (
        radii["basal_anterior"][0] == radii["mid_anterior"][1]
        and radii["apical_anterior"][0] == radii["apex"][1]
        and radii["apex"][0] == 0
    )


def test_the_segments_fill_the_disc_without_overlap():
    areas = [(last - first) / 360 * (outer**2 - inner**2) for first, last, inner, outer in segment_places()]
    assert sum(areas) == pytest.approx(1.0)


def test_every_segment_carries_its_score_as_a_digit_at_its_place():
    axes = bullseye_figure(SCORES).axes[0]
    digits = [t.get_text() for t in axes.texts[:17]]
    assert digits == ["–" if score is None else str(score) for score in SCORES]
    x, y = axes.texts[SEGMENTS.index("mid_anteroseptal")].get_position()
    assert x < 0 < y and axes.texts[16].get_position() == (0, 0)


@pytest.mark.parametrize("look", [LIGHT, DARK])
def test_normal_has_no_shade_no_shade_is_red_and_digits_can_be_read(look):
    axes = bullseye_figure((1, 2, 3, 4, *[1] * 13), Frame(look)).axes[0]
    fills = [patch.get_facecolor() for patch in axes.patches[:4]]
    assert to_rgb(fills[0]) == to_rgb(look.page)
    for fill, text in zip(fills, axes.texts, strict=False):
        assert contrast(fill, text.get_color()) >= 5.9
        hue, _, saturation = colorsys.rgb_to_hls(*to_rgb(fill))
        assert saturation < 0.2 or 0.15 < hue < 0.85
    shades = sorted(luminance(fill) for fill in fills)
    assert all((high + 0.05) / (low + 0.05) > 1.25 for low, high in zip(shades, shades[1:], strict=False))


def test_the_words_name_every_abnormal_segment_and_the_mean():
    words = bullseye_words(SCORES)
    assert (
        words.startswith("Wall motion score index 1.81:")
        and "apical septal dyskinetic" in words
        and words.endswith("1 not scored.")
    )
    assert "mid inferior" not in words and bullseye_words((1,) * 17).endswith(
        "every scored segment normal or hyperkinetic."
    )
    assert bullseye_words((None,) * 17) == "No segment was scored."


def test_on_a_page_it_is_svg_with_its_words_and_as_a_file_it_names_its_origin():
    assert 'aria-label="Wall motion score index' in inline_svg(bullseye_figure(SCORES), bullseye_words(SCORES))
    figure = bullseye_figure(SCORES, Frame(title="Wall motion, study S-1", footer="S-1 (synthetic)"))
    content = figure_file(figure, "svg", title="Wall motion, study S-1", provenance="S-1 (synthetic)").decode()
    assert content.count("S-1 (synthetic)") == 2 and "mean score, normal 1.00" in content
