"""GenerationRequest: how many clips it makes, and that it can be checked without a call."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from mmdiff.pipelines.request import GenerationRequest, ModelLimits, check_request
from mmdiff.values.shapes import LatentGrid
from tests.pipelines.tiny import tiny_pipeline

REQUEST = GenerationRequest(
    prompt="red",
    negative_prompt=None,
    height=32,
    width=32,
    num_frames=9,
    frame_rate=16.0,
    num_inference_steps=2,
    modalities=("video", "audio"),
    guidance_scale=4.0,
    guidance_rescale=0.0,
    audio_guidance_scale=None,
)
LIMITS = ModelLimits(
    text_width=16,
    patch=2,
    token_width=24,
    frame_rate=16.0,
    grid=LatentGrid(),
    device=torch.device("cpu"),
    callback_tensors=("latents",),
)


def test_clips_are_prompts_times_videos_per_prompt() -> None:
    assert REQUEST.batch_size == 1
    assert replace(REQUEST, prompt=["red", "blue"], num_videos_per_prompt=3).batch_size == 6
    embedded = replace(REQUEST, prompt=None, prompt_embeds=torch.zeros(5, 4, 16))
    assert embedded.batch_size == 5
    check_request(embedded, LIMITS)


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        REQUEST.height = 64  # type: ignore[misc]


def test_the_first_fault_is_named_in_the_order_of_the_arguments() -> None:
    both = replace(REQUEST, guidance_scale=-1.0, height=40)
    with pytest.raises(ValueError, match=r"guidance_scale is -1\.0"):
        check_request(both, LIMITS)
    with pytest.raises(ValueError, match="height is 40"):
        check_request(replace(both, guidance_scale=1.0), LIMITS)


def test_check_inputs_of_the_pipeline_counts_clips_and_refuses_alike() -> None:
    pipe = tiny_pipeline()
    pipe("red", num_inference_steps=1, output_type="latent", modalities="audio")
    arguments = {"frame_rate": 16.0, "num_inference_steps": 2, "modalities": ("video",)}
    assert pipe.check_inputs(["a", "b"], None, 32, 32, 9, num_videos_per_prompt=2, **arguments) == 4
    with pytest.raises(ValueError, match="height is 40"):
        pipe.check_inputs("a", None, 40, 32, 9, **arguments)
