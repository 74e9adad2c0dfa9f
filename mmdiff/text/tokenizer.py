"""A sub-word tokenizer trained on the captions, byte-level, so that it takes any string; and what
any tokenizer keeps of them: after how many tokens a caption is cut, and which words there were."""

import re
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD_TOKEN = "<pad>"
EOS_TOKEN = "</s>"
NUM_BYTES = 256
MAX_TEXT_TOKENS = 4096
USUAL_TEXT_TOKENS = 512
WORDS = "words"  # in tokenizer_config.json
MOST_WORDS = 50_000  # of so many captions no list is kept: any word may have been among them


def train_tokenizer(captions: Iterable[str], vocab_size: int = 1024) -> PreTrainedTokenizerFast:
    """Byte-pair encoding over bytes (Sennrich et al. 2016; bytes as in GPT-2), trained on
    `captions`.

    Words of the captions become single tokens; anything else falls back to pieces and bytes, so
    there is no unknown token and decoding gives the string back. Every prompt ends with the end
    token: the empty prompt is one token. The vocabulary can turn out smaller than `vocab_size`
    where the captions hold fewer pieces. The same captions in the same order give the same
    tokenizer.

    Raises ValueError where `vocab_size` cannot hold the bytes and the two special tokens.
    """
    smallest = NUM_BYTES + 2
    if vocab_size < smallest:
        raise ValueError(
            f"vocab_size is {vocab_size}; "
            f"the 256 bytes and two special tokens need at least {smallest}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD_TOKEN, EOS_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    end = (EOS_TOKEN, tokenizer.token_to_id(EOS_TOKEN))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS_TOKEN}", special_tokens=[end]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD_TOKEN,
        eos_token=EOS_TOKEN,
        padding_side="right",
        truncation_side="right",
        clean_up_tokenization_spaces=False,
    )


def caption_length(tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that are read of a caption, added ones included: the tokenizer's `model_max_length`,
    and 512 where it names none, or one that no caption has."""
    longest = tokenizer.model_max_length
    return longest if longest <= MAX_TEXT_TOKENS else USUAL_TEXT_TOKENS


def cut_captions(tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
    """From now on, and wherever the tokenizer is saved. ValueError for a length out of range."""
    if not 2 <= max_length <= MAX_TEXT_TOKENS:
        raise ValueError(f"max_length is {max_length}; it must be from 2 to {MAX_TEXT_TOKENS}")
    tokenizer.model_max_length = max_length


def num_caption_tokens(tokenizer: PreTrainedTokenizerBase, caption: str) -> int:
    """Of the whole caption, before anything is cut."""
    return len(tokenizer(caption, split_special_tokens=True, verbose=False).input_ids)


def words_of(texts: Iterable[str]) -> dict[str, None]:
    """Each word once, in the order in which they come."""
    return dict.fromkeys(word for text in texts for word in re.findall(r"\w+", text))


def keep_words(tokenizer: Any, captions: Iterable[str]) -> None:
    """Add the words of `captions` to those that `tokenizer` keeps; saved and loaded with it."""
    words = sorted({*tokenizer.init_kwargs.get(WORDS, ()), *words_of(captions)})
    tokenizer.init_kwargs[WORDS] = words if len(words) <= MOST_WORDS else []


def unknown_words(tokenizer: Any, prompts: Iterable[str]) -> list[str]:
    """Words of `prompts` that no caption of the training held, as they are spelt there: a tokenizer
    of ours reads capitals as other letters. None where the words were not kept."""
    known = set(tokenizer.init_kwargs.get(WORDS, ()))
    return [word for word in words_of(prompts) if known and word not in known]
