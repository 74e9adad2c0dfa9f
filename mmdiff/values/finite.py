"""What must not become a picture or a sound: numbers that are not finite."""

from torch import Tensor

from mmdiff.values.latents import ClipLatents

CLIPS_SHOWN = 5


class NonFiniteOutput(ArithmeticError):  # noqa: N818
    """A component made NaN or infinity of finite input; the message names the step, the component
    and the clips."""


def finite(values: Tensor, component: str, *, place: str = "") -> Tensor:
    """`values` (b ...) as they are; NonFiniteOutput if one of them is NaN or infinite.

    component: which made them, in words.
    place: when it did, such as "step 3 of 30: ".
    """
    if bool(values.isfinite().all()):
        return values
    clips = [index for index, row in enumerate(values) if not bool(row.isfinite().all())]
    rest = f" and {len(clips) - CLIPS_SHOWN} more" if len(clips) > CLIPS_SHOWN else ""
    raise NonFiniteOutput(
        f"{place}{component} made NaN or infinity, in clips {clips[:CLIPS_SHOWN]}{rest} of "
        f"{len(values)}; nothing is written of them: run it in fp32, lower the guidance, or load "
        "the checkpoint again"
    )


def finite_halves(latents: ClipLatents, component: str, *, place: str = "") -> ClipLatents:
    """As `finite`, of picture and sound."""
    for name, half in latents.halves:
        finite(half, f"{component} ({name})", place=place)
    return latents
