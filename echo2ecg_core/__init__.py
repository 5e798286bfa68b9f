"""The Python API: what pages and terminal do, for notebooks and scripts.

Importing this costs nothing; torch and the rest are loaded by the first call that needs them. Every error a person can
mend is an `Echo2ECGError` whose text says what was found, what was expected and what to do.

Example:
    ```python
    import echo2ecg_core as e2e

    place = e2e.open_workspace("my-workspace")
    record = e2e.read_ecg("recording.dcm")
    prediction = e2e.predict(record, place)
    hits = e2e.search(prediction, place, k=10)
    ```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from echo2ecg_core.errors import Echo2ECGError

if TYPE_CHECKING:
    from echo2ecg_core.answers.loaded_model import LoadedModel
    from echo2ecg_core.answers.predict import Prediction
    from echo2ecg_core.answers.search import Hit
    from echo2ecg_core.ecg.record import EcgRecord
    from echo2ecg_core.intake.ingest import IngestReport
    from echo2ecg_core.store.database import Workspace

__all__ = [
    "Echo2ECGError", "embed", "evaluate", "import_archive", "open_workspace", "predict", "predict_many", "read_ecg",
    "search", "write_phantoms", "write_report",
]  # fmt: skip


def read_ecg(
    source: str | Path | bytes | Mapping[str, bytes],
    name: str | None = None,
    sampling_rate_hz: float | None = None,
    unit: str | None = None,
    lead_order: str | Sequence[str] | None = None,
) -> EcgRecord:
    """The ECG in a file, recognised by its content.

    Args:
        source: Path of a file (of a WFDB record the header or a signal file), bytes, or several files by name.
        name: File name of bytes, kept as the record's `source`.
        sampling_rate_hz: For files that do not hold their rate.
        unit: Unit of the values ("mV", "µV", "4.88 µV" for a count), for files that do not say it.
        lead_order: Lead of each column ("I,II,III,aVR,aVL,aVF,V1-V6"), for files that do not say it.

    Returns:
        A record with `signal_mv` (12, n), `sampling_rate_hz`, `leads`, `format` and `notes`: what was derived, assumed
        or cropped.

    Raises:
        Echo2ECGError: it is no ECG, damaged, lacks leads, or does not say its sampling rate.
    """
    from echo2ecg_core.ecg.readers import read_ecg as read

    return read(source, name, sampling_rate_hz, unit, lead_order)


def open_workspace(folder: str | Path | None = None) -> Workspace:
    """A workspace with an active model; an empty or new folder gets the demo model that ships with the program.

    Args:
        folder: Where it lies. None: ECHO2ECG_WORKSPACE, else `workspace/` beside app.py in a checkout or
            `~/echo2ecg/workspace` where the program was installed by pip.

    Raises:
        StoreError: the folder cannot be written, or was made by a newer version.
    """
    from echo2ecg_core.intake.demo import open_workspace as open_with_model
    from echo2ecg_core.settings import settings
    from echo2ecg_core.store.database import Workspace

    place = Workspace(settings().workspace if folder is None else folder)
    open_with_model(place)
    return place


def predict(record: EcgRecord, workspace: Workspace | None = None, *, insist: bool = False) -> Prediction:
    """Measurements, quality and phenotypes of one ECG by the active model.

    Args:
        record: From `read_ecg`.
        workspace: From `open_workspace`; None opens the default one.
        insist: Predict although the signal quality is unusable.

    Returns:
        A prediction: `.report` holds the document that `predict --json` prints, less the second readers: `phenotypes`
        with value, interval and reference range, `quality`, `measurements`, `neighbours`, `out_of_distribution`;
        `.embedding` (192,) and `.aligned` (512,), None where nothing was predicted.

    Raises:
        SignalError: the recording is shorter than the model's window.
        ModelError: weights or readouts are missing or damaged.
    """
    return predict_many([record], workspace, insist=insist)[0]


def predict_many(
    records: Sequence[EcgRecord], workspace: Workspace | None = None, *, insist: bool = False
) -> list[Prediction]:
    """`predict` of several ECGs, embedded together; a prediction for each, in order."""
    from echo2ecg_core.answers.predict import predict_batch

    place = workspace or open_workspace()
    return predict_batch(list(records), _active_model(place), place, insist)


def search(ecg: EcgRecord | Prediction, workspace: Workspace | None = None, k: int = 10) -> list[Hit]:
    """The k echo studies nearest to an ECG, best first, by cosine in the space both share.

    Args:
        ecg: A record, or what `predict` said of it.
        workspace: From `open_workspace`; None opens the default one.
        k: How many.

    Returns:
        Hits with `study_id`, `similarity`, measured `phenotypes` and `clips`.

    Raises:
        SignalError: nothing was predicted from this ECG.
        StoreError: no study has a vector yet.
        ModelError: the active model shares no space with studies.
    """
    from echo2ecg_core.answers.predict import Prediction
    from echo2ecg_core.answers.search import search as nearest_studies

    place = workspace or open_workspace()
    return nearest_studies(ecg if isinstance(ecg, Prediction) else predict(ecg, place), place, k)


def import_archive(folder: str | Path, workspace: Workspace | None = None, *, cohort: str = "Imported") -> IngestReport:
    """Read a folder of ECGs, echo clips and labels into a workspace; what is there already is not read again.

    Args:
        folder: With `labels.csv`, `ecgs.csv` and clips under `echo/PATIENT/STUDY/`.
        workspace: From `open_workspace`; None opens the default one.
        cohort: The name its patients go by.

    Returns:
        How many `ecgs`, `studies` and `clips` were added, and what was `refused`, with the reason.

    Raises:
        StoreError: a table is missing, lacks a column or holds a label that cannot be.
    """
    from echo2ecg_core.intake.ingest import ingest

    return ingest(Path(folder), workspace or open_workspace(), cohort=cohort)


def embed(workspace: Workspace | None = None) -> list[dict]:
    """Make the vectors that ECGs, clips and studies still lack for the active model.

    Returns:
        The ECGs that could not be embedded: `ecg_id` and `reason`.
    """
    from echo2ecg_core.answers.embed import embed_workspace
    from echo2ecg_core.answers.loaded_model import active_model_card

    place = workspace or open_workspace()
    return embed_workspace(place, active_model_card(place))


def evaluate(
    workspace: Workspace | None = None,
    model_id: str | None = None,
    *,
    cohorts: Sequence[str] | None = None,
    split: str = "test",
    vectors: Mapping[str, str | Path] | None = None,
) -> dict:
    """Judge a model on the labelled patients of a workspace, beside a random network, hand-made features and others.

    Args:
        workspace: From `open_workspace`; None opens the default one.
        model_id: Of a registered model, or the beginning of one id; None: the active one.
        cohorts: Judge only patients of these cohorts.
        split: "test" or "validation".
        vectors: Name -> .npy file of another encoder's vectors (n, width) of ECGs of the workspace, their ids one a
            line in `FILE.ids.txt` beside it.

    Returns:
        The report, as `evaluate --json` prints it: `rows` (an encoder and readout each, with the scores of every task
        and their 95 % intervals), `differences`, `subgroups`, `retrieval`, `intervals`, `leakage`. It is kept in the
        workspace for the Report page and `write_report`.

    Raises:
        StoreError: too few labelled ECGs, an unknown cohort, or vectors that do not fit.
        ModelError: no such model, or it has no ECG encoder.
    """
    from echo2ecg_core.answers.loaded_model import active_model_card
    from echo2ecg_core.reports.compare import judge
    from echo2ecg_core.reports.evaluate import Scope

    place = workspace or open_workspace()
    files = {name: Path(path) for name, path in (vectors or {}).items()}
    return judge(place, model_id or active_model_card(place).model_id, Scope(cohorts, split, vectors=files))


def write_report(
    out: str | Path, workspace: Workspace | None = None, model_id: str | None = None, *, split: str = "test"
) -> Path:
    """Write the evaluation of a model for a paper: one HTML file, tables (CSV, LaTeX), figures (SVG, PDF, PNG).

    Returns:
        The path of `report.html` in the folder `out`.

    Raises:
        StoreError: the model was not evaluated yet, or the folder cannot be written.
    """
    from echo2ecg_core.reports.folder import load_report, write_report_folder
    from echo2ecg_core.store.model_registry import ModelRegistry

    place = workspace or open_workspace()
    registry = ModelRegistry(place)
    card = registry.get(model_id) if model_id else registry.active()
    return write_report_folder(load_report(place, card.model_id, split), Path(out))


def write_phantoms(out: str | Path, patients: int = 20, seed: int = 1, *, ecg_only: bool = False) -> Path:
    """Write simulated patients as real files in the layout that `import_archive` reads; returns the folder.

    Args:
        out: Folder to write; what is there already is kept.
        patients: How many.
        seed: The same seed gives the same hearts.
        ecg_only: Leave the echo clips out.
    """
    from echo2ecg_core.phantom.cohort import write_cohort

    return write_cohort(Path(out), patients, seed, ecg_only=ecg_only)


def _active_model(place: Workspace) -> LoadedModel:
    from echo2ecg_core.answers.loaded_model import active_model_card

    return _loaded(place.folder, active_model_card(place).model_id)


@lru_cache(maxsize=2)
def _loaded(folder: Path, model_id: str) -> LoadedModel:
    """The networks of one model of one workspace, by their id: a promotion never answers with the model before."""
    from echo2ecg_core.answers.loaded_model import load_model
    from echo2ecg_core.store.database import Workspace
    from echo2ecg_core.store.model_registry import ModelRegistry

    return load_model(ModelRegistry(Workspace(folder)).get(model_id))
