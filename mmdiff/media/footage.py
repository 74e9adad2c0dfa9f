"""Footage: frames and sound on one clock, as they are in files."""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

import torch
from torch import Tensor

SLOWEST = Fraction(1, 1001)  # that a float is read as: a fraction of small numbers
LARGEST_SAMPLE_RATE = 768_000  # of any recorder; a larger one would ask for filters of terabytes
MOST_CHANNELS = 8


@dataclass(frozen=True, eq=False)
class Footage:
    """Frames, sound or both, from the same moment on. A still image is one frame.

    frames          frames height width 3, uint8, or None
    fps             frames per second, exact; ints and floats such as 16.0 or 29.97 are converted
    waveform        channels samples, float32 in [-1, 1], or None
    sample_rate     samples per second, or None where there is no sound
    channel_layout  which channel is which, by FFmpeg's name ("5.1(side)"); None: the usual layout
                    of so many channels
    notes           what was done to the file while it was read, and what it says of itself that
                    could not be honoured: a short phrase each

    Raises ValueError or TypeError where a part is not as above.
    """

    frames: Tensor | None = None
    fps: Fraction = Fraction(16)
    waveform: Tensor | None = None
    sample_rate: int | None = None
    channel_layout: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fps", exact_rate(self.fps))
        if self.frames is None and self.waveform is None:
            raise ValueError("a clip needs frames, a waveform, or both; got neither")
        if self.frames is not None:
            _check_frames(self.frames)
        if self.waveform is not None:
            _check_waveform(self.waveform, self.sample_rate)
        elif self.sample_rate is not None:
            raise ValueError(
                f"sample_rate is {self.sample_rate} but there is no waveform; leave it None"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, height and width; zeros where there are no frames."""
        if self.frames is None:
            return (0, 0, 0)
        num_frames, height, width, _ = self.frames.shape
        return (num_frames, height, width)

    @property
    def num_frames(self) -> int:
        return self.shape[0]

    @property
    def num_samples(self) -> int:
        return 0 if self.waveform is None else self.waveform.shape[1]

    @property
    def video_seconds(self) -> Fraction:
        return self.num_frames / self.fps

    @property
    def audio_seconds(self) -> Fraction:
        return Fraction(self.num_samples, self.sample_rate) if self.sample_rate else Fraction(0)

    @property
    def duration_seconds(self) -> Fraction:
        """Length of the longer modality, exact."""
        return max(self.video_seconds, self.audio_seconds)

    def __str__(self) -> str:
        """`33 frames of 64 x 64 at 16/s, 2.06 s of sound at 16000 Hz`; sizes are width x height."""
        parts = []
        if self.frames is not None:
            count, height, width = self.shape
            plural = "frame" if count == 1 else "frames"
            rate = "" if count == 1 else f" at {float(self.fps):g}/s"
            parts.append(f"{count} {plural} of {width} x {height}{rate}")
        if self.waveform is not None:
            parts.append(f"{float(self.audio_seconds):.2f} s of sound at {self.sample_rate} Hz")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


def exact_rate(rate: Fraction | float | str) -> Fraction:
    """`rate` as an exact fraction: 16.0 -> 16, 23.976 -> 24000/1001, "30000/1001" -> itself, 12.5
    -> 25/2.

    Raises ValueError unless it is positive and finite, and for a float that is nearly 0.
    """
    try:
        exact = Fraction(rate)
    except (ValueError, OverflowError, TypeError, ZeroDivisionError):
        raise ValueError(
            f"fps is {rate!r}; it must be a positive number or fraction such as 16 or 30000/1001"
        ) from None
    if exact <= 0:
        raise ValueError(f"fps is {rate}; it must be positive, such as 16")
    if isinstance(rate, Fraction):
        return exact
    if exact < SLOWEST:
        raise ValueError(f"fps is {rate}; the slowest is {SLOWEST}, or give a Fraction")
    broadcast = Fraction(round(exact) * 1000, 1001)  # 23.976 and 29.97 are short for these
    if broadcast and exact.denominator > 2 and abs(exact - broadcast) < Fraction(1, 200):
        return broadcast
    return exact.limit_denominator(1001)


def _check_frames(frames: Tensor) -> None:
    shape = "(frames, height, width, 3), none of them 0"
    if not isinstance(frames, Tensor):
        raise TypeError(f"frames is a {type(frames).__name__}; it must be a uint8 tensor: {shape}")
    if frames.dtype != torch.uint8:
        raise ValueError(f"frames are {frames.dtype}; they must be torch.uint8, 0 to 255")
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"frames have shape {tuple(frames.shape)}; it must be {shape}")


def _check_waveform(waveform: Tensor, sample_rate: int | None) -> None:
    shape = "(channels, samples), or None for no sound"
    if not isinstance(waveform, Tensor):
        raise TypeError(f"waveform is a {type(waveform).__name__}; it must be a tensor: {shape}")
    if waveform.dtype != torch.float32:
        raise ValueError(f"waveform is {waveform.dtype}; it must be torch.float32 in [-1, 1]")
    if waveform.ndim != 2 or waveform.numel() == 0:
        raise ValueError(f"waveform has shape {tuple(waveform.shape)}; it must be {shape}")
    if len(waveform) > MOST_CHANNELS:
        raise ValueError(
            f"waveform has {len(waveform)} channels, at most {MOST_CHANNELS} are possible; "
            f"it must be {shape}: is it the wrong way round?"
        )
    if not isinstance(sample_rate, int) or sample_rate <= 0:
        raise ValueError(
            f"sample_rate is {sample_rate!r}; a waveform needs one, a positive int such as 16000"
        )
    if sample_rate > LARGEST_SAMPLE_RATE:
        raise ValueError(f"sample_rate is {sample_rate}; at most {LARGEST_SAMPLE_RATE} is possible")
    peak = float(waveform.abs().max())
    if not isfinite(peak):
        raise ValueError("waveform holds NaN or infinity; a sound is finite numbers in [-1, 1]")
    if peak > 1:
        raise ValueError(
            f"waveform peaks at {peak:.4g}; it must be in [-1, 1]: "
            f"clamp it, or divide it by {peak:.4g}"
        )
