"""The frozen clip encoder of a training: that of a registered model, or a new one trained on the training patients of a
phantom cohort.

A workspace that is trained on gets the clip vectors it lacks here, so that an ECG encoder without an echo side can be
aligned with the clip encoder of any registered model.
"""

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.models.specs import ClipEncoderSpec
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry, clip_vectors_id
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.training.settings import TrainingSettings

PATIENTS = 2000  # of the cohort; enough for this small network
CHOSEN_FILE = "clip_encoder.txt"  # of a run: the id of the model whose clip encoder it began with


def new_clip_encoder(settings: TrainingSettings, folder: Path, progress: Progress = silent, parameters=None):
    """The trained `PhantomVideoNet`, or the one that an earlier, stopped run made.

    Args:
        settings: TrainingSettings with a phantom cohort.
        folder: Of the run.
        progress: Told share and message.
        parameters: `ClipTraining`; None: the defaults.
    """
    import torch

    from echo2ecg_core.models.echo_encoder import PhantomVideoNet
    from echo2ecg_core.training.clip_encoder import ClipTraining, train_clip_encoder
    from echo2ecg_core.training.phantom_data import prepare_cohort

    kept = folder / "clip_encoder.pt"
    network = PhantomVideoNet()
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval()
    data = prepare_cohort(
        min(PATIENTS, settings.patients),
        settings.cohort_seed,
        settings.spec.ecg_input,
        folder / "clips",
        version=settings.phantom,
        progress=progress,
    )
    study = data.clips.study_id.astype("category").cat.codes.to_numpy().astype(np.int64)
    rows = np.flatnonzero(data.clips.study_id.isin(data.studies.study_id[data.studies.split == "train"]))
    parameters = parameters or ClipTraining()
    network = train_clip_encoder(
        data.clip_data[rows],
        data.clips.view.to_numpy()[rows].astype(np.int64),
        study[rows],
        parameters,
        lambda m: progress(
            m["epoch"] / parameters.epochs,
            f"Clip encoder, epoch {m['epoch']}: views named right {m['view_accuracy']:.0%}",
        ),
    )
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    write_atomically(kept, content.getvalue())  # a half of it would be taken for the encoder at the next start
    return network


def chosen_clip_encoder(workspace: Workspace, settings: TrainingSettings, folder: Path, progress: Progress = silent):
    """The frozen clip encoder of a training, and the settings with its spec and its model's id; the clips of a
    workspace that is trained on get the vectors that they lack.

    Where the workspace holds the vectors of a clip encoder that is no model here, the encoder is None.

    Raises:
        Echo2ECGError: there is no such clip encoder.
    """
    from echo2ecg_core.answers.embed import embed_clips, keep_given_vectors
    from echo2ecg_core.answers.loaded_model import LoadedModel
    from echo2ecg_core.models.checkpoint import load_checkpoint

    if settings.clip_encoder == "new":
        return new_clip_encoder(settings, folder, progress), settings
    if name := vectors_without_encoder(workspace, _of_run(settings, folder)):
        write_atomically(folder / CHOSEN_FILE, name.encode())
        keep_given_vectors(workspace, name)
        dim = load_vectors(workspace.vectors, "clip", name).dim
        study = replace(settings.spec.study, clip_dim=dim)
        spec = replace(settings.spec, clip_encoder=ClipEncoderSpec(dim=dim), study=study)
        return None, replace(settings, clip_encoder=name, spec=spec)
    card = _card_of_run(workspace, settings, folder)
    found = load_checkpoint(card.folder)
    if not settings.patients:
        embed_clips(
            workspace,
            LoadedModel(card, None, found.clip_encoder, found.view_classifier, found.spec, None, found.manifest),
            progress,
        )
    return found.clip_encoder, replace(
        settings, clip_encoder=card.model_id, spec=replace(settings.spec, clip_encoder=found.spec.clip_encoder)
    )


def _of_run(settings: TrainingSettings, folder: Path) -> TrainingSettings:
    """The settings with the clip encoder that a run began with, where it began before."""
    kept = folder / CHOSEN_FILE
    return replace(settings, clip_encoder=kept.read_text()) if kept.exists() else settings


def vectors_without_encoder(workspace: Workspace, settings: TrainingSettings) -> str | None:
    """The name of the clip encoder whose stored vectors are trained on, where no model of this workspace is that
    encoder: the one that is named, or where all clips are vectors of one that; None: a model's."""
    if settings.patients:
        return None
    encoders, clips = set(), Catalog(workspace).clips().encoder
    names = set(clips.dropna())
    for card in ModelRegistry(workspace).models():
        with suppress(ModelError):  # a damaged model is no clip encoder
            if "clip_encoder" in card.manifest().get("weights", {}):
                encoders.add(clip_vectors_id(card.manifest()))
    names -= encoders
    if settings.clip_encoder in names:
        return settings.clip_encoder
    is_only = settings.clip_encoder == "active" and len(names) == 1 and clips.isin(names).all()
    return names.pop() if is_only else None


def clip_vectors_of(workspace: Workspace, settings: TrainingSettings) -> str:
    """Whose clip vectors of the workspace a training reads.

    Raises:
        Echo2ECGError: as `clip_encoder_card`.
    """
    name = vectors_without_encoder(workspace, settings)
    return name or clip_vectors_id(clip_encoder_card(workspace, settings).manifest())


def _card_of_run(workspace: Workspace, settings: TrainingSettings, folder: Path) -> ModelCard:
    """The model whose clip encoder a run began with; chosen at the first start, since another one may be active at the
    next."""
    kept = folder / CHOSEN_FILE
    if not kept.exists():
        card = clip_encoder_card(workspace, settings)
        write_atomically(kept, card.model_id.encode())
        return card
    model_id = kept.read_text()
    try:
        return clip_encoder_card(workspace, replace(settings, clip_encoder=model_id))
    except Echo2ECGError as error:
        raise Echo2ECGError(
            f"{folder.name} began with the clip encoder of the model {model_id}, which cannot be used any more. "
            f"{error.message}",
            "Import that model again, or start a new run.",
        ) from error


def clip_encoder_card(workspace: Workspace, settings: TrainingSettings) -> ModelCard:
    """The model whose clip encoder is taken: the one that is named, else the active one, or where that has none the
    newest that has.

    A damaged model is passed over, unless it is the one that is named.

    Raises:
        Echo2ECGError: the named model has none or is damaged, or no model has one.
    """
    registry, is_named = ModelRegistry(workspace), settings.clip_encoder != "active"
    cards = (
        [registry.get(settings.clip_encoder)]
        if is_named
        else sorted(registry.models(), key=lambda card: not card.active)
    )
    for card in cards:
        try:
            if "clip_encoder" in card.manifest().get("weights", {}):
                return card
        except ModelError:
            if is_named:
                raise
    whose = f"The model {cards[0].name} has" if is_named else "The models of this workspace have"
    raise Echo2ECGError(
        f"{whose} no clip encoder.",
        "Import one (`models import`), set clip_encoder to the id of a model that has one, or to new.",
    )
