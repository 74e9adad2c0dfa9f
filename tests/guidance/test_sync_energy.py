import pytest
import torch

from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw_frames, draw_waveform
from mmdiff.guidance.sync_energy import SyncEnergy, disagreement
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import ClipShape
from tests.guidance.tiny_decode import (
    TinyDecode,
    assert_slope_is_that_of_finite_differences,
    known,
    latents,
)

SHAPE = ClipShape()
EVENTS = [event for event in random_prompts(24, 7) if event.sound != "no sound"]


def frames(event: Bounce) -> torch.Tensor:
    return to_unit_range(draw_frames(event, SHAPE)[None])


def log_mel(event: Bounce, *, later_seconds: float = 0.0) -> torch.Tensor:
    waveform = draw_waveform(event, SHAPE)
    late = round(later_seconds * SHAPE.sample_rate)
    moved = torch.cat([torch.zeros(1, late), waveform[:, : waveform.shape[1] - late]], dim=1)
    return LogMel()(moved)[:, None]


def apart(picture: torch.Tensor, sound: torch.Tensor) -> torch.Tensor:
    return disagreement(picture, sound, frame_rate=16, mel_rate=64)


class AsItIs(TinyDecode):
    """Latents are frames and log-mels."""

    def __call__(self, latents: ClipLatents) -> ClipLatents:
        return latents


def test_true_clips_are_in_sync():
    found = torch.cat([apart(frames(event), log_mel(event)) for event in EVENTS])
    assert found.median() < 0.05
    assert found.mean() < 0.15


@pytest.mark.parametrize("later_seconds", [0.1, 0.2, 0.3, 0.4])
def test_the_same_clips_with_their_sound_moved_are_not(later_seconds):
    for event in EVENTS:
        true = apart(frames(event), log_mel(event))
        assert apart(frames(event), log_mel(event, later_seconds=later_seconds)) > true + 0.1


class OnBlack(TinyDecode):
    """With a border that stays, since the background is read from it and held fixed."""

    def __call__(self, latents: ClipLatents) -> ClipLatents:
        media = super().__call__(latents)
        if media.video is None:
            return media
        inner = media.video[..., 1:-1, 1:-1]
        return media.replace("video", torch.nn.functional.pad(inner, (1, 1, 1, 1), value=-0.9))


def test_its_slope_is_that_of_finite_differences():
    clean = latents()
    told = known(clean, decode=OnBlack())
    assert_slope_is_that_of_finite_differences(SyncEnergy(0.1), clean, told)


def test_going_down_it_brings_sound_and_picture_together():
    """Sounds 0.1 s late, with noise, move to where they belong."""
    energy = SyncEnergy(0.1, audio_scale=0.02)
    for event in EVENTS[:2]:
        noise = torch.Generator().manual_seed(0)
        late = log_mel(event, later_seconds=0.1)
        clean = ClipLatents(frames(event), late + 0.02 * torch.randn(late.shape, generator=noise))
        told = known(clean, 0.5, decode=AsItIs())
        before = energy.energy(clean, told)
        for _ in range(6):
            slope = energy.slope(clean, told)
            clean = clean.replace("audio", clean.audio - slope.audio)
        assert energy.energy(clean, told) < 0.8 * before


def test_silence_and_stillness_have_no_slope():
    moving, silent = frames(EVENTS[0]), torch.full((1, 1, 132, 64), -1.0)
    still, loud = moving[:, :, :1].expand(-1, -1, 33, -1, -1), log_mel(EVENTS[0])
    for picture, sound in ((moving, silent), (still, loud)):
        clean = ClipLatents(picture, sound)
        slope = SyncEnergy(0.1).slope(clean, known(clean, decode=AsItIs()))
        assert not slope.video.any() and not slope.audio.any()


def test_a_clip_without_sound_and_a_still_image_are_left_alone():
    clean = latents()
    for alone in (ClipLatents(video=clean.video), ClipLatents(clean.video[:, :, :1], clean.audio)):
        slope = SyncEnergy(0.1).slope(alone, known(alone))
        assert all(not half.any() for half in (slope.video, slope.audio) if half is not None)


def test_a_tolerance_of_nothing_is_refused():
    with pytest.raises(ValueError, match="tolerance_seconds is 0"):
        SyncEnergy(0.1, tolerance_seconds=0.0)
