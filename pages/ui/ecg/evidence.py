"""Why this estimate, and where everything came from: neighbours, method, model, file, notes."""

from collections.abc import Mapping
from contextlib import suppress
from html import escape

import streamlit as st

from echo2ecg_core.counts import counted_days
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.figures.notation import MISSING, THIN, held_words, length, measured, number, percent
from echo2ecg_core.figures.scores import count
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.store.times import default_days
from pages.ui import panels, resources
from pages.ui.errors import plain
from pages.ui.report.charts.show import show_charts

# words of the fields of a device's measurements, where they are not written small
AS_WRITTEN = {"pr": "PR", "rr": "RR", "qrs": "QRS", "qt": "QT", "qtc": "QTc", "p": "P", "t": "T"} | {
    name.lower(): name for name in ("Bazett", "Fridericia")
}
MOST_PAPERS = 6
MOST_COLUMNS = 7  # phenotypes that fit beside the words; the others are on the study itself
NEIGHBOURS_WORDS = """The nearest labelled ECGs of other patients by distance of their embeddings, one of each patient,
and what their echo measured, at most {days} apart. They illustrate the estimate and do not enter it."""


def why(report: dict) -> None:
    """How the numbers are made, beside the nearest labelled ECGs and what an echo measured there."""
    if not report["phenotypes"]:
        st.caption("Nothing was predicted.")
        return
    left, right = st.container(key="why").columns((5, 7), gap="medium")
    with left:
        for sentence in _method(report):
            st.markdown(sentence)
    with right:
        if report["neighbours"]:
            st.html(panels.scrolling(neighbour_table(report["neighbours"]), "Nearest labelled ECGs"))
            st.caption(NEIGHBOURS_WORDS.format(days=counted_days(default_days())) + _undated(report["neighbours"]))
        else:
            st.caption("This workspace holds no labelled ECGs that this model has embedded.")


def _undated(neighbours: list[dict]) -> str:
    """What a dash among the days means; "" without one."""
    known = all(row.get("days_apart") is not None for row in neighbours)
    return "" if known else f" {MISSING}: the data set says which echo belongs to the ECG, and no days."


def papers(neighbours: list[dict]) -> None:
    """The nearest labelled ECGs as small papers, in the order of the table; one that cannot be read is left out."""
    drawn = []
    for row in neighbours[:MOST_PAPERS]:
        lvef = row["phenotypes"].get("lvef")
        words = "" if lvef is None else f"LVEF {number(lvef)}{THIN}% measured"
        with suppress(Echo2ECGError):  # its row stands in the table
            paper = resources.small_paper(resources.stored_ecg(row["ecg_id"]), f"ECG {row['ecg_id']} {words}")
            drawn.append((row["ecg_id"], words, paper))
    if drawn:
        st.space("small")
        show_charts(drawn, key="nearest_papers")
        st.caption(f"The first 2.5{THIN}s of each as recorded, 25{THIN}mm/s and 10{THIN}mm/mV.")


def _method(report: dict) -> list[str]:
    row = report["phenotypes"][0]
    source, level, name = row["source"], percent(row["interval_level"]), plain(report["model"]["name"])
    fitted = f" It was fitted on {count(source['labelled_ecgs'])} labelled ECGs." if source.get("labelled_ecgs") else ""
    calibrated = (
        f" ({count(source['calibration_ecgs'])} ECGs of other patients)" if source.get("calibration_ecgs") else ""
    )
    held = held_words(row)
    mark = " It has seen simulated hearts only." if report["model"]["synthetic"] else ""
    return [
        f"**The number.** The model *{name}* turns the tracing into an embedding; a readout turns the embedding into "
        f"each phenotype.{fitted}{mark}",
        f"**The interval.** In {level} of comparable patients the measured value lies inside. Its width comes from the "
        f"model's errors on patients kept aside{calibrated} and varies smoothly with the estimate. It reaches "
        f"farther towards disease, where estimates err most. {held}".rstrip(),
        "**Chance outside** is the share of the same distribution of errors beyond the reference range.",
        "**Test R²** says how much of the difference between test patients the model explains: 1 all of it, 0 no more "
        "than the average patient.",
    ]


def neighbour_table(neighbours: list[dict]) -> str:
    """HTML table of the nearest labelled ECGs with their first measured phenotypes, nearest first."""
    names = [n for n in PHENOTYPES if any(n in row["phenotypes"] for row in neighbours)][:MOST_COLUMNS]
    head = (
        "<th>ECG</th><th>Study</th><th class='num'>Days<br><small>apart</small></th><th class='num'>Distance</th>"
        + "".join(f"<th class='num'>{PHENOTYPES[n].short}<br><small>{PHENOTYPES[n].unit}</small></th>" for n in names)
    )
    body = ""
    for row in neighbours:
        cells = "".join(f"<td class='num'>{measured(PHENOTYPES[n], row['phenotypes'].get(n))}</td>" for n in names)
        body += (
            f"<tr><td>{escape(row['ecg_id'])}</td><td>{escape(row['study_id'])}</td>"
            f"<td class='num'>{number(row.get('days_apart'))}</td>"
            f"<td class='num'>{number(row['distance'], 2)}</td>{cells}</tr>"
        )
    return f'<table class="e2e-table neighbours"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def provenance(record: EcgRecord, report: dict | None, card: ModelCard | None) -> None:
    """File, signal, device and model as one table, and all notes of the reader."""
    left, right = st.columns(2, gap="medium")
    left.html(
        _pairs(
            "Recording",
            [
                ("File", record.source),
                ("Format", record.format),
                ("Sampling rate", f"{record.sampling_rate_hz:g}{THIN}Hz"),
                ("Length", f"{length(record.duration_s)}, {record.n_samples:,} samples"),
                ("Units", record.units),
                ("Derived leads", ", ".join(record.derived_leads) or "none"),
                ("Device", record.device or MISSING),
                ("Device statements", " · ".join(record.statements) or MISSING),
                ("Device measurements", device_words(record.device_measurements)),
                ("Notes of the reader", " ".join(record.notes) or "none"),
                ("Content hash", record.content_hash[:16]),
            ],
        )
    )
    if card is not None:
        right.html(_pairs("Model", _model_facts(report, card)))


def _model_facts(report: dict | None, card: ModelCard) -> list[tuple[str, str]]:
    facts = [
        ("Model", f"{card.name} {card.model_id}"),
        ("SHA-256 of the weights", card.sha256),
        ("Training data", "simulated hearts only" if card.synthetic else "see the model's manifest"),
        ("Preprocessing", _preprocessing(card)),
    ]
    if report and report["phenotypes"]:
        facts.append(("Method", report["phenotypes"][0]["source"]["method"]))
    return facts


def device_words(measurements: Mapping[str, float]) -> str:
    """ "PR 138 ms, QTc Fridericia 419 ms, P axis 51°" of the device's own numbers by their field names."""
    parts = []
    for name, value in measurements.items():
        stem, _, unit = name.rpartition("_")
        words = " ".join(AS_WRITTEN.get(word, word) for word in stem.split("_"))
        parts.append(f"{words} {number(value)}{'°' if unit == 'deg' else f'{THIN}{unit}'}")
    return ", ".join(parts) or MISSING


def _preprocessing(card: ModelCard) -> str:
    spec = card.manifest().get("spec", {}).get("ecg_input", {})
    if not spec:
        return MISSING
    seconds = spec["n_samples"] / spec["sampling_rate_hz"]
    windows = "the first window" if spec["windows"] == "first" else "the average of all windows"
    return (
        f"{spec['order'].replace('_', ' ')}, {spec['sampling_rate_hz']:g}{THIN}Hz, {windows} of {spec['n_samples']:,} "
        f"samples ({number(seconds, 2)}{THIN}s)"
    )


def _pairs(caption: str, rows: list[tuple[str, str]]) -> str:
    body = "".join(
        f"<tr><th scope='row'>{escape(label)}</th><td>{escape(str(value))}</td></tr>" for label, value in rows
    )
    return f'<table class="e2e-table pairs"><caption>{caption}</caption><tbody>{body}</tbody></table>'
