"""Guider: a number of times the difference of the conditional prediction to a perturbed one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mmdiff.diffusion.noise_schedule import Flow, NoiseSchedule
from mmdiff.values.checks import check_number
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents, Modality

# (latents, time, context, ablation=...) -> clean estimate
Denoise = Callable[..., ClipLatents]
Schedule = Literal["constant", "linear", "cosine"]

MAX_SCALE = 100.0


@dataclass(frozen=True)
class Prediction:
    """What a prediction is made from; a perturbed one differs in one of these.

    denoiser        who makes it: another one takes a call of its own
    context         the text, one row per row of the latents
    without_time    without the adapters that carry time
    without_view    without the view of video and audio on each other
    without_blocks  without these blocks
    """

    denoiser: Denoise
    context: Context
    without_time: bool = False
    without_view: bool = False
    without_blocks: tuple[int, ...] = ()


@dataclass(frozen=True)
class StepContext:
    """Where one modality is in the run.

    latents  x_t
    time     t of each token, broadcastable to them
    call     0 is the first of the run
    memory   what the guider keeps of this modality from call to call; empty at first
    """

    latents: Tensor
    time: Tensor
    call: int = 0
    noise_schedule: NoiseSchedule = field(default_factory=Flow)
    memory: dict[str, Tensor] = field(default_factory=dict)

    def on_line(self) -> tuple[Tensor, Tensor]:
        """Latents and time on the straight line between data and noise (arXiv 2209.03003).

        Every schedule runs along that line once its latents are divided by alpha + sigma:
        x_t / (alpha + sigma) = (1 - s) x_0 + s eps with s = sigma / (alpha + sigma).
        """
        sigma = self.noise_schedule.sigma(self.time.float())
        total = self.noise_schedule.alpha(self.time.float()) + sigma
        return self.latents.float() / total, sigma / total


@dataclass(frozen=True)
class Guider(ABC):
    """One perturbed prediction, and how far to go away from it, per modality.

    interval: times within which it guides (arXiv 2404.07724); outside of it, nothing is added and
        no perturbed prediction is made.
    schedule: how its scale changes over time: see `over_time`.
    """

    interval: tuple[float, float] = field(default=(0.0, 1.0), kw_only=True)
    schedule: Schedule = field(default="constant", kw_only=True)

    def __post_init__(self) -> None:
        check_guidance(self)

    @abstractmethod
    def scale_of(self, modality: Modality) -> float:
        """w in x + w (x - x_perturbed); 0 is off, and costs nothing."""

    @abstractmethod
    def perturbed(self, conditional: Prediction, negative_context: Context | None) -> Prediction:
        """The perturbed prediction; equal ones of several guiders share one pass."""

    def term(
        self, conditional: Tensor, perturbed: Tensor, *, weight: Tensor, step: StepContext
    ) -> Tensor:
        """What to add to the clean estimate `conditional`; exactly 0 in rows where `weight` is.

        weight: w per row, broadcastable to the estimates.
        """
        return weight * (conditional - perturbed)

    def applies_to(self, latents: ClipLatents) -> bool:
        """Whether the perturbed prediction of such a clip is another one at all."""
        return True

    def weight(self, modality: Modality, time: Tensor) -> Tensor:
        """w where and when it guides, 0 elsewhere; of the shape of `time`."""
        return self.scale_of(modality) * over_time(time, self.interval, self.schedule)


@dataclass(frozen=True)
class DifferenceGuider(Guider, ABC):
    """x + w (x - x_perturbed), of anything that is perturbed but the text.

    scale: w; 0 is off, and costs nothing.
    audio_scale: w of the audio; None takes `scale`.
    """

    scale: float = 1.0
    audio_scale: float | None = None

    def scale_of(self, modality: Modality) -> float:
        own = self.audio_scale if modality == "audio" else None
        return self.scale if own is None else own


def over_time(time: Tensor, interval: tuple[float, float], schedule: Schedule) -> Tensor:
    """The factor on a scale at each time t, of the shape of `time`.

    constant  1
    linear    2 (1 - t)
    cosine    1 + cos(pi t)
    The two grow towards the clean clip (arXiv 2404.13040, table 1); the mean of each over all times
    is 1. It is 0 outside of `interval` (arXiv 2404.07724), and at time 0: what has no noise is
    conditioned, and there is nothing to guide.
    """
    if schedule == "linear":
        factor = 2 * (1 - time)
    elif schedule == "cosine":
        factor = 1 + torch.cos(math.pi * time)
    else:
        factor = torch.ones_like(time)
    is_active = (time >= interval[0]) & (time <= interval[1]) & (time > 0)
    return torch.where(is_active, factor, 0.0)


def check_guidance(guider: Any) -> None:
    """Raise unless the scales of a guider or energy are numbers from 0 to MAX_SCALE (None for the
    audio is that of the video), its rescaling one from 0 to 1, its interval two times, and there is
    such a schedule."""
    for name in ("scale", "guidance_scale"):
        scale, own = getattr(guider, name, 0.0), getattr(guider, f"audio_{name}", None)
        check_number(name, scale, lowest=0, highest=MAX_SCALE)
        check_number(f"audio_{name}", scale if own is None else own, lowest=0, highest=MAX_SCALE)
    check_number("guidance_rescale", getattr(guider, "guidance_rescale", 0), lowest=0, highest=1)
    interval, schedule = guider.interval, guider.schedule
    times = list(interval) if isinstance(interval, (list, tuple)) else []
    are_numbers = all(isinstance(time, (int, float)) for time in times)
    if len(times) != 2 or not are_numbers or not 0 <= times[0] <= times[1] <= 1:
        raise ValueError(
            f"interval is {interval!r}; it must be two times 0 <= first <= last <= 1, and (0, 1) "
            "guides always"
        )
    if schedule not in get_args(Schedule):
        known = ", ".join(map(repr, get_args(Schedule)))
        raise ValueError(f"schedule is {schedule!r}; there are {known}: 'constant' is even")
