"""Arguments of a pipeline call: the impossible is refused by name, value, what is legal, a hint."""

import difflib
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from mmdiff.values.checks import check_integer, check_number
from mmdiff.values.latents import MODALITIES, Modality
from mmdiff.values.shapes import LatentGrid

MAX_FRAMES = 1_000_000
MAX_SIDE = 16_384
# of tensors that are given: exact in fp32, in which the loop runs. Of float64 digits would be lost,
# which is for the caller to do.
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)
OUTPUT_TYPES = ("pil", "np", "pt", "latent")
Generators = torch.Generator | Sequence[torch.Generator] | None


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        nearest = difflib.get_close_matches(str(value), choices, n=1)
        hint = f": did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}{hint}")


def check_names(name: str, value: Any, choices: Collection[str]) -> list[str]:
    """`value`, one of `choices` or several, as a list; TypeError for what is no name or list."""
    if not isinstance(value, (str, list, tuple)):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a name or a list of names")
    names = [value] if isinstance(value, str) else list(value)
    for one in names:
        check_choice(name, one, choices)
    return names


def legal_modalities(value: Any, num_frames: int) -> tuple[Modality, ...]:
    """What is made, video first; by default both, but a still image has no audio.

    Raises ValueError for unknown or repeated ones, TypeError for what is no list of names.
    """
    if value is None:
        return ("video",) if num_frames == 1 else MODALITIES
    names = check_names("modalities", value, MODALITIES)
    if not names:
        raise ValueError(
            "modalities is empty; it must name video, audio or both: modalities=('video', 'audio')"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"modalities is {tuple(names)}; each may be named once")
    return tuple(name for name in MODALITIES if name in names)


def check_shape(
    grid: LatentGrid, num_frames: int, *, height: int, width: int, frame_rate: Any, patch: int
) -> None:
    """Raise for lengths, sizes and rates that the model cannot make.

    frame_rate: None, or the rate of training: the clock is in the weights.
    patch: latent pixels that the transformer takes as one token, along each side.
    """
    check_integer("num_frames", num_frames, lowest=1, highest=MAX_FRAMES)
    multiple = grid.space_compression * patch
    for name, value in (("height", height), ("width", width)):
        check_integer(name, value, lowest=multiple, highest=MAX_SIDE)
        if value % multiple:
            nearest = max(multiple, round(value / multiple) * multiple)
            raise ValueError(f"{name} is {value}; it must be a multiple of {multiple}: {nearest}")
    grid.latent_frames(num_frames)  # refuses what is not 1 + 4k
    if frame_rate is None:
        return
    check_number("frame_rate", frame_rate, lowest=1, highest=240)
    if Fraction(frame_rate).limit_denominator(1001) != grid.frame_rate:
        trained = float(grid.frame_rate)
        raise ValueError(
            f"frame_rate is {frame_rate:g}; this model makes {trained:g} frames a second: "
            f"{trained:g}. To play a clip faster or slower, change the rate of the saved clip."
        )


def check_text(
    name: str, prompt: Any, embeds: Any, mask: Any, *, width: int, count: int | None = None
) -> int:
    """Number of prompts.

    Raises unless there is either a prompt or its embeddings b l `width`, and one of them, or
    `count`.
    """
    if prompt is not None and embeds is not None:
        raise ValueError(f"{name} and {name}_embeds are both given; give one of them")
    if prompt is None and embeds is None:
        raise ValueError(f"{name} is missing; give {name}, or {name}_embeds")
    if isinstance(prompt, str):
        return 1
    if prompt is not None:
        if not isinstance(prompt, (list, tuple)):
            raise TypeError(
                f"{name} is a {type(prompt).__name__}; it must be a string or a list of strings"
            )
        for index, text in enumerate(prompt):
            if not isinstance(text, str):
                raise TypeError(f"{name}[{index}] is a {type(text).__name__}; it must be a string")
        if not prompt:
            raise ValueError(f"{name} is an empty list; give at least one string (it may be empty)")
    else:
        check_tensor(f"{name}_embeds", embeds, (None, None, width))
        if mask is not None:
            check_tensor(f"the attention mask of {name}_embeds", mask, tuple(embeds.shape[:2]))
            if not bool(mask.bool().any(dim=1).all()):
                raise ValueError(
                    f"the attention mask of {name}_embeds hides all tokens of a prompt; "
                    "it must keep at least one"
                )
    found = len(embeds if prompt is None else prompt)
    if count is not None and found not in (1, count):
        what = (
            f"{name}_embeds has {found} rows" if prompt is None else f"{name} has {found} strings"
        )
        raise ValueError(f"{what} for {count} prompts; give one, or {count}")
    return found


def check_tensor(name: str, value: Any, shape: Sequence[int | None]) -> None:
    """Raise unless `value` is a dense, finite tensor of `shape`, in one of `PRECISIONS` (a mask:
    any).

    None in `shape` stands for any size but 0.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a tensor")
    check_dense(name, value)
    fits = value.ndim == len(shape) and all(
        size == wanted or (wanted is None and size > 0)
        for size, wanted in zip(value.shape, shape, strict=False)
    )
    if not fits:
        expected = f"({', '.join('any' if size is None else str(size) for size in shape)})"
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


def generator_of_each(
    generator: Generators, batch_size: int, device: torch.device
) -> list[torch.Generator]:
    """A generator for each clip; one is drawn from for one clip after the other, and without any
    they are seeded from torch's global one, as diffusers' users expect.

    Raises unless there is none, one, or one for each clip, on the CPU or on `device`.
    """
    if generator is None:
        seeds = torch.randint(2**62, (batch_size,)).tolist()
        return [torch.Generator().manual_seed(seed) for seed in seeds]
    generators: list[Any] = [generator] * batch_size
    if isinstance(generator, (list, tuple)):
        generators = list(generator)
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
    if len(generators) != batch_size:
        raise ValueError(
            f"generator has {len(generators)} entries for {batch_size} clips; "
            "give one for each clip, or a single one"
        )
    return generators
