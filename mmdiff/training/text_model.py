"""TextModel: a tokenizer and the encoder that reads its tokens, which only make sense together."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mmdiff.text.encoder import encode_prompts, small_text_encoder
from mmdiff.text.pretrained import pretrained_text_encoder, saved_text_encoder
from mmdiff.text.tokenizer import (
    MAX_TEXT_TOKENS,
    USUAL_TEXT_TOKENS,
    caption_length,
    cut_captions,
    keep_words,
    train_tokenizer,
)
from mmdiff.values.context import Context
from mmdiff.values.file_path import FilePath


class Captioned(Protocol):
    def captions(self) -> Iterable[str]: ...


class TextModel:
    """What turns captions into a context. After how many tokens a caption is cut is said by the
    tokenizer, here and wherever it is saved with.

    No module, so that an encoder that is not trained stays out of checkpoints and averages.

    is_trained: along with the backbone; otherwise it stays as it is, and what it makes of captions
        may be cached.
    """

    def __init__(self, tokenizer: Any, text_encoder: nn.Module, is_trained: bool = True) -> None:
        self.tokenizer, self.is_trained = tokenizer, is_trained
        self.text_encoder = text_encoder.train(is_trained)
        if not is_trained:
            text_encoder.requires_grad_(False)
        self._null: Context | None = None

    def read(
        self,
        captions: Sequence[str],
        device: torch.device,
        *,
        dropped: Tensor | None = None,
        cached: Context | None = None,
        encoder: nn.Module | None = None,
    ) -> Context:
        """The context of the captions, and of the empty prompt where they are `dropped` (b, bool).

        cached: what a frozen encoder has made of the captions before.
        encoder: reads them instead, the averaged one for instance.

        Raises ValueError where the encoder is trained and what it reads comes from a cache.
        """
        dropped = torch.zeros(len(captions), dtype=torch.bool) if dropped is None else dropped
        if cached is None:
            pairs = zip(captions, dropped.tolist(), strict=True)
            prompts = ["" if is_dropped else caption for caption, is_dropped in pairs]
            return self._encode(prompts, device, encoder or self.text_encoder)
        self._check_cached(cached)
        if self._null is None:
            self._null = self._encode([""], device, self.text_encoder)
        return cached.to(device).replace_rows(dropped.to(device), self._null)

    def _encode(self, prompts: list[str], device: torch.device, encoder: nn.Module) -> Context:
        if not self.is_trained:
            encoder.to(device)  # nobody else moves what is no part of the module
        with torch.set_grad_enabled(self.is_trained and torch.is_grad_enabled()):
            return encode_prompts(self.tokenizer, encoder, prompts)  # type: ignore[arg-type]

    def _check_cached(self, cached: Context) -> None:
        if self.is_trained:
            raise ValueError(
                "the contexts of this data set are cached and the text encoder is trained, which "
                "would never reach it; choose text=frozen, or data without contexts"
            )
        length, limit = cached.mask.shape[1], caption_length(self.tokenizer)
        if length > limit:
            raise ValueError(
                f"the contexts of this data set have {length} tokens of a caption, and "
                f"text.max_length cuts it after {limit}: leave text.max_length out"
            )


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


def saved_text_model(folder: FilePath, *, max_length: int = MAX_TEXT_TOKENS) -> TextModel:
    """The tokenizer and the text encoder saved in `folder`, to be trained further; captions are cut
    where they were, or after `max_length` tokens if that is less."""
    tokenizer, encoder = saved_text_encoder(folder)
    cut_captions(tokenizer, min(max_length, caption_length(tokenizer)))
    return TextModel(tokenizer, encoder)


def frozen_text_model(folder: FilePath, *, max_length: int = MAX_TEXT_TOKENS) -> TextModel:
    """The same, used as they are."""
    text = saved_text_model(folder, max_length=max_length)
    return TextModel(text.tokenizer, text.text_encoder, is_trained=False)
