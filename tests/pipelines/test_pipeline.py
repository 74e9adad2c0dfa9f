"""MMDiffPipeline on tiny parts: what goes in, what comes out, and what a clip depends on."""

import inspect
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from mmdiff.guidance.backbone_guiders import ModalityGuidance, SkipLayer
from mmdiff.guidance.frame_consistency import FrameConsistency
from mmdiff.guidance.text_guiders import ClassifierFree, Projected
from mmdiff.pipelines.output import MMDiffPipelineOutput
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline

PROMPT = "a small red circle"


@pytest.fixture(scope="module")
def pipe() -> MMDiffPipeline:
    return tiny_pipeline()


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def run(
    pipe: MMDiffPipeline, prompt: str | list[str] = PROMPT, **arguments: object
) -> MMDiffPipelineOutput:
    count = 1 if isinstance(prompt, str) else len(prompt)
    return pipe(prompt, **({"generator": seeds(*range(count)), "output_type": "pt"} | arguments))


def test_arguments_keep_the_order_of_diffusers_pipelines() -> None:
    names = list(inspect.signature(MMDiffPipeline.__call__).parameters)
    expected = [
        *("self", "prompt", "negative_prompt", "height", "width", "num_frames", "frame_rate"),
        *(
            "num_inference_steps",
            "sigmas",
            "timesteps",
            "guidance_scale",
            "guidance_rescale",
            "audio_guidance_scale",
        ),
        *("num_videos_per_prompt", "generator", "latents", "audio_latents", "prompt_embeds"),
        *(
            "prompt_attention_mask",
            "negative_prompt_embeds",
            "negative_prompt_attention_mask",
            "output_type",
        ),
        *(
            "return_dict",
            "attention_kwargs",
            "callback_on_step_end",
            "callback_on_step_end_tensor_inputs",
        ),
        "max_sequence_length",
    ]
    assert names[: len(expected)] == expected


def test_shapes_of_each_output_type(pipe: MMDiffPipeline) -> None:
    pil = run(pipe, output_type="pil")
    assert len(pil.frames) == 1 and len(pil.frames[0]) == 9 and pil.frames[0][0].size == (32, 32)
    array = run(pipe, output_type="np").frames
    assert isinstance(array, np.ndarray) and array.shape == (1, 9, 32, 32, 3)
    assert array.min() >= 0 and array.max() <= 1
    tensors = run(pipe)
    assert tensors.frames.shape == (1, 9, 3, 32, 32) and tensors.audio.shape == (1, 1, 9000)
    latent = run(pipe, output_type="latent")
    assert (
        latent.frames.shape == (1, 16, 3, 4, 4)
        and latent.audio.shape == (1, 8, 12, 16)
        and latent.clips == []
    )


def test_clips_hold_the_same_as_frames_and_audio(pipe: MMDiffPipeline) -> None:
    out = run(pipe, [PROMPT, "blue"], output_type="np")
    assert len(out.clips) == 2
    for index, clip in enumerate(out.clips):
        assert (
            clip.shape == (9, 32, 32)
            and clip.fps == 16
            and clip.sample_rate == pipe.audio_sampling_rate == 16_000
        )
        assert clip.video_seconds == clip.audio_seconds
        assert np.abs(clip.frames.numpy() / 255 - out.frames[index]).max() <= 0.5 / 255 + 1e-6
        assert torch.equal(clip.waveform, out.audio[index])


def test_tuple_form_is_frames_and_audio(pipe: MMDiffPipeline) -> None:
    out = run(pipe)
    frames, audio = run(pipe, return_dict=False)
    assert torch.equal(frames, out.frames) and torch.equal(audio, out.audio)


def test_f8_d1_the_same_seed_twice_is_bit_identical(pipe: MMDiffPipeline) -> None:
    first, second = run(pipe), run(pipe)
    assert torch.equal(first.frames, second.frames) and torch.equal(first.audio, second.audio)


PROMPTS = [f"{PROMPT}, {'very ' * index} loud" for index in range(8)]


@pytest.fixture(scope="module")
def batch_of_8(pipe: MMDiffPipeline) -> MMDiffPipelineOutput:
    return run(pipe, PROMPTS)


def assert_same(part: MMDiffPipelineOutput, whole: MMDiffPipelineOutput, rows: list[int]) -> None:
    """`part` is the clips `rows` of `whole`, to the rounding of fp32."""
    assert len(part.frames) == len(part.audio) == len(rows)
    assert (part.frames - whole.frames[rows]).abs().max() <= 1e-5
    assert (part.audio - whole.audio[rows]).abs().max() <= 1e-5


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_f8_d2_d3_a_batch_of_8_equals_its_parts_of_any_size(
    pipe: MMDiffPipeline, batch_of_8: MMDiffPipelineOutput, size: int
) -> None:
    for start in range(0, 8, size):
        rows = list(range(8))[start : start + size]
        part = run(pipe, [PROMPTS[row] for row in rows], generator=seeds(*rows))
        assert_same(part, batch_of_8, rows)


def test_d3_the_order_of_prompts_with_their_generators_is_free(
    pipe: MMDiffPipeline, batch_of_8: MMDiffPipelineOutput
) -> None:
    rows = [5, 2, 7, 0, 3, 6, 1, 4]
    permuted = run(pipe, [PROMPTS[row] for row in rows], generator=seeds(*rows))
    assert_same(permuted, batch_of_8, rows)


@pytest.mark.filterwarnings("ignore:.*is longer than max_length")
@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a" * 10**7,
        "a b " * 2_500_000,
        "\0" * 10,
        "\U0001f534 \u0645\u0631\u062d\u0628\u0627",
        "\n" * 10**7,
    ],
    ids=lambda text: f"{text[:4]!a} {len(text)}",
)
def test_i2_any_prompt_is_bounded(pipe: MMDiffPipeline, prompt: str) -> None:
    began = time.process_time()
    out = run(pipe, prompt, num_inference_steps=1, output_type="latent")
    assert torch.isfinite(out.frames).all() and torch.isfinite(out.audio).all()
    assert time.process_time() - began < 10


def test_d2_the_noise_of_a_clip_is_bit_identical_alone_and_in_a_batch(pipe: MMDiffPipeline) -> None:
    batch = pipe.prepare_latents(3, 9, 32, 32, seeds(0, 1, 2))
    alone = pipe.prepare_latents(1, 9, 32, 32, seeds(2))
    assert torch.equal(batch[2:], alone)


def test_without_generator_clips_follow_the_global_seed_and_differ_from_each_other(
    pipe: MMDiffPipeline,
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = run(pipe, [PROMPT, PROMPT], generator=None)
        torch.manual_seed(3)
        second = run(pipe, [PROMPT, PROMPT], generator=None)
    assert torch.equal(first.frames, second.frames)
    assert not torch.equal(first.frames[0], first.frames[1])


def test_several_clips_of_one_prompt(pipe: MMDiffPipeline) -> None:
    out = run(pipe, ["red", "blue"], num_videos_per_prompt=2, generator=seeds(0, 1, 2, 3))
    alone = run(pipe, "blue", generator=seeds(2))
    assert len(out.clips) == 4 and (out.frames[2] - alone.frames[0]).abs().max() <= 1e-4


@pytest.mark.parametrize("modalities", [["video"], ["audio"], "audio", ("audio", "video")])
def test_any_half_can_be_made_alone(pipe: MMDiffPipeline, modalities: object) -> None:
    out = run(pipe, modalities=modalities)
    assert (out.frames is not None) == ("video" in modalities)
    assert (out.audio is not None) == ("audio" in modalities)
    assert (out.clips[0].waveform is not None) == ("audio" in modalities)


def test_one_frame_is_a_still_image_without_sound(pipe: MMDiffPipeline) -> None:
    out = run(pipe, num_frames=1)
    assert out.frames.shape == (1, 1, 3, 32, 32) and out.audio is None
    assert run(pipe, num_frames=1, modalities=["video", "audio"]).audio.shape == (1, 1, 1000)


def test_other_lengths_and_sizes(pipe: MMDiffPipeline) -> None:
    out = run(pipe, num_frames=13, height=48, width=16)
    assert out.frames.shape == (1, 13, 3, 48, 16) and out.audio.shape == (1, 1, 13_000)


def test_guidance_and_negative_prompts_have_a_say(pipe: MMDiffPipeline) -> None:
    plain, guided = run(pipe, guidance_scale=1.0), run(pipe, guidance_scale=3.0)
    away = run(pipe, guidance_scale=3.0, negative_prompt="blue")
    only_sound = run(pipe, guidance_scale=1.0, audio_guidance_scale=3.0)
    assert not torch.equal(plain.frames, guided.frames) and not torch.equal(
        guided.frames, away.frames
    )
    assert not torch.equal(only_sound.audio, plain.audio)


def test_negative_prompt_equal_to_the_prompt_is_no_guidance(pipe: MMDiffPipeline) -> None:
    plain = run(pipe, guidance_scale=1.0)
    cancelled = run(pipe, guidance_scale=7.0, negative_prompt=PROMPT)
    assert (plain.frames - cancelled.frames).abs().max() <= 1e-4


def test_guiders_replace_the_default(pipe: MMDiffPipeline) -> None:
    default = run(pipe, guidance_scale=3.0)
    assert torch.equal(
        run(pipe, guidance=[ClassifierFree(guidance_scale=3.0)]).frames, default.frames
    )
    assert not torch.equal(
        run(pipe, guidance=[Projected(guidance_scale=3.0)]).frames, default.frames
    )
    assert torch.equal(run(pipe, guidance=[]).frames, run(pipe).frames)


@pytest.mark.parametrize("name", ["frame_consistency_scale", "modality_scale"])
def test_short_forms_add_guiders_and_0_is_none_bit_for_bit(pipe: MMDiffPipeline, name: str) -> None:
    plain, off, on = run(pipe), run(pipe, **{name: 0.0}), run(pipe, **{name: 2.0})
    assert torch.equal(off.frames, plain.frames) and torch.equal(off.audio, plain.audio)
    assert not torch.equal(on.frames, plain.frames)
    kind = {"frame_consistency_scale": FrameConsistency, "modality_scale": ModalityGuidance}[name]
    assert torch.equal(run(pipe, guidance=kind(2.0)).frames, on.frames)
    with pytest.raises(ValueError, match=rf"{name}=2.0 and guidance\[0\], {kind.__name__}"):
        run(pipe, guidance=[kind(1.0)], **{name: 2.0})
    with pytest.raises(TypeError, match=rf"{name} is nan; it must be a number from 0 to 100"):
        run(pipe, **{name: float("nan")})


@pytest.mark.parametrize("form", ["latent", "difference", "energy"])
def test_all_forms_of_frame_consistency_act_through_the_call(
    pipe: MMDiffPipeline, form: Any
) -> None:
    plain = run(pipe)
    steadied = run(pipe, guidance=FrameConsistency(0.2, form=form))
    off = run(pipe, guidance=FrameConsistency(0.0, form=form))
    assert torch.equal(off.frames, plain.frames) and torch.equal(off.audio, plain.audio)
    assert torch.isfinite(steadied.frames).all() and not torch.equal(steadied.frames, plain.frames)


def test_all_guiders_together_run_in_one_call_a_step(pipe: MMDiffPipeline) -> None:
    rows: list[int] = []
    handle = pipe.transformer.register_forward_pre_hook(
        lambda module, arguments: rows.append(arguments[0].batch_size)
    )
    guiders: list[Any] = [Projected(3.0), SkipLayer(blocks=(1,))]
    guiders.append(FrameConsistency(1.0, form="difference"))
    run(pipe, [PROMPT, "blue"], guidance=guiders, modality_scale=1.0)
    handle.remove()
    assert rows == [2 * 5] * 2


def test_blocks_that_the_transformer_lacks_are_refused(pipe: MMDiffPipeline) -> None:
    with pytest.raises(ValueError, match=r"blocks of SkipLayer is 7; .*from 0 to 1: 1"):
        run(pipe, guidance=SkipLayer(blocks=(0, 7)))


@pytest.mark.parametrize(
    "kind",
    [
        FlowMatchHeunDiscreteScheduler,
        UniPCMultistepScheduler,
        DPMSolverMultistepScheduler,
        DDIMScheduler,
        EulerDiscreteScheduler,
        EulerAncestralDiscreteScheduler,
    ],
)
def test_e3_any_scheduler_is_swapped_in_by_assignment(kind: type) -> None:
    pipe = tiny_pipeline()
    before = run(pipe, num_inference_steps=3)
    pipe.scheduler = kind()
    after, again = run(pipe, num_inference_steps=3), run(pipe, num_inference_steps=3)
    assert torch.equal(after.frames, again.frames) and torch.isfinite(after.frames).all()
    assert not torch.equal(before.frames, after.frames) and not torch.equal(
        before.audio, after.audio
    )
    batch = run(pipe, [PROMPT, PROMPT], generator=seeds(5, 0), num_inference_steps=3)
    assert (batch.frames[1] - after.frames[0]).abs().max() <= 1e-4


def test_an_audio_scheduler_of_its_own_changes_the_sound() -> None:
    pipe = tiny_pipeline()
    before = run(pipe)
    pipe.audio_scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    assert not torch.equal(run(pipe).audio, before.audio)


def test_own_sigmas(pipe: MMDiffPipeline) -> None:
    steps = []
    run(pipe, sigmas=[1.0, 0.7, 0.2], callback_on_step_end=lambda p, i, t, k: steps.append(i))
    assert steps == [0, 1, 2]


def test_e1_embeddings_in_place_of_prompts(pipe: MMDiffPipeline) -> None:
    with torch.no_grad():
        embeds, mask, negative, negative_mask = pipe.encode_prompt(PROMPT, "blue")
    out = pipe(
        prompt_embeds=embeds,
        prompt_attention_mask=mask,
        negative_prompt_embeds=negative,
        negative_prompt_attention_mask=negative_mask,
        generator=seeds(0),
        output_type="pt",
    )
    assert torch.equal(out.frames, run(pipe, negative_prompt="blue").frames)


def test_latents_in_place_of_drawn_noise(pipe: MMDiffPipeline) -> None:
    video = pipe.prepare_latents(1, 9, 32, 32, generators := seeds(0))
    audio = pipe.prepare_audio_latents(1, 9, generators)
    out = run(pipe, latents=video, audio_latents=audio, generator=seeds(99))
    assert torch.equal(out.frames, run(pipe).frames) and torch.equal(out.audio, run(pipe).audio)


def test_defaults_of_the_checkpoint_are_used() -> None:
    pipe = tiny_pipeline(default_guidance_scale=2.0, default_audio_guidance_scale=3.0)
    run(pipe)
    assert (pipe.guidance_scale, pipe.audio_guidance_scale, pipe.num_timesteps) == (2.0, 3.0, 2)


def test_half_precision_runs(pipe: MMDiffPipeline) -> None:
    half = tiny_pipeline().to(torch.bfloat16)
    out = run(half)
    assert out.frames.dtype == torch.float32 and torch.isfinite(out.frames).all()
    assert (out.frames - run(pipe).frames).abs().mean() < 0.05


@pytest.mark.parametrize("prompt", ["", "\0", "🎈🎈", "مرحبا", "x" * 200_000])
def test_i2_odd_prompts_run(pipe: MMDiffPipeline, prompt: str) -> None:
    with pytest.warns(UserWarning, match="not read") if len(prompt) > 100 else nullcontext():
        out = run(pipe, prompt, max_sequence_length=64, modalities="audio")
    assert torch.isfinite(out.audio).all()


def test_prompts_are_read_by_the_text_encoder_alone_and_used_without_it(tmp_path: Path) -> None:
    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path)
    rest = dict.fromkeys(("transformer", "vae", "audio_vae", "vocoder"))
    reader = MMDiffPipeline.from_pretrained(tmp_path, **rest)
    with torch.no_grad():
        tokens, mask, negative, negative_mask = reader.encode_prompt("a", "b")
    maker = MMDiffPipeline.from_pretrained(tmp_path, text_encoder=None, tokenizer=None)
    embeds = {
        "prompt_embeds": tokens,
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": negative,
        "negative_prompt_attention_mask": negative_mask,
    }
    made, expected = (
        one(**words, generator=torch.Generator().manual_seed(0), output_type="pt")
        for one, words in (
            (maker, embeds),
            (pipe, {"prompt": "a", "negative_prompt": "b"}),
        )
    )
    assert torch.equal(made.frames, expected.frames) and torch.equal(made.audio, expected.audio)
