"""Hear the pings of a waveform: when each begins, and at which pitch."""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from mmdiff.bounce.bounce import PITCHES, SILENT

STEP_SECONDS = 0.001
WINDOW_SECONDS = 0.008
LEAST_RISE = 0.03  # full scale: a smaller rise of the root mean square level is no onset
RISE_SHARE = 0.3  # of the strongest rise of the clip: a smaller one is no onset
LEAST_GAP_SECONDS = 0.06
PITCH_SECONDS = 0.1
LEAST_TONE = 0.3  # share of a ping's energy that must lie around its pitch
LOWEST_HZ, HIGHEST_HZ = 150.0, 3000.0


@dataclass(frozen=True)
class Heard:
    """What a waveform holds.

    `sound` is one of the world's sounds, or None for a sound that is no ping. `pitch` in Hz is the
    median over the onsets.
    """

    sound: str | None
    onsets: tuple[float, ...]
    pitch: float | None


def listen(waveform: Tensor, sample_rate: int) -> Heard:
    """Hear `channels samples`, in [-1, 1]; onsets are in seconds."""
    mono = waveform.float().mean(0)
    level = _level(mono, sample_rate)
    onsets = _onsets(level)
    if not onsets:
        is_silent = float(level.max()) < 1.5 * LEAST_RISE
        return Heard(SILENT if is_silent else None, (), None)
    pitches = _pitches(mono, onsets, sample_rate=sample_rate)
    if not pitches:
        return Heard(None, tuple(onsets), None)
    pitch = sorted(pitches)[len(pitches) // 2]
    sound = min(PITCHES, key=lambda name: abs(math.log(pitch / PITCHES[name])))
    return Heard(sound, tuple(onsets), pitch)


def _level(mono: Tensor, sample_rate: int) -> Tensor:
    """Root mean square level in a centred window, one value a millisecond, silence at both ends."""
    step, window = round(STEP_SECONDS * sample_rate), round(WINDOW_SECONDS * sample_rate)
    padded = F.pad(mono.square()[None, None], (window // 2, window))
    power = F.avg_pool1d(padded, window, stride=step)
    return rearrange(power, "1 1 step -> step").clamp(min=0).sqrt()


def _onsets(level: Tensor) -> list[float]:
    """Where the level rises: the middle of the rise in power; for a step, the step itself."""
    reach = round(WINDOW_SECONDS / STEP_SECONDS)
    padded = F.pad(level, (reach, reach))
    rise = padded[2 * reach :] - padded[: -2 * reach]  # from reach before to reach after each step
    least = max(LEAST_RISE, RISE_SHARE * float(rise.max()))
    candidates = [int(i) for i in rearrange(torch.nonzero(rise > least), "n 1 -> n")]
    candidates.sort(key=lambda i: -float(rise[i]))
    kept: list[int] = []
    for i in candidates:
        if all(abs(i - other) * STEP_SECONDS >= LEAST_GAP_SECONDS for other in kept):
            kept.append(i)
    return sorted(_middle_of_rise(padded.square().tolist(), i, reach=reach) for i in kept)


def _middle_of_rise(power: list[float], step: int, *, reach: int) -> float:
    """`power` is padded by `reach` in front."""
    first, last = step, step + 2 * reach
    threshold = (power[first] + max(power[first : last + 1])) / 2
    for i in range(first, last):
        if power[i] < threshold <= power[i + 1]:
            between = (threshold - power[i]) / (power[i + 1] - power[i])
            return max(0.0, (i + between - reach) * STEP_SECONDS)
    return step * STEP_SECONDS


def _pitches(mono: Tensor, onsets: list[float], *, sample_rate: int) -> list[float]:
    """The pitch of each ping that sounds long enough, and is a tone, to have one."""
    found = []
    for onset, following in zip(onsets, [*onsets[1:], math.inf], strict=True):
        first = round((onset + 0.004) * sample_rate)
        last = round(min(onset + PITCH_SECONDS, following - 0.004) * sample_rate)
        piece = mono[first:last]
        pitch = _pitch(piece, sample_rate) if len(piece) >= 0.012 * sample_rate else None
        if pitch is not None:
            found.append(pitch)
    return found


def _pitch(piece: Tensor, sample_rate: int) -> float | None:
    """Frequency of the strongest peak, by a parabola through the log spectrum around it."""
    size = 16384
    window = torch.hann_window(len(piece), periodic=False)
    power = torch.fft.rfft(piece * window, size).abs().square()
    first, last = round(LOWEST_HZ * size / sample_rate), round(HIGHEST_HZ * size / sample_rate)
    peak = first + int(power[first:last].argmax())
    width = max(peak // 8, round(2 * size / len(piece)))  # the main lobe of the window at least
    tone = power[max(0, peak - width) : peak + width + 1].sum() / power.sum().clamp(min=1e-20)
    if float(tone) < LEAST_TONE:
        return None
    left, middle, right = power[peak - 1 : peak + 2].clamp(min=1e-20).log().tolist()
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return (peak + shift) * sample_rate / size
