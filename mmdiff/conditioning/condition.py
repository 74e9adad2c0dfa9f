"""Condition: something of a clip that is given, and that the rest is made to fit."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from math import sqrt
from os import PathLike, fspath
from typing import Any, Protocol

import torch
from torch import Tensor

from mmdiff.conditioning.source import ClipSource, Media, check_source
from mmdiff.media.clip import Clip
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import ClipShape, LatentGrid

TOLERANCE = 0.25
"""Root mean square over the channels of a token, whose latents have unit variance: the same image
encoded in another clip, or compressed, differs by less; another image by about 1."""


class Encode(Protocol):
    """What encodes the media of one clip: latents of unit variance.

    shape  of the clip that is made: conditions fit what they hold to it
    grid   how media map onto latents
    """

    @property
    def shape(self) -> ClipShape: ...

    @property
    def grid(self) -> LatentGrid: ...

    def video(self, frames: Tensor) -> Tensor:
        """1 c f h w of  frames height width 3, uint8:  1 + 4k frames of the clip's size."""
        ...

    def audio(self, waveform: Tensor) -> Tensor:
        """1 c t m of  1 samples:  as long as the clip, at its sample rate."""
        ...


@dataclass(frozen=True, eq=False)
class Condition(ABC):
    """A frozen value that says which tokens are conditioned, on what, and at which strength.

    Conditions compose: each adds to what the others give.
    """

    @abstractmethod
    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        """The state that is conditioned on this too.

        Raises ValueError where it does not fit the clip that is made.
        """

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        """`media` of one clip with the given pixels and samples put back exactly, where that was
        asked for.

        media  1 3 frames height width and 1 1 samples, both in [-1, 1]
        """
        return media

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Those that the clip must have for this to mean anything."""
        return ()

    def video_frames(self, grid: LatentGrid) -> int | None:
        """How many frames the clip has by the video that is given; None: it does not say."""
        return None

    def audio_frames(self, grid: LatentGrid) -> int | None:
        """How many frames the clip has by the audio that is given; None: it does not say."""
        return None

    def in_window(self, seconds: Fraction) -> "Condition":
        """The same in a window of the clip that begins `seconds` into it.

        Raises ValueError where that has no meaning.
        """
        raise ValueError(
            f"{type(self).__name__} cannot go with Extend, which makes a clip window by window; "
            "extend the clip in a call of its own"
        )

    def read(self) -> None:
        """Read the files that are given now, and not when they are first needed.

        Raises ValueError naming a damaged file.
        """
        for name in dir(type(self)):
            if isinstance(getattr(type(self), name), cached_property):  # each holds what was read
                getattr(self, name)

    def settings(self) -> dict[str, Any]:
        """Its name and arguments as plain values, for the record beside a clip."""
        values = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {"condition": type(self).__name__, **values}


@dataclass(frozen=True, eq=False)
class ClipCondition(Condition, ABC):
    """One that holds a clip: a path, an array at the model's rates, or a Clip."""

    clip: Media

    def __post_init__(self) -> None:
        check_source(self._name, self.clip)

    @property
    def _name(self) -> str:
        return f"clip of {type(self).__name__}"

    @cached_property
    def _source(self) -> ClipSource:
        return ClipSource.of(self._name, self.clip)

    def video_frames(self, grid: LatentGrid) -> int | None:
        """The most frames 1 + 4k that its video holds."""
        if not self._source.has("video", grid):
            return None
        return grid.num_frames(1 + (len(self._source.frames(grid)) - 1) // grid.time_compression)

    def audio_frames(self, grid: LatentGrid, *, start_seconds: float = 0.0) -> int | None:
        """The frames 1 + 4k that last most nearly as long as its audio; at least 5."""
        if not self._source.has("audio", grid):
            return None
        seconds = start_seconds + self._source.waveform(grid).shape[1] / grid.sample_rate
        frames = seconds * float(grid.frame_rate)
        return grid.num_frames(1 + max(1, round((frames - 1) / grid.time_compression)))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Clip):
        return f"a clip of {value.num_frames} frames and {value.num_samples} samples"
    if hasattr(value, "shape"):
        return f"an array of {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def composed(conditions: Sequence[Condition], state: LatentState, encode: Encode) -> LatentState:
    """The state that is conditioned on all of them.

    Raises ValueError where a condition needs a modality that is not made, or where two give
    different values to the same token, both exactly or both partially. What is given exactly goes
    before what is given partially.
    """
    bare = LatentState(state.latents)
    made = bare.latents.modalities
    parts: list[LatentState] = []
    for condition in conditions:
        for missing in set(condition.modalities) - set(made):
            name = type(condition).__name__
            raise ValueError(
                f"modalities is {made}, and {name} gives {missing}; add {missing!r} to "
                f"modalities, or leave {name} out"
            )
        parts.append(condition.apply(bare, encode))
    for one, other in combinations(range(len(parts)), 2):
        for modality in made:
            if _contradict(parts[one], parts[other], modality):
                first, second = (type(conditions[index]).__name__ for index in (one, other))
                raise ValueError(
                    f"conditions[{one}] ({first}) and conditions[{other}] ({second}) contradict "
                    f"each other: they give different {modality} to the same tokens; leave one "
                    "out, or give them other times"
                )
    for part in parts:
        masks = dict(part.mask.items())
        for modality, values in part.given.items():
            state = state.give(modality, values, masks[modality])
    return state


def _contradict(one: LatentState, other: LatentState, modality: Modality) -> bool:
    first, second = one.given.get(modality), other.given.get(modality)
    mask, other_mask = one.mask.get(modality), other.mask.get(modality)
    if first is None or second is None or mask is None or other_mask is None:
        return False
    both = (mask > 0) & (other_mask > 0) & ((mask >= 1) == (other_mask >= 1))
    difference = first - second
    distance = torch.linalg.vector_norm(difference, dim=1, keepdim=True)
    return bool((both & (distance > TOLERANCE * sqrt(difference.shape[1]))).any())
