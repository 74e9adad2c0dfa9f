"""A tokenizer and the encoder that reads its tokens, which only make sense together."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from torch import nn

from mmdiff.text.encoder import small_text_encoder
from mmdiff.text.tokenizer import train_tokenizer
from mmdiff.text.words import keep_words


class Captioned(Protocol):
    def captions(self) -> Iterable[str]: ...


@dataclass(frozen=True)
class TextModel:
    """What turns prompts into a context; a prompt is cut after `max_length` tokens.

    is_trained: along with the backbone; otherwise it stays as it is, and what it makes of captions
        may be cached.
    """

    tokenizer: Any
    text_encoder: nn.Module
    max_length: int = 64
    is_trained: bool = True


def small_text_model(
    dataset: Captioned,
    vocab_size: int = 1024,
    *,
    num_captions: int = 20_000,
    d_model: int = 192,
    num_layers: int = 3,
    num_heads: int = 6,
    d_kv: int = 32,
    d_ff: int = 512,
    max_length: int = 64,
) -> TextModel:
    """A tokenizer trained on the first captions of `dataset` (always the same one), and a new small
    encoder for it."""
    captions = list(islice(dataset.captions(), num_captions))
    tokenizer = train_tokenizer(captions, vocab_size)
    keep_words(tokenizer, captions)
    encoder = small_text_encoder(
        len(tokenizer),
        d_model=d_model,
        num_layers=num_layers,
        num_heads=num_heads,
        d_kv=d_kv,
        d_ff=d_ff,
    )
    return TextModel(tokenizer, encoder, max_length)
