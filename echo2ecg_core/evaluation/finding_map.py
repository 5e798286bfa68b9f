"""Which question does each model's output ask? One table: our chances and measured labels beside others' scores.

LVEF of at most 45 and of at most 40 per cent are two questions and stay two. An output without an equal here (pulmonary
regurgitation, effusion, an ECG statement) has no row: it is shown with its own name and nothing beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.evaluation.tasks import TASKS, Target, column
from echo2ecg_core.phenotypes import MODERATE

CATALOGUE_HALF = 0.5  # LVEF counts in whole per cent, grades in whole steps: a limit lies half a step on


@dataclass(frozen=True)
class Limit:
    """One side of a phenotype: at most, or at least, a value."""

    phenotype: str
    side: str
    value: float


@dataclass(frozen=True)
class Question:
    """One finding that can be asked of several models.

    Attributes:
        name: Its id. label: In words.
        target: Labels -> (n,) 1, 0 or NaN where not known.
        ours: What our readouts say to it: the chance of each limit, of several the largest (a lower bound, because
            either is enough); () where they say nothing.
        asked_by: Kind of ready model -> name of its output.
        apart: Where an output asks a little differently, in words.
    """

    name: str
    label: str
    target: Target
    ours: tuple[Limit, ...]
    asked_by: dict[str, str]
    apart: str = ""


def _lvef_at_most_45(labels) -> np.ndarray:
    lvef = column(labels, "lvef")
    return np.where(np.isnan(lvef), np.nan, np.round(lvef) <= 45)


def _written_down(column_name: str, word: str) -> Target:
    """1 where the study's rhythm or conduction is this word, 0 for another, NaN where none was written down."""

    def target(labels) -> np.ndarray:
        words = labels[column_name] if column_name in labels else [None] * len(labels)
        return np.array([float(w == word) if isinstance(w, str) and w else np.nan for w in words])

    return target


def _of_the_ecg(name: str, label: str, target: Target, output: str) -> Question:
    """A finding of the ECG itself, as written down with the study: our readouts say nothing to it."""
    return Question(name, label, target, (), {"ecgfounder": output})


def _graded(name: str, label: str, grade: str, output: str) -> Question:
    return Question(
        name, label, TASKS[name].target, (Limit(grade, "at_least", MODERATE - CATALOGUE_HALF),), {"echonext": output}
    )


QUESTIONS: dict[str, Question] = {
    q.name: q
    for q in (
        Question(
            "lvef_le_45",
            "LVEF ≤ 45 %",
            _lvef_at_most_45,
            (Limit("lvef", "at_most", 45 + CATALOGUE_HALF),),
            {"echonext": "lvef_lte_45"},
        ),
        Question(
            "lvef_le_40",
            "LVEF ≤ 40 %",
            TASKS["lvef_le_40"].target,
            (Limit("lvef", "at_most", 40 + CATALOGUE_HALF),),
            {"panecho": "LVSystolicFunction: Moderately|Severely Decreased"},
            "PanEcho asks for the laboratory's word, moderately or severely decreased.",
        ),
        Question(
            "wall_ge_1_3",
            "LV wall ≥ 1.3 cm",
            TASKS["wall_ge_1_3"].target,
            (Limit("ivsd", "at_least", 1.3), Limit("lvpwd", "at_least", 1.3)),
            {"echonext": "lvwt_gte_13"},
            "Our chance is that of the thicker wall alone: at least so much.",
        ),
        _graded(
            "aortic_stenosis", "Aortic stenosis, moderate or severe", "as_grade", "aortic_stenosis_moderate_severe"
        ),
        _graded(
            "aortic_regurgitation",
            "Aortic regurgitation, moderate or severe",
            "ar_grade",
            "aortic_regurgitation_moderate_severe",
        ),
        _graded(
            "mitral_regurgitation",
            "Mitral regurgitation, moderate or severe",
            "mr_grade",
            "mitral_regurgitation_moderate_severe",
        ),
        _graded(
            "tricuspid_regurgitation",
            "Tricuspid regurgitation, moderate or severe",
            "tr_grade",
            "tricuspid_regurgitation_moderate_severe",
        ),
        Question(
            "rvsp_ge_45",
            "RV systolic pressure ≥ 45 mmHg",
            TASKS["rvsp_ge_45"].target,
            (Limit("rvsp", "at_least", 45.0),),
            {"echonext": "pasp_gte_45"},
            "EchoNext asks for the pulmonary pressure: the same where the pulmonary valve is not narrow.",
        ),
        Question(
            "structural_heart_disease",
            "Structural heart disease",
            TASKS["structural_heart_disease"].target,
            (),
            {"echonext": "shd"},
            "EchoNext's composite counts effusion, pulmonary regurgitation and TR velocity as well.",
        ),
        _of_the_ecg("atrial_fibrillation", "Atrial fibrillation", _written_down("rhythm", "af"), "ATRIAL FIBRILLATION"),
        _of_the_ecg(
            "lbbb", "Left bundle branch block", _written_down("conduction", "lbbb"), "LEFT BUNDLE BRANCH BLOCK"
        ),
        _of_the_ecg(
            "rbbb", "Right bundle branch block", _written_down("conduction", "rbbb"), "RIGHT BUNDLE BRANCH BLOCK"
        ),
        _of_the_ecg(
            "first_degree_block",
            "First-degree AV block",
            lambda labels: column(labels, "first_degree_block"),
            "WITH 1ST DEGREE AV BLOCK",
        ),
    )
}


def question_of(kind: str, output: str) -> Question | None:
    """The question that an output of a ready model asks, None where nothing here is equal to it."""
    return next((q for q in QUESTIONS.values() if q.asked_by.get(kind) == output), None)


def our_chance(question: Question, chance_at_most: Callable[[str, float], float | None]) -> float | None:
    """Our chance of a finding, from (phenotype, limit) -> chance of at most so much; None where we say nothing."""
    chances = []
    for limit in question.ours:
        below = chance_at_most(limit.phenotype, limit.value)
        if below is not None:
            chances.append(below if limit.side == "at_most" else 1 - below)
    return max(chances, default=None)


LABELS = {  # outputs without a question, in words; of ECGFounder they are words already
    "pulmonary_regurgitation_moderate_severe": "Pulmonary regurgitation, moderate or severe",
    "rv_systolic_dysfunction_moderate_severe": "RV systolic dysfunction, moderate or severe",
    "pericardial_effusion_moderate_large": "Pericardial effusion, moderate or large",
    "tr_max_gte_32": "TR velocity ≥ 3.2 m/s",
}


def label_of(kind: str, output: str) -> str:
    """An output of a ready model in words; a statement stays as the cart writes it."""
    question = question_of(kind, output)
    return question.label if question else LABELS.get(output, output)
