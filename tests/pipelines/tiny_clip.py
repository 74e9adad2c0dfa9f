"""A CLIP of a few random numbers, as a folder."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel

from mmdiff.text.tokenizer import train_tokenizer
from tests.pipelines.tiny import CAPTIONS


def save_tiny_clip(folder: Path) -> Path:
    """Model and tokenizer in `folder`."""
    tokenizer = train_tokenizer(CAPTIONS, vocab_size=270)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = CLIPConfig(
        text_config={
            **sizes,
            **ends,
            "bos_token_id": tokenizer.eos_token_id,
            "num_attention_heads": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 77,
        },
        vision_config={**sizes, "num_attention_heads": 2, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
