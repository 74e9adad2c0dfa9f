"""Reconstruction: how much a video autoencoder changes of clips, `frames height width 3`, uint8."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmdiff.evaluation.result import Figure, Result, mean, quantile

WANTED_PSNR, WANTED_FLICKER = 34.0, 1.05


def psnr(original: Tensor, reconstruction: Tensor) -> float:
    """Peak signal-to-noise ratio in dB; infinity if they are equal."""
    assert original.shape == reconstruction.shape, "or they would be broadcast"
    error = (original.float() - reconstruction.float()).square().mean()
    return float(10 * torch.log10(255**2 / error)) if error > 0 else math.inf


def psnr_of_set(each: Sequence[float]) -> float:
    """PSNR of the mean squared error of a set, from that of each of it."""
    error = mean([10 ** (-value / 10) for value in each])
    return -10 * math.log10(error) if error > 0 else math.inf


def flicker(frames: Tensor) -> float:
    """Mean absolute second difference in time, of three frames or more.

    Steady motion of soft edges hardly shows in it, what comes and goes from frame to frame does.
    """
    return float(_second_difference(frames).mean())


def still_flicker(original: Tensor, reconstruction: Tensor) -> float:
    """Flicker of the reconstruction where the original has none: 0 if it has none either."""
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


def video_reconstruction(originals: Sequence[Tensor], reconstructions: Sequence[Tensor]) -> Result:
    """PSNR and flicker, clip by clip, of one clip or more.

    The PSNR of a set is that of its mean squared error; the worst clip has its own figure.
    """
    pairs = list(zip(originals, reconstructions, strict=True))
    each = [psnr(*pair) for pair in pairs]
    ratio = flicker_ratio(originals, reconstructions)
    still = mean([still_flicker(*pair) for pair in pairs])
    num_clips = len(pairs)
    figures = (
        Figure("PSNR", psnr_of_set(each), "dB", WANTED_PSNR, count=num_clips),
        Figure("PSNR, median clip", quantile(each, 0.5), "dB", count=num_clips),
        Figure("PSNR, worst clip", min(each), "dB", count=num_clips),
        Figure("flicker over original's", ratio, "", WANTED_FLICKER, "lower", count=num_clips),
        Figure("flicker where nothing moves", still, "of 255", better="lower", count=num_clips),
    )
    return Result("video_reconstruction", "Video autoencoder, unseen clips", figures)


def _second_difference(frames: Tensor) -> Tensor:
    pixels = frames.float()
    return (pixels[2:] - 2 * pixels[1:-1] + pixels[:-2]).abs()
