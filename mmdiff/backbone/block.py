"""TransformerBlock: one block of the shared trunk.
It takes and returns one tensor, the tokens in their groups."""

from collections.abc import Mapping

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.backbone.adapters.time_attention import TimeAttention
from mmdiff.backbone.attention import Attention
from mmdiff.backbone.trunk_input import TrunkInput


class TransformerBlock(nn.Module):
    """Self-attention inside the group, cross-attention to text, temporal attention, feed-forward.

    The order, the norms and the modulation are those of a Wan block (arXiv 2503.20314);
    the temporal attention is ours.

    time_attention: modality -> the class of its temporal attention, held as `NAME_time`; also where
        `has_time_attention` is false, for the modalities.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        ffn_dim: int,
        *,
        time_attention: Mapping[str, type[TimeAttention]],
        positions_per_second: float,
        has_time_attention: bool = True,
    ) -> None:
        super().__init__()
        self.modalities = tuple(time_attention)
        self.has_time_attention = has_time_attention
        self.table = nn.Parameter(torch.randn(len(self.modalities), 6, dim) / dim**0.5)
        self.attn1 = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = Attention(dim, num_heads, context_dim=dim)
        for name, attention in time_attention.items():
            layer = None
            if has_time_attention:
                layer = attention(dim, num_heads, positions_per_second=positions_per_second)
            self.add_module(f"{name}_time", layer)
        self.ffn = nn.Sequential(
            nn.Linear(dim, ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(ffn_dim, dim)
        )

    def forward(self, hidden_states: Tensor, trunk: TrunkInput) -> Tensor:
        x, groups = hidden_states, hidden_states.shape[1]  # b s n d
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulate(trunk, x.dtype)

        # adaLN: x + gate f(shift + (1 + scale) norm(x)) (Peebles and Xie, arXiv 2212.09748, 3.2)
        h = torch.addcmul(shift1, F.layer_norm(x, x.shape[-1:]), 1 + scale1)
        h = self.attn1(
            rearrange(h, "b s n d -> (b s) n d"),
            attention_mask=trunk.visible,
            rotary_emb=trunk.rotary,
        )
        x = torch.addcmul(x, rearrange(h, "(b s) n d -> b s n d", s=groups), gate1)

        # the text is the same for all groups, so they ask it in one call
        h = rearrange(self.norm2(x), "b s n d -> b (s n) d")
        h = self.attn2(h, trunk.context, attention_mask=trunk.context_mask)
        x = x + rearrange(h, "b (s n) d -> b s n d", s=groups)

        x = self.carry_time(x, trunk)  # the one place where groups learn of each other

        h = torch.addcmul(shift2, F.layer_norm(x, x.shape[-1:]), 1 + scale2)
        return torch.addcmul(x, self.ffn(h), gate2)

    def modulate(self, trunk: TrunkInput, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The shared modulation plus this block's table, per modality: six of b s|1 n d."""
        parts = []
        for name, size in trunk.layout.sizes.items():
            table = self.table[self.modalities.index(name)]
            # the sum in fp32, where the weights are kept so
            part = (trunk.modulation[name] + table).to(dtype)
            parts.append(part.expand(-1, -1, size, -1, -1))
        groups = max(part.shape[1] for part in parts)
        return torch.cat([part.expand(-1, groups, -1, -1, -1) for part in parts], dim=2).unbind(3)

    def carry_time(self, x: Tensor, trunk: TrunkInput) -> Tensor:
        """x  b s n d plus what temporal attention brings from other groups."""
        if not self.has_time_attention:
            return x
        h = trunk.layout.pack(
            {
                name: getattr(self, f"{name}_time")(part, trunk.seconds[name])
                for name, part in trunk.layout.unpack(x).items()
            }
        )
        if trunk.ablation is not None and trunk.ablation.without_time is not None:
            kept = ~trunk.ablation.without_time.to(x.device)
            h = h * repeat(kept.to(h), "b -> b 1 1 1")
        return x + h
