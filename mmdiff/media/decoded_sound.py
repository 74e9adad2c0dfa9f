"""The decoded samples of one stream, on the clock of the pictures."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

LARGEST_SAMPLES = 2**30
LARGEST_FILLING = 2048  # one frame of the widest codec


class DecodedSound:
    """Collects samples; every damage it can see is a ValueError that names the file.

    Takes from the stream what it needs at once: its fields are gone when the file is closed.
    """

    def __init__(self, path: Path, stream: av.AudioStream) -> None:
        self.path = path
        self.sample_rate = stream.rate
        self.resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
        self.stated_samples = 0  # 0 where the container does not say
        if stream.duration and stream.time_base:
            self.stated_samples = round(stream.duration * stream.time_base * stream.rate)
        self.chunks: list[np.ndarray] = []
        self.num_samples = 0
        self.start_seconds: Fraction | None = None

    @property
    def end_seconds(self) -> Fraction:
        return (self.start_seconds or Fraction(0)) + Fraction(self.num_samples, self.sample_rate)

    def add(self, frame: av.AudioFrame) -> None:
        if frame.is_corrupt:
            raise ValueError(
                f"{self.path} is damaged: its sound is corrupt after {self.num_samples} samples"
            )
        if self.start_seconds is None:
            self.start_seconds = (frame.pts or 0) * (frame.time_base or Fraction(0))
        self._keep(self.resampler.resample(frame))

    def flush(self) -> None:
        if self.start_seconds is not None:
            self._keep(self.resampler.resample(None))

    def waveform(self, start_seconds: Fraction) -> Tensor | None:
        """channels samples from `start_seconds` on: silence in front or a cut; None for nothing."""
        if self.num_samples + LARGEST_FILLING < self.stated_samples:
            raise ValueError(
                f"{self.path} is truncated: "
                f"{self.num_samples} of {self.stated_samples} samples could be read"
            )
        if not self.chunks:
            return None
        waveform = torch.from_numpy(np.concatenate(self.chunks, axis=1))[:, : self._length()]
        if not torch.isfinite(waveform).all():
            raise ValueError(f"{self.path} is damaged: its sound holds NaN or infinity")
        offset = round(((self.start_seconds or Fraction(0)) - start_seconds) * self.sample_rate)
        self._check_size(self.num_samples + offset)
        shifted = waveform[:, -offset:] if offset < 0 else _silence_before(waveform, offset)
        return shifted.clamp(-1.0, 1.0) if shifted.numel() else None

    def _length(self) -> int:
        """Codecs fill their last frame up: what is stated counts, if only filling is behind it."""
        filling = self.num_samples - self.stated_samples
        return self.stated_samples if 0 <= filling < LARGEST_FILLING else self.num_samples

    def _keep(self, frames: list[av.AudioFrame]) -> None:
        self.chunks += [frame.to_ndarray() for frame in frames if frame.samples]
        self.num_samples += sum(frame.samples for frame in frames)
        self._check_size(self.num_samples)

    def _check_size(self, num_samples: int) -> None:
        if num_samples > LARGEST_SAMPLES:
            raise ValueError(
                f"{self.path} is too large: its sound fills the memory; cut it shorter"
            )


def _silence_before(waveform: Tensor, num_samples: int) -> Tensor:
    return torch.nn.functional.pad(waveform, (num_samples, 0))
