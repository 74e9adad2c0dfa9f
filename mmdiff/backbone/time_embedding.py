"""TimeEmbedding: the noise time of each token, as what shifts and scales it (adaLN)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FREQUENCIES = 256


class TimeEmbedding(nn.Module):
    """Noise times -> an embedding and the six modulations that all blocks share
    (PixArt, arXiv 2310.00426, 2.3)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed1 = nn.Linear(FREQUENCIES, dim)
        self.embed2 = nn.Linear(dim, dim)
        self.shared = nn.Linear(dim, 6 * dim)

    def forward(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """time  ... in [0, 1] -> embedding  ... d, modulation  ... 6d."""
        waves = sinusoid(time * 1000).to(self.embed1.weight.dtype)
        embedding = self.embed2(F.silu(self.embed1(waves)))
        return embedding, self.shared(F.silu(embedding))


def sinusoid(x: Tensor) -> Tensor:
    """cos and sin of x at 128 frequencies from 1 to 1/10,000
    (Vaswani et al., arXiv 1706.03762): ... -> ... 256."""
    half = FREQUENCIES // 2
    exponent = torch.arange(half, dtype=torch.float32, device=x.device) / half
    angle = x.float()[..., None] * torch.exp(-math.log(10_000) * exponent)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
