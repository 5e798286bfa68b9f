"""The table of models that answer findings, ours and ready ones, on the same patients: of `compare` and of a report."""

from echo2ecg_core.evaluation.side_by_side import METRICS
from echo2ecg_core.figures.notation import MISSING, number
from echo2ecg_core.figures.scores import parameters, score_interval, score_label, score_value
from echo2ecg_core.figures.tables import Cell, Column, Table

MIXES_WORDS = (
    "Whether a mix of all models (a logistic line of their log odds, fitted on validation patients) beats the best "
    "single one on test patients; 95 % intervals over patients. Only where it does is it shown beside an ECG."
)
NO_FINDINGS: dict = {"models": [], "findings": {}, "cohort": None}


def findings_table(found: dict) -> Table:
    """One row a finding and model: its scores, its AUROC minus the first model's, size and speed."""
    parts = ("", "_low", "_high")
    columns = (
        Column("Finding", "finding"),
        Column("Model", "model"),
        Column("Answers in", "answers_in"),
        *(Column(_heading(m), m, True, parts) for m in METRICS),
        Column("AUROC minus the first model's", "auroc_difference", True, parts),
        Column("Parameters", "parameters", True),
        Column("ECGs/s", "ecgs_per_s", True),
    )
    facts, rows = {m["name"]: m for m in found["models"]}, []
    for entry in found["findings"].values():
        for name, scores in entry["scores"].items():
            difference = entry["differences"].get(name, {}).get("auroc")
            kind = "chances" if entry["is_chance"][name] else "scores"
            rows.append(
                (
                    Cell(entry["label"], (entry["label"],)),
                    Cell(name, (name,)),
                    Cell(kind, (kind,)),
                    *(_cell(scores[m], m) for m in METRICS),
                    Cell("reference", (None,)) if difference is None else _cell(difference, "auroc", 2),
                    Cell(parameters(facts[name]["parameters"]), (facts[name]["parameters"],)),
                    Cell(number(facts[name]["ecgs_per_s"], 1), (facts[name]["ecgs_per_s"],)),
                )
            )
    caption = f"Findings on test patients of {found['cohort'] or 'all cohorts'}, with 95 % intervals over patients."
    return Table("findings", caption, columns, tuple(rows))


def mixes_table(found: dict) -> Table:
    """One row a finding on which a mix of all models was judged: the best single one, the mix, its gain, its use."""
    parts = ("", "_low", "_high")
    columns = (
        Column("Finding", "finding"),
        Column("Best single one, by validation patients", "best"),
        Column("AUROC of the mix", "auroc", True, parts),
        Column("Mix minus best", "difference", True, parts),
        Column("Combined estimate", "combined"),
    )
    rows: list[tuple[Cell, ...]] = []
    for entry in found["findings"].values():
        label = Cell(entry["label"], (entry["label"],))
        if mix := entry["stacking"]:
            used = "shown" if mix["helps"] else "not shown: no gain beyond chance"
            scores = _cell(mix["auroc"], "auroc"), _cell(mix["difference"], "auroc", 3)
            rows.append((label, Cell(mix["best"], (mix["best"],)), *scores, Cell(used, (used,))))
        elif reason := entry.get("not_mixed"):  # a comparison of before tells none
            words = f"not judged: {reason}"
            rows.append((label, *[Cell(MISSING)] * 3, Cell(words, (words,))))
    return Table("combined", f"{MIXES_WORDS} On {found['cohort'] or 'all cohorts'}.", columns, tuple(rows))


def _heading(metric: str) -> str:
    return {"slope": "Calibration slope", "intercept": "Calibration intercept"}.get(metric) or score_label(metric)


def _cell(triple: list[float], metric: str, decimals: int | None = None) -> Cell:
    """A score, or with `decimals` a difference, with its interval in parentheses."""
    if metric in ("slope", "intercept"):
        decimals = 2
    if decimals is None:
        return Cell(score_value(triple[0], metric), tuple(triple), f"({score_interval(triple[1], triple[2], metric)})")
    value, low, high = (number(part, decimals) for part in triple)
    return Cell(value, tuple(triple), f"({low} to {high})")
