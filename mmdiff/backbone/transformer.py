"""DiffusionTransformer: one trunk for picture and sound. The forward pass is on one screen.

Tokens lie in slices, b s n d: slice s holds the picture tokens of a stretch of time and the sound
tokens beside them. Inside a slice they attend to each other; the blocks' time attention carries
information from slice to slice.
"""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.attention import AttentionMixin
from diffusers.models.cache_utils import CacheMixin
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange, repeat
from torch import Tensor, nn

from mmdiff.backbone.ablation import Ablation
from mmdiff.backbone.adapters.audio import AudioAdapter
from mmdiff.backbone.adapters.video import VideoAdapter
from mmdiff.backbone.block import TransformerBlock, TrunkInput
from mmdiff.backbone.diffusers_hooks import register
from mmdiff.backbone.rope import rotary_table
from mmdiff.backbone.slices import SliceLayout
from mmdiff.backbone.time_embedding import TimeEmbedding
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents


class DiffusionTransformer(ModelMixin, ConfigMixin, AttentionMixin, PeftAdapterMixin, CacheMixin):  # type: ignore[misc]
    """A diffusion transformer (Peebles and Xie, arXiv 2212.09748) over clips with sound.

    Args:
        num_attention_heads, attention_head_dim: their product is the width of the trunk.
        num_layers: blocks.
        ffn_ratio: width of the feed-forward layers over the width of the trunk.
        text_dim: width of the text tokens.
        video_channels, patch_size: of the picture latents;
            a token is patch_size x patch_size sites of a latent frame.
        audio_channels, audio_rows, audio_patch_size: of the sound latents; a token is
            audio_patch_size latent frames.
        frames_per_slice: latent frames of the picture in a slice;
            None: all of them (full joint attention).
        time_attention_every: every how many blocks there is attention over time.
        frame_rate, time_compression, audio_latent_rate: of the clips and their latents,
            per second of the clip.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["TransformerBlock"]
    _repeated_blocks = ["TransformerBlock"]
    _skip_layerwise_casting_patterns = ["norm", "embed", "time", "table", "proj_out"]
    _keep_in_fp32_modules = ["time_embed", "table"]
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
        dim = num_attention_heads * attention_head_dim
        frame_seconds = time_compression / frame_rate
        self.video = VideoAdapter(
            video_channels, patch_size, dim, frame_seconds=frame_seconds, frame_rate=frame_rate
        )
        self.audio = AudioAdapter(
            audio_channels,
            audio_rows,
            audio_patch_size,
            dim,
            frames_beside=round(audio_latent_rate * frame_seconds),
            frame_seconds=frame_seconds,
            frame_rate=frame_rate,
        )
        self.text_embed = nn.Sequential(
            nn.Linear(text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embed = TimeEmbedding(dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                dim,
                num_attention_heads,
                round(ffn_ratio * dim),
                positions_per_second=1 / frame_seconds,
                has_time_attention=(index + 1) % time_attention_every == 0,
            )
            for index in range(num_layers)
        )
        self.gradient_checkpointing = False

    def forward(
        self,
        latents: ClipLatents,
        time: ClipLatents,
        context: Context,
        *,
        ablation: Ablation | None = None,
    ) -> ClipLatents:
        """Predict what the noise level `time` hides, for the modalities that are there.

        Args:
            latents: video  b c f h w, audio  b c t m; either may be None.
            time: noise level of each token, 0 clean to 1 noise;
                video  b 1 f h w, audio  b 1 t m, axes of 1 allowed.
            context: text tokens  b l text_dim and their mask.
            ablation: what to cut, per row of the batch, for a weaker prediction.
        """
        video = None if latents.video is None else self.video.embed(latents.video)  # b f p d
        audio = None if latents.audio is None else self.audio.embed(latents.audio)  # b f a d
        layout = self.layout(video, audio)
        embeddings, trunk = self.trunk_input(latents, time, context, layout, ablation)

        x = layout.pack(video, audio)  # b s n d
        for index, block in enumerate(self.blocks):
            y = self._run(block, x, trunk)
            x = y if ablation is None else _keep_cut_rows(x, y, index, ablation)
        video, audio = layout.unpack(x)  # b f p d

        return ClipLatents(
            None
            if latents.video is None
            else self.video.unembed(video, embeddings[0], latents.video.shape),
            None
            if latents.audio is None
            else self.audio.unembed(audio, embeddings[1], latents.audio.shape),
        )

    def layout(self, video: Tensor | None, audio: Tensor | None) -> SliceLayout:
        """How tokens b f p d lie in slices;
        ValueError if picture and sound last differently long."""
        frames = [half.shape[1] for half in (video, audio) if half is not None]
        if len(set(frames)) != 1:
            raise ValueError(
                f"the picture has {frames[0]} latent frames and the sound lasts for {frames[1]}; "
                "they must be as long"
                if frames
                else "these latents have neither picture nor sound"
            )
        return SliceLayout(
            latent_frames=frames[0],
            frames_per_slice=min(self.config.frames_per_slice or frames[0], frames[0]),
            video_sites=0 if video is None else video.shape[2],
            audio_tokens=0 if audio is None else audio.shape[2],
        )

    def trunk_input(
        self,
        latents: ClipLatents,
        time: ClipLatents,
        context: Context,
        layout: SliceLayout,
        ablation: Ablation | None,
    ) -> tuple[tuple[Tensor | None, Tensor | None], TrunkInput]:
        """The time embedding of each modality (b f|1 p|1 d), and what all blocks share."""
        embeddings, modulations, positions = [], [], []
        for adapter, half, level, sites in (
            (self.video, latents.video, time.video, layout.video_sites),
            (self.audio, latents.audio, time.audio, layout.audio_tokens),
        ):
            if half is None or level is None:
                embeddings.append(None), modulations.append(None), positions.append(None)
                continue
            embedding, modulation = self.time_embed(adapter.patchify_time(level))
            embeddings.append(embedding)
            modulations.append(layout.fold_levels(modulation, sites))
            positions.append(adapter.positions(half.shape, half.device))
        first = [x[: layout.frames_per_slice] for x in positions if x is not None]
        scale = torch.tensor(
            [1 / self.video.frame_seconds, *self.rotary_canvas(latents)], device=first[0].device
        )
        in_slice = torch.cat([rearrange(x, "f p axes -> (f p) axes") for x in first]) * scale
        return (embeddings[0], embeddings[1]), TrunkInput(
            layout=layout,
            modulation=(modulations[0], modulations[1]),
            rotary=rotary_table(in_slice, self.config.attention_head_dim),
            visible=visible(layout, context.batch_size, ablation, in_slice.device),
            seconds=(_seconds(positions[0]), _seconds(positions[1])),
            context=self.text_embed(context.tokens),
            context_mask=None if bool(context.mask.all()) else context.mask[:, None, None, :],
            ablation=ablation,
        )

    def rotary_canvas(self, latents: ClipLatents) -> tuple[float, float]:
        """Rows and columns of tokens on the canvas, so that rotary positions count tokens."""
        if latents.video is None:
            return 1.0, 1.0
        return tuple(float(side // self.video.patch_size) for side in latents.video.shape[-2:])

    def _run(self, block: nn.Module, x: Tensor, trunk: TrunkInput) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(block, x, trunk)
        return block(x, trunk)


def visible(
    layout: SliceLayout, batch_size: int, ablation: Ablation | None, device: torch.device
) -> Tensor | None:
    """(b s) 1 n n, bool: which tokens of a slice see which; None if all see all."""
    real = layout.visible(device)
    isolated = None if ablation is None else ablation.without_view
    if real is None and isolated is None:
        return None
    tokens = layout.video_tokens + layout.frames_per_slice * layout.audio_tokens
    sees = torch.ones(
        batch_size, layout.num_slices, tokens, tokens, dtype=torch.bool, device=device
    )
    if real is not None:
        sees &= real[None, :, None, :]
    if isolated is not None:
        is_video = torch.arange(tokens, device=device) < layout.video_tokens
        sees &= (is_video[:, None] == is_video) | ~isolated.to(device)[:, None, None, None]
    return rearrange(sees, "b s n m -> (b s) 1 n m")


def _keep_cut_rows(before: Tensor, after: Tensor, index: int, ablation: Ablation) -> Tensor:
    """The rows of which block `index` is cut keep what went into it."""
    if ablation.without_blocks is None or index not in ablation.blocks:
        return after
    return torch.where(
        repeat(ablation.without_blocks.to(after.device), "b -> b 1 1 1"), before, after
    )


def _seconds(positions: Tensor | None) -> Tensor | None:
    return None if positions is None else positions[..., 0]


register()
