"""Seam: whether video and audio go on where what was given meets what was made."""

from collections.abc import Iterable, Sequence

from torch import Tensor

from mmdiff.bounce.tracking import track
from mmdiff.evaluation.result import Figure, percent_figure, quantile
from mmdiff.media.clip import Clip

# a centroid is read no finer than this: what stands still has no step to compare with
LEAST_STEP_PIXELS = 0.5

# of full scale: a step of -60 dB is no click, however quiet the sound around it
LEAST_STEP_SAMPLES = 1e-3

# how much sound on each side of a seam its usual step is read from: three periods of a low ping
AROUND_SECONDS = 0.01
WANTED_JUMP, WANTED_CLICK = 1.5, 3.0


def jump_ratio(x: Tensor, y: Tensor, *, seam: int) -> float:
    """The step of a centroid across the seam over the median of all its steps.

    `x`, `y` are in pixels, one a frame; the seam lies between the frames `seam - 1` and `seam`.
    """
    assert 1 <= seam < len(x)
    steps = (x.diff().square() + y.diff().square()).sqrt()
    return float(steps[seam - 1] / steps.median().clamp(min=LEAST_STEP_PIXELS))


def click_ratio(waveform: Tensor, *, seam: int, sample_rate: int) -> float:
    """The step of `channels samples` across the seam over the median step around it.

    The seam lies between the samples `seam - 1` and `seam`.
    """
    assert 1 <= seam < waveform.shape[-1]
    around = round(AROUND_SECONDS * sample_rate)
    piece = waveform.float().mean(0)[max(0, seam - 1 - around) : seam + 1 + around]
    steps = piece.diff().abs()
    across = steps[min(seam - 1, around)]
    return float(across / steps.median().clamp(min=LEAST_STEP_SAMPLES))


def jump_figures(
    name: str, clips: Iterable[Clip], true_clips: Iterable[Clip] = (), *, seams: Sequence[int]
) -> list[Figure]:
    """Steps of the object across seams before these frames; of true clips, for what is possible."""
    made, true = (
        [jump for clip in some for jump in _jumps(clip, seams)] for some in (clips, true_clips)
    )
    figures = _ratio_figures(name, made, wanted=WANTED_JUMP)
    if true:
        bound = f"{name} <= {WANTED_JUMP:g}, true clips"
        is_kept = [ratio <= WANTED_JUMP for ratio in true]
        figures.append(percent_figure(bound, is_kept, "% of clips"))
    return figures


def click_figures(name: str, clips: Iterable[Clip], *, seams: Sequence[int]) -> list[Figure]:
    """Steps of the sound at the start of these frames."""
    found = []
    for clip in clips:
        assert clip.waveform is not None and clip.sample_rate is not None
        for frame in seams:
            seam = round(frame / clip.fps * clip.sample_rate)
            found.append(click_ratio(clip.waveform, seam=seam, sample_rate=clip.sample_rate))
    return _ratio_figures(name, found, wanted=WANTED_CLICK)


def _jumps(clip: Clip, seams: Sequence[int]) -> list[float]:
    assert clip.frames is not None
    followed = track(clip.frames)
    return [jump_ratio(followed.x, followed.y, seam=seam) for seam in seams]


def _ratio_figures(name: str, ratios: Sequence[float], *, wanted: float) -> list[Figure]:
    """Median and 90th percentile of the ratios, and how many keep the bound."""
    is_kept = [ratio <= wanted for ratio in ratios]
    return [
        Figure(f"{name}, median", quantile(ratios, 0.5), "", wanted, "lower", len(ratios)),
        Figure(f"{name}, 90th percentile", quantile(ratios, 0.9), "", count=len(ratios)),
        percent_figure(f"{name} <= {wanted:g}", is_kept, "% of clips"),
    ]
