"""Frame-consistency guidance: frames that belong together, in three forms behind one name."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from mmdiff.guidance.difference_guider import DifferenceGuider
from mmdiff.guidance.energy import Energy
from mmdiff.guidance.flicker_energy import FlickerEnergy
from mmdiff.guidance.latent_flicker import LatentFlicker
from mmdiff.guidance.weaker import Weaker
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

Form = Literal["latent", "difference", "energy"]


@dataclass(frozen=True)
class FrameConsistency(DifferenceGuider):
    """Down the slope of the flicker of the frames, or away from frames that know nothing of each
    other.

    form: "latent", x - v grad E(x): E is the robust difference of neighbouring latent frames
        (`LatentFlicker`), and v how many times its way is gone; hardly any cost.
        "difference", x + w (x - x_apart): x_apart is the prediction in which the adapters that
        carry time are cut, in all blocks, so that each slice of time is predicted by itself. It is
        in the family of STG (arXiv 2411.18664), which weakens by skipping the attention of a few
        hand-picked blocks, and so the picture along with time, in a model that never saw this in
        training; here only what joins frames is cut, and the backbone has been trained with it cut
        now and then, so the weaker prediction is a good one of unrelated frames.
        "energy", x - v grad E(x): E is the second difference in time after warping by the estimated
        motion (`FlickerEnergy`), and v its scale, in standard deviations.
        The forms by an energy leave out the noisier times, as energies do by default.
    audio_scale: the sound is left as it is by default; None takes `scale`.
    """

    audio_scale: float | None = 0.0
    form: Form = "latent"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in get_args(Form):
            known = ", ".join(map(repr, get_args(Form)))
            raise ValueError(f"form is {self.form!r}; it must be one of {known}")

    def weaken(self, strong: Weaker, negative_context: Context | None) -> Weaker:
        return strong.cut(time=True)

    def concerns(self, latents: ClipLatents) -> bool:
        """A still image has one frame only, and sound alone has time to be cut."""
        return latents.video is None or latents.video.shape[2] > 1

    @property
    def as_energy(self) -> Energy | None:
        if self.form == "difference" or self.scale == 0:
            return None
        own: Energy = LatentFlicker() if self.form == "latent" else FlickerEnergy()
        first, last = self.interval
        return replace(
            own,
            scale=self.scale,
            interval=(first, max(first, min(last, own.interval[1]))),
            schedule=self.schedule,
        )
