"""PromptReader: the captions of a step, as the backbone takes them."""

from typing import Any

import torch
from torch import Tensor, nn

from mmdiff.text.caption_length import caption_length
from mmdiff.text.encoder import encode_prompts
from mmdiff.training.text_model import TextModel
from mmdiff.values.context import Context


class PromptReader:
    """Reads captions by a text model, or takes what a frozen one has read before.

    No module, so that an encoder that is not trained stays out of checkpoints and averages.
    """

    def __init__(self, text: TextModel) -> None:
        self.text = text
        self._null: Context | None = None

    def __call__(
        self,
        captions: tuple[str, ...],
        dropped: Tensor,
        *,
        read: Context | None,
        device: torch.device,
        encoder: nn.Module | None = None,
    ) -> Context:
        """The context of the captions, of the empty prompt where they are `dropped` (b, bool).

        read: the context from a cache; None: the encoder reads them, or `encoder` in place of it.
        Raises ValueError where the
        encoder is trained and what it reads comes from a cache.
        """
        if read is None:
            prompts = [
                "" if leave_out else caption
                for caption, leave_out in zip(captions, dropped.tolist(), strict=True)
            ]
            return self._encode(prompts, device, encoder)
        if self.text.is_trained:
            raise ValueError(
                "the contexts of this data set are cached and the text encoder is trained, which "
                "would never reach it; choose text=frozen, or data without contexts"
            )
        if read.mask.shape[1] > (limit := caption_length(self.text.tokenizer)):
            raise ValueError(
                f"the contexts of this data set have {read.mask.shape[1]} tokens of a caption, and "
                f"text.max_length cuts it after {limit}: leave text.max_length out"
            )
        if self._null is None:
            self._null = self._encode([""], device)
        return read.to(device).replace_rows(dropped.to(device), self._null)

    @property
    def components(self) -> dict[str, Any]:
        """What a pipeline needs to read prompts, by the names of its folders."""
        return {"text_encoder": self.encoder, "tokenizer": self.text.tokenizer}

    @property
    def encoder(self) -> nn.Module:
        return self.text.text_encoder

    def _encode(
        self, prompts: list[str], device: torch.device, encoder: nn.Module | None = None
    ) -> Context:
        if not self.text.is_trained:
            self.encoder.to(device)
        with torch.set_grad_enabled(self.text.is_trained and torch.is_grad_enabled()):
            return encode_prompts(
                self.text.tokenizer,
                encoder or self.encoder,  # type: ignore[arg-type]
                prompts,
            )
