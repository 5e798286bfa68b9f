"""The Second readers tab and the line in the estimate's card: our chance and published models' scores side by side."""

from html import escape

import streamlit as st

from echo2ecg_core.answers.combined import combined, mixes_words
from echo2ecg_core.answers.second_readers import Person, person_of
from echo2ecg_core.counts import counted
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.evaluation.finding_map import QUESTIONS
from echo2ecg_core.figures.notation import MISSING, number, percent
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import resources, session
from pages.ui.errors import errors_in_words, plain

NONE_YET = (
    "No second reader is switched on. A published model that was trained on other hearts (EchoNext-Mini, ECGFounder) "
    "can be imported on the Models page; from then on it answers every ECG beside the active model."
)
SCORES = (
    "A **score** orders ECGs and is no chance: 0.6 does not mean 60 of 100. It becomes a chance once it is "
    "recalibrated on labelled ECGs of this workspace (Models page)."
)
GIVEN = "given on this page"
MOST_STATEMENTS = 10
NUMBER_WORDS = {
    "sex": ("Sex", ""), "age_years": ("Age", "y"), "ventricular_rate": ("Ventricular rate", "bpm"),
    "atrial_rate": ("Atrial rate", "bpm"), "pr_ms": ("PR", "ms"), "qrs_ms": ("QRS", "ms"),
    "qtc_ms": ("QTc (Bazett)", "ms"),
}  # fmt: skip


def draw(tab_place, line_place, record: EcgRecord, card: ModelCard, prediction) -> None:
    """The tab and the line in the card, from one pass of the second readers."""
    with tab_place, errors_in_words(), st.spinner("Asking the second readers …"):
        found, ours = resources.second_reads(record, card, prediction, person(record))
        mixes = resources.combinations(card)
        mixed = combined(mixes, card, ours, found)
        tab(record, found, ours, mixed, mixes_words(mixes))
        with line_place:
            card_line(found, mixed)


def person(record: EcgRecord) -> Person:
    """Age and sex: the file's, else what was given in the tab."""
    return person_of(record, *session.given_sex_and_age(), GIVEN)


def ask(record: EcgRecord) -> None:
    """Ask for age and sex where the file lacks them; the answer belongs to this ECG alone."""
    if record.sex is not None and record.age_years is not None:
        return
    sex_key, age_key = session.given_keys()
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        if record.sex is None:
            st.segmented_control("Sex, which the file lacks", ["female", "male"], key=sex_key)
        if record.age_years is None:
            st.number_input("Age in years, which the file lacks", 0, 120, value=None, key=age_key, width=220)


def card_line(found: list[dict], mixed: list[dict]) -> None:
    """Lines in the estimate's card: each second reader's answer on low LVEF beside ours, and a combined chance."""
    for reader in found:
        for finding in reader["findings"]:
            if finding["question"] in ("lvef_le_45", "lvef_le_40"):
                left_out = reader["this_ecg_left_out_for"]
                mark = f" Its authors left such ECGs out ({', '.join(left_out)})." if left_out else ""
                our = "" if finding["our_chance"] is None else f"; ours {percent(finding['our_chance'])}"
                agreed = f" {finding['agreement']}." if finding["agreement"] else ""
                line = f"{reader['model']['name']} on {finding['label']}: {answer(finding)}{our}.{agreed}{mark}"
                st.caption(plain(line))
    for one in mixed:
        if one["question"] in ("lvef_le_45", "lvef_le_40"):
            st.caption(plain(f"Combined on {one['label']}: chance {percent(one['chance'])}."))


def tab(
    record: EcgRecord, found: list[dict], our_chances: dict[str, float], mixed: list[dict], mixing: str = ""
) -> None:
    """Every shared finding as a row, then each model's own findings, and what to know of each model.

    `mixed` are the combined chances; `mixing` says whether mixing helps.
    """
    if not found:
        st.info(NONE_YET, icon=":material/group:")
        return
    ask(record)
    st.html(shared_table(found, our_chances, mixed))
    findings = [f for reader in found for f in reader["findings"]]
    notes = [SCORES] if any(f["chance"] is None for f in findings) else []
    notes += [plain(f"{f['label']}. {f['apart']}") for f in findings if f["apart"]]
    notes += [plain(text) for text in (mixing, *map(gain_words, mixed)) if text]
    if notes:
        st.caption("  \n".join(notes))
        st.space("small")
    for reader in found:
        left, right = st.columns(2, gap="medium")
        left.html(facts_table(reader))
        if reader["error"]:
            right.warning(plain(reader["error"]), icon=":material/error:")
        else:
            right.html(own_table(reader))


def answer(finding: dict) -> str:
    """A second reader's answer: its chance, or its score by that name."""
    if finding["chance"] is not None:
        return f"chance {percent(finding['chance'])}"
    return f"score {number(finding['score'], 2)}"


def gain_words(one: dict) -> str:
    """What a combined chance rests on."""
    value, low, high = (number(part, 3) for part in one["difference"])
    gain = f"AUROC higher by {value} ({low} to {high}) than {one['best']}"
    return f"{one['label']}, combined: {gain}, on {counted(one['patients'], 'test patient')}."


def shared_table(found: list[dict], our_chances: dict[str, float], mixed: list[dict]) -> str:
    """HTML table: question, our chance, each model's answer, the combined chance where there is one, agreement."""
    head = "<th>Finding</th><th class='num'>Our chance</th>"
    head += "".join(f"<th class='num'>{escape(r['model']['name'])}</th>" for r in found)
    head += "<th class='num'>Combined</th>" * bool(mixed) + "<th>Agreement</th>"
    chance_of = {one["question"]: percent(one["chance"]) for one in mixed}
    body = ""
    for question in QUESTIONS.values():
        asked = [next((f for f in r["findings"] if f["question"] == question.name), None) for r in found]
        if not any(asked) and question.name not in our_chances:
            continue
        ours = our_chances.get(question.name)
        cells = "".join(f"<td class='num'>{answer(f) if f else MISSING}</td>" for f in asked)
        cells += f"<td class='num'>{chance_of.get(question.name, MISSING)}</td>" * bool(mixed)
        words = "; ".join(f["agreement"] for f in asked if f and f["agreement"])
        body += (
            f"<tr><th scope='row'>{escape(question.label)}</th>"
            f"<td class='num'>{MISSING if ours is None else percent(ours)}</td>{cells}<td>{escape(words)}</td></tr>"
        )
    return f'<table class="e2e-table second"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def own_table(reader: dict) -> str:
    """HTML table of what a model says beyond the shared findings, the highest scores first."""
    own = sorted((f for f in reader["findings"] if not f["question"]), key=lambda f: -f["score"])
    body = "".join(
        f"<tr><th scope='row'>{escape(f['label'])}</th><td class='num'>{answer(f)}</td></tr>"
        for f in own[:MOST_STATEMENTS]
    )
    more = f", the {MOST_STATEMENTS} highest of {len(own)}" if len(own) > MOST_STATEMENTS else ""
    caption = f"{escape(reader['model']['name'])} on its own{more}"
    return f'<table class="e2e-table pairs"><caption>{caption}</caption><tbody>{body}</tbody></table>'


def facts_table(reader: dict) -> str:
    """HTML table of what to know of a second reader: training, whom its authors left out, this ECG, its numbers."""
    reasons = reader["this_ecg_left_out_for"]
    rows = [
        ("Trained on", reader["trained_on"]),
        ("Its authors left out", reader["authors_left_out"]),
        ("This ECG", f"left out by them: {', '.join(reasons)}" if reasons else "nothing speaks for it"),
        *((NUMBER_WORDS[name][0], _number(name, told)) for name, told in reader["numbers"].items()),
        ("What was done", " ".join(reader["notes"]) or "nothing beyond the authors' own steps"),
        ("Licence", reader["licence"]),
        ("Model", f"{reader['model']['name']} {reader['model']['id']}"),
    ]
    body = "".join(f"<tr><th scope='row'>{escape(a)}</th><td>{escape(str(b))}</td></tr>" for a, b in rows)
    caption = f"About {escape(reader['model']['name'])}"
    return f'<table class="e2e-table pairs"><caption>{caption}</caption><tbody>{body}</tbody></table>'


def _number(name: str, told: dict) -> str:
    value, unit = told["value"], NUMBER_WORDS[name][1]
    if value is None:
        return f"{MISSING} ({told['source']})"
    return f"{value if isinstance(value, str) else f'{number(value)} {unit}'.strip()} ({told['source']})"
