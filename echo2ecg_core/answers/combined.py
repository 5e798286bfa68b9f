"""Combined estimates: our chance and second readers' scores mixed, where that beat the best one on test patients.

The comparison that an evaluation keeps beside its report says where (`reports.compare.judge`); here it is only applied.
Nothing is combined for a finding on which the mix did not win, or from a model that is switched off or has no answer.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.counts import counted
from echo2ecg_core.evaluation.side_by_side import Mix
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.store.paths import READOUTS_FILE, ready_path


@dataclass(frozen=True)
class Combination:
    """A mix that won. `mix` weighs model ids; `difference`: AUROC minus that of `best`, [value, low, high]."""

    question: str
    label: str
    mix: Mix
    best: str
    difference: tuple[float, float, float]
    patients: int


@dataclass(frozen=True)
class Combinations:
    """What was judged: on how many findings, the mixes that won, and why nothing was judged ("" where it was)."""

    judged: int = 0
    won: tuple[Combination, ...] = ()
    reason: str = ""


def readouts_state(card: ModelCard) -> str | None:
    """SHA-256 of a model's readouts, None without: a mix holds for the chances that these gave."""
    try:
        return hashlib.sha256((card.folder / READOUTS_FILE).read_bytes()).hexdigest()
    except OSError:
        return None


def combinations(workspace: Workspace, card: ModelCard) -> Combinations:
    """The mixes kept beside a model's report; none, with the reason, without a comparison or where it is damaged."""
    try:
        found = json.loads(ready_path(workspace, card.model_id).read_text(encoding="utf-8"))
        ids = {model["name"]: model["id"] for model in found["models"]}
        mixes = {name: entry for name, entry in found["findings"].items() if entry["stacking"]}
        won = tuple(
            Combination(
                name,
                entry["label"],
                Mix({ids[n]: w for n, w in kept["mix"]["weights"].items()}, kept["mix"]["intercept"]),
                kept["best"],
                tuple(kept["difference"]),
                entry["patients"],
            )
            for name, entry in mixes.items()
            if (kept := entry["stacking"])["helps"]
        )
        ours = next((model for model in found["models"] if model["id"] == card.model_id), None)
        outdated = ours is not None and ours["readouts"] != readouts_state(card)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Combinations(reason="Whether a mix of all models helps is judged when the active model is evaluated.")
    if outdated:
        return Combinations(reason="The readouts of the active model were fitted again since: evaluate it again.")
    if not mixes:
        return Combinations(reason="Too few labelled validation and test patients judge a mix of all models.")
    return Combinations(len(mixes), won)


def combined(found: Combinations, card: ModelCard, our_chances: dict[str, float], readers: list[dict]) -> list[dict]:
    """Chances of the mixes that won, as plain JSON types (`combined` of `predict --json`).

    Args:
        found: `combinations` of the active model. card: The active model.
        our_chances: Question -> our chance. readers: What `read_beside` said of the same ECG.

    Returns:
        {"question", "label", "chance", "of" (model ids), "best", "difference", "patients"} for each finding that every
        model of its mix answered.
    """
    rows = []
    for one in found.won:
        said = {r["model"]["id"]: f["score"] for r in readers for f in r["findings"] if f["question"] == one.question}
        if one.question in our_chances:
            said[card.model_id] = our_chances[one.question]
        if set(one.mix.weights) <= set(said):
            (chance,) = one.mix.chances({name: np.array([said[name]]) for name in one.mix.weights})
            rows.append(
                {
                    "question": one.question,
                    "label": one.label,
                    "chance": round(float(chance), 4),
                    "of": list(one.mix.weights),
                    "best": one.best,
                    "difference": [round(number, 4) for number in one.difference],
                    "patients": one.patients,
                }
            )
    return rows


def mixes_words(found: Combinations) -> str:
    """Whether mixing helps, in a sentence for people."""
    if found.reason:
        return f"Nothing is combined. {found.reason}"
    if not found.won:
        a_mix, best = "a mix of all models", "the best single one beyond chance."
        if found.judged == 1:
            return f"Nothing is combined: on the finding judged on test patients {a_mix} did not beat {best}"
        none = f"none of {found.judged:,} findings judged on test patients"
        return f"Nothing is combined: on {none} did {a_mix} beat {best}"
    return (
        f"Combined: a mix of all models, shown on {len(found.won)} of {counted(found.judged, 'finding')}, where it "
        "beat the best single one on test patients beyond chance."
    )
