"""A tiny transformer behind a denoiser that counts its calls, and a clip to guide."""

import torch

from mmdiff.backbone.ablation import Ablation
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.diffusion.noise_schedule import Flow
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

TEXT_WIDTH = 8
ROWS = 3


def small_transformer(seed: int = 0) -> DiffusionTransformer:
    """Two blocks, in which every part has a say."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DiffusionTransformer(
            num_attention_heads=2,
            attention_head_dim=12,
            num_layers=2,
            ffn_ratio=2.0,
            text_dim=TEXT_WIDTH,
            video_channels=4,
            audio_channels=2,
            audio_rows=4,
        )
        for parameter in model.parameters():
            if not bool(parameter.any()):
                torch.nn.init.normal_(parameter, std=0.1)
    return model.eval().requires_grad_(False)


class Counted(Denoiser):
    """Clean estimates of the tiny transformer; remembers the rows of each of its calls."""

    def __init__(self) -> None:
        super().__init__(MODEL, Flow(), "velocity")
        self.rows: list[int] = []

    def __call__(
        self,
        latents: ClipLatents,
        time: ClipLatents,
        context: Context,
        *,
        ablation: Ablation | None = None,
    ) -> ClipLatents:
        self.rows.append(latents.batch_size)
        return super().__call__(latents, time, context, ablation=ablation)


def clip(num_latent_frames: int = 3, *, rows: int = ROWS, seed: int = 1) -> ClipLatents:
    generator = torch.Generator().manual_seed(seed)
    return ClipLatents(
        torch.randn(rows, 4, num_latent_frames, 4, 4, generator=generator),
        torch.randn(rows, 2, 4 * num_latent_frames, 4, generator=generator),
    )


def levels(video: float = 0.6, audio: float | None = None, *, rows: int = ROWS) -> ClipLatents:
    return ClipLatents(
        torch.full((rows, 1, 1, 1, 1), video),
        torch.full((rows, 1, 1, 1), video if audio is None else audio),
    )


def text(length: int, *, seed: int, rows: int = ROWS) -> Context:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(rows, length, TEXT_WIDTH, generator=generator)
    return Context(tokens, torch.ones(rows, length, dtype=torch.bool))


MODEL = small_transformer()
POSITIVE, NEGATIVE = text(5, seed=2), text(2, seed=3)
