"""What must not go on, nor become a picture or a sound: numbers that are not finite."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mmdiff.values.latents import ClipLatents

CLIPS_SHOWN = 5


class NonFiniteOutput(ArithmeticError):  # noqa: N818
    """A component made NaN or infinity of finite input; the message names the step, the component
    and the clips."""


def are_finite(tensors: Iterable[Tensor]) -> Tensor:
    """One bool per tensor: whether all of it is finite. Nothing is waited for."""
    flags = [tensor.detach().isfinite().all() for tensor in tensors]
    return torch.stack(flags) if flags else torch.ones(0, dtype=torch.bool)


def names_of_non_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of those that are NaN or infinite anywhere."""
    flags = are_finite(tensors.values()).tolist()
    return [name for name, is_finite in zip(tensors, flags, strict=True) if not is_finite]


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


def finite_latents(latents: ClipLatents, component: str, *, place: str = "") -> ClipLatents:
    """As `finite`, of each modality."""
    for name, part in latents.items():
        finite(part, f"{component} ({name})", place=place)
    return latents
