"""The panels of Similar studies: filters, hits, agreement, the open study with its player, predicted against
measured."""

import dataclasses
from collections.abc import Mapping
from html import escape

import pandas as pd
import streamlit as st

from echo2ecg_core.answers.search import Candidates, EcgHit, Filters, Hit
from echo2ecg_core.answers.study_view import StudyView
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.evaluation.agreement import agreement, difference, verdicts
from echo2ecg_core.figures.notation import MISSING, THIN, measured, measured_range, number, predicted, with_unit
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES
from pages.ui import resources
from pages.ui.clips_route import clip_url
from pages.ui.studies import browse_session, machine_read
from pages.ui.studies.player.player import PlayerClip, show_player

SHORT_VIEWS = {
    "Parasternal_Long": "PLAX",
    "Parasternal_Short": "PSAX",
    "Subcostal": "SUBC",
    "Apical_Doppler": "A-Doppler",
    "Doppler_Parasternal_Long": "PLAX-Doppler",
    "Doppler_Parasternal_Short": "PSAX-Doppler",
}
ROW_HEIGHT = 29
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
WORDS_ICONS = {
    "inside the interval": "check",
    "above the interval": "arrow_upward",
    "below the interval": "arrow_downward",
}


def person(sex: str | None, age_years: float | None) -> str:
    """ "F 47", with what is known."""
    age = "" if age_years is None or age_years != age_years else number(age_years)
    return f"{sex[0].upper() if sex else ''} {age}".strip() or MISSING


def view_names(clips) -> str:
    """Short names of the views of a study, each once."""
    return " ".join(dict.fromkeys(SHORT_VIEWS.get(c.view, c.view) for c in clips if c.view)) or MISSING


# ------------------------------------------------------------------ filters


def filter_controls(own_patient: str | None) -> None:
    """The popover that adds filters and the pills that take them off again."""
    chosen = browse_session.filters()
    active = _words_of(chosen, own_patient)
    with st.container(key="study_filters", horizontal=True, gap="xsmall", vertical_alignment="center"):
        with st.popover("Filters", icon=":material/filter_list:"):
            _filter_form(chosen, own_patient)
        if active:
            kept = st.pills(
                "Active filters",
                active,
                selection_mode="multi",
                default=active,
                key=f"pills_{hash(tuple(active))}",
                label_visibility="collapsed",
                format_func=lambda words: f"{words} ✕",
            )
            for words in set(active) - set(kept):
                _take_off(words, chosen)


def _filter_form(chosen: Filters, own_patient: str | None) -> None:
    with st.form("filter_form", border=False):
        views = st.multiselect("Has the views", list(VIEWS), default=chosen.views, format_func=VIEWS.get)
        sex = _one_of("Sex", {"male": "male", "female": "female"}, chosen.sex)
        age = st.slider("Age, years", 0, 110, value=chosen.age_years or (0, 110))
        ranges = _range("lvef", chosen)
        rhythm = _one_of("Rhythm", RHYTHMS, chosen.rhythm)
        conduction = _one_of("Conduction", CONDUCTIONS, chosen.conduction)
        with st.expander("Other measured phenotypes", expanded=len(chosen.phenotypes.keys() - {"lvef"}) > 0):
            for name in PHENOTYPES:
                ranges |= {} if name == "lvef" else _range(name, chosen)
        others_only = st.checkbox(
            "Not the same patient",
            browse_session.leaves_out_own_patient(),
            disabled=own_patient is None,
            help="Known when the open ECG is one of the workspace.",
        )
        if st.form_submit_button("Apply", type="primary"):
            browse_session.leave_out_own_patient(others_only)
            browse_session.set_filters(
                Filters(
                    None,
                    tuple(views),
                    sex,
                    None if age == (0, 110) else age,
                    ranges,
                    rhythm,
                    conduction,
                )
            )
            st.rerun()


def _range(name: str, chosen: Filters) -> dict[str, tuple[float, float]]:
    """The slider of a measured phenotype; {} while it lets everything pass, so that unmeasured studies pass too."""
    phenotype = PHENOTYPES[name]
    low, high = (round(float(end), phenotype.decimals) for end in phenotype.axis)
    if phenotype.kind == "grade":
        low, high, step, label = 0.0, float(len(GRADES) - 1), 1.0, f"{phenotype.label}: {GRADES[0]} 0 to {GRADES[-1]} 3"
    else:
        step, label = 10.0**-phenotype.decimals, f"{phenotype.label}, {phenotype.unit}".rstrip(", ")
    kept = chosen.phenotypes.get(name, (low, high))
    form = "%.0f" if phenotype.kind == "grade" else f"%.{phenotype.decimals}f"
    value = st.slider(label, low, high, value=(float(kept[0]), float(kept[1])), step=step, format=form)
    return {} if value == (low, high) else {name: value}


def _one_of(label: str, words: Mapping[str, str], chosen: str | None) -> str | None:
    """A choice of one key by its words, or none."""
    return st.selectbox(
        label,
        list(words),
        index=None if chosen is None else list(words).index(chosen),
        format_func=words.get,
        placeholder="any",
    )


def _words_of(chosen: Filters, own_patient: str | None) -> list[str]:
    words = ["Not the same patient"] if own_patient and browse_session.leaves_out_own_patient() else []
    words += [f"Has {VIEWS[view]}" for view in chosen.views] + ([f"Sex {chosen.sex}"] if chosen.sex else [])
    words += [f"Age {chosen.age_years[0]:g}–{chosen.age_years[1]:g}"] if chosen.age_years else []
    words += [RHYTHMS[chosen.rhythm]] if chosen.rhythm else []
    words += [CONDUCTIONS[chosen.conduction]] if chosen.conduction else []
    return words + [f"{PHENOTYPES[name].short} {low:g}–{high:g}" for name, (low, high) in chosen.phenotypes.items()]


def _take_off(words: str, chosen: Filters) -> None:
    """Take one filter off, named by its words as `candidates` names it."""
    if words == "Not the same patient":
        browse_session.leave_out_own_patient(False)
    elif words.startswith("Has "):
        chosen = dataclasses.replace(chosen, views=tuple(v for v in chosen.views if f"Has {VIEWS[v]}" != words))
    elif words.startswith("Sex "):
        chosen = dataclasses.replace(chosen, sex=None)
    elif words.startswith("Age "):
        chosen = dataclasses.replace(chosen, age_years=None)
    elif words in RHYTHMS.values():
        chosen = dataclasses.replace(chosen, rhythm=None)
    elif words in CONDUCTIONS.values():
        chosen = dataclasses.replace(chosen, conduction=None)
    else:
        kept = {n: r for n, r in chosen.phenotypes.items() if not words.startswith(f"{PHENOTYPES[n].short} ")}
        chosen = dataclasses.replace(chosen, phenotypes=kept)
    browse_session.set_filters(chosen)
    st.rerun()


def no_hits(left: Candidates) -> None:
    """Which filter shut everything out, with the way back."""
    strictest, removes = max(left.removed.items(), key=lambda item: item[1], default=("", 0))
    st.info(
        f"No study passes these filters. The strictest is “{strictest}” (removes {removes}).",
        icon=":material/filter_list_off:",
    )
    if st.button("Reset it", type="tertiary") and strictest:
        _take_off(strictest, browse_session.filters())


# ------------------------------------------------------------------ hits


def hit_table(hits: list[Hit], report: dict, own_patient: str | None) -> int:
    """The hits, one row chosen; returns its number. A study of the ECG's own patient says so."""
    lvef = next((row["value"] for row in report["phenotypes"] if row["name"] == "lvef"), None)
    phenotype = PHENOTYPES["lvef"]
    table = pd.DataFrame(
        {
            "#": [hit.rank for hit in hits],
            "Study": [hit.study_id for hit in hits],
            "Similarity": [number(hit.similarity, 2) for hit in hits],
            "LVEF %": [number(hit.phenotypes.get("lvef")) for hit in hits],
            "Diff.": [signed(difference(phenotype, hit.phenotypes.get("lvef"), lvef)) for hit in hits],
            "Patient": [
                "the same" if hit.patient_id == own_patient else person(hit.sex, hit.age_years) for hit in hits
            ],
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
            "LVEF %": [number(hit.phenotypes.get("lvef")) for hit in hits],
            "Days": [number(hit.days_apart, 1) for hit in hits],
            "Patient": ["the same" if hit.same_patient else (hit.sex or MISSING) for hit in hits],
        }
    )
    return _choose(table, "ecgs_" + "_".join(hit.ecg_id for hit in hits), "The ECGs nearest to the study")


def _choose(table: pd.DataFrame, name: str, alt: str) -> int:
    """Draw a table in which a click anywhere in a row chooses the row; returns its number."""
    key = f"{name}_{browse_session.hit_round()}"
    cells = st.session_state.get(key, {}).get("selection", {}).get("cells", ())
    row = min(cells[0][0] if cells else browse_session.hit_row(), len(table) - 1)
    marked = table.style.apply(lambda r: [CHOSEN_ROW if r.name == row else ""] * len(r), axis=1)
    right = {
        c: st.column_config.Column(alignment="right")
        for c in ("Similarity", "LVEF %", "Diff.", "Views", "Days")
        if c in table
    }
    widths = {
        c: st.column_config.Column(width=w, alignment="right" if c in right else None)
        for c, w in WIDTHS.items()
        if c in table
    }
    st.dataframe(
        marked,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-cell",
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * (len(table) + 1) + 3,
        column_config=right | widths,
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


# ------------------------------------------------------------------ the open study


def study_head(view: StudyView, similarity: float | None) -> None:
    """One line of facts of the open study."""
    rates = sorted({f"{clip.fps:.0f}" for clip in view.clips}, key=float)
    words = f"{'–'.join(dict.fromkeys((rates[0], rates[-1])))}{THIN}fps" if rates else None
    who = ", ".join(
        filter(
            None, (view.study.sex, with_unit(view.study.age_years, "y") if view.study.age_years is not None else None)
        )
    )
    seen = min(6, len(view.clips))
    findings = [words[0].lower() + words[1:] for words in view.study.findings.words()]
    facts = [
        f"similarity {number(similarity, 2)}" if similarity is not None else None,
        who or None,
        *findings,
        f"{seen} of {len(view.clips)} clips" if len(view.clips) > seen else f"{seen} clip{'s' * (seen != 1)}",
        words,
        "top right: view confidence" if any(clip.view_confidence is not None for clip in view.clips) else None,
    ]
    st.html(
        f"<div class='e2e-study'><b>{escape(view.study.study_id)}</b> {' · '.join(escape(f) for f in facts if f)}</div>"
    )
    machine_read.line(view.study.study_id)


def play(view: StudyView, on_hit=None) -> None:
    """The player with all clips of the study."""
    clips = [
        PlayerClip(
            c.clip_id,
            clip_url(c.clip_id, resources.workspace()),
            VIEWS.get(c.view, "View not known"),
            c.view_confidence,
            view.weights.get(c.clip_id),
            c.fps,
            c.n_frames,
            c.r_wave_times_s,
            c.notes,
        )
        for c in view.clips
    ]
    show_player(view.study.study_id, clips, view.beat, on_hit=on_hit)


def verdict_table(values: dict[str, float], estimates: list[dict]) -> None:
    """Predicted against measured, with the verdict in words."""
    st.html(
        "<table class='e2e-table verdicts'><thead><tr><th>Phenotype</th><th class='num'>Predicted from ECG</th><th "
        "class='num'>90 % interval</th>"
        "<th class='num'>This study, measured</th><th class='num'>Difference</th><th>Measured value "
        "lies</th></tr></thead><tbody>"
        f"{''.join(_verdict_row(v) for v in verdicts(values, estimates))}</tbody></table>"
    )


def _verdict_row(row) -> str:
    digits = row.phenotype.decimals
    icon = WORDS_ICONS.get(row.words)
    words = (
        escape(row.words)
        if row.words.startswith(("inside", "not"))
        else f"<b>{escape(row.words)}</b>"
        if icon
        else escape(row.words)
    )
    mark = f"<span class='e2e-icon'>{icon}</span> " if icon else ""
    return (
        f"<tr><th scope='row'><b>{escape(row.phenotype.short)}</b> <span>{escape(row.phenotype.unit)}</span></th>"
        f"<td class='num'>{predicted(row.phenotype, row.predicted)}</td>"
        f"<td class='num'>{measured_range(row.phenotype, *row.interval) if row.interval else MISSING}</td>"
        f"<td class='num'><b>{measured(row.phenotype, row.measured)}</b></td><td "
        f"class='num'>{signed(row.difference, digits)}</td>"
        f"<td class='{'verdict' if icon else 'muted'}'>{mark}{words}</td></tr>"
    )
