"""Ready models on a whole workspace: scores of every ECG, chances instead of scores, an encoder's vectors, readings of
clips.

Work is "ids that have none", saved as it grows, so that stop and start repeats nothing.
"""

import io
import json
from collections.abc import Iterable

import numpy as np
import pandas as pd

from echo2ecg_core.answers.machine_read import MARK, readings, readings_path
from echo2ecg_core.answers.second_readers import (
    CURVES_FILE,
    Person,
    SecondReader,
    load_reader,
    ready_cards,
    seven_numbers,
)
from echo2ecg_core.ecg.files import UNREADABLE
from echo2ecg_core.errors import Echo2ECGError, ModelError, StoreError
from echo2ecg_core.evaluation.finding_map import QUESTIONS
from echo2ecg_core.evaluation.recalibrate import recalibrated
from echo2ecg_core.intake.vectors_of_others import FOLDER, ImportedVectors, keep, read_kept
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry

SAVE_EVERY = 160
STARTS = 4  # four stretches of a video, as the authors; evenly placed, theirs are random


# ------------------------------------------------------------ scores of ECGs


def score_ecgs(
    workspace: Workspace, card: ModelCard, ecg_ids: Iterable[str], progress: Progress = silent
) -> dict[str, np.ndarray]:
    """Published outputs (n,) of ECGs by id; those that were scored before are not scored again, those that cannot be
    used are absent."""
    kept, reader, waiting = _kept_scores(workspace, card), None, list(dict.fromkeys(ecg_ids))
    wanted, waiting = waiting, [i for i in waiting if i not in kept]
    facts = _facts_of_ecgs(Catalog(workspace)) if waiting else {}
    for done, ecg_id in enumerate(waiting):
        reader = reader or load_reader(card)
        try:
            kept[ecg_id] = _score(Catalog(workspace), reader, ecg_id, facts.get(ecg_id, Person()))
        except Echo2ECGError:
            continue
        progress((done + 1) / len(waiting), f"{card.name} reads ECGs: {done + 1} of {len(waiting)}")
        if done % SAVE_EVERY == SAVE_EVERY - 1:
            _keep_scores(workspace, card, kept)
    if waiting:
        _keep_scores(workspace, card, kept)
    return {i: kept[i] for i in wanted if i in kept}


def _score(catalog: Catalog, reader: SecondReader, ecg_id: str, person: Person) -> np.ndarray:
    record = catalog.ecg_record(ecg_id)
    person = Person(
        record.sex if record.sex is not None else person.sex,
        record.age_years if record.age_years is not None else person.age_years,
    )
    numbers = seven_numbers(record, person) if reader.head.needs_numbers else {}
    return reader.scores(record, {name: n["value"] for name, n in numbers.items()})


def _facts_of_ecgs(catalog: Catalog) -> dict[str, Person]:
    """Sex and age of each ECG's person from the catalogue, for files without them."""
    table = catalog.labelled_ecgs()
    ages = dict(zip(table.ecg_id, table.age_years, strict=True)) if len(table) else {}
    known = {}
    for row in catalog.ecgs().itertuples():
        age = ages.get(row.ecg_id)
        sex = row.sex if row.sex in ("male", "female") else None
        known[row.ecg_id] = Person(sex, None if age is None or pd.isna(age) else float(age))
    return known


def _scores_path(workspace: Workspace, card: ModelCard):
    return workspace.folder / "second_readers" / f"{card.model_id}.npz"


def _kept_scores(workspace: Workspace, card: ModelCard) -> dict[str, np.ndarray]:
    try:
        with np.load(_scores_path(workspace, card), allow_pickle=False) as kept:
            return dict(zip(kept["ids"].tolist(), kept["scores"], strict=True))
    except (*UNREADABLE, KeyError):  # nothing there, or damaged: scored again
        return {}


def _keep_scores(workspace: Workspace, card: ModelCard, scores: dict[str, np.ndarray]) -> None:
    if not scores:
        return
    content = io.BytesIO()
    np.savez(content, ids=np.array(list(scores), dtype=str), scores=np.stack(list(scores.values())))
    write_atomically(_scores_path(workspace, card), content.getvalue())


# ----------------------------------------------------------------- recalibrate


def recalibrate(workspace: Workspace, model_id: str, progress: Progress = silent) -> str:
    """Make chances of a second reader's scores from the labelled ECGs here; returns a closing sentence.

    The curve of each finding, what it was fitted on, and how well score and chance are calibrated on test patients are
    kept beside the weights. A finding with too few patients keeps its score, with the reason.

    Raises:
        ModelError: the model reads no ECGs, or is no ready model.
        StoreError: the workspace has no labelled ECG.
    """
    card = ModelRegistry(workspace).get(model_id)
    reader = load_reader(card)
    if reader.head.reads != "ECG":
        raise ModelError(f"{card.name} reads {reader.head.reads}s, not ECGs: it has no scores of ECGs.")
    table = Catalog(workspace).labelled_ecgs()
    if table.empty:
        raise StoreError("The workspace holds no labelled ECG.", "Import an archive with labels first.")
    scores = score_ecgs(workspace, card, table.ecg_id, part(progress, 0.0, 0.9))
    table = table[table.ecg_id.isin(scores)].reset_index(drop=True)
    if table.empty:
        raise StoreError(f"{card.name} could read none of the labelled ECGs.", "Check that they are 10 s long.")
    matrix, found = np.stack([scores[i] for i in table.ecg_id]), {}
    columns = {output.name: i for i, output in enumerate(reader.head.outputs)}
    asked = [(q, name) for q in QUESTIONS.values() if (name := q.asked_by.get(reader.head.kind))]
    for done, (question, name) in enumerate(asked):
        progress(0.9 + 0.1 * done / len(asked), f"Recalibrating {question.label}")
        try:
            found[name] = {"question": question.name} | recalibrated(
                matrix[:, columns[name]].astype(float),
                question.target(table),
                table.patient_id.to_numpy(str),
                table.split.to_numpy(str),
            )
        except StoreError as error:
            found[name] = {"question": question.name, "reason": str(error)}
    write_atomically(card.folder / CURVES_FILE, json.dumps({"outputs": found}, indent=1).encode())
    made = [name for name, entry in found.items() if "curve" in entry]
    if made:
        return f"{card.name}: {len(made)} of {len(found)} findings are chances now; the others stay scores."
    why = next((entry["reason"] for entry in found.values()), "none of its outputs is a finding that is labelled here.")
    return f"{card.name}: all findings stay scores. {why}"


# ------------------------------------------------------------ encoder's vectors


def embed_as_encoder(workspace: Workspace, model_id: str, progress: Progress = silent) -> str:
    """Vectors of every ECG by a ready model that is an encoder, kept as an imported encoder: from now on every report
    has its row. Returns a closing sentence.

    Raises:
        ModelError: it is no encoder. StoreError: no ECG could be embedded.
    """
    import torch

    card = ModelRegistry(workspace).get(model_id)
    reader = load_reader(card)
    if reader.head.embed is None:
        raise ModelError(f"{card.name} is no encoder: it gives findings only.", "ECGFounder is one.")
    catalog, vectors = Catalog(workspace), _kept_vectors(workspace, reader.head.kind)
    ids = list(catalog.ecgs().ecg_id)
    for done, ecg_id in enumerate(ids):
        if ecg_id in vectors:
            continue
        record = catalog.ecg_record(ecg_id)
        try:
            windows = reader.head.prepare(record.signal_mv, record.sampling_rate_hz, {})[0]
        except Echo2ECGError:
            continue
        with torch.inference_mode():
            vectors[ecg_id] = reader.head.embed(reader.network, torch.from_numpy(windows[None]))[0].numpy()
        progress((done + 1) / len(ids), f"{card.name} embeds ECGs: {done + 1} of {len(ids)}")
    if not vectors:
        raise StoreError(f"{card.name} could embed none of the {len(ids)} ECGs.", "They have to last 5 s at least.")
    parameters = sum(p.numel() for p in reader.network.parameters())
    stated = {"parameters": parameters, "label": reader.head.name}
    of = ImportedVectors(f"{reader.head.kind}.npz", np.stack(list(vectors.values())), tuple(vectors), stated)
    keep(workspace, reader.head.kind, of)
    return f"{card.name} embedded {len(vectors)} of {len(ids)} ECGs; the next reports have its row."


def _kept_vectors(workspace: Workspace, kind: str) -> dict[str, np.ndarray]:
    path = workspace.folder / FOLDER / f"{kind}.npz"
    try:
        kept = read_kept(path) if path.is_file() else None
    except StoreError:  # damaged: made again
        return {}
    return {} if kept is None else dict(zip(kept.ids, kept.matrix, strict=True))


# ------------------------------------------------------------- readings of clips


def machine_read(workspace: Workspace, model_id: str, *, all_studies: bool = False, progress: Progress = silent) -> str:
    """Read the clips of studies without any measured phenotype (or of all); returns a closing sentence.

    A study's outputs are means over its videos, a video's over four stretches of it. They are kept apart from measured
    values and marked as machine-read.

    Raises:
        ModelError: the model reads no clips.
    """
    card = ModelRegistry(workspace).get(model_id)
    reader = load_reader(card)
    if reader.head.reads != "clip":
        raise ModelError(f"{card.name} reads {reader.head.reads}s, not clips.", "PanEcho reads clips.")
    _to_accelerator(reader.network)
    catalog, done = Catalog(workspace), readings(workspace, card.model_id)
    clips = catalog.clips()
    clips = clips[clips.encoder.isna()]
    wanted = set(clips.study_id) if all_studies else set(clips.study_id) & _unmeasured(catalog)
    waiting = sorted(wanted - done.keys())
    for i, study_id in enumerate(waiting):
        progress(i / len(waiting), f"{card.name} reads studies: {i} of {len(waiting)}")
        videos = []
        for clip_id in clips.clip_id[clips.study_id == study_id]:
            try:
                videos.append(_read_video(catalog, reader, clip_id))
            except Echo2ECGError:
                continue
        if videos:
            outputs = np.mean(videos, axis=0)
            names = [output.name for output in reader.head.outputs]
            told = {name: round(float(v), 5) for name, v in zip(names, outputs, strict=True)}
            done[study_id] = {"clips": len(videos), "outputs": told}
            content = {"model": reader.head.name, "mark": MARK, "studies": done}
            write_atomically(readings_path(workspace, card.model_id), json.dumps(content).encode())
    kind = "studies" if all_studies else "studies without a measured value"
    return f"{card.name} has read {len(wanted & done.keys())} of {len(wanted)} {kind}; the values are machine-read."


def starts_of(n_frames: int, window: int = 16) -> list[int]:
    """First frames of the stretches of a video that are read, evenly placed."""
    return sorted({int(s) for s in np.linspace(0, max(0, n_frames - window), STARTS)})


def _read_video(catalog: Catalog, reader: SecondReader, clip_id: str) -> np.ndarray:
    """Published outputs (n,) of one video: raw outputs averaged over its stretches, then told."""
    from echo2ecg_core.echo.readers import read_clip
    from echo2ecg_core.models.ready_heads import raw_answers

    frames = read_clip(catalog.clip_path(clip_id)).frames
    batch = np.stack([reader.head.prepare(frames[start:])[0] for start in starts_of(len(frames))])
    raw = raw_answers(reader.head, reader.network, batch)  # (stretches, n)
    return reader.head.told(raw.mean(dim=0, keepdim=True))[0].numpy()


def _unmeasured(catalog: Catalog) -> set[str]:
    from echo2ecg_core.phenotypes import PHENOTYPES

    table = catalog.studies()
    measured = [name for name in PHENOTYPES if name in table]
    return set(table.study_id[table[measured].isna().all(axis=1)])


def _to_accelerator(network) -> None:
    import torch

    if torch.cuda.is_available():
        network.to("cuda")


# ---------------------------------------------------------------------- removing


def forget(workspace: Workspace, ecg_ids: Iterable[str], study_ids: Iterable[str]) -> None:
    """Take everything that ready models kept of these ECGs and studies out: scores, vectors, readings.

    For whoever removes patients from the workspace; what is not there is passed over.
    """
    ecgs, studies = set(ecg_ids), set(study_ids)
    for card in ready_cards(workspace):
        scores, read = _kept_scores(workspace, card), readings(workspace, card.model_id)
        if ecgs & scores.keys():
            _scores_path(workspace, card).unlink()
            _keep_scores(workspace, card, {i: v for i, v in scores.items() if i not in ecgs})
        if studies & read.keys():
            content = {"model": card.name, "mark": MARK, "studies": {i: v for i, v in read.items() if i not in studies}}
            write_atomically(readings_path(workspace, card.model_id), json.dumps(content).encode())
    for path in sorted((workspace.folder / FOLDER).glob("*.npz")):
        try:
            kept = read_kept(path)
        except StoreError:  # damaged: nobody can tell whose vectors are in it
            path.unlink()
            continue
        rows = [row for row, ecg_id in enumerate(kept.ids) if ecg_id not in ecgs]
        if len(rows) == len(kept.ids):
            continue
        path.unlink()
        if rows:
            ids = tuple(kept.ids[row] for row in rows)
            keep(workspace, path.stem, ImportedVectors(kept.source, kept.matrix[rows], ids, kept.stated))
