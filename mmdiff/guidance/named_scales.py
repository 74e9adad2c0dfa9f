"""Named scales: the short names of a call, such as `guidance_scale`, and what they stand for."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdiff.guidance.backbone_guiders import ModalityGuidance, SkipLayer
from mmdiff.guidance.energy import Energy
from mmdiff.guidance.frame_consistency import FrameConsistency
from mmdiff.guidance.guider import Guider
from mmdiff.guidance.text_guiders import ClassifierFree, TextGuider

Guidance = Guider | Energy | FrameConsistency

# a scale of the call: what guides by it, and the name of its own field
NAMED_SCALES: Mapping[str, tuple[type, str]] = {
    "guidance_scale": (TextGuider, "guidance_scale"),
    "audio_guidance_scale": (TextGuider, "audio_guidance_scale"),
    "guidance_rescale": (TextGuider, "guidance_rescale"),
    "frame_consistency_scale": (FrameConsistency, "scale"),
    "modality_scale": (ModalityGuidance, "scale"),
}


def guiders_of(
    guidance: Sequence[Guidance],
    *,
    guidance_scale: float,
    audio_guidance_scale: float | None = None,
    guidance_rescale: float = 0.0,
    frame_consistency_scale: float = 0.0,
    modality_scale: float = 0.0,
) -> list[Guider | Energy]:
    """What guides a call: `guidance`, and by the scales what it holds none of: classifier-free
    guidance unless another text guider is there, frame consistency, modality guidance.

    guidance_scale of the text is off at 1, the others at 0; audio_guidance_scale None is that of
    the video; guidance_rescale: see `ClassifierFree`.
    """
    chosen = list(guidance)
    present = {
        base for base, _ in NAMED_SCALES.values() if any(isinstance(g, base) for g in chosen)
    }
    if TextGuider not in present:
        free = ClassifierFree(
            guidance_scale, audio_guidance_scale, guidance_rescale=guidance_rescale
        )
        chosen.insert(0, free)
    if frame_consistency_scale and FrameConsistency not in present:
        chosen.append(FrameConsistency(frame_consistency_scale))
    if modality_scale and ModalityGuidance not in present:
        chosen.append(ModalityGuidance(modality_scale))
    return [one.guider() if isinstance(one, FrameConsistency) else one for one in chosen]


def checked_guidance(guidance: Any, named: Mapping[str, float | None]) -> tuple[Guidance, ...]:
    """One guider or a sequence of them, as a tuple.

    named: the scales that the call names too, None where it names none.
    Raises TypeError for what is no guider; ValueError where a scale and a guider contradict each
    other, and for two sets of skipped blocks.
    """
    guiders = guidance if isinstance(guidance, (list, tuple)) else [guidance]
    guiders = tuple(() if guidance is None else guiders)
    for index, one in enumerate(guiders):
        if not isinstance(one, Guidance):
            name = f"guidance[{index}]" if isinstance(guidance, (list, tuple)) else "guidance"
            raise TypeError(
                f"{name} is a {type(one).__name__}; it must be a guider or a list of them, such as "
                "FrameConsistency(scale=1.5)"
            )
        guider = type(one).__name__
        for scale_name, (base, own) in NAMED_SCALES.items():
            scale = named.get(scale_name)
            if scale is not None and isinstance(one, base):
                raise ValueError(
                    f"{scale_name}={scale} and guidance[{index}], {guider}, contradict each other: "
                    f"leave out {scale_name}, or set {guider}({own}={scale})"
                )
    skipped = {one.blocks for one in guiders if isinstance(one, SkipLayer)}
    if len(skipped) > 1:
        raise ValueError(
            f"guidance skips the blocks {sorted(skipped)}; one call skips one set of them: "
            "name all in one SkipLayer"
        )
    return guiders
