"""Guider: what a difference to a weaker prediction adds to the clean estimate."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch import Tensor

from mmdiff.guidance.energy import Energy
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.strength import Schedule, check_interval, check_schedule, over_time
from mmdiff.guidance.weaker import Weaker
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents, Modality


@dataclass(frozen=True)
class Term:
    """An addition to a clean estimate, and what its guider wants to remember of it."""

    value: Tensor
    memory: Tensor | None = None


@dataclass(frozen=True)
class Guider(ABC):
    """One weaker prediction, and how far to go away from it, per half of the clip.

    interval: noise times within which it guides (arXiv 2404.07724); outside of it, nothing is added
        and no weaker prediction is made.
    schedule: how its scale changes over noise time: see `strength.over_time`.
    """

    interval: tuple[float, float] = field(default=(0.0, 1.0), kw_only=True)
    schedule: Schedule = field(default="constant", kw_only=True)

    def __post_init__(self) -> None:
        check_interval(self.interval)
        check_schedule(self.schedule)

    @abstractmethod
    def strength(self, modality: Modality) -> float:
        """w in x + w (x - x_weak); 0 is off, and costs nothing."""

    @abstractmethod
    def weaken(self, strong: Weaker, negative_context: Context | None) -> Weaker:
        """The weaker prediction; equal ones of several guiders share one pass."""

    @abstractmethod
    def term(self, strong: Tensor, weak: Tensor, *, weight: Tensor, moment: Moment) -> Term:
        """What to add to the clean estimate `strong`; exactly 0 in rows where `weight` is.

        weight: w per row, broadcastable to the estimates.
        """

    def concerns(self, latents: ClipLatents) -> bool:
        """Whether the weaker prediction of such a clip is weaker at all."""
        return True

    @property
    def as_energy(self) -> Energy | None:
        """What guides in its place, for guiders that have a form without a weaker prediction."""
        return None

    def weight(self, modality: Modality, level: Tensor) -> Tensor:
        """w where and when it guides, 0 elsewhere; of the shape of `level`, the noise times."""
        factor = over_time(level, interval=self.interval, schedule=self.schedule)
        return self.strength(modality) * factor
