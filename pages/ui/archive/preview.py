"""The three steps before an import: what lies there, what the columns mean, what will happen and what is wrong."""

from html import escape

import pandas as pd
import streamlit as st

from echo2ecg_core.figures.notation import MISSING
from echo2ecg_core.intake.dates import FORMS
from echo2ecg_core.intake.mapping import DATES, FIELDS, IGNORED, Column, joined, write_mapping
from echo2ecg_core.intake.units import factors
from echo2ecg_core.phenotypes import PHENOTYPES
from pages.ui.errors import plain

SHOWN = 300
UNITS = sorted({unit for p in PHENOTYPES.values() for unit in factors(p) if unit})
NOT_TOLD = ""
KEPT = "<b>Ids, dates and ages stay as they are</b>"


def what_lies_there(found: dict) -> None:
    """Counts, kinds of files, pairs by window; whether names are replaced."""
    files = ", ".join(f"{n:,} {escape(suffix)}" for suffix, n in found["files"].items()) or "no files"
    pairs = ", ".join(f"{n:,} within {days} {'day' if days == 1 else 'days'}" for days, n in found["pairs"].items())
    kind = "Simulated hearts" if found["synthetic"] else "Real patients: clips will be de-identified"
    names = "" if found["synthetic"] else f"<br>{'Ids and dates will be replaced' if found['pseudonyms'] else KEPT}"
    st.html(
        f"<div class='e2e-plan'><b>{escape(found['layout'])}</b>: <b>{_counted(found['ecgs'], 'ECG')}</b>, "
        f"<b>{_counted(found['studies'], 'study', 'studies')}</b> with {_counted(found['clips'], 'clip')} of "
        f"{_counted(found['patients'], 'patient')}<br>{kind}"
        f"{names}<br>Files: {files}<br>Pairs of ECG and study: {pairs}</div>"
    )


def _counted(n: int, one: str, several: str = "") -> str:
    """ "1 study", "1,204 studies"."""
    return f"{n:,} {one if n == 1 else several or f'{one}s'}"


def what_columns_mean(found: dict) -> dict[str, Column]:
    """A table to correct for every table of labels; gives all columns as they are told now."""
    tables: list[dict[str, Column]] = []
    for file, columns in found["maps"].items():
        st.markdown(f"**What the columns of {plain(file)} mean**")
        rows = [
            {"Column": name, "Means": c["field"], "Unit": c["unit"] or NOT_TOLD, "Dates": c["dates"] or NOT_TOLD}
            for name, c in columns.items()
        ]
        edited = st.data_editor(
            pd.DataFrame(rows),
            hide_index=True,
            key=f"map_{file}",
            disabled=["Column"],
            placeholder=MISSING,
            column_config={
                "Means": st.column_config.SelectboxColumn(options=[IGNORED, *FIELDS], required=True),
                "Unit": st.column_config.SelectboxColumn(
                    options=[NOT_TOLD, *UNITS], help="Empty: proved by the values of the whole column."
                ),
                "Dates": st.column_config.SelectboxColumn(
                    options=[NOT_TOLD, *FORMS], help="Empty: settled from the whole column."
                ),
            },
        )
        tables.append({row["Column"]: column_told(row) for row in edited.to_dict("records")})
    if told := joined(tables):
        st.download_button(
            "Save the mapping (YAML, for --map)",
            write_mapping(told),
            "mapping.yaml",
            "application/yaml",
            icon=":material/download:",
            on_click="ignore",
        )
    return told


def column_told(row: dict) -> Column:
    """A row of the table as a column; a unit that the phenotype does not have and an order of no date are dropped."""
    field = row["Means"]
    unit = row["Unit"] if field in PHENOTYPES and row["Unit"] in factors(PHENOTYPES[field]) else None
    dates = row["Dates"] if field in DATES and row["Dates"] else None
    return Column(field, unit or None, dates)


def what_will_happen(found: dict) -> None:
    """Labels with their ranges and histograms, notes, what is passed over and ignored, and every problem."""
    if found["labels"]:
        labels = [
            {
                "Phenotype": r["short"],
                "Values": r["n"],
                "Lowest": r["low"],
                "Highest": r["high"],
                "Unit": r["unit"],
                "Distribution": r["counts"],
            }
            for r in found["labels"]
        ]
        config = {"Distribution": st.column_config.BarChartColumn(help="From the lowest to the highest value.")}
        st.dataframe(
            pd.DataFrame(labels), hide_index=True, column_config=config, key="preview_labels", height="content"
        )
    for note in found["notes"]:
        st.caption(plain(note))
    passed = [{"What": f"{n} files", "Why": reason} for reason, n in found["passed_over"].items()]
    ignored = [{"What": row["what"], "Why": row["reason"]} for row in found["ignored"]]
    if passed or ignored:
        with st.expander(f"Not used: {sum(found['passed_over'].values())} passed over, {len(ignored)} ignored"):
            st.dataframe(pd.DataFrame([*passed, *ignored][:SHOWN]), hide_index=True, key="preview_not_used")
    if found["problems"]:
        st.error(f"{len(found['problems'])} to settle before anything comes in.", icon=":material/error:")
        problems = [
            {"Table": p["file"], "Row": p["row"], "Column": p["column"], "What is wrong": p["sentence"]}
            for p in found["problems"][:SHOWN]
        ]
        st.dataframe(pd.DataFrame(problems), hide_index=True, key="preview_problems")
