"""Captions that are longer than what a text encoder reads of them."""

from dataclasses import replace
from typing import Any

from mmdiff.data.checking.report import ClipReport
from mmdiff.text.caption_length import caption_length, num_caption_tokens


def with_cut_caption(row: ClipReport, caption: str, tokenizer: Any) -> ClipReport:
    """The row of a clip, which says so where its caption is cut by `tokenizer`, of transformers."""
    count, longest = num_caption_tokens(tokenizer, caption), caption_length(tokenizer)
    if row.status == "dropped" or count <= longest:
        return row
    phrase = f"caption cut {count} -> {longest} tokens"
    return replace(row, status="adapted", adaptations=(*row.adaptations, phrase))
