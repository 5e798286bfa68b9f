"""The right column of Similar studies: the open study, the one beside it, the player, predicted against measured."""

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from echo2ecg_core.answers.study_view import EcgStrip, StudyView, face_to_face
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.echo.key_frames import key_places, systole_after_r_s
from echo2ecg_core.evaluation.agreement import Verdict, verdicts
from echo2ecg_core.figures.notation import MISSING, THIN, date, measured, measured_range, number, predicted, with_unit
from echo2ecg_core.store.rows import ClipRow
from echo2ecg_core.store.times import moment
from pages.ui import panels, resources
from pages.ui.clips_route import clip_url
from pages.ui.studies import browse_session, machine_read
from pages.ui.studies.panels import signed
from pages.ui.studies.player.player import PlayerClip, PlayerEcg, PlayerStudy, show_player

OWN_ECHO = "Compare with my patient's own echo"
WORDS_ICONS = {
    "inside the interval": "check",
    "above the interval": "arrow_upward",
    "below the interval": "arrow_downward",
}


def head(view: StudyView, similarity: float | None) -> None:
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
        f"{len(view.vectors_of)} without a picture" if view.vectors_of and view.clips else None,
        words,
        "top right: view confidence" if any(clip.view_confidence is not None for clip in view.clips) else None,
    ]
    st.html(
        f"<div class='e2e-study'><b>{escape(view.study.study_id)}</b> {' · '.join(escape(f) for f in facts if f)}</div>"
    )
    machine_read.line(view.study.study_id)


# ------------------------------------------------------------------ two studies


def beside_controls(study_id: str, own_study: str | None, hit_ids: Sequence[str]) -> str | None:
    """What lays another study beside the open one; returns its id, None while there is none.

    Args:
        study_id: The open study. own_study: That of the open ECG's patient, None where it is not known.
        hit_ids: Studies to choose from, nearest first.
    """
    chosen = browse_session.beside()
    beside = chosen if chosen != study_id else None
    if chosen:
        name = "my patient's own echo" if chosen == own_study else chosen
        st.button(f"Close {name}", icon=":material/close:", on_click=browse_session.lay_beside, args=(None,))
    elif own_study and own_study != study_id:
        st.button(
            OWN_ECHO,
            icon=":material/compare:",
            on_click=browse_session.lay_beside,
            args=(own_study,),
            key="own_echo",
        )
    others = [one for one in dict.fromkeys((*([own_study] if own_study else []), *hit_ids)) if one != study_id]
    if others and not chosen:
        with st.popover("Another beside", icon=":material/view_column_2:"):
            _choose_beside(others, own_study)
    if chosen and not beside:
        st.caption("This is the study that the others are laid beside.")
    return beside


def _choose_beside(others: list[str], own_study: str | None) -> None:
    picked = st.selectbox(
        "Study beside this one",
        others,
        index=None,
        format_func=lambda one: f"{one} (my patient's own)" if one == own_study else one,
        placeholder="one of the list",
    )
    if own_study is None:
        st.caption("The patient's own echo is known when the open ECG is one of the workspace.")
    if picked:
        browse_session.lay_beside(picked)
        st.rerun()


def play(view: StudyView, beside: StudyView | None, on_hit: Callable[[int], None] | None = None) -> None:
    """The player with all clips of the study, or of two face to face; a sentence where one has no pictures."""
    for one in (view, beside):
        if one is not None and one.no_pictures:
            st.info(f"{one.study.study_id}. {one.no_pictures}", icon=":material/hide_image:")
    if not view.clips and (beside is None or not beside.clips):
        return
    shown = [_player_study(view)]
    clips: list[PlayerClip | None] = [_player_clip(c, view, 0) for c in view.clips]
    if beside is not None:
        shown.append(_player_study(beside))
        clips = [
            None if clip is None else _player_clip(clip, own, side)
            for row in face_to_face(view.clips, beside.clips)
            for side, (clip, own) in enumerate(zip(row, (view, beside), strict=True))
        ]
    show_player(shown, clips, on_hit=on_hit)


def _player_study(view: StudyView) -> PlayerStudy:
    study = view.study
    lvef = study.phenotypes.get("lvef")
    day = moment(study.study_date and study.study_date[:10])
    facts = [study.study_id, date(day) if day else None, study.sex]
    facts += [None if study.age_years is None else with_unit(study.age_years, "y")]
    facts += [None if lvef is None else f"LVEF {number(lvef)}{THIN}%"]
    return PlayerStudy(study.study_id, " · ".join(filter(None, facts)), _player_ecg(view.ecg) if view.ecg else None)


def _player_ecg(ecg: EcgStrip) -> PlayerEcg:
    apart = "" if ecg.days_apart is None else f", {_days(ecg.days_apart)}"
    label = f"ECG {ecg.ecg_id}, lead II{apart}; its own beats, R on R"
    return PlayerEcg(label, ecg.samples_mv, ecg.rate_hz, ecg.r_times_s)


def _days(days: float) -> str:
    """ "within a day of the echo", "12 days from the echo"."""
    return "within a day of the echo" if days < 1 else f"{days:.0f} day{'s' * (round(days) != 1)} from the echo"


def _player_clip(clip: ClipRow, view: StudyView, side: int) -> PlayerClip:
    marked = any(0 <= t < clip.n_frames / clip.fps for t in clip.r_wave_times_s) and clip.n_frames > 1
    systole_s = systole_after_r_s(clip.r_wave_times_s)
    return PlayerClip(
        clip.clip_id,
        clip_url(clip.clip_id, resources.workspace()),
        VIEWS.get(clip.view or "", "View not known"),
        clip.view_confidence,
        view.weights.get(clip.clip_id),
        clip.fps,
        clip.n_frames,
        clip.r_wave_times_s,
        tuple(round(t + systole_s, 4) for t in clip.r_wave_times_s),
        key_places(clip.r_wave_times_s, clip.fps, clip.n_frames) if marked else None,
        clip.spacing_mm,
        side,
        clip.notes,
    )


# ------------------------------------------------------------------ predicted against measured


def verdict_table(view: StudyView, record: EcgRecord | None, own_patient: str | None, estimates: list[dict]) -> None:
    """Predicted against measured, with the verdict in words and whose ECG and echo are compared."""
    st.html(f"<h2 class='e2e-section'>{escape(compared(view, record, own_patient))}</h2>")
    rows = "".join(_verdict_row(v) for v in verdicts(view.study.phenotypes, estimates))
    table = (
        "<table class='e2e-table verdicts'><thead><tr><th>Phenotype</th><th class='num'>Predicted from ECG</th><th "
        "class='num'>90 % interval</th>"
        "<th class='num'>This study, measured</th><th class='num'>Difference</th><th>Measured value "
        f"lies</th></tr></thead><tbody>{rows}</tbody></table>"
    )
    st.html(panels.scrolling(table, "Predicted against measured"))


def compared(view: StudyView, record: EcgRecord | None, own_patient: str | None) -> str:
    """Which ECG is compared with which echo, and whether they are of one patient."""
    study_id = view.study.study_id
    if record is None:
        return f"Measured on {study_id}"
    whose = {None: "the ECG's patient is not known here", view.study.patient_id: "the same patient"}
    return f"{record.source} against {study_id}: {whose.get(own_patient, 'another patient')}"


def _verdict_row(row: Verdict) -> str:
    digits = row.phenotype.decimals
    icon = WORDS_ICONS.get(row.words)
    words = (
        escape(row.words)
        if row.words.startswith(("inside", "not"))
        else f"<b>{escape(row.words)}</b>"
        if icon
        else escape(row.words)
    )
    mark = f"<span class='e2e-icon' aria-hidden='true'>{icon}</span> " if icon else ""
    return (
        f"<tr><th scope='row'><b>{escape(row.phenotype.short)}</b> <span>{escape(row.phenotype.unit)}</span></th>"
        f"<td class='num'>{predicted(row.phenotype, row.predicted)}</td>"
        f"<td class='num'>{measured_range(row.phenotype, *row.interval) if row.interval else MISSING}</td>"
        f"<td class='num'><b>{measured(row.phenotype, row.measured)}</b></td><td "
        f"class='num'>{signed(row.difference, digits)}</td>"
        f"<td class='{'verdict' if icon else 'muted'}'>{mark}{words}</td></tr>"
    )
