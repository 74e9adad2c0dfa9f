"""A whole pipeline of tiny, randomly initialised parts, built in a moment."""

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.text.encoder import small_text_encoder
from mmdiff.text.tokenizer import train_tokenizer

CAPTIONS = ["a small red circle bouncing left and right, a high ping at each bounce"]
TEXT_WIDTH = 16


def tiny_components(seed: int = 0) -> dict[str, Any]:
    """Fresh components, in evaluation mode; they depend on nothing but the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = train_tokenizer(CAPTIONS, vocab_size=270)
        components = {
            "transformer": DiffusionTransformer(
                num_attention_heads=2,
                attention_head_dim=12,
                num_layers=2,
                ffn_ratio=2.0,
                text_dim=TEXT_WIDTH,
                audio_patch_size=2,
            ),
            "vae": VideoAutoencoder(
                encoder_widths=(8, 8, 8),
                encoder_blocks=1,
                decoder_widths=(8, 8, 8),
                decoder_blocks=1,
            ),
            "audio_vae": AudioAutoencoder(fine_width=8, coarse_width=8, num_blocks=1),
            "vocoder": Vocoder(width=8, hidden=8, num_blocks=1),
            "text_encoder": small_text_encoder(
                len(tokenizer), d_model=TEXT_WIDTH, num_layers=1, num_heads=2, d_kv=8, d_ff=16
            ),
        }
        for module in components.values():
            _randomise(module)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=2.0)
    return {**components, "tokenizer": tokenizer, "scheduler": scheduler}


def tiny_pipeline(seed: int = 0, **settings: Any) -> MMDiffPipeline:
    """A pipeline of tiny parts for 9 frames of 32 x 32 in 2 steps.

    settings  of the constructor
    """
    defaults = {
        "default_num_frames": 9,
        "default_height": 32,
        "default_width": 32,
        "default_num_inference_steps": 2,
    }
    pipeline = MMDiffPipeline(**tiny_components(seed), **(defaults | settings))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _randomise(module: torch.nn.Module) -> None:
    """Small random values in what starts at zero, so that every part has a say in the result."""
    for parameter in module.parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.1)
    module.eval()
