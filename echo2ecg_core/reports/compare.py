"""The comparison of the paper on the user's archive: models of ours and of others on the same test patients.

Models of ours get their report side by side (classification, retrieval where there is a shared space); every model that
answers findings, ours or ready, stands in findings.csv, .tex and .json with paired differences from the first, its size
and its speed. Only findings that a model's output asks in the same words are compared (evaluation.finding_map).
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.answers.combined import readouts_state
from echo2ecg_core.answers.second_readers import chances_of, curves_of, load_reader, ready_cards, ready_facts
from echo2ecg_core.errors import Echo2ECGError, ModelError, StoreError
from echo2ecg_core.evaluation.finding_map import QUESTIONS, Question
from echo2ecg_core.evaluation.side_by_side import FEWEST, judged, stacked
from echo2ecg_core.figures.latex import table_latex
from echo2ecg_core.figures.notation import number
from echo2ecg_core.figures.scores import score_value
from echo2ecg_core.figures.tables import table_csv
from echo2ecg_core.intake.ready_models import embed_as_encoder, score_ecgs
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.reports.evaluate import EVERYBODY, Scope, evaluate, plain
from echo2ecg_core.reports.findings_table import findings_table, mixes_table
from echo2ecg_core.reports.folder import direct_difference, load_report, set_beside, write_report_folder
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.kept_cohorts import members
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE, ready_path
from echo2ecg_core.store.vectors import load_vectors

TIMED = 8  # ECGs


@dataclass(frozen=True, eq=False)
class Answerer:
    """A model that answers findings: question -> answers (n,) of the table's ECGs, NaN where it has none.

    `raw` is what a mix is made of: the same, but scores also where they are recalibrated, so that a mix outlives a new
    recalibration.
    """

    card: ModelCard
    name: str
    answers: dict[str, np.ndarray]
    raw: dict[str, np.ndarray]
    is_chance: dict[str, bool]
    parameters: int
    ecgs_per_s: float | None


def compare(
    workspace: Workspace, model_ids: Sequence[str], cohort: str | None, out: Path, progress: Progress = silent
) -> dict:
    """Compare models on the test patients of a cohort and write a folder; returns what findings.json holds.

    Raises:
        ModelError: no such model, or one that reads no ECGs. StoreError: too few labelled ECGs, or no place to write.
    """
    cards = [ModelRegistry(workspace).get(model_id) for model_id in model_ids]
    _check(cards)
    ours = [card for card in cards if not ready_facts(card)]
    ready = [card for card in cards if ready_facts(card)]
    for card in ready:
        if (ready_facts(card) or {}).get("kind") == "ecgfounder":
            embed_as_encoder(workspace, card.model_id, part(progress, 0.0, 0.2))
    for card in ours:
        evaluate(workspace, card.model_id, Scope([cohort] if cohort else None), part(progress, 0.2, 0.5))
    table = _table(workspace, [cohort] if cohort else None)
    answerers = [_of_ours(workspace, card, table) for card in ours]
    answerers += [_of_ready(workspace, card, table, part(progress, 0.5, 0.8)) for card in ready]
    found = plain(_findings(answerers, table, cohort))
    _write(out, found, answerers)
    if ours:
        own, *others = (load_report(workspace, card.model_id) for card in ours)
        write_report_folder(
            set_beside(own, others, partial(direct_difference, workspace)), out, part(progress, 0.85, 1.0)
        )
    return found


def judge(workspace: Workspace, model_id: str, scope: Scope = EVERYBODY, progress: Progress = silent) -> dict:
    """`evaluate` a model and, on test patients, set every ready model that reads ECGs beside it, where there is one.

    Args and Raises: as `evaluate`.
    """
    report = evaluate(workspace, model_id, scope, part(progress, 0.0, 0.9))
    if scope.split == "test":
        _keep_ready(workspace, report["model"]["id"], scope.cohorts, part(progress, 0.9, 1.0))
    return report


def _keep_ready(workspace: Workspace, model_id: str, cohorts: Sequence[str] | None, progress: Progress) -> None:
    """Keep the comparison of a model with the ready ones beside its report, and none where there is none."""
    path, cards = ready_path(workspace, model_id), ready_cards(workspace, "ECG")
    path.unlink(missing_ok=True)
    if not cards:
        return
    own, table = ModelRegistry(workspace).get(model_id), _table(workspace, cohorts)
    answerers = [_of_ours(workspace, own, table)] if (own.folder / READOUTS_FILE).is_file() else []
    answerers += [_of_ready(workspace, card, table, progress) for card in cards]
    found = plain(_findings(answerers, table, ", ".join(cohorts) if cohorts else None))
    write_atomically(path, json.dumps(found, allow_nan=False).encode())


def _check(cards: list[ModelCard]) -> None:
    if len({card.model_id for card in cards}) < 2:
        raise ModelError("A comparison needs two models.", "Name several with --models, each once.")
    for card in cards:
        facts = ready_facts(card)
        if facts and facts["reads"] != "ECG":
            raise ModelError(f"{card.name} reads {facts['reads']}s; only readers of ECGs are compared.")


def _table(workspace: Workspace, cohorts: Sequence[str] | None) -> pd.DataFrame:
    table = Catalog(workspace).labelled_ecgs()
    if cohorts:
        chosen = members(workspace, list(cohorts)).ecgs
        table = table[table.ecg_id.isin(chosen)]
        if table.empty:
            names = ", ".join(map(repr, cohorts))
            raise StoreError(f"There is no labelled ECG in the cohort {names}.", "Use another --cohort.")
    table = table[table.split.isin(["validation", "test"])].reset_index(drop=True)
    if not (table.split == "test").any():
        raise StoreError("There is no labelled ECG of test patients to compare on.", "Import labelled ECGs.")
    return table


def _of_ours(workspace: Workspace, card: ModelCard, table: pd.DataFrame) -> Answerer:
    """Our chances, from the stored embeddings and the fitted readouts."""
    from echo2ecg_core.answers.loaded_model import load_model

    model, stored = load_model(card), load_vectors(workspace.vectors, "ecg", card.model_id)
    assert model.readouts is not None, "loaded with its readouts"
    answers = {name: np.full(len(table), np.nan) for name in QUESTIONS}
    rows = [{"name": name, "value": 0.0, "interval": [0, 0]} for name in model.readouts.heads]
    for row, ecg_id in enumerate(table.ecg_id):
        if ecg_id in stored.row_of:
            for name, chance in chances_of({"phenotypes": rows}, stored.rows([ecg_id])[0], model).items():
                answers[name][row] = chance
    records = [Catalog(workspace).ecg_record(i) for i in table.ecg_id[:TIMED]]
    speed = _speed(lambda record: model.embed_ecgs(model.prepare(record)[None]), records)
    n = sum(p.numel() for p in model.echo2ecg.ecg_encoder.parameters())
    return Answerer(card, f"{card.name} {card.model_id}", answers, answers, dict.fromkeys(answers, True), n, speed)


def _of_ready(workspace: Workspace, card: ModelCard, table: pd.DataFrame, progress: Progress) -> Answerer:
    """A ready model's chances where it is recalibrated, else its scores."""
    reader = load_reader(card)
    scores = score_ecgs(workspace, card, table.ecg_id, progress)
    columns = {output.name: i for i, output in enumerate(reader.head.outputs)}
    matrix = np.stack([scores.get(i, np.full(len(columns), np.nan)) for i in table.ecg_id])
    answers, raw, is_chance = {}, {}, {}
    for question in QUESTIONS.values():
        if (name := question.asked_by.get(reader.head.kind)) is not None:
            values, curve = matrix[:, columns[name]].astype(float), reader.curves.get(name)
            raw[question.name] = values
            answers[question.name] = values if curve is None else curve.chances(values)
            is_chance[question.name] = curve is not None
    records = [Catalog(workspace).ecg_record(i) for i in table.ecg_id[:TIMED]]
    speed = _speed(lambda record: reader.scores(record, {}), records)
    n = sum(p.numel() for p in reader.network.parameters())
    return Answerer(card, f"{reader.head.name} {card.model_id}", answers, raw, is_chance, n, speed)


def _speed(answer, records: list) -> float | None:
    """ECGs a second, preparing included, one at a time, after one that is not counted; None where it reads none."""
    try:
        answer(records[0])
        start = time.perf_counter()
        for record in records:
            answer(record)
    except Echo2ECGError:
        return None
    return round(len(records) / (time.perf_counter() - start), 2)


def _findings(answerers: list[Answerer], table: pd.DataFrame, cohort: str | None) -> dict:
    findings: dict[str, dict] = {}
    left_out: dict[str, str] = {}
    found = {
        "cohort": cohort,
        "models": [
            {
                "id": a.card.model_id,
                "name": a.name,
                "parameters": a.parameters,
                "ecgs_per_s": a.ecgs_per_s,
                "readouts": readouts_state(a.card),
                "recalibrated": sorted(curves_of(a.card.folder)) if ready_facts(a.card) else None,
            }
            for a in answerers
        ],
        "findings": findings,
        "left_out": left_out,
    }
    for question in QUESTIONS.values():
        asked = [a for a in answerers if np.isfinite(a.answers.get(question.name, np.nan)).any()]
        if not asked:
            continue
        reason = _one_finding(findings, question, asked, table)
        if reason:
            left_out[question.name] = reason
    return found


def _one_finding(into: dict, question: Question, asked: list[Answerer], table: pd.DataFrame) -> str:
    """Judge one finding into a dict; returns why not, "" when it was."""
    target = question.target(table)
    known = np.isfinite(target) & np.all([np.isfinite(a.answers[question.name]) for a in asked], axis=0)
    patients, split = table.patient_id.to_numpy(str), table.split.to_numpy(str)
    rows = {name: known & (split == name) for name in ("validation", "test")}
    if reason := _too_few(target, patients, rows["test"]):
        return reason

    def of(role: str, what: str = "answers"):
        answers = {a.name: getattr(a, what)[question.name][rows[role]] for a in asked}
        return answers, target[rows[role]].astype(int), patients[rows[role]]

    entry = {
        "label": question.label,
        "apart": question.apart,
        "patients": len(set(patients[rows["test"]])),
        "positives": len(set(patients[rows["test"]][target[rows["test"]] == 1])),
        "is_chance": {a.name: a.is_chance[question.name] for a in asked},
        **judged(*of("test")),
        "stacking": None,
        "not_mixed": "",
    }
    if len(asked) > 1:
        if reason := _too_few(target, patients, rows["validation"]):
            entry["not_mixed"] = f"validation {reason}"
        else:
            entry["stacking"] = stacked(of("validation", "raw")[:2], of("test", "raw"))
    into[question.name] = entry
    return ""


def _too_few(target: np.ndarray, patients: np.ndarray, rows: np.ndarray) -> str:
    counts = [len(set(patients[rows & (target == outcome)])) for outcome in (0, 1)]
    if min(counts) < FEWEST:
        return f"patients with it: {counts[1]}, without: {counts[0]}; {FEWEST} of each are needed."
    return ""


def _write(out: Path, found: dict, answerers: list[Answerer]) -> None:
    table, mixes = findings_table(found), mixes_table(found)
    files = {
        "findings.json": json.dumps(found, indent=1, allow_nan=False),
        "findings.csv": table_csv(table),
        "findings.tex": table_latex(table),
        **({"combined.csv": table_csv(mixes), "combined.tex": table_latex(mixes)} if mixes.rows else {}),
        "findings.txt": "\n".join(summary_lines(found)) + "\n",
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
        _write_figures(out, found)
    except OSError as error:
        raise StoreError(
            f"The folder {out.name} cannot be written ({error.strerror}).", "Name another with --out."
        ) from error


def _write_figures(out: Path, found: dict) -> None:
    """One forest of AUROC a finding, as SVG and PDF."""
    from echo2ecg_core.figures.chart import Frame
    from echo2ecg_core.figures.evaluation import ForestRow, forest_figure
    from echo2ecg_core.figures.export import figure_file

    (out / "figures").mkdir(exist_ok=True)
    footer = f"Test patients of {found['cohort'] or 'all cohorts'}; 95 % intervals over patients. Research use only."
    for name, entry in found["findings"].items():
        rows = [
            ForestRow(model[:28], "", value, low, high, score_value(value, "auroc"), bold=i == 0)
            for i, (model, scores) in enumerate(entry["scores"].items())
            for value, low, high in (scores["auroc"],)
        ]
        title = f"{entry['label']}: {entry['patients']} patients, {entry['positives']} with it"
        for kind in ("svg", "pdf"):
            frame = Frame(title=title, footer=footer, column="single")
            figure = forest_figure(rows, "AUROC; 0.5: chance", (0.4, 1.0), 0.5, 2, frame)
            content = figure_file(figure, kind, title=title, provenance=footer)
            (out / "figures" / f"finding-{name}.{kind}").write_bytes(content)


def summary_lines(found: dict) -> list[str]:
    """The comparison as lines: AUROC of each model on each finding, and whether mixing helps."""
    lines = []
    for entry in found["findings"].values():
        lines.append(f"{entry['label']}: {entry['patients']} test patients, {entry['positives']} with it")
        for name, scores in entry["scores"].items():
            value, low, high = (number(end, 3) for end in scores["auroc"])
            lines.append(f"  {name:<34} AUROC {value} ({low} to {high}), slope {number(scores['slope'][0], 2)}")
        if mix := entry["stacking"]:
            value, low, high = mix["difference"]
            words = "beats" if mix["helps"] else "does not beat"
            told = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
            lines.append(f"  A mix of all {words} {mix['best']}, the best single one by validation patients: {told}")
        if entry["not_mixed"]:
            lines.append(f"  A mix of all was not judged: {entry['not_mixed']}")
    lines += [f"{QUESTIONS[name].label} is left out: {why}" for name, why in found["left_out"].items()]
    return lines
