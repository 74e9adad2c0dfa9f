"""The words of the captions that a text encoder was trained on: kept with its tokenizer, so that a
prompt with others can be told apart."""

import re
from collections.abc import Iterable
from typing import Any

KEY = "words"  # in tokenizer_config.json
MOST_WORDS = 50_000  # of so many captions no list is kept: any word may have been among them


def words_of(texts: Iterable[str]) -> dict[str, None]:
    """Each word once, in the order in which they come."""
    return dict.fromkeys(word for text in texts for word in re.findall(r"\w+", text))


def keep_words(tokenizer: Any, captions: Iterable[str]) -> None:
    """Add the words of `captions` to those that `tokenizer` keeps; saved and loaded with it."""
    words = sorted({*tokenizer.init_kwargs.get(KEY, ()), *words_of(captions)})
    tokenizer.init_kwargs[KEY] = words if len(words) <= MOST_WORDS else []


def unknown_words(tokenizer: Any, prompts: Iterable[str]) -> list[str]:
    """Words of `prompts` that no caption of the training held, as they are spelt there: a tokenizer
    of ours reads capitals as other letters. None where the words were not kept."""
    known = set(tokenizer.init_kwargs.get(KEY, ()))
    return [word for word in words_of(prompts) if known and word not in known]
