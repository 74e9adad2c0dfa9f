"""Changes of motion and beginnings of sounds, of any clip; the world knows when they are."""

import torch

from mmdiff.bounce.dataset import BounceDataset
from mmdiff.bounce.judge import judge
from mmdiff.evaluation.events import audio_onsets, motion_events
from mmdiff.evaluation.sync import recall
from mmdiff.media.clip import Clip

RATE = 16_000


def test_the_events_of_the_world_are_found_and_no_others() -> None:
    clips = BounceDataset(12, 5, split="all")
    samples = [clips[index] for index in range(len(clips))]
    readings = [judge(Clip(one.frames, 16, one.waveform, RATE)) for one in samples]
    seen = [motion_events(one.frames, 16.0) for one in samples]
    heard = [audio_onsets(one.waveform, RATE) for one in samples]
    impacts = [reading.impacts for reading in readings]
    onsets = [reading.onsets for reading in readings]
    assert sum(map(len, impacts)) >= 20 and sum(map(len, onsets)) >= 15
    assert recall("recall", impacts, seen).value == recall("precision", seen, impacts).value == 100
    near = {"within_seconds": 0.01}
    assert recall("recall", onsets, heard, **near).value == 100
    assert recall("precision", heard, onsets, **near).value == 100


def test_what_goes_on_evenly_has_no_events() -> None:
    seconds = torch.arange(2 * RATE) / RATE
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * seconds)
    noise = 0.1 * torch.randn(2 * RATE, generator=torch.Generator().manual_seed(0))
    for waveform in (tone, noise):  # both begin with the clip
        assert [round(onset, 2) for onset in audio_onsets(waveform[None], RATE)] in ([], [0.0])
    assert audio_onsets(torch.zeros(1, RATE), RATE) == []
    texture = torch.rand(40, 40, 3, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(
        texture.permute(2, 0, 1)[None, :, :8, :8], size=(40, 96), mode="bicubic"
    )[0].clamp(0, 1)
    moving = torch.stack([smooth[:, :, 2 * step : 2 * step + 40] for step in range(20)])
    frames = (255 * moving.permute(0, 2, 3, 1)).to(torch.uint8)
    assert motion_events(frames, 16.0) == []
    turned = torch.cat([frames[:10], frames[:9].flip(0)])
    assert motion_events(turned, 16.0) == [9 / 16]
    assert motion_events(frames[:3], 16.0) == []
