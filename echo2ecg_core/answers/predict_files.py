"""Many ECG files: found, read, predicted in batches; a bad one is a row with its reason, not an end."""

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from echo2ecg_core.answers.combined import Combinations, combinations, combined
from echo2ecg_core.answers.loaded_model import LoadedModel
from echo2ecg_core.answers.predict import Prediction, predict_batch
from echo2ecg_core.answers.second_readers import SecondReader, chances_of, load_readers, person_of, read_beside
from echo2ecg_core.ecg.measure import unsure
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError, ReadError
from echo2ecg_core.phenotypes import PHENOTYPES, grade_word
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.database import Workspace

BATCH = 32
MEASURED = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_fridericia_ms", "axis_deg")


def ecg_files(paths: list[Path]) -> list[Path]:
    """The ECG files that paths, folders and patterns stand for; of a WFDB record only the header.

    Raises:
        ReadError: a folder or pattern holds no file.
    """
    found = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        elif glob.has_magic(str(path)) and not path.exists():
            inside = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
        else:
            found.append(path)
            continue
        if not inside:
            raise ReadError(
                f"{path.name} holds no file.", "Name a file, a folder with ECGs, or a pattern such as 'ecgs/*.dcm'."
            )
        headers = {p.with_suffix("") for p in inside if p.suffix == ".hea"}
        found += [p for p in inside if p.suffix == ".hea" or p.with_suffix("") not in headers]
    return found


def predict_files(
    files: list[Path],
    load_model: Callable[[], LoadedModel],
    workspace: Workspace,
    *,
    insist: bool = False,
    sampling_rate_hz: float | None = None,
    sex: str | None = None,
    age_years: float | None = None,
    unit: str | None = None,
    lead_order: str | None = None,
    progress: Progress = silent,
) -> Iterator[dict]:
    """Reports in the order of the files; {"ecg": {"source"}, "error"} for one that cannot be read or used.

    Args:
        files: Paths of single files.
        load_model: Called at the first readable ECG only, so that bad input touches nothing.
        workspace: Where labelled neighbours are looked up.
        insist, sampling_rate_hz, unit, lead_order: As in `predict` and `read_ecg`.
        sex, age_years: Of the person, for second readers, where a file does not tell them.
        progress: Told the share that is done.
    """
    from echo2ecg_core.ecg.channels import lead_order_of
    from echo2ecg_core.ecg.readers import read_ecg
    from echo2ecg_core.ecg.units import needed_factor

    if sex not in (None, "male", "female"):
        raise ReadError(f"The sex has to be male or female, found {sex!r}.", "Leave --sex out where it is not known.")
    lead_order_of(lead_order)  # what cannot be used is told once, not for every file
    if unit:
        needed_factor(unit)
    model, readers, mixes = None, [], Combinations()
    for start in range(0, len(files), BATCH):
        batch: list[EcgRecord | dict] = []
        for path in files[start : start + BATCH]:
            try:
                batch.append(read_ecg(path, None, sampling_rate_hz, unit, lead_order))
            except Echo2ECGError as error:
                batch.append({"ecg": {"source": path.name}, "error": str(error)})
        if model is None and any(isinstance(item, EcgRecord) for item in batch):
            model, readers = load_model(), load_readers(workspace)
            mixes = combinations(workspace, model.card) if readers else mixes
        beside = _Beside(readers, model, mixes, sex, age_years)
        yield from _reports(batch, model, workspace, insist, beside)
        progress(min(1.0, (start + BATCH) / len(files)), f"{min(start + BATCH, len(files))} of {len(files)} ECGs")


@dataclass(frozen=True)
class _Beside:
    """Puts what second readers say into a report."""

    readers: list[SecondReader]
    model: LoadedModel | None
    mixes: Combinations
    sex: str | None
    age_years: float | None

    def __call__(self, record: EcgRecord, prediction: Prediction) -> dict:
        report = prediction.as_json()
        ours = chances_of(report, prediction.embedding, self.model) if self.readers else {}
        beside = read_beside(
            record,
            self.readers,
            person=person_of(record, self.sex, self.age_years),
            our_chances=ours,
            unusable=report["quality"]["verdict"] == "unusable",
        )
        mixed = combined(self.mixes, self.model.card, ours, beside) if self.model and beside else []
        return report | {"second_readers": beside, "combined": mixed}


def _reports(
    batch: list[EcgRecord | dict], model: LoadedModel | None, workspace: Workspace, insist: bool, beside: _Beside
) -> list[dict]:
    records = [item for item in batch if isinstance(item, EcgRecord)]
    if not records:
        return [item for item in batch if isinstance(item, dict)]
    assert model is not None, "loaded with the first ECG"
    try:
        found = predict_batch(records, model, workspace, insist)
        done = iter([beside(record, p) for record, p in zip(records, found, strict=True)])
        return [next(done) if isinstance(item, EcgRecord) else item for item in batch]
    except Echo2ECGError:  # one of them cannot be used: find out which, one by one
        return [_one(item, model, workspace, insist, beside) if isinstance(item, EcgRecord) else item for item in batch]


def _one(record: EcgRecord, model: LoadedModel, workspace: Workspace, insist: bool, beside: _Beside) -> dict:
    try:
        return beside(record, predict_batch([record], model, workspace, insist)[0])
    except Echo2ECGError as error:
        return {"ecg": {"source": record.source}, "error": str(error)}


def as_row(report: dict) -> dict:
    """A report as one row of a table: facts, measurements, verdicts, each phenotype with its interval."""
    outside = report.get("out_of_distribution") or {}
    row = {
        "source": report["ecg"]["source"],
        "error": report.get("error"),
        "format": report["ecg"].get("format"),
        "sampling_rate_hz": report["ecg"].get("sampling_rate_hz"),
        "duration_s": report["ecg"].get("duration_s"),
        **{name: report.get("measurements", {}).get(name) for name in MEASURED},
        "low_confidence": " ".join(name for name in unsure(report.get("measurements", {})) if name in MEASURED) or None,
        "quality": report.get("quality", {}).get("verdict"),
        "quality_reason": report.get("quality", {}).get("reason"),
        "quality_notes": " ".join(report.get("quality", {}).get("notes", ())),
        "not_settled": " ".join(report["ecg"].get("doubts", ())),
        "reading_notes": " ".join(report["ecg"].get("notes", ())),
        "outside_training": outside.get("flag"),
        "outside_percentile": outside.get("percentile"),
        "outside_because": " and ".join(outside.get("because", [])) or None,
    }
    found = {entry["name"]: entry for entry in report.get("phenotypes", [])}
    for name, phenotype in PHENOTYPES.items():
        entry = found.get(name, {})
        low, high = entry.get("interval") or (None, None)
        if phenotype.kind == "grade":
            words = [None if end is None else grade_word(end) for end in (low, high)]
            row |= {f"{name}_moderate_or_worse": entry.get("value"), f"{name}_low": words[0], f"{name}_high": words[1]}
        else:
            row |= {name: entry.get("value"), f"{name}_low": low, f"{name}_high": high}
    missing = sorted({why for entry in found.values() if (why := entry.get("interval_reason"))})
    return row | {
        "no_interval_reason": " ".join(missing) or None,
        "model": report.get("model", {}).get("id"),
        "synthetic_model": report.get("model", {}).get("synthetic"),
    }
