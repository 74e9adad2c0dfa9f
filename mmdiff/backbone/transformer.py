"""DiffusionTransformer: one trunk for video and audio. The forward pass is on one screen.

Tokens lie in groups, b s n d: group s holds the video tokens of a span of time and the audio tokens
of the same span. Inside a group they attend to each other; the temporal attention of the blocks
carries information from group to group.
"""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.attention import AttentionMixin
from diffusers.models.modeling_utils import ModelMixin
from einops import repeat
from torch import Tensor, nn

from mmdiff.backbone.ablation import Ablation
from mmdiff.backbone.adapters.adapter import Adapter
from mmdiff.backbone.adapters.audio import AudioAdapter
from mmdiff.backbone.adapters.video import VideoAdapter
from mmdiff.backbone.block import TransformerBlock
from mmdiff.backbone.diffusers_hooks import NamedCaches, register
from mmdiff.backbone.rope import rotary_table
from mmdiff.backbone.time_embedding import TimeEmbedding
from mmdiff.backbone.trunk_input import (
    ModalityTokens,
    TrunkInput,
    group_layout,
    group_positions,
    visible,
)
from mmdiff.values.checks import MOST_LAYERS, check_sizes, check_weights
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

SIZES = (
    "num_attention_heads",
    "attention_head_dim",
    "text_dim",
    "video_channels",
    "patch_size",
    "audio_channels",
    "audio_rows",
    "audio_patch_size",
    "time_attention_every",
    "time_compression",
)
RATES = ("ffn_ratio", "frame_rate", "audio_latent_rate")


class DiffusionTransformer(ModelMixin, ConfigMixin, AttentionMixin, PeftAdapterMixin, NamedCaches):  # type: ignore[misc]
    """A diffusion transformer (Peebles and Xie, arXiv 2212.09748) over clips with sound.

    Args:
        num_attention_heads, attention_head_dim: their product is the width of the trunk.
        num_layers: blocks.
        ffn_ratio: width of the feed-forward layers over the width of the trunk.
        text_dim: width of the text tokens.
        video_channels, patch_size: of the video latents;
            a token is patch_size x patch_size sites of a latent frame.
        audio_channels, audio_rows, audio_patch_size: of the audio latents; a token is
            audio_patch_size latent frames.
        frames_per_slice: latent frames of the video in a group;
            None: all of them (full joint attention).
        time_attention_every: every how many blocks there is temporal attention.
        frame_rate, time_compression, audio_latent_rate: of the clips and their latents,
            per second of the clip.

    Raises ValueError for sizes that no layer can have.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["TransformerBlock"]
    _repeated_blocks = ["TransformerBlock"]
    _skip_layerwise_casting_patterns = ["norm", "embed", "time", "table", "proj_out"]
    _keep_in_fp32_modules = ["time_embed", "table"]  # bf16 tells few times in [0, 1000] apart
    _skip_keys = None

    @register_to_config
    def __init__(
        self,
        num_attention_heads: int = 8,
        attention_head_dim: int = 32,
        num_layers: int = 8,
        ffn_ratio: float = 4.0,
        text_dim: int = 192,
        video_channels: int = 16,
        patch_size: int = 2,
        audio_channels: int = 8,
        audio_rows: int = 16,
        audio_patch_size: int = 1,
        frames_per_slice: int | None = 1,
        time_attention_every: int = 1,
        frame_rate: float = 16.0,
        time_compression: int = 4,
        audio_latent_rate: float = 16.0,
    ) -> None:
        super().__init__()
        _check_settings(self.config)
        dim = num_attention_heads * attention_head_dim
        frame_seconds = time_compression / frame_rate
        adapters = self.make_adapters(dim, frame_seconds=frame_seconds)
        self.modalities = tuple(adapters)
        for name, adapter in adapters.items():
            self.add_module(name, adapter)
        self.text_embed = nn.Sequential(
            nn.Linear(text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embed = TimeEmbedding(dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                dim,
                num_attention_heads,
                round(ffn_ratio * dim),
                time_attention={name: one.time_attention for name, one in adapters.items()},
                positions_per_second=1 / frame_seconds,
                has_time_attention=(index + 1) % time_attention_every == 0,
            )
            for index in range(num_layers)
        )
        self.gradient_checkpointing = False

    def make_adapters(self, dim: int, *, frame_seconds: float) -> dict[str, Adapter]:
        """The adapter of each modality, in the order of their tokens in a group; a subclass adds
        its own. Each is held under its name.

        frame_seconds: the span of a video latent frame.
        """
        config = self.config
        return {
            "video": VideoAdapter(
                config.video_channels,
                config.patch_size,
                dim,
                frame_seconds=frame_seconds,
                frame_rate=config.frame_rate,
            ),
            "audio": AudioAdapter(
                config.audio_channels,
                config.audio_rows,
                config.audio_patch_size,
                dim,
                frames_per_group=round(config.audio_latent_rate * frame_seconds),
                frame_seconds=frame_seconds,
                frame_rate=config.frame_rate,
            ),
        }

    def forward(
        self,
        latents: ClipLatents,
        time: ClipLatents,
        context: Context,
        *,
        ablation: Ablation | None = None,
    ) -> ClipLatents:
        """Predict the clean latents, or the velocity, of the modalities that are there.

        Args:
            latents: video  b c f h w, audio  b c t m; either may be None.
            time: noise time of each token, 0 clean to 1 noise;
                video  b 1 f h w, audio  b 1 t m, axes of 1 allowed.
            context: text tokens  b l text_dim and their mask.
            ablation: what to cut, per row of the batch, for a perturbed prediction.
        """
        tokens = {
            name: getattr(self, name).embed(part, time.get(name), self.time_embed)
            for name, part in latents.items()
        }
        trunk = self.trunk_input(tokens, context, ablation)

        x = trunk.layout.pack({name: part.tokens for name, part in tokens.items()})  # b s n d
        for index, block in enumerate(self.blocks):
            y = self._run(block, x, trunk)
            x = y if ablation is None else _keep_cut_rows(x, y, index, ablation)
        unpacked = trunk.layout.unpack(x)  # b f p d, by modality

        return ClipLatents.of(
            {
                name: getattr(self, name).unembed(unpacked[name], tokens[name], part.shape)
                for name, part in latents.items()
            }
        )

    def trunk_input(
        self,
        tokens: Mapping[str, ModalityTokens],
        context: Context,
        ablation: Ablation | None,
    ) -> TrunkInput:
        """What all blocks share of a clip, a prompt and an ablation."""
        layout = group_layout(tokens, frames_per_group=self.config.frames_per_slice)
        positions = group_positions(layout, tokens, frame_seconds=self.video.frame_seconds)
        return TrunkInput(
            layout=layout,
            modulation={
                name: layout.fold_modulation(name, part.modulation) for name, part in tokens.items()
            },
            rotary=rotary_table(positions, self.config.attention_head_dim),
            visible=visible(layout, context.batch_size, ablation, positions.device),
            seconds={name: part.seconds for name, part in tokens.items()},
            context=self.text_embed(context.tokens),
            # without a mask, kernels that take none (flash attention) can be chosen
            context_mask=None if bool(context.mask.all()) else context.mask[:, None, None, :],
            ablation=ablation,
        )

    def _run(self, block: nn.Module, x: Tensor, trunk: TrunkInput) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(block, x, trunk)
        return block(x, trunk)


def _check_settings(config: Mapping[str, Any]) -> None:
    check_sizes(**{name: config[name] for name in SIZES})
    check_sizes(most=MOST_LAYERS, num_layers=config["num_layers"])
    check_weights(above=True, **{name: config[name] for name in RATES})
    if config["frames_per_slice"] is not None:
        check_sizes(frames_per_slice=config["frames_per_slice"])
    if config["attention_head_dim"] % 2:
        raise ValueError(
            f"attention_head_dim is {config['attention_head_dim']}; it must be even, since "
            f"positions turn pairs: {config['attention_head_dim'] + 1}"
        )


def _keep_cut_rows(before: Tensor, after: Tensor, index: int, ablation: Ablation) -> Tensor:
    """The rows of which block `index` is cut keep what went into it."""
    if ablation.without_blocks is None or index not in ablation.blocks:
        return after
    return torch.where(
        repeat(ablation.without_blocks.to(after.device), "b -> b 1 1 1"), before, after
    )


register()  # on import, so that a backbone from any place is known to diffusers' caches
