"""Second readers: published models of others beside ours, on every ECG; never active, switched on and off one by one.

A score is called a score until it was recalibrated on this workspace's labelled ECGs; then it is a chance like ours.
What the authors left out of their training is said, and whether this ECG is such a one.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echo2ecg_core.ecg.ready_inputs import choices_made
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.evaluation.finding_map import QUESTIONS, label_of, our_chance, question_of
from echo2ecg_core.evaluation.recalibrate import Curve
from echo2ecg_core.store import audit
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry

if TYPE_CHECKING:
    from torch import nn

    from echo2ecg_core.models.ready_heads import ReadyHead

SWITCH_FILE, CURVES_FILE = "second_reader.json", "recalibration.json"  # beside the weights
HALF = 0.5  # from here on a finding is called likely
NOT_COMPARED = "Not compared: its score is not a chance"
PACED = re.compile(r"\bpac(ed|ing|emaker)\b", re.IGNORECASE)
POOR = re.compile(r"\b(poor (data )?quality|artifact)", re.IGNORECASE)
CART, MEASURED, ABSENT = "the cart's statement", "our measurement", "not known"


# ---------------------------------------------------------------- which ones


def ready_facts(card: ModelCard) -> dict | None:
    """What the manifest says of a ready model, None for any other or a damaged one."""
    try:
        return card.manifest().get("ready")
    except ModelError:
        return None


def ready_cards(workspace: Workspace, reads: str | None = None) -> list[ModelCard]:
    """The ready models of a workspace, of one kind of input or of all."""
    cards = ModelRegistry(workspace).models() if workspace.exists() else []
    return [c for c in cards if (facts := ready_facts(c)) and reads in (None, facts["reads"])]


def is_on(card: ModelCard) -> bool:
    """True while a ready model answers beside ours; it does from its import on."""
    try:
        return bool(json.loads((card.folder / SWITCH_FILE).read_text())["on"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def state_of(card: ModelCard) -> str | None:
    """What a ready model does here, in words; None for any other model."""
    facts = ready_facts(card)
    if not facts:
        return None
    return "machine reader" if facts["reads"] != "ECG" else f"second reader, {'on' if is_on(card) else 'off'}"


def switch(workspace: Workspace, card: ModelCard, on: bool) -> None:
    """Switch a second reader on or off.

    Raises:
        ModelError: the model is none.
    """
    if not ready_facts(card):
        raise ModelError(
            f"{card.name} {card.model_id} is no second reader: it answers as the active model or not at all.",
            "Promote it instead.",
        )
    write_atomically(card.folder / SWITCH_FILE, json.dumps({"on": bool(on)}).encode())
    audit.record(workspace, "switch a second reader", model=card.model_id, state="on" if on else "off")


def curves_of(folder: Path) -> dict[str, dict]:
    """What recalibration found for each output of a ready model: output -> {curve, patients, test, ...}."""
    try:
        return json.loads((folder / CURVES_FILE).read_text())["outputs"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@dataclass(frozen=True, eq=False)
class SecondReader:
    """A ready model that is loaded. `head` is its row of `models.ready_heads.READY`."""

    card: ModelCard
    head: "ReadyHead"
    network: "nn.Module"
    curves: dict[str, Curve]

    def scores(self, record: EcgRecord, numbers: dict) -> np.ndarray:
        """Published outputs (n,) of one ECG."""
        from echo2ecg_core.models.ready_heads import answers

        inputs = self.head.prepare(record.signal_mv, record.sampling_rate_hz, numbers)
        return answers(self.head, self.network, *(x[None] for x in inputs))[0]


def load_reader(card: ModelCard) -> SecondReader:
    """A ready model, loaded; imports torch.

    Raises:
        ModelError: it is none, or its weights are missing or damaged.
    """
    from echo2ecg_core.models.checkpoint import load_checkpoint
    from echo2ecg_core.models.ready_heads import READY

    facts = ready_facts(card)
    if not facts or facts["kind"] not in READY:
        raise ModelError(f"{card.name} {card.model_id} is no ready model.", "Import one with `models import`.")
    curves = {
        name: Curve(c["curve"]["method"], tuple(c["curve"]["x"]), tuple(c["curve"]["y"]))
        for name, c in curves_of(card.folder).items()
        if "curve" in c
    }
    network = load_checkpoint(card.folder).ready
    if network is None:
        raise ModelError(
            f"{card.name} {card.model_id} says it is {facts['kind']}, but it holds other weights.", "Import it again."
        )
    return SecondReader(card, READY[facts["kind"]], network, curves)


def load_readers(workspace: Workspace) -> list[SecondReader]:
    """Every second reader of ECGs that is on; a damaged one is left out (the Models page says why)."""
    readers = []
    for card in ready_cards(workspace, "ECG"):
        if is_on(card):
            try:
                readers.append(load_reader(card))
            except ModelError:
                continue
    return readers


# ------------------------------------------------------- the person's numbers


@dataclass(frozen=True)
class Person:
    """Age and sex of the person, with where each comes from ("the file", "given on the page", ...)."""

    sex: str | None = None
    age_years: float | None = None
    source: dict[str, str] = field(default_factory=dict)


def person_of(
    record: EcgRecord, sex: str | None = None, age_years: float | None = None, given: str = "given"
) -> Person:
    """The file's age and sex, else what was given."""
    source = {
        name: "the file" if told is not None else given if other is not None else ABSENT
        for name, told, other in (("sex", record.sex, sex), ("age_years", record.age_years, age_years))
    }
    return Person(
        record.sex if record.sex is not None else sex,
        record.age_years if record.age_years is not None else age_years,
        source,
    )


def seven_numbers(record: EcgRecord, person: Person) -> dict[str, dict]:
    """EchoNext's seven numbers: name -> {"value", "source"}.

    The cart's own number where it has one, else ours. We measure no atrial rate: with a P wave before every complex it
    is the ventricular rate, else it is not known. QTc is Bazett's, as on the carts the model was trained with.
    """
    from echo2ecg_core.ecg.measure import measure_ecg

    measured = measure_ecg(record)
    cart = record.device_measurements
    ours = {
        "ventricular_rate": measured.heart_rate_bpm,
        "atrial_rate": measured.heart_rate_bpm if measured.p_present else None,
        "pr_ms": measured.pr_ms,
        "qrs_ms": measured.qrs_ms,
        "qtc_ms": measured.qtc_bazett_ms,
    }
    names = {
        "ventricular_rate": ("heart_rate_bpm", "ventricular_rate_bpm"),
        "atrial_rate": ("atrial_rate_bpm",),
        "pr_ms": ("pr_ms",),
        "qrs_ms": ("qrs_ms",),
        "qtc_ms": ("qtc_bazett_ms", "qtc_ms"),
    }
    found: dict[str, dict] = {
        "sex": {"value": person.sex, "source": person.source.get("sex", ABSENT)},
        "age_years": {"value": person.age_years, "source": person.source.get("age_years", ABSENT)},
    }
    for name, value in ours.items():
        told = next((cart[key] for key in names[name] if cart.get(key) is not None), None)
        if told is not None:
            found[name] = {"value": round(float(told), 1), "source": CART}
        else:
            found[name] = {"value": value and round(float(value), 1), "source": MEASURED if value else ABSENT}
    return found


def left_out(kind: str, record: EcgRecord, numbers: dict[str, dict], unusable: bool) -> list[str]:
    """Why the authors would have left this ECG out of their training, in words; [] where nothing speaks for it."""
    reasons: list[str] = []
    text = " · ".join(record.statements)
    if kind != "echonext":
        return reasons  # the others' rules are not known here
    age = numbers["age_years"]["value"]
    if age is None:
        reasons.append("age unknown")
    elif age < 18:
        reasons.append("under 18")
    if numbers["sex"]["value"] not in ("male", "female"):
        reasons.append("sex unknown")
    if PACED.search(text):
        reasons.append("paced, by the cart's statement")
    if POOR.search(text):
        reasons.append("poor quality, by the cart's statement")
    if unusable:
        reasons.append("poor quality, by our judgement")
    if not any(numbers[n]["value"] for n in ("ventricular_rate", "atrial_rate", "pr_ms", "qrs_ms", "qtc_ms")):
        reasons.append("none of the five measurements")
    return reasons


# ------------------------------------------------------------------- answers


def read_beside(
    record: EcgRecord,
    readers: list[SecondReader],
    *,
    person: Person | None = None,
    our_chances: dict[str, float] | None = None,
    unusable: bool = False,
) -> list[dict]:
    """What each second reader says of an ECG, as plain JSON types (`second_readers` of `predict --json`).

    Args:
        record: The ECG.
        readers: Loaded ones.
        person: Age and sex; None = those of the file.
        our_chances: Question -> our chance (`chances_of`).
        unusable: Our verdict on the signal's quality.
    """
    if not readers:
        return []
    person = person or person_of(record)
    numbers = seven_numbers(record, person)
    return [_read_one(record, reader, numbers, our_chances or {}, unusable) for reader in readers]


def _read_one(record: EcgRecord, reader: SecondReader, numbers: dict, ours: dict[str, float], unusable: bool) -> dict:
    head = reader.head
    findings: list[dict] = []
    found = {
        "model": {"id": reader.card.model_id, "name": head.name, "kind": head.kind, "sha256": reader.card.sha256},
        "trained_on": head.trained_on,
        "authors_left_out": head.left_out,
        "this_ecg_left_out_for": left_out(head.kind, record, numbers, unusable),
        "licence": head.licence,
        "numbers": numbers if head.needs_numbers else {},
        "notes": list(choices_made(record.signal_mv, record.sampling_rate_hz, head.wanted_hz)),
        "findings": findings,
        "error": None,
    }
    if record.units != "mV":
        return found | {"error": "The recording is not in millivolts; this model needs them."}
    try:
        scores = reader.scores(record, {name: n["value"] for name, n in numbers.items()})
    except Echo2ECGError as error:
        return found | {"error": str(error)}
    for output, score in zip(head.outputs, scores, strict=True):
        findings.append(_finding(head.kind, output.name, float(score), reader.curves.get(output.name), ours))
    return found


def _finding(kind: str, output: str, score: float, curve: Curve | None, ours: dict[str, float]) -> dict:
    question = question_of(kind, output)
    chance = None if curve is None else float(curve.chances(np.array([score]))[0])
    our = ours.get(question.name) if question else None
    return {
        "name": output,
        "label": label_of(kind, output),
        "question": question and question.name,
        "score": float(f"{score:.6g}"),  # of a statement it may be very small
        "chance": None if chance is None else round(chance, 4),
        "our_chance": None if our is None else round(our, 4),
        "agreement": agreement(our, chance),
        "apart": question.apart if question else "",
    }


def agreement(our: float | None, chance: float | None) -> str:
    """Agreement of our chance and another's; "" without ours. No limit says from which score on it is likely."""
    if our is None:
        return ""
    if chance is None:
        return NOT_COMPARED
    we, they = (round(100 * one) >= 100 * HALF for one in (our, chance))  # in whole per cent, as both are written
    if we == they:
        return "Both call it likely" if we else "Both call it unlikely"
    return "Only we call it likely" if we else "Only the second reader calls it likely"


def chances_of(report: dict, embedding: np.ndarray | None, model) -> dict[str, float]:
    """Our chance of each question from a prediction; phenotypes without an estimate say nothing.

    Args:
        report: `Prediction.as_json()`. embedding: Its embedding, None when nothing was predicted. model: LoadedModel.
    """
    if embedding is None:
        return {}
    told = {p["name"] for p in report["phenotypes"] if p["value"] is not None and p["interval"] is not None}

    def chance_at_most(name: str, limit: float) -> float | None:
        estimate = model.readouts.estimate(name, embedding) if name in told else None
        return None if estimate is None or estimate.interval is None else estimate.chance_at_most(limit)

    found = {name: our_chance(question, chance_at_most) for name, question in QUESTIONS.items()}
    return {name: chance for name, chance in found.items() if chance is not None}
