"""Tiny text encoders of every family, as others save them: with heads, decoders, dropout, and
tokenizers that pad on the left or add nothing."""

from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

WORDS = ["a small red circle", "a large blue square moving left", "two green triangles, slowly"]
SPECIAL = ["<pad>", "</s>", "<s>"]
NUM_TOKENS = 280
WIDTH = 24
SIZES: dict[str, Any] = {
    "vocab_size": NUM_TOKENS,
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
CAUSAL = {**SIZES, "num_key_value_heads": 1, "head_dim": 12}
IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
T5 = {"vocab_size": NUM_TOKENS, "d_model": WIDTH, "d_kv": 12, "d_ff": 32, "num_heads": 2}
VISION = {**SIZES, "image_size": 16, "patch_size": 8}

# how a family saves its models -> the part that reads text
FAMILIES: dict[str, tuple[Any, Any, str]] = {
    "t5": (hf.T5ForConditionalGeneration, hf.T5Config(**T5, num_layers=2), "end"),
    "umt5": (hf.UMT5ForConditionalGeneration, hf.UMT5Config(**T5, num_layers=2), "end"),
    "clip_text": (hf.CLIPTextModelWithProjection, hf.CLIPTextConfig(**SIZES, **IDS), "both"),
    "clip": (
        hf.CLIPModel,
        hf.CLIPConfig(text_config={**SIZES, **IDS}, vision_config=VISION),
        "both",
    ),
    "gemma3": (hf.Gemma3ForCausalLM, hf.Gemma3TextConfig(**CAUSAL, **IDS), "start"),
    "gemma3_that_sees": (
        hf.Gemma3ForConditionalGeneration,
        hf.Gemma3Config(text_config={**CAUSAL, **IDS}, vision_config=VISION, mm_tokens_per_image=4),
        "start",
    ),
    "qwen3": (hf.Qwen3ForCausalLM, hf.Qwen3Config(**CAUSAL, **IDS), "none"),
    "bert": (hf.BertForMaskedLM, hf.BertConfig(**SIZES, max_position_embeddings=40), "both"),
}
ADDED = {"end": "$A </s>", "both": "<s> $A </s>", "start": "<s> $A", "none": "$A"}


def save_family(name: str, folder: Path) -> Path:
    """A random model and its tokenizer in `folder`, as `save_pretrained` leaves them."""
    kind, config, added = FAMILIES[name]
    torch.manual_seed(0)
    model = kind(config)
    for part in model.modules():  # so that a lost norm or bias would show
        if "Norm" in type(part).__name__ and part.weight is not None:
            torch.nn.init.normal_(part.weight, std=0.3)
    model.save_pretrained(folder)
    _tokenizer(added).save_pretrained(folder)
    return folder


def _tokenizer(added: str) -> hf.PreTrainedTokenizerFast:
    """Of bytes. That of a causal model pads on the left, as it does where text goes on."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=NUM_TOKENS,
        special_tokens=SPECIAL,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    special = [(token, tokenizer.token_to_id(token)) for token in SPECIAL]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=ADDED[added], special_tokens=special
    )
    side = "left" if added in ("start", "none") else "right"
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        padding_side=side,
        truncation_side=side,
    )
