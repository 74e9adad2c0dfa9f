"""TextGuider: away from what the negative (or empty) prompt would give."""

from abc import ABC
from dataclasses import dataclass, replace

from mmdiff.guidance.guider import Guider
from mmdiff.guidance.strength import check_scale, scale_of
from mmdiff.guidance.weaker import Weaker
from mmdiff.values.context import Context
from mmdiff.values.latents import Modality


@dataclass(frozen=True)
class TextGuider(Guider, ABC):
    """What guiders that weaken the text have in common; they share one pass.

    guidance_scale: s in x_weak + s (x - x_weak); 1 is the prediction itself, and costs nothing.
    audio_guidance_scale: s for the sound; None takes `guidance_scale`.
    """

    guidance_scale: float = 4.0
    audio_guidance_scale: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale("guidance_scale", self.guidance_scale)
        if self.audio_guidance_scale is not None:
            check_scale("audio_guidance_scale", self.audio_guidance_scale)

    def strength(self, modality: Modality) -> float:
        return scale_of(modality, self.guidance_scale, self.audio_guidance_scale) - 1

    def weaken(self, strong: Weaker, negative_context: Context | None) -> Weaker:
        """Raises ValueError if there is no negative context, or not one per row."""
        if negative_context is None:
            raise ValueError(
                "guidance by text needs a negative context: encode the negative prompt or the "
                "empty one"
            )
        count = strong.context.batch_size
        if negative_context.batch_size != count:
            raise ValueError(
                f"there are {negative_context.batch_size} negative contexts for {count} contexts; "
                "give one per row"
            )
        return replace(strong, context=negative_context)
