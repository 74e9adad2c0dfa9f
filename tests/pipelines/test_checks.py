"""What a call refuses, before any work: the argument, its value, what is legal and nearest."""

from typing import Any

import pytest
import torch

from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def pipe() -> MMDiffPipeline:
    return tiny_pipeline()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_frames", 20, r"num_frames is 20; .*1 \+ 4k frames: 17 or 21"),
        ("num_frames", 0, "num_frames is 0; it must be a whole number from 1 to 1000000: 1"),
        ("num_frames", -1, "num_frames is -1; .*: 1"),
        ("num_frames", 10**9, "num_frames is 1000000000; .*: 1000000"),
        ("num_frames", 16.5, "num_frames is 16.5; it must be a whole number"),
        ("num_frames", True, "num_frames is True"),
        (
            "num_frames",
            900_001,
            "need about .* of memory; .* are free on cpu. One of these would fit: num_frames=",
        ),
        ("height", 40, "height is 40; it must be a multiple of 16: 32"),
        ("width", 0, "width is 0; it must be a whole number from 16 to 16384: 16"),
        ("width", 10**9, "width is 1000000000; .*: 16384"),
        ("height", "64", "height is '64'; it must be a whole number"),
        ("frame_rate", 24, "frame_rate is 24; this model makes 16 frames a second"),
        ("frame_rate", float("nan"), "frame_rate is nan"),
        ("num_inference_steps", 0, "num_inference_steps is 0; .*: 1"),
        ("num_inference_steps", 10**9, "num_inference_steps is 1000000000; .*: 1000"),
        (
            "guidance_scale",
            float("nan"),
            "guidance_scale is nan; it must be a number from 0 to 100",
        ),
        ("guidance_scale", -1.0, "guidance_scale is -1; .*: 0"),
        ("guidance_scale", 1e9, r"guidance_scale is 1e\+09; .*: 100"),
        ("audio_guidance_scale", float("inf"), "audio_guidance_scale is inf"),
        ("guidance_rescale", 2.0, "guidance_rescale is 2; .*: 1"),
        ("num_videos_per_prompt", 0, "num_videos_per_prompt is 0"),
        ("max_sequence_length", 1, "max_sequence_length is 1; .*: 2"),
        ("output_type", "pill", "output_type is 'pill'; .* did you mean 'pil'"),
        ("modalities", ["vidoe"], "modalities is 'vidoe'; .* did you mean 'video'"),
        ("modalities", [], "modalities is empty"),
        ("modalities", ["audio", "audio"], "each may be named once"),
        ("prompt", None, "prompt is missing"),
        ("prompt", [], "prompt is an empty list"),
        ("negative_prompt", ["a", "b"], "negative_prompt has 2 strings for 1 prompts"),
        (
            "latents",
            torch.zeros(1, 16, 9, 4, 4),
            r"latents has shape .*; it must be \(1, 16, 3, 4, 4\)",
        ),
        ("latents", torch.zeros(1, 16, 3, 4, 1), "latents has shape"),
        ("latents", torch.zeros(1, 16, 3, 4, 4, dtype=torch.int64), "latents is torch.int64"),
        ("latents", torch.full((1, 16, 3, 4, 4), torch.nan), "latents holds NaN"),
        ("latents", torch.zeros(1, 16, 3, 4, 4, device="meta"), "latents is on the meta device"),
        (
            "latents",
            torch.zeros(1, 16, 3, 4, 4).to_sparse(),
            r"latents is torch.sparse_coo; it must be dense: latents.to_dense\(\)",
        ),
        (
            "latents",
            torch.zeros(1, 16, 3, 4, 4, dtype=torch.float64),
            r"latents is torch.float64; .* torch.float16, torch.bfloat16: latents.float\(\)",
        ),
        ("latents", torch.zeros(1, 16, 3, 4, 4, dtype=torch.complex64), "latents is torch.complex"),
        ("audio_latents", torch.zeros(1, 8, 9, 16), r"audio_latents has shape .*\(1, 8, 12, 16\)"),
        ("generator", [torch.Generator()] * 2, "generator has 2 entries for 1 clips"),
        ("prompt_embeds", torch.zeros(1, 4, 16), "prompt and prompt_embeds are both given"),
        ("attention_kwargs", {"scale": 1}, "attention_kwargs is .*: leave it out"),
    ],
)
def test_i3_i4_impossible_values(pipe: MMDiffPipeline, name: str, value: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        pipe(**({"prompt": "red"} | {name: value}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("prompt", 7, "prompt is a int; it must be a string or a list of strings"),
        ("prompt", ["red", b"blue"], r"prompt\[1\] is a bytes"),
        ("generator", [7], r"generator\[0\] is a int; .*manual_seed"),
        ("latents", [1.0], "latents is a list; it must be a tensor"),
    ],
)
def test_i2_i4_wrong_types(pipe: MMDiffPipeline, name: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        pipe(**({"prompt": "red"} | {name: value}))


ODD: list[Any] = [
    *(None, True, -1, 10**400, float("nan"), "x", b"x", [], {}, object(), [None], (1, 2)),
    *(torch.zeros(2, device="meta"), torch.zeros(2).to_sparse(), torch.zeros(2).double()),
    *(torch.zeros(2), torch.zeros(()), [torch.zeros(1)], torch.Generator, lambda: None),
]
ARGUMENTS = [
    *("prompt", "negative_prompt", "height", "width", "num_frames", "frame_rate"),
    *("num_inference_steps", "modalities", "num_videos_per_prompt", "generator", "latents"),
    *("audio_latents", "prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds"),
    *("negative_prompt_attention_mask", "output_type", "max_sequence_length"),
    *("callback_on_step_end", "callback_on_step_end_tensor_inputs", "guidance", "conditions"),
]


def test_i4_inputs_can_be_checked_before_any_call() -> None:
    pipe = tiny_pipeline(default_guidance_scale=3.0)
    assert (
        pipe.check_inputs(["red", "blue"], None, 32, 32, 9, 16.0, 2, num_videos_per_prompt=2) == 4
    )
    assert (
        pipe.check_inputs(None, None, 32, 32, 9, None, 2, prompt_embeds=torch.zeros(5, 4, 16)) == 5
    )
    assert pipe.guidance_scale == pipe.audio_guidance_scale == 3.0
    assert pipe.do_classifier_free_guidance and not pipe.interrupt
    assert pipe.current_timestep is None and pipe.num_timesteps == 0
    with pytest.raises(ValueError, match="height is 40"):
        pipe.check_inputs("red", None, 40, 32, 9, None, 2)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_i4_whatever_is_given_is_legal_or_refused_by_its_name(name: str) -> None:
    """Other errors are faults of ours."""
    pipe = tiny_pipeline()

    def called(*_: Any) -> None:
        raise InterruptedError

    pipe.transformer.register_forward_pre_hook(called)
    for value in ODD:
        given = {"prompt": None if name == "prompt_embeds" else "red", "output_type": "latent"}
        with pytest.raises((InterruptedError, TypeError, ValueError)) as caught:
            pipe(**(given | {name: value}))
        said = str(caught.value)
        assert caught.type is InterruptedError or name.removesuffix("_embeds") in said, value


def test_i4_embeddings_of_another_width_or_all_masked(pipe: MMDiffPipeline) -> None:
    with pytest.raises(
        ValueError, match=r"prompt_embeds has shape .*; it must be \(any, any, 16\)"
    ):
        pipe(prompt_embeds=torch.zeros(1, 4, 15))
    with pytest.raises(ValueError, match="hides all tokens"):
        pipe(prompt_embeds=torch.zeros(1, 4, 16), prompt_attention_mask=torch.zeros(1, 4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_i4_lower_precisions_are_read_exactly(pipe: MMDiffPipeline, dtype: torch.dtype) -> None:
    latents = torch.randn(1, 16, 3, 4, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    lower, same = (
        pipe("red", latents=one, output_type="latent", modalities="video", num_inference_steps=1)
        for one in (latents, latents.float())
    )
    assert torch.equal(lower.frames, same.frames)


def test_latents_of_a_half_that_is_not_made_are_refused(pipe: MMDiffPipeline) -> None:
    with pytest.raises(ValueError, match="add 'audio', or leave them out"):
        pipe("red", audio_latents=torch.zeros(1, 8, 12, 16), modalities="video")


def test_i2_ten_thousand_prompts_are_refused_before_memory_is_taken(pipe: MMDiffPipeline) -> None:
    with pytest.raises(ValueError, match="a batch of 10000 need about"):
        pipe(["red"] * 10_000, num_frames=4001)


def test_a_scheduler_that_cannot_be_matched_is_named() -> None:
    from diffusers import IPNDMScheduler

    pipe = tiny_pipeline()
    pipe.scheduler = IPNDMScheduler()
    with pytest.raises(ValueError, match="IPNDMScheduler"):
        pipe("red")


def test_a_parameterization_that_is_none_is_refused_when_the_pipeline_is_made() -> None:
    with pytest.raises(ValueError, match=r"parameterization is 'flowing'; there are 'noise'"):
        tiny_pipeline(parameterization="flowing")
