"""Masked pretraining of the ECG encoder alone: most patches are hidden, and a small decoder draws them from the rest.

A masked autoencoder (He et al., CVPR 2022) over patches of single leads, as OTiS and other ECG models are pretrained:
the encoder sees the visible patches only; the loss is the squared error on the hidden patches, each standardised by
itself. It is the comparison that never sees an echo. Shapes: b batch, p all patches (12 * patches along time), k kept
ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.models.ecg_encoder import Block, EcgEncoder


class MaskedAutoencoder(nn.Module):
    """Decoder around an `EcgEncoder`; only the encoder is kept after training.

    Args:
        encoder: The network to train.
        mask_ratio: Share of patches that are hidden.
        width, depth, heads: Of the decoder.
    """

    def __init__(self, encoder: EcgEncoder, mask_ratio: float = 0.75, width: int = 96, depth: int = 2, heads: int = 3):
        super().__init__()
        self.encoder, self.mask_ratio = encoder, mask_ratio
        self.enter = nn.Linear(encoder.spec.width, width)
        self.position = nn.Linear(encoder.spec.width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(Block(width, heads, 4, 0.0) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.draw = nn.Linear(width, encoder.spec.patch)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, x: Tensor, order: Tensor) -> Tensor:
        """Mean squared error of the hidden patches.

        Args:
            x: Windows (b, 12, n).
            order: (b, p) a random permutation of the patches for each window; the first ones stay visible.

        Returns:
            Scalar loss in float32.
        """
        encoder = self.encoder
        tokens = encoder.embed_patches(x) + encoder.positions()  # (b, 12, p/12, w)
        tokens = tokens.flatten(1, 2)  # (b, p, w)
        b, p, w = tokens.shape
        kept = order[:, : max(1, round(p * (1 - self.mask_ratio)))]  # (b, k)
        visible = tokens.gather(1, kept[:, :, None].expand(-1, -1, w))  # (b, k, w)
        visible = torch.cat([encoder.class_token(b).to(visible.dtype), visible], dim=1)  # (b, 1 + k, w)
        for block in encoder.blocks:
            visible = block(visible)
        known = self.enter(visible[:, 1:])  # (b, k, d)
        canvas = (
            self.mask_token.to(known.dtype)
            .expand(b, p, -1)
            .scatter(1, kept[:, :, None].expand(-1, -1, known.shape[2]), known)
        )  # (b, p, d)
        canvas = canvas + self.position(encoder.positions().flatten(0, 1))  # (p, d)
        for block in self.blocks:
            canvas = block(canvas)
        drawn = self.draw(self.norm(canvas)).float()  # (b, p, patch)
        return _hidden_error(drawn, x.unflatten(2, (-1, encoder.spec.patch)).flatten(1, 2), order[:, kept.shape[1] :])


def _hidden_error(drawn: Tensor, patches: Tensor, hidden: Tensor) -> Tensor:
    """Squared error on the hidden patches (b, h) of (b, p, patch) against standardised ones."""
    target = F.layer_norm(patches.float(), patches.shape[2:], eps=1e-6)
    rows = hidden[:, :, None].expand(-1, -1, patches.shape[2])
    return F.mse_loss(drawn.gather(1, rows), target.gather(1, rows))
