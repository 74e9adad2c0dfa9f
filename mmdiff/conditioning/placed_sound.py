"""PlacedSound: a stretch of given sound at its place in the clip."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from mmdiff.conditioning.encode import Encode
from mmdiff.conditioning.sound_seam import joined
from mmdiff.conditioning.sound_tokens import sound_tokens
from mmdiff.values.latents import ClipLatents


@dataclass(frozen=True, eq=False)
class PlacedSound:
    """Given samples first..last (last excluded) of a clip.

    waveform  1 samples, as long as the clip; silence where nothing is given
    """

    waveform: Tensor
    first: int
    last: int

    @classmethod
    def of(cls, waveform: Tensor, *, first: int, num_samples: int) -> "PlacedSound":
        """`waveform` (1 samples) beginning at sample `first` of the clip, before it if negative;
        what lies outside is cut."""
        inside = waveform[:, max(0, -first) : max(0, num_samples - first)]
        start = min(max(0, first), num_samples)
        end = start + inside.shape[1]
        return cls(F.pad(inside, (start, num_samples - end)), start, end)

    def mask(self, encode: Encode) -> Tensor:
        """The sound tokens that it determines: 1 1 t 1."""
        return sound_tokens(encode.shape, encode.grid, first=self.first, last=self.last)

    def put_into(self, media: ClipLatents) -> ClipLatents:
        """`media` (audio 1 1 samples) with these samples exactly, joined without a click."""
        if media.audio is None:
            return media
        given = self.waveform.to(media.audio)
        return media.replace("audio", joined(media.audio, given, first=self.first, last=self.last))
