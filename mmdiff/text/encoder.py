"""Prompts through any transformers text encoder, frozen or trained along."""

import warnings

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase, T5Config, T5EncoderModel

from mmdiff.loading.module_memory import execution_device
from mmdiff.text.tokenizer import MAX_TEXT_TOKENS, caption_length
from mmdiff.values.context import Context

MAX_CHARACTERS = 100_000  # tokenizing more costs seconds, and no encoder reads as much
CUT_TEXT_SHOWN = 80


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase,
    text_encoder: PreTrainedModel,
    prompts: list[str],
    *,
    max_length: int = MAX_TEXT_TOKENS,
) -> Context:
    """Encode each prompt; the context is as long as the longest of them, and masked behind the
    shorter ones, whatever side the tokenizer pads by itself.

    Gradients flow where the encoder's weights ask for them. A prompt is cut after
    `caption_length(tokenizer)` tokens, or after `max_length` where that is less, with a warning
    that shows what was cut off (tokens that the tokenizer adds count). Tokens behind the mask are
    zero. Where the tokenizer makes nothing of the empty prompt, it is the end token.

    Raises TypeError for a prompt that is no string, ValueError for one that is no text, and for a
    tokenizer of another encoder.
    """
    if not prompts:
        raise ValueError("prompts is an empty list; give at least one (it may be the empty string)")
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
    max_length = min(max_length, caption_length(tokenizer))
    token_ids = tokenizer(
        [prompt[:MAX_CHARACTERS] for prompt in prompts],
        truncation=True,
        max_length=max_length,
        split_special_tokens=True,  # a prompt that spells "<pad>" means the five characters
    ).input_ids
    if any(len(row) >= max_length for row in token_ids):
        _warn_if_cut(tokenizer, prompts, token_ids, max_length=max_length)
    rows = [torch.tensor(row or [_end_token(tokenizer)]) for row in token_ids]
    padding = tokenizer.pad_token_id or 0
    padded = pad_sequence(rows, batch_first=True, padding_value=padding).to(
        execution_device(text_encoder)
    )
    num_known = text_encoder.get_input_embeddings().num_embeddings
    if (largest := int(padded.max())) >= num_known:
        raise ValueError(
            f"the tokenizer makes token {largest} of a prompt, and the text encoder knows "
            f"{num_known} tokens: the two do not belong together"
        )
    lengths = torch.tensor([len(row) for row in rows], device=padded.device)
    mask = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]  # b l
    tokens: Tensor = text_encoder(input_ids=padded, attention_mask=mask.long()).last_hidden_state
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


def _warn_if_cut(
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    read: list[list[int]],
    *,
    max_length: int,
) -> None:
    for row, token_ids_read in enumerate(read):
        if len(token_ids_read) < max_length:
            continue
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
            f"prompts[{row}] is longer than {max_length} tokens; not read: {shown!r}",
            stacklevel=3,
        )


def _end_token(tokenizer: PreTrainedTokenizerBase) -> int:
    ends = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id)
    return next((token for token in ends if token is not None), 0)
