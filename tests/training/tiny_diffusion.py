"""The smallest diffusion module: transformer and text encoder of a few thousand weights."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.training.diffusion_module import DiffusionModule
from mmdiff.training.optimizers import MuonAdamW
from mmdiff.training.schedules import Constant
from mmdiff.training.text_model import small_text_model

CAPTIONS = ("a red circle", "a blue square")


class Captions:
    def captions(self) -> Sequence[str]:
        return CAPTIONS


def tiny_diffusion(*, perturbation: float = 0.0, **settings: Any) -> DiffusionModule:
    """The same weights each time; `perturbation` moves what starts at zero, so that all of it has
    a gradient."""
    torch.manual_seed(0)
    text = small_text_model(
        Captions(), 260, d_model=16, num_layers=1, num_heads=2, d_kv=8, d_ff=16, max_length=16
    )
    transformer = DiffusionTransformer(
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=2,
        text_dim=16,
        video_channels=4,
        audio_channels=2,
        audio_rows=4,
    )
    if perturbation:
        with torch.no_grad():
            for parameter in transformer.parameters():
                parameter += perturbation * torch.randn_like(parameter)
    optimizer = partial(MuonAdamW, lr=3e-3, adamw_lr=3e-3)
    chosen = {"optimizer": optimizer, "lr_scheduler": Constant, "seed": 0, **settings}
    return DiffusionModule(transformer, text, DiffusionObjective(), **chosen)
