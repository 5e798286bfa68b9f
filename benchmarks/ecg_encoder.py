"""ECG embedding with merged projections against the published double ones; same weights, same run.

Run: `python -m benchmarks.ecg_encoder [--threads 2] [--batch 32] [--repeats 7] [--device cpu|cuda] [--compile]` from
the project folder; on a machine with a GPU it takes CUDA and torch.compile by itself.
Measures ECGs per second (best of the repeats, versions taking turns) of the base ECG encoder with mean pooling:
  plain        published layout: qkv, then a whole nn.MultiheadAttention, then proj (called with its defaults)
  plain_sdpa   the same with need_weights=False, its fastest call
  float32      this project's network, weights imported from the plain one
  bfloat16     the same under autocast
  bfloat16_compiled  that through torch.compile
the time of one ECG and the peak memory. Agreement is the largest difference (float32) and the smallest cosine
(bfloat16) to the plain version. Ratios are given by wall and by processor time; on a busy machine the second is the one
to believe. Prints one JSON line.
"""

import json
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.network_speed import best_times, compare, options, with_compiled
from echo2ecg_core.models.ecg_encoder import TokenPooling, time_code
from echo2ecg_core.models.published import ecg_encoder_from
from echo2ecg_core.models.specs import PRESETS

SPEC = PRESETS["base"].ecg_encoder


class PlainBlock(nn.Module):
    """The published block, map by map."""

    def __init__(self, width: int, heads: int, need_weights: bool):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attn.mha = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.need_weights = need_weights

    def forward(self, x):
        q, k, v = self.attn.qkv(self.norm1(x)).chunk(3, dim=-1)
        x = x + self.attn.proj(self.attn.mha(q, k, v, need_weights=self.need_weights)[0])
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class PlainEncoder(nn.Module):
    """The published encoder up to the mean over its patches."""

    def __init__(self, need_weights: bool = True):
        super().__init__()
        w = SPEC.width
        self.cls_token = nn.Parameter(torch.randn(1, 1, w) * 0.02)
        self.pos_embed_x = nn.Parameter(time_code(SPEC.n_patches, w // 2)[None], requires_grad=False)
        self.pos_embed_y = nn.Embedding(13, w // 2)
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(1, w, (1, SPEC.patch), stride=(1, SPEC.patch))
        self.patch_embed.norm = nn.LayerNorm(w)
        self.blocks = nn.ModuleList(PlainBlock(w, SPEC.heads, need_weights) for _ in range(SPEC.depth))

    def forward(self, x):
        x = self.patch_embed.proj(x[:, None]).permute(0, 2, 3, 1)  # (b, 12, p, w)
        x = F.gelu(self.patch_embed.norm(x))
        lead = self.pos_embed_y.weight[1:, None].expand(-1, x.shape[2], -1)
        x = x + torch.cat([lead, self.pos_embed_x[:, 1:].expand(12, -1, -1)], dim=2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(1, 2)], dim=1)
        for block in self.blocks:
            x = block(x)
        return F.layer_norm(x[:, 1:].mean(dim=1), (SPEC.width,))


def versions(device: str) -> dict:
    """{name: function of a batch}, all with the same weights."""
    torch.manual_seed(0)
    plain = PlainEncoder().eval().to(device)
    plain_sdpa = PlainEncoder(need_weights=False).eval().to(device)
    plain_sdpa.load_state_dict(plain.state_dict())
    encoder = ecg_encoder_from({k: v.cpu() for k, v in plain.state_dict().items()}).to(device)
    pooling = TokenPooling(SPEC).to(device)

    def merged(x):
        return pooling(encoder.tokens(x))

    def merged_bfloat16(x):
        with torch.autocast(device, dtype=torch.bfloat16):
            return merged(x)

    return {"plain": plain, "plain_sdpa": plain_sdpa, "float32": merged, "bfloat16": merged_bfloat16}


def main(given: Sequence[str] | None = None) -> None:
    chosen = options(__doc__.splitlines()[0], batch=32, repeats=7, given=given)
    functions, notes = with_compiled(versions(chosen.device), "bfloat16", chosen)
    x = torch.randn(chosen.batch, 12, SPEC.n_samples, device=chosen.device)
    with torch.inference_mode():
        result = compare("ecg_encoder", "ecgs", functions, x, chosen)
        one = best_times({k: functions[k] for k in ("plain", "float32", "bfloat16")}, x[:1], chosen.repeats)
    result["one_ecg_ms"] = {name: round(1000 * t[0], 1) for name, t in one.items()}
    print(json.dumps(result | ({"notes": notes} if notes else {})))


if __name__ == "__main__":
    main()
