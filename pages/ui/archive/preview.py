"""The three steps before an import: what lies there, what the columns mean, what will happen and what is wrong."""

from html import escape

import pandas as pd
import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.notation import MISSING
from echo2ecg_core.intake.dates import FORMS
from echo2ecg_core.intake.field_names import DATES, FIELDS
from echo2ecg_core.intake.mapping import IGNORED, Column, joined, write_mapping
from echo2ecg_core.intake.units import factors
from echo2ecg_core.phenotypes import PHENOTYPES
from pages.ui import panels
from pages.ui.errors import plain
from pages.ui.in_words import in_words

SHOWN = 300
UNITS = sorted({unit for p in PHENOTYPES.values() for unit in factors(p) if unit})
NOT_TOLD = ""
FIELD_WORDS = {name: f"{name} ({p.label})" for name, p in PHENOTYPES.items()}
KEPT = "<b>Ids, dates and ages stay as they are</b>"


def what_lies_there(found: dict) -> None:
    """Counts, kinds of files, pairs by window; whether names are replaced."""
    files = ", ".join(f"{n:,} {escape(suffix)}" for suffix, n in found["files"].items()) or "no files"
    pairs = ", ".join(f"{n:,} within {days} {'day' if days == 1 else 'days'}" for days, n in found["pairs"].items())
    kind = "Simulated hearts" if found["synthetic"] else "Real patients: clips will be de-identified"
    names = "" if found["synthetic"] else f"<br>{'Ids and dates will be replaced' if found['pseudonyms'] else KEPT}"
    st.html(
        f"<div class='e2e-plan'><b>{escape(found['layout'])}</b>: <b>{counted(found['ecgs'], 'ECG')}</b>, "
        f"<b>{counted(found['studies'], 'study', 'studies')}</b> with {counted(found['clips'], 'clip')} of "
        f"{counted(found['patients'], 'patient')}<br>{kind}"
        f"{names}<br>Files: {files}<br>Pairs of ECG and study: {pairs}</div>"
    )


def what_columns_mean(found: dict, told: dict[str, Column]) -> dict[str, Column]:
    """A table to correct for every table of labels; gives all columns as they are told now.

    What a person told stays as it was told, also where the table cannot be used so: one slip can be taken back.
    """
    tables: list[dict[str, Column]] = []
    unused = {row["what"]: row["reason"] for row in found["ignored"]}
    for file, columns in found["maps"].items():
        st.markdown(f"**What the columns of {plain(file)} mean**")
        rows = [row_of(name, told.get(name, Column(**c))) for name, c in columns.items()]
        edited = st.data_editor(
            pd.DataFrame(rows),
            hide_index=True,
            key=f"map_{file}",
            disabled=["Column"],
            placeholder=MISSING,
            column_config={
                "Means": st.column_config.SelectboxColumn(
                    options=[IGNORED, *FIELDS], required=True, format_func=in_words(FIELD_WORDS)
                ),
                "Unit": st.column_config.SelectboxColumn(
                    options=[NOT_TOLD, *UNITS], help="Empty: proved by the values of the whole column."
                ),
                "Dates": st.column_config.SelectboxColumn(
                    options=[NOT_TOLD, *FORMS], help="Empty: settled from the whole column."
                ),
            },
        )
        tables.append({row["Column"]: column_told(row) for row in edited.to_dict("records")})
        if file in unused:
            st.warning(
                f"Nothing of {plain(file)} comes in: {plain(unused[file])}. Say above which column is the patient or "
                "the study and which holds a measurement.",
                icon=":material/error:",
            )
    if now := joined(tables):
        st.download_button(
            "Save the mapping (YAML, for --map)",
            write_mapping(now),
            "mapping.yaml",
            "application/yaml",
            icon=":material/download:",
            on_click="ignore",
        )
    return now


def shown_mapping(found: dict, told: dict[str, Column]) -> dict[str, Column]:
    """The mapping that stands in the tables before anything is changed there."""
    read = {file: {n: Column(**c) for n, c in columns.items()} for file, columns in found["maps"].items()}
    return joined({n: told.get(n, c) for n, c in columns.items()} for columns in read.values())


def row_of(name: str, means: Column) -> dict:
    """A column as a row of the table that is corrected."""
    return {"Column": name, "Means": means.field, "Unit": means.unit or NOT_TOLD, "Dates": means.dates or NOT_TOLD}


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
                "Lowest": round(r["low"], PHENOTYPES[r["name"]].decimals),
                "Highest": round(r["high"], PHENOTYPES[r["name"]].decimals),
                "Unit": r["unit"],
                "Distribution": r["counts"],
            }
            for r in found["labels"]
        ]
        config: dict = {name: st.column_config.Column(width=90) for name in ("Values", "Lowest", "Highest", "Unit")}
        config["Distribution"] = st.column_config.BarChartColumn(help="From the lowest to the highest value.")
        st.dataframe(
            pd.DataFrame(labels), hide_index=True, column_config=config, key="preview_labels", height="content"
        )
    if found["notes"]:
        st.caption("  \n".join(map(plain, found["notes"])))
    passed = [{"What": counted(n, "file"), "Why": reason} for reason, n in found["passed_over"].items()]
    ignored = [{"What": row["what"], "Why": row["reason"]} for row in found["ignored"]]
    if passed or ignored:
        with st.expander(f"Not used: {sum(found['passed_over'].values())} passed over, {len(ignored)} ignored"):
            st.dataframe(pd.DataFrame([*passed, *ignored][:SHOWN]), hide_index=True, key="preview_not_used")
    if found["problems"]:
        st.error(
            f"{counted(len(found['problems']), 'problem')} to settle before anything comes in.", icon=":material/error:"
        )
        st.html(panels.scrolling(_problems(found["problems"]), "Problems to settle"))


def _problems(problems: list[dict]) -> str:
    """HTML of what is wrong, in whole sentences."""
    body = "".join(
        f"<tr><td>{escape(p['file'])}</td><td class='num'>{p['row'] or MISSING}</td>"
        f"<td>{escape(p['column'] or MISSING)}</td><td>{escape(p['sentence'])}</td></tr>"
        for p in problems[:SHOWN]
    )
    more = f"<caption>The first {SHOWN} of {len(problems):,}</caption>" if len(problems) > SHOWN else ""
    head = "<th>Table</th><th class='num'>Row</th><th>Column</th><th>What is wrong</th>"
    return f"<table class='e2e-table problems'>{more}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
