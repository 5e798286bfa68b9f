"""Help on each page in three sentences, behind a question mark beside its heading: what it answers, how to use it,
how far to trust it."""

import streamlit as st

HELP = {
    "ECG": (
        "Drop a 12-lead ECG and read what it suggests of the heart that an echo would show. "
        "The amber lines come first: what was assumed, what limits the estimate, whether the model knows such ECGs. "
        "Every estimate stands with its interval and reference range; none of them is a diagnosis."
    ),
    "Similar studies": (
        "The ten echo studies whose vectors lie nearest to the open ECG, one of them playing. "
        "Choose a row to play another study, narrow them with Filters, and read below what the ten agree on. "
        "Alike means alike to this model: the Report page tells how often it finds the patient's own study."
    ),
    "Map": (
        "Every ECG and study placed so that those the model finds alike lie together, the open ECG among them. "
        "Draw a lasso around points to see what sets them apart, or click one to see what it is. "
        "Distances between far groups mean nothing: only neighbourhoods do."
    ),
    "Report": (
        "How well a model reads each finding from ECGs, on patients that did not train it. "
        "Choose a finding and a readout; every score stands with its interval and beside plain baselines. "
        "A score holds for patients like those that were tested, and for no others."
    ),
    "Cohorts": (
        "The patients of this workspace by cohort: how many, with which studies and ECGs. "
        "Choose a cohort to see its patients, or two to compare them. "
        "Corrections made here reach every page."
    ),
    "Import": (
        "Bring your own ECGs, echo studies and labels into this workspace, or weights trained elsewhere. "
        "First look at what lies there and what the columns mean, then start; a stopped import goes on where it was. "
        "Names and birth dates do not come in."
    ),
    "Admin": (
        "Whether this server is well: its disk, its jobs, its backups, and who did what. "
        "Choose a job to read all it said, stop it, resume it or put it away; back up before you change much. "
        "The audit log holds no patient data and cannot be changed here."
    ),
    "Training": (
        "Train a model on the pairs of this workspace, or go on from one that is there. "
        "The form tells pairs, time and disk before you start; the curves tell how it goes. "
        "A finished model changes nothing until you promote it."
    ),
    "Models": (
        "All models of this workspace, and which one the pages use. "
        "Promote one to make every page follow it, or evaluate it first to read its report. "
        "Second readers are published models that answer beside the active one."
    ),
    "About this model": (
        "The card of the active model: what it was trained and calibrated on, for whom it is not, and its figures. "
        "Everything is read from the model's own manifest. "
        "What the manifest does not tell is said to be unknown, not guessed."
    ),
}


def button(heading: str) -> None:
    """The help of a page; nothing for a heading without help."""
    if heading in HELP:
        with st.popover("Help", icon=":material/help:", type="tertiary", key=f"help_{heading.split()[0].lower()}"):
            st.markdown(HELP[heading])
