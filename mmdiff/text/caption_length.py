"""After how many tokens a caption is cut: said by the tokenizer alone, which training, encoding and
generating share, and which is saved with the pipeline."""

from transformers import PreTrainedTokenizerBase

MAX_TEXT_TOKENS = 4096
USUAL_TEXT_TOKENS = 512


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
