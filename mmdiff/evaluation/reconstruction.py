"""Reconstruction: how much the autoencoders and the vocoder change of a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from mmdiff.evaluation.result import Figure, Result
from mmdiff.evaluation.sync import distances, quantile

WANTED_PSNR, WANTED_FLICKER = 34.0, 1.05
WANTED_ONSET, WANTED_PITCH, WANTED_SILENCE = 10.0, 1.0, -60.0
"""Milliseconds, percent, dBFS."""


class Heard(Protocol):
    """What was heard in a waveform: onsets in seconds, pitch in Hz."""

    @property
    def onsets(self) -> Sequence[float]: ...

    @property
    def pitch(self) -> float | None: ...


def psnr(original: Tensor, reconstruction: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two `frames height width 3`, uint8; infinity if equal."""
    _check_equal_shapes(original, reconstruction)
    error = (original.float() - reconstruction.float()).square().mean()
    return float(10 * torch.log10(255**2 / error)) if error > 0 else math.inf


def psnr_of_set(each: Sequence[float]) -> float:
    """PSNR of the mean squared error of a set, from that of each of it."""
    errors = [10 ** (-value / 10) for value in each]
    mean = sum(errors) / len(errors)
    return -10 * math.log10(mean) if mean > 0 else math.inf


def flicker(frames: Tensor) -> float:
    """Mean absolute second difference in time of `frames height width 3`, 0-255.

    Steady motion of soft edges hardly shows in it, what comes and goes from frame to frame does.
    """
    if len(frames) < 3:
        raise ValueError(f"got {len(frames)} frames; flicker needs 3 or more")
    return float(_second_difference(frames).mean())


def still_flicker(original: Tensor, reconstruction: Tensor) -> float:
    """Flicker of the reconstruction where the original has none: 0 if it has none either."""
    _check_equal_shapes(original, reconstruction)
    is_still = _second_difference(original) == 0
    return float(
        (_second_difference(reconstruction) * is_still).sum() / is_still.sum().clamp(min=1)
    )


def flicker_ratio(originals: Sequence[Tensor], reconstructions: Sequence[Tensor]) -> float:
    """Flicker of all reconstructions over that of all originals; 1 where neither has any."""
    before = sum(flicker(frames) for frames in originals)
    after = sum(flicker(frames) for frames in reconstructions)
    if before == 0:
        return 1.0 if after == 0 else math.inf
    return after / before


def level_dbfs(waveform: Tensor) -> float:
    """Root mean square level in dB of full scale; minus infinity for digital silence."""
    power = float(waveform.double().square().mean())
    return 10 * math.log10(power) if power > 0 else -math.inf


def video_reconstruction(originals: Sequence[Tensor], reconstructions: Sequence[Tensor]) -> Result:
    """PSNR and flicker of `frames height width 3`, uint8, clip by clip.

    The PSNR of a set is that of its mean squared error; that of the worst clip stands beside it.
    """
    _check_pairs(originals, reconstructions)
    pairs = list(zip(originals, reconstructions, strict=True))
    each = [psnr(original, reconstruction) for original, reconstruction in pairs]
    whole = psnr_of_set(each)
    ratio = flicker_ratio(originals, reconstructions)
    still = sum(still_flicker(*pair) for pair in pairs) / len(pairs)
    count = len(pairs)
    return Result(
        name="video_reconstruction",
        title="Video autoencoder, unseen clips",
        figures=(
            Figure("PSNR", whole, "dB", WANTED_PSNR, count=count),
            Figure("PSNR, median clip", quantile(each, 0.5), "dB", count=count),
            Figure("PSNR, worst clip", min(each), "dB", count=count),
            Figure("flicker over original's", ratio, "", WANTED_FLICKER, "lower", count=count),
            Figure("flicker where nothing moves", still, "of 255", better="lower", count=count),
        ),
    )


def audio_reconstruction(
    originals: Sequence[Heard], reconstructions: Sequence[Heard], *, silences: Sequence[Tensor] = ()
) -> Result:
    """Onsets and pitch of the sounds before and after; and how loud what should be silence is.

    `originals` and `reconstructions` are what was heard in clips with sound, `silences` the
    reconstructed waveforms of clips without.
    """
    _check_pairs(originals, reconstructions)
    gaps: list[float] = []
    bends: list[float] = []
    for before, after in zip(originals, reconstructions, strict=True):
        gaps += [1e3 * gap for gap in distances(before.onsets, after.onsets)]
        if before.pitch is not None:
            pitch = after.pitch if after.pitch is not None else math.inf
            bends.append(100 * abs(pitch / before.pitch - 1))
    loudest = max((level_dbfs(waveform) for waveform in silences), default=math.nan)
    in_tune = 100 * sum(bend <= WANTED_PITCH for bend in bends) / max(1, len(bends))
    return Result(
        name="audio_reconstruction",
        title="Audio chain: mel, autoencoder, vocoder",
        figures=(
            Figure(
                "onset error, median", quantile(gaps, 0.5), "ms", WANTED_ONSET, "lower", len(gaps)
            ),
            Figure("onset error, 90th percentile", quantile(gaps, 0.9), "ms", count=len(gaps)),
            Figure(
                "pitch error, median", quantile(bends, 0.5), "%", WANTED_PITCH, "lower", len(bends)
            ),
            Figure("pitch within 1 %", in_tune, "% of clips", count=len(bends)),
            Figure("loudest silence", loudest, "dBFS", WANTED_SILENCE, "lower", len(silences)),
        ),
    )


def _second_difference(frames: Tensor) -> Tensor:
    pixels = frames.float()
    return (pixels[2:] - 2 * pixels[1:-1] + pixels[:-2]).abs()


def _check_equal_shapes(original: Tensor, reconstruction: Tensor) -> None:
    if original.shape != reconstruction.shape:
        raise ValueError(
            f"the original is {tuple(original.shape)} and its reconstruction "
            f"{tuple(reconstruction.shape)}; both are `frames height width 3` of equal size"
        )


def _check_pairs(originals: Sequence[object], reconstructions: Sequence[object]) -> None:
    if len(originals) != len(reconstructions) or not originals:
        raise ValueError(
            f"got {len(originals)} originals and {len(reconstructions)} reconstructions; "
            "each original needs one, and there must be at least one"
        )
