"""The judge is trusted on samples only because it reads true renders right, clean and damaged."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from mmdiff.bounce.bounce import CHOICES, PITCHES, Bounce
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw
from mmdiff.bounce.judge import Reading, judge
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape

Damage = Callable[[Clip], Clip]


def read(
    num: int, seed: int, shape: ClipShape, damage: Damage = lambda clip: clip
) -> dict[str, float]:
    """Share of clips read wrong, attribute by attribute, and median errors in milliseconds."""
    events = random_prompts(num, seed)
    readings = [judge(damage(draw(event, shape))) for event in events]
    pairs = list(zip(events, readings, strict=True))
    wrong = {
        name: sum(getattr(event, name) != getattr(reading, name) for event, reading in pairs) / num
        for name in CHOICES
    }
    seen, heard = [], []
    for event, reading in pairs:
        duration_seconds = float(shape.duration_seconds)
        impacts = event.impacts(duration_seconds, shape.width / shape.height)
        margin = 3 / float(shape.frame_rate)
        for impact in impacts:
            if margin < impact.seconds < duration_seconds - margin:
                seen.append(_gap(impact.seconds, reading.impacts))
            if event.sound in PITCHES and impact.seconds < duration_seconds - 0.03:
                heard.append(_gap(impact.seconds, reading.onsets))
    errors = {
        "impact": float(torch.tensor(seen).median()),
        "onset": float(torch.tensor(heard).median()),
    }
    missed = {
        "missed impacts": sum(gap > 0.06 for gap in seen) / len(seen),
        "missed onsets": sum(gap > 0.06 for gap in heard) / len(heard),
    }
    return wrong | missed | {name: 1e3 * error for name, error in errors.items()}


def _gap(moment: float, found: tuple[float, ...]) -> float:
    return min((abs(moment - other) for other in found), default=9.0)


def check(errors: dict[str, float], *, wrong: float, milliseconds: float = 10.0) -> None:
    for name in CHOICES:
        assert errors[name] <= wrong, (name, errors)
    for name in ("impact", "onset"):
        assert errors[name] <= milliseconds, errors
    assert errors["missed impacts"] <= 0.03, errors
    assert errors["missed onsets"] <= 0.05, errors


@pytest.mark.slow
def test_a_thousand_true_renders() -> None:
    check(read(1000, 100, ClipShape()), wrong=0.01, milliseconds=2)


@pytest.mark.parametrize(
    "shape",
    [
        ClipShape(),
        ClipShape(num_frames=65),
        ClipShape(height=32, width=32),
        ClipShape(height=96, width=96),
        ClipShape(height=48, width=80),
        ClipShape(num_frames=17, frame_rate=Fraction(8)),
        ClipShape(num_frames=63, frame_rate=Fraction(30000, 1001)),
    ],
    ids=lambda shape: f"{shape.num_frames}x{shape.height}x{shape.width}",
)
def test_true_renders_of_many_sizes(shape: ClipShape) -> None:
    check(read(30, 5, shape), wrong=0.0, milliseconds=3)


def noise(clip: Clip) -> Clip:
    grain = torch.randn(clip.frames.shape, generator=torch.Generator().manual_seed(1))
    return replace(clip, frames=_bytes(clip.frames + 3 * grain))


def blur(clip: Clip) -> Clip:
    kernel = torch.exp(-(torch.arange(-4, 5) ** 2) / 2.0)
    kernel = (kernel[:, None] * kernel / kernel.sum() ** 2)[None, None].expand(3, 1, 9, 9)
    pixels = F.pad(rearrange(clip.frames.float(), "f h w c -> f c h w"), (4, 4, 4, 4), "replicate")
    return replace(
        clip, frames=_bytes(rearrange(F.conv2d(pixels, kernel, groups=3), "f c h w -> f h w c"))
    )


def tint(clip: Clip) -> Clip:
    """Single frames of another color, and one that went dark."""
    pixels = clip.frames.float()
    pixels[7] += torch.tensor([60.0, -40.0, 50.0])
    pixels[20] += torch.tensor([-50.0, 40.0, -30.0])
    pixels[14] *= 0.5
    return replace(clip, frames=_bytes(pixels))


def holes(clip: Clip) -> Clip:
    """A third of the frames torn, and two without any object."""
    frames, generator = clip.frames.clone(), torch.Generator().manual_seed(2)
    for index in torch.randperm(33, generator=generator)[:11].tolist():
        torn = torch.rand(64, 64, 1, generator=generator) < 0.35
        frames[index] = torch.where(torn, frames[index, 0, 0], frames[index])
    frames[[4, 18]] = frames[4, 0, 0].clone()
    return replace(clip, frames=frames)


def hiss(clip: Clip) -> Clip:
    grain = torch.randn(clip.waveform.shape, generator=torch.Generator().manual_seed(3))
    return replace(clip, waveform=(clip.waveform + 0.01 * grain).clamp(-1, 1))


def guessed_phase(clip: Clip) -> Clip:
    """The sound with phases that are only about right: a poor vocoder."""
    window = torch.hann_window(512)
    spectrum = torch.stft(clip.waveform, 512, 128, window=window, return_complex=True)
    turn = torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(4))
    spectrum = spectrum * torch.polar(torch.ones_like(turn), 0.8 * turn)
    waveform = torch.istft(spectrum, 512, 128, window=window, length=clip.num_samples)
    return replace(clip, waveform=waveform.clamp(-1, 1))


def _bytes(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("damage", [noise, blur, tint, holes, hiss, guessed_phase])
def test_damaged_renders(damage: Damage) -> None:
    check(read(40, 6, ClipShape(), damage), wrong=0.03, milliseconds=6)


def test_all_damages_together() -> None:
    together = read(30, 7, ClipShape(), lambda clip: hiss(tint(blur(noise(clip)))))
    check(together, wrong=0.04)


RED = Bounce("large", "red", "circle", "black", "bouncing up and down", "quickly", "a high ping")


def test_one_half_alone_and_one_frame() -> None:
    clip = draw(RED, ClipShape())
    silent = judge(Clip(frames=clip.frames, fps=clip.fps))
    assert (silent.color, silent.motion, silent.sound) == ("red", "bouncing up and down", None)
    unseen = judge(Clip(waveform=clip.waveform, sample_rate=clip.sample_rate))
    assert (unseen.color, unseen.motion, unseen.sound) == (None, None, "a high ping")
    still = judge(Clip(frames=clip.frames[:1], fps=clip.fps))
    assert (still.color, still.size, still.shape, still.motion) == ("red", "large", "circle", None)


def test_an_empty_canvas_has_a_background_and_nothing_else() -> None:
    frames = torch.full((33, 64, 64, 3), 115, dtype=torch.uint8)
    assert judge(Clip(frames=frames)) == Reading(background="gray")


def test_noise_is_no_ping_and_pure_noise_does_not_break_the_judge() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (33, 64, 64, 3), generator=generator, dtype=torch.uint8)
    waveform = 0.3 * torch.randn(1, 33000, generator=generator).clamp(-3, 3)
    assert judge(Clip(frames=frames, waveform=waveform, sample_rate=16000)).sound is None
