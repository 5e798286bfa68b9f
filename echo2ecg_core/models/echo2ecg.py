"""Echo2ECG: an ECG tower, a study tower, and the loss that pulls the two together.

Read beside the method section of Echo2ECG (arXiv 2603.08505). Clips arrive as vectors of a frozen clip encoder, so the
video network is not part of this module. The ECG embedding (192 numbers) is the feature vector; the aligned vectors
(512) serve the loss and retrieval only. No vector is normalised here.

Notation used for tensor shapes: b batch, n samples, v views (clips) of a study, W study width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.ecg_encoder import AttentionPooling, EcgEncoder, Mlp, TokenPooling, masked_mean
from echo2ecg_core.models.specs import AlignmentSpec, ModelSpec, StudySpec

WINDOWS_AT_ONCE = 512
LOG_SCALE_RANGE = (0.0, 4.6052)  # temperature from 1 down to 0.01


def contrastive_loss(
    ecg: Tensor, study: Tensor, temperature: float | Tensor, weight: float = 0.5, not_negative: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE: row i of `ecg` belongs to row i of `study`, every other row is a negative.

    Args:
        ecg: Aligned ECG vectors, (b, d); normalised here.
        study: Aligned study vectors, (b, d).
        temperature: Divides the cosines; a tensor when it is learnt.
        weight: Share of the direction ECG -> study; the other gets 1 - weight.
        not_negative: (b, b) bool, symmetric, pairs of rows that are left out of the contrast (the paper leaves out
            none).

    Returns:
        Scalar loss in float32.
    """
    p = F.normalize(ecg.float(), dim=1)
    q = F.normalize(study.float(), dim=1)
    logits = p @ q.T / temperature  # (b, b)
    if not_negative is not None:
        logits = logits.masked_fill(not_negative, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return weight * F.cross_entropy(logits, target) + (1 - weight) * F.cross_entropy(logits.T, target)


class StarMlp(nn.Module):
    """Two linear branches multiplied, then a linear map (the "star" of Ma et al., CVPR 2024)."""

    def __init__(self, width: int, dim: int):
        super().__init__()
        self.branches = nn.Linear(width, 2 * dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, width) -> (b, dim)."""
        a, b = self.branches(x).chunk(2, dim=-1)  # each (b, dim)
        return self.out(self.norm(F.gelu(a) * b))


def alignment_head(width: int, spec: AlignmentSpec) -> nn.Module:
    """The head that maps (b, width) into the common space, (b, spec.dim); the published one is linear without bias."""
    if spec.head == "linear":
        return nn.Linear(width, spec.dim, bias=False)
    if spec.head == "mlp":
        return nn.Sequential(nn.Linear(width, spec.dim), nn.GELU(), nn.Linear(spec.dim, spec.dim))
    return StarMlp(width, spec.dim)


class ClsPooling(nn.Module):
    """A learnt query reads the clips in two post-norm layers (ablation of the paper, no golden numbers)."""

    def __init__(self, width: int, heads: int, depth: int = 2):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.attention = nn.ModuleList(nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(depth))
        self.norm1 = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.mlp = nn.ModuleList(Mlp(width, 2 * width) for _ in range(depth))
        self.norm2 = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))

    def forward(self, x: Tensor, is_padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(b, v, W), (b, v) -> pooled (b, W) and the last layer's weights (b, v), averaged over heads."""
        query = self.query.expand(x.shape[0], -1, -1)  # (b, 1, W)
        for attention, norm1, mlp, norm2 in zip(self.attention, self.norm1, self.mlp, self.norm2, strict=True):
            answer, weights = attention(query, x, x, key_padding_mask=is_padding)  # (b, 1, W), (b, 1, v)
            query = norm1(query + answer)
            query = norm2(query + mlp(query))
        return query.squeeze(1), weights.squeeze(1)


class MeanPooling(nn.Module):
    """The mean of the valid clips; for "single_view", where a row holds one clip, that clip itself."""

    def forward(self, x: Tensor, is_padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(b, v, W), (b, v) -> pooled (b, W) and equal weights of the valid clips (b, v)."""
        valid = x.new_ones(x.shape[:2]) if is_padding is None else (~is_padding).to(x.dtype)
        return masked_mean(x, is_padding), valid / valid.sum(dim=1, keepdim=True)


def study_pooling(spec: StudySpec) -> nn.Module:
    """The pooling that `spec` names; each gives (pooled, weights)."""
    if spec.pooling == "attention":
        return AttentionPooling(spec.width, spec.heads)
    return ClsPooling(spec.width, spec.heads) if spec.pooling == "cls" else MeanPooling()


class Echo2ECG(nn.Module):
    """Both towers with their alignment heads.

    Args:
        spec: The whole model; the clip encoder it names is kept beside this network, not inside. Methods of a part that
            `spec.parts` leaves out raise a ModelError.
    """

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.spec = spec
        if "ecg" in spec.parts:
            self.ecg_encoder = EcgEncoder(spec.ecg_encoder)
            self.token_pooling = TokenPooling(spec.ecg_encoder)
        if "ecg_alignment" in spec.parts:
            self.ecg_alignment = alignment_head(spec.ecg_encoder.width, spec.alignment)
        if "study" in spec.parts:
            projected = spec.study.pooling != "single_view"
            self.view_projection = nn.Linear(spec.study.clip_dim, spec.study.width) if projected else nn.Identity()
            self.study_pooling = study_pooling(spec.study)
            self.study_alignment = alignment_head(spec.study.out_dim, spec.alignment)
        if spec.learnable_temperature:
            self.log_scale = nn.Parameter(torch.tensor(-math.log(spec.temperature)))

    def embed_ecg(self, x: Tensor) -> Tensor:
        """Feature vectors of prepared ECG windows, (b, 12, n) -> (b, ECG width)."""
        self._require("ecg")
        return self.token_pooling(self.ecg_encoder.tokens(x))

    def embed_windows(self, x: Tensor) -> Tensor:
        """Feature vectors of ECGs given as several windows each, (b, windows, 12, n) -> (b, ECG width).

        The windows are averaged before the LayerNorm, so for "mean" this is the mean over all their tokens. Many go
        through the encoder piece by piece: an hour has 1,428, whose tokens would fill the memory.
        """
        self._require("ecg")
        pieces = x.flatten(0, 1).split(WINDOWS_AT_ONCE)
        pooled = torch.cat(
            [self.token_pooling.pool(self.ecg_encoder.tokens(piece)) for piece in pieces]
        )  # (b * windows, w)
        return self.token_pooling.norm(pooled.unflatten(0, x.shape[:2]).mean(dim=1))

    def align_ecg(self, embedding: Tensor) -> Tensor:
        """(b, ECG width) -> (b, 512), in the space shared with studies."""
        self._require("ecg_alignment")
        return self.ecg_alignment(embedding)

    def embed_study(self, views: Tensor, is_padding: Tensor | None = None) -> Tensor:
        """One vector per study.

        Args:
            views: Clip vectors, (b, v, clip_dim).
            is_padding: (b, v) bool, True = no clip there; None = every row is a clip.

        Returns:
            (b, W); NaN for a study without any clip, except with mean pooling (the projection of nothing is zero).

        Raises:
            ModelError: If there are more views than the model was made for, or vectors of another length.
        """
        return self._pooled(views, is_padding)[0]

    def study_weights(self, views: Tensor, is_padding: Tensor | None = None) -> Tensor:
        """Share of each clip in its study's vector, (b, v, clip_dim) -> (b, v); a row sums to 1, padding has 0."""
        return self._pooled(views, is_padding)[1]

    def align_study(self, embedding: Tensor) -> Tensor:
        """(b, W) -> (b, 512), in the space shared with ECGs."""
        self._require("study")
        return self.study_alignment(embedding)

    def temperature(self) -> float | Tensor:
        """The temperature for `contrastive_loss`; a learnt one is first clamped in place and keeps its gradient."""
        if not self.spec.learnable_temperature:
            return self.spec.temperature
        with torch.no_grad():
            self.log_scale.clamp_(*LOG_SCALE_RANGE)
        return torch.exp(-self.log_scale)

    def forward(self, ecg: Tensor, views: Tensor, is_padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """A batch of pairs into the common space: (b, 12, n), (b, v, clip_dim) -> two (b, 512)."""
        return self.align_ecg(self.embed_ecg(ecg)), self.align_study(self.embed_study(views, is_padding))

    def _pooled(self, views: Tensor, is_padding: Tensor | None) -> tuple[Tensor, Tensor]:
        self._require("study")
        spec = self.spec.study
        if views.ndim != 3 or views.shape[2] != spec.clip_dim or views.shape[1] > spec.max_views:
            raise ModelError(
                f"A study has to come as (batch, up to {spec.max_views} clips, {spec.clip_dim}), "
                f"found {tuple(views.shape)}.",
                "Use the clip encoder this model was trained with and keep the first clips of a larger study.",
            )
        return self.study_pooling(self.view_projection(views), is_padding)  # (b, v, W) -> (b, W), (b, v)

    def _require(self, part: str) -> None:
        if part not in self.spec.parts:
            purpose = {
                "ecg": "turn an ECG into a vector",
                "ecg_alignment": "compare an ECG with echo studies",
                "study": "turn an echo study into a vector",
            }[part]
            raise ModelError(
                f"This model cannot {purpose}: its weights hold only {', '.join(self.spec.parts)}.",
                "Import the weights of the missing part as well, or train the model.",
            )
