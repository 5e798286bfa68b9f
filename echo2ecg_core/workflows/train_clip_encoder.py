"""A new clip encoder for the phantom: trained on the training patients of a cohort, kept beside the run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

PATIENTS = 2000  # of the cohort; enough for this small network


def new_clip_encoder(settings, folder: Path, progress: Callable[[float, str], None] = lambda share, message: None, parameters=None):
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
    from echo2ecg_core.workflows.prepare_phantom import prepare_cohort

    kept = folder / "clip_encoder.pt"
    network = PhantomVideoNet()
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval()
    data = prepare_cohort(min(PATIENTS, settings.patients), settings.cohort_seed, settings.spec.ecg_input, folder / "clips", progress=progress)
    study = data.clips.study_id.astype("category").cat.codes.to_numpy().astype(np.int64)
    rows = np.flatnonzero(data.clips.study_id.isin(data.studies.study_id[data.studies.split == "train"]))
    parameters = parameters or ClipTraining()
    network = train_clip_encoder(data.clip_data[rows], data.clips.view.to_numpy()[rows].astype(np.int64), study[rows], parameters,
                                 lambda m: progress(m["epoch"] / parameters.epochs, f"Clip encoder, epoch {m['epoch']}: views named right {m['view_accuracy']:.0%}"))
    torch.save(network.state_dict(), kept)
    return network
