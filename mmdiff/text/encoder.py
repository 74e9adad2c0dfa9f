"""Prompts through any transformers text encoder, frozen or trained along."""

import warnings
from pathlib import Path

from torch import Tensor
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5Config,
    T5EncoderModel,
)

from mmdiff.values.component_check import check_settings
from mmdiff.values.context import Context
from mmdiff.values.saved_component import saved_component

MAX_CHARACTERS = 100_000  # tokenizing more costs seconds, and no encoder reads as much
CUT_TEXT_SHOWN = 80


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase,
    text_encoder: PreTrainedModel,
    prompts: list[str],
    *,
    max_length: int,
) -> Context:
    """Encode each prompt; the context is as long as the longest of them, and masked behind the
    shorter ones.

    Gradients flow where the encoder's weights ask for them. A prompt of more than `max_length`
    tokens (end token included) is cut, with a warning that shows what was cut off. Tokens behind
    the mask are zero.

    Raises TypeError for a prompt that is no string, ValueError for one that is no text or an
    impossible `max_length`.
    """
    _check_prompts(prompts)
    _check_max_length(tokenizer, max_length)
    encoding = tokenizer(
        [prompt[:MAX_CHARACTERS] for prompt in prompts],
        padding="longest",
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
        split_special_tokens=True,  # a prompt that spells "<pad>" means the five characters
    )
    _warn_if_cut(tokenizer, prompts, encoding.attention_mask, max_length=max_length)
    token_ids = encoding.input_ids.to(text_encoder.device)
    mask = encoding.attention_mask.to(text_encoder.device)  # b l
    tokens: Tensor = text_encoder(
        input_ids=token_ids, attention_mask=mask
    ).last_hidden_state  # b l d
    mask = mask.bool()
    return Context(tokens.masked_fill(~mask[..., None], 0.0), mask)


def small_text_encoder(
    vocab_size: int,
    *,
    d_model: int = 192,
    num_layers: int = 3,
    num_heads: int = 6,
    d_kv: int = 32,
    d_ff: int = 512,
) -> T5EncoderModel:
    """A small T5 v1.1 encoder (gated GELU, relative positions, so any length) to be trained along
    with a backbone.

    Pad and end token are 0 and 1, as `train_tokenizer` numbers them. No dropout: every forward pass
    is exact.
    """
    config = T5Config(
        vocab_size=vocab_size,
        d_model=d_model,
        d_kv=d_kv,
        d_ff=d_ff,
        num_layers=num_layers,
        num_heads=num_heads,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        is_encoder_decoder=False,
        use_cache=False,
    )
    return T5EncoderModel(config)


def _check_prompts(prompts: list[str]) -> None:
    if isinstance(prompts, str) or not isinstance(prompts, (list, tuple)):
        raise TypeError(f"prompts is a {type(prompts).__name__}; it must be a list of strings")
    if not prompts:
        raise ValueError(
            "prompts is an empty list; give at least one prompt (it may be the empty string)"
        )
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise TypeError(f"prompts[{index}] is a {type(prompt).__name__}; it must be a string")
        try:
            prompt.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"prompts[{index}] is not valid text: "
                f"half a surrogate pair at character {error.start}"
            ) from None


def _check_max_length(tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
    longest = tokenizer.model_max_length
    if not 2 <= max_length <= longest:
        nearest = min(max(max_length, 2), longest)
        limits = "at least 2" if longest > 1_000_000 else f"2 to {longest} for this tokenizer"
        raise ValueError(f"max_length is {max_length}; it must be {limits}: {nearest}")


def _warn_if_cut(
    tokenizer: PreTrainedTokenizerBase, prompts: list[str], mask: Tensor, *, max_length: int
) -> None:
    full_rows = (mask.sum(dim=1) >= max_length).nonzero()
    for (row,) in full_rows.tolist():
        prompt = prompts[row][:MAX_CHARACTERS]
        token_ids = tokenizer(
            prompt, add_special_tokens=False, split_special_tokens=True, verbose=False
        ).input_ids
        kept = max_length - tokenizer.num_special_tokens_to_add()
        if len(token_ids) <= kept and len(prompts[row]) <= MAX_CHARACTERS:
            continue
        cut = tokenizer.decode(token_ids[kept:]) + prompts[row][MAX_CHARACTERS:]
        shown = cut if len(cut) <= CUT_TEXT_SHOWN else f"{cut[:CUT_TEXT_SHOWN]}..."
        warnings.warn(
            f"prompts[{row}] is longer than max_length={max_length} tokens; not read: {shown!r}",
            stacklevel=3,
        )


def saved_text_encoder(folder: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """The tokenizer in `folder`/tokenizer and the T5 encoder in `folder`/text_encoder.

    Raises CheckpointError for files that are damaged, unsafe, or do not fit together.
    """
    check_settings(Path(folder) / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(f"{folder}/tokenizer", local_files_only=True)
    encoder: PreTrainedModel = saved_component(T5EncoderModel, f"{folder}/text_encoder")
    return tokenizer, encoder
