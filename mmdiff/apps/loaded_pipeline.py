"""The pipeline of `generate` and `evaluate`: loaded, on a device, called with a seed a clip."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from mmdiff.apps.terminal import announce, announce_libraries, quieten_libraries
from mmdiff.values.progress import bar_arguments
from mmdiff.values.usage_error import UsageError

if TYPE_CHECKING:
    from mmdiff.media.clip import Clip
    from mmdiff.pipelines.pipeline import MMDiffPipeline

DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


def load_pipeline(
    checkpoint: str | None, *, device: str, dtype: Literal["fp32", "bf16"] = "fp32"
) -> "MMDiffPipeline":
    """The bundled model (`checkpoint` None) or a pipeline folder, on a device.

    dtype: of the transformer; all else is in fp32.
    """
    announce("loading the bundled model" if checkpoint is None else f"loading {checkpoint}")
    gc.disable()  # a fifth of the time that the large libraries take to import
    try:
        import torch
        from diffusers.utils import logging as diffusers_logging

        from mmdiff.pipelines.pipeline import MMDiffPipeline
    finally:
        gc.enable()
    target = chosen_device(device)
    diffusers_logging.disable_progress_bar()
    quieten_libraries()
    precisions = {"transformer": getattr(torch, DTYPES[dtype]), "default": torch.float32}
    pipe = MMDiffPipeline.from_pretrained(checkpoint, dtype=precisions).to(target)
    line = "step {n_fmt} of {total_fmt}, {remaining} left"
    pipe.set_progress_bar_config(**bar_arguments("sampling", line=line))
    return pipe


def chosen_device(device: str) -> str:
    """`auto`: the GPU where there is one. UsageError for one that this machine does not have."""
    import torch

    count = torch.cuda.device_count()
    if device == "auto":
        return "cuda" if count else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = torch.device("meta")
    there = torch.accelerator.current_accelerator(check_available=True)
    is_there = wanted.type == "cpu" or (there is not None and wanted.type == there.type)
    if is_there and not (wanted.type == "cuda" and (wanted.index or 0) >= count):
        return device
    gpus = f", and this machine has {count} GPUs" if wanted.type == "cuda" else ""
    raise UsageError(
        f"device is {device}; possible is auto, cpu or cuda{gpus}",
        nearest=f"device={'cuda' if count else 'cpu'}",
    )


def sampled(
    pipe: "MMDiffPipeline", texts: list[str], seeds: list[int], arguments: dict[str, Any]
) -> list["Clip"]:
    """One clip a text; each has its own generator: the same noise alone and in a batch."""
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    out: Any = pipe(prompt=texts, generator=generators, output_type="pt", **arguments)
    return list(out.clips)


def guidance_arguments(guidance: Any, scales: Mapping[str, float | None]) -> dict[str, Any]:
    """Arguments of the call: `guidance`, a list, and the scales that none of it took.

    guidance: a guider or an energy, several by their names, or None.
    scales: by the names of the call; a guider that one is the short form of takes it as its own.

    Raises UsageError for a scale that the guider it belongs to does not have.
    """
    chosen = guidance.values() if isinstance(guidance, Mapping) else [guidance]
    guiders: list[Any] = [guider for guider in chosen if guider is not None]
    arguments = {name: scale for name, scale in scales.items() if scale is not None}
    if guiders and arguments:
        announce_libraries()
        from mmdiff.guidance.named_scales import NAMED_SCALES

        for name, scale in list(arguments.items()):
            owner, field = NAMED_SCALES[name]
            for index in [i for i, one in enumerate(guiders) if isinstance(one, owner)]:
                if not hasattr(guiders[index], field):
                    raise UsageError(
                        f"{name} is set, and guidance by {type(guiders[index]).__name__} has none",
                        hint=f"leave it out, or use guidance=classifier_free {name}={scale}",
                    )
                guiders[index] = replace(guiders[index], **{field: scale})
                arguments.pop(name, None)
    return {**arguments, "guidance": guiders} if guiders else arguments


def use_schedulers(pipe: "MMDiffPipeline", scheduler: Any, audio_scheduler: Any) -> None:
    """Those of the command line, where they are given."""
    if scheduler is not None:
        pipe.scheduler = scheduler
    if audio_scheduler is not None:
        pipe.audio_scheduler = audio_scheduler


def announce_unknown_words(tokenizer: Any, prompts: Sequence[str], most: int = 8) -> None:
    """One line where prompts hold words that the model was not trained on."""
    from mmdiff.text.tokenizer import unknown_words

    words = unknown_words(tokenizer, prompts)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    if words:
        announce(f"no training caption holds: {', '.join(words[:most])}{more}")
