"""A tokenizer and the encoder that reads its tokens, which only make sense together."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from torch import nn

from mmdiff.text.caption_length import (
    USUAL_TEXT_TOKENS,
    caption_length,
    cut_captions,
)
from mmdiff.text.encoder import small_text_encoder
from mmdiff.text.pretrained import pretrained_text_encoder
from mmdiff.text.tokenizer import train_tokenizer
from mmdiff.text.words import keep_words
from mmdiff.values.file_path import FilePath


class Captioned(Protocol):
    def captions(self) -> Iterable[str]: ...


@dataclass(frozen=True)
class TextModel:
    """What turns prompts into a context. After how many tokens a prompt is cut is said by the
    tokenizer, here and wherever it is saved with.

    is_trained: along with the backbone; otherwise it stays as it is, and what it makes of captions
        may be cached.
    """

    tokenizer: Any
    text_encoder: nn.Module
    is_trained: bool = True

    def __post_init__(self) -> None:
        self.text_encoder.train(self.is_trained)
        if not self.is_trained:
            self.text_encoder.requires_grad_(False)


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
    max_length: int = USUAL_TEXT_TOKENS,
) -> TextModel:
    """A tokenizer trained on the first captions of `dataset` (always the same one), and a new small
    encoder for it; captions are cut after `max_length` tokens."""
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
    cut_captions(tokenizer, max_length)
    return TextModel(tokenizer, encoder)


def pretrained_text_model(
    pretrained: FilePath, *, is_trained: bool = False, max_length: int | None = None
) -> TextModel:
    """A text encoder of transformers and its tokenizer, of any family (T5, UMT5, BERT, CLIP, Gemma,
    Qwen, ...), used as it is or trained along.

    pretrained: a folder that save_pretrained wrote, one with text_encoder/ and tokenizer/, or the
        name of a repository of the hub.
    max_length: captions are cut after as many tokens, or as the encoder reads if that is less;
        None: as the tokenizer says (512 where it does not).

    Raises CheckpointError for what is damaged, unsafe, or no text encoder.
    """
    tokenizer, encoder = pretrained_text_encoder(pretrained)
    wanted = caption_length(tokenizer) if max_length is None else max_length
    cut_captions(tokenizer, min(wanted, tokenizer.model_max_length))
    return TextModel(tokenizer, encoder, is_trained)
