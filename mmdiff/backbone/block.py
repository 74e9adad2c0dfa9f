"""TransformerBlock: one block of the shared trunk.
It takes and returns one tensor, the tokens in their slices."""

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.backbone.adapters.time_attention import AudioTimeAttention, VideoTimeAttention
from mmdiff.backbone.attention import Attention
from mmdiff.backbone.trunk_input import TrunkInput


class TransformerBlock(nn.Module):
    """Self-attention inside the slice, cross-attention to text, attention over time, feed-forward.

    The order, the norms and the modulation are those of a Wan block (arXiv 2503.20314);
    the attention over time is ours.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        ffn_dim: int,
        *,
        positions_per_second: float,
        has_time_attention: bool = True,
    ) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(2, 6, dim) / dim**0.5)
        self.attn1 = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = Attention(dim, num_heads, context_dim=dim)
        self.video_time: VideoTimeAttention | None = None
        self.audio_time: AudioTimeAttention | None = None
        if has_time_attention:
            rate = positions_per_second
            self.video_time = VideoTimeAttention(dim, num_heads, positions_per_second=rate)
            self.audio_time = AudioTimeAttention(dim, num_heads, positions_per_second=rate)
        self.ffn = nn.Sequential(
            nn.Linear(dim, ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(ffn_dim, dim)
        )

    def forward(self, hidden_states: Tensor, trunk: TrunkInput) -> Tensor:
        x, slices = hidden_states, hidden_states.shape[1]  # b s n d
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulate(trunk, x.dtype)

        h = torch.addcmul(shift1, F.layer_norm(x, x.shape[-1:]), 1 + scale1)
        h = self.attn1(
            rearrange(h, "b s n d -> (b s) n d"),
            attention_mask=trunk.visible,
            rotary_emb=trunk.rotary,
        )
        x = torch.addcmul(x, rearrange(h, "(b s) n d -> b s n d", s=slices), gate1)

        h = rearrange(self.norm2(x), "b s n d -> b (s n) d")
        h = self.attn2(h, trunk.context, attention_mask=trunk.context_mask)
        x = x + rearrange(h, "b (s n) d -> b s n d", s=slices)

        x = self.carry_time(x, trunk)

        h = torch.addcmul(shift2, F.layer_norm(x, x.shape[-1:]), 1 + scale2)
        return torch.addcmul(x, self.ffn(h), gate2)

    def modulate(self, trunk: TrunkInput, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The shared modulation plus this block's table, per modality: six of b s|1 n d."""
        layout = trunk.layout
        counts = (layout.video_tokens, layout.frames_per_slice * layout.audio_tokens)
        parts = []
        for modality, count, table in zip(trunk.modulation, counts, self.table, strict=True):
            if modality is not None:
                # the sum in fp32, where the weights are kept so
                part = (modality + table).to(dtype)
                parts.append(part.expand(-1, -1, count, -1, -1))
        slices = max(part.shape[1] for part in parts)
        return torch.cat([part.expand(-1, slices, -1, -1, -1) for part in parts], dim=2).unbind(3)

    def carry_time(self, x: Tensor, trunk: TrunkInput) -> Tensor:
        """x  b s n d plus what the adapters of its modalities bring from other slices."""
        if self.video_time is None or self.audio_time is None:
            return x
        video, audio = trunk.layout.unpack(x)
        h = trunk.layout.pack_tokens(
            None if video is None else self.video_time(video, trunk.seconds[0]),
            None if audio is None else self.audio_time(audio, trunk.seconds[1]),
        )
        if trunk.ablation is not None and trunk.ablation.without_time is not None:
            kept = ~trunk.ablation.without_time.to(x.device)
            h = h * repeat(kept.to(h), "b -> b 1 1 1")
        return x + h
