"""Sync energy: sounds that begin when something happens in the video, and the other way round."""

from dataclasses import KW_ONLY, dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor

from mmdiff.guidance.energy import Energy, EnergyInput
from mmdiff.values.checks import check_weights
from mmdiff.values.latents import MODALITIES, ClipLatents

LEAST_TURN = 0.02
"""Change of velocity, in widths per frame; a clip in which nothing turns more has no events."""

LEAST_RISE = 0.05
"""Of the mean log-mel, per mel frame; a sound that rises less has no onsets."""


@dataclass(frozen=True)
class SyncEnergy(Energy):
    """1 - correlation over time of the events in the video with the onsets in the audio.

    Events are changes of velocity of what stands out from the background (`turns`), onsets are
    rises of the log-mel (`rises`): the same idea as the onset strength by which audio-visual
    alignment is scored (AV-Align, arXiv 2309.16429), made differentiable: both become
    curves over time by a bell of `tolerance_seconds` on each side.

    Where the video has no events or the audio no onsets there is nothing to bring together: 1,
    without slope; so that a clip that should be silent stays so.
    """

    scale: float = 0.05
    _: KW_ONLY
    tolerance_seconds: float = 0.08

    modalities = MODALITIES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(above=True, tolerance_seconds=self.tolerance_seconds)

    def applies_to(self, latents: ClipLatents) -> bool:
        """Three frames show one change of velocity."""
        video = latents.video
        return super().applies_to(latents) and video is not None and video.shape[2] > 1

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        grid = inputs.decoder.grid
        return disagreement(
            inputs.frames(clean),
            inputs.log_mel(clean),
            frame_rate=float(grid.frame_rate),
            mel_rate=grid.sample_rate / grid.hop_length,
            tolerance_seconds=self.tolerance_seconds,
        )


def disagreement(
    frames: Tensor,
    log_mel: Tensor,
    *,
    frame_rate: float,
    mel_rate: float,
    tolerance_seconds: float = 0.08,
) -> Tensor:
    """0 where sounds begin exactly at events, 1 where they have nothing to do with each other: b.

    frames   b 3 frames height width, about [-1, 1]
    log_mel  b 1 mel_frames mel_bins, of the same span of time
    """
    turned, rose = turns(frames), rises(log_mel)
    turn_times = torch.arange(1, frames.shape[2] - 1, device=frames.device) / frame_rate
    rise_times = torch.arange(1, log_mel.shape[2], device=frames.device) / mel_rate
    # a turn before the first of these, or after the last, is not seen: nor may it be heard
    is_shown = (rise_times - turn_times[0] > -0.5 / frame_rate) & (
        rise_times - turn_times[-1] < 0.5 / frame_rate
    )
    rose, rise_times = rose[:, is_shown], rise_times[is_shown]
    width = tolerance_seconds
    # squared, so that impacts stand out from the wobble of what is still half noise
    seen = turned.square() @ _bells(turn_times, rise_times, width=width).to(turned)
    heard = rose @ _bells(rise_times, rise_times, width=width).to(rose)
    correlation = _correlation(seen, heard)
    is_eventful = (turned.amax(1) > LEAST_TURN) & (rose.amax(1) > LEAST_RISE)
    return torch.where(is_eventful, 1 - correlation, torch.ones_like(correlation))


def turns(frames: Tensor) -> Tensor:
    """Change of velocity of the centroid of what differs from the background, in widths per frame:
    b frames-2. The background is the median color of the border of each frame.

    A square grows without bound at a far pixel of noise, so that what differs by little hardly
    counts: the weight of a pixel is d^4 / (d^2 + c^2) of its distance d, c a quarter of the range.
    """
    pixels = rearrange(frames, "b c f h w -> b f c h w")
    border = torch.cat([pixels[..., 0, :], pixels[..., -1, :], pixels[..., 0], pixels[..., -1]], -1)
    background = border.detach().median(-1).values  # b f c
    squared = (pixels - background[..., None, None]).square().mean(2)  # b f h w
    weight = squared.square() / (squared + 0.0625)
    total = reduce(weight, "b f h w -> b f", "sum") + 1e-6
    height, width = frames.shape[-2:]
    along_x = torch.arange(width, device=frames.device) / width
    along_y = torch.arange(height, device=frames.device) / width
    x = (reduce(weight, "b f h w -> b f w", "sum") * along_x).sum(-1) / total
    y = (reduce(weight, "b f h w -> b f h", "sum") * along_y).sum(-1) / total
    centroid = torch.stack([x, y], dim=-1)
    turn = centroid[:, 2:] - 2 * centroid[:, 1:-1] + centroid[:, :-2]
    return (turn.square().sum(-1) + 1e-8).sqrt()


def rises(log_mel: Tensor) -> Tensor:
    """Half-wave rectified rise of the log-mel from frame to frame, the mean over bins: b
    mel_frames-1 (spectral flux, as in onset detection)."""
    return log_mel[:, 0].diff(dim=1).clamp(min=0).mean(-1)


def _bells(centers: Tensor, times: Tensor, *, width: float) -> Tensor:
    """The bell around each of the centers, at each of the times: centers times."""
    return (-((times - centers[:, None]) / width).square() / 2).exp()


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's, along the last axis."""
    one, other = (curve - curve.mean(-1, keepdim=True) for curve in (one, other))
    lengths = one.square().sum(-1) * other.square().sum(-1)
    return (one * other).sum(-1) / (lengths + 1e-12).sqrt()
