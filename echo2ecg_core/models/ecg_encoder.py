"""The ECG transformer: 12 leads become 1 + 12*T' tokens, the tokens become one vector.

Read beside section "ECG encoder" of Echo2ECG (arXiv 2603.08505); the architecture is OTiS. One decision differs: the
published network sends q, k, v through two affine maps in a row (`attn.qkv`, then the in-projection of a complete
multi-head attention) and back through two; without a non-linearity between them each pair is one map, and one is what
stands here. `published.py` merges published weights exactly, and a merged network is trained or fine-tuned as it is.

Notation used for tensor shapes: b batch, n samples, p patches along time, t tokens = 1 + 12 * p, w width, h heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.specs import N_LEADS, EcgEncoderSpec


def time_code(n_patches: int, dim: int) -> Tensor:
    """Fixed sine-cosine code of time, (1 + n_patches, dim); row 0 (the class token) is zero."""
    frequency = 10000.0 ** (-torch.arange(dim // 2, dtype=torch.float32) / (dim / 2))
    angle = torch.arange(n_patches, dtype=torch.float32)[:, None] * frequency  # (p, dim/2)
    code = torch.cat([angle.sin(), angle.cos()], dim=1)  # (p, dim)
    return torch.cat([torch.zeros(1, dim), code])


class PatchEmbedding(nn.Module):
    """A patch of one lead becomes a token: linear map, LayerNorm, GELU."""

    def __init__(self, patch: int, width: int):
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(patch, width)
        self.norm = nn.LayerNorm(width, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 12, n) -> (b, 12, p, w)."""
        return F.gelu(self.norm(self.proj(x.unflatten(2, (-1, self.patch)))))


class Attention(nn.Module):
    """Multi-head self-attention, one projection in and one out."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, w) -> (b, t, w)."""
        b, t, w = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)  # each (b, h, t, w/h)
        y = attend(q, k, v)  # softmax(q k' / sqrt(w/h)) v: (b, h, t, w/h)
        return self.proj(y.transpose(1, 2).reshape(b, t, w))


LARGEST_SCORES = 32 * 2**20  # elements; 64 MB a layer in bfloat16


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention, (b, h, t, d) three times -> (b, h, t, d).

    PyTorch's fused kernel, but for bfloat16 on a CPU: there two batched products take half its time forward and
    backward (torch 2.13, benchmarks/pretrain.py), as long as the scores stay small enough to be kept.
    """
    b, h, t, d = q.shape
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or b * h * t * t > LARGEST_SCORES:
        return F.scaled_dot_product_attention(q, k, v)
    q, k, v = (x.reshape(b * h, t, d) for x in (q * d**-0.5, k, v))
    return torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v).view(b, h, t, d)


class Mlp(nn.Module):
    """Two linear maps with a GELU between them."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., w) -> (..., w)."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block with stochastic depth (a branch is dropped for a whole sample)."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, drop_path: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, w) -> (b, t, w)."""
        x = x + self._kept(self.attn(self.norm1(x)))
        return x + self._kept(self.mlp(self.norm2(x)))

    def _kept(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0.0:
            return branch
        keep = 1.0 - self.drop_path
        mask = branch.new_empty(branch.shape[0], 1, 1).bernoulli_(keep)  # (b, 1, 1)
        return branch * mask / keep


class EcgEncoder(nn.Module):
    """Transformer over patches of 12 leads; there is no final norm.

    Args:
        spec: Sizes; `spec.n_samples` fixes the number of time patches.
    """

    pos_embed_x: Tensor

    def __init__(self, spec: EcgEncoderSpec):
        super().__init__()
        self.spec = spec
        self.patch_embed = PatchEmbedding(spec.patch, spec.width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, spec.width))
        self.pos_embed_y = nn.Parameter(torch.zeros(N_LEADS, spec.width // 2))  # learnt, one row a lead
        self.register_buffer("pos_embed_x", time_code(spec.n_patches, spec.width // 2))  # fixed, row 0 = class token
        rates = torch.linspace(0, spec.drop_path, spec.depth).tolist()
        self.blocks = nn.ModuleList(Block(spec.width, spec.heads, spec.mlp_ratio, rate) for rate in rates)
        self.apply(_initialise)
        for table in (self.cls_token, self.pos_embed_y):
            nn.init.trunc_normal_(table, std=0.02)

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens of an ECG window: the class token, then lead by lead its patches in time.

        Args:
            x: Prepared ECG, (b, 12, n) with n from `spec.n_samples` up to less than one patch more.

        Returns:
            (b, 1 + 12 * p, w); token 1 + lead * p + j is patch j of that lead.

        Raises:
            ModelError: If x does not have 12 leads or gives another number of patches.
        """
        x = self.embed_patches(x)  # (b, 12, p, w)
        x = x + self.positions()  # (b, 12, p, w)
        x = torch.cat([self.class_token(x.shape[0]).to(x.dtype), x.flatten(1, 2)], dim=1)  # (b, t, w)
        for block in self.blocks:
            x = block(x)
        return x

    forward = tokens

    def embed_patches(self, x: Tensor) -> Tensor:
        """(b, 12, n) -> patches without position, (b, 12, p, w)."""
        spec = self.spec
        if x.ndim != 3 or x.shape[1] != N_LEADS or x.shape[2] // spec.patch != spec.n_patches:
            raise ModelError(
                f"The ECG encoder reads windows of shape (batch, {N_LEADS}, {spec.n_samples}), found {tuple(x.shape)}.",
                "Prepare the ECG for this model's window length, or build the model for this length.",
            )
        return self.patch_embed(x[:, :, : spec.n_patches * spec.patch])

    def class_token(self, n: int) -> Tensor:
        """The class token at its position, for n windows: (n, 1, w)."""
        return (self.cls_token + F.pad(self.pos_embed_x[0], (self.spec.width // 2, 0))).expand(n, -1, -1)

    def positions(self) -> Tensor:
        """Position of every patch, (12, p, w): the lead in the first half of the channels, time in the second."""
        p = self.spec.n_patches
        lead = self.pos_embed_y[:, None].expand(-1, p, -1)  # (12, p, w/2)
        time = self.pos_embed_x[None, 1 : p + 1].expand(N_LEADS, -1, -1)  # (12, p, w/2)
        return torch.cat([lead, time], dim=2)


class AttentionPooling(nn.Module):
    """Many vectors become one: the mean of the valid ones asks, all valid ones answer (no residual, no norm)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, is_padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One vector per row of x, and who contributed how much.

        Args:
            x: (b, v, w).
            is_padding: (b, v) bool, True = ignore; None = all valid. What stands in padded rows has no effect.

        Returns:
            Pooled vectors (b, w) and attention weights (b, v), averaged over heads. A row without any valid vector
            gives NaN, as in the published network.
        """
        b, v, w = x.shape
        query = masked_mean(x, is_padding)  # (b, w)
        q = self.q(query).view(b, self.heads, 1, w // self.heads)  # (b, h, 1, w/h)
        k, values = self.kv(x).view(b, v, 2, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)  # each (b, h, v, w/h)
        scores = q @ k.transpose(2, 3) * (w // self.heads) ** -0.5  # (b, h, 1, v)
        if is_padding is not None:
            scores = scores.masked_fill(is_padding[:, None, None], float("-inf"))
        weights = scores.float().softmax(dim=3)  # (b, h, 1, v)
        pooled = (weights.to(values.dtype) @ values).reshape(b, w)  # (b, h, 1, w/h) -> (b, w)
        return self.proj(pooled), weights.mean(dim=1).squeeze(1)


def masked_mean(x: Tensor, is_padding: Tensor | None) -> Tensor:
    """Mean over the valid rows: (b, v, w), (b, v) bool -> (b, w); zero where no row is valid."""
    if is_padding is None:
        return x.mean(dim=1)
    count = (~is_padding).sum(dim=1, keepdim=True).clamp(min=1)  # (b, 1)
    return x.masked_fill(is_padding[:, :, None], 0.0).sum(dim=1) / count


class TokenPooling(nn.Module):
    """Tokens become the ECG embedding: pool, then LayerNorm.

    The class token takes part only in "cls"; the other strategies leave it out.
    """

    def __init__(self, spec: EcgEncoderSpec):
        super().__init__()
        self.pooling = spec.pooling
        self.attention = AttentionPooling(spec.width, spec.heads) if spec.pooling == "attention" else None
        self.norm = nn.LayerNorm(spec.width, eps=1e-5)
        self.apply(_initialise)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, t, w) -> (b, w)."""
        return self.norm(self.pool(tokens))

    def pool(self, tokens: Tensor) -> Tensor:
        """The pooled tokens before the LayerNorm, (b, t, w) -> (b, w)."""
        if self.pooling == "cls":
            return tokens[:, 0]
        patches = tokens[:, 1:]  # (b, 12 * p, w)
        if self.pooling == "mean":
            return patches.mean(dim=1)
        if self.pooling == "max":
            return patches.amax(dim=1)
        assert self.attention is not None
        pooled, _ = self.attention(patches)
        return pooled


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
