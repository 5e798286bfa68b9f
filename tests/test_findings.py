"""Findings of a study: the text of seventeen scores, their mean, and rhythm and conduction in words."""

import pytest

from echo2ecg_core.findings import SEGMENTS, Findings, read_scores, score_index, write_scores


def test_the_segments_are_the_seventeen_of_the_heart_association_in_their_order():
    assert len(set(SEGMENTS)) == 17
    assert {number: SEGMENTS[number - 1] for number in (1, 2, 6, 7, 9, 12, 13, 14, 16, 17)} == {
        1: "basal_anterior",
        2: "basal_anteroseptal",
        6: "basal_anterolateral",
        7: "mid_anterior",
        9: "mid_inferoseptal",
        12: "mid_anterolateral",
        13: "apical_anterior",
        14: "apical_septal",
        16: "apical_lateral",
        17: "apex",
    }


def test_scores_survive_a_table_cell_and_segments_that_were_not_scored_count_for_nothing():
    scores = (1, 2, 3, 4, None, *([1] * 12))
    assert read_scores(write_scores(scores)) == scores
    assert score_index(scores) == pytest.approx((1 + 2 + 3 + 4 + 12) / 16) and score_index((None,) * 17) is None
    assert read_scores(" ".join("-" * 17)) is None


@pytest.mark.parametrize(
    "text", ["", "1", " ".join("1" * 18), " ".join("1" * 16 + "0"), "11111111111111111", " ".join(["1.0"] * 17)]
)
def test_what_is_no_row_of_scores_is_refused(text):
    with pytest.raises(ValueError, match="scores"):
        read_scores(text)


def test_only_what_is_known_is_told():
    assert Findings().words() == [] and Findings(
        rhythm="sinus", conduction="normal", first_degree_block=False
    ).words() == ["Sinus rhythm", "No bundle branch block"]
