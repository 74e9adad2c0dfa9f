import torch
from torch import nn

from mmdiff.backbone.rms_norm import RMSNorm


def test_values_and_gradients_are_those_of_torch() -> None:
    torch.manual_seed(0)
    ours, oracle = RMSNorm(12, eps=1e-6), nn.RMSNorm(12, eps=1e-6)
    weight = torch.randn(12)
    results = []
    for norm in (ours, oracle):
        norm.weight.data.copy_(weight)
        x = torch.randn(3, 5, 12, generator=torch.Generator().manual_seed(1), requires_grad=True)
        y = norm(x)
        (y * torch.linspace(-1, 1, 12)).square().sum().backward()
        results.append((y, x.grad, norm.weight.grad))
    for left, right in zip(*results, strict=True):
        assert torch.allclose(left, right, rtol=1e-4, atol=1e-5)


def test_other_precisions_are_kept() -> None:
    assert RMSNorm(8)(torch.randn(2, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16
