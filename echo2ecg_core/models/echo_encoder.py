"""Clip encoders: MViTv2-S (EchoPrime's video network) and the small network of the demo.

Both turn a prepared clip (3 colours, 16 frames, 224 x 224) into 512 numbers.

Notation used for tensor shapes: b batch, c channels, t frames, h and w height and width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.ecg_encoder import Mlp
from echo2ecg_core.models.specs import ClipEncoderSpec

CLIP_SHAPE = (3, 16, 224, 224)
N_VIEWS = 11
Grid = tuple[int, ...]  # frames, height and width of a token grid


def clip_encoder_of(spec: ClipEncoderSpec) -> "MViT | PhantomVideoNet":
    """The network that `spec` names, with fresh weights."""
    return MViT(spec.dim) if spec.kind == "mvit_v2_s" else PhantomVideoNet(spec.dim)


class Pool(nn.Module):
    """Depth-wise 3 x 3 x 3 convolution over the grid of one head's tokens, then LayerNorm.

    The class token skips the convolution, not the norm. The grid stays channels-last, as tokens lie in memory.
    """

    def __init__(self, dim: int, stride: int):
        super().__init__()
        self.conv = nn.Conv3d(dim, dim, 3, stride=(1, stride, stride), padding=1, groups=dim, bias=False)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(b, heads, 1 + t*h*w, d) -> (b, heads, 1 + t*h'*w', d) and the new grid."""
        b, heads, _, d = x.shape
        y = x[:, :, 1:].reshape(b * heads, *grid, d).permute(0, 4, 1, 2, 3)  # (b * heads, d, t, h, w)
        y = self.conv(y)
        grid = tuple(y.shape[2:])
        y = y.permute(0, 2, 3, 4, 1).reshape(b, heads, -1, d)  # (b, heads, t * h' * w', d)
        return self.norm(torch.cat([x[:, :, :1], y], dim=2)), grid


class PooledAttention(nn.Module):
    """Multi-head attention with pooled q, k, v and decomposed relative positions (Li et al., MViTv2, CVPR 2022).

    scores = (q / sqrt(d)) k' + q . R_time + q . R_height + q . R_width. The three bias terms depend on the key only
    through its frame, row and column. So they are written as extra channels: q gets its products with every frame, row
    and column, k gets one-hot codes of its own. Then plain attention does the rest and no bias matrix is built.
    """

    def __init__(self, width_in: int, width: int, heads: int, q_stride: int, kv_stride: int, size: int):
        super().__init__()
        self.heads, dim = heads, width // heads
        self.qkv = nn.Linear(width_in, 3 * width)
        self.pool_q, self.pool_k, self.pool_v = (Pool(dim, s) for s in (q_stride, kv_stride, kv_stride))
        span = 2 * max(size // q_stride, size // kv_stride) - 1
        self.rel_pos_t = nn.Parameter(torch.zeros(2 * CLIP_SHAPE[1] // 2 - 1, dim))
        self.rel_pos_h, self.rel_pos_w = (nn.Parameter(torch.zeros(span, dim)) for _ in range(2))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(b, n, width in) -> (b, n', width) and the grid of the pooled query."""
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (b, heads, n, d)
        (q, q_grid), (k, k_grid), (v, _) = self.pool_q(q, grid), self.pool_k(k, grid), self.pool_v(v, grid)
        d = q.shape[3]
        bias = self._bias_channels(q, q_grid, k_grid)  # (b, heads, n', t + h + w of the keys)
        code = _place_code(k_grid).to(k).expand(b, self.heads, -1, -1)  # (b, heads, n_k, t + h + w)
        y = F.scaled_dot_product_attention(
            torch.cat([q * d**-0.5, bias], dim=3), torch.cat([k, code], dim=3), F.pad(v, (0, code.shape[3])), scale=1.0
        )[..., :d]  # (b, heads, n', d)
        y = torch.cat([y[:, :, :1], y[:, :, 1:] + q[:, :, 1:]], dim=2)  # the class token gets no residual
        return self.proj(y.transpose(1, 2).flatten(2)), q_grid

    def _bias_channels(self, q: Tensor, q_grid: Grid, k_grid: Grid) -> Tensor:
        """q . R for every frame, row and column of the keys, (b, heads, n', t + h + w); zero for the class token."""
        grid = q[:, :, 1:].unflatten(2, q_grid)  # (b, heads, t, h, w, d)
        tables = [
            table[_distances(n_q, n_k)]
            for table, n_q, n_k in zip((self.rel_pos_t, self.rel_pos_h, self.rel_pos_w), q_grid, k_grid, strict=True)
        ]  # (t, k_t, d), (h, k_h, d), (w, k_w, d)
        terms = [
            torch.einsum(equation, grid, table)  # (b, heads, t, h, w, k)
            for equation, table in zip(
                ("bnthwd,tkd->bnthwk", "bnthwd,hkd->bnthwk", "bnthwd,wkd->bnthwk"), tables, strict=True
            )
        ]
        return F.pad(torch.cat(terms, dim=5).flatten(2, 4), (0, 0, 1, 0))


def _distances(n_q: int, n_k: int) -> Tensor:
    """Row of the relative-position table for every pair of places on one axis, (n_q, n_k)."""
    q_step, k_step = max(n_k // n_q, 1), max(n_q // n_k, 1)
    q, k = torch.arange(n_q)[:, None] * q_step, torch.arange(n_k)[None] * k_step
    return q - k + (n_k - 1) * k_step


def _place_code(grid: Grid) -> Tensor:
    """One-hot frame, row and column of every token, (1 + t*h*w, t + h + w); zero for the class token."""
    t, h, w = torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")
    code = torch.cat([F.one_hot(axis.flatten(), n) for axis, n in zip((t, h, w), grid, strict=True)], dim=1)
    return F.pad(code, (0, 0, 1, 0))


class MViTBlock(nn.Module):
    """Pre-norm block whose skip path follows the attention: projected when the width grows, pooled when q is."""

    def __init__(self, width_in: int, width: int, heads: int, q_stride: int, kv_stride: int, size: int):
        super().__init__()
        self.q_stride = q_stride
        self.norm1 = nn.LayerNorm(width_in, eps=1e-6)
        self.attn = PooledAttention(width_in, width, heads, q_stride, kv_stride, size)
        self.project = nn.Linear(width_in, width) if width_in != width else None
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(b, n, width in) -> (b, n', width) and the new grid."""
        y = self.norm1(x)
        skip = x if self.project is None else self.project(y)
        attended, new_grid = self.attn(y, grid)
        x = self._pooled(skip, grid) + attended
        return x + self.mlp(self.norm2(x)), new_grid

    def _pooled(self, x: Tensor, grid: Grid) -> Tensor:
        if self.q_stride == 1:
            return x
        t, h, w = grid
        frames = x[:, 1:].reshape(-1, h, w, x.shape[2]).permute(0, 3, 1, 2)  # (b * t, c, h, w), channels-last
        frames = F.max_pool2d(frames, 3, stride=self.q_stride, padding=1).permute(0, 2, 3, 1)  # (b * t, h', w', c)
        return torch.cat([x[:, :1], frames.reshape(x.shape[0], -1, x.shape[2])], dim=1)


class MViT(nn.Module):
    """MViTv2-S on clips of 16 frames; the class token, normed, gives the clip vector.

    It computes in the precision of its weights: `network.to(torch.bfloat16)` takes under half the time on a CPU with
    AMX.
    """

    WIDTH = (96,) + (192,) * 2 + (384,) * 11 + (768,) * 2  # output width of the 16 blocks
    HEADS = (1,) + (2,) * 2 + (4,) * 11 + (8,) * 2
    Q_STRIDE = (1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1)  # in space; time is never pooled
    KV_STRIDE = (8, 4, 4) + (2,) * 11 + (1, 1)

    def __init__(self, dim: int = 512):
        super().__init__()
        width, size = self.WIDTH[0], CLIP_SHAPE[2] // 4
        self.conv_proj = nn.Conv3d(3, width, (3, 7, 7), stride=(2, 4, 4), padding=(1, 3, 3))
        self.class_token = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList()
        for w, heads, q_stride, kv_stride in zip(self.WIDTH, self.HEADS, self.Q_STRIDE, self.KV_STRIDE, strict=True):
            self.blocks.append(MViTBlock(width, w, heads, q_stride, kv_stride, size))
            width, size = w, size // q_stride
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, dim)

    def forward(self, clips: Tensor) -> Tensor:
        """Clip vectors, (b, 3, 16, 224, 224) -> (b, dim).

        Raises:
            ModelError: If the clips have another shape.
        """
        _check_clips(clips)
        x = self.conv_proj(clips.to(self.conv_proj.weight.dtype))  # (b, 96, 8, 56, 56)
        grid = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)  # (b, 8 * 56 * 56, 96)
        x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)  # no absolute positions
        for block in self.blocks:
            x, grid = block(x, grid)  # ends at (b, 1 + 8 * 7 * 7, 768)
        return self.head(self.norm(x[:, 0]))


class SpaceTimeStage(nn.Module):
    """A (2+1)-D step: a convolution within every frame, then one along time, each with GroupNorm and ReLU."""

    def __init__(self, width_in: int, width: int, space_stride: int, time_stride: int):
        super().__init__()
        s, t = space_stride, time_stride
        self.space = nn.Conv3d(width_in, width, (1, 3, 3), stride=(1, s, s), padding=(0, 1, 1), bias=False)
        self.space_norm = nn.GroupNorm(4, width)
        self.time = nn.Conv3d(width, width, (3, 1, 1), stride=(t, 1, 1), padding=(1, 0, 0), bias=False)
        self.time_norm = nn.GroupNorm(4, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t, h, w) -> (b, width, t / time stride, h / space stride, w / space stride)."""
        x = F.relu(self.space_norm(self.space(x)))
        return F.relu(self.time_norm(self.time(x)))


class PhantomVideoNet(nn.Module):
    """The small clip encoder of the demo: luminance at 56 x 56, three (2+1)-D stages, pooled over time.

    Every feature enters as its mean over time (how much chamber and wall there is) and its standard deviation over time
    (how much of it moves): per channel of each stage, averaged over the image, and for 16 squeezed channels of the last
    stage at each of 7 x 7 places. The places carry size: without them simulated rings of known radius, wall thickness
    and motion were learnt far more slowly (mean squared error 0.75 instead of 0.03 standard deviations for the radius
    after 1,600 clips). GroupNorm keeps a clip independent of its batch.
    """

    STEM, STAGES = 32, ((48, 2, 1), (96, 2, 2), (160, 1, 2))  # width, stride in space, stride in time
    SQUEEZED, PLACES = 16, 7 * 7

    def __init__(self, dim: int = 512):
        super().__init__()
        self.stem = nn.Conv3d(1, self.STEM, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2), bias=False)
        self.stem_norm = nn.GroupNorm(4, self.STEM)
        widths = [self.STEM] + [width for width, _, _ in self.STAGES]
        self.stages = nn.ModuleList(
            SpaceTimeStage(before, width, space, time)
            for before, (width, space, time) in zip(widths, self.STAGES, strict=False)
        )
        self.squeeze = nn.Conv3d(widths[-1], self.SQUEEZED, 1)
        n_summary = 2 * (sum(widths[1:]) + self.SQUEEZED * self.PLACES)
        self.norm = nn.LayerNorm(n_summary)
        self.head = nn.Linear(n_summary, dim)
        self.view_head = nn.Linear(dim, N_VIEWS)

    def forward(self, clips: Tensor) -> Tensor:
        """Clip vectors, (b, 3, 16, 224, 224) -> (b, dim)."""
        return self.from_pooled(self.pooled(clips))

    def pooled(self, clips: Tensor) -> Tensor:
        """The fixed first step, worth keeping while training: mean of the colours, areas of 4 x 4 pixels.

        Args:
            clips: Prepared clips, (b, 3, 16, 224, 224).

        Returns:
            (b, 16, 56, 56).

        Raises:
            ModelError: If the clips have another shape.
        """
        _check_clips(clips)
        return F.avg_pool2d(clips.flatten(0, 1), 4).unflatten(0, clips.shape[:2]).mean(dim=1)

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """Clip vectors from what `pooled` gave, (b, 16, 56, 56) -> (b, dim)."""
        x = F.relu(self.stem_norm(self.stem(pooled[:, None])))  # (b, 32, 16, 28, 28)
        summary = []
        for stage in self.stages:
            x = stage(x)  # (b, 48, 16, 14, 14), (b, 96, 8, 7, 7), (b, 160, 4, 7, 7)
            summary += _level_and_motion(x.mean(dim=(3, 4)))  # from (b, c, t)
        summary += _level_and_motion(self.squeeze(x).permute(0, 1, 3, 4, 2).flatten(1, 3))  # from (b, 16 * 49, t)
        return self.head(self.norm(torch.cat(summary, dim=1)))  # (b, 2176) -> (b, dim)

    def view_logits(self, features: Tensor) -> Tensor:
        """Scores of the 11 views in EchoPrime's order, from clip vectors: (b, dim) -> (b, 11)."""
        return self.view_head(features)


def _level_and_motion(x: Tensor) -> list[Tensor]:
    """Mean and standard deviation over time, (b, c, t) -> two (b, c)."""
    return [x.mean(dim=2), (x.var(dim=2, correction=0) + 1e-6).sqrt()]


def _check_clips(clips: Tensor) -> None:
    if clips.ndim != 5 or tuple(clips.shape[1:]) != CLIP_SHAPE:
        raise ModelError(
            f"The clip encoder reads shapes (batch, {', '.join(map(str, CLIP_SHAPE))}), found {tuple(clips.shape)}.",
            "Prepare the frames with prepare_frames first.",
        )
