"""Correcting one value of a patient, study, ECG or clip, and everything that was corrected or taken out."""

import pandas as pd
import streamlit as st

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.figures.tables import csv_file, csv_of
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES
from echo2ecg_core.store.cohorts import PatientRow
from echo2ecg_core.store.corrections import FIELDS, correct, corrections, removals
from pages.ui import admin_gate, resources
from pages.ui.cohorts import cohort_session
from pages.ui.cohorts.words import field_words, value_words
from pages.ui.errors import errors_in_words
from pages.ui.in_words import in_words

MOST_SHOWN = 200
CHOICES = {"sex": {"male": "male", "female": "female"}, "rhythm": RHYTHMS, "conduction": CONDUCTIONS, "view": VIEWS}
Target = tuple[str, str, str]  # kind, id, name


def button(found: PatientRow, kind: str, id: str) -> None:
    """For who may correct: a field to choose, its new value, the reason."""
    if not admin_gate.allows("correct"):
        return
    with st.popover("Correct", icon=":material/edit:"), errors_in_words():
        targets = _targets(found, kind, id)
        target = st.selectbox(
            "What", list(targets), format_func=lambda t: targets[t][0], key=f"correct_what_{kind}_{id}"
        )
        words, now = targets[target]
        st.caption(f"Now: {value_words(target[2], now)}")
        key = "_".join(("correct", *target))
        given = _asked(target[2], now, key)
        why = st.text_input("Why", key=f"{key}_why", placeholder="optional, without names", max_chars=200)
        if st.button("Save the correction", type="primary", icon=":material/check:", key="correct_now"):
            _save(target, given, why)


@admin_gate.asks("correct")
def _save(target: Target, given: object, why: str) -> None:
    kind, id, name = target
    made = correct(resources.workspace(), kind, id, name, given, who=admin_gate.name(), why=why)
    cohort_session.tell(
        f"{field_words(name)} of {id} is {value_words(name, made.now)} now; it was {value_words(name, made.was)}. "
        "Both are kept under Corrections."
    )
    cohort_session.open_patient(cohort_session.patient())
    st.rerun()


def _targets(found: PatientRow, kind: str, id: str) -> dict[Target, tuple[str, object]]:
    """What can be corrected here -> its words and its value now."""
    table = found.studies.set_index("study_id") if kind == "study" else found.ecgs.set_index("ecg_id")
    row = table.loc[id]
    measured = [name for name in FIELDS[kind] if name not in PHENOTYPES or name in row and pd.notna(row[name])]
    others = [name for name in FIELDS[kind] if name not in measured]
    targets = {
        (kind, id, name): (field_words(name), None if name not in row or pd.isna(row[name]) else row[name])
        for name in (*measured, *others)
    }
    if kind == "study":
        for number, clip in enumerate(found.clips[found.clips.study_id == id].itertuples(), 1):
            words = f"View of clip {number} ({VIEWS.get(clip.view, 'not known')})"
            targets["clip", clip.clip_id, "view"] = (words, clip.view)
    targets["patient", found.patient_id, "sex"] = (field_words("sex"), found.sex)
    return targets


def _asked(name: str, now: object, key: str) -> object:
    """The control for a new value."""
    if name in CHOICES:
        known = CHOICES[name]
        return st.selectbox("Is", list(known), None, format_func=in_words(known), key=key, placeholder="not known")
    phenotype = PHENOTYPES.get(name)
    if phenotype is not None and phenotype.kind == "grade":
        return st.selectbox("Is", GRADES, None, key=key, placeholder="not known")
    hint = "2026-01-31, with a time 2026-01-31T08:30" if name in ("study_date", "ecg_time") else "empty: not known"
    shown = "" if now is None else f"{now:.6g}" if isinstance(now, float) else str(now)
    return st.text_input("Is", value=shown, key=key, placeholder=hint, help=hint)


def history() -> None:
    """Everything that was corrected, as a table and a CSV, and what was taken out."""
    place = resources.workspace()
    made = corrections(place, most=MOST_SHOWN)
    if made.empty:
        st.caption(
            "Nothing has been corrected. Choose a study or an ECG of a patient above; an admin sees *Correct* there."
        )
    else:
        _made(made)
    if len(made) and admin_gate.allows("export a cohort"):
        st.download_button(
            "All corrections (CSV)",
            admin_gate.exporting(lambda: csv_file(csv_of(corrections(place))), "corrections", place),
            "corrections.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="corrections_csv",
        )
    gone = removals(place)
    if len(gone):
        st.html("<h2 class='e2e-section'>Taken out</h2>")
        names = {"removed_at": "When (UTC)", "who": "By", "kind": "What", "cohort": "Cohort", "patients": "Patients"}
        names |= {"studies": "Studies", "clips": "Clips", "ecgs": "ECGs"}
        shown = gone.assign(removed_at=gone.removed_at.str[:16].str.replace("T", " ")).rename(columns=names)
        st.dataframe(shown, hide_index=True, row_height=29, alt="What was taken out")


def _made(made: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "When (UTC)": made.made_at.str[:16].str.replace("T", " "),
            "By": made.who,
            "Of": made.kind.replace({"ecg": "ECG"}) + " " + made.id,
            "What": [field_words(name) for name in made["name"]],
            "Was": [value_words(*row) for row in zip(made["name"], made.was, strict=True)],
            "Is": [value_words(*row) for row in zip(made["name"], made.now, strict=True)],
            "Why": made.why,
            "Cohort": made.cohort,
        }
    )
    st.dataframe(shown, hide_index=True, row_height=29, alt="Corrections, the latest first")
    st.caption(
        "A second import of a table that still has the old value keeps these and says so. To take one back, correct it "
        "to what it was."
    )
