"""Frame-consistency guidance: frames that belong together, in two forms behind one name."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from mmdiff.guidance.difference_guider import DifferenceGuider
from mmdiff.guidance.energy import Energy
from mmdiff.guidance.flicker_energy import FlickerEnergy
from mmdiff.guidance.weaker import Weaker
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

Form = Literal["difference", "energy"]


@dataclass(frozen=True)
class FrameConsistency(DifferenceGuider):
    """Away from frames that know nothing of each other, or down the slope of their flicker.

    form: "difference", x + w (x - x_apart): x_apart is the prediction in which the adapters that
        carry time are cut, in all blocks, so that each slice of time is predicted by itself. It is
        in the family of STG (arXiv 2411.18664), which weakens by skipping the attention of a few
        hand-picked blocks, and so the picture along with time, in a model that never saw this in
        training; here only what joins frames is cut, and the backbone has been trained with it cut
        now and then, so the weaker prediction is a good one of unrelated frames.
        "energy", x - v grad E(x): E is the second difference in time after warping by the estimated
        motion (`FlickerEnergy`), and v its scale; it needs no weaker prediction, and leaves out
        the noisier times, as that energy does by default.
    audio_scale: the sound is left as it is by default; None takes `scale`.
    """

    audio_scale: float | None = 0.0
    form: Form = "difference"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in get_args(Form):
            known = " or ".join(map(repr, get_args(Form)))
            raise ValueError(f"form is {self.form!r}; it must be {known}")

    def weaken(self, strong: Weaker, negative_context: Context | None) -> Weaker:
        return strong.cut(time=True)

    def concerns(self, latents: ClipLatents) -> bool:
        """A still image has one frame only, and sound alone has time to be cut."""
        return latents.video is None or latents.video.shape[2] > 1

    @property
    def as_energy(self) -> Energy | None:
        if self.form != "energy" or self.scale == 0:
            return None
        own = FlickerEnergy()
        first, last = self.interval
        return replace(
            own,
            scale=self.scale,
            interval=(first, max(first, min(last, own.interval[1]))),
            schedule=self.schedule,
        )
