"""From a clip as it is in a file to a sample of the shape that is trained on; a pure function."""

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Generator

from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.data.files.fit_picture import fit_picture, upscale
from mmdiff.data.files.fit_sound import fit_sound
from mmdiff.data.order import keyed_seed
from mmdiff.media.clip import Clip
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.sample import Sample


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
) -> FittedClip | Rejection:
    """Crop, scale, change rates and length; picture and sound are cut at the same moment.

    start_seconds  nothing before this moment of the clip is used
    generator      of what the spec leaves to chance; where there is none, chance is a function of
                   `key`
    """
    chosen = _halves(clip, spec, key)
    if isinstance(chosen, Rejection):
        return chosen
    generator = generator or Generator().manual_seed(keyed_seed("fit", key))
    chance = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    start = _start(chosen, spec, key, earliest=Fraction(start_seconds), chance=chance[0])
    if isinstance(start, Rejection):
        return start
    frames, waveform, adaptations = None, None, (*clip.notes, *_left_out(clip, chosen))
    adaptations += _cut(chosen, spec, start)
    if chosen.frames is not None:
        place = (chance[1], chance[2]) if spec.crop == "random" else (0.5, 0.5)
        frames, told = fit_picture(chosen, spec, start_seconds=start, place=place)
        adaptations += told
    if chosen.waveform is not None:
        waveform, told = fit_sound(chosen, spec, start_seconds=start)
        adaptations += told
    sample = Sample(frames, waveform, caption, key, spec.rate, spec.sample_rate)
    return FittedClip(sample, adaptations)


def _halves(clip: Clip, spec: ClipSpec, key: str) -> Clip | Rejection:
    """The clip with the halves that the spec asks for, where both can be used."""
    has_picture = clip.frames is not None and spec.picture != "ignored"
    has_sound = clip.waveform is not None and spec.sound != "ignored"
    if missing := _missing(spec, has_picture=has_picture, has_sound=has_sound):
        half, reason = missing
        return _rejection(key, reason, f"holds no {half}, which is asked for; leave it out")
    if has_picture and (factor := upscale(clip, spec)) > spec.max_upscale:
        _, height, width = clip.shape
        return _rejection(
            key,
            Reason.TOO_SMALL,
            f"is {height} x {width} and would be enlarged {factor:.3g} times to "
            f"{spec.height} x {spec.width}; ask for a smaller size or raise max_upscale",
        )
    if not has_picture:
        clip = replace(clip, frames=None)
    return clip if has_sound else replace(clip, waveform=None, sample_rate=None)


def _missing(spec: ClipSpec, *, has_picture: bool, has_sound: bool) -> tuple[str, Reason] | None:
    """The half that a clip lacks and needs, if there is one; at least one that is not ignored."""
    needs_picture = spec.picture == "required" or spec.sound == "ignored"
    needs_sound = spec.sound == "required" or spec.picture == "ignored"
    if not has_picture and (needs_picture or not (has_sound or needs_sound)):
        return "picture", Reason.NO_PICTURE
    return ("sound", Reason.NO_SOUND) if not has_sound and needs_sound else None


def _start(
    clip: Clip, spec: ClipSpec, key: str, *, earliest: Fraction, chance: float
) -> Fraction | Rejection:
    """The moment that the sample begins at: on a frame of the spec, counted from `earliest`."""
    if clip.num_frames == 1 and spec.num_frames > 1:
        return _rejection(
            key,
            Reason.TOO_SHORT,
            f"is a still; {spec.num_frames} frames are asked for: stills=kept takes images without "
            "sound, num_frames=1 all of them",
        )
    for name, seconds in _lengths(clip).items():
        missing = earliest + spec.duration_seconds - seconds
        # The last frame needs to be on the screen only when it begins.
        tolerance = max(Fraction(spec.max_padding_seconds), _one_frame(spec, name))
        if missing > tolerance or seconds <= earliest:
            fitting = max(1, int((seconds - earliest) * spec.rate))
            return _rejection(
                key,
                Reason.TOO_SHORT,
                f"has {float(max(seconds - earliest, Fraction(0))):.3g} s of {name} and "
                f"{float(spec.duration_seconds):.3g} s are asked for; num_frames={fitting} or "
                "fewer would fit",
            )
    room = min(_lengths(clip).values(), default=Fraction(0)) - spec.duration_seconds
    num_starts = max(0, int((room - earliest) * spec.rate)) + 1
    chosen = min(int(chance * num_starts), num_starts - 1) if spec.stretch == "random" else 0
    return earliest + chosen / spec.rate


def _one_frame(spec: ClipSpec, name: str) -> Fraction:
    """Just under one frame for the picture, nothing for the sound."""
    return 1 / spec.rate - Fraction(1, 10**9) if name == "picture" else Fraction(0)


def _lengths(clip: Clip) -> dict[str, Fraction]:
    """Seconds of each half that is there; a still has no length of its own."""
    lengths = {}
    if clip.num_frames > 1:
        lengths["picture"] = clip.video_seconds
    if clip.waveform is not None:
        lengths["sound"] = clip.audio_seconds
    return lengths


def _left_out(clip: Clip, chosen: Clip) -> tuple[str, ...]:
    told = []
    if clip.frames is not None and chosen.frames is None:
        told.append("picture left out")
    if clip.waveform is not None and chosen.waveform is None:
        told.append("sound left out")
    return tuple(told)


def _cut(clip: Clip, spec: ClipSpec, start: Fraction) -> tuple[str, ...]:
    """A phrase for what lies before and behind the stretch, of the half that loses more."""
    behind = [Fraction(0)]
    if clip.num_frames > 1:
        behind.append(clip.video_seconds - start - spec.duration_seconds)
    if clip.waveform is not None:
        heard = Fraction(spec.num_samples, spec.sample_rate)
        behind.append(clip.audio_seconds - start - heard)
    rest = start + max(behind)
    begins = f", begins at {float(start):.3g} s" if start else ""
    return (f"cut by {float(rest):.3g} s{begins}",) if rest else ()


def _rejection(key: str, reason: Reason, text: str) -> Rejection:
    return Rejection(key, reason, "fit", f"{key} {text}")
