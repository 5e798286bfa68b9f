"""The phantom heart: marginals against guideline ranges, consistency of its labels, geometry by slow integration."""

import numpy as np
import pytest

from echo2ecg_core.findings import SEGMENTS
from echo2ecg_core.phantom.conditions import CONDITIONS
from echo2ecg_core.phantom.heart import at_another_visit, complete_heart, draw_heart

# ASE/EACVI 2015 and CLINICAL conventions, typed again here on purpose.
NORMAL = {
    "male": {"lvef": (52, 72), "lvidd": (4.2, 5.8), "lvids": (2.5, 4.0), "lvedv": (62, 150), "lvesv": (21, 61),
    "ivsd": (0.6, 1.0),
             "lv_mass_index": (49, 115), "lavi": (16, 34), "rv_basal_diameter": (25, 41), "tapse": (1.7, 9),
             "rvsp": (0, 36)},
    "female": {"lvef": (54, 74), "lvidd": (3.8, 5.2), "lvids": (2.2, 3.5), "lvedv": (46, 106), "lvesv": (14, 42),
    "ivsd": (0.6, 0.9),
               "lv_mass_index": (43, 95), "lavi": (16, 34), "rv_basal_diameter": (25, 41), "tapse": (1.7, 9),
               "rvsp": (0, 36)},
}  # fmt: skip


@pytest.fixture(scope="module")
def hearts():
    return [draw_heart(np.random.default_rng([20, index])) for index in range(5000)]


@pytest.mark.slow
def test_eighteen_percent_have_reduced_and_twelve_percent_mildly_reduced_function(hearts):
    lvef = np.round([heart.lvef for heart in hearts])
    assert np.mean(lvef <= 40) == pytest.approx(0.18, abs=0.02)
    assert np.mean((lvef > 40) & (lvef < 50)) == pytest.approx(0.12, abs=0.02)


@pytest.mark.parametrize("sex", ["male", "female"])
def test_healthy_hearts_lie_inside_the_guideline_ranges(hearts, sex):
    healthy = [
        h
        for h in hearts
        if h.conditions == ("healthy",) and h.rhythm == "sinus" and h.conduction == "normal" and h.sex == sex
    ]
    assert len(healthy) > 300
    for name, (low, high) in NORMAL[sex].items():
        values = np.array([heart.labels()[name] for heart in healthy])
        assert np.mean((values >= low) & (values <= high)) > 0.9, name


def test_every_condition_occurs_and_dilated_hearts_are_large_and_weak(hearts):
    assert {name for heart in hearts for name in heart.conditions} == set(CONDITIONS)
    dilated = [heart for heart in hearts if "dilated_cm" in heart.conditions]
    healthy = [heart for heart in hearts if heart.conditions == ("healthy",)]
    assert np.mean([h.lvedv for h in dilated]) > 1.5 * np.mean([h.lvedv for h in healthy])
    assert np.mean([h.sphericity for h in dilated]) < np.mean([h.sphericity for h in healthy]) - 0.08
    assert np.mean([h.lvef for h in dilated]) < 40


def test_bundle_branch_block_and_fibrillation_gather_in_sick_hearts(hearts):
    weak = [heart for heart in hearts if heart.lvef <= 35]
    strong = [heart for heart in hearts if heart.lvef > 55]
    assert 0.15 < np.mean([h.conduction == "lbbb" for h in weak]) < 0.35  # a quarter in heart failure registries
    assert np.mean([h.conduction == "lbbb" for h in strong]) < 0.03
    assert 0.07 < np.mean([h.rhythm == "af" for h in hearts]) < 0.18
    fibrillating = [h.lavi for h in hearts if h.rhythm == "af"]
    assert np.mean(fibrillating) > np.mean([h.lavi for h in hearts if h.rhythm == "sinus"]) + 8


def test_labels_agree_with_each_other(hearts):
    for heart in hearts[:300]:
        labels = heart.labels()
        assert labels["lvsv"] == pytest.approx(labels["lvedv"] - labels["lvesv"])
        assert labels["lvef"] == pytest.approx(100 * labels["lvsv"] / labels["lvedv"])
        assert labels["lvids"] < labels["lvidd"]
        outer = labels["lvidd"] + labels["ivsd"] + labels["lvpwd"]
        assert labels["lv_mass_index"] == pytest.approx(
            (0.8 * 1.04 * (outer**3 - labels["lvidd"] ** 3) + 0.6) / heart.bsa_m2
        )


def test_noisy_labels_keep_volumes_and_fraction_consistent(hearts):
    noisy = [heart.labels(np.random.default_rng(index)) for index, heart in enumerate(hearts[:1000])]
    errors = np.array([row["lvef"] - heart.lvef for row, heart in zip(noisy, hearts, strict=False)])
    assert abs(errors.mean()) < 0.5 and 2.5 < errors.std() < 5
    for row in noisy:
        assert row["lvef"] == pytest.approx(100 * row["lvsv"] / row["lvedv"])
        assert row["lvsv"] == pytest.approx(row["lvedv"] - row["lvesv"])


def test_volumes_and_diameters_belong_to_one_truncated_ellipsoid(hearts):
    for heart in hearts[:40]:
        for diameter, length, volume in (
            (heart.lvidd, heart.lv_length_d, heart.lvedv),
            (heart.lvids, heart.lv_length_s, heart.lvesv),
        ):
            semi_axis = length / 1.5  # the base cuts half a semi-axis above the equator
            heights = np.linspace(-semi_axis, semi_axis / 2, 4001)
            discs = np.pi * (diameter / 2) ** 2 * (1 - (heights / semi_axis) ** 2)
            assert np.trapezoid(discs, heights) == pytest.approx(volume, rel=1e-3)


def test_wall_volume_is_close_to_the_linear_mass(hearts):
    ratio = np.array([heart.lv_wall_volume_ml * 1.05 / heart.lv_mass_g for heart in hearts])
    assert 0.7 < np.median(ratio) < 1.3 and ratio.std() < 0.15


def test_wall_motion_averages_to_the_function_and_scar_stands_still(hearts):
    for heart in hearts[:500]:
        assert len(heart.wall_motion) == len(SEGMENTS) == 17
        assert np.mean(heart.wall_motion) == pytest.approx(heart.lvef / 62, abs=0.06)
    large = [heart for heart in hearts if heart.infarct_territory == "anterior" and heart.infarct_extent > 0.75]
    assert large and all(heart.motion("apex") < 0.2 < heart.motion("basal_inferolateral") for heart in large)


def test_wall_motion_scores_agree_with_the_published_line_from_the_index_to_the_ejection_fraction(hearts):
    """LVEF = 92.8 - 25.8 x WMSI (Lebeau et al., Can J Cardiol 2003, 243 patients with abnormal contraction, r =
    0.82)."""
    abnormal = [heart for heart in hearts if heart.labels()["wall_motion_score_index"] > 1.1]
    index = np.array([heart.labels()["wall_motion_score_index"] for heart in abnormal])
    lvef = np.array([heart.lvef for heart in abnormal])
    assert np.corrcoef(index, lvef)[0, 1] < -0.8
    slope, _ = np.polyfit(index, lvef, 1)
    assert abs(np.mean(92.8 - 25.8 * index - lvef)) < 6 and -30 < slope < -20


def test_healthy_hearts_have_an_index_of_one_and_large_infarcts_are_akinetic_where_the_artery_runs(hearts):
    healthy = [h for h in hearts if h.conditions == ("healthy",) and h.conduction == "normal" and h.lvef >= 52]
    assert np.mean([h.labels()["wall_motion_score_index"] == 1 for h in healthy]) > 0.95
    for heart in hearts:
        scores = dict(zip(SEGMENTS, heart.findings().wall_motion_scores, strict=True))
        assert heart.labels()["wall_motion_score_index"] == pytest.approx(sum(scores.values()) / 17)
    large = [h for h in hearts if h.infarct_territory == "anterior" and h.infarct_extent > 0.75]
    assert len(large) > 20
    for scores in (dict(zip(SEGMENTS, heart.findings().wall_motion_scores, strict=True)) for heart in large):
        assert scores["apex"] == scores["mid_anterior"] == 3
    spared = [
        dict(zip(SEGMENTS, h.findings().wall_motion_scores, strict=True))["basal_inferolateral"]
        for h in large
        if h.lvef >= 25
    ]
    assert len(spared) > 10 and max(spared) < 3


def test_the_same_generator_gives_the_same_heart_and_given_conditions_are_kept():
    assert draw_heart(np.random.default_rng(5)) == draw_heart(np.random.default_rng(5))
    heart = complete_heart(np.random.default_rng(1), "male", 60.0, 2.0, ("ischaemic_cm",), "anterior")
    assert heart.infarct_territory == "anterior" and "ischaemic_cm" in heart.conditions


def test_another_visit_changes_a_heart_only_a_little(hearts):
    changes = []
    for index, heart in enumerate(hearts[:300]):
        later = at_another_visit(heart, np.random.default_rng(index))
        assert (later.ivsd, later.wall_motion, later.conduction) == (heart.ivsd, heart.wall_motion, heart.conduction)
        changes.append(later.lvef - heart.lvef)
    assert np.std(changes) < 2.5
