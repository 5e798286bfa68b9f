"""What a registered model can do and what it still lacks before it may answer in this workspace; imports no torch.

A model is ready when it has readouts, a vector of every ECG made from inputs as its spec says, a map and, where it
shares a space with them, a vector of every study. ECGs and clips that were tried in vain do not count as missing.
"""

import json
from dataclasses import dataclass

from echo2ecg_core.answers.loaded_model import ABSENT, input_text, spec_of
from echo2ecg_core.answers.maps import map_exists, map_is_due
from echo2ecg_core.counts import counted
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.figures.notation import held_times
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.corrections import made_older_by
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, clip_vectors_id
from echo2ecg_core.store.paths import READOUTS_FILE, refused_path, report_path
from echo2ecg_core.store.vectors import VectorSet, load_vectors

SECOND_READER = "a second reader, which stands beside the active model and is never active itself"


@dataclass(frozen=True)
class Readiness:
    """One model in one workspace.

    Attributes:
        lacks: What its weights do not hold and no preparing can add, in words.
        missing: What has to be made first, in words.
        readouts, vectors, map, report: What is there and complete.
    """

    lacks: tuple[str, ...]
    missing: tuple[str, ...]
    readouts: bool
    vectors: bool
    map: bool
    report: bool

    @property
    def is_ready(self) -> bool:
        """True when the model may become active."""
        return not self.lacks and not self.missing


def readiness(workspace: Workspace, card: ModelCard) -> Readiness:
    """What a model lacks.

    Raises:
        ModelError: its manifest is missing or damaged.
    """
    manifest = card.manifest()
    lacks = _lacks(manifest)
    readouts = (card.folder / READOUTS_FILE).is_file()
    absent = () if lacks else _absent_vectors(workspace, card, spec_of(card))
    drawn = map_exists(workspace, card.model_id)
    needs_map = map_is_due(workspace, card) and not drawn
    missing = (*([] if readouts else ["no readouts yet"]), *absent, *(["no map"] if needs_map else []))
    report = report_path(workspace, card.model_id).is_file()
    return Readiness(lacks, missing, readouts, not lacks and not absent, drawn, report)


def abilities(card: ModelCard) -> str:
    """What a model can do, in words: "Phenotypes, similar studies and map"."""
    if ready := card.manifest().get("ready"):
        return ready["can"]
    if _lacks(card.manifest()):
        return "Echo side only: embeds clips"
    return "Phenotypes, similar studies, map" if spec_of(card).shares_space else "Phenotypes, map of ECGs"


def worth(workspace: Workspace, card: ModelCard) -> tuple[str, ...]:
    """What a model is worth, in sentences: LVEF against the median, finding studies against chance, its report.

    Read from the report where there is one, else from what its manifest tells of test patients.
    """
    manifest, report = card.manifest(), _report(workspace, card)
    found = [_lvef_worth(manifest), *_interval_worth(manifest)]
    if not _lacks(manifest) and spec_of(card).shares_space:
        found.append(_retrieval_worth(manifest, report))
    if older := older_readouts(workspace, card):
        found.append(f"Older readouts: {older[0].lower()}{older[1:]}")
    if report is None:
        found.append("No report yet: evaluate it to see it beside other encoders.")
    return tuple(found)


def older_readouts(workspace: Workspace, card: ModelCard) -> str:
    """What was corrected or taken out since the readouts of a model were fitted here, in one sentence; "" where
    nothing was, or where they do not rest on this workspace."""
    moment = (card.manifest().get("readouts") or {}).get("labels_as_of")
    changed = made_older_by(workspace, moment) if moment else ""
    return f"{changed} Prepare the model to fit them again." if changed else ""


def _report(workspace: Workspace, card: ModelCard) -> dict | None:
    try:
        return json.loads(report_path(workspace, card.model_id).read_bytes())
    except (OSError, ValueError):
        return None


def _lvef_worth(manifest: dict) -> str:
    tested = manifest.get("test", {})
    entry = tested.get("phenotypes", {}).get("lvef", {})
    error, guess = entry.get("mae"), entry.get("median_mae")
    if error is None or guess is None:
        return "LVEF: not measured on test patients."
    low, high = entry.get("mae_interval") or (error, error)
    verdict = "" if high < guess else ", so it tells no more than that"
    patients = counted(tested["patients"], "test patient") if tested.get("patients") else "test patients"
    return (
        f"LVEF: mean error {error:.1f} points ({low:.1f} to {high:.1f}) on {patients}; "
        f"the median of all is off by {guess:.1f}{verdict}."
    )


def _interval_worth(manifest: dict) -> list[str]:
    n = manifest.get("readouts", {}).get("calibration_ecgs")
    lvef = manifest.get("test", {}).get("phenotypes", {}).get("lvef", {})
    if n is not None and lvef and lvef.get("coverage") is None:
        return [f"Intervals: none, {n} calibration ECGs are too few."]
    if lvef.get("coverage") is None:
        return []
    of_disease = lvef.get("coverage_disease")
    ill = ""
    if of_disease is not None:
        times = held_times(of_disease, lvef.get("coverage_disease_interval"), lvef.get("disease_ecgs"))
        ill = f"; where {lvef['disease']}, {times}"
    return [f"Intervals: those of LVEF held {held_times(lvef['coverage'], lvef.get('coverage_interval'))}{ill}."]


def _retrieval_worth(manifest: dict, report: dict | None) -> str:
    found = (report or {}).get("retrieval") or {}
    told = manifest.get("test", {}).get("retrieval", {})
    recall = found.get("ecg_to_study", {}).get("recall@10", told.get("recall@10"))
    studies = found.get("candidates", told.get("studies"))
    if recall is None or not studies:
        return "Similar studies: not measured on test patients."
    chance = min(1.0, 10 / studies)
    by_chance = "less than 1" if chance < 0.01 else f"{100 * chance:.0f}"
    verdict = "" if recall > chance else ", so it is no better than chance"
    return (
        f"Similar studies: an ECG's own study is among the first ten in {100 * recall:.0f} of 100 test ECGs; by chance "
        f"in {by_chance} ({counted(studies, 'study', 'studies')}){verdict}."
    )


def _lacks(manifest: dict) -> tuple[str, ...]:
    if "ready" in manifest:
        return (SECOND_READER,)
    has_towers = "echo2ecg" in manifest.get("weights", {})
    return () if has_towers and "ecg" in ModelSpec.from_dict(manifest.get("spec", {})).parts else (ABSENT["ecg"],)


def _absent_vectors(workspace: Workspace, card: ModelCard, spec: ModelSpec) -> tuple[str, ...]:
    catalog, found = Catalog(workspace), []
    encoder_id = clip_vectors_id(card.manifest())
    clips = catalog.clips()
    clips = clips[~clips.clip_id.isin(_refused(workspace, encoder_id, "clip"))]
    ecg_ids, study_ids = set(catalog.ecgs().ecg_id), set(clips.study_id)
    ecgs, aligned, studies = (
        _stored(workspace, kind, card.model_id) for kind in ("ecg", "ecg_aligned", "study_aligned")
    )
    if not spec.shares_space:
        aligned, study_ids = ecgs, set()
    if ecgs and ecgs.input != input_text(spec):
        found.append(
            f"vectors of ECGs that were prepared otherwise ({_words(ecgs.input)}) than now ({_words(input_text(spec))})"
        )
    else:
        without = ecg_ids - set(ecgs.ids).intersection(aligned.ids) - _refused(workspace, card.model_id)
        found += [f"no vectors of {len(without):,} of {len(ecg_ids):,} ECGs"] if without else []
    without = study_ids - set(studies.ids)
    found += [f"no vectors of {len(without):,} of {len(study_ids):,} studies"] if without else []
    return tuple(found)


def _stored(workspace: Workspace, kind: str, model_id: str) -> VectorSet:
    """The stored vectors; a damaged file counts as none, because preparing makes it again."""
    try:
        return load_vectors(workspace.vectors, kind, model_id)
    except Echo2ECGError:
        return load_vectors(workspace.vectors / "none", kind, model_id)


def _refused(workspace: Workspace, model_id: str, what: str = "ecg") -> set[str]:
    try:
        return {row[f"{what}_id"] for row in json.loads(refused_path(workspace, model_id, what).read_text())}
    except (OSError, ValueError):
        return set()


def _words(text: str) -> str:
    """An input in words: "400 Hz, cleaned before resampling, first window, cleaning 2"."""
    if not text:
        return "not recorded how"
    spec = json.loads(text)
    order = "cleaned before resampling" if spec["order"] == "clean_then_resample" else "resampled before cleaning"
    windows = "first window" if spec["windows"] == "first" else "all windows"
    return f"{spec['sampling_rate_hz']:g} Hz, {order}, {windows}, cleaning {spec.get('cleaning', 1)}"
