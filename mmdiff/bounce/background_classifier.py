"""A classifier of backgrounds without weights: for trying what a classifier leads to."""

import torch
from einops import reduce
from torch import Tensor, nn

from mmdiff.bounce.bounce import BACKGROUNDS

EDGE = 2  # pixels at the edges, which the object covers a small part of


class BackgroundClassifier(nn.Module):
    """Logits of the backgrounds, in the order of `BACKGROUNDS`: the nearer the mean color of the
    image's edges, the higher. Differentiable.

    softness: distance of colors (of a range of 0 to 1) at which a logit is -1/2.
    """

    colors: Tensor

    def __init__(self, *, softness: float = 0.1) -> None:
        super().__init__()
        if softness <= 0:
            raise ValueError(f"softness is {softness}; it must be positive, such as 0.1")
        self.softness = softness
        self.register_buffer("colors", torch.tensor(list(BACKGROUNDS.values())) / 255)

    def forward(self, images: Tensor) -> Tensor:
        """images  b 3 height width in [0, 1]  ->  b classes"""
        rows = torch.cat([images[:, :, :EDGE], images[:, :, -EDGE:]], dim=2)
        columns = torch.cat([images[..., :EDGE], images[..., -EDGE:]], dim=3)
        edges = [reduce(part, "b c h w -> b c", "mean") for part in (rows, columns)]
        color = (edges[0] + edges[1]) / 2
        away = (color[:, None] - self.colors.to(color)).square().sum(-1)
        return -away / (2 * self.softness**2)
