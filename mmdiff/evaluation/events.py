"""When something happens in a clip, whatever it shows: sudden changes of motion, and beginnings of
sounds."""

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional as F

from mmdiff.media.optical_flow import estimate_flow

STEP_SECONDS, WINDOW_SECONDS = 0.005, 0.02  # of the spectra that onsets are read from
LEAST_FLUX = 0.02  # mean rise of log(1 + 100 magnitude) from step to step; less is no onset

# change of velocity from frame to frame; less is within the error of the estimated motion
LEAST_TURN_PIXELS = 0.5

# what is weaker than this part of the strongest event, or not as much stronger than usual, is none
OF_STRONGEST, OF_MEDIAN = 0.2, 3.0
NEAR_SECONDS = 0.06  # events nearer to a stronger one than this are part of it


def motion_events(frames: Tensor, frame_rate: float) -> list[float]:
    """Seconds of the sudden changes of motion in `frames height width 3`, uint8: an impact, a
    start, a stop; none in fewer than 4 frames.

    The velocity of a frame is the mean optical flow, weighted by its own length, so that what moves
    counts and what stands still does not (the idea of AV-Align, arXiv 2309.16429, for which events
    are peaks of the flow; here, of its change, since an impact turns motion more than it adds).
    """
    if len(frames) < 4:
        return []
    images = rearrange(frames.float() / 255, "f h w c -> f c h w")
    flow = estimate_flow(images[:-1], images[1:])
    length = flow.square().sum(1, keepdim=True).sqrt()
    velocity = (flow * length).sum((2, 3)) / length.sum((2, 3)).clamp(min=1e-6)
    turns = velocity.diff(dim=0).square().sum(1).sqrt()
    return [(index + 1) / frame_rate for index in _peaks(turns, LEAST_TURN_PIXELS, reach=1)]


def audio_onsets(waveform: Tensor, sample_rate: int) -> list[float]:
    """Seconds at which sounds begin in `channels samples`, in [-1, 1]: peaks of the spectral flux
    (Bello et al. 2005, section III-B)."""
    mono = reduce(waveform.float(), "channels samples -> samples", "mean")
    step, window = (round(seconds * sample_rate) for seconds in (STEP_SECONDS, WINDOW_SECONDS))
    padded = F.pad(mono, (window, 0))  # a sound that begins with the clip begins from silence
    shape = torch.hann_window(window)
    spectrum = torch.stft(
        padded, window, hop_length=step, window=shape, center=False, return_complex=True
    )
    magnitude = torch.log1p(100 * 2 / window * spectrum.abs())  # bins steps
    flux = magnitude.diff(dim=1).clamp(min=0).mean(0)
    peaks = _peaks(flux, LEAST_FLUX, reach=round(NEAR_SECONDS / STEP_SECONDS))
    # the flux is largest where the beginning lies in the middle of the later window
    shift = 1.0 + window / 2 / step - window / step
    return [max(0.0, (index + shift) * STEP_SECONDS) for index in peaks]


def _peaks(strength: Tensor, least: float, *, reach: int) -> list[int]:
    """Where the strength is largest within `reach` on both sides, and large enough."""
    if not len(strength):
        return []
    around = F.max_pool1d(strength[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
    usual = OF_MEDIAN * float(strength.median())
    bound = max(least, usual, OF_STRONGEST * float(strength.max()))
    found = torch.nonzero((strength >= bound) & (strength == around))[:, 0].tolist()
    # of equal neighbours, the first
    return [peak for i, peak in enumerate(found) if i == 0 or peak - found[i - 1] > reach]
