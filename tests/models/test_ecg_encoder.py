"""Attention of the ECG transformer: whichever way is the fastest gives the same numbers."""

import pytest
import torch
import torch.nn.functional as F

from echo2ecg_core.models import ecg_encoder


@pytest.mark.parametrize("largest", [0, ecg_encoder.LARGEST_SCORES], ids=["fused kernel", "two products"])
def test_bfloat16_attention_and_its_gradients_are_those_of_float32_within_its_precision(monkeypatch, largest):
    monkeypatch.setattr(ecg_encoder, "LARGEST_SCORES", largest)
    torch.manual_seed(0)
    exact = [torch.randn(3, 2, 40, 32, requires_grad=True) for _ in range(3)]
    coarse = [x.detach().bfloat16().requires_grad_() for x in exact]
    weights = torch.randn(3, 2, 40, 32)
    expected, found = F.scaled_dot_product_attention(*exact), ecg_encoder.attend(*coarse)
    (expected * weights).sum().backward()
    (found.float() * weights).sum().backward()
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, atol=0.02)
    for a, b in zip(coarse, exact, strict=True):
        assert (a.grad.float() - b.grad).norm() < 0.02 * b.grad.norm()


def test_float32_attention_is_softmax_of_scaled_products_times_values():
    torch.manual_seed(1)
    q, k, v = (torch.randn(2, 3, 7, 8) for _ in range(3))
    slow = torch.stack(
        [torch.stack([(q[b, h] @ k[b, h].T / 8**0.5).softmax(1) @ v[b, h] for h in range(3)]) for b in range(2)]
    )
    assert torch.allclose(ecg_encoder.attend(q, k, v), slow, atol=1e-5)
