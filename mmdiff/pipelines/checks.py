"""Arguments of a pipeline call: the impossible is refused by name, value, range and cure."""

import difflib
import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdiff.values.latents import MODALITIES, Modality
from mmdiff.values.shapes import LatentGrid

MAX_FRAMES = 1_000_000
MAX_SIDE = 16_384
# of tensors that are given: exact in fp32, in which the loop runs. Of float64 digits would be lost,
# which is for the caller to do.
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)
OUTPUT_TYPES = ("pil", "np", "pt", "latent")
Generators = torch.Generator | Sequence[torch.Generator] | None


def check_integer(name: str, value: Any, lowest: int, highest: int) -> None:
    """Raise ValueError unless `value` is a whole number from `lowest` to `highest`."""
    legal = f"a whole number from {lowest} to {highest}"
    if isinstance(value, bool) or not isinstance(value, int):
        whole = isinstance(value, float) and math.isfinite(value)
        nearest = f": {min(max(round(value), lowest), highest)}" if whole else ""
        raise ValueError(f"{name} is {value!r}; it must be {legal}{nearest}")
    if not lowest <= value <= highest:
        raise ValueError(
            f"{name} is {value}; it must be {legal}: {min(max(value, lowest), highest)}"
        )


def check_number(name: str, value: Any, lowest: float, highest: float) -> None:
    """Raise ValueError unless `value` is a finite number from `lowest` to `highest`."""
    legal = f"a number from {lowest:g} to {highest:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise ValueError(f"{name} is {value!r}; it must be {legal}")
    if not lowest <= value <= highest:
        raise ValueError(
            f"{name} is {value}; it must be {legal}: {min(max(value, lowest), highest):g}"
        )


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value in choices:
        return
    nearest = difflib.get_close_matches(str(value), choices, n=1)
    hint = f": did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}{hint}")


def legal_modalities(value: str | Sequence[str] | None, *, num_frames: int) -> tuple[Modality, ...]:
    """What is to be made, in the order of the halves.

    By default both, but a still image has no sound.

    Raises ValueError for unknown or repeated modalities, TypeError for what is no list of names.
    """
    if value is None:
        return ("video",) if num_frames == 1 else MODALITIES
    check_names("modalities", value)
    names = [value] if isinstance(value, str) else list(value)
    if not names:
        raise ValueError(
            "modalities is empty; it must name video, audio or both: modalities=('video', 'audio')"
        )
    for name in names:
        check_choice("modalities", name, MODALITIES)
    if len(set(names)) < len(names):
        raise ValueError(f"modalities is {tuple(names)}; each may be named once")
    return tuple(name for name in MODALITIES if name in names)


def check_names(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is a string, or a list of something."""
    if not isinstance(value, (str, list, tuple)):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a name or a list of names")


def check_callback(value: Any) -> None:
    """Raise TypeError unless `value` is None or can be called."""
    if value is not None and not callable(value):
        raise TypeError(
            f"callback_on_step_end is a {type(value).__name__}; it must be a function of "
            "(pipeline, index, timestep, tensors)"
        )


def check_attention_kwargs(value: Any) -> None:
    """Raise ValueError unless `value` is empty: diffusers' pipelines have it, ours has no use."""
    if value:
        raise ValueError(f"attention_kwargs is {value}; this transformer takes none: leave it out")


def check_shape(
    grid: LatentGrid, num_frames: int, *, height: int, width: int, patch: int
) -> dict[str, tuple[int, ...]]:
    """Latent shapes of the two halves; ValueError for sizes and lengths that the model cannot make.

    patch: latent pixels that the transformer takes as one token, along each side.
    """
    check_integer("num_frames", num_frames, 1, MAX_FRAMES)
    multiple = grid.space_compression * patch
    for name, value in (("height", height), ("width", width)):
        check_integer(name, value, multiple, MAX_SIDE)
        if value % multiple:
            nearest = max(multiple, round(value / multiple) * multiple)
            raise ValueError(f"{name} is {value}; it must be a multiple of {multiple}: {nearest}")
    return {
        "video": grid.video_shape(num_frames, height, width),
        "audio": grid.audio_shape(num_frames),
    }


def check_frame_rate(value: Any, *, trained: float) -> None:
    """Raise ValueError unless `value` is the rate of training: the clock is in the weights."""
    check_number("frame_rate", value, 1.0, 240.0)
    if value != trained:
        raise ValueError(
            f"frame_rate is {value:g}; this model makes {trained:g} frames a second: {trained:g}. "
            "To play a clip faster or slower, change the rate of the saved clip."
        )


def check_text(
    name: str, prompt: Any, embeds: Any, mask: Any, *, width: int, count: int | None = None
) -> int:
    """Number of prompts.

    Raises unless there is either a prompt or its embeddings b l `width`, `count` of them.
    """
    if prompt is not None and embeds is not None:
        raise ValueError(f"{name} and {name}_embeds are both given; give one of them")
    if prompt is None and embeds is None:
        raise ValueError(f"{name} is missing; give {name}, or {name}_embeds")
    if prompt is not None:
        check_prompt(name, prompt, count=count)
        return 1 if isinstance(prompt, str) else len(prompt)
    check_embeds(f"{name}_embeds", embeds, mask, width=width)
    if count is not None and len(embeds) not in (1, count):
        raise ValueError(
            f"{name}_embeds has {len(embeds)} rows for {count} prompts; give one row, or {count}"
        )
    return len(embeds)


def check_prompt(name: str, prompt: Any, *, count: int | None = None) -> None:
    """Raise unless `prompt` is a string or a list of them (`count` of them, or one for all)."""
    if isinstance(prompt, str):
        return
    if not isinstance(prompt, (list, tuple)):
        raise TypeError(
            f"{name} is a {type(prompt).__name__}; it must be a string or a list of strings"
        )
    for index, text in enumerate(prompt):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{index}] is a {type(text).__name__}; it must be a string")
    if not prompt:
        raise ValueError(f"{name} is an empty list; give at least one string (it may be empty)")
    if count is not None and len(prompt) not in (1, count):
        raise ValueError(
            f"{name} has {len(prompt)} strings for {count} prompts; give one string, or {count}"
        )


def check_embeds(name: str, embeds: Any, mask: Any, *, width: int) -> None:
    """Raise ValueError unless `embeds` is b l `width` and `mask`, if given, b l."""
    check_tensor(name, embeds, (None, None, width))
    if mask is not None:
        check_tensor(f"the attention mask of {name}", mask, tuple(embeds.shape[:2]))
        if not bool(mask.bool().any(dim=1).all()):
            raise ValueError(
                f"the attention mask of {name} hides all tokens of a prompt; "
                "it must keep at least one"
            )


def check_tensor(name: str, value: Any, shape: Sequence[int | None]) -> None:
    """Raise unless `value` is a dense, finite tensor of `shape`, in one of `PRECISIONS` (a mask:
    any).

    None in `shape` stands for any size but 0.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a tensor")
    check_dense(name, value)
    expected = f"({', '.join('any' if size is None else str(size) for size in shape)})"
    fits = value.ndim == len(shape) and all(
        size == wanted or (wanted is None and size > 0)
        for size, wanted in zip(value.shape, shape, strict=False)
    )
    if not fits:
        raise ValueError(f"{name} has shape {tuple(value.shape)}; it must be {expected}")
    if "mask" not in name and value.dtype not in PRECISIONS:
        raise ValueError(
            f"{name} is {value.dtype}; it must be one of {', '.join(map(str, PRECISIONS))}: "
            f"{name}.float()"
        )
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name} holds NaN or infinity; all values must be finite")


def check_dense(name: str, value: Tensor) -> None:
    """Raise ValueError where a tensor has no values, or not all of them."""
    if value.is_meta:
        raise ValueError(f"{name} is on the meta device, where tensors have no values; give values")
    if value.layout is not torch.strided:
        raise ValueError(f"{name} is {value.layout}; it must be dense: {name}.to_dense()")


def check_generators(generator: Any, *, batch_size: int, device: torch.device) -> None:
    """Raise unless `generator` is None, one generator, or one for each of `batch_size` samples.

    They may live on the CPU or on `device`.
    """
    if generator is None:
        return
    generators = list(generator) if isinstance(generator, (list, tuple)) else [generator]
    for index, one in enumerate(generators):
        if not isinstance(one, torch.Generator):
            raise TypeError(
                f"generator[{index}] is a {type(one).__name__}; it must be a torch.Generator, "
                "for example torch.Generator().manual_seed(0)"
            )
        if one.device.type not in ("cpu", device.type):
            raise ValueError(
                f"generator[{index}] is on {one.device}; it must be on cpu or {device}"
            )
    if isinstance(generator, (list, tuple)) and len(generators) != batch_size:
        raise ValueError(
            f"generator has {len(generators)} entries for {batch_size} clips; "
            "give one for each clip, or a single one"
        )
