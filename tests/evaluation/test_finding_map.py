"""The table of questions: what counts as a finding, limits that stay apart, and labels that are not known."""

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.evaluation.finding_map import QUESTIONS, label_of, our_chance, question_of


def target(name, **columns):
    return QUESTIONS[name].target(pd.DataFrame(columns)).tolist()


def test_45_and_40_per_cent_are_two_questions_in_whole_per_cent():
    values = [39.0, 40.4, 41.0, 45.4, 46.0]
    assert target("lvef_le_45", lvef=values) == [1, 1, 1, 1, 0]
    assert target("lvef_le_40", lvef=values) == [1, 1, 0, 0, 0]
    assert QUESTIONS["lvef_le_45"].ours[0].value == 45.5 and QUESTIONS["lvef_le_40"].ours[0].value == 40.5
    assert question_of("echonext", "lvef_lte_45").name == "lvef_le_45"


def test_a_label_that_nobody_wrote_down_is_not_known_and_not_absent():
    assert np.isnan(target("lvef_le_45", lvef=[np.nan])[0])
    found = target("atrial_fibrillation", rhythm=["af", "sinus", None, "other"])
    assert found[0] == 1 and found[1] == 0 and np.isnan(found[2]) and found[3] == 0
    assert np.isnan(target("lbbb", lvef=[50.0])[0])  # a table without the column
    assert target("first_degree_block", first_degree_block=[1.0, 0.0]) == [1, 0]


def test_a_chance_is_of_the_right_side_and_none_without_an_estimate():
    assert our_chance(QUESTIONS["lvef_le_45"], lambda name, limit: 0.3) == pytest.approx(0.3)
    assert our_chance(QUESTIONS["rvsp_ge_45"], lambda name, limit: 0.3) == pytest.approx(0.7)
    assert our_chance(QUESTIONS["rvsp_ge_45"], lambda name, limit: None) is None
    assert our_chance(QUESTIONS["structural_heart_disease"], lambda name, limit: 0.3) is None


def test_an_output_without_an_equal_has_words_of_its_own():
    assert question_of("echonext", "pericardial_effusion_moderate_large") is None
    assert label_of("echonext", "pericardial_effusion_moderate_large") == "Pericardial effusion, moderate or large"
    assert label_of("ecgfounder", "SINUS BRADYCARDIA") == "SINUS BRADYCARDIA"
