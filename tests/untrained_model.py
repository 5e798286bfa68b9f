"""A model for tests: a real, untrained network; its weights are random, its readouts fitted to made-up labels."""

from pathlib import Path

import numpy as np

from echo2ecg_core.store.paths import READOUTS_FILE

MADE_UP = ("lvef", "lvedv", "ivsd")


def untrained_model(folder: Path) -> Path:
    """A checkpoint of the demo networks with random weights and readouts fitted to made-up labels."""
    import torch
    from safetensors.numpy import save_file

    from echo2ecg_core.answers.loaded_model import LoadedModel
    from echo2ecg_core.models.checkpoint import save_checkpoint
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.echo_encoder import clip_encoder_of
    from echo2ecg_core.models.readouts import LabelledVectors, Readouts
    from echo2ecg_core.models.specs import PRESETS

    torch.manual_seed(0)
    spec = PRESETS["demo"]
    echo2ecg, clip_encoder = Echo2ECG(spec).eval(), clip_encoder_of(spec.clip_encoder).eval()
    told = {"name": "untrained", "synthetic": True, "test": {"phenotypes": {n: {"r2": 0.3} for n in MADE_UP}}}
    save_checkpoint(folder, {"echo2ecg": echo2ecg, "clip_encoder": clip_encoder}, spec, told)
    noise = np.random.default_rng(0).normal(size=(40, 1, 12, spec.ecg_input.n_samples)).astype(np.float32)
    made = LoadedModel(None, echo2ecg, clip_encoder, None, spec, None, {}).embed_ecgs(noise.cumsum(-1) * 0.02)
    rng = np.random.default_rng(1)
    embedding, outside = (_scattered(vectors, 400, rng) for vectors in (made.embedding, made.outside))
    labels = {"lvef": rng.normal(58, 9, 400), "lvedv": rng.normal(110, 25, 400), "ivsd": rng.normal(0.9, 0.15, 400)}

    def part(rows: slice) -> LabelledVectors:
        own = {name: values[rows] for name, values in labels.items()}
        return LabelledVectors(embedding[rows], outside[rows], own, np.arange(400)[rows])

    readouts = Readouts.fit(part(slice(200)), part(slice(200, 400)))
    save_file(readouts.tensors(), folder / READOUTS_FILE)
    return folder


def _scattered(vectors: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` vectors about these, for networks take seconds for as many ECGs."""
    about = vectors[rng.integers(len(vectors), size=n)]
    return (about + rng.normal(size=about.shape) * vectors.std(0)).astype(vectors.dtype)
