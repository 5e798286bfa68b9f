"""The phenotype table against the clinical conventions it quotes."""

import pytest

from echo2ecg_core.phenotypes import LVEF_CLASSES, PHENOTYPES, lvef_class


@pytest.mark.parametrize(("lvef", "expected"), [
    (40, "reduced"), (40.4, "reduced"), (40.6, "mildly_reduced"), (41, "mildly_reduced"), (49.4, "mildly_reduced"),
    (49.6, "preserved"), (50, "preserved"), (72, "preserved")])
def test_lvef_classes_have_the_limits_of_the_universal_definition(lvef, expected):
    assert lvef_class(lvef) == expected and expected in LVEF_CLASSES


def test_every_range_is_drawable_and_every_phenotype_names_its_source():
    for name, phenotype in PHENOTYPES.items():
        assert name == phenotype.name and phenotype.source and phenotype.label and phenotype.axis[0] < phenotype.axis[1]
        for low, high in phenotype.reference.values():
            assert (low is not None or high is not None) and (low is None or high is None or low < high)
            assert all(phenotype.axis[0] <= v <= phenotype.axis[1] for v in (low, high) if v is not None)


def test_ranges_of_men_and_women_are_both_there_or_neither():
    assert all(set(p.reference) in (set(), {"male", "female"}) for p in PHENOTYPES.values())
    assert PHENOTYPES["lvef"].reference == {"male": (52, 72), "female": (54, 74)}
    assert PHENOTYPES["lvsv"].reference == {}  # the guideline gives none
