"""What an echo laboratory writes down of a study beside its phenotypes: wall motion by segment, rhythm, conduction.

The 17 segments, their order and the scores are those of ASE/EACVI 2015 (Lang et al., J Am Soc Echocardiogr 28:1-39) and
of the AHA (Cerqueira et al., Circulation 105:539-542, 2002): number 1 is basal anterior, 17 the apex. The index is the
mean over the segments that were scored; a laboratory that leaves the apical cap out (the 16-segment model) leaves it
empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

SEGMENTS = (
    "basal_anterior", "basal_anteroseptal", "basal_inferoseptal", "basal_inferior", "basal_inferolateral",
    "basal_anterolateral",
    "mid_anterior", "mid_anteroseptal", "mid_inferoseptal", "mid_inferior", "mid_inferolateral", "mid_anterolateral",
    "apical_anterior", "apical_septal", "apical_inferior", "apical_lateral", "apex",
)  # fmt: skip
SCORES = {1: "normal or hyperkinetic", 2: "hypokinetic", 3: "akinetic", 4: "dyskinetic"}
NOT_SCORED = "-"
RHYTHMS = {"sinus": "Sinus rhythm", "af": "Atrial fibrillation", "other": "Other rhythm"}
CONDUCTIONS = {
    "normal": "No bundle branch block", "lbbb": "Left bundle branch block", "rbbb": "Right bundle branch block",
    "other": "Other conduction delay",
}  # fmt: skip
FIRST_DEGREE_BLOCK = "First-degree AV block"


@dataclass(frozen=True)
class Findings:
    """The findings of one study; None where nothing was written down.

    Attributes:
        wall_motion_scores: One of `SCORES` per segment of `SEGMENTS`, None for a segment that was not scored.
        rhythm: Key of `RHYTHMS`. conduction: Key of `CONDUCTIONS`. first_degree_block: PR interval above 200 ms.
    """

    wall_motion_scores: tuple[int | None, ...] | None = None
    rhythm: str | None = None
    conduction: str | None = None
    first_degree_block: bool | None = None

    def words(self) -> list[str]:
        """Rhythm and conduction in words, as far as they are known."""
        known = [
            RHYTHMS.get(self.rhythm or ""),
            CONDUCTIONS.get(self.conduction or ""),
            FIRST_DEGREE_BLOCK if self.first_degree_block else None,
        ]
        return [words for words in known if words]


def score_index(scores: Sequence[int | None]) -> float | None:
    """Wall motion score index: the mean of the scored segments, 1.0 (all normal) to 4; None when none was scored."""
    scored = [score for score in scores if score is not None]
    return sum(scored) / len(scored) if scored else None


def write_scores(scores: Sequence[int | None]) -> str:
    """Scores as the text of a table cell: 17 of them in the order of `SEGMENTS`, parted by spaces, "-" where not
    scored."""
    return " ".join(NOT_SCORED if score is None else str(score) for score in scores)


def read_scores(text: str) -> tuple[int | None, ...] | None:
    """Scores from the text of a table cell, see `write_scores`; None when no segment was scored.

    Raises:
        ValueError: not 17 entries, or one that is no score.
    """
    entries = text.split()
    if len(entries) != len(SEGMENTS):
        raise ValueError(f"{len(SEGMENTS)} scores parted by spaces, in the order of the segments")
    if not set(entries) <= {NOT_SCORED, *map(str, SCORES)}:
        raise ValueError(
            f"scores from {min(SCORES)} to {max(SCORES)}, or {NOT_SCORED} for a segment that was not scored"
        )
    scores = tuple(None if entry == NOT_SCORED else int(entry) for entry in entries)
    return scores if any(scores) else None
