"""Attention: the one module for attention inside a group, over time, and to text."""

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from einops import rearrange
from torch import Tensor, nn

from mmdiff.backbone.rms_norm import RMSNorm
from mmdiff.backbone.rope import rotate


class AttentionProcessor:
    """Computes `Attention`;
    a class of its own so that diffusers can exchange backends and count layers."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: "Attention",
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Tensor | None = None,
    ) -> Tensor:
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.norm_q(attn.to_q(hidden_states))
        key = attn.norm_k(attn.to_k(source))
        query, key, value = (
            rearrange(x, "b n (k d) -> b n k d", k=attn.heads)  # as diffusers' backends take them
            for x in (query, key, attn.to_v(source))
        )
        if rotary_emb is not None:
            query, key = rotate(query, rotary_emb), rotate(key, rotary_emb)
        if attn.training and self._attention_backend is None and _is_short_on_cpu(query, key):
            mixed = plain_attention(query, key, value, attention_mask)
        else:
            mixed = dispatch_attention_fn(
                query,
                key,
                value,
                attn_mask=attention_mask,
                backend=self._attention_backend,
                # ranks that split the tokens have all of the text
                parallel_config=self._parallel_config if encoder_hidden_states is None else None,
            )
        return attn.to_out[1](attn.to_out[0](rearrange(mixed, "b n k d -> b n (k d)")))


class Attention(nn.Module, AttentionModuleMixin):
    """Multi-head attention with RMSNorm on queries and keys, over all heads together as in Wan.

    Args:
        context_dim: width of what is attended to, if that is another sequence (cross-attention).
    """

    _default_processor_cls = AttentionProcessor
    _available_processors = [AttentionProcessor]
    processor: AttentionProcessor

    def __init__(self, dim: int, num_heads: int, *, context_dim: int | None = None) -> None:
        super().__init__()
        self.heads, self.inner_dim, self.use_bias = num_heads, dim, True
        self.is_cross_attention = context_dim is not None
        source_dim = dim if context_dim is None else context_dim
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(source_dim, dim)
        self.to_v = nn.Linear(source_dim, dim)
        self.norm_q = RMSNorm(dim, eps=1e-6)
        self.norm_k = RMSNorm(dim, eps=1e-6)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim), nn.Dropout(0.0)])
        AttentionModuleMixin.set_processor(self, AttentionProcessor())

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Tensor | None = None,
    ) -> Tensor:
        """hidden_states  b n d; encoder_hidden_states  b l d;
        attention_mask  broadcastable to b k n l, True = look; rotary_emb  n head_dim/2, complex."""
        return self.processor(
            self, hidden_states, encoder_hidden_states, attention_mask, rotary_emb
        )


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """softmax(q k / sqrt(d)) v of b n k d: on a CPU, up to 512 tokens, its backward pass is several
    times as fast as that of the fused kernel."""
    query, key, value = (rearrange(x, "b n k d -> b k n d") for x in (query, key, value))
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    if mask is not None:
        # not -inf: a row without any key to look at would become NaN
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return rearrange(scores.softmax(dim=-1) @ value, "b k n d -> b n k d")


def _is_short_on_cpu(query: Tensor, key: Tensor) -> bool:
    return query.device.type == "cpu" and max(query.shape[1], key.shape[1]) <= 512
