"""Clips longer than the model's window: what is given comes back, and the seams are lawful."""

import pytest
import torch

import mmdiff
from mmdiff.media.clip import Clip
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.conditioning.pooling import moving_frames, tone
from tests.pipelines.test_conditions import CLIP, FRAMES, PROMPT, SOUND, frames_of, run, seeds
from tests.pipelines.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def pipe() -> MMDiffPipeline:
    return tiny_pipeline()


@pytest.mark.parametrize(
    "before, after, count", [(0, 4, 13), (4, 0, 13), (3, 0, 12), (0, 11, 20), (7, 5, 21)]
)
def test_extended_clips_hold_the_given_one_exactly(
    pipe: MMDiffPipeline, before: int, after: int, count: int
) -> None:
    extend = mmdiff.Extend(CLIP, before_seconds=before / 16, after_seconds=after / 16)
    clip = run(pipe, extend).clips[0]
    assert clip.shape == (count, 32, 32) and clip.num_samples == 1000 * count
    assert torch.equal(clip.frames[before : before + 9], FRAMES)
    assert torch.equal(clip.waveform[:, 1000 * before : 1000 * (before + 9)], SOUND)


def test_extending_goes_on_from_window_to_window(pipe: MMDiffPipeline) -> None:
    # law: what is made first does not depend on how much is made after it
    short = run(pipe, mmdiff.Extend(CLIP, after_seconds=4 / 16)).clips[0]
    long = run(pipe, mmdiff.Extend(CLIP, after_seconds=8 / 16)).clips[0]
    assert torch.equal(long.frames[:13], short.frames)
    assert torch.equal(long.waveform[:, :13_000], short.waveform)


def test_an_image_and_a_sound_can_be_extended_too(pipe: MMDiffPipeline) -> None:
    moving = run(pipe, mmdiff.Extend(FRAMES[0], after_seconds=0.5))
    assert moving.audio is None and moving.clips[0].num_frames == 9
    assert torch.equal(frames_of(moving)[0], FRAMES[0])
    sound = run(pipe, mmdiff.Extend(SOUND, after_seconds=0.25))
    assert sound.frames is None and torch.equal(sound.audio[0, :, :9000], SOUND)


def test_a_long_sound_track_under_an_extended_picture(pipe: MMDiffPipeline) -> None:
    track = tone(20_000)
    out = run(
        pipe,
        mmdiff.Extend(FRAMES, before_seconds=0.25, after_seconds=7 / 16),
        mmdiff.GivenAudio(track),
    ).clips[0]
    assert torch.equal(out.waveform, track) and torch.equal(out.frames[4:13], FRAMES)


def test_extending_in_a_batch_equals_each_alone(pipe: MMDiffPipeline) -> None:
    other = Clip(
        frames=moving_frames(9, seed=1), waveform=tone(9000, hertz=900), sample_rate=16_000
    )
    lists = [[mmdiff.Extend(clip, after_seconds=0.5)] for clip in (CLIP, other)]
    batch = run(pipe, prompt=[PROMPT] * 2, generator=seeds(0, 1), conditions=lists)
    for index, conditions in enumerate(lists):
        alone = run(pipe, *conditions, generator=seeds(index))
        assert (batch.frames[index] - alone.frames[0]).abs().max() <= 1e-4
        assert (batch.audio[index] - alone.audio[0]).abs().max() <= 1e-4
