"""The model that answers: its card (cheap, no torch) and its networks with readouts, loaded once a process.

Also one place that turns a record into vectors, so that page, terminal, embedding job and `check` cannot diverge.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echo2ecg_core.ecg.preprocess import CLEANING
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from echo2ecg_core.ecg.quality import Quality
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.echo_encoder import MViT, PhantomVideoNet
    from echo2ecg_core.models.readouts import Readouts
    from echo2ecg_core.models.view_classifier import ViewClassifier

ABSENT = {"ecg": "no ECG encoder", "ecg_alignment": "no alignment of ECGs with studies", "study": "no echo side"}


def active_model_card(workspace: Workspace) -> ModelCard:
    """Card of the active model.

    Raises:
        ModelError: no model is active.
    """
    return ModelRegistry(workspace).active()


def spec_of(card: ModelCard) -> ModelSpec:
    """The spec in a model's manifest; imports no torch."""
    return ModelSpec.from_dict(card.manifest().get("spec", {}))


def input_text(spec: ModelSpec) -> str:
    """How a model wants its ECGs and how they are cleaned today, as the text that is kept with their vectors."""
    return json.dumps(spec.ecg_input.to_dict() | {"cleaning": CLEANING}, sort_keys=True)


def why_no_studies(card: ModelCard) -> str:
    """Why a model cannot compare ECGs with echo studies and what to do, in one sentence; "" for one that can."""
    spec = spec_of(card)
    if spec.shares_space:
        return ""
    absent = " and ".join(words for part, words in ABSENT.items() if part not in spec.parts)
    preset = card.manifest().get("preset", "paper")  # imported weights have the sizes of the paper
    return (
        f"{card.name} {card.model_id} has {absent}, so it cannot compare ECGs with echo studies: train an alignment "
        "that starts from it "
        f"(`train --preset {preset} --set start_from={card.model_id}`), or promote a model with an echo side."
    )


def load_active_model(workspace: Workspace) -> "LoadedModel":
    """The active model, ready to embed. Imports torch: call it off the page's path, once a model id."""
    return load_model(active_model_card(workspace))


def load_model(card: ModelCard, *, with_readouts: bool = True) -> "LoadedModel":
    """A registered model, ready to embed; without readouts (None) it can embed all the same.

    Raises:
        ModelError: weights or readouts are missing or damaged.
    """
    from echo2ecg_core.models.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(card.folder)
    if checkpoint.echo2ecg is None:
        raise _without_ecg_encoder(card)
    return LoadedModel(
        card,
        checkpoint.echo2ecg,
        checkpoint.clip_encoder,
        checkpoint.view_classifier,
        checkpoint.spec,
        load_readouts(card.folder) if with_readouts else None,
        checkpoint.manifest,
    )


def _without_ecg_encoder(card: ModelCard) -> ModelError:
    return ModelError(
        f"The model {card.name} has no ECG encoder, so ECGs cannot be embedded.", "Promote a model that has one."
    )


def load_readouts(folder: Path) -> "Readouts":
    """The fitted readouts beside the weights.

    Raises:
        ModelError: there are none, or they are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from echo2ecg_core.models.readouts import Readouts

    try:
        return Readouts.from_tensors(load_file(folder / READOUTS_FILE))
    except (OSError, SafetensorError) as error:
        raise ModelError(
            "This model has no readouts yet: its embeddings cannot be turned into phenotypes.",
            "Fit them with `train`, or promote a model that has them.",
        ) from error


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """Networks in eval mode, their spec and readouts; `towers` is None where only clips are embedded."""

    card: ModelCard
    towers: "Echo2ECG | None"
    clip_encoder: "MViT | PhantomVideoNet | None"
    view_classifier: "ViewClassifier | None"
    spec: ModelSpec
    readouts: "Readouts | None"
    manifest: dict

    @property
    def echo2ecg(self) -> "Echo2ECG":
        """Both towers.

        Raises:
            ModelError: the model came without them.
        """
        if self.towers is None:
            raise _without_ecg_encoder(self.card)
        return self.towers

    def prepare(self, record: EcgRecord, quality: "Quality | None" = None) -> np.ndarray:
        """Input windows (w, 12, n) float32 of a record as this model's spec asks (`prepared_ecg`)."""
        return prepared_ecg(self.spec, record, quality)

    def embed_ecgs(self, windows: np.ndarray) -> "EcgVectors":
        """Vectors of ECGs (b, w, 12, n) that have equally many windows."""
        return ecg_vectors(self.echo2ecg, windows)

    def embed_clips(self, prepared: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Prepared clips (b, 3, 16, 224, 224) -> vectors (b, 512) and view probabilities (b, 11), None without a
        classifier.

        Raises:
            ModelError: the model came without a clip encoder.
        """
        import torch

        encoder = self.require_clip_encoder()
        with torch.inference_mode():
            vectors, views = self.clip_tensors(torch.from_numpy(prepared).to(_device(encoder)))
        return vectors.cpu().numpy(), None if views is None else views.cpu().numpy()

    def require_clip_encoder(self) -> "MViT | PhantomVideoNet":
        """The clip encoder.

        Raises:
            ModelError: the model came without one.
        """
        if self.clip_encoder is None:
            raise ModelError(
                f"The model {self.card.name} has no clip encoder, so echo clips cannot be embedded.",
                "Import one (`models import`) or promote a model that has one.",
            )
        return self.clip_encoder

    def clip_tensors(self, clips: "Tensor") -> "tuple[Tensor, Tensor | None]":
        """`embed_clips` of clips on the encoder's device, on that device."""
        from echo2ecg_core.models.echo_encoder import PhantomVideoNet

        encoder = self.require_clip_encoder()
        vectors = encoder(clips)
        if self.view_classifier is not None:
            logits = self.view_classifier(clips[:, :, 0])  # EchoPrime names the view from the first frame
        elif isinstance(encoder, PhantomVideoNet):
            logits = encoder.view_logits(vectors)
        else:
            return vectors, None
        return vectors, logits.softmax(1)

    def align_studies(self, clip_vectors: list[np.ndarray]) -> np.ndarray:
        """Aligned vectors (n, 512) of studies given as one (views, 512) array each."""
        import torch

        most = max(len(v) for v in clip_vectors)
        views = torch.zeros(len(clip_vectors), most, clip_vectors[0].shape[1])
        is_padding = torch.ones(len(clip_vectors), most, dtype=torch.bool)
        for row, vectors in enumerate(clip_vectors):
            views[row, : len(vectors)] = torch.from_numpy(np.asarray(vectors, np.float32))
            is_padding[row, : len(vectors)] = False
        device = _device(self.echo2ecg)
        with torch.inference_mode():
            studies = self.echo2ecg.embed_study(views.to(device), is_padding.to(device))
            return self.echo2ecg.align_study(studies).cpu().numpy()

    def view_weights(self, clip_vectors: np.ndarray) -> np.ndarray:
        """Share (v,) of each clip in its study's vector, for one study (v, 512)."""
        import torch

        with torch.inference_mode():
            views = torch.from_numpy(np.asarray(clip_vectors, np.float32)).to(_device(self.echo2ecg))
            return self.echo2ecg.study_weights(views[None])[0].cpu().numpy()


@dataclass(frozen=True, eq=False)
class EcgVectors:
    """Of b ECGs: `embedding` (b, width) for phenotypes, `outside` (b, f) for distance, and `aligned` (b, 512) for
    retrieval (None where the model shares no space with studies)."""

    embedding: np.ndarray
    aligned: np.ndarray | None
    outside: np.ndarray


def ecg_vectors(network: "Echo2ECG", windows: np.ndarray) -> EcgVectors:
    """Vectors of prepared ECGs (b, w, 12, n) by an Echo2ECG network; windows are averaged before the LayerNorm."""
    import torch

    from echo2ecg_core.models.outside import outside_features
    from echo2ecg_core.models.threads import use_threads

    use_threads()
    with torch.inference_mode():
        x = torch.from_numpy(np.ascontiguousarray(windows, np.float32)).to(_device(network))
        embedding, aligned = ecg_tensors(network, x)
    outside = outside_features(windows, network.spec.ecg_input.sampling_rate_hz)
    return EcgVectors(embedding.cpu().numpy(), None if aligned is None else aligned.cpu().numpy(), outside)


def ecg_tensors(network: "Echo2ECG", x: "Tensor") -> "tuple[Tensor, Tensor | None]":
    """Embedding (b, width) and aligned vector (b, 512; None without a space shared with studies) of prepared ECGs
    (b, w, 12, n) on the network's device."""
    embedding = network.embed_windows(x)
    return embedding, network.align_ecg(embedding) if network.spec.shares_space else None


def prepared_ecg(spec: ModelSpec, record: EcgRecord, quality: "Quality | None" = None) -> np.ndarray:
    """Input windows (w, 12, n) float32 of a record as a model's spec asks, of a long one those of its usable minutes.

    Args:
        spec: Of the model.
        record: The ECG.
        quality: Its quality where that is known already; judged here where a recording has more than a minute.
    """
    from echo2ecg_core.ecg.preprocess import prepare_ecg
    from echo2ecg_core.ecg.quality import MINUTE_S, judge_quality, usable_parts

    wanted, parts = spec.ecg_input, [record]
    if record.duration_s > MINUTE_S:
        parts = usable_parts(record, quality or judge_quality(record))
        window_s = wanted.n_samples / wanted.sampling_rate_hz
        parts = [part for part in parts if part.duration_s > window_s] or [record]
    if wanted.windows == "first":
        parts = parts[:1]
    windows = [
        prepare_ecg(
            part.signal_mv,
            part.sampling_rate_hz,
            target_hz=wanted.sampling_rate_hz,
            n_samples=wanted.n_samples,
            order=wanted.order,
            windows=wanted.windows,
        )
        for part in parts
    ]
    return windows[0] if len(windows) == 1 else np.concatenate(windows)


def _device(network: "nn.Module"):
    return next(network.parameters()).device
