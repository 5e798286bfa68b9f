"""Exports read back: the CSV by pandas, the JSON by json."""

import io
import json

import pandas as pd
import pytest

from echo2ecg_core.figures.export import FIGURE_FORMATS, figure_file, phenotypes_csv, provenance_line, report_json

REPORT = {
    "ecg": {"source": "a,b.dcm"},
    "model": {"id": "7c1e9a4f", "name": "demo", "sha256": "7c1e", "synthetic": True},
    "out_of_distribution": {"flag": True},
    "phenotypes": [
        {
            "name": "lvef",
            "label": "LV ejection fraction",
            "unit": "%",
            "value": 61.2,
            "interval": [49.1, 71.3],
            "interval_level": 0.9,
            "reference": {"male": [52, 72], "female": [54, 74]},
            "reference_source": "ASE",
            "chance_outside": {"below": 0.1, "above": 0.02},
            "test_r2": 0.58,
            "reason": None,
            "source": {"model": "7c1e9a4f"},
        },
        {
            "name": "ivsd",
            "label": "Septal thickness",
            "unit": "cm",
            "value": None,
            "interval": None,
            "interval_level": 0.9,
            "reference": {},
            "reference_source": "ASE",
            "test_r2": 0.01,
            "reason": "No estimate: weak.",
            "source": {"model": "7c1e9a4f"},
        },
        {
            "name": "tr_grade",
            "label": "Tricuspid regurgitation",
            "unit": "",
            "kind": "grade",
            "value": 0.12,
            "interval": [0, 2],
            "interval_level": 0.9,
            "reference": {},
            "reference_source": "graded",
            "test_r2": 0.3,
            "reason": None,
            "source": {"model": "7c1e9a4f"},
        },
    ],
}


def test_every_phenotype_is_a_row_that_names_file_and_model():
    table = pd.read_csv(io.StringIO(phenotypes_csv(REPORT)))
    assert table.name.tolist() == ["lvef", "ivsd", "tr_grade"]
    assert table.loc[0, ["value", "interval_low", "interval_high", "chance_below"]].astype(float).tolist() == [
        61.2,
        49.1,
        71.3,
        0.1,
    ]
    assert (
        set(table.source) == {"a,b.dcm"} and set(table.model_id) == {"7c1e9a4f"} and table.outside_training_data.all()
    )
    assert table.reference_female[0] == "54 to 74"


def test_a_phenotype_without_estimate_keeps_its_reason():
    table = pd.read_csv(io.StringIO(phenotypes_csv(REPORT)))
    assert pd.isna(table.value[1]) and table.reason[1] == "No estimate: weak."


def test_a_valve_grade_leaves_as_a_chance_with_its_interval_in_words():
    row = pd.read_csv(io.StringIO(phenotypes_csv(REPORT)), keep_default_na=False).iloc[2]
    assert (row.kind, row.value, row.interval_low, row.interval_high) == ("grade", "0.12", "none", "moderate")


def test_the_json_is_the_report_itself():
    assert json.loads(report_json(REPORT)) == REPORT


def test_the_line_under_a_figure_names_model_synthetic_mark_and_research_use():
    line = provenance_line(REPORT, "a.dcm")
    assert "model demo 7c1e9a4f (synthetic)" in line and "Research use only" in line


@pytest.mark.parametrize("kind", FIGURE_FORMATS)
@pytest.mark.parametrize("name", ["$\\frac{1", "$x_{$", "a$b$c", "\\undefined$"])
def test_a_dollar_in_a_name_is_a_dollar_in_every_figure(kind, name):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.set_title(name)
    axes.plot([0, 1], label=name)
    axes.legend()
    assert figure_file(figure, kind, title=name, provenance=name)
