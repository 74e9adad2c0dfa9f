"""From a clip as it is in a file to a sample of the shape that is trained on; a pure function."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.order import keyed_seed
from mmdiff.media.clip import Clip
from mmdiff.media.mono import channels_phrase, to_mono, within_full_scale
from mmdiff.media.rejection import Reason, rejected
from mmdiff.media.resample import LARGEST_RATIO_PART, crop, resample_waveform, resize
from mmdiff.values.sample import Sample

FRAMES_AT_ONCE = 8  # scaled in float, which takes four times the memory of the frames
MARGIN_SECONDS = Fraction(1, 20)  # around a cut, so that the filter of resampling sees no end
# the last frame needs to be on the screen only when it begins: just under one frame may be missing
EPSILON = Fraction(1, 10**9)


@dataclass(frozen=True)
class FittedClip:
    """A sample of the shape of a spec, and a short phrase for everything that was done to the clip.

    Without adaptations the sample is the clip, to the last bit.
    """

    sample: Sample
    adaptations: tuple[str, ...]


def fit_clip(
    clip: Clip,
    spec: ClipSpec,
    *,
    caption: str,
    key: str,
    start_seconds: Fraction | float = 0,
    generator: Generator | None = None,
) -> FittedClip:
    """Crop, scale, change rates and length; picture and sound are cut at the same time.

    start_seconds  nothing before it is used
    generator      of what the spec leaves to chance; where there is none, chance is a function of
                   `key`

    Raises RejectedMedia for a clip that is too short, too small, or lacks what is required.
    """
    chosen = _with_modalities(clip, spec, key)
    generator = generator or Generator().manual_seed(keyed_seed("fit", key))
    chance = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    start = _start(chosen, spec, key, earliest=Fraction(start_seconds), chance=chance[0])
    done = list(clip.notes)
    if clip.frames is not None and chosen.frames is None:
        done.append("video left out")
    if clip.waveform is not None and chosen.waveform is None:
        done.append("audio left out")
    done += _cut(chosen, spec, start)
    frames = waveform = None
    if chosen.frames is not None:
        corner = (chance[1], chance[2]) if spec.crop == "random" else (0.5, 0.5)
        frames = _fitted_frames(chosen, spec, start, corner, done)
    if chosen.waveform is not None:
        waveform = _fitted_waveform(chosen, spec, start, done)
    sample = Sample(frames, waveform, caption, key, spec.rate, spec.sample_rate)
    return FittedClip(sample, tuple(done))


def _with_modalities(clip: Clip, spec: ClipSpec, key: str) -> Clip:
    """The clip with what the spec asks for, where it can be used."""
    frames = None if spec.video == "ignored" else clip.frames
    waveform = None if spec.audio == "ignored" else clip.waveform
    is_video_needed = spec.video == "required" or spec.audio == "ignored"
    is_audio_needed = spec.audio == "required" or spec.video == "ignored"
    is_nothing_left = frames is None and waveform is None
    for name, reason, is_missing in (
        ("video", Reason.NO_PICTURE, frames is None and is_video_needed),
        ("audio", Reason.NO_SOUND, waveform is None and is_audio_needed),
        ("video", Reason.NO_PICTURE, is_nothing_left),
    ):
        if is_missing:
            text = f"holds no {name}, which is asked for; leave it out"
            raise rejected(key, reason, "fit", text)
    if frames is not None and (factor := _upscale(clip, spec)) > spec.max_upscale:
        _, height, width = clip.shape
        raise rejected(
            key,
            Reason.TOO_SMALL,
            "fit",
            f"is {height} x {width} and would be enlarged {factor:.3g} times to "
            f"{spec.height} x {spec.width}; ask for a smaller size or raise max_upscale",
        )
    sample_rate = None if waveform is None else clip.sample_rate
    return replace(clip, frames=frames, waveform=waveform, sample_rate=sample_rate)


def _start(clip: Clip, spec: ClipSpec, key: str, *, earliest: Fraction, chance: float) -> Fraction:
    """The time that the sample begins at: on a frame of the spec, counted from `earliest`."""
    if clip.num_frames == 1 and spec.num_frames > 1:
        raise rejected(
            key,
            Reason.TOO_SHORT,
            "fit",
            f"is a still; {spec.num_frames} frames are asked for: stills=kept takes images without "
            "sound, num_frames=1 all of them",
        )
    lengths: dict[str, Fraction] = {}  # a still has no length of its own
    if clip.num_frames > 1:
        lengths["video"] = clip.video_seconds
    if clip.waveform is not None:
        lengths["audio"] = clip.audio_seconds
    for name, seconds in lengths.items():
        missing = earliest + spec.duration_seconds - seconds
        one_frame = 1 / spec.rate - EPSILON if name == "video" else Fraction(0)
        if missing > max(Fraction(spec.max_padding_seconds), one_frame) or seconds <= earliest:
            there = max(seconds - earliest, Fraction(0))
            raise rejected(
                key,
                Reason.TOO_SHORT,
                "fit",
                f"has {float(there):.3g} s of {name} and {float(spec.duration_seconds):.3g} s are "
                f"asked for; num_frames={max(1, int(there * spec.rate))} or fewer would fit",
            )
    spare = min(lengths.values(), default=Fraction(0)) - spec.duration_seconds - earliest
    num_starts = max(0, int(spare * spec.rate)) + 1
    chosen = min(int(chance * num_starts), num_starts - 1) if spec.span == "random" else 0
    return earliest + chosen / spec.rate


def _cut(clip: Clip, spec: ClipSpec, start: Fraction) -> list[str]:
    """A phrase for what lies before and behind the span, of the modality that loses more."""
    behind = [Fraction(0)]
    if clip.num_frames > 1:
        behind.append(clip.video_seconds - start - spec.duration_seconds)
    if clip.waveform is not None:
        heard = Fraction(spec.num_samples, spec.sample_rate)
        behind.append(clip.audio_seconds - start - heard)
    rest = start + max(behind)
    begins = f", begins at {float(start):.3g} s" if start else ""
    return [f"cut by {float(rest):.3g} s{begins}"] if rest else []


def _upscale(clip: Clip, spec: ClipSpec) -> float:
    """The factor by which the picture is enlarged until it covers the size of the spec."""
    _, height, width = clip.shape
    return max(spec.height / height, spec.width / width)


def _fitted_frames(
    clip: Clip, spec: ClipSpec, start: Fraction, corner: tuple[float, float], done: list[str]
) -> Tensor:
    """frames height width 3, uint8, from `start` on; what is done goes to `done`.

    Each frame is the one on the screen at its time; behind the end the last one is held. `corner`
    is where the crop lies, from 0 (top, left) to 1.
    """
    assert clip.frames is not None
    indices = _on_screen(clip, spec, start, done)
    _, height, width = clip.shape
    factor = _upscale(clip, spec)
    box = min(height, round(spec.height / factor)), min(width, round(spec.width / factor))
    top = min(int(corner[0] * (height - box[0] + 1)), height - box[0])
    left = min(int(corner[1] * (width - box[1] + 1)), width - box[1])
    frames = crop(clip.frames, *box, top=top, left=left)[indices]
    if box != (height, width):
        done.append(f"cropped {height} x {width} -> {box[0]} x {box[1]}")
    if box != (spec.height, spec.width):
        done.append(f"scaled {box[0]} x {box[1]} -> {spec.height} x {spec.width}")
        parts = frames.split(FRAMES_AT_ONCE)
        frames = torch.cat([resize(part, spec.height, spec.width) for part in parts])
    return frames


def _on_screen(clip: Clip, spec: ClipSpec, start: Fraction, done: list[str]) -> list[int]:
    """The index of the frame on the screen at each tick of the spec."""
    if clip.num_frames == spec.num_frames == 1:
        return [0]
    if clip.fps != spec.rate:
        done.append(f"{float(clip.fps):.6g} -> {float(spec.rate):.6g} fps")
    ticks = [start + index / spec.rate for index in range(spec.num_frames)]
    num_held = sum(tick >= clip.video_seconds for tick in ticks)
    if num_held:
        done.append(f"last frame held for {float(num_held / spec.rate):.3g} s")
    return [min(int(tick * clip.fps), clip.num_frames - 1) for tick in ticks]


def _fitted_waveform(clip: Clip, spec: ClipSpec, start: Fraction, done: list[str]) -> Tensor:
    """1 samples, float32 in [-1, 1], from `start` on, silence behind the end; as if the whole were
    resampled and then cut. What is done goes to `done`."""
    assert clip.waveform is not None
    assert clip.sample_rate is not None
    if len(clip.waveform) > 1:
        done.append(f"mono from {channels_phrase(clip.waveform, clip.channel_layout)}")
    if clip.sample_rate != spec.sample_rate:
        done.append(f"{clip.sample_rate} -> {spec.sample_rate} Hz")
    ratio = Fraction(clip.sample_rate, spec.sample_rate).limit_denominator(LARGEST_RATIO_PART)
    first = round(start * spec.sample_rate)
    margin = ceil(MARGIN_SECONDS * clip.sample_rate)
    # cut on a sample that both rates share: ratio.numerator samples become ratio.denominator
    blocks = max(0, floor((first * ratio - margin) / ratio.numerator))
    end = ceil((first + spec.num_samples) * ratio) + margin
    part = clip.waveform[:, blocks * ratio.numerator : end]
    mono, peak = within_full_scale(to_mono(part, clip.channel_layout))
    if peak is not None:
        done.append(f"mix turned down from {peak:.3g} of full scale")
    waveform = resample_waveform(mono, ratio.numerator, ratio.denominator)
    skipped = first - blocks * ratio.denominator
    waveform = waveform[:, skipped : skipped + spec.num_samples]
    silence = spec.num_samples - waveform.shape[1]
    if silence:
        heard = float(clip.audio_seconds - start)
        done.append(f"silence behind {heard:.3g} s of sound")
    return functional.pad(waveform, (0, silence)).contiguous()
