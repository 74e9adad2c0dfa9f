"""EnergyInput: what an energy may look at beside the clean estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import LatentGrid


class Decode(Protocol):
    """Turns clean latents into media on their device, with gradient."""

    @property
    def grid(self) -> LatentGrid:
        """Rates of picture and sound."""
        ...

    def __call__(self, latents: ClipLatents) -> ClipLatents:
        """Of each half that is there: frames b 3 frames height width, about [-1, 1]; and normalised
        log-mels b 1 mel_frames mel_bins, which begin with the first frame: no pre-roll."""
        ...

    def waveform(self, log_mel: Tensor) -> Tensor:
        """Sound b samples in [-1, 1] of log-mels as above."""
        ...


@dataclass(frozen=True)
class EnergyInput:
    """The moment of the run, and what the clips are about.

    time     noise time per token, broadcastable to the latents; 0 where a token is given
    decode   None where nothing can decode
    prompts  one a row; None where the words are not known, as with prompt embeddings
    """

    time: ClipLatents
    decode: Decode | None = None
    prompts: Sequence[str] | None = None

    def __getitem__(self, rows: slice) -> EnergyInput:
        prompts = None if self.prompts is None else self.prompts[rows]
        return EnergyInput(self.time[rows], self.decode, prompts)

    @property
    def decoder(self) -> Decode:
        """Raises ValueError if nothing can decode."""
        if self.decode is None:
            raise ValueError(
                "decode is None; energies look at decoded clips: give GuidedDenoiser(decode=...)"
            )
        return self.decode

    def frames(self, clean: ClipLatents) -> Tensor:
        """The picture of these latents: b 3 frames height width, about [-1, 1]."""
        frames = self.decoder(ClipLatents(video=clean.video)).video
        assert frames is not None
        return frames

    def log_mel(self, clean: ClipLatents) -> Tensor:
        """The sound of these latents: b 1 mel_frames mel_bins, 1 is loud and -1 silence."""
        log_mel = self.decoder(ClipLatents(audio=clean.audio)).audio
        assert log_mel is not None
        return log_mel
