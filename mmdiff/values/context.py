"""Context: what the prompt says, as tokens for cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Context:
    """Text tokens and which of them count.

    tokens  b l d
    mask    b l, bool, True where there is text
    """

    tokens: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        if self.tokens.ndim != 3 or self.mask.shape != self.tokens.shape[:2]:
            raise ValueError(
                f"tokens are {tuple(self.tokens.shape)} and the mask is {tuple(self.mask.shape)}; "
                "they must be b l d and b l"
            )

    @property
    def batch_size(self) -> int:
        return self.tokens.shape[0]

    def to(self, *args: Any, **kwargs: Any) -> Context:
        """Like `Tensor.to` on the tokens; the mask only changes device."""
        tokens = self.tokens.to(*args, **kwargs)
        return Context(tokens, self.mask.to(tokens.device))

    def __getitem__(self, rows: slice | Tensor) -> Context:
        return Context(self.tokens[rows], self.mask[rows])

    def repeat(self, count: int) -> Context:
        """The whole batch `count` times, one after the other."""
        return Context(torch.cat([self.tokens] * count), torch.cat([self.mask] * count))

    def repeat_interleave(self, count: int) -> Context:
        """Each row `count` times in a row."""
        return Context(
            self.tokens.repeat_interleave(count, dim=0), self.mask.repeat_interleave(count, dim=0)
        )

    def replace_rows(self, rows: Tensor, other: Context) -> Context:
        """The context of `other` in the rows where `rows` (b, bool) is True:
        dropped captions, for instance."""
        if other.batch_size == 1:
            other = other.repeat(self.batch_size)
        length = max(self.tokens.shape[1], other.tokens.shape[1])
        ours, theirs = self.pad_to(length), other.pad_to(length)
        return Context(
            torch.where(rows[:, None, None], theirs.tokens, ours.tokens),
            torch.where(rows[:, None], theirs.mask, ours.mask),
        )

    def pad_to(self, length: int) -> Context:
        """Masked zero tokens at the end, up to `length` tokens."""
        missing = length - self.tokens.shape[1]
        if missing <= 0:
            return self
        return Context(
            torch.nn.functional.pad(self.tokens, (0, 0, 0, missing)),
            torch.nn.functional.pad(self.mask, (0, missing), value=False),
        )

    @classmethod
    def cat(cls, contexts: Sequence[Context]) -> Context:
        """One batch of several, padded to the longest."""
        length = max(context.tokens.shape[1] for context in contexts)
        padded = [context.pad_to(length) for context in contexts]
        return cls(
            torch.cat([context.tokens for context in padded]),
            torch.cat([context.mask for context in padded]),
        )
