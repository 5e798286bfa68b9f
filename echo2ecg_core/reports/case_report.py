"""One ECG as a PDF of three pages for a discussion: the tracing, the estimate with its evidence, similar hearts.

It holds what the ECG page shows and nothing that names the person or the file: the recording goes by its content hash.
Every page and the file's metadata carry model, weights, workspace, version and date.
"""

import io
from datetime import UTC, datetime
from pathlib import Path

from echo2ecg_core.answers.loaded_model import LoadedModel
from echo2ecg_core.answers.point_pictures import clip_to_show
from echo2ecg_core.answers.predict import Prediction, predict
from echo2ecg_core.answers.search import Filters, Hit, patient_of, search
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.echo.key_frames import key_frames
from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.figures.case_pages import MOST_HEARTS, Heart, ecg_page, estimate_page, hearts_page, observed_words
from echo2ecg_core.figures.export import RESEARCH_ONLY
from echo2ecg_core.figures.notation import THIN, number
from echo2ecg_core.reports.contents import fingerprint
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.rows import ClipRow
from echo2ecg_core.version import program_version

TITLE = "Echo2ECG Explorer: case report"
KEY_FRAME_WORDS = "ED is the frame at the R wave, ES the one where systole ends on average at that heart rate."


def case_report(
    record: EcgRecord,
    prediction: Prediction,
    workspace: Workspace,
    *,
    without_wander: bool = False,
    now: datetime | None = None,
) -> bytes:
    """The PDF.

    Args:
        record: The ECG.
        prediction: Of this ECG, by the model that the foot names.
        workspace: Where similar studies are looked for.
        without_wander: Draw the tracing without baseline wander, as the page may.
        now: When it is made; None: now.
    """
    import matplotlib
    from matplotlib.backends.backend_pdf import PdfPages

    foot = provenance(record, prediction.as_json(), workspace, now or datetime.now(UTC))
    pages, buffer = case_pages(record, prediction, workspace, foot, without_wander=without_wander), io.BytesIO()
    metadata = {"Title": TITLE, "Subject": " · ".join(foot), "CreationDate": None}
    with (
        matplotlib.rc_context({"pdf.fonttype": 42, "text.parse_math": False}),
        PdfPages(buffer, metadata=metadata) as pdf,
    ):
        for page in pages:
            pdf.savefig(page, facecolor=page.get_facecolor())
    return buffer.getvalue()


def write_case_report(out: Path, record: EcgRecord, model: LoadedModel, workspace: Workspace, insist: bool) -> None:
    """Predict the ECG and write its case report.

    Raises:
        StoreError: the file cannot be written.
    """
    content = case_report(record, predict(record, model, workspace, insist), workspace)
    try:
        write_atomically(out, content)
    except OSError as error:
        raise StoreError(f"The file {out.name} cannot be written ({error.strerror}).", "Name another.") from error


def case_pages(
    record: EcgRecord,
    prediction: Prediction,
    workspace: Workspace,
    foot: tuple[str, ...],
    *,
    without_wander: bool = False,
) -> tuple:
    """The three pages as matplotlib Figures, each with these lines at its foot."""
    report, (hearts, words) = prediction.as_json(), similar_hearts(record, prediction, workspace)
    return (
        ecg_page(record, _facts(record), foot, without_wander=without_wander),
        estimate_page(report, doubts(report), foot),
        hearts_page(hearts, words, foot),
    )


def provenance(record: EcgRecord, report: dict, workspace: Workspace, now: datetime) -> tuple[str, str]:
    """Two lines: what was read by what, and what it may be used for."""
    model = report["model"]
    synthetic = model["synthetic"] or report["ecg"].get("synthetic")
    where = fingerprint(workspace) if workspace.exists() else "none"
    return (
        f"Recording {record.content_hash[:12]} · model {model['name']} {model['id']}, weights {model['sha256'][:16]} · "
        f"workspace {where} · Echo2ECG Explorer {program_version()} · {now:%Y-%m-%d}",
        f"{'Synthetic: learnt from or made of simulated hearts. ' if synthetic else ''}{RESEARCH_ONLY}",
    )


def doubts(report: dict) -> list[str]:
    """What a reader has to know before the numbers: quality, outside the training data, what the file left open."""
    quality, outside = report["quality"], report.get("out_of_distribution") or {}
    words = [f"Signal quality: {quality['verdict']}.", quality.get("reason"), *quality.get("notes", ())]
    said = [" ".join(word for word in words if word), outside.get("message"), *report["ecg"].get("doubts", ())]
    notes = report["ecg"].get("notes", ())
    return [s for s in (*said, f"What was done in reading: {' '.join(notes)}" if notes else "") if s]


def similar_hearts(record: EcgRecord, prediction: Prediction, workspace: Workspace) -> tuple[list[Heart], str]:
    """The studies of other patients nearest to the ECG with their key frames, and what they are, or why there are
    none."""
    try:
        hits = search(prediction, workspace, MOST_HEARTS, Filters(not_patient=patient_of(record, workspace)))
    except Echo2ECGError as error:
        return [], f"No similar studies: {error}"
    words = (
        "The echo studies of other patients that lie nearest to this ECG in the space both share. Similarity is a "
        "cosine: it ranks, it is no probability. Values are measured in these studies, not predicted. "
        f"{KEY_FRAME_WORDS}"
    )
    return [_heart(hit, workspace) for hit in hits], words


def _heart(hit: Hit, workspace: Workspace) -> Heart:
    who = ", ".join(filter(None, (hit.sex, f"{number(hit.age_years)}{THIN}y" if hit.age_years is not None else "")))
    mark = ", synthetic" if hit.synthetic else ""
    title = (
        f"{hit.rank}. Study {hit.study_id}, similarity {number(hit.similarity, 2)}{f' ({who})' if who else ''}{mark}"
    )
    clip = clip_to_show(hit.clips)
    if clip is None:
        return Heart(title, observed_words(hit.phenotypes), None, "No pictures for this study.")
    try:
        found = key_frames(_read(clip, workspace))
    except Echo2ECGError as error:
        return Heart(title, observed_words(hit.phenotypes), None, str(error))
    caption = f"{clip.view or 'unnamed view'}, frames {found.diastole + 1} and {found.systole + 1} of {clip.n_frames}"
    pictures = (found.diastole_picture, found.systole_picture)
    return Heart(title, observed_words(hit.phenotypes), pictures, f"{caption}; ED {found.found}.")


def _read(row: ClipRow, workspace: Workspace):
    """The clip with the R waves that the catalog knows."""
    from dataclasses import replace

    from echo2ecg_core.echo.readers import read_clip

    clip = read_clip(Catalog(workspace).clip_content(row.clip_id), f"{row.clip_id}.mp4")
    return replace(clip, r_wave_times_s=row.r_wave_times_s, fps=row.fps)


def _facts(record: EcgRecord) -> str:
    age = f"{number(record.age_years)}{THIN}y" if record.age_years is not None else ""
    facts = (
        ", ".join(filter(None, (record.sex, age))) or "age and sex unknown",
        record.format,
        f"{number(record.duration_s, 1)}{THIN}s",
        f"{record.sampling_rate_hz:g}{THIN}Hz",
        f"derived: {', '.join(record.derived_leads)}" if record.derived_leads else "all leads recorded",
    )
    return " · ".join(facts)
