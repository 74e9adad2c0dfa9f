"""What `guidance=` and the scales beside it say to a call of the pipeline."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmdiff.apps.terminal import announce_libraries
from mmdiff.values.usage_error import UsageError


def guidance_arguments(guidance: Any, scales: Mapping[str, float | None]) -> dict[str, Any]:
    """Arguments of the call: `guidance`, a list, and the scales that none of it took.

    guidance: a guider or an energy, several by their names, or None.
    scales: by the names of the call; a guider that one is the short form of takes it as its own.
    Raises UsageError for a scale that the guider it belongs to does not have.
    """
    guiders = list(guidance.values()) if isinstance(guidance, Mapping) else [guidance]
    guiders = [guider for guider in guiders if guider is not None]
    named = {name: scale for name, scale in scales.items() if scale is not None}
    if not named:
        return {"guidance": guiders} if guiders else {}
    announce_libraries()
    from mmdiff.guidance.named_scales import NAMED_SCALES

    arguments: dict[str, Any] = {}
    for name, scale in named.items():
        kind, own = NAMED_SCALES[name]
        owners = [index for index, guider in enumerate(guiders) if isinstance(guider, kind)]
        if not owners:
            arguments[name] = scale
        for index in owners:
            if not hasattr(guiders[index], own):
                raise UsageError(
                    f"{name} is set, and guidance by {type(guiders[index]).__name__} has none",
                    key=name,
                    cure=f"leave it out, or use guidance=classifier_free {name}={scale}",
                )
            guiders[index] = replace(guiders[index], **{own: scale})
    return {**arguments, "guidance": guiders} if guiders else arguments
