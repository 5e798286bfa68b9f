"""MViTv2-S clips per second against a plain translation of the published network; same weights, same run.

Run: `python -m benchmarks.echo_encoder [--threads 2] [--batch 2] [--repeats 3] [--device cpu|cuda] [--compile]` from
the project folder; on a machine with a GPU it takes CUDA and torch.compile by itself (give it a larger batch there).
Versions take turns, the best of the repeats counts:
  plain      float32, channels first, relative positions as one bias matrix for every query and key
  float32    this project's network: tokens stay channels-last, relative positions are extra channels of q and k
  bfloat16   the same in bfloat16
  bfloat16_compiled  that through torch.compile
and PhantomVideoNet, the demo's encoder, on one thread. Agreement is the largest difference (float32) and the smallest
cosine (bfloat16) to the plain version. Ratios are given by wall and by processor time; on a busy machine the second is
the one to believe. Prints one JSON line.
"""

import json
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from benchmarks.network_speed import best_times, compare, options, with_compiled
from echo2ecg_core.models.echo_encoder import MViT, PhantomVideoNet


def pool(x, grid, weight, norm, stride):
    """(b, heads, 1 + n, d) through a depth-wise convolution and a LayerNorm, channels first."""
    b, heads, _, d = x.shape
    y = x[:, :, 1:].transpose(2, 3).reshape(b * heads, d, *grid).contiguous()
    y = F.conv3d(y, weight, stride=(1, stride, stride), padding=1, groups=d)
    new_grid = y.shape[2:]
    y = y.flatten(2).transpose(1, 2).reshape(b, heads, -1, d)
    return F.layer_norm(torch.cat([x[:, :, :1], y], dim=2), (d,), norm.weight, norm.bias, 1e-6), new_grid


def bias_of(q, table, axis, q_grid, k_grid):
    """q . R along one axis of the grid, (b, heads, t, h, w, keys on this axis)."""
    n_q, n_k = q_grid[axis], k_grid[axis]
    q_step, k_step = max(n_k // n_q, 1), max(n_q // n_k, 1)
    rows = torch.arange(n_q)[:, None] * q_step - torch.arange(n_k)[None] * k_step + (n_k - 1) * k_step
    return torch.einsum(
        ("bntxyd,tkd->bntxyk", "bntxyd,xkd->bntxyk", "bntxyd,ykd->bntxyk")[axis], q, table[rows.to(table.device)]
    )


def plain_attention(m, x, grid, q_stride, kv_stride):
    """One attention of MViTv2 as the paper writes it."""
    b, n, _ = x.shape
    q, k, v = m.qkv(x).reshape(b, n, 3, m.heads, -1).transpose(1, 3).unbind(dim=2)
    q, q_grid = pool(q, grid, m.pool_q.conv.weight, m.pool_q.norm, q_stride)
    k, k_grid = pool(k, grid, m.pool_k.conv.weight, m.pool_k.norm, kv_stride)
    v, _ = pool(v, grid, m.pool_v.conv.weight, m.pool_v.norm, kv_stride)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    r = q[:, :, 1:].reshape(b, m.heads, *q_grid, -1)
    t, h, w = (bias_of(r, table, i, q_grid, k_grid) for i, table in enumerate((m.rel_pos_t, m.rel_pos_h, m.rel_pos_w)))
    bias = t[..., :, None, None] + h[..., None, :, None] + w[..., None, None, :]
    scores[:, :, 1:, 1:] += bias.reshape(b, m.heads, q.shape[2] - 1, k.shape[2] - 1)
    y = scores.softmax(dim=-1) @ v
    y[:, :, 1:] += q[:, :, 1:]
    return m.proj(y.transpose(1, 2).reshape(b, -1, m.heads * q.shape[-1])), q_grid


def plain_mvit(network: MViT, clips):
    """The published computation, step by step, with the weights of `network`."""
    x = network.conv_proj(clips)
    grid = x.shape[2:]
    x = torch.cat([network.class_token.expand(len(clips), 1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    for block, q_stride, kv_stride in zip(network.blocks, MViT.Q_STRIDE, MViT.KV_STRIDE, strict=True):
        y = block.norm1(x)
        skip = x if block.project is None else block.project(y)
        attended, new_grid = plain_attention(block.attn, y, grid, q_stride, kv_stride)
        if q_stride > 1:
            pooled = skip[:, 1:].transpose(1, 2).reshape(len(x), -1, *grid)
            pooled = F.max_pool3d(pooled, (1, 3, 3), (1, 2, 2), (0, 1, 1)).flatten(2).transpose(1, 2)
            skip = torch.cat([skip[:, :1], pooled], dim=1)
        x, grid = skip + attended, new_grid
        x = x + block.mlp(block.norm2(x))
    return network.head(network.norm(x[:, 0]))


def random_network() -> MViT:
    """Full-rank weights of unit gain, so that attention is far from uniform."""
    torch.manual_seed(0)
    network = MViT().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim >= 2:
                parameter.uniform_(-1, 1).mul_((3 / parameter[0].numel()) ** 0.5)
            elif not name.endswith("norm.weight"):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def main(given: Sequence[str] | None = None) -> None:
    chosen = options(__doc__.splitlines()[0], batch=2, repeats=3, given=given)
    network = random_network().to(chosen.device)
    half = MViT().eval().to(chosen.device, torch.bfloat16)
    half.load_state_dict(network.state_dict())
    functions = {"plain": lambda x: plain_mvit(network, x), "float32": network, "bfloat16": half}
    functions, notes = with_compiled(functions, "bfloat16", chosen)
    clips = torch.randn(chosen.batch, 3, 16, 224, 224, device=chosen.device)
    with torch.inference_mode():
        result = compare("echo_encoder", "clips", functions, clips, chosen)
        torch.set_num_threads(1)
        small = best_times({"phantom": PhantomVideoNet().eval()}, clips.cpu(), 10 * chosen.repeats)["phantom"][0]
    result["phantom_clips_per_s_one_thread"] = round(chosen.batch / small, 1)
    print(json.dumps(result | ({"notes": notes} if notes else {})))


if __name__ == "__main__":
    main()
