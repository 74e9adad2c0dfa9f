"""Short forms: the scales of a call, and the guiders that they stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmdiff.guidance.classifier_free import ClassifierFree
from mmdiff.guidance.energy import Energy
from mmdiff.guidance.frame_consistency import FrameConsistency
from mmdiff.guidance.guider import Guider
from mmdiff.guidance.modality import ModalityGuidance
from mmdiff.guidance.skip_layer import SkipLayer
from mmdiff.guidance.text_guider import TextGuider

Guidance = Guider | Energy

# a scale of the call: what guides by it, and the name of its own field
SHORT_FORMS: Mapping[str, tuple[type, str]] = {
    "guidance_scale": (TextGuider, "guidance_scale"),
    "audio_guidance_scale": (TextGuider, "audio_guidance_scale"),
    "guidance_rescale": (TextGuider, "guidance_rescale"),
    "frame_consistency_scale": (FrameConsistency, "scale"),
    "modality_scale": (ModalityGuidance, "scale"),
}


@dataclass(frozen=True, kw_only=True)
class Scales:
    """The scales of a call, by the names they have there.

    guidance_scale           of the text; 1 is off
    audio_guidance_scale     None: like the picture's
    guidance_rescale         see `ClassifierFree`
    frame_consistency_scale  0 is off
    modality_scale           0 is off
    """

    guidance_scale: float
    audio_guidance_scale: float | None = None
    guidance_rescale: float = 0.0
    frame_consistency_scale: float = 0.0
    modality_scale: float = 0.0


def guiders_of(guidance: Sequence[Guidance], scales: Scales) -> tuple[Guidance, ...]:
    """What guides a call: `guidance`, and by the scales what it holds none of: classifier-free
    guidance unless another text guider is there, frame consistency, modality guidance."""
    chosen: list[Guidance] = list(guidance)
    if not _has(guidance, TextGuider):
        chosen.insert(
            0,
            ClassifierFree(
                scales.guidance_scale,
                scales.audio_guidance_scale,
                guidance_rescale=scales.guidance_rescale,
            ),
        )
    if not _has(guidance, FrameConsistency):
        chosen.append(FrameConsistency(scales.frame_consistency_scale))
    if not _has(guidance, ModalityGuidance):
        chosen.append(ModalityGuidance(scales.modality_scale))
    return tuple(chosen)


def checked_guidance(guidance: Any, named: Mapping[str, float | None]) -> tuple[Guidance, ...]:
    """One guider or a sequence of them, as a tuple.

    named: the scales that were asked for beside it, None where none was.
    Raises TypeError for what is no guider; ValueError where a scale and a guider contradict each
    other, and for two sets of skipped blocks.
    """
    if isinstance(guidance, (Guider, Energy)):
        guidance = [guidance]
    if guidance is not None and not isinstance(guidance, (list, tuple)):
        raise TypeError(f"guidance is a {type(guidance).__name__}; {_CURE}")
    guiders = tuple(guidance or ())
    for index, one in enumerate(guiders):
        if not isinstance(one, (Guider, Energy)):
            raise TypeError(f"guidance[{index}] is a {type(one).__name__}; {_CURE}")
    for name, scale in named.items():
        kind, own = SHORT_FORMS[name]
        for index, one in enumerate(guiders):
            if scale is not None and isinstance(one, kind):
                raise ValueError(
                    f"{name}={scale} and guidance[{index}], {type(one).__name__}, contradict each "
                    f"other: leave out {name}, or set {type(one).__name__}({own}={scale})"
                )
    skipped = {one.blocks for one in guiders if isinstance(one, SkipLayer)}
    if len(skipped) > 1:
        raise ValueError(
            f"guidance skips the blocks {sorted(skipped)}; one call skips one set of them: "
            "name all in one SkipLayer"
        )
    return guiders


_CURE = "it must be a guider or a list of them, such as FrameConsistency(scale=1.5)"


def _has(guidance: Sequence[Guidance], kind: type) -> bool:
    return any(isinstance(one, kind) for one in guidance)
