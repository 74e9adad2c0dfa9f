"""PlacedAudio: a span of given audio in the clip, which tokens it determines, and its seams."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mmdiff.conditioning.condition import Encode
from mmdiff.values.latents import ClipLatents
from mmdiff.values.masks import span

SEAM_TOKENS = 2
"""Tokens beside an open end that are not conditioned, since the autoencoder looks at both sides of
a token. Measured with the bundled one: silence behind an open end changes the last token by 0.93 of
its standard deviation, the one before by 0.30, the next ones by 0.09 and 0.03."""

FADE_SAMPLES = 320
ORDER = 32  # of the linear prediction
HISTORY = 2048


@dataclass(frozen=True, eq=False)
class PlacedAudio:
    """Given samples first..last (last excluded) of a clip.

    waveform  1 samples, as long as the clip; silence where nothing is given
    """

    waveform: Tensor
    first: int
    last: int

    @classmethod
    def of(cls, waveform: Tensor, *, first: int, num_samples: int) -> "PlacedAudio":
        """`waveform` (1 samples) beginning at sample `first` of the clip, before it if negative;
        what lies outside is cut."""
        inside = waveform[:, max(0, -first) : max(0, num_samples - first)]
        start = min(max(0, first), num_samples)
        end = start + inside.shape[1]
        return cls(F.pad(inside, (start, num_samples - end)), start, end)

    def mask(self, encode: Encode, *, seam: int = SEAM_TOKENS) -> Tensor:
        """1 1 t 1, 1 for the tokens that these samples determine.

        Where the samples reach an end of the clip, its tokens are determined up to that end.
        """
        grid, shape = encode.grid, encode.shape
        total = grid.audio_latent_frames(shape.num_frames)
        first, last = (
            (sample + grid.preroll_samples) / grid.samples_per_audio_latent
            for sample in (self.first, self.last)
        )
        start = 0 if self.first <= 0 else math.ceil(first) + seam
        end = total if self.last >= shape.num_samples else math.floor(last) - seam
        return span(total, min(start, total), max(end, min(start, total)))

    def put_into(self, media: ClipLatents) -> ClipLatents:
        """`media` (audio 1 1 samples) with these samples exactly, joined without a click."""
        if media.audio is None:
            return media
        given = self.waveform.to(media.audio)
        return media.replace("audio", joined(media.audio, given, first=self.first, last=self.last))


def joined(generated: Tensor, given: Tensor, *, first: int, last: int) -> Tensor:
    """`generated` with samples first..last (last excluded) of `given` in their place.

    Beyond each seam the given audio is carried on by linear prediction and fades out over
    `FADE_SAMPLES` while the generated one fades in, so that neither jumps.

    generated, given  ... samples, in [-1, 1]
    """
    audio = generated.clone()
    first, last = max(first, 0), min(last, generated.shape[-1])
    exact = given[..., first:last]
    audio[..., first:last] = exact
    audio[..., last : last + FADE_SAMPLES] = _faded(exact, audio[..., last : last + FADE_SAMPLES])
    start = max(0, first - FADE_SAMPLES)
    # the seam in front is the seam behind, backwards
    audio[..., start:first] = _faded(exact.flip(-1), audio[..., start:first].flip(-1)).flip(-1)
    return audio


def _faded(past: Tensor, following: Tensor) -> Tensor:
    """From the continuation of `past` to `following`, which comes after it."""
    count = following.shape[-1]
    if count == 0 or past.shape[-1] == 0:
        return following
    fade = torch.linspace(1, 0, count + 2, device=past.device)[1:-1]
    continued = predicted(past, count).clamp(-1, 1)
    return fade * continued + (1 - fade) * following


def predicted(past: Tensor, count: int) -> Tensor:
    """`count` samples that carry on  ... samples  by linear prediction (Burg's method, which is
    always stable: a tone rings on, noise dies away)."""
    history = past[..., -HISTORY:].double()
    order = min(ORDER, history.shape[-1] // 2)
    if order == 0:
        return past[..., -1:].expand(*past.shape[:-1], count)
    weights = _burg(history, order).flip(-1)
    samples = list(history[..., -order:].unbind(-1))
    for _ in range(count):
        samples.append(-(weights * torch.stack(samples[-order:], dim=-1)).sum(-1))
    return torch.stack(samples[order:], dim=-1).to(past.dtype)


def _burg(x: Tensor, order: int) -> Tensor:
    """Coefficients a_1 .. a_order of x_n = -sum_i a_i x_{n - i}:  ... order."""
    forward, backward = x[..., 1:], x[..., :-1]
    weights = x.new_zeros(*x.shape[:-1], 0)
    for _ in range(order):
        energy = (forward.square() + backward.square()).sum(-1, keepdim=True)
        reflection = -2 * (forward * backward).sum(-1, keepdim=True) / energy.clamp_min(1e-12)
        weights = torch.cat([weights + reflection * weights.flip(-1), reflection], dim=-1)
        forward, backward = forward + reflection * backward, backward + reflection * forward
        forward, backward = forward[..., 1:], backward[..., :-1]
    return weights
