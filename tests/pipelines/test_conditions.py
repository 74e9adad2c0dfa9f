"""Conditions through the whole pipeline, on tiny parts: what is given comes back, and the laws."""

import pytest
import torch
from torch import Tensor

import mmdiff
from mmdiff.media.clip import Clip
from mmdiff.pipelines.output import MMDiffPipelineOutput
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.conditioning.pooling import moving_frames, tone
from tests.pipelines.tiny import tiny_pipeline

PROMPT = "a small red circle"
FRAMES = moving_frames(9)
SOUND = tone(9000)
CLIP = Clip(frames=FRAMES, waveform=SOUND, sample_rate=16_000)


@pytest.fixture(scope="module")
def pipe() -> MMDiffPipeline:
    return tiny_pipeline()


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def run(pipe: MMDiffPipeline, *conditions: object, **arguments: object) -> MMDiffPipelineOutput:
    defaults = {"prompt": PROMPT, "generator": seeds(0), "output_type": "pt"}
    return pipe(**(defaults | {"conditions": list(conditions)} | arguments))


def same(one: MMDiffPipelineOutput, other: MMDiffPipelineOutput) -> bool:
    return torch.equal(one.frames, other.frames) and torch.equal(one.audio, other.audio)


def frames_of(out: MMDiffPipelineOutput) -> Tensor:
    return out.clips[0].frames


def encoder(pipe: MMDiffPipeline):  # type: ignore[no-untyped-def]
    return pipe._media_encoder(9, 32, 32)


def test_nothing_given_is_the_same_clip_bit_for_bit(pipe: MMDiffPipeline) -> None:
    plain = pipe(PROMPT, generator=seeds(0), output_type="pt")
    assert same(run(pipe), plain) and same(run(pipe, conditions=[[]]), plain)
    assert same(run(pipe, mmdiff.PartialNoise(CLIP, 1.0)), plain)


def test_everything_given_comes_back_exactly_without_a_call(pipe: MMDiffPipeline) -> None:
    calls = []
    out = run(
        pipe,
        mmdiff.GivenVideo(CLIP),
        mmdiff.GivenAudio(CLIP),
        callback_on_step_end=lambda p, i, t, k: calls.append(i),
    )
    assert torch.equal(out.clips[0].frames, FRAMES) and torch.equal(out.clips[0].waveform, SOUND)
    assert calls == []


@torch.no_grad()
def test_the_first_frame_is_the_decoded_latents_of_the_image(pipe: MMDiffPipeline) -> None:
    out = run(pipe, mmdiff.FirstFrame(FRAMES[0]), output_type="latent")
    given = encoder(pipe).video(FRAMES[:1])
    assert torch.equal(out.frames[:, :, :1], given)
    decoded = pipe.vae.decode(pipe.vae.unscale(given)).clamp(-1, 1)  # causal: it stands for itself
    shown = run(pipe, mmdiff.FirstFrame(FRAMES[0])).frames[:, 0]
    assert (shown - (decoded[:, :, 0] + 1) / 2).abs().max() <= 1e-5
    assert not torch.equal(out.frames[:, :, 1:], run(pipe, output_type="latent").frames[:, :, 1:])


def test_given_halves_and_what_is_made_beside_them(pipe: MMDiffPipeline) -> None:
    free = run(pipe)
    silent = run(pipe, mmdiff.GivenVideo(CLIP))
    assert torch.equal(frames_of(silent), FRAMES) and not torch.equal(silent.audio, free.audio)
    heard = run(pipe, mmdiff.GivenAudio(CLIP))
    assert torch.equal(heard.audio[0], SOUND) and not torch.equal(heard.frames, free.frames)
    rebuilt = run(pipe, mmdiff.GivenVideo(CLIP, keep_exact=False))
    assert torch.equal(rebuilt.audio, silent.audio) and not torch.equal(frames_of(rebuilt), FRAMES)


def test_conditions_compose_in_any_order(pipe: MMDiffPipeline) -> None:
    first, sound = mmdiff.FirstFrame(FRAMES[0], keep_exact=True), mmdiff.GivenAudio(CLIP)
    both = run(pipe, first, sound)
    assert same(both, run(pipe, sound, first))
    assert torch.equal(frames_of(both)[0], FRAMES[0]) and torch.equal(both.audio[0], SOUND)


def test_conditions_of_each_clip_equal_those_of_the_clip_alone(pipe: MMDiffPipeline) -> None:
    lists = [
        [mmdiff.FirstFrame(FRAMES[0])],
        [],
        [mmdiff.GivenAudio(CLIP), mmdiff.Keyframes({0.5: FRAMES[8]})],
        [mmdiff.PartialNoise(FRAMES, 0.5)],
    ]
    batch = run(
        pipe,
        prompt=[PROMPT] * 4,
        generator=seeds(0, 1, 2, 3),
        conditions=lists,
        num_inference_steps=4,
    )
    for index, conditions in enumerate(lists):
        alone = run(pipe, *conditions, generator=seeds(index), num_inference_steps=4)
        assert (batch.frames[index] - alone.frames[0]).abs().max() <= 1e-4
        assert (batch.audio[index] - alone.audio[0]).abs().max() <= 1e-4


@pytest.mark.parametrize("strength, calls", [(0.0, 0), (0.5, 5), (1.0, 10)])
def test_partial_noise_makes_that_share_of_the_calls(
    pipe: MMDiffPipeline, strength: float, calls: int
) -> None:
    made: list[int] = []
    run(
        pipe,
        mmdiff.PartialNoise(CLIP, strength),
        sigmas=[1 - index / 10 for index in range(10)],
        num_inference_steps=10,
        callback_on_step_end=lambda p, i, t, k: made.append(i),
    )
    scheduled = sum(
        1 for time in shifted_times(10) if time <= strength + 1e-6
    )  # levels of the calls, after the scheduler's shift
    assert len(made) == scheduled if 0 < strength < 1 else len(made) == calls


def shifted_times(count: int, shift: float = 2.0) -> list[float]:
    levels = [1 - index / count for index in range(count)]
    return [shift * level / (1 + (shift - 1) * level) for level in levels]


def test_inpainting_keeps_what_is_outside(pipe: MMDiffPipeline) -> None:
    out = run(pipe, mmdiff.Inpaint(CLIP, [8, 8, 24, 24], keep_exact=True))
    found = frames_of(out).clone()
    assert not torch.equal(found, FRAMES)
    found[:, 8:24, 8:24] = FRAMES[:, 8:24, 8:24]
    assert torch.equal(found, FRAMES) and torch.equal(out.audio[0], SOUND)
    sound = run(pipe, mmdiff.Inpaint(CLIP, seconds=(0.2, 0.4), keep_exact=True))
    assert torch.equal(frames_of(sound), FRAMES)
    assert torch.equal(sound.audio[0, :, :3200], SOUND[:, :3200])
    assert torch.equal(sound.audio[0, :, 6400:], SOUND[:, 6400:])


def test_the_length_follows_what_is_given(pipe: MMDiffPipeline) -> None:
    longer = Clip(frames=moving_frames(17), waveform=tone(22_000), sample_rate=16_000)
    assert run(pipe, mmdiff.GivenVideo(longer)).clips[0].num_frames == 17
    assert run(pipe, mmdiff.GivenAudio(longer)).clips[0].num_frames == 21
    with pytest.warns(UserWarning, match="it is cut where the clip ends"):
        both = run(pipe, mmdiff.GivenVideo(longer), mmdiff.GivenAudio(longer))
    assert both.clips[0].num_frames == 17
    with pytest.warns(UserWarning, match="the first 13 are used"):
        assert run(pipe, mmdiff.GivenVideo(longer), num_frames=13).clips[0].num_frames == 13


BAD = {
    "no list": (
        {"conditions": mmdiff.FirstFrame(FRAMES[0])},
        TypeError,
        "conditions is a FirstFrame; it must be a list: conditions=[FirstFrame(...)]",
    ),
    "no conditions": (
        {"conditions": "first_frame"},
        TypeError,
        "conditions is a str; it must be a list of conditions, such as "
        "[mmdiff.FirstFrame(image)], or such a list for each clip",
    ),
    "an image itself": (
        {"conditions": [FRAMES[0]]},
        TypeError,
        "conditions[0] is a Tensor; it must be a condition, such as mmdiff.FirstFrame(image)",
    ),
    "half lists": (
        {"conditions": [[], mmdiff.FirstFrame(FRAMES[0])]},
        TypeError,
        "conditions[1] is a FirstFrame beside lists; give each clip a list of conditions (it may "
        "be empty), or all clips one",
    ),
    "too many lists": (
        {"conditions": [[], []]},
        ValueError,
        "conditions has 2 lists for 1 clips; give one list for each clip, or a single list of "
        "conditions for all of them",
    ),
    "two lengths": (
        {"conditions": [mmdiff.GivenVideo(FRAMES), mmdiff.PartialNoise(FRAMES[:5], 0.5)]},
        ValueError,
        "num_frames is not given, and the conditions have different lengths (PartialNoise 5, "
        "GivenVideo 9); give num_frames, at most 5",
    ),
    "extend and length": (
        {"conditions": [mmdiff.Extend(FRAMES, after_seconds=1)], "num_frames": 33},
        ValueError,
        "num_frames is 33, and Extend makes 25 of 9 given ones; leave num_frames out, or make it "
        "25",
    ),
    "extend and sound": (
        {"conditions": [mmdiff.Extend(FRAMES, after_seconds=1)], "modalities": "audio"},
        ValueError,
        "modalities is ('audio',), and the clip of Extend has no audio; make it "
        "modalities=('video',), or make the audio in a call before",
    ),
    "extend and first frame": (
        {"conditions": [mmdiff.Extend(FRAMES, after_seconds=1), mmdiff.FirstFrame(FRAMES[0])]},
        ValueError,
        "FirstFrame cannot go with Extend, which makes a clip window by window; extend the clip "
        "in a call of its own",
    ),
    "extend and two sounds": (
        {"conditions": [mmdiff.Extend(CLIP, after_seconds=1), mmdiff.GivenAudio(tone(25_000))]},
        ValueError,
        "the clip of Extend has sound, and GivenAudio gives another; give Extend the clip without "
        "its sound, or leave GivenAudio out",
    ),
    "extend twice": (
        {"conditions": [mmdiff.Extend(FRAMES, after_seconds=1)] * 2},
        ValueError,
        "conditions holds Extend for some clips and not, or twice, for others; give each clip of "
        "the call one, and call the others apart",
    ),
    "half a frame": (
        {"conditions": [mmdiff.Extend(FRAMES, after_seconds=0.01)]},
        ValueError,
        "before_seconds and after_seconds of Extend are less than half a frame; a frame lasts "
        "0.0625 s: after_seconds=0.0625",
    ),
    "extended latents": (
        {"conditions": [mmdiff.Extend(FRAMES, after_seconds=1)], "output_type": "latent"},
        ValueError,
        "output_type is 'latent', and an extended clip is joined as pictures and sound; it must "
        "be 'pil', 'np' or 'pt'",
    ),
    "extended noise": (
        {
            "conditions": [mmdiff.Extend(FRAMES, after_seconds=1)],
            "latents": torch.zeros(1, 16, 3, 4, 4),
        },
        ValueError,
        "latents are given, and a clip is extended in several windows, each of which draws its "
        "own noise; leave them out and give a generator",
    ),
}


@pytest.mark.parametrize("arguments, kind, message", BAD.values(), ids=BAD.keys())
def test_impossible_conditions(
    pipe: MMDiffPipeline, arguments: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        run(pipe, **arguments)
    assert str(caught.value) == message
