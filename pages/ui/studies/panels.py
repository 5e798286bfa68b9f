"""The left column of Similar studies: the hits, and what they agree on."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from echo2ecg_core.answers.search import EcgHit, Hit
from echo2ecg_core.evaluation.agreement import agreement, difference
from echo2ecg_core.figures.notation import MISSING, measured, measured_range, number, predicted
from echo2ecg_core.phenotypes import PHENOTYPES
from pages.ui.studies import browse_session

SHORT_VIEWS = {
    "Parasternal_Long": "PLAX",
    "Parasternal_Short": "PSAX",
    "Subcostal": "SUBC",
    "Apical_Doppler": "A-Doppler",
    "Doppler_Parasternal_Long": "PLAX-Doppler",
    "Doppler_Parasternal_Short": "PSAX-Doppler",
}
ROW_HEIGHT = 29
SAME = "same"  # patient as that of the ECG or study that was asked with; the column is narrow
WIDTHS = {
    "#": 26,
    "Study": 76,
    "ECG": 80,
    "Similarity": 64,
    "LVEF %": 50,
    "Diff.": 40,
    "Patient": 50,
    "Views": 42,
    "Which": 220,
}
CHOSEN_ROW = "background-color: rgba(27, 94, 155, 0.16)"


def person(sex: str | None, age_years: float | None) -> str:
    """ "F 47", with what is known."""
    age = "" if age_years is None or age_years != age_years else number(age_years)
    return f"{sex[0].upper() if sex else ''} {age}".strip() or MISSING


def view_names(clips) -> str:
    """Short names of the views of a study, each once."""
    return " ".join(dict.fromkeys(SHORT_VIEWS.get(c.view, c.view) for c in clips if c.view)) or MISSING


def hit_table(hits: list[Hit], report: dict, own_patient: str | None) -> int:
    """The hits, one row chosen; returns its number. A study of the ECG's own patient says so."""
    lvef = next((row["value"] for row in report["phenotypes"] if row["name"] == "lvef"), None)
    phenotype = PHENOTYPES["lvef"]
    table = pd.DataFrame(
        {
            "#": [hit.rank for hit in hits],
            "Study": [hit.study_id for hit in hits],
            "Similarity": [number(hit.similarity, 2) for hit in hits],
            "LVEF %": whole([hit.phenotypes.get("lvef") for hit in hits]),
            "Diff.": [signed(difference(phenotype, hit.phenotypes.get("lvef"), lvef)) for hit in hits],
            "Patient": [SAME if hit.patient_id == own_patient else person(hit.sex, hit.age_years) for hit in hits],
            "Views": [len(hit.clips) for hit in hits],
            "Which": [view_names(hit.clips) for hit in hits],
        }
    )
    return _choose(table, "hits_" + "_".join(hit.study_id for hit in hits), "The studies nearest to the ECG")


def ecg_hit_table(hits: list[EcgHit]) -> int:
    """The ECGs nearest to a study; returns the number of the chosen row."""
    table = pd.DataFrame(
        {
            "#": [hit.rank for hit in hits],
            "ECG": [hit.ecg_id for hit in hits],
            "Similarity": [number(hit.similarity, 2) for hit in hits],
            "LVEF %": whole([hit.phenotypes.get("lvef") for hit in hits]),
            "Days": [number(hit.days_apart, 1) for hit in hits],
            "Patient": [SAME if hit.same_patient else (hit.sex or MISSING) for hit in hits],
        }
    )
    return _choose(table, "ecgs_" + "_".join(hit.ecg_id for hit in hits), "The ECGs nearest to the study")


def whole(values: Sequence[float | None]) -> pd.array:
    """Numbers as they are written, whole, in a column that is sorted as numbers; <NA> where one is missing."""
    return pd.array([None if value is None or value != value else round(value) for value in values], "Int64")


def _choose(table: pd.DataFrame, name: str, alt: str) -> int:
    """Draw a table in which a click anywhere in a row chooses the row; returns its number."""
    key = f"{name}_{browse_session.hit_round()}"
    cells = st.session_state.get(key, {}).get("selection", {}).get("cells", ())
    row = min(cells[0][0] if cells else browse_session.hit_row(), len(table) - 1)
    marked = table.style.apply(lambda r: [CHOSEN_ROW if r.name == row else ""] * len(r), axis=1)
    right = {
        c: st.column_config.Column(alignment="right") for c in ("Similarity", "Diff.", "Views", "Days") if c in table
    }
    widths = {
        c: st.column_config.Column(width=w, alignment="right" if c in right else None)
        for c, w in WIDTHS.items()
        if c in table
    } | {"LVEF %": st.column_config.NumberColumn(width=WIDTHS["LVEF %"], format="%d")}
    st.dataframe(
        marked,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-cell",
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * (len(table) + 1) + 3,
        column_config=right | widths,
        placeholder=MISSING,
        alt=alt,
    )
    return row


def signed(value: float | None, decimals: int = 0) -> str:
    """A difference with its sign; zero has none."""
    text = number(value, decimals)
    return f"+{text}" if value is not None and value > 0 and float(f"{value:.{decimals}f}") else text


def agreement_table(hits: list[Hit], report: dict) -> None:
    """What the hits agree on: median and middle half of the measured values beside the prediction."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(a.phenotype.short)}"
        f"{f', {escape(a.phenotype.unit)}' if a.phenotype.unit else ''}</th>"
        f"<td class='num'><b>{measured(a.phenotype, a.median)}</b></td>"
        f"<td class='num'>{measured_range(a.phenotype, a.lower_quartile, a.upper_quartile)}</td>"
        f"<td class='num'>{predicted(a.phenotype, a.predicted)}</td></tr>"
        for a in agreement([hit.phenotypes for hit in hits], report["phenotypes"])
    )
    count = "ten" if len(hits) == 10 else str(len(hits))
    st.html(
        f"<h2 class='e2e-section'>What the {count} agree on</h2><table class='e2e-table'><thead><tr><th>Phenotype</th>"
        "<th class='num'>Median</th><th class='num'>Middle half</th><th "
        f"class='num'>Predicted</th></tr></thead><tbody>{rows}</tbody></table>"
    )
